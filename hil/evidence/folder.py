"""The layout of a run folder: names of files, and where a test's part of the evidence lies until it is joined.

``parts/main.jsonl`` holds the segments of all tests that the one process ran, ``parts/gw0.jsonl`` those of the first
worker of several; raw logs of the plan's test 7 (counted from 0) lie in ``parts/0007/``, of its second attempt in
``parts/0007.a2/``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.errors import EvidenceError

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = "events.jsonl"
MANIFEST = "manifest.json"
IDENTITY = "identity.json"
REPORT = "report.html"
PARTS = "parts"
PLAN = "plan.json"
JOINED = {"can/": ".log", "scpi/": ".log", "signals/": ".npy", "coverage/": ".jsonl"}
"""Folders whose files of that ending are joined over all tests, in plan order: lines of text, or numpy blocks.

Other raw files stay one per test.
"""

_STEM = re.compile(r"(\d{4,})(?:\.a(\d+))?")


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One attempt of one test in ``parts/``.

    Args:
        index: the test's place in the plan, from 0.
        attempt: 1 for the first.
    """

    index: int
    attempt: int = 1

    @property
    def stem(self) -> str:
        """Name of its folder."""
        return f"{self.index:04d}" if self.attempt == 1 else f"{self.index:04d}.a{self.attempt}"

    def folder(self, run_dir: Path) -> Path:
        """The folder of its raw logs."""
        return run_dir / PARTS / self.stem


def part_named(name: str) -> Part | None:
    """The attempt whose raw logs lie in a folder of this name; None for another name."""
    found = _STEM.fullmatch(name)
    return Part(int(found[1]), int(found[2] or 1)) if found else None


def segment_file(run_dir: Path, worker: str) -> Path:
    """The file that a process records its tests into.

    Args:
        run_dir: the run folder.
        worker: the process's name, ``main`` when it is the only one.
    """
    return run_dir / PARTS / f"{worker}.jsonl"


def files_of(folder: Path, *, without: str = "") -> list[str]:
    """Every file below a folder, as sorted posix paths relative to it; a link to a folder counts as a file.

    Args:
        folder: the folder.
        without: name of a folder directly in it that is left out.

    Raises:
        OSError: when it cannot be listed.
    """
    found: list[str] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(os.path.join(folder, below)) as entries:  # noqa: PTH118  # ten times as fast as Path here
            for entry in entries:
                name = f"{below}{entry.name}"
                if not entry.is_dir(follow_symlinks=False):
                    found.append(name)
                elif name != without:
                    waiting.append(f"{name}/")
    return sorted(found)


def require_run(run_dir: Path) -> None:
    """Refuse a path that is no run folder.

    Raises:
        EvidenceError: when it is not there, or holds neither evidence nor parts of it.
    """
    if not run_dir.is_dir():
        raise EvidenceError(f"{run_dir}: is not a folder; name a run folder, runs/<utc>-<rig>")
    if not any((run_dir / name).exists() for name in (EVENTS, MANIFEST, IDENTITY, PARTS)):
        raise EvidenceError(f"{run_dir}: is not a run folder: no {EVENTS}, {MANIFEST}, {IDENTITY} or {PARTS}/ in it")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there in full or not at all.

    Raises:
        EvidenceError: when it cannot be written.
    """
    draft = path.with_name(path.name + ".draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise EvidenceError(f"{path}: cannot be written: {error.strerror}; free space or check the rights") from error
