"""Curves as a page holds them: the least and the greatest value of every short span of time, as one SVG path.

The path is what is printed, and what the script on the page reads back to draw it again when a reader zooms in: the
numbers stand in a report once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

STEPS = 50_000
"""A curve's own range is this many steps: a number on the page is good to five digits of its range."""

SLOTS = 8
"""Instants within one span that a point's time is rounded to."""

_LARGEST = 1e300  # beyond it a sum overflows: not finite
_PERIODS = 20  # a line breaks where this many usual periods of a channel have no sample


@dataclass(frozen=True, slots=True)
class Grid:
    """Equal spans of time on which curves are thinned; a curve has two points in each at most.

    Args:
        from_s: where time begins [s].
        to_s: where it ends [s].
        spans: number of spans.
    """

    from_s: float
    to_s: float
    spans: int

    @property
    def span_s(self) -> float:
        """Length of a span [s]."""
        return (self.to_s - self.from_s) / self.spans

    @property
    def slots(self) -> int:
        """Number of slots: instants at which a point can stand."""
        return SLOTS * self.spans

    def place(self, times_s: Numbers) -> Numbers:
        """Times as places on the grid, counted in spans."""
        return (times_s - self.from_s) / self.span_s


@dataclass(frozen=True, slots=True)
class Trace:
    """One thinned curve.

    Args:
        d: its path; x counts slots, y counts steps from ``low``.
        low: its least value.
        high: its greatest value.
        samples: how many samples of it lie on the grid.
        lost: how many of them are not finite.
    """

    d: str
    low: float
    high: float
    samples: int
    lost: int


def trace(times_s: Numbers, values: Numbers, grid: Grid, *, step: bool = False) -> Trace | None:
    """Thin a curve to at most two points a span: its least and greatest value there, in their order.

    The line breaks where a whole span has samples and none of them is finite, and where samples are missing for long.

    Args:
        times_s: times of the samples [s], not decreasing.
        values: the samples.
        grid: what to thin to.
        step: whether a value holds until the next sample.

    Returns:
        The curve; None when no finite sample lies on the grid.
    """
    inside = (times_s >= grid.from_s) & (times_s <= grid.to_s)
    times, numbers = times_s[inside], values[inside]
    finite = np.abs(numbers) < _LARGEST
    samples, lost = len(numbers), int(len(numbers) - finite.sum())
    if not finite.any():
        return None
    spans = np.minimum(grid.place(times).astype(np.int64), grid.spans - 1)
    bad = np.setdiff1d(spans[~finite], spans[finite])
    times, numbers, spans = times[finite], numbers[finite], spans[finite]
    used, first, counts = np.unique(spans, return_index=True, return_counts=True)
    low, high = np.minimum.reduceat(numbers, first), np.maximum.reduceat(numbers, first)
    at_low = _first(spans, numbers == np.repeat(low, counts))
    at_high = _first(spans, numbers == np.repeat(high, counts))
    one, two = np.minimum(at_low, at_high), np.maximum(at_low, at_high)
    least, greatest = float(low.min()), float(high.max())
    vertices = _Vertices(step=step)
    breaks = _breaks(times, first, used, bad, 0.0 if step else 2.0 * grid.span_s)
    x_one, x_two = _slots(grid.place(times[one]) - used, grid.place(times[two]) - used, lone=one == two)
    y_one, y_two = _steps(numbers[one], least, greatest), _steps(numbers[two], least, greatest)
    for k in range(len(used)):
        slot = SLOTS * int(used[k])
        vertices.add(slot + x_one[k], y_one[k], after_gap=breaks[k])
        if one[k] != two[k]:
            vertices.add(slot + x_two[k], y_two[k])
    return Trace(vertices.path(), least, greatest, samples, lost)


def positions(times_s: Numbers, values: Numbers, grid: Grid) -> Numbers:
    """The last finite value of every span: float64[spans]; a span without one holds what came before it.

    Spans before the first sample hold NaN. For paths over ground, where east and north must be of one instant.
    """
    inside = (times_s >= grid.from_s) & (times_s <= grid.to_s) & (np.abs(values) < _LARGEST)
    found = np.full(grid.spans, np.nan)
    spans = np.minimum(grid.place(times_s[inside]).astype(np.int64), grid.spans - 1)
    found[spans] = values[inside]  # of several the last one stays
    known = np.where(np.isnan(found), -1, np.arange(grid.spans))
    last = np.maximum.accumulate(known)
    return np.where(last < 0, np.nan, found[np.maximum(last, 0)])


def path(points: Sequence[tuple[int, int] | None]) -> str:
    """Points as an SVG path in whole numbers; None breaks the line.

    >>> path([(0, 5), (1, 7), (3, 4), None, (9, 9)])
    'M0 5l1 2 2-3M9 9l0 0'
    """
    texts: list[str] = []
    before: tuple[int, int] | None = None
    alone = False
    for point in points:
        if point is None:
            texts += ["l0 0"] if alone else []
            alone = False
        elif before is None:
            texts.append(f"M{point[0]}{_signed(point[1])}")
            alone = True
        else:
            lead = "l" if alone else ("" if point[0] < before[0] else " ")
            texts.append(f"{lead}{point[0] - before[0]}{_signed(point[1] - before[1])}")
            alone = False
        before = point
    return "".join(texts) + ("l0 0" if alone else "")


class _Vertices:
    """The corners of one curve; those within a level run are left out, since the line is the same without them."""

    def __init__(self, *, step: bool) -> None:
        self._points: list[tuple[int, int] | None] = []
        self._step = step

    def add(self, slot: int, steps: int, *, after_gap: bool = False) -> None:
        """Append a point."""
        points = self._points
        before = points[-1] if points else None
        if after_gap and before is not None:
            points.append(None)
        elif self._step and before is not None and before[1] != steps:
            self._push((slot, before[1]))
        self._push((slot, steps))

    def path(self) -> str:
        """All of them."""
        return path(self._points)

    def _push(self, point: tuple[int, int]) -> None:
        points = self._points
        if len(points) > 1:
            last, one_before = points[-1], points[-2]
            if last is not None and one_before is not None and one_before[1] == last[1] == point[1]:
                points.pop()
        points.append(point)


def _first(spans: NDArray[np.int64], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Index of the first chosen sample of every span."""
    indices = np.flatnonzero(chosen)
    return indices[np.unique(spans[indices], return_index=True)[1]]


def _breaks(
    times: Numbers, first: NDArray[np.int64], used: NDArray[np.int64], bad: NDArray[np.int64], longest_s: float
) -> list[bool]:
    """For every used span whether the line breaks before it; ``longest_s`` = 0: not for want of samples."""
    between = times[1:] - times[:-1]
    usual = float(np.median(between)) if len(between) else 0.0
    breaks = np.diff(np.searchsorted(bad, used)) > 0
    if longest_s > 0.0:
        breaks |= between[first[1:] - 1] > max(longest_s, _PERIODS * usual)
    return [False, *breaks.tolist()]


def _slots(early: Numbers, late: Numbers, *, lone: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Slots of the two points of a span, from their places in it (0 to 1); never the same one."""
    one = np.minimum((early * SLOTS).astype(np.int64), SLOTS - 1)
    two = np.minimum((late * SLOTS).astype(np.int64), SLOTS - 1)
    one = np.where(lone, one, np.minimum(one, SLOTS - 2))
    return one.tolist(), np.maximum(two, one + 1).tolist()


def _steps(values: Numbers, low: float, high: float) -> list[int]:
    span = high - low
    if not span > 0.0:
        return [0] * len(values)
    steps = np.rint((values - low) / span * STEPS).astype(np.int64)
    return steps.tolist()


def _signed(number: int) -> str:
    """A number after another one: a minus parts them, else a space."""
    return str(number) if number < 0 else f" {number}"
