"""Raw logs: lines appended as the run goes on, each with the operating system when the call returns."""

from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING

from hil.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class RawLog:
    """An append-only text file; made at its first line, broken for ever once a write failed.

    Args:
        path: the file; its folder is made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._broken = ""

    def line(self, text: str) -> None:
        """Append one line.

        Raises:
            EvidenceError: when it cannot be written; what was written before stands.
        """
        if self._broken:
            raise EvidenceError(self._broken)
        left = f"{text}\n".encode("utf-8", "backslashreplace")
        try:
            if self._file < 0:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self._path, _FLAGS, 0o644)
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            self._broken = (
                f"recording failed: {self._path}: {error.strerror} (errno {error.errno}); what was written before "
                "stands; free space or check the disk, then run the test again"
            )
            raise EvidenceError(self._broken) from error

    def close(self) -> None:
        """Close the file; harmless when there is none."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def write_block(path: Path, times_ns: Sequence[int], values: Sequence[float]) -> None:
    """Write the samples of one signal as a numpy block: fields ``t_ns`` [ns] and ``value`` [the signal's unit].

    Blocks may stand one after the other in one file; ``numpy.load`` on an open file reads them one by one.

    Raises:
        EvidenceError: when it cannot be written.
    """
    import numpy as np

    block = np.empty(len(times_ns), dtype=[("t_ns", "<i8"), ("value", "<f8")])
    block["t_ns"], block["value"] = times_ns, values
    written = BytesIO()
    np.lib.format.write_array(written, block, allow_pickle=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written.getvalue())
    except OSError as error:
        raise EvidenceError(
            f"recording failed: {path}: {error.strerror} (errno {error.errno}); free space or check the disk"
        ) from error
