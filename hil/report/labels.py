"""Labels of marks above a plot: in rows, so that none lies on another.

The script of the page (templates/flight.js) lays them out by the same rules when a reader zooms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LANES = 5
"""Rows of labels above a plot; where a crowd of marks needs more, they show their numbers."""

_LETTER = 5.9  # px of one letter, generous for the font that is used
_ROOM = 8.0  # px beside a text
_NARROWEST = 7.0  # px between two marks that show their number; closer ones share a label


@dataclass(frozen=True, slots=True)
class Label:
    """A label of one mark, or of some.

    Args:
        x: where its mark is [px].
        text: what it says.
        marks: which marks it is of, from 0.
        lane: its row, 0 next to the plot.
        left: whether it stands to the left of its mark.
        begin: its left end [px].
        end: its right end [px].
    """

    x: float
    text: str
    marks: tuple[int, ...]
    lane: int
    left: bool
    begin: float
    end: float

    def touches(self, begin: float, end: float) -> bool:
        """Whether something from here to there [px] would lie on it in its row."""
        return begin < self.end and end > self.begin


def lay(marks: Sequence[tuple[float, str]], width: float) -> list[Label]:
    """Lay labels out.

    From the right to the left, each goes above all it would touch, so that no mark crosses a label. Where that takes
    too many rows, labels of that crowd become numbers, the closest first; numbers too close to each other share a
    label, and a number takes any free row.

    Args:
        marks: where each mark is [px], in order, and what it says.
        width: right edge [px]; a label that would cross it stands to the left of its mark.
    """
    room = [
        min((abs(x - other) for other, _ in (*marks[max(0, k - 1) : k], *marks[k + 1 : k + 2])), default=0.0)
        for k, (x, _) in enumerate(marks)
    ]
    numbered: set[int] = set()
    while True:
        labels = _rows(_texts(marks, numbered), numbered, width)
        crowd = {k for label in _crowd(labels) for k in label.marks} - numbered
        if not crowd:
            return labels
        numbered.add(min(crowd, key=lambda k: (room[k], k)))


def _crowd(labels: Sequence[Label]) -> list[Label]:
    """The labels that there is no row for, with all that touch them, and all that touch those."""
    found = [label for label in labels if label.lane >= LANES]
    for label in found:  # it grows on the way
        found += [each for each in labels if each not in found and each.touches(label.begin, label.end)]
    return found


def _texts(marks: Sequence[tuple[float, str]], numbered: Collection[int]) -> list[tuple[float, str, tuple[int, ...]]]:
    """What stands at each label: where, its text, and which marks."""
    found: list[tuple[float, str, tuple[int, ...]]] = []
    for k, (x, text) in enumerate(marks):
        last = found[-1] if found else None
        if k not in numbered:
            found.append((x, text, (k,)))
        elif last is not None and k - 1 in numbered and x - last[0] < _NARROWEST:
            found[-1] = (last[0], f"{last[2][0] + 1}–{k + 1}", (*last[2], k))
        else:
            found.append((x, str(k + 1), (k,)))
    return found


def _rows(texts: Sequence[tuple[float, str, tuple[int, ...]]], numbered: Collection[int], width: float) -> list[Label]:
    labels: list[Label] = []
    for x, text, marks in reversed(texts):
        wide = _LETTER * len(text) + _ROOM
        left = x + wide > width
        begin, end = (x - wide, x) if left else (x, x + wide)
        below = {label.lane for label in labels if label.touches(begin, end)}
        lane = max(below, default=-1) + 1
        if lane >= LANES and marks[0] in numbered:
            lane = min(set(range(lane + 1)) - below)
        labels.append(Label(round(x, 1), text, marks, lane, left, begin, end))
    return labels[::-1]
