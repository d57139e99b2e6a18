"""The range computer: what fires and what does not, who decides and when, what it believes of its trackers."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from range_world import RangeWorld, State, as_built, lost, nominal, straight

from hil.faults import Fault
from hil.units import ms, s

AFTS = {"mode": "afts"}


def held_over_land(t_s: float) -> State:
    """A flight that drifts up-range, over land, from T+10 on, climbing as it should."""
    drift_s = max(0.0, t_s - 10.0)
    good = straight(t_s)
    return good._replace(downrange_m=-1.5 * drift_s**2, v_downrange_m_s=-3.0 * drift_s)


def test_a_good_flight_fires_nothing():
    world = RangeWorld(nominal).fly(100.0)
    assert world.fired == []
    assert world.edges == {"violation": [], "key": []}


@pytest.mark.parametrize(
    ("flight", "until_s", "rule"),
    [
        (lost, 40.0, "loss_of_control"),
        (held_over_land, 40.0, "impact_point_beyond_line"),
        (straight, 60.0, "straight_up"),
    ],
)
def test_each_bad_flight_fires_its_rule_first(flight, until_s, rule):
    assert RangeWorld(flight, **AFTS).fly(until_s).fired[0] == rule


def test_lift_off_is_known_from_the_tracks_to_half_a_second():
    world = RangeWorld(nominal).fly(10.0)
    liftoff = next(record for record in world.log if record.kind == "liftoff")
    assert liftoff.values["liftoff_ms"] == pytest.approx(5_000.0, abs=500.0)
    assert liftoff.time_ms < 11_000


def test_loss_of_control_is_confirmed_for_its_time_before_it_fires():
    world = RangeWorld(lost, **AFTS).fly(40.0)
    record = next(record for record in world.log if record.kind == "rule")
    assert record.since_ms is not None
    shown_s = record.since_ms / 1e3 - 5.0
    assert shown_s == pytest.approx(20.0 + 20.0 / 9.8, abs=0.3), "20 m/s of climb are lost"
    assert world.rose_s("violation") == pytest.approx(shown_s + 2.0 + 0.3, abs=0.15), "confirmation and latency"
    assert record.tracks == (1, 2)
    assert record.values["track_1.climb_lost_m_s"] > 20.0


def test_the_computer_itself_decides_within_a_tenth_of_a_second():
    world = RangeWorld(lost, **AFTS).fly(40.0)
    assert 0.0 < world.rose_s("key") - world.rose_s("violation") <= 0.1


def test_the_selector_on_the_console_gives_the_decision_to_the_computer():
    world = RangeWorld(lost)
    world.wiring.pin("console.out").drive(28.0, 1.0)
    world.wiring.net("automatic", ["console.out", "range_safety.automatic"])
    world.fly(40.0)
    assert 0.0 < world.rose_s("key") - world.rose_s("violation") <= 0.1


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_officer_decides_within_one_to_five_seconds(seed):
    world = RangeWorld(lost, seed=seed).fly(40.0)
    assert 1.0 <= world.rose_s("key") - world.rose_s("violation") <= 5.01


def test_officers_differ_and_the_same_seed_gives_the_same_one():
    def reaction_s(seed: int) -> float:
        world = RangeWorld(lost, seed=seed).fly(40.0)
        return world.rose_s("key")

    assert reaction_s(1) == reaction_s(1) != reaction_s(2)


def test_the_key_is_pressed_once_and_the_violation_stays():
    world = RangeWorld(lost).fly(60.0)
    assert [level for _, level in world.edges["key"]] == [True, False]
    assert [level for _, level in world.edges["violation"]] == [True]
    assert [record.rule for record in world.log if record.kind == "decision"] == ["loss_of_control"]


def test_one_glitch_fires_nothing_even_on_both_tracks():
    world = RangeWorld(nominal, **AFTS).fly(30.0)
    for number in (1, 2):
        world.send(number, State(-5e4, 100.0, -500.0, -300.0))
    assert world.fly(60.0).fired == []


def test_a_glitch_followed_by_a_dropout_fires_nothing():
    world = RangeWorld(nominal, **AFTS).fly(30.0)
    world.silent = {1, 2}
    world.clock.sleep(350 * ms)
    for number in (1, 2):
        world.send(number, State(-5e4, 100.0, -500.0, -300.0))
    world.clock.sleep(1 * s)
    world.silent = set()
    assert world.fly(60.0).fired == []


@pytest.mark.parametrize("good", [1, 2])
def test_one_bad_tracker_beside_a_good_one_fires_nothing(good):
    world = RangeWorld(nominal, **AFTS)
    world.shown[3 - good] = lambda t_s: lost(t_s)
    assert world.fly(40.0).fired == []


@pytest.mark.parametrize("left", [1, 2])
def test_one_track_is_enough_after_lift_off(left):
    world = RangeWorld(lost, **AFTS).fly(15.0)
    world.silent = {3 - left}
    record = next(record for record in world.fly(40.0).log if record.kind == "rule")
    assert (record.rule, record.tracks) == ("loss_of_control", (left,))


@pytest.mark.parametrize("frozen_s", [-1.0, 15.0])
def test_a_frozen_tracker_does_not_keep_the_other_from_being_believed(frozen_s):
    world = RangeWorld(lost, **AFTS)
    still = nominal(max(0.0, frozen_s))
    world.shown[1] = lambda t_s: nominal(t_s) if t_s < frozen_s else still
    assert world.fly(40.0).fired[0] == "loss_of_control"


def test_two_tracks_on_the_pad_make_the_range_ready_and_one_does_not():
    world = RangeWorld(nominal)
    world.silent = {2}
    world.clock.sleep(2500 * ms)
    assert world.log[-1].values["ready"] == 0.0
    world.silent = set()
    world.clock.sleep(1500 * ms)
    assert (world.log[-1].values["ready"], world.log[-1].tracks) == (1.0, (1, 2))


def test_a_tracker_that_shows_another_place_makes_the_range_not_ready():
    world = RangeWorld(nominal)
    world.clock.every(100 * ms, lambda: world.send(2, State(800.0, 12.0)))
    world.silent = {2}
    world.clock.sleep(4 * s)
    assert (world.log[-1].values["ready"], world.log[-1].tracks) == (0.0, (1, 2))


@pytest.mark.parametrize(("at_s", "allowed_s"), [(10.0, 5.0), (20.0, 3.0), (40.0, 2.0)])
def test_data_loss_fires_after_the_time_of_its_table(at_s, allowed_s):
    world = RangeWorld(nominal, **AFTS).fly(at_s)
    world.silent = {1, 2}
    assert world.fly(at_s + allowed_s - 0.6).fired == []
    assert world.fly(at_s + allowed_s + 0.6).fired == ["data_loss"]
    record = next(record for record in world.log if record.kind == "rule")
    assert record.values["allowed_s"] == pytest.approx(allowed_s, abs=0.1)


def test_a_loss_of_data_that_ends_in_time_fires_nothing():
    world = RangeWorld(nominal, **AFTS).fly(30.0)
    world.silent = {1, 2}
    world.fly(31.2)
    world.silent = set()
    assert world.fly(60.0).fired == []


def test_spoilt_reports_count_as_no_reports():
    world = RangeWorld(nominal, **AFTS).fly(30.0)
    world.silent = {1, 2}
    world.clock.every(100 * ms, lambda: world.sources[1].send(bytes(36)))
    assert world.fly(35.0).fired == ["data_loss"]
    assert world.log[-1].values["refused_reports"] > 20


def test_reports_without_a_solution_are_no_tracks():
    world = RangeWorld(nominal, **AFTS).fly(30.0)
    world.silent = {1, 2}
    world.clock.every(100 * ms, lambda: world.send(1, nominal(30.0), quality=0))
    assert world.fly(35.0).fired == ["data_loss"]


def test_nothing_fires_before_the_range_is_armed():
    assert RangeWorld(lost, mode="afts", arms_at_s=30.0).fly(29.0).fired == []
    assert RangeWorld(lost, mode="afts", arms_at_s=30.0).fly(32.0).fired != []


@pytest.mark.parametrize(("height_m", "fired"), [(500.0, []), (50_000.0, ["data_loss"])])
def test_authority_ends_only_when_time_and_height_agree(height_m, fired):
    world = RangeWorld(nominal, mode="afts", safing__time_s=30.0, safing__height_m=height_m).fly(32.0)
    assert [record.kind for record in world.log].count("safed") == (0 if fired else 1)
    world.silent = {1, 2}
    assert world.fly(40.0).fired == fired


def test_a_second_rule_is_logged_and_decides_nothing_again():
    world = RangeWorld(lost, rules__data_loss__allowed_s=[0.5] * 5).fly(26.0)
    world.silent = {1, 2}
    world.fly(60.0)
    assert len(world.fired) >= 2
    assert [record.kind for record in world.log].count("decision") == 1


def test_without_supply_it_opens_its_outputs_and_forgets():
    world = RangeWorld(lost, **AFTS).fly(40.0)
    world.supply.release()
    world.clock.sleep(2 * s)
    assert [level for _, level in world.edges["violation"]] == [True, False]
    heard = len(world.log)
    world.clock.sleep(2 * s)
    assert len(world.log) == heard


def test_a_halted_computer_decides_nothing():
    world = RangeWorld(lost, **AFTS).fly(15.0)
    world.computer.apply(Fault("range_safety", "cpu_halt"))
    assert world.fly(40.0).edges == {"violation": [], "key": []}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"rules__position_beyond_line__line": "fligt_limit"}, "is no line; lines are flight_limit"),
        ({"rules__position_beyond_line__reports": 2}, "greater than or equal to 3"),
        ({"lines__flight_limit__north_m": [0.0, 1.0]}, "a line has three corners or more"),
        ({"mode": "nobody"}, "'afts' or 'officer'"),
    ],
)
def test_rules_that_cannot_work_are_refused(change, complaint):
    with pytest.raises(ValidationError, match=complaint):
        as_built(**change)
