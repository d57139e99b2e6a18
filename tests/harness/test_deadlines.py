"""Deadlines and holds: what counts, what does not, what is refused; and deadlines in rig time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.clock import VirtualClock
from hil.errors import ConfigError
from hil.rig.loader import load_rig
from hil.rig.time_limits import TimeLimits
from hil.safety.deadlines import Deadlines
from hil.safety.errors import OverdueError
from hil.safety.holds import Holds
from hil.units import s


def deadlines(allowed_s: float | None = 60.0, **in_phase_s: float) -> Deadlines:
    return Deadlines("test", allowed_s, in_phase_s, phase="powered", now_ns=0)


def test_a_deadline_is_over_at_its_instant():
    assert deadlines().over(60 * s - 1) == ""
    assert deadlines().over(60 * s) == "test is over its deadline of 60 s"


def test_the_deadline_that_came_first_is_named():
    found = deadlines(armed=10.0)
    found.enter("armed", 45 * s)
    assert found.over(100 * s) == "test is over its deadline of 10 s in phase armed"


def test_a_phase_that_is_left_has_no_deadline_and_one_that_is_entered_again_has_a_new_one():
    found = deadlines(armed=10.0)
    found.enter("armed", 1 * s)
    found.enter("powered", 9 * s)
    assert found.due_ns == 60 * s
    found.enter("armed", 20 * s)
    assert found.due_ns == 30 * s


def test_to_enter_the_same_phase_again_gains_no_time():
    found = deadlines(armed=10.0)
    found.enter("armed", 1 * s)
    found.enter("armed", 9 * s)
    assert found.due_ns == 11 * s


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=8))
def test_holds_never_take_more_than_their_sum_and_put_a_deadline_off_by_what_they_took(steps: list[tuple[int, int]]):
    holds, found, now, took = Holds(8.0, 20.0), deadlines(), 0, 0
    for before_s, held_s in steps:
        now += before_s * s
        if holds.declare("look", None, now):
            assert took == 20 * s
            continue
        while not holds.over(now) and held_s:
            now, took, held_s = now + s, took + s, held_s - 1
        found.put_off(holds.resume(now), now)
        assert not holds
    assert took <= 20 * s
    assert found.due_ns == 60 * s + took


def test_a_phase_that_was_entered_during_a_hold_is_put_off_by_its_own_part_of_it():
    found = deadlines(armed=10.0)
    found.enter("armed", 15 * s)
    found.put_off(10 * s, 20 * s)
    assert found.due_ns == 30 * s


def test_a_hold_in_a_hold_ends_before_it():
    holds = Holds(8.0, 20.0)
    assert not holds.declare("the test", None, 0)
    assert not holds.declare("a debugger", None, s)
    assert holds.resume(2 * s) == 0
    assert holds
    assert holds.resume(3 * s) == 3 * s
    assert not holds


def test_what_is_left_of_the_sum_is_all_that_may_be_asked_for():
    holds = Holds(8.0, 10.0)
    holds.declare("one", 8.0, 0)
    holds.resume(8 * s)
    assert "allows 2 s (safety.hold_sum_s, less those before)" in holds.declare("two", 3.0, 8 * s)
    assert holds.declare("two", 2.0, 8 * s) == ""


def test_when_the_sum_is_used_up_even_a_hold_without_a_length_is_refused():
    holds = Holds(8.0, 8.0)
    holds.declare("one", None, 0)
    holds.resume(8 * s)
    assert "took 8 s, and the rig file allows no more (safety.hold_sum_s)" in holds.declare("two", None, 8 * s)
    assert not holds


# -- in rig time ------------------------------------------------------------------------------------------------


def test_a_deadline_ends_a_wait_in_rig_time_and_each_wait_after_it():
    clock = VirtualClock()
    limits = TimeLimits(clock)
    limits.begin("test", 5.0, {}, "powered")
    for expected in (5 * s, 5 * s + 1):
        with pytest.raises(OverdueError, match="test is over its deadline of 5 s of rig time"):
            clock.sleep(10 * s)
        assert clock.now == expected
    limits.end()
    clock.sleep(10 * s)


def test_a_phase_has_its_deadline_in_rig_time_and_a_hold_does_not_count():
    clock = VirtualClock()
    limits = TimeLimits(clock)
    limits.begin("test", None, {"armed": 2.0}, "powered")
    clock.sleep(10 * s)
    limits.enter("armed")
    limits.hold()
    clock.sleep(10 * s)
    limits.resume()
    clock.sleep(1 * s)
    with pytest.raises(OverdueError, match="in phase armed"):
        clock.sleep(1 * s)


def test_nothing_is_scheduled_where_no_deadline_is_declared():
    clock = VirtualClock()
    TimeLimits(clock).begin("test", None, {}, "powered")
    assert clock.idle


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("deadline_max_s = 10.0", "deadline_max_s = 10 is below deadline_s = 600"),
        ("hold_sum_s = 10.0", "hold_sum_s = 10 is below hold_s = 3600"),
        ("phase_deadline_s = { armd = 10.0 }", "armd"),
        ("phase_deadline_s = { armed = 0.0 }", "greater than 0"),
    ],
)
def test_times_that_contradict_each_other_are_refused(tmp_path, line, said):
    (tmp_path / "rig.toml").write_text(f'[rig]\nname = "r"\n[safety]\n{line}\n')
    with pytest.raises(ConfigError, match=said):
        load_rig(tmp_path / "rig.toml")
