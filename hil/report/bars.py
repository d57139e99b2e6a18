"""The margin bar of a measurement: its value against limits, guard band and family, as coordinates of a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.evidence.records import Measured

WIDTH = 132
"""Width of the picture [px]."""

_EDGE = 4  # px kept free at both ends, for the marks of values beyond the scale
_BEYOND = 0.25  # part of the allowed range that is drawn on the far side of a limit


@dataclass(frozen=True, slots=True)
class Bar:
    """Coordinates [px] as text with one decimal; a band is (left, width).

    Args:
        allowed: the band between the limits.
        guards: the guard bands inside of it.
        family: the family's band, or None.
        limits: where the limits are.
        value: where the value is.
        clipped: "<" or ">" when the value is beyond the scale, else "".
    """

    allowed: tuple[str, str]
    guards: tuple[tuple[str, str], ...]
    family: tuple[str, str] | None
    limits: tuple[str, ...]
    value: str
    clipped: str


def bar_of(measured: Measured) -> Bar | None:
    """The bar of a measurement; None where there is no number or no limit to draw."""
    value, low, high = measured.value, measured.low, measured.high
    if value is None or isinstance(value, bool | str) or (low is None and high is None):
        return None
    scale = _Scale(*_range(value, low, high, measured.guard))
    guards: list[tuple[str, str]] = []
    if low is not None and measured.guard:
        guards.append(scale.band(low, _least(low + measured.guard, high)))
    if high is not None and measured.guard:
        guards.append(scale.band(_most(high - measured.guard, low), high))
    family = None
    if measured.family_low is not None or measured.family_high is not None:
        family = scale.band(measured.family_low, measured.family_high)
    return Bar(
        allowed=scale.band(low, high),
        guards=tuple(guards),
        family=family,
        limits=tuple(scale.at(limit) for limit in (low, high) if limit is not None),
        value=scale.at(value),
        clipped="<" if value < scale.left else (">" if value > scale.right else ""),
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """The numbers at the picture's ends."""

    left: float
    right: float

    def x(self, value: float) -> float:
        span = self.right - self.left
        if not 0.0 < span < math.inf:  # limits that floats cannot tell apart, or that they cannot span
            return WIDTH / 2
        part = min(1.0, max(0.0, (value - self.left) / span))
        return _EDGE + part * (WIDTH - 2 * _EDGE)

    def at(self, value: float) -> str:
        return f"{self.x(value):.1f}"

    def band(self, low: float | None, high: float | None) -> tuple[str, str]:
        left = 0.0 if low is None else self.x(low)
        right = float(WIDTH) if high is None else self.x(high)
        return f"{left:.1f}", f"{max(0.0, right - left):.1f}"


def _range(value: float, low: float | None, high: float | None, guard: float) -> tuple[float, float]:
    """The scale: the allowed range and a part beyond each limit; wide enough that guard bands can be seen."""
    if low is not None and high is not None:
        span = (high - low) or abs(value - low) or abs(low) or 1.0
        return low - _BEYOND * span, high + _BEYOND * span
    if high is not None:
        reach = _reach(high, high - value, guard)
        return high - reach, high + _BEYOND * reach
    bottom = 0.0 if low is None else low
    reach = _reach(-bottom, value - bottom, guard)
    return bottom - _BEYOND * reach, bottom + reach


def _reach(limit: float, margin: float, guard: float) -> float:
    """How far the scale goes to the allowed side of a single limit: to zero, if the value lies on the way there."""
    if limit > 0.0 and margin <= limit:
        return limit
    return max(1.5 * abs(margin), 4.0 * guard) or abs(limit) or 1.0


def _least(value: float, other: float | None) -> float:
    return value if other is None else min(value, other)


def _most(value: float, other: float | None) -> float:
    return value if other is None else max(value, other)
