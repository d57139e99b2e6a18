"""Signals: named values with a unit and a time, and the grammar that waits on them.

    seen    -> bool      did it happen within the time?
    expect  -> Reading   it must happen; otherwise the failure says what was seen last and when
    stays   -> bool      it must hold all the time
    always  -> Monitor   it must hold in the background, whatever the test body does

Every stimulus moves the mark to its own start; ``seen`` and ``expect`` take the first sample *produced* after the
mark that satisfies the condition: a level, not an edge. Stale data cannot pass a test.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from hil.closed import nearest
from hil.errors import HilError
from hil.looks import Looks
from hil.units import format_duration, format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from hil.clock import Clock

HIGH = True
"""Logic level of a discrete pin above its threshold."""
LOW = False
"""Logic level of a discrete pin below its threshold."""

Value = TypeVar("Value", bool, float, str)
_ANYTHING = object()


class NotSeenError(AssertionError):
    """What ``expect`` raises: the awaited value did not come in time.

    Args:
        message: what was awaited, and what was seen last.
        check: the check record.
    """

    def __init__(self, message: str, check: Check | None = None) -> None:
        super().__init__(message)
        self.check = check


@dataclass(frozen=True, slots=True)
class Reading(Generic[Value]):
    """One observed value: the value, the rig time it was observed at [ns], its signal and unit."""

    value: Value
    at: int
    signal: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """The record of one ``expect``, ``stays`` or ``always``: what was asked, of which signal, and what came."""

    form: str
    signal: str
    condition: str
    passed: bool
    seen: str
    at_ns: int
    mark_ns: int


class Asked(Protocol):
    """What a record of a signal needs: its name, its unit, its samples."""

    name: str
    unit: str

    def samples(self) -> tuple[Sequence[int], Sequence[bool | float | str]]:
        """Production times [ns] and values, in order."""
        ...


class Timeline:
    """The test's mark, and the record of stimuli and checks.

    Args:
        clock: the rig clock.
        on_stimulus: told of every stimulus: what, detail.
        on_check: told of every check record.
    """

    def __init__(
        self,
        clock: Clock,
        on_stimulus: Callable[[str, object], None] | None = None,
        on_check: Callable[[Check], None] | None = None,
    ) -> None:
        self.clock = clock
        self.mark_ns = 0
        self.asked: dict[str, Asked] = {}
        """Every signal the test has asked about, by name."""
        self.looks = Looks()
        """The windows it looked at since its last measurement."""
        self.before_call: Callable[[], None] = _nothing
        """Called first by every call of the test that acts on the rig or waits on it; it may let rig time pass."""
        self.transport_ns = 0
        """The longest time [ns] from an observation until the test's program has it; 0 where that takes no time."""
        self._on_stimulus = on_stimulus
        self._on_check = on_check

    def stimulus(self, what: str, detail: object = None) -> None:
        """A call of the test is about to act on the rig: move the mark to now, what was seen before proves nothing."""
        self.before_call()
        self.happens(what, detail)

    def happens(self, what: str, detail: object = None) -> None:
        """As :meth:`stimulus`, for what acts by itself, as planned: no code of the test comes before it."""
        self.mark_ns = self.clock.now
        if self._on_stimulus is not None:
            self._on_stimulus(what, detail)

    def arrived(self) -> None:
        """Wait until the test's program has everything that was observed up to now.

        Only then do :attr:`Signal.last` and :meth:`Signal.history` tell all of it; ``seen``, ``expect`` and ``stays``
        see to it themselves.

        Raises:
            ClockError: in an event callback.
        """
        self.arrived_by(self.clock.now)
        self.looked()

    def arrived_by(self, time_ns: int) -> None:
        """As :meth:`arrived`, for what was observed up to a rig time [ns]."""
        if self.transport_ns and self.clock.now < time_ns + self.transport_ns:
            self.clock.wait(time_ns + self.transport_ns, what="what is on its way")

    def looked(self, since_ns: int | None = None, until_ns: int | None = None) -> None:
        """What was seen from a rig time [ns] to another, from the mark to now unless given, goes into a measurement."""
        begin_ns = self.mark_ns if since_ns is None else since_ns
        self.looks.add(begin_ns, self.clock.now if until_ns is None else min(until_ns, self.clock.now))

    def check(self, check: Check) -> None:
        """Put a check record on the record."""
        if self._on_check is not None:
            self._on_check(check)


class Condition(Generic[Value]):
    """What a value must be: equal, below, above, between, or a predicate; a non-finite number never satisfies it.

    Args:
        value: the exact value, or a function of the value that says yes or no.
        below: the value must be less than this, in the signal's unit.
        above: the value must be greater than this, in the signal's unit.
    """

    def __init__(
        self,
        value: Value | Callable[[Value], bool] | object = _ANYTHING,
        *,
        below: float | None = None,
        above: float | None = None,
    ) -> None:
        if value is _ANYTHING and below is None and above is None:
            raise HilError("a condition needs a value, a predicate, below= or above=; nothing was given")
        self._predicate = value if callable(value) else None
        self._equal = _ANYTHING if callable(value) else value
        self._below, self._above = below, above

    @property
    def asked(self) -> str:
        """The exact value that is asked for, as text; empty when there is none."""
        return "" if self._equal is _ANYTHING else str(self._equal)

    def could_hold(self, choices: Collection[str]) -> bool:
        """Whether one of these states, the only ones there are, could satisfy the condition."""
        bounded = self._below is not None or self._above is not None
        return not bounded and (self._equal is _ANYTHING or self._equal in choices)

    def holds(self, value: Value) -> bool:
        """Whether a value satisfies the condition."""
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if self._equal is not _ANYTHING and value != self._equal:
            return False
        if self._below is not None and not (isinstance(value, int | float) and value < self._below):
            return False
        if self._above is not None and not (isinstance(value, int | float) and value > self._above):
            return False
        return self._predicate is None or bool(self._predicate(value))

    def __str__(self) -> str:
        parts = [] if self._equal is _ANYTHING else [f"= {show(self._equal)}"]
        parts += [] if self._above is None else [f"> {self._above:g}"]
        parts += [] if self._below is None else [f"< {self._below:g}"]
        if self._predicate is not None:
            parts.append(getattr(self._predicate, "__name__", "a predicate").replace("<lambda>", "a predicate"))
        return " and ".join(parts)


class Signal(Generic[Value]):
    """A named value over time.

    Args:
        name: what it is called in evidence and failures.
        unit: unit of the value, empty for states.
        timeline: clock and mark of the test.
        held: True for a pin that is observed at every instant, so that its level at the mark counts; False for
            samples that arrive (frames, readings), of which only those produced after the mark count.
        max_age_ns: for arriving samples, the gap after which ``stays`` and ``always`` call the signal lost [ns].
        choices: the names of all states it can be in, where it has named states; none when that is not known.
        backlog: for a signal whose samples wait to be decoded: puts those that wait; called before every reading.
    """

    def __init__(
        self,
        name: str,
        unit: str,
        timeline: Timeline,
        *,
        held: bool = False,
        max_age_ns: int | None = None,
        choices: Collection[str] = (),
        backlog: Callable[[], None] | None = None,
    ) -> None:
        self.choices = tuple(choices)
        self.name = name
        self.unit = unit
        self.held = held
        self.max_age_ns = max_age_ns
        self._timeline = timeline
        self._clock = timeline.clock
        self._produced: list[int] = []
        self._values: list[Value] = []
        self.listeners: list[Callable[[Value, int], None]] = []
        """Who is told of every sample; :meth:`on_sample` adds one."""
        self._catch_up = _nothing if backlog is None else backlog

    def __repr__(self) -> str:
        return f"<signal {self.name}: {self.describe_last()}>"

    # -- writing ------------------------------------------------------------------------------------------

    def put(self, value: Value, produced_ns: int | None = None) -> None:
        """Add a sample: its value and the rig time it was produced [ns], now unless given.

        Raises:
            HilError: for a sample older than the last one; history is append-only.
        """
        at = self._clock.now if produced_ns is None else produced_ns
        if self._produced and at < self._produced[-1]:
            raise HilError(
                f"{self.name}: a sample produced at {format_time(at)} came after one of "
                f"{format_time(self._produced[-1])}; samples are added in order"
            )
        self._produced.append(at)
        self._values.append(value)
        for listener in self.listeners:
            listener(value, at)

    def put_newer(self, value: Value, produced_ns: int) -> None:
        """Add a sample unless it is older than the last one [ns]: for copies of a message that overtake each other."""
        produced = self._produced
        if produced and produced_ns < produced[-1]:
            return
        produced.append(produced_ns)
        self._values.append(value)
        for listener in self.listeners:
            listener(value, produced_ns)

    def on_sample(self, fn: Callable[[Value, int], None]) -> Callable[[], None]:
        """Call ``fn(value, produced_ns)`` for every new sample; the returned call ends that."""
        self._catch_up()
        self.listeners.append(fn)
        return lambda: self.listeners.remove(fn) if fn in self.listeners else None

    @property
    def is_watched(self) -> bool:
        """Whether somebody is told of every sample."""
        return bool(self.listeners)

    # -- reading ------------------------------------------------------------------------------------------

    @property
    def last(self) -> Reading[Value] | None:
        """The newest sample, whatever its age; None when there never was one."""
        self._catch_up()
        if not self._values:
            return None
        return Reading(self._values[-1], self._produced[-1], self.name, self.unit)

    def at(self, time_ns: int) -> Reading[Value] | None:
        """The newest sample produced by a rig time [ns], at the latest; None when there was none by then."""
        self._catch_up()
        index = bisect_right(self._produced, time_ns) - 1
        return None if index < 0 else Reading(self._values[index], self._produced[index], self.name, self.unit)

    def history(self, since_ns: int = 0, until_ns: int | None = None) -> list[Reading[Value]]:
        """The samples produced in a span of rig time [ns], both ends included."""
        self._catch_up()
        self._timeline.looked(since_ns or None, until_ns)
        first = bisect_left(self._produced, since_ns)
        end = len(self._produced) if until_ns is None else bisect_right(self._produced, until_ns)
        return [Reading(self._values[i], self._produced[i], self.name, self.unit) for i in range(first, end)]

    def samples(self) -> tuple[Sequence[int], Sequence[Value]]:
        """Production times [ns] and values of all samples, in order."""
        self._catch_up()
        return list(self._produced), list(self._values)

    def describe_last(self) -> str:
        """The newest sample in words, with its time."""
        self._catch_up()
        if not self._values:
            return "never seen"
        return f"{self._show(self._values[-1])} at {format_time(self._produced[-1])}"

    # -- the grammar --------------------------------------------------------------------------------------

    def seen(
        self,
        value: Value | Callable[[Value], bool] | object = _ANYTHING,
        *,
        within: int,
        below: float | None = None,
        above: float | None = None,
        since: int | None = None,
    ) -> bool:
        """Whether the condition comes true within a time [ns], by a sample produced after the mark.

        Args:
            value: the exact value, or a predicate.
            within: how long to wait from now [ns].
            below: upper bound, in the signal's unit.
            above: lower bound, in the signal's unit.
            since: rig time [ns] that replaces the mark.

        Raises:
            HilError: for a condition that no state of the signal could ever satisfy: ``not seen`` would prove nothing.
        """
        return self._find(Condition[Value](value, below=below, above=above), within, since) is not None

    def expect(
        self,
        value: Value | Callable[[Value], bool] | object = _ANYTHING,
        *,
        within: int,
        below: float | None = None,
        above: float | None = None,
        since: int | None = None,
    ) -> Reading[Value]:
        """The first sample produced after the mark that satisfies the condition; arguments as :meth:`seen`.

        Raises:
            NotSeenError: when none came in time: what was awaited, what was seen last, and when.
            HilError: for a condition that no state of the signal could ever satisfy.
        """
        __tracebackhide__ = True
        condition = Condition[Value](value, below=below, above=above)
        mark = self._timeline.mark_ns if since is None else since
        reading = self._find(condition, within, since)
        at = self._clock.now if reading is None else reading.at
        seen = self.describe_last() if reading is None else self._show(reading.value)
        check = Check("expect", self.name, str(condition), reading is not None, seen, at, mark)
        self._timeline.check(check)
        if reading is None:
            raise NotSeenError(
                f"{self.name}: awaited {condition}{self._of_unit()} within {format_duration(within)} after the mark "
                f"at {format_time(mark)}; seen last: {self.describe_last()}{self._staleness(mark)} "
                f"(now {format_time(self._clock.now)})",
                check,
            )
        return reading

    def stays(
        self,
        value: Value | Callable[[Value], bool] | object = _ANYTHING,
        *,
        for_: int,
        below: float | None = None,
        above: float | None = None,
    ) -> bool:
        """Whether the condition holds from now on for a time [ns]; a signal that says nothing does not hold.

        The outcome is a check record: where it is False the test fails, whether it asserts that or not.

        Raises:
            HilError: for a condition that no state of the signal could ever satisfy.
        """
        condition = Condition[Value](value, below=below, above=above)
        self._timeline.before_call()
        monitor = Monitor(self, condition, self._timeline, form="stays")
        self._clock.wait(self._clock.now + for_, lambda: monitor.violation is not None, f"{self.name} to stay")
        return monitor.close()

    def find(self, condition: Condition[Value], since_ns: int, start: int = 0) -> tuple[Reading[Value] | None, int]:
        """The first sample after ``since_ns`` that satisfies a condition, looking from index ``start`` on.

        Returns:
            The reading, or None; and the index to look from next time.
        """
        self._catch_up()
        first = max(start, self._first_index(since_ns))
        for index in range(first, len(self._values)):
            if condition.holds(self._values[index]):
                at = max(self._produced[index], since_ns) if self.held else self._produced[index]
                return Reading(self._values[index], at, self.name, self.unit), index
        return None, len(self._values)

    def demand(self, condition: Condition[Value]) -> None:
        """Refuse a condition that no state of the signal could ever satisfy, such as a misspelt one.

        Raises:
            HilError: names the nearest state.
        """
        if self.choices and not condition.could_hold(self.choices):
            near = nearest(condition.asked, list(self.choices))
            raise HilError(f"{self.name} is asked for {condition}, which it never is; {near}")

    def _first_index(self, since_ns: int) -> int:
        after = bisect_right(self._produced, since_ns)
        return max(after - 1, 0) if self.held else after

    def _find(self, condition: Condition[Value], within: int, since: int | None) -> Reading[Value] | None:
        self.demand(condition)
        timeline, clock = self._timeline, self._clock
        timeline.asked[self.name] = self
        timeline.before_call()
        mark = timeline.mark_ns if since is None else since
        found: Reading[Value] | None = None
        start = 0

        def ready() -> bool:
            nonlocal found, start
            found, start = self.find(condition, mark, start)
            return found is not None

        until = clock.now + within
        if self.held:
            timeline.arrived_by(mark)  # the level at the mark may be on its way still
        if not clock.wait(max(until, clock.now), ready, f"{self.name} {condition}") and timeline.transport_ns:
            clock.wait(until + timeline.transport_ns, ready, f"{self.name} {condition}, seen in time and on its way")
        timeline.looked(mark)
        return None if found is not None and timeline.transport_ns and found.at > until else found

    def _show(self, value: Value) -> str:
        return f"{show(value)}{self._of_unit()}"

    def _of_unit(self) -> str:
        return f" {self.unit}" if self.unit else ""

    def _staleness(self, mark: int) -> str:
        if self._produced and not self.held and self._produced[-1] <= mark:
            return ", which is older than the mark"
        return ""


class Monitor(Generic[Value]):
    """Watches in the background that a condition holds for every sample; what ``always`` and ``stays`` are.

    Args:
        signal: what is watched.
        condition: what every value must be.
        timeline: where the check record goes.
        form: "always" or "stays", for the record.

    Raises:
        HilError: for a condition that no state of the signal could ever satisfy.
    """

    def __init__(
        self, signal: Signal[Value], condition: Condition[Value], timeline: Timeline, form: str = "always"
    ) -> None:
        signal.demand(condition)
        self.signal = signal
        self.condition = condition
        self.violation: Reading[Value] | None = None
        self.samples = 0
        self._timeline = timeline
        self._form = form
        self._begin_ns = self._newest_ns = timeline.clock.now
        self._end_ns: int | None = None
        self._gap_ns = 0
        self._closed = False
        timeline.asked[signal.name] = signal
        self._end_watch = signal.on_sample(self._sample)
        self._at_begin = signal.last if signal.held else None
        if not timeline.transport_ns:
            self._judge_begin()

    def __enter__(self) -> Monitor[Value]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def end(self) -> None:
        """What is produced from now on does not count any more; what is on its way does, until :meth:`close`."""
        if self._end_ns is None:
            self._end_ns = self._timeline.clock.now

    def close(self) -> bool:
        """Stop watching, write the check record, and say whether the condition held all the time."""
        if self._closed:
            return self._held()
        self.end()
        assert self._end_ns is not None
        self._timeline.arrived_by(self._end_ns)
        self._closed = True
        self._end_watch()
        self._judge_begin()
        now = self._end_ns
        self._gap_ns = max(self._gap_ns, now - self._newest_ns)
        at = now if self.violation is None else self.violation.at
        self._timeline.check(
            Check(self._form, self.signal.name, str(self.condition), self._held(), self._seen(), at, self._begin_ns)
        )
        return self._held()

    def _held(self) -> bool:
        return self.violation is None and self.samples > 0 and not self._lost()

    def _lost(self) -> bool:
        age = self.signal.max_age_ns
        return not self.signal.held and age is not None and self._gap_ns > age

    def _seen(self) -> str:
        if self.violation is not None:
            return f"{show(self.violation.value)} at {format_time(self.violation.at)}"
        if self.samples == 0:
            return "never seen"
        if self._lost():
            return f"lost: no sample for {format_duration(self._gap_ns)}"
        return f"held over {self.samples} samples"

    def _judge_begin(self) -> None:
        """The level a pin had when the watch began, once everything from before has arrived."""
        level, self._at_begin = self._at_begin, None
        if level is not None:
            self._judge(level.value, self._begin_ns)

    def _sample(self, value: Value, at: int) -> None:
        if at >= self._begin_ns:
            if self._end_ns is None or at <= self._end_ns:
                self._judge_begin()
                self._judge(value, at)
        elif self._at_begin is not None:
            self._at_begin = Reading(value, at)
        elif self.signal.held:  # nobody said how long samples are on their way: the level at the beginning was this
            self._judge(value, self._begin_ns)

    def _judge(self, value: Value, at: int) -> None:
        self.samples += 1
        self._gap_ns = max(self._gap_ns, at - self._newest_ns)
        self._newest_ns = max(self._newest_ns, at)
        if self.violation is None and not self.condition.holds(value):
            self.violation = Reading(value, at, self.signal.name, self.signal.unit)


def _nothing() -> None:
    """Nothing waits to be decoded."""


def show(value: object) -> str:
    """A value for people: logic levels by name, numbers short."""
    if isinstance(value, bool):
        return "HIGH" if value else "LOW"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
