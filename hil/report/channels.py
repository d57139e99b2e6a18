"""The channels of one attempt, read from its numpy blocks and put on the time axis of its plots."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from hil.errors import EvidenceError
from hil.evidence.folder import Part
from hil.evidence.raw import read_block
from hil.units import s

if TYPE_CHECKING:
    from pathlib import Path

    from hil.evidence.records import Attachment, Attempt, Test
    from hil.report.traces import Numbers

MODEL = "model."
"""How the names of channels begin that a model was asked for and nobody measured."""


class Channels:
    """What one attempt recorded, by name; every block is read once.

    Args:
        run_dir: the run folder.
        test: the test.
        attempt: the attempt of it.
    """

    def __init__(self, run_dir: Path, test: Test, attempt: Attempt) -> None:
        self._run_dir = run_dir
        self._units = {channel.name: channel.unit for channel in attempt.channels}
        self._blocks = {each.path: each for each in attempt.attachments}
        self._part = None if test.index is None else Part(test.index, attempt.number)
        self._origin_ns = attempt.exhibits.epoch.t_ns if attempt.exhibits.epoch else 0
        self._read: dict[str, tuple[Numbers, Numbers]] = {}

    def unit(self, name: str) -> str:
        """The unit a channel was recorded in.

        Raises:
            EvidenceError: when no such channel was recorded.
        """
        if name not in self._units:
            raise EvidenceError(f"{name}: was not recorded; a channel is, when the test asked about its signal")
        return self._units[name]

    def samples(self, name: str) -> tuple[Numbers, Numbers]:
        """Times [s from the epoch, or from the start of the test] and values of a channel.

        Raises:
            EvidenceError: when it was not recorded, or its block is damaged.
        """
        if name not in self._read:
            self.unit(name)
            path, found = self._find(f"signals/{name}.npy")
            if found is None:
                times_ns, values = read_block(path)
            else:
                times_ns, values = read_block(path, found.offset, found.size, sha256=found.sha256)
            self._read[name] = (times_ns - np.int64(self._origin_ns)) / s, values
        return self._read[name]

    def _find(self, name: str) -> tuple[Path, Attachment | None]:
        """The file of a block, and which part of it; an unfinished run has it in the test's own folder."""
        found = self._blocks.get(name)
        if ".." in PurePosixPath(name).parts:
            raise EvidenceError(f"{name}: lies outside of the run folder; `hil verify` tells what was edited")
        if found is not None:
            return self._run_dir / name, found
        own = None if self._part is None else self._part.folder(self._run_dir) / name
        if own is None or not own.is_file():
            raise EvidenceError(f"{name}: the channel was declared, but no block of it was kept")
        return own, None
