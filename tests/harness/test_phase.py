"""Transport delay of the rig as phase at the bending modes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.clock import VirtualClock
from hil.errors import HilError
from hil.phase import Loopback, ModePhase, judge, measure_loopback, phase_deg
from hil.units import ms, s, us

MODES = {"first bending": 2.5, "second bending": 6.0}
delays = st.integers(0, 1 * s)
frequencies = st.floats(0.01, 100.0)


@given(st.integers(1, 1000), frequencies)
def test_a_delay_of_whole_periods_is_a_whole_number_of_turns(periods: int, frequency_hz: float) -> None:
    assert phase_deg(periods * s / frequency_hz, frequency_hz) == pytest.approx(360.0 * periods)


@given(delays, delays, frequencies)
def test_lags_of_delays_in_a_row_add_up(one_ns: int, other_ns: int, frequency_hz: float) -> None:
    both = phase_deg(one_ns, frequency_hz) + phase_deg(other_ns, frequency_hz)
    assert phase_deg(one_ns + other_ns, frequency_hz) == pytest.approx(both)


@given(st.lists(st.tuples(st.integers(0, 10 * ms), delays), min_size=1, max_size=30))
def test_answers_belong_to_commands_in_order(exchanges: list[tuple[int, int]]) -> None:
    loopback, now = Loopback(), 0
    for idle_ns, delay_ns in exchanges:
        now += idle_ns
        loopback.sent(now)
        now += delay_ns
        loopback.came(now)
    assert loopback.samples_ns == [delay_ns for _, delay_ns in exchanges]
    assert loopback.unanswered == 0


@given(st.lists(delays, min_size=1, max_size=300), st.floats(0.01, 1.0))
def test_the_delay_of_a_fraction_covers_it(samples_ns: list[int], fraction: float) -> None:
    found_ns = Loopback(samples_ns).delay_ns(fraction)
    assert found_ns in samples_ns
    assert sum(sample <= found_ns for sample in samples_ns) >= fraction * len(samples_ns)


def test_of_few_samples_the_worst_is_judged() -> None:
    assert Loopback([1 * ms, 9 * ms, 2 * ms]).delay_ns() == 9 * ms


def test_several_commands_may_be_on_their_way() -> None:
    loopback = Loopback()
    for at_ns in (0, 1 * ms, 2 * ms):
        loopback.sent(at_ns)
    loopback.came(3 * ms)
    assert (loopback.samples_ns, loopback.unanswered) == ([3 * ms], 2)


def test_a_delay_within_the_budget_leaves_verdicts_alone() -> None:
    assert judge(Loopback([5 * ms]).phases(MODES), budget_deg=11.0) == ""


def test_a_delay_beyond_the_budget_names_the_modes_and_by_how_much() -> None:
    reason = judge(Loopback([5 * ms]).phases(MODES), budget_deg=10.0)
    assert "turns second bending (6 Hz) by 10.8 deg, its phase budget is 10 deg" in reason
    assert "first bending" not in reason


def test_a_lag_that_is_no_number_is_over_any_budget() -> None:
    assert "nan deg" in judge([ModePhase("slosh", 0.5, math.nan)], budget_deg=180.0)


def test_without_an_answer_the_delay_is_not_known() -> None:
    loopback = Loopback()
    loopback.sent(0)
    with pytest.raises(HilError, match="no answer came, so that the transport delay is not known"):
        loopback.phases(MODES)
    assert loopback.describe() == "no sample, 1 commands unanswered"


def test_an_answer_without_a_command_or_before_it_is_refused() -> None:
    loopback = Loopback()
    with pytest.raises(HilError, match="no command waits for one"):
        loopback.came(1)
    loopback.sent(5)
    with pytest.raises(HilError, match="2 ns before its command"):
        loopback.came(3)


def test_a_measurement_is_described_in_one_line() -> None:
    found = Loopback([100 * us] * 99 + [2 * ms])
    assert found.describe() == "100 samples, median 100 us, 99% within 100 us, worst 2 ms, 0 unanswered"


class Sampled:
    """An article that looks at its command every 10 ms and answers 3 ms later, but never to the seventh."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.number, self.answers = clock, -1, {}
        clock.every(10 * ms, self._look)

    def _look(self) -> None:
        number = self.number
        if number not in (-1, 7):
            self.clock.at(self.clock.now + 3 * ms, lambda: self.answers.setdefault(number, self.clock.now))


def test_a_loopback_measurement_sees_the_sampling_of_the_loop_at_every_place_in_its_period() -> None:
    clock = VirtualClock()
    article = Sampled(clock)

    found = measure_loopback(
        clock,
        lambda number: setattr(article, "number", number),
        article.answers.get,
        period_ns=10 * ms,
        tries=10,
    )

    assert sorted(found.samples_ns) == sorted((13 - k) * ms for k in range(10) if k != 7)
    assert found.unanswered == 1
