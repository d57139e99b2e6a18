"""The keeper's own record: append-only lines of JSON, each with the hash of the one before.

It is written by another process than the test's evidence, so that it tells what happened to the rig however the test
ended. It belongs to the run folder, and the manifest binds it.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from hil.errors import EvidenceError
from hil.evidence.chain import GENESIS, line_hash

if TYPE_CHECKING:
    from pathlib import Path

RECORD = "keeper.jsonl"


class KeeperRecord:
    """Writes the record; a line is with the operating system when :meth:`write` returns.

    A disk that takes no more does not keep the keeper from making the rig safe: :attr:`trouble` says so, and the lines
    that could not be written are lost to the file, never to the terminal.

    Args:
        path: the file; None keeps no file.
    """

    def __init__(self, path: Path | None) -> None:
        self.trouble = ""
        """Why the record is not complete; "" when it is."""
        self._head = GENESIS
        self._file = -1
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            except OSError as error:
                self.trouble = f"{path}: {error.strerror}"

    def write(self, what: str, **fields: object) -> None:
        """Append one line."""
        line = json.dumps({"what": what, **fields, "prev": self._head}, sort_keys=True, default=str).encode() + b"\n"
        self._head = line_hash(line)
        if self._file < 0:
            return
        try:
            left = line
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            self.trouble = self.trouble or f"the keeper's record: {error.strerror}"

    def sync(self) -> None:
        """Have everything on the disk, as far as the disk can."""
        if self._file >= 0:
            try:
                os.fdatasync(self._file)
            except OSError as error:
                self.trouble = self.trouble or f"the keeper's record: {error.strerror}"

    def close(self) -> None:
        """Close the file; harmless when done before."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def read_record(path: Path) -> list[dict[str, object]]:
    """The lines of a record, checked for their chain; a last line that was cut by a crash is left out.

    Raises:
        EvidenceError: when it cannot be read, or a line is not what the next one says it was.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
    found: list[dict[str, object]] = []
    head = GENESIS
    *whole, _ = content.split(b"\n")
    for number, text in enumerate(whole, start=1):
        line = text + b"\n"
        try:
            entry: dict[str, object] = json.loads(line)
        except ValueError as error:
            raise EvidenceError(f"{path}:{number}: is no line of a keeper's record: {error}") from error
        if entry.pop("prev", None) != head:
            raise EvidenceError(f"{path}:{number}: the line before it is not the one that was written")
        head = line_hash(line)
        found.append(entry)
    return found
