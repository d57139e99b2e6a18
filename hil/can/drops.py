"""Frames that a socket had no room for: the kernel counts them for each socket, and tells nobody who does not ask."""

from __future__ import annotations

import os
import socket
import stat
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import can

_SO_MEMINFO = 55  # linux/socket.h
_DROPS = 8  # which of its numbers, SK_MEMINFO_DROPS of linux/sock_diag.h
_WORDS = 16


class Drops:
    """Counts what the socket under a python-can bus has lost; 0 for ever where there is none, or it loses nothing.

    A TCP connection loses no frame, whatever the kernel counts of its segments.

    Args:
        bus: the bus, open.
    """

    def __init__(self, bus: can.BusABC) -> None:
        self._socket = _socket_under(bus)
        self._last = 0

    @property
    def count(self) -> int:
        """Frames that came since it was opened and were dropped, as nobody had read those before them."""
        if self._socket is not None:
            told = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * _WORDS)
            numbers = struct.unpack(f"={len(told) // 4}I", told[: len(told) // 4 * 4])
            self._last = numbers[_DROPS] if len(numbers) > _DROPS else 0
        return self._last

    def close(self) -> None:
        """Read it for the last time; harmless when done before."""
        if self._socket is not None:
            self._last = self.count
            self._socket.close()
            self._socket = None


def _socket_under(bus: can.BusABC) -> socket.socket | None:
    """A second descriptor of the socket that an interface reads; None where it reads something else."""
    try:
        number = bus.fileno()
        if number < 0 or not stat.S_ISSOCK(os.fstat(number).st_mode):
            return None
        found = socket.socket(fileno=os.dup(number))
    except (NotImplementedError, OSError):
        return None
    if found.type == socket.SOCK_STREAM:
        found.close()
        return None
    try:
        found.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * _WORDS)
    except OSError:  # older than Linux 4.12, or not Linux
        found.close()
        return None
    return found
