"""Axes and labels of a picture: round ticks, and marks whose labels never lie on each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LANES = 5
"""Rows of labels above a plot; where a crowd of marks needs more, they show their numbers."""

_LETTER = 5.9  # px of one letter, generous for the font that is used
_NARROWEST = 7.0  # px between two marks that show their number; closer ones share a label


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick: where it is [px], and its number."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a mark.

    Args:
        x: where its mark is [px].
        text: what it says.
        lane: its row, 0 next to the plot.
        left: whether it stands to the left of its mark.
        crowded: whether it touches a label that there is no row for.
    """

    x: float
    text: str
    lane: int
    left: bool
    crowded: bool = False


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


def lay(marks: Sequence[tuple[float, str]], width: float) -> list[Label]:
    """Lay labels out in rows above a plot so that none lies on another.

    From the right to the left, each goes above all it would touch; so hardly a mark crosses a label. Where that takes
    too many rows, the labels there become numbers, and numbers too close to each other share a label. The script of
    the page does the same when a reader zooms.

    Args:
        marks: where each mark is [px], in order, and what it says.
        width: right edge [px]; a label that would cross it stands to the left of its mark.
    """
    numbered: set[int] = set()
    while True:
        groups = _groups(marks, numbered)
        labels = _rows([(x, text) for x, text, _ in groups], width)
        crowd = {k for (_, _, members), label in zip(groups, labels, strict=True) if label.crowded for k in members}
        if crowd <= numbered:
            return labels
        numbered |= crowd


def _groups(marks: Sequence[tuple[float, str]], numbered: set[int]) -> list[tuple[float, str, list[int]]]:
    """What stands at each label: where, its text, and which marks."""
    groups: list[tuple[float, str, list[int]]] = []
    for k, (x, text) in enumerate(marks):
        last = groups[-1] if groups else None
        if k not in numbered:
            groups.append((x, text, [k]))
        elif last is not None and last[2][-1] in numbered and x - last[0] < _NARROWEST:
            groups[-1] = (last[0], f"{last[2][0] + 1}–{k + 1}", [*last[2], k])
        else:
            groups.append((x, str(k + 1), [k]))
    return groups


def _rows(marks: Sequence[tuple[float, str]], width: float) -> list[Label]:
    taken: list[tuple[float, float, int]] = []
    labels: list[Label] = []
    for x, text in reversed(marks):
        wide = _LETTER * len(text) + 8.0
        left = x + wide > width
        begin, end = (x - wide, x) if left else (x, x + wide)
        lane = max((1 + row for a, b, row in taken if a < end and b > begin), default=0)
        taken.append((begin, end, lane))
        labels.append(Label(round(x, 1), text, lane, left))
    high = [(begin, end) for begin, end, lane in taken if lane >= LANES]
    return [
        replace(label, crowded=any(begin < b and end > a for a, b in high))
        for label, (begin, end, _) in zip(reversed(labels), reversed(taken), strict=True)
    ]


def _short(value: float, step: float) -> str:
    """A tick's number: as many decimals as its step needs."""
    if not 1e-4 <= step < 1e6:  # beyond it a power of ten is shorter
        return f"{value:.3g}"
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
