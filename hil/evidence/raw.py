"""Raw logs: lines appended as the run goes on, each with the operating system when the call returns."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hil.errors import EvidenceError

if TYPE_CHECKING:
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
