"""A serial port that is a pseudo-terminal: a client opens one end by its path, a program holds the other."""

from __future__ import annotations

import os
import tty
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


DEPTH = 1 << 14
"""Bytes that wait for a client at most, beside what the pseudo-terminal itself holds: some 700 frames."""


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
    owed: bytes = b""
    """Answers to frames that its client has sent; they go with what is said next, as nobody waits for them."""
    awaited: bool = False
    """Whether its hub is told when it takes bytes again."""

    def give(self, lines: Sequence[bytes]) -> int:
        """Hand lines to the client, as many as it has room for, the first ones; how many."""
        fits = len(self.unsent) + len(self.owed) <= DEPTH
        said, self.owed = self.unsent + self.owed if fits else self.unsent, b""
        room = DEPTH - len(said)
        count = 0
        for line in lines:
            room -= len(line)
            if room < 0:
                break
            count += 1
        self.unsent = said + b"".join(lines[:count])
        self.push()
        return count

    def push(self) -> bool:
        """Write what is left; whether nothing is left."""
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
