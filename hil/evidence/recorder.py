"""The recorder: writes one test's documents as a segment of its own, each with the hash of the one before."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from hil.errors import EvidenceError
from hil.evidence.chain import GENESIS
from hil.evidence.documents import check_fields, encode, plain, stable_text

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class SegmentFile:
    """The file into which one process records its tests, one segment after the other; append-only.

    It is made for the first segment and stays open to the end. What an existing file of that name holds, stands.

    Args:
        path: the file; its folder is made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: SegmentRecorder | None = None
        self._file = -1
        self._half = 0

    def begin(self, writer: SegmentRecorder) -> None:
        """Let a recorder write; whoever wrote before has ended.

        Raises:
            OSError: when the file cannot be made or opened.
            EvidenceError: when it ends within a line that another process left.
        """
        if self._file < 0:
            self._file = self._open()
        self.writer = writer

    def append(self, line: bytes) -> None:
        """Write one line, whole or not at all.

        Raises:
            OSError: when it cannot be written; half a line was taken off again, or is before the next one.
        """
        if self._half:
            self._take_off()
        left = line
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            self._half = len(line) - len(left)
            with suppress(OSError):  # half a line is no record: take it off, so that what stands can be read
                self._take_off()
            raise

    def sync(self) -> None:
        """Have everything on the disk.

        Raises:
            OSError: when the disk does not confirm it.
        """
        os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file; harmless when it is closed.

        Raises:
            EvidenceError: when the last bytes could not be written.
        """
        file, self._file, self.writer = self._file, -1, None
        if file < 0:
            return
        try:
            os.close(file)
        except OSError as error:
            raise EvidenceError(f"recording failed: {self.path}: {error.strerror}; check the disk") from error

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, _FLAGS, 0o644)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.close(file)
            raise EvidenceError(
                f"recording failed: {self.path} ends within a line that another process left; evidence is never "
                "overwritten: record into a new run folder"
            )
        return file

    def _take_off(self) -> None:
        os.ftruncate(self._file, os.fstat(self._file).st_size - self._half)
        self._half = 0


class SegmentRecorder:
    """An append-only segment: one write a document, never an edit, broken for ever once a write failed.

    Args:
        file: the file of this process; the segment begins at its end.
        nodeid: the test's id.
        index: the test's place in the plan, from 0.
        attempt: 1 for the first.

    Raises:
        EvidenceError: when the file cannot be created.
    """

    def __init__(self, file: SegmentFile, *, nodeid: str, index: int, attempt: int = 1) -> None:
        self.file = file
        self._identity: dict[str, str | int] = {"nodeid": nodeid, "index": index, "attempt": attempt}
        self._head = GENESIS
        self._documents = 0
        self._broken = ""
        try:
            file.begin(self)
        except OSError as error:
            raise self._break(error) from error

    def __enter__(self) -> SegmentRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def head(self) -> str:
        """Hash of the last line written, hexadecimal."""
        return self._head

    @property
    def documents(self) -> int:
        """How many documents were written."""
        return self._documents

    def write(self, kind: str, **fields: object) -> None:
        """Append one document; it is with the operating system when this returns.

        A ``start`` gets the test's nodeid, index and attempt by itself.

        Args:
            kind: kind of document, see :mod:`hil.evidence.documents`.
            fields: its fields; numpy scalars, enums and non-finite numbers are converted.

        Raises:
            EvidenceError: when a field is missing or cannot be recorded, or the file takes no more.
        """
        self._require_sound()
        check_fields(kind, fields)
        document = {key: plain(value, f"{kind}.{key}") for key, value in fields.items()}
        if kind == "start":
            document |= self._identity
        elif kind == "stop":
            for key in ("message", "reason"):
                text = document.get(key)
                if isinstance(text, str):
                    document[key] = stable_text(text)
        document["doc"] = kind
        document["prev"] = self._head
        line = encode(document)
        try:
            self.file.append(line)
        except OSError as error:
            raise self._break(error) from error
        self._head = hashlib.sha256(line).hexdigest()
        self._documents += 1

    def sync(self) -> None:
        """Have everything on the disk: at the end of a test, at verdicts, before anything is energised.

        Raises:
            EvidenceError: when the disk does not confirm it.
        """
        self._require_sound()
        try:
            self.file.sync()
        except OSError as error:
            raise self._break(error) from error

    def close(self) -> None:
        """End the segment; harmless when it has ended."""
        if self.file.writer is self:
            self.file.writer = None

    def _require_sound(self) -> None:
        if self._broken:
            raise EvidenceError(self._broken)
        if self.file.writer is not self:
            test = self._identity["nodeid"]
            raise EvidenceError(f"the record of {test} is closed; nothing can be recorded after the test's end")

    def _break(self, error: OSError) -> EvidenceError:
        self._broken = (
            f"recording failed: {self.file.path}: {error.strerror} (errno {error.errno}) after {self._documents} "
            "documents, which stand; free space or check the disk, then run the test again"
        )
        return EvidenceError(self._broken)
