"""A serial CAN adapter on a pseudo-terminal, behind the kernel's own slcan driver: it says what a test tells it to.

The kernel makes a CAN interface of it with states, counters and error frames of its own. Source: Linux 6.1,
drivers/net/can/slcan/slcan-core.c.
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import threading
import tty

_N_SLCAN = 17  # line discipline
_SIOCGIFNAME = 0x8910
_NAME_SIZE = 16


class SlcanAdapter:
    """Attaches itself to the kernel; reads in a thread of its own, as the driver waits for that."""

    def __init__(self) -> None:
        self.answer = b""
        """What it says whenever it is told to send a frame."""
        self._inner, self._outer = pty.openpty()
        for end in (self._inner, self._outer):
            tty.setraw(end)
        fcntl.ioctl(self._outer, termios.TIOCSETD, struct.pack("i", _N_SLCAN))
        named = fcntl.ioctl(self._outer, _SIOCGIFNAME, bytes(64))
        self.channel = named[:_NAME_SIZE].rstrip(b"\0").decode()
        """Name of the interface."""
        self.told: list[bytes] = []
        """Every command that the kernel gave."""
        self._reader = threading.Thread(target=self._read, name=self.channel, daemon=True)
        self._reader.start()

    def say(self, line: str) -> None:
        """Tell the kernel something: a frame, a state ``s``, an error ``e``."""
        os.write(self._inner, line.encode() + b"\r")

    def close(self) -> None:
        """Detach; the interface is gone then."""
        os.close(self._outer)
        self._reader.join()
        os.close(self._inner)

    def _read(self) -> None:
        pending = b""
        while True:
            try:
                pending += os.read(self._inner, 4096)
            except OSError:  # the other end is closed
                return
            *lines, pending = pending.split(b"\r")
            for line in lines:
                self.told.append(line)
                if self.answer and line[:1] in b"tTrR":
                    os.write(self._inner, self.answer)
