"""The port on loopback at which the test reaches an I/O card or a bus: bytes both ways, which wait for a slow owner."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from hil.safety.owner_port import OwnerPort

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 1 << 16  # bytes read at once
_UNSENT_MAX = 16 << 20  # bytes an owner may leave unread before the connection is closed


class BytePort(OwnerPort):
    """An owner's port for a stream that both sides write to at any time."""

    def __init__(self) -> None:
        super().__init__()
        self._unsent = bytearray()

    @property
    def writers(self) -> list[int]:
        """What becomes writable when the owner takes what waits."""
        return [self.owner] if self._unsent else []

    def ready(self) -> list[int]:
        """What is readable now."""
        return select.select(self.descriptors, [], [], 0.0)[0]

    def take(self, readable: Sequence[int]) -> bytes | None:
        """What the owner said; b"" when there is a new one; None for nothing.

        Args:
            readable: which descriptors are readable.
        """
        return self._comes(readable, lambda owner: owner.recv(_CHUNK))

    def send(self, data: bytes) -> None:
        """Send bytes without waiting; to nobody, nothing. What does not go at once is sent by :meth:`push`."""
        if self._owner is not None:
            self._unsent += data
            self.push()

    def push(self) -> None:
        """Send what waits, as far as the owner takes it; one that takes nothing for long is dropped."""
        if self._owner is None or not self._unsent:
            return
        try:
            del self._unsent[: self._owner.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # the reader sees the end of the connection
        if len(self._unsent) > _UNSENT_MAX:
            self.drop()

    def drop(self) -> None:
        """End the connection, and forget what waits for it."""
        super().drop()
        self._unsent.clear()
