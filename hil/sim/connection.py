"""One client's connection to a port: bytes leave without waiting, and what does not go at once goes later."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_UNSENT_MAX = 64 << 20  # bytes a client may leave unread before its connection is closed


class Connection:
    """One client's connection, written on the clock's thread and read on the port's input thread.

    Args:
        link: its socket, which does not block.
        peer: address of the client.
        want_to_write: called when bytes wait until the socket takes them.
    """

    def __init__(self, link: socket.socket, peer: str, want_to_write: Callable[[Connection], None]) -> None:
        self.peer = peer
        """Address of the client, ``host:port``."""
        self._want_to_write = want_to_write
        self._link = link
        self._unsent = bytearray()
        self._guard = threading.Lock()

    def send(self, data: bytes) -> None:
        """Send bytes without waiting; to a client that is gone, nothing."""
        with self._guard:
            if self._unsent:
                self._unsent += data
            else:
                self._unsent += data[self._pushed(data) :]
            if not self._unsent:
                return
            overfull = len(self._unsent) > _UNSENT_MAX
        if overfull:
            self.drop()
        self._want_to_write(self)

    def drop(self) -> None:
        """Close the connection, as a network or an instrument does that resets it."""
        with suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)

    # -- the input thread's side --------------------------------------------------------------------------

    @property
    def link(self) -> socket.socket:
        """Its socket."""
        return self._link

    def push(self) -> bool:
        """Send what waits; whether nothing waits any more."""
        with self._guard:
            del self._unsent[: self._pushed(bytes(self._unsent))]
            return not self._unsent

    def _pushed(self, data: bytes) -> int:
        try:
            return self._link.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # the reader sees the end of the connection; there is nobody to send to
