"""The recorder: writes one test's documents to its own segment, each with the hash of the one before."""

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

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC


class SegmentRecorder:
    """An append-only segment: one write a document, never an edit, broken for ever once a write failed.

    Args:
        path: file to create; an existing one is refused, every attempt has its own.
        nodeid: the test's id.
        index: the test's place in the plan, from 0.
        attempt: 1 for the first.

    Raises:
        EvidenceError: when the file cannot be created.
    """

    def __init__(self, path: Path, *, nodeid: str, index: int, attempt: int = 1) -> None:
        self._path = path
        self._identity: dict[str, str | int] = {"nodeid": nodeid, "index": index, "attempt": attempt}
        self._head = GENESIS
        self._documents = 0
        self._size = 0
        self._broken = ""
        self._file = self._open()

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
        self._append(line)
        self._head = hashlib.sha256(line).hexdigest()
        self._documents += 1
        self._size += len(line)

    def sync(self) -> None:
        """Have everything on the disk: at the end of a test, at verdicts, before anything is energised.

        Raises:
            EvidenceError: when the disk does not confirm it.
        """
        self._require_sound()
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise self._break(error) from error

    def close(self) -> None:
        """Close the file; harmless when it is closed.

        Raises:
            EvidenceError: when the last bytes could not be written.
        """
        file, self._file = self._file, -1
        if file < 0:
            return
        try:
            os.close(file)
        except OSError as error:
            raise self._break(error) from error

    def _open(self) -> int:
        try:
            try:
                return os.open(self._path, _FLAGS, 0o644)
            except FileNotFoundError:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                return os.open(self._path, _FLAGS, 0o644)
        except FileExistsError as error:
            raise EvidenceError(
                f"recording failed: {self._path} is there already; evidence is never overwritten: "
                "record into a new attempt or a new run folder"
            ) from error
        except OSError as error:
            raise self._break(error) from error

    def _append(self, line: bytes) -> None:
        left = line
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            with suppress(OSError):  # half a line is no record: take it off, so that what stands can be read
                os.ftruncate(self._file, self._size)
            raise self._break(error) from error

    def _require_sound(self) -> None:
        if self._broken:
            raise EvidenceError(self._broken)
        if self._file < 0:
            raise EvidenceError(f"{self._path} is closed; nothing can be recorded after the test's end")

    def _break(self, error: OSError) -> EvidenceError:
        self._broken = (
            f"recording failed: {self._path}: {error.strerror} (errno {error.errno}) after {self._documents} "
            "documents, which stand; free space or check the disk, then run the test again"
        )
        return EvidenceError(self._broken)
