"""The rig clock: order, deadlines, refusals; virtual and wall pace."""

from __future__ import annotations

import functools
import itertools
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.clock import Clock, Instant, Phase, VirtualClock, WallClock, boot_ns, sleep_forbidden
from hil.errors import ClockError, DeadlockError
from hil.units import ms, s, us


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def test_idle_time_is_jumped_over(clock: VirtualClock) -> None:
    clock.sleep(3_600 * s)
    assert clock.now == 3_600 * s


def test_a_wait_ends_at_its_deadline_exactly(clock: VirtualClock) -> None:
    clock.every(3 * ms, lambda: None)
    assert clock.wait(10 * ms, lambda: False) is False
    assert clock.now == 10 * ms


def test_an_event_at_the_deadline_still_counts(clock: VirtualClock) -> None:
    seen: list[int] = []
    clock.at(10 * ms, lambda: seen.append(clock.now))
    assert clock.wait(10 * ms, lambda: bool(seen))
    assert seen == [10 * ms]


def test_a_wait_for_what_holds_already_costs_no_time(clock: VirtualClock) -> None:
    assert clock.wait(1 * s, lambda: True)
    assert clock.now == 0


def test_a_test_resumes_only_when_all_phases_of_the_instant_are_done(clock: VirtualClock) -> None:
    done: list[Phase] = []
    for phase in (Phase.OBSERVE, Phase.PLANT, Phase.WIRE, Phase.DEVICE):
        clock.at(1 * ms, lambda phase=phase: done.append(phase), phase)
    clock.wait(1 * s, lambda: bool(done))
    assert done == [Phase.WIRE, Phase.DEVICE, Phase.PLANT, Phase.OBSERVE]


def test_an_earlier_phase_of_the_same_instant_opens_a_new_round(clock: VirtualClock) -> None:
    done: list[str] = []
    clock.at(0, lambda: (done.append("device"), clock.at(clock.now, lambda: done.append("wire"), Phase.WIRE)))
    clock.at(0, lambda: done.append("observe"), Phase.OBSERVE)
    clock.sleep(1)
    assert done == ["device", "observe", "wire"]


def test_callbacks_that_feed_each_other_for_ever_are_an_error(clock: VirtualClock) -> None:
    def device() -> None:
        clock.at(clock.now, lambda: clock.at(clock.now, device, Phase.DEVICE), Phase.WIRE)

    clock.at(0, device)
    with pytest.raises(
        ClockError, match=r"more than 1000 rounds at 0\.000000000 s: .*ever: \S*<lambda>, \S*device; give one"
    ):
        clock.sleep(1)


class Pump:
    """Schedules itself at the same instant, in the same phase, for ever."""

    def __init__(self, clock: VirtualClock, name: str) -> None:
        self.clock, self.name = clock, name

    def turn(self) -> None:
        self.clock.at(self.clock.now, self.turn)


def test_callbacks_of_one_phase_that_feed_each_other_for_ever_are_named_with_their_instant(clock: VirtualClock) -> None:
    pump = Pump(clock, "ox_pump")
    clock.at(3 * ms, functools.partial(pump.turn))
    clock.every(1 * ms, lambda: None)
    with pytest.raises(ClockError, match=r"100000 events at 0\.003000000 s: .* ever: \S*Pump\.turn of ox_pump; give"):
        clock.sleep(1 * s)


def test_many_events_at_one_instant_that_end_are_no_error(clock: VirtualClock) -> None:
    done: list[int] = []
    for number in range(50_000):
        clock.at(5, lambda number=number: done.append(number))
    clock.every(1, lambda: None)
    clock.sleep(150_000)
    assert done == list(range(50_000))


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from(list(Phase))), max_size=40))
def test_events_run_in_order_of_time_phase_and_sequence(plan: list[tuple[int, Phase]]) -> None:
    clock, ran = VirtualClock(), []
    for index, (due, phase) in enumerate(plan):
        clock.at(due, lambda key=(due, phase, index): ran.append(key), phase)
    clock.sleep(100)
    assert ran == sorted((due, phase, index) for index, (due, phase) in enumerate(plan))


def test_a_period_never_drifts(clock: VirtualClock) -> None:
    ticks: list[int] = []
    clock.every(7, lambda: ticks.append(clock.now), offset_ns=3)
    clock.sleep(31)
    assert ticks == [3, 10, 17, 24, 31]


def test_a_period_or_an_offset_that_cannot_be_is_refused(clock: VirtualClock) -> None:
    with pytest.raises(ClockError, match="the period is 0 ns; it must be at least 1 ns"):
        clock.every(0, lambda: None)
    with pytest.raises(ClockError, match="the offset is -5 ns; what has passed cannot be scheduled"):
        clock.every(10, lambda: None, offset_ns=-5)


def test_time_only_moves_forward(clock: VirtualClock) -> None:
    with pytest.raises(ClockError, match="-1 ns is negative; rig time only moves forward"):
        clock.sleep(-1)


def test_a_cancelled_event_does_not_run(clock: VirtualClock) -> None:
    ran: list[str] = []
    event = clock.every(5, lambda: (ran.append("tick"), event.cancel()))
    clock.at(20, lambda: ran.append("never")).cancel()
    clock.sleep(100)
    assert ran == ["tick"]
    assert not event.active


def test_a_float_is_refused_with_the_way_to_write_it(clock: VirtualClock) -> None:
    for call in (clock.sleep, clock.wait, lambda t: clock.at(t, print), lambda t: clock.every(t, print)):
        with pytest.raises(TypeError, match=r"0\.5 is a float; .*500 \* ms"):
            call(0.5)  # type: ignore[arg-type]


def test_a_wait_in_a_callback_is_refused_in_words(clock: VirtualClock) -> None:
    clock.at(5, lambda: clock.sleep(1))
    with pytest.raises(ClockError, match=r"inside an event callback .* may not wait"):
        clock.sleep(10)


def test_a_foreign_thread_is_refused_on_a_virtual_clock(clock: VirtualClock) -> None:
    problems: list[Exception] = []

    def foreign() -> None:
        try:
            clock.sleep(1)
        except ClockError as problem:
            problems.append(problem)

    thread = threading.Thread(target=foreign, name="notifier")
    thread.start()
    thread.join()
    assert "thread 'notifier', which this virtual clock does not manage" in str(problems[0])
    assert "clock.post" in str(problems[0])


def test_a_foreign_thread_can_schedule_nothing_either(clock: VirtualClock) -> None:
    problems: list[str] = []

    def foreign() -> None:
        for schedule in (lambda: clock.at(1, print), lambda: clock.every(1, print)):
            try:
                schedule()
            except ClockError as problem:
                problems.append(str(problem).partition(" came from thread")[0])

    thread = threading.Thread(target=foreign)
    thread.start()
    thread.join()
    assert problems == ["clock.at", "clock.every"]
    assert clock.idle


def test_a_refusal_in_a_foreign_thread_is_kept_for_the_clocks_own_thread(clock: VirtualClock) -> None:
    def foreign() -> None:
        with suppress(ClockError):
            clock.sleep(1)

    thread = threading.Thread(target=foreign, name="poller")
    thread.start()
    thread.join()
    assert "'poller'" in str(clock.take_trespass())
    assert clock.take_trespass() is None


def test_post_is_taken_from_any_thread(clock: VirtualClock) -> None:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: clock.post(lambda: seen.append(clock.now)))
    thread.start()
    thread.join()
    assert clock.wait(1 * s, lambda: bool(seen))
    assert seen == [0]


def test_a_wait_that_nothing_can_end_is_a_deadlock_at_once(clock: VirtualClock) -> None:
    with pytest.raises(DeadlockError, match="waiting for a frame without a deadline, and nothing is scheduled"):
        clock.wait(None, lambda: False, "a frame")


def test_a_wait_that_only_periodic_events_attend_is_given_up() -> None:
    clock = VirtualClock(patience_ns=1 * s)
    clock.every(100 * ms, lambda: None)
    with pytest.raises(DeadlockError, match="only periodic events ran for 1 s"):
        clock.wait(None, lambda: False, "a frame")


def test_the_past_cannot_be_scheduled(clock: VirtualClock) -> None:
    clock.sleep(10 * ms)
    with pytest.raises(ClockError, match="7 ms in the past"):
        clock.at(3 * ms, lambda: None)


def test_a_loop_that_reads_the_time_for_ever_is_an_error(clock: VirtualClock) -> None:
    with pytest.raises(ClockError, match="read 1000000 times"):
        next(now for _ in itertools.count() if (now := clock.now) > 0)


def test_time_sleep_in_a_virtual_test_is_an_error_that_names_the_remedy(clock: VirtualClock) -> None:
    original = time.sleep  # noqa: TID251
    with sleep_forbidden(clock), pytest.raises(ClockError, match=r"clock\.sleep\(500 \* ms\)"):
        time.sleep(0.5)  # noqa: TID251
    assert time.sleep is original  # noqa: TID251


def test_time_sleep_outside_of_a_virtual_test_is_left_alone(clock: VirtualClock) -> None:
    slept: list[str] = []
    with sleep_forbidden(WallClock()):
        time.sleep(0.001)  # noqa: TID251
    with sleep_forbidden(clock):
        other = threading.Thread(target=lambda: (time.sleep(0.001), slept.append("another thread")))  # noqa: TID251
        other.start()
        other.join()
    assert slept == ["another thread"]


class Simulator:
    """A source that has something to say every 3 ms."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.reached, self.said = clock, 0, []

    def grant(self, until_ns: int) -> int:
        self.reached = min(until_ns, (self.reached // (3 * ms) + 1) * 3 * ms)
        if self.reached % (3 * ms) == 0:
            self.clock.at(self.reached, lambda: self.said.append(self.clock.now), Phase.WIRE)
        return self.reached


def test_a_source_is_granted_time_and_may_stop_early(clock: VirtualClock) -> None:
    simulator = Simulator(clock)
    clock.add_source(simulator)
    clock.sleep(10 * ms)
    assert simulator.said == [3 * ms, 6 * ms, 9 * ms]
    assert (clock.now, simulator.reached) == (10 * ms, 10 * ms)


def test_a_second_source_is_refused(clock: VirtualClock) -> None:
    clock.add_source(Simulator(clock))
    with pytest.raises(ClockError, match="a second source is not supported"):
        clock.add_source(Simulator(clock))


def test_a_paced_clock_runs_the_same_code_at_a_factor_of_wall_time() -> None:
    clock = WallClock(factor=20.0)
    ticks: list[int] = []
    clock.every(100 * ms, lambda: ticks.append(clock.now))
    clock.sleep(950 * ms)
    assert [tick - ticks[0] for tick in ticks] == [n * 100 * ms for n in range(10)]
    assert clock.now >= 950 * ms


def test_a_paced_clock_wakes_for_what_is_posted() -> None:
    clock, seen = WallClock(), []
    threading.Timer(0.01, lambda: clock.post(lambda: seen.append("input"))).start()
    assert clock.wait(None, lambda: bool(seen), "input")


def test_a_wait_with_a_deadline_on_a_paced_clock_ends_with_what_is_posted_before_it() -> None:
    clock, seen = WallClock(), []
    threading.Timer(0.01, lambda: clock.post(lambda: seen.append("input"))).start()
    assert clock.wait(clock.now + 10 * s, lambda: bool(seen), "input")
    assert clock.now < 5 * s


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_a_pace_that_is_none_is_refused(factor: float) -> None:
    with pytest.raises(ClockError, match=r"the pace factor is .*; it must be above 0"):
        WallClock(factor=factor)


def test_a_late_tick_is_recorded_with_its_lateness() -> None:
    clock = WallClock(factor=1000.0, max_lateness_ns=1 * ms)
    clock.at(1 * ms, lambda: None)
    while clock.now < 100 * ms:
        pass
    clock.sleep(1)
    assert clock.late_ticks[0][0] == 1 * ms
    assert clock.late_since(0) > 50 * ms
    assert clock.late_since(2 * ms) == 0


def test_a_paced_clock_counts_every_tick_and_how_late_it_was() -> None:
    clock = WallClock(factor=1000.0, max_lateness_ns=1 * ms, late_max=0)
    for due_ms in (1, 2, 3):
        clock.at(due_ms * ms, lambda: None)
    while clock.now < 100 * ms:
        pass
    clock.sleep(1)
    assert (clock.lateness.summary().late, clock.lateness.late_in_a_row) == (3, 3)
    assert "3 late ticks, a test may have 0" in clock.lateness.beyond_limit()


def test_a_tick_of_housekeeping_may_be_late() -> None:
    clock = WallClock(factor=1000.0, max_lateness_ns=1 * ms)
    clock.every(50 * ms, lambda: None, timed=False)
    while clock.now < 100 * ms:
        pass
    clock.sleep(1)
    assert clock.late_ticks == []


def test_input_that_waited_is_no_late_tick() -> None:
    clock = WallClock(factor=1000.0, max_lateness_ns=1 * ms)
    clock.post(lambda: None)
    begun = clock.now
    while clock.now < begun + 100 * ms:
        pass
    clock.sleep(0)
    assert clock.lateness.summary().ticks == 0
    assert clock.lateness.inputs.worst_ns > 50 * ms


def test_what_was_late_while_a_rig_was_opened_is_forgotten_when_the_clock_has_settled() -> None:
    clock, ran = WallClock(factor=1000.0, max_lateness_ns=1 * ms), []
    clock.at(1 * ms, lambda: ran.append("tick"))
    while clock.now < 100 * ms:
        pass
    clock.settle()
    assert ran == ["tick"]
    assert clock.lateness.doubt(0, clock.now) == ""


def test_nothing_is_late_in_virtual_time(clock: VirtualClock) -> None:
    clock.every(1 * ms, lambda: sum(range(10_000)))
    clock.sleep(100 * ms)
    assert clock.lateness.doubt(0, clock.now) == ""
    assert clock.lateness.beyond_limit() == ""


def test_an_arrival_is_the_same_instant_on_the_rig_clock_and_on_that_of_the_host() -> None:
    clock = WallClock()
    first, last = clock.arrival(), clock.arrival()
    assert 0 <= first.rig_ns <= last.rig_ns <= clock.now
    assert abs((last.unix_ns - first.unix_ns) - (last.rig_ns - first.rig_ns)) <= (
        first.uncertainty_ns + last.uncertainty_ns + 2
    )


def test_before_it_sleeps_a_wall_clock_calls_who_asked_for_it_and_runs_what_they_schedule():
    clock = WallClock()
    ran = []

    def leave():
        if not ran:
            ran.append("left")
            clock.at(clock.now + 1 * ms, lambda: ran.append("scheduled"))

    end = clock.before_sleep(leave)
    clock.sleep(20 * ms)
    assert ran == ["left", "scheduled"]
    end()
    ran.clear()
    clock.sleep(1 * ms)
    assert ran == []


def test_with_slack_a_wall_clock_runs_together_what_is_due_in_one_sleep_each_at_its_own_time():
    clock = WallClock(slack_ns=10 * ms)
    begin_ns, sleeps, ran = clock.now, [], []
    clock.before_sleep(lambda: sleeps.append(len(ran)))
    for number in range(1, 9):
        clock.at(begin_ns + number * ms, lambda: ran.append(clock.now))
    clock.wait(begin_ns + 8 * ms)
    assert ran == [begin_ns + number * ms for number in range(1, 9)]
    assert sleeps == [0]


def test_a_clock_that_joins_another_says_the_same_from_then_on():
    early, late = WallClock(factor=0.5), WallClock(factor=0.5)
    early.join(Instant(40 * s, boot_ns()))
    late.join(early.since_boot())
    one, other = early.since_boot(), late.since_boot()
    passed_ns = round((other.boot_ns - one.boot_ns) * 0.5)
    assert abs(other.rig_ns - one.rig_ns - passed_ns) < 20 * us
    assert late.now >= late.began_ns >= 40 * s


def test_a_clock_is_not_turned_back():
    clock = WallClock()
    clock.join(Instant(40 * s, boot_ns()))
    with pytest.raises(ClockError, match="behind it: what has happened would come again"):
        clock.join(Instant(30 * s, boot_ns()))
