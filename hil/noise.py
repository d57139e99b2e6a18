"""Seeded random streams: one per (seed, node, source), so that adding a sensor never shifts another's noise."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator


class Streams:
    """The random streams of one world.

    Args:
        seed: the run's seed; the same seed gives the same streams on any machine and in any order of use.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, node: str, source: str) -> Generator:
        """A fresh PCG64 generator for one source of noise of one node.

        >>> a = Streams(1).stream("fts_a", "threshold").random()
        >>> a == Streams(1).stream("fts_a", "threshold").random() != Streams(1).stream("fts_b", "threshold").random()
        True
        """
        digest = hashlib.sha256(f"{self.seed}/{node}/{source}".encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
