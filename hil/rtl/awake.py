"""A moment of looking before sleep: an exchange is shorter than the time a sleeping core takes to wake.

Host and peer take turns, so that each of them would sleep and be woken once in every exchange.
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
    """Looks at a socket for a moment, and lets others have the core meanwhile.

    Args:
        link: the connected socket.
    """

    def __init__(self, link: socket.socket) -> None:
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)

    def look(self) -> None:
        """Come back when there is something to receive, or when the moment is over."""
        watch = Stopwatch()
        while not self._poll.poll(0) and watch.elapsed_s < _LOOK_S:
            os.sched_yield()
