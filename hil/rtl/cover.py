"""Functional coverage inside a simulator: what a cocotb test calls when it has met a situation.

.. code-block:: python

    from hil.rtl.cover import cover

    cover("fts.command", "ARM")                      # a point and its bin
    cover("fts.command_at_level", "ARM", -105.0)     # a cross: one value for each of its points

The points are those that the tests on the rig cover, declared in the files of the ini option ``hil_cover``. The
harness names a file in ``HIL_COVER_FILE``; where it does not, nobody asks for coverage and nothing is done.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hil.coverage.bins import Bins

if TYPE_CHECKING:
    from hil.coverage.bins import Bin

VARIABLE = "HIL_COVER_FILE"
"""Environment variable that names the file of hits: JSON lines, the first of them the declared points."""


def cover(name: str, *values: Bin) -> None:
    """Note that a situation was met.

    Args:
        name: a cover point, or a cross.
        values: its bin, or a number [the point's unit] that one of its ranges holds; of a cross one for each point.

    Raises:
        HilError: for an unknown name or bin, with the nearest known.
    """
    file = os.environ.get(VARIABLE)
    if not file:
        return
    declared = _declared(file)
    if declared is not None:
        declared.hits(name, values)
    with Path(file).open("a") as hits:
        hits.write(json.dumps([name, values]) + "\n")


@lru_cache(maxsize=1)
def _declared(file: str) -> Bins | None:
    """What the file's first line declares; None when the harness left no declaration: it checks what it reads."""
    try:
        with Path(file).open() as hits:
            first: object = json.loads(hits.readline() or "null")
    except FileNotFoundError:
        return None
    return None if first is None or isinstance(first, list) else Bins.declared(first)
