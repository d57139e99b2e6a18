"""The connection of python-can's socketcand client: it tells when the other side has hung up, and cuts no word in two.

That client takes the end of a connection for silence and reads on for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    import can

_END = b">"
_PLACE = "_SocketCanDaemonBus__socket"  # nothing public leads to it


class ToldSocket:
    """A socket whose end is an error, and that gives whole words.

    Args:
        link: the connection.
    """

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._ended = False
        self._rest = b""
        self.setsockopt = link.setsockopt
        self.fileno = link.fileno
        self.close = link.close

    def recv(self, size: int) -> bytes:
        """Some whole words: the client warns of each that the network cut in two.

        Raises:
            ConnectionResetError: when the other side has ended the connection.
        """
        while True:
            found = b"" if self._ended else self._link.recv(size)
            self._ended = not found
            self._demand()
            words, end, self._rest = (self._rest + found).rpartition(_END)
            if end:
                return words + end

    def sendall(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            ConnectionResetError: when the other side has ended the connection; the kernel would take some more.
        """
        self._demand()
        self._link.sendall(data)

    def _demand(self) -> None:
        if self._ended:
            raise ConnectionResetError("the server has ended the connection")


def tell_the_end(bus: can.BusABC) -> None:
    """Have a socketcand bus say that it lost its server."""
    vars(bus)[_PLACE] = ToldSocket(vars(bus)[_PLACE])
