"""Signals and the grammar: seen, expect, stays, always; marks and stale data."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.clock import VirtualClock
from hil.errors import HilError
from hil.signal import HIGH, LOW, Check, Condition, Monitor, NotSeenError, Signal, Timeline
from hil.units import ms, s


class Bench:
    """A clock, a timeline that keeps its checks, and signals."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.checks: list[Check] = []
        self.timeline = Timeline(self.clock, on_check=self.checks.append)

    def sampled(self, *samples: tuple[int, float], max_age_ns: int | None = None) -> Signal[float]:
        signal: Signal[float] = Signal("engine.pc", "bar", self.timeline, max_age_ns=max_age_ns)
        for at, value in samples:
            self.clock.at(at, lambda value=value: signal.put(value))
        return signal

    def pin(self, *edges: tuple[int, bool]) -> Signal[bool]:
        signal: Signal[bool] = Signal("fts_a.arm", "", self.timeline, held=True)
        signal.put(LOW)
        for at, level in edges:
            self.clock.at(at, lambda level=level: signal.put(level))
        return signal


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_expect_gives_the_value_and_its_time(bench: Bench) -> None:
    pc = bench.sampled((10 * ms, 1.0), (20 * ms, 60.0))
    reading = pc.expect(above=50.0, within=100 * ms)
    assert (reading.value, reading.at, reading.unit) == (60.0, 20 * ms, "bar")
    assert bench.clock.now == 20 * ms


def test_a_failed_expect_says_what_was_awaited_what_was_seen_last_and_when(bench: Bench) -> None:
    pc = bench.sampled((10 * ms, 1.0), (20 * ms, 42.5))
    with pytest.raises(NotSeenError) as failure:
        pc.expect(above=50.0, within=100 * ms)
    assert str(failure.value) == (
        "engine.pc: awaited > 50 bar within 100 ms after the mark at 0.000000000 s; "
        "seen last: 42.5 bar at 0.020000000 s (now 0.100000000 s)"
    )


def test_stale_data_does_not_pass(bench: Bench) -> None:
    pc = bench.sampled((10 * ms, 60.0))
    bench.clock.sleep(50 * ms)
    bench.timeline.stimulus("engine: START")
    with pytest.raises(NotSeenError, match=r"60 bar at 0\.010000000 s, which is older than the mark"):
        pc.expect(above=50.0, within=100 * ms)


def test_a_sample_that_was_produced_before_the_mark_and_arrives_after_it_is_stale(bench: Bench) -> None:
    pc = bench.sampled()
    bench.clock.at(51 * ms, lambda: pc.put(60.0, produced_ns=49 * ms))
    bench.clock.sleep(50 * ms)
    bench.timeline.stimulus("engine: START")
    assert not pc.seen(above=50.0, within=100 * ms)


def test_what_came_between_mark_and_question_counts(bench: Bench) -> None:
    pc = bench.sampled((10 * ms, 60.0))
    bench.clock.sleep(50 * ms)
    assert pc.seen(above=50.0, within=1 * ms)


def test_since_replaces_the_mark(bench: Bench) -> None:
    pc = bench.sampled((10 * ms, 60.0))
    bench.clock.sleep(50 * ms)
    bench.timeline.stimulus("engine: START")
    assert pc.expect(above=50.0, within=1 * ms, since=0).at == 10 * ms


def test_a_pin_that_is_high_at_the_mark_is_high_since_the_mark(bench: Bench) -> None:
    arm = bench.pin((10 * ms, HIGH))
    bench.clock.sleep(50 * ms)
    bench.timeline.stimulus("something")
    assert arm.expect(HIGH, within=1 * ms).at == 50 * ms


def test_a_pulse_between_two_looks_is_seen(bench: Bench) -> None:
    arm = bench.pin((10 * ms, HIGH), (11 * ms, LOW))
    assert arm.seen(HIGH, within=100 * ms)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_satisfies_nothing(value: float) -> None:
    for condition in (Condition(value), Condition(below=1e9), Condition(above=-1e9), Condition(lambda _: True)):
        assert not condition.holds(value)


@given(st.floats(), st.floats(), st.floats())
def test_a_condition_means_its_bounds(value: float, below: float, above: float) -> None:
    expected = math.isfinite(value) and above < value < below
    assert Condition(below=below, above=above).holds(value) == expected


def test_a_condition_of_nothing_is_refused() -> None:
    with pytest.raises(HilError, match="needs a value, a predicate, below= or above="):
        Condition()


@pytest.fixture
def state(bench: Bench) -> Signal[str]:
    return Signal("engine.state", "", bench.timeline, choices=["STANDBY", "IGNITION", "MAINSTAGE"])


@pytest.mark.parametrize("ask", ["seen", "expect", "stays", "always"])
def test_a_state_that_does_not_exist_is_refused_with_the_nearest(bench: Bench, state: Signal[str], ask: str) -> None:
    asked = {
        "seen": lambda: state.seen("MAINSTGE", within=1 * ms),
        "expect": lambda: state.expect("MAINSTGE", within=1 * ms),
        "stays": lambda: state.stays("MAINSTGE", for_=1 * ms),
        "always": lambda: Monitor(state, Condition("MAINSTGE"), bench.timeline),
    }
    with pytest.raises(
        HilError, match=r"engine\.state is asked for = MAINSTGE, which it never is; did you mean MAINSTAGE"
    ):
        asked[ask]()
    assert (bench.checks, bench.clock.now) == ([], 0)


def test_a_state_has_no_bounds(state: Signal[str]) -> None:
    with pytest.raises(HilError, match=r"is asked for > 1, which it never is; known are IGNITION, MAINSTAGE, STANDBY"):
        state.seen(above=1.0, within=1 * ms)


def test_a_state_may_be_asked_for_by_a_predicate(bench: Bench, state: Signal[str]) -> None:
    bench.clock.at(1, lambda: state.put("IGNITION"))
    assert state.seen(lambda value: value.startswith("IGN"), within=1 * ms)


def test_stays_holds_when_every_sample_does(bench: Bench) -> None:
    pc = bench.sampled(*((n * 10 * ms, 60.0) for n in range(20)))
    assert pc.stays(above=50.0, for_=100 * ms)
    assert bench.clock.now == 100 * ms


def test_stays_ends_at_the_first_violation_and_puts_it_on_record(bench: Bench) -> None:
    arm = bench.pin((30 * ms, HIGH))
    assert arm.stays(LOW, for_=1 * s) is False
    assert bench.clock.now == 30 * ms
    assert (bench.checks[0].passed, bench.checks[0].seen) == (False, "HIGH at 0.030000000 s")


def test_a_signal_that_says_nothing_does_not_stay(bench: Bench) -> None:
    assert bench.sampled().stays(above=0.0, for_=1 * s) is False
    assert bench.checks[0].seen == "never seen"


def test_a_signal_that_is_lost_does_not_stay(bench: Bench) -> None:
    pc = bench.sampled((10 * ms, 60.0), max_age_ns=100 * ms)
    assert pc.stays(above=50.0, for_=1 * s) is False
    assert bench.checks[0].seen == "lost: no sample for 990 ms"


def test_always_watches_whatever_the_test_does(bench: Bench) -> None:
    arm = bench.pin((30 * ms, HIGH), (31 * ms, LOW))
    monitor = Monitor(arm, Condition(LOW), bench.timeline)
    bench.clock.sleep(1 * s)
    assert monitor.close() is False
    assert monitor.violation is not None
    assert monitor.violation.at == 30 * ms


def test_every_expect_stays_and_always_is_on_record(bench: Bench) -> None:
    arm = bench.pin((30 * ms, HIGH))
    with Monitor(arm, Condition(LOW), bench.timeline):
        arm.expect(HIGH, within=1 * s)
    arm.stays(HIGH, for_=1 * s)
    assert [(check.form, check.passed) for check in bench.checks] == [
        ("expect", True),
        ("always", False),
        ("stays", True),
    ]


def test_history_gives_the_samples_of_a_span(bench: Bench) -> None:
    pc = bench.sampled((10 * ms, 1.0), (20 * ms, 2.0), (30 * ms, 3.0))
    bench.clock.sleep(1 * s)
    assert [reading.value for reading in pc.history(20 * ms, 30 * ms)] == [2.0, 3.0]


def test_samples_come_in_order(bench: Bench) -> None:
    pc = bench.sampled()
    pc.put(1.0, produced_ns=10)
    with pytest.raises(HilError, match="came after one of"):
        pc.put(2.0, produced_ns=5)
