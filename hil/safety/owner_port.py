"""A port on loopback with one owner at a time, whose bytes wait when the owner is slow to take them."""

from __future__ import annotations

import select
import socket
from contextlib import suppress

_CHUNK = 1 << 16  # bytes read at once
_UNSENT_MAX = 16 << 20  # bytes an owner may leave unread before the connection is closed


class OwnerPort:
    """Listens, and holds the one connection; one thread uses it. A second connection is closed at once."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._owner: socket.socket | None = None
        self._unsent = bytearray()

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self._listener.getsockname()[1])

    @property
    def owned(self) -> bool:
        """Whether somebody is connected."""
        return self._owner is not None

    @property
    def readers(self) -> list[int]:
        """What becomes readable when the owner says something, or somebody connects."""
        links = (self._owner, self._listener)
        return [link.fileno() for link in links if link is not None and link.fileno() >= 0]

    @property
    def writers(self) -> list[int]:
        """What becomes writable when the owner takes what waits."""
        return [self._owner.fileno()] if self._owner is not None and self._unsent else []

    def ready(self) -> list[int]:
        """What is readable now."""
        return select.select(self.readers, [], [], 0.0)[0]

    def take(self, readable: list[int]) -> bytes | None:
        """What the owner said; b"" when there is a new one; None for nothing.

        Args:
            readable: which descriptors are readable.
        """
        if self._owner is not None and self._owner.fileno() in readable:
            return self._read(self._owner)  # before anybody new: this one may be about to leave
        if self._listener.fileno() in readable and self._accept():
            return b""
        return None

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
        """End the connection."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None
        self._unsent.clear()

    def close(self) -> None:
        """Let nobody in any more; harmless when done before."""
        self.drop()
        self._listener.close()

    def _accept(self) -> bool:
        with suppress(OSError):  # who knocked has gone again
            link, _ = self._listener.accept()
            if self._owner is not None:
                link.close()
                return False
            link.setblocking(False)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._owner = link
            return True
        return False

    def _read(self, owner: socket.socket) -> bytes | None:
        try:
            found = owner.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            found = b""
        if not found:
            self.drop()
            return None
        return found
