"""The rig clock: integer nanoseconds, one heap of events, one code for virtual and wall pace.

The test pumps the world. A blocking call (:meth:`Clock.wait`) runs every event that is due until its condition
holds or its deadline is reached; test code itself costs no virtual time. Events are ordered by (time, round,
phase, sequence); a test resumes only when all phases of an instant are done.

This is the only module that imports ``time``.
"""

from __future__ import annotations

import functools
import heapq
import operator
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from threading import get_ident
from typing import TYPE_CHECKING, NamedTuple, Protocol, SupportsIndex

from hil.errors import ClockError, DeadlockError
from hil.lateness import Lateness
from hil.units import format_duration, format_time, s

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_ROUNDS_MAX = 1_000  # rounds at one instant before two callbacks are feeding each other for ever
_READS_MAX = 1_000_000  # reads of `now` without a wait before a test is spinning
_PATIENCE_NS = 3_600 * s  # virtual time after which a wait without a deadline is given up
_EVENTS_MAX = 100_000  # events at one instant before callbacks are feeding each other for ever
_READINGS_MAX = 3  # how often two clocks are read together at most
_SINCE_BOOT_READINGS = 5  # how often rig time and the time since boot are read together
_READING_NS = 2_000  # wall time [ns] within which they must have been read to read them once only
_NAMED_MAX = 64  # events of such a chain that are looked at, to name the callbacks in it


class Phase(IntEnum):
    """The order of work within one instant: what the wire delivers is seen by devices, then plant, then observers."""

    WIRE = 0
    DEVICE = 1
    PLANT = 2
    OBSERVE = 3


class Event:
    """One call on the heap, or a repeated one; what :meth:`Clock.at` and :meth:`Clock.every` return."""

    __slots__ = ("fn",)
    once = True
    timed = True
    """Whether it matters that the call is in time."""

    def __init__(self, fn: Callable[[], object]) -> None:
        self.fn: Callable[[], object] | None = fn

    @property
    def active(self) -> bool:
        """Whether the call is still to come."""
        return self.fn is not None

    def cancel(self) -> None:
        """Take the call off the heap; harmless when it already ran."""
        self.fn = None


class _Posted(Event):
    """A call handed in from outside, and the rig time [ns] at which it was."""

    __slots__ = ("arrived_ns",)

    def __init__(self, fn: Callable[[], object], arrived_ns: int) -> None:
        super().__init__(fn)
        self.arrived_ns = arrived_ns


class _Repeating(Event):
    """A call that puts itself back on the heap one period later, counted from its due time."""

    __slots__ = ("clock", "due_ns", "period_ns", "phase", "timed", "work")
    once = False

    def __init__(self, clock: Clock, work: Callable[[], object], due_ns: int, period_ns: int, phase: Phase) -> None:
        super().__init__(self.tick)
        self.timed = True
        self.clock, self.work = clock, work
        self.due_ns, self.period_ns, self.phase = due_ns, period_ns, phase

    def tick(self) -> None:
        self.due_ns += self.period_ns
        self.work()
        if self.fn is not None:
            self.clock.put_back(self, self.due_ns, self.phase)


class Source(Protocol):
    """A pure source of events outside the heap (an HDL simulator, a set of managed threads)."""

    def grant(self, until_ns: int) -> int:
        """Run the source up to ``until_ns`` (absolute ns) at most; return the instant it stopped at [ns].

        A source that stops early has something to say there: it schedules that on the clock before it returns.
        """
        ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """One instant on two clocks, read together."""

    rig_ns: int
    """Rig time [ns]."""
    unix_ns: int
    """The host's real-time clock, since 1970 [ns]: the one that the kernel stamps frames with."""
    uncertainty_ns: int
    """Half the wall time that reading both took [ns]."""


class Instant(NamedTuple):
    """One instant on a rig clock and on the clock of the machine it runs on."""

    rig_ns: int
    """Rig time [ns]."""
    boot_ns: int
    """Time since the machine was started [ns]."""


class Clock:
    """A clock in integer nanoseconds; this base class is the virtual pace (idle = jump).

    Args:
        patience_ns: virtual time [ns] after which a wait without a deadline is called a deadlock although
            periodic events keep the heap busy.
    """

    pace = "virtual"

    def __init__(self, *, patience_ns: int = _PATIENCE_NS) -> None:
        self._now = 0
        self.began_ns = 0
        """Rig time at which it began [ns]: 0, unless it joined another program's clock."""
        self._heap: list[tuple[int, int, int, int, Event]] = []
        self._sequence = 0
        self._dispatching = False
        self._round = 0
        self._phase = 0
        self._reads = 0
        self._posted: deque[tuple[int, Callable[[], object]]] = deque()
        self._source: Source | None = None
        self._patience_ns = patience_ns
        self._thread = threading.get_ident()
        self._trespass: ClockError | None = None
        self.lateness = Lateness()
        """Of every tick, on a paced clock; in virtual time nothing is ever late."""
        self.is_held_up = False
        """Whether the test waits for an instrument to answer, while the world runs: that is no progress of the test."""

    # -- reading ------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Rig time [ns] since the clock was made.

        Raises:
            ClockError: after a million reads without a wait: a test that spins would never end.
        """
        self._reads += 1
        if self._reads > _READS_MAX:
            raise ClockError(
                f"clock.now was read {_READS_MAX} times at {format_time(self._now)} without a wait: "
                "virtual time stands still while a test computes; wait with clock.sleep(...) or signal.expect(...)"
            )
        return self._now

    @property
    def idle(self) -> bool:
        """Whether nothing at all is scheduled."""
        self._drop_cancelled()
        return not self._heap and not self._posted

    def take_trespass(self) -> ClockError | None:
        """The first refusal of a foreign thread that this thread was not told of yet, then None again.

        An exception in another thread can vanish with it; whoever closes the world asks here, so that it does not.
        """
        found, self._trespass = self._trespass, None
        return found

    def late_since(self, time_ns: int) -> int:  # noqa: ARG002  # a paced clock asks for it
        """The worst lateness [ns] beyond the allowed one of all ticks due since a rig time; 0 in virtual time."""
        return 0

    # -- scheduling ---------------------------------------------------------------------------------------

    def at(self, time_ns: SupportsIndex, fn: Callable[[], object], phase: Phase = Phase.DEVICE) -> Event:
        """Call ``fn`` at an absolute time [ns]; the present instant is allowed, the past is not.

        Raises:
            ClockError: for a time in the past, or a call from a thread the clock does not manage.
            TypeError: for a time that is not an integer.
        """
        if not isinstance(time_ns, int):
            time_ns = _integer(time_ns, "clock.at")
        if get_ident() != self._thread:
            raise self._foreign_thread("clock.at")
        self._catch_up()
        if time_ns < self._now:
            time_ns = self._late(time_ns)
        event = Event(fn)
        if time_ns > self._now:
            self._sequence += 1
            heapq.heappush(self._heap, (time_ns, 0, phase, self._sequence, event))
        else:
            self._push(time_ns, phase, event)
        return event

    def every(
        self,
        period_ns: SupportsIndex,
        fn: Callable[[], object],
        phase: Phase = Phase.DEVICE,
        offset_ns: SupportsIndex = 0,
        *,
        timed: bool = True,
    ) -> Event:
        """Call ``fn`` every ``period_ns``, first ``offset_ns`` from now [ns]; ticks never drift.

        A tick that is not ``timed`` is housekeeping: on a wall clock it may be late without a measurement being so.

        Raises:
            ClockError: for a period of zero or less, an offset below zero, or a call from a thread the clock does not
                manage.
            TypeError: for times that are not integers.
        """
        period_ns, offset_ns = _integer(period_ns, "clock.every"), _integer(offset_ns, "clock.every")
        if period_ns <= 0:
            raise ClockError(f"clock.every: the period is {period_ns} ns; it must be at least 1 ns")
        if offset_ns < 0:
            raise ClockError(f"clock.every: the offset is {offset_ns} ns; what has passed cannot be scheduled, give 0")
        if threading.get_ident() != self._thread:
            raise self._foreign_thread("clock.every")
        self._catch_up()
        due_ns = self._now + offset_ns
        event = _Repeating(self, fn, due_ns, period_ns, phase)
        event.timed = timed
        self._push(due_ns, phase, event)
        return event

    def put_back(self, event: Event, time_ns: int, phase: Phase) -> None:
        """Put an event that has run on the heap again, at an absolute time [ns] (or now, if that has passed)."""
        if time_ns > self._now:
            self._sequence += 1
            heapq.heappush(self._heap, (time_ns, 0, phase, self._sequence, event))
        else:
            self._push(self._now, phase, event)

    def post(self, fn: Callable[[], object]) -> None:
        """Hand in a call from any thread; it runs at the clock's next instant. The only thread-safe method."""
        self._posted.append((self._now, fn))

    def add_source(self, source: Source) -> None:
        """Add a source of events outside the heap, granted time before the clock moves.

        Raises:
            ClockError: when there is one already; two sources need a common grant to stay causal.
        """
        if self._source is not None:
            raise ClockError(f"the clock already grants time to {self._source!r}; a second source is not supported")
        self._source = source

    # -- waiting ------------------------------------------------------------------------------------------

    def sleep(self, duration_ns: SupportsIndex) -> None:
        """Let the world run for a duration [ns].

        Raises:
            ClockError: for a negative duration, a wait in a callback, or a thread the clock does not manage.
            TypeError: for a duration that is not an integer.
        """
        duration_ns = _integer(duration_ns, "clock.sleep")
        if duration_ns < 0:
            raise ClockError(f"clock.sleep: {duration_ns} ns is negative; rig time only moves forward")
        self.wait(self._now + duration_ns)

    def wait(
        self,
        until_ns: SupportsIndex | None,
        ready: Callable[[], bool] | None = None,
        what: str = "a condition",
    ) -> bool:
        """Run the world until ``ready()`` holds or the deadline has passed.

        Args:
            until_ns: absolute deadline [ns], inclusive; ``None`` waits as long as it takes.
            ready: asked after each complete instant; ``None`` waits for the deadline alone.
            what: what is awaited, in words, for the error message.

        Returns:
            Whether ``ready()`` held; True when there was no ``ready`` and the deadline was reached.

        Raises:
            DeadlockError: without a deadline, when nothing scheduled can satisfy the wait.
            ClockError: in an event callback, or in a thread the clock does not manage.
            TypeError: for a deadline that is not an integer.
        """
        deadline = None if until_ns is None else _integer(until_ns, "clock.wait")
        if self._dispatching:
            raise ClockError(
                f"a wait for {what} was started inside an event callback at {format_time(self._now)}: a callback "
                "may not wait, the world runs on it; schedule the rest with clock.at(...) and return"
            )
        if threading.get_ident() != self._thread:
            raise self._foreign_thread(f"a wait for {what}")
        self._reads = 0
        self._catch_up()
        give_up = None if deadline is not None else self._now + self._patience_ns
        self._run_due()
        while ready is None or not ready():
            if not self._advance(deadline, give_up, what):
                return ready is None or ready()
        return True

    # -- inside -------------------------------------------------------------------------------------------

    def _advance(self, deadline: int | None, give_up: int | None, what: str) -> bool:
        """Move to the next instant not after the deadline and run it; False when the deadline comes first."""
        heap = self._heap
        if heap and heap[0][4].fn is None:
            self._drop_cancelled()
        due = heap[0][0] if heap else None
        if self._source is not None:
            due = self._grant(due, deadline)
        if deadline is not None and (due is None or due > deadline):
            if deadline <= self._now:
                return False
            if self._idle_until(deadline):
                self._run_due()
                return False
            self._run_due()
            return True
        if due is None or self._given_up(due, give_up):
            self._await_post(due, what)
            return True
        self._idle_until(due)
        self._run_due()
        return True

    def _catch_up(self) -> None:
        """Let rig time follow the time that passed outside; virtual time does not pass by itself."""

    def _idle_until(self, time_ns: int) -> bool:
        """Let idle time pass until ``time_ns``; False when something was posted before. Virtual: a jump."""
        if time_ns > self._now:
            self._now = time_ns
        return True

    def _given_up(self, due: int, give_up: int | None) -> bool:
        """Whether a wait without a deadline has seen nothing but periodic events for long enough."""
        return give_up is not None and due > give_up

    def _await_post(self, due: int | None, what: str) -> None:
        """Nothing scheduled can end the wait: on a virtual clock nothing else can either.

        Raises:
            DeadlockError: unless something was posted.
        """
        if not self._posted:
            raise self._deadlock(due, what)
        self._run_due()

    def _late(self, time_ns: int) -> int:
        raise ClockError(
            f"clock.at: {format_time(time_ns)} is {format_duration(self._now - time_ns)} in the past "
            f"(now {format_time(self._now)}); what has happened cannot be scheduled"
        )

    def _push(self, time_ns: int, phase: Phase, event: Event) -> None:
        if self._dispatching and time_ns == self._now:
            round_ = self._round + 1 if phase < self._phase else self._round
        else:
            round_ = 0
        self._sequence += 1
        heapq.heappush(self._heap, (time_ns, round_, phase, self._sequence, event))

    def _run_due(self) -> None:
        """Run everything due at or before now, all phases and rounds of it."""
        if self._posted:
            self._take_posted()
        heap = self._heap
        if not heap or heap[0][0] > self._now:
            return
        self._dispatching = True
        limit, instant, count = self._now, self._now, 0
        chain: list[Callable[[], object]] = []
        try:
            while heap and heap[0][0] <= limit:
                time_ns, round_, phase, _, event = heapq.heappop(heap)
                fn = event.fn
                if fn is None:
                    continue
                if event.once:
                    event.fn = None
                self._round, self._phase, self._reads = round_, phase, 0
                self._tick(time_ns, event)
                fn()
                count = count + 1 if time_ns == instant else 1
                instant = time_ns
                if round_ > _ROUNDS_MAX or count > _EVENTS_MAX:
                    chain.append(fn)
                    if len(chain) >= _NAMED_MAX:
                        raise self._runaway(chain, rounds=round_ > _ROUNDS_MAX)
        finally:
            self._dispatching = False
            self._round = 0
            self._now = limit

    def _tick(self, due_ns: int, event: Event) -> None:
        """Hook for paced clocks: an event due at ``due_ns`` is about to run."""

    def _take_posted(self) -> None:
        while self._posted:
            stamp, fn = self._posted.popleft()
            self._push(max(stamp, self._now), Phase.WIRE, _Posted(fn, stamp))

    def _drop_cancelled(self) -> None:
        heap = self._heap
        while heap and heap[0][4].fn is None:
            heapq.heappop(heap)

    def _grant(self, due: int | None, deadline: int | None) -> int | None:
        target = due if deadline is None else deadline if due is None else min(due, deadline)
        if self._source is None or target is None or target <= self._now:
            return due
        reached = self._source.grant(target)
        return reached if reached < target else due

    def _foreign_thread(self, what: str) -> ClockError:
        refusal = ClockError(
            f"{what} came from thread {threading.current_thread().name!r}, which this {self.pace} clock does not "
            "manage: time would depend on the operating system; call it from the test's thread, or hand the "
            "result in with clock.post(fn)"
        )
        if self._trespass is None:
            self._trespass = refusal
        return refusal

    def _deadlock(self, due: int | None, what: str) -> DeadlockError:
        why = (
            "nothing is scheduled that could ever end it"
            if due is None
            else f"only periodic events ran for {format_duration(self._patience_ns)} of rig time"
        )
        return DeadlockError(
            f"deadlock at {format_time(self._now)}: waiting for {what} without a deadline, and {why}; "
            "give the wait a deadline (within=..., timeout=...) or schedule what it waits for"
        )

    def _runaway(self, chain: list[Callable[[], object]], *, rounds: bool) -> ClockError:
        many = f"{_ROUNDS_MAX} rounds" if rounds else f"{_EVENTS_MAX} events"
        involved = ", ".join(dict.fromkeys(map(_callback_name, chain)))
        return ClockError(
            f"more than {many} at {format_time(self._now)}: callbacks schedule each other within one instant for "
            f"ever: {involved}; give one of them a delay"
        )


class VirtualClock(Clock):
    """Virtual pace: idle time is jumped over; the same calls give the same times on any machine."""


class WallClock(Clock):
    """Wall pace, or a factor of it: idle time is slept through; lateness of every tick is recorded.

    Args:
        factor: rig seconds per wall second; 1.0 is real time.
        max_lateness_ns: lateness [ns] of rig time beyond which a tick is late.
        late_max: late ticks a test may have; None for any number.
        late_in_a_row_max: late ticks in a row a test may have; None for any number.
        slack_ns: timer slack, wall time [ns] that the clock sleeps at least when it sleeps: what becomes due meanwhile
            is run together, each at its own time and late by so much at most. Waking costs more than most events.
    """

    pace = "wall"

    def __init__(
        self,
        *,
        factor: float = 1.0,
        max_lateness_ns: int = 1_000_000,
        late_max: int | None = None,
        late_in_a_row_max: int | None = None,
        slack_ns: int = 0,
    ) -> None:
        if not factor > 0.0:
            raise ClockError(f"the pace factor is {factor}; it must be above 0")
        super().__init__()
        self._factor = factor
        self._zero = time.monotonic_ns()
        self._woken = threading.Condition()
        self._slack_s = slack_ns / s
        self._before_sleep: tuple[Callable[[], object], ...] = ()
        self.lateness = Lateness(max_lateness_ns, late_max=late_max, late_in_a_row_max=late_in_a_row_max)

    @property
    def factor(self) -> float:
        """Rig seconds per wall second."""
        return self._factor

    @property
    def late_ticks(self) -> list[tuple[int, int]]:
        """(due, lateness) [ns, ns] of the ticks later than allowed; long ago several make one."""
        return self.lateness.late_ticks

    @property
    def now(self) -> int:
        """Rig time [ns]: the due time inside a callback, elapsed time outside."""
        self._catch_up()
        return self._now

    def post(self, fn: Callable[[], object]) -> None:
        """Hand in a call from any thread, stamped with its arrival; the only thread-safe method."""
        with self._woken:
            self._posted.append((self._elapsed(), fn))
            self._woken.notify()

    def before_sleep(self, fn: Callable[[], object]) -> Callable[[], None]:
        """Call ``fn`` whenever everything due was run and the clock would sleep; the returned call ends that.

        What leaves this program can so leave together, and none of it waits for the next event.
        """
        self._before_sleep = (*self._before_sleep, fn)

        def end() -> None:
            self._before_sleep = tuple(other for other in self._before_sleep if other is not fn)

        return end

    def sleep(self, duration_ns: SupportsIndex) -> None:
        """Let the world run for a duration [ns], counted from the present instant.

        Raises:
            ClockError: as :meth:`Clock.sleep`.
        """
        self._catch_up()
        super().sleep(duration_ns)

    def late_since(self, time_ns: int) -> int:
        """The worst lateness [ns] beyond the allowed one of all ticks due since ``time_ns``; 0 when none was."""
        return max((late for due, late in self.late_ticks if due >= time_ns), default=0)

    def settle(self) -> None:
        """Run what is due and count lateness anew: the rig has just been opened, or a declared hold has ended.

        Raises:
            ClockError: in an event callback, or in a thread the clock does not manage.
        """
        self.sleep(0)
        self.lateness.restart()

    def arrival(self) -> Arrival:
        """This instant on the rig clock and on the host's real-time clock; callable in any thread."""
        best: Arrival | None = None
        for _ in range(_READINGS_MAX):
            before = time.monotonic_ns()
            unix_ns = time.time_ns()
            after = time.monotonic_ns()
            rig_ns = int(((before + after) // 2 - self._zero) * self._factor)
            found = Arrival(rig_ns, unix_ns, (after - before + 1) // 2)
            if best is None or found.uncertainty_ns < best.uncertainty_ns:
                best = found
            if best.uncertainty_ns <= _READING_NS:
                break
        assert best is not None
        return best

    def since_boot(self) -> Instant:
        """This instant as rig time and as time since the machine was started, which all its programs share."""
        found: list[tuple[int, Instant]] = []
        for _ in range(_SINCE_BOOT_READINGS):
            before_ns = boot_ns()
            rig_ns = self._elapsed()
            after_ns = boot_ns()
            found.append((after_ns - before_ns, Instant(rig_ns, (before_ns + after_ns) // 2)))
        return min(found)[1]

    def join(self, other: Instant) -> None:
        """Take over the rig time of another program of this machine: from now on both clocks say the same.

        Args:
            other: an instant on the other clock, which has this one's pace.

        Raises:
            ClockError: when that would turn this clock back, or in an event callback.
        """
        own = self.since_boot()
        ahead_ns = other.rig_ns - own.rig_ns + round((own.boot_ns - other.boot_ns) * self._factor)
        if self._dispatching or ahead_ns < 0:
            raise ClockError(
                f"a clock at {format_time(own.rig_ns)} cannot join one that is {format_duration(-ahead_ns)} behind it: "
                "what has happened would come again; start the other program before the test"
            )
        self._zero -= round(ahead_ns / self._factor)
        self._catch_up()
        self.began_ns = self._now

    def _catch_up(self) -> None:
        if not self._dispatching:
            self._now = max(self._now, self._elapsed())

    @property
    def elapsed(self) -> int:
        """Rig time of this very moment [ns], whatever the world is doing. Any thread may ask."""
        return self._elapsed()

    def _elapsed(self) -> int:
        return int((time.monotonic_ns() - self._zero) * self._factor)

    def _idle_until(self, time_ns: int) -> bool:
        if not self._posted and time_ns > self._elapsed():
            self._last_before_sleep()
            if self._heap and self._heap[0][0] < time_ns:
                return False  # which has scheduled something
        with self._woken:
            while not self._posted:
                missing_s = (time_ns - self._elapsed()) / (s * self._factor)
                if missing_s <= 0.0:
                    break
                self._woken.wait(max(missing_s, self._slack_s))
            reached = not self._posted
        self._now = max(self._now, time_ns if reached else min(time_ns, self._elapsed()))
        return reached

    def _given_up(self, due: int, give_up: int | None) -> bool:  # noqa: ARG002
        """Never: on a wall clock the outside world can always post."""
        return False

    def _await_post(self, due: int | None, what: str) -> None:  # noqa: ARG002
        """Sleep until the outside world posts something, and run it."""
        self._last_before_sleep()
        with self._woken:
            while not self._posted and not self._heap:
                self._woken.wait()
        self._catch_up()
        self._run_due()

    def _last_before_sleep(self) -> None:
        for fn in self._before_sleep:
            fn()

    def _late(self, time_ns: int) -> int:
        return max(time_ns, 0)

    def _tick(self, due_ns: int, event: Event) -> None:
        self._now = due_ns
        if isinstance(event, _Posted):
            self.lateness.inputs.add(self._elapsed() - event.arrived_ns)
        elif event.timed:
            self.lateness.tick(due_ns, self._elapsed() - due_ns)


def _callback_name(fn: object) -> str:
    """What a scheduled call is called: its module and name, and the name of the object it belongs to."""
    while True:
        owner = getattr(fn, "__self__", None)
        if isinstance(owner, _Repeating):
            fn = owner.work
        elif isinstance(fn, functools.partial):
            fn = next((given for given in fn.args if callable(given)), fn.func)
        else:
            break
    kind = type(fn)
    name = f"{getattr(fn, '__module__', kind.__module__)}.{getattr(fn, '__qualname__', kind.__qualname__)}"
    whose = getattr(owner, "name", None)
    return f"{name} of {whose}" if isinstance(whose, str) else name


def _integer(value: SupportsIndex, where: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"{where}: {value!r} is a {type(value).__name__}; rig time is an integer in nanoseconds, "
            "write it as a product, for example 500 * ms"
        ) from None


class Stopwatch:
    """Wall time since it was made: for budgets and watchdogs outside a simulation, never for a verdict."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Wall time so far [s]."""
        return time.monotonic() - self._began


def boot_ns() -> int:
    """Time [ns] since this machine was started, suspended time included; one value for all processes on it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def utc_now() -> str:
    """The wall time of the host, UTC, ISO 8601 with microseconds; for identity, never for a verdict."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@contextmanager
def sleep_forbidden(clock: Clock) -> Generator[None]:
    """While a virtual rig runs a test, ``time.sleep`` in its thread is an error that names the remedy.

    A name bound earlier by ``from time import sleep`` escapes this guard; the project's lint rule finds those.
    """
    if clock.pace != "virtual":
        yield
        return
    sleep, thread = time.sleep, threading.get_ident()

    def refuse(seconds: float) -> None:
        if threading.get_ident() != thread:
            sleep(seconds)
            return
        raise ClockError(
            f"time.sleep({seconds!r}) in a test on a virtual clock: it would cost wall time and no rig time; "
            f"write clock.sleep({round(seconds * 1000)} * ms)"
        )

    time.sleep = refuse
    try:
        yield
    finally:
        time.sleep = sleep
