"""Fault confinement: the error counters of a controller and what they make of it.

Source: Bosch CAN Specification 2.0 (1991), part B, section 8, rules 1 to 12; ISO 11898-1:2015, 12.1.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.can.phy.events import Standing

PASSIVE_FROM = 128
"""Error-passive from this count of either counter."""
BUS_OFF_FROM = 256
"""Bus-off from this transmit error count."""
_REC_MAX = 255
_REC_AFTER_PASSIVE = 120  # the standard allows 119 to 127


class Counters:
    """Transmit and receive error counter."""

    def __init__(self) -> None:
        self.tec = 0
        """Transmit error counter."""
        self.rec = 0
        """Receive error counter."""

    @property
    def passive(self) -> bool:
        """Whether error flags are recessive."""
        return self.tec >= PASSIVE_FROM or self.rec >= PASSIVE_FROM

    @property
    def suspends(self) -> bool:
        """Whether eight bits pass after a frame of its own before the next."""
        return self.passive

    @property
    def standing(self) -> Standing:
        """What they make of the controller."""
        if self.tec >= BUS_OFF_FROM:
            return "bus-off"
        return "error-passive" if self.passive else "error-active"

    def blame(self, count: int, *, sending: bool) -> None:
        """Count an error of the controller as transmitter or as receiver."""
        if sending:
            self.tec += count
        else:
            self.rec = min(self.rec + count, _REC_MAX)

    def sent_well(self) -> None:
        """A frame was sent and acknowledged."""
        if self.tec:
            self.tec -= 1

    def heard_well(self) -> None:
        """A frame of another controller was received."""
        if self.rec:
            self.rec = self.rec - 1 if self.rec < PASSIVE_FROM else _REC_AFTER_PASSIVE

    def clear(self) -> None:
        """Back to zero: power-up, or the end of bus-off."""
        self.tec = self.rec = 0


class Uncounted(Counters):
    """For a controller that stands for several: somebody else counts, and says whether flags are passive."""

    def __init__(self) -> None:
        super().__init__()
        self.all_passive = False
        """Whether error flags are recessive."""

    @property
    def passive(self) -> bool:
        """Whether error flags are recessive."""
        return self.all_passive

    @property
    def suspends(self) -> bool:
        """Never: whoever counts decides when a frame starts."""
        return False

    def blame(self, count: int, *, sending: bool) -> None:
        """Count nothing."""

    def sent_well(self) -> None:
        """Count nothing."""

    def heard_well(self) -> None:
        """Count nothing."""
