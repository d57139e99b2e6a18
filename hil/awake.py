"""A moment of looking before sleep: an exchange is shorter than the time a sleeping core takes to wake.

Two programs that take turns would each sleep and be woken once in every exchange.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

from hil.clock import Stopwatch

if TYPE_CHECKING:
    import socket

_LOOK_S = 200e-6


class Awake:
    """Looks at connections for a moment, and lets others have the core meanwhile.

    Args:
        watched: connected sockets, or file descriptors.
    """

    def __init__(self, *watched: socket.socket | int) -> None:
        self._poll = select.poll()
        for one in watched:
            self._poll.register(one, select.POLLIN)

    def look(self, within_s: float = _LOOK_S) -> list[int]:
        """Come back when there is something to receive, or when the moment is over; never sleeps.

        Args:
            within_s: the moment [s].

        Returns:
            The file descriptors that are readable, or have ended.
        """
        watch = Stopwatch()
        while not (ready := self._poll.poll(0)) and watch.elapsed_s < within_s:
            os.sched_yield()
        return [descriptor for descriptor, _ in ready]

    def wait(self, within_s: float) -> list[int]:
        """Look for a moment, then sleep until there is something to receive.

        Args:
            within_s: how long at most [s].

        Returns:
            The file descriptors that are readable, or have ended; none when the time is over.
        """
        ready = self.look(min(within_s, _LOOK_S))
        left_s = within_s - _LOOK_S
        if ready or left_s <= 0.0:
            return ready
        return [descriptor for descriptor, _ in self._poll.poll(left_s * 1000.0)]
