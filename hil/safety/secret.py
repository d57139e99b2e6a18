"""Secrets, such as the key of an encrypted flight termination system: used, never shown.

A rig file only names where a secret is: ``file:/etc/hil/efts.key`` or ``env:HIL_EFTS_KEY``.
"""

from __future__ import annotations

import hmac
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Never, Self

from hil.safety.errors import SecretError

if TYPE_CHECKING:
    from collections.abc import Generator

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Secret:
    """Bytes that reach no text, no file and no other process.

    Args:
        value: the bytes.
        origin: where they came from, which may be shown.
    """

    __slots__ = ("__value", "origin")

    def __init__(self, value: bytes, origin: str = "given") -> None:
        self.__value = bytearray(value)
        self.origin = origin

    @classmethod
    def load(cls, place: str) -> Secret:
        """Read a secret from where a rig file says it is.

        Args:
            place: ``file:PATH`` (its bytes as they are; only its owner may read it) or ``env:NAME`` (its text as
                UTF-8).

        Raises:
            SecretError: when it is not there, empty, or others may read it. The text given is not repeated when it is
                no place: it can be the secret itself.
        """
        kind, _, name = place.partition(":")
        match kind:
            case "file" if name:
                return cls(_file(Path(name)), place)
            case "env" if name:
                value = os.environb.get(os.fsencode(name))
                if not value:
                    raise SecretError(f"{place}: the environment has no such variable, or it is empty; set it")
                return cls(value, place)
            case _:
                raise SecretError(
                    "a secret is named by its place, file:/etc/hil/efts.key or env:HIL_EFTS_KEY; what was given is "
                    "neither, and is not shown because it may be the secret: if it was, change that secret"
                )

    @contextmanager
    def reveal(self) -> Generator[memoryview]:
        """The bytes, as long as the ``with`` block lasts; the copy is wiped at its end.

        >>> with Secret(b"key").reveal() as key:
        ...     bytes(key) == b"key", repr(key).startswith("<memory at")
        (True, True)
        """
        copy = bytearray(self.__value)
        view = memoryview(copy)
        try:
            yield view
        finally:
            copy[:] = bytes(len(copy))

    def __repr__(self) -> str:
        return f"<Secret from {self.origin}>"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        """Compare two secrets in a time that tells nothing of them."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value, other.__value)

    __hash__ = None  # type: ignore[assignment]  # a hash tells of the value

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __getstate__(self) -> Never:
        raise SecretError(
            f"{self!r} was about to be pickled or stored; it stays in this process: load it where it is used"
        )

    def __reduce_ex__(self, protocol: object) -> Never:
        self.__getstate__()


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise SecretError(f"{path}: is no regular file; name the file that holds the secret")
            if found.st_mode & _OTHERS or found.st_uid not in {0, os.getuid()}:
                raise SecretError(
                    f"{path}: belongs to user {found.st_uid}, mode {found.st_mode & 0o777:04o}: others may read it; "
                    f"own it and chmod 600 {path}"
                )
            if not found.st_size:
                raise SecretError(f"{path}: is empty; write the secret into it")
            return file.read()
    except OSError as error:
        raise SecretError(f"{path}: cannot be read: {error.strerror}; check the path and the rights") from error
