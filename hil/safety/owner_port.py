"""A port on loopback with one owner at a time, as an instrument on a bench has; one thread uses it."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class OwnerPort:
    """Listens, and holds the one connection. A second connection is closed at once."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._owner: socket.socket | None = None
        self.owners = 0
        """How many owners there have been: whoever asked something is told from who came after."""

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self._listener.getsockname()[1])

    @property
    def owner(self) -> int:
        """The connection's file descriptor; -1 without one."""
        return -1 if self._owner is None else self._owner.fileno()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What becomes readable when the owner says something, or somebody connects."""
        return tuple(one for one in (self.owner, self._listener.fileno()) if one >= 0)

    def drop(self) -> None:
        """End the connection."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None

    def close(self) -> None:
        """Let nobody in any more; harmless when done before."""
        self.drop()
        self._listener.close()

    def _comes(self, readable: Sequence[int], receive: Callable[[socket.socket], bytes]) -> bytes | None:
        """What the owner said; b"" when there is a new one; None for nothing, and when the owner has gone.

        Args:
            readable: which descriptors are readable.
            receive: takes what has come from a connection.
        """
        if self._owner is not None and self._owner.fileno() in readable:
            return self._read(self._owner, receive)  # before anybody new: this one may be about to leave
        if self._listener.fileno() in readable and self._accept():
            return b""
        return None

    def _accept(self) -> bool:
        with suppress(OSError):  # who knocked has gone again
            link, _ = self._listener.accept()
            if self._owner is not None:
                link.close()
                return False
            link.setblocking(False)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._owner = link
            self.owners += 1
            return True
        return False

    def _read(self, owner: socket.socket, receive: Callable[[socket.socket], bytes]) -> bytes | None:
        try:
            found = receive(owner)
        except BlockingIOError:
            return None
        except OSError:
            found = b""
        if not found:
            self.drop()
            return None
        return found
