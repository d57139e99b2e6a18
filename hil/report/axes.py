"""Axes of a picture: where a value is, and round ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick: where it is [px], and its number."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis: its ends in the quantity, and in the picture [px].

    Args:
        low: the quantity at ``start``.
        high: the quantity at ``end``.
        start: px.
        end: px.
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value is [px]."""
        return self.start + self.slope * (value - self.low)

    @property
    def slope(self) -> float:
        """Pixels of one unit."""
        return (self.end - self.start) / (self.high - self.low)

    def ticks(self, about: int) -> list[Tick]:
        """Round numbers within the axis, about as many as wanted."""
        step = nice((self.high - self.low) / about)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [Tick(f"{self.at(k * step):.1f}", _short(k * step, step)) for k in range(first, last + 1)]


def nice(step: float) -> float:
    """The next round number: 1, 2 or 5 times a power of ten.

    >>> nice(0.3), nice(7.0), nice(20.0)
    (0.5, 10.0, 20.0)
    """
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= step * (1.0 - 1e-9))


def around(low: float, high: float, part: float = 0.05) -> tuple[float, float]:
    """The ends of an axis that shows these values with some room."""
    room = (high - low) * part or 0.5 * abs(high) or 1.0
    return low - room, high + room


def _short(value: float, step: float) -> str:
    """A tick's number: as many decimals as its step needs."""
    if not 1e-4 <= step < 1e6:  # beyond it a power of ten is shorter
        return f"{value:.3g}"
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
