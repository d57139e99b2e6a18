"""Receive stamps of a real bus, converted to rig time: whose they are, and how uncertain the conversion is.

The kernel stamps a frame with the host's real-time clock. The age of the frame is the difference to that clock when
the frame is read, and its rig time is the rig time of the reading less that age: both clocks are read together for
every frame, so that a real-time clock that is set while a run goes on spoils no later stamp.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from hil.units import s

if TYPE_CHECKING:
    from hil.clock import Arrival

_AGE_MAX_NS = 1 * s  # of wall time; what claims to be older was stamped by a clock that has been set since
_FLOAT_NS = 120  # python-can gives seconds since 1970 as a float: half its resolution, rounded up


class StampSource(Enum):
    """Whose clock stamps a received frame."""

    KERNEL = "kernel"
    """The kernel's, in the interrupt that took the frame."""
    SOFTWARE = "software"
    """The host's real-time clock, when a program took the frame."""
    ARRIVAL = "arrival"
    """The rig clock, when the frame was read; for interfaces whose epoch is their own."""


SOURCES = {
    "socketcan": StampSource.KERNEL,
    "udp_multicast": StampSource.KERNEL,
    "virtual": StampSource.SOFTWARE,
    "slcan": StampSource.SOFTWARE,
}
"""By the name of the python-can interface; all others give stamps of an epoch that is not known."""


class Stamper:
    """Gives received frames their rig time.

    Args:
        source: whose stamps they carry.
        factor: rig seconds per wall second.
        coarse_ns: how much earlier than true they may be, where they were cut on their way [ns].
    """

    def __init__(self, source: StampSource, factor: float = 1.0, *, coarse_ns: int = 0) -> None:
        self.source = source
        self.refused = 0
        """Stamps that could not be: of the future, or more than a second old. Those frames have their arrival."""
        self.uncertainty_ns: int | None = None
        """The worst uncertainty of a conversion so far [ns], not counting the stamping itself; None before any."""
        self._factor = factor
        self._coarse_ns = coarse_ns

    def rig_ns(self, timestamp_s: float, arrival: Arrival) -> int:
        """The rig time [ns] of a frame.

        Args:
            timestamp_s: its stamp [s since 1970], as python-can gives it.
            arrival: when it was read.
        """
        if self.source is StampSource.ARRIVAL:
            return arrival.rig_ns
        uncertainty_ns = arrival.uncertainty_ns + _FLOAT_NS + self._coarse_ns
        age_ns = arrival.unix_ns - _whole_ns(timestamp_s)
        if not -uncertainty_ns <= age_ns <= _AGE_MAX_NS:
            self.refused += 1
            return arrival.rig_ns
        self.uncertainty_ns = max(self.uncertainty_ns or 0, uncertainty_ns)
        return arrival.rig_ns - int(max(0, age_ns) * self._factor)


def _whole_ns(timestamp_s: float) -> int:
    """Seconds in ns, with no more rounding than the float has already."""
    whole = int(timestamp_s)
    return whole * s + round((timestamp_s - whole) * s)
