"""The clock of a card on a network, seen from the rig clock: offset and uncertainty from the best round trip.

A question leaves at rig time t0, the card reads its clock c, the answer is there at t1. Whatever the way there and
back took, the card read its clock somewhere between t0 and t1: rig time = c + offset within half the round trip,
with offset = (t0 + t1) / 2 - c. What a clock may drift since that question is added.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

DRIFT_PPM = 100
"""What a card's clock may drift against the rig's [1e-6]: a plain crystal at bench temperature; design value."""
_KEPT = 16  # round trips that are remembered


class _RoundTrip(NamedTuple):
    offset_ns: int
    half_ns: int
    at_ns: int


class CardClock:
    """Offset between a card's clock and the rig's.

    >>> clock = CardClock()
    >>> clock.learn(asked_ns=1_000, answered_ns=3_000, card_ns=500)
    >>> clock.rig_ns(500, now_ns=3_000), clock.uncertainty_ns(3_000)
    (2000, 1001)
    """

    def __init__(self) -> None:
        self._trips: deque[_RoundTrip] = deque(maxlen=_KEPT)

    def learn(self, *, asked_ns: int, answered_ns: int, card_ns: int) -> None:
        """Take one round trip: rig time of question and answer [ns], and what the card's clock said [ns]."""
        offset_ns = (asked_ns + answered_ns) // 2 - card_ns
        half_ns = (answered_ns - asked_ns + 1) // 2
        self._trips.append(_RoundTrip(offset_ns, half_ns, answered_ns))

    def rig_ns(self, card_ns: int, *, now_ns: int) -> int:
        """A stamp of the card's clock as rig time [ns]."""
        return card_ns + self._best(now_ns).offset_ns

    def uncertainty_ns(self, now_ns: int) -> int:
        """How far off a converted stamp may be now [ns]: half the best round trip, one count, and drift since."""
        return _uncertainty(self._best(now_ns), now_ns)

    def _best(self, now_ns: int) -> _RoundTrip:
        return min(self._trips, key=lambda trip: _uncertainty(trip, now_ns))


def _uncertainty(trip: _RoundTrip, now_ns: int) -> int:
    return trip.half_ns + 1 + max(0, now_ns - trip.at_ns) * DRIFT_PPM // 1_000_000
