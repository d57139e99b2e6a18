"""How late a clock is on this machine when it works half of the time, as one does that runs a simulation.

A clock that only waits does not see that a machine works slowly for some milliseconds: a virtual machine whose host has
other things to do, caches and processors that are shared. What such a program is late by, with no part of a rig in it,
no rig on this machine can be without; no scheduling class hinders it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.clock import WallClock, boot_ns
from hil.units import ms, s, us

if TYPE_CHECKING:
    from hil.lateness import Lateness

_PERIOD_NS = 1 * ms
_OBJECTS = 100_000  # some ten megabytes, as a simulated world has
_STRIDE = 7_919  # from one to the next that is used, so that they are no neighbours
_TRIALS = 20


class _Work:
    """So many additions on objects that lie here and there."""

    def __init__(self) -> None:
        self._objects = [[number] for number in range(_OBJECTS)]
        self._next = 0
        self.count = 1_000

    def __call__(self) -> None:
        objects, at = self._objects, self._next
        for _ in range(self.count):
            at = (at + _STRIDE) % _OBJECTS
            objects[at][0] += 1
        self._next = at

    def fit(self, to_ns: int) -> None:
        """Find the count that takes so long [ns]."""
        took_ns: list[float] = []
        for _ in range(_TRIALS):
            began_ns = boot_ns()
            self()
            took_ns.append((boot_ns() - began_ns) / self.count)
        self.count = max(1, round(to_ns / sorted(took_ns)[_TRIALS // 2]))


def lateness_at_half_load(seconds: float, allowed_ns: int) -> Lateness:
    """Have a tick each millisecond that computes for half of it, in the scheduling class of the calling thread.

    Args:
        seconds: for how long [s].
        allowed_ns: lateness [ns] up to which a tick counts as on time.
    """
    work = _Work()
    work.fit(500 * us)
    clock = WallClock(max_lateness_ns=allowed_ns)
    clock.every(_PERIOD_NS, work)
    clock.settle()
    clock.sleep(round(seconds * s))
    return clock.lateness
