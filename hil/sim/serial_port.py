"""A serial port that is a pseudo-terminal: a client opens one end by its path, a program holds the other."""

from __future__ import annotations

import os
import tty
from contextlib import suppress
from dataclasses import dataclass


@dataclass
class Port:
    """One port of a hub, and what it has carried."""

    path: str
    """The serial port for a client."""
    master: int
    slave: int
    rate: bytes = b"S6"
    is_open: bool = False
    listens_only: bool = False
    sent: int = 0
    """Frames its client sent."""
    received: int = 0
    """Frames handed to its client."""
    lost: int = 0
    """Frames its client did not read in time."""
    refused: int = 0
    """Commands that were answered by BEL."""
    partial: bytes = b""
    unsent: bytes = b""

    def give(self, line: bytes) -> bool:
        """Hand a line to the client; False when the lines before it were not read yet."""
        if self.push():
            self.unsent = line
            self.push()
            return True
        return False

    def push(self) -> bool:
        """Write what is left of the last line; whether nothing is left."""
        if self.unsent:
            with suppress(BlockingIOError):
                self.unsent = self.unsent[os.write(self.master, self.unsent) :]
        return not self.unsent


def open_port() -> Port:
    """A pseudo-terminal without echo or line editing; its other end is kept open, so that a client may come and go."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    return Port(os.ttyname(slave), master, slave)
