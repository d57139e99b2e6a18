"""How late a wall clock's ticks ran: counted in fixed bins, and kept with their time where they were too late.

A tick that was due at *d* and ran at *r* left the world behind in all of [d, r]; a measurement whose window meets that
span cannot be trusted. Memory is bounded: when many ticks were late the oldest spans are joined in pairs, so that an
old window may be doubted without need, and none is trusted wrongly.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import NamedTuple

from hil.units import format_duration, format_time, ms

_PARTS = 16  # bins an octave: a bin is at most 1/16 wide
_PARTS_BITS = 5  # bits of a number that choose its bin
_WORST_NS = (1 << 42) - 1  # 73 minutes; what is later shares the last bin
_SPANS_MAX = 4_096


class Histogram:
    """Durations [ns] counted in logarithmic bins that are at most 6.3 % wide; adding one takes constant time."""

    def __init__(self) -> None:
        self.count = 0
        self.worst_ns = 0
        self._bins = [0] * (_bin_of(_WORST_NS) + 1)

    def add(self, duration_ns: int) -> None:
        """Count one duration [ns]; one below zero counts as zero."""
        if duration_ns > self.worst_ns:
            self.worst_ns = duration_ns
        self.count += 1
        self._bins[_bin_of(min(max(0, duration_ns), _WORST_NS))] += 1

    def quantile(self, fraction: float) -> int:
        """The duration [ns] that this fraction (0 to 1) of all stayed within; the upper edge of its bin, 0 of none."""
        wanted = math.ceil(fraction * self.count)
        seen = 0
        for number, count in enumerate(self._bins):
            seen += count
            if count and seen >= wanted:
                return min(_upper_edge(number), self.worst_ns)
        return self.worst_ns


@dataclass(frozen=True, slots=True)
class Summary:
    """Lateness of all ticks so far; durations in rig time [ns], quantiles rounded up by at most 6.3 %."""

    ticks: int
    p50_ns: int
    p99_ns: int
    p999_ns: int
    worst_ns: int
    allowed_ns: int
    late: int
    """Ticks later than allowed."""
    late_in_a_row: int
    """The longest row of them."""

    def __str__(self) -> str:
        """In one line for people."""
        p50, p99, p999, worst, allowed = map(
            _short, (self.p50_ns, self.p99_ns, self.p999_ns, self.worst_ns, self.allowed_ns)
        )
        return (
            f"{self.ticks} ticks, late by p50 {p50}, p99 {p99}, p99.9 {p999}, max {worst}; "
            f"{self.late} beyond {allowed}, at most {self.late_in_a_row} in a row"
        )


class LateSpan(NamedTuple):
    """A stretch of rig time in which a clock was behind."""

    due_ns: int
    """When the first tick was due that was late [ns]."""
    ran_ns: int
    """When the last of them ran [ns]."""
    late_ns: int
    """The worst lateness of them [ns]."""
    allowed_ns: int
    """What was allowed [ns]."""


class Lateness:
    """What became of the ticks of one clock. Written on the clock's thread alone, read from any.

    Args:
        allowed_ns: lateness [ns] up to which a tick counts as on time.
        late_max: late ticks a test may have; None for any number.
        late_in_a_row_max: late ticks in a row a test may have; None for any number.
    """

    def __init__(
        self, allowed_ns: int = 1 * ms, *, late_max: int | None = None, late_in_a_row_max: int | None = None
    ) -> None:
        self.allowed_ns = allowed_ns
        self.late_max = late_max
        self.late_in_a_row_max = late_in_a_row_max
        self.restart()

    def restart(self) -> None:
        """Forget every tick so far: the rig has just been opened, or a declared hold has ended."""
        self.ticks = Histogram()
        self.inputs = Histogram()
        """How long input from outside waited for the clock's thread; its time stamp is that of its arrival."""
        self.late = 0
        self.late_in_a_row = 0
        self._row = 0
        self._spans: list[tuple[int, int, int, int]] = []
        """When a tick ran, when it was due, its lateness, what was allowed; all [ns], in the order they ran."""

    def tick(self, due_ns: int, late_ns: int) -> None:
        """A tick due at a rig time [ns] runs, this much later [ns]."""
        self.ticks.add(late_ns)
        if late_ns <= self.allowed_ns:
            self._row = 0
            return
        self.late += 1
        self._row += 1
        self.late_in_a_row = max(self.late_in_a_row, self._row)
        self._put(LateSpan(due_ns, due_ns + late_ns, late_ns, self.allowed_ns))

    def told(self, span: LateSpan) -> None:
        """The clock of another program of the rig was late: one late tick of this one, in no row.

        Its ticks in time are not told, and what was late at once is one span.
        """
        self.ticks.add(span.late_ns)
        self.late += 1
        self._put(span)

    # -- reading ------------------------------------------------------------------------------------------

    def spans_since(self, time_ns: int) -> list[LateSpan]:
        """In how far the clock was behind since a rig time [ns]: ticks that were late at once, together."""
        found: list[LateSpan] = []
        first = bisect_left(self._spans, time_ns, key=lambda span: span[0])
        for ran_ns, due_ns, late_ns, allowed_ns in self._spans[first:]:
            last = found[-1] if found else None
            if last is not None and due_ns <= last.ran_ns:
                worst_ns, least_ns = max(late_ns, last.late_ns), min(allowed_ns, last.allowed_ns)
                found[-1] = LateSpan(min(due_ns, last.due_ns), ran_ns, worst_ns, least_ns)
            else:
                found.append(LateSpan(due_ns, ran_ns, late_ns, allowed_ns))
        return found

    @property
    def late_ticks(self) -> list[tuple[int, int]]:
        """(due, lateness) [ns, ns] of the late ticks, in the order they ran; long ago several make one."""
        return [(due_ns, late_ns) for _, due_ns, late_ns, _ in self._spans]

    def worst_in(self, begin_ns: int, end_ns: int) -> int:
        """The worst lateness [ns] beyond the allowed one that meets a window of rig time [ns]; 0 when none does."""
        found = self._worst_in(begin_ns, end_ns)
        return 0 if found is None else found.late_ns

    def doubt(self, begin_ns: int, end_ns: int) -> str:
        """Why what was observed in a window of rig time [ns] cannot be trusted; empty when it can."""
        found = self._worst_in(begin_ns, end_ns)
        if found is None:
            return ""
        return (
            f"the clock was {format_duration(found.late_ns)} late, beyond the rig's max_lateness of "
            f"{format_duration(found.allowed_ns)}, with what was due at {format_time(found.due_ns)}; "
            "that meets the window "
            f"{format_time(begin_ns)} to {format_time(end_ns)}"
        )

    def summary(self) -> Summary:
        """Quantiles and counts so far."""
        ticks = self.ticks
        return Summary(
            ticks=ticks.count,
            p50_ns=ticks.quantile(0.5),
            p99_ns=ticks.quantile(0.99),
            p999_ns=ticks.quantile(0.999),
            worst_ns=ticks.worst_ns,
            allowed_ns=self.allowed_ns,
            late=self.late,
            late_in_a_row=self.late_in_a_row,
        )

    def beyond_limit(self) -> str:
        """Why all that ran on this clock is inconclusive: more late ticks than it may have, or in a row; else empty."""
        over: list[str] = []
        if self.late_max is not None and self.late > self.late_max:
            over.append(f"{self.late} late ticks, a test may have {self.late_max}")
        if self.late_in_a_row_max is not None and self.late_in_a_row > self.late_in_a_row_max:
            over.append(f"{self.late_in_a_row} late ticks in a row, a test may have {self.late_in_a_row_max}")
        return f"the clock could not keep its pace: {' and '.join(over)} ({self.summary()})" if over else ""

    def _put(self, span: LateSpan) -> None:
        """Keep a span; one of another program may have run before the last of this one."""
        insort(self._spans, (span.ran_ns, span.due_ns, span.late_ns, span.allowed_ns))
        if len(self._spans) > _SPANS_MAX:
            self._spans = _joined(self._spans)

    def _worst_in(self, begin_ns: int, end_ns: int) -> LateSpan | None:
        """The worst late tick that meets a window."""
        spans = self._spans
        first = bisect_left(spans, begin_ns, key=lambda span: span[0])
        meeting = [
            LateSpan(due_ns, ran_ns, late_ns, allowed_ns)
            for ran_ns, due_ns, late_ns, allowed_ns in spans[first:]
            if due_ns <= end_ns
        ]
        return max(meeting, key=lambda span: span.late_ns, default=None)


def _joined(spans: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """The older half in pairs, each as one span that covers both."""
    half = len(spans) // 4 * 2
    pairs = zip(spans[0:half:2], spans[1:half:2], strict=True)
    joined = [(b[0], min(a[1], b[1]), max(a[2], b[2]), min(a[3], b[3])) for a, b in pairs]
    return joined + spans[half:]


def _bin_of(duration_ns: int) -> int:
    """The bin of a duration: its highest five bits and where they stand."""
    shift = duration_ns.bit_length() - _PARTS_BITS
    return duration_ns if shift <= 0 else shift * _PARTS + (duration_ns >> shift)


def _upper_edge(number: int) -> int:
    """The longest duration of a bin [ns]."""
    shift = number // _PARTS - 1
    return number if shift <= 0 else ((number % _PARTS + _PARTS + 1) << shift) - 1


def _short(duration_ns: int) -> str:
    """A duration in three digits."""
    if duration_ns < 1_000:
        return format_duration(duration_ns)
    keep = 10 ** (len(str(duration_ns)) - 3)
    return format_duration(round(duration_ns / keep) * keep)
