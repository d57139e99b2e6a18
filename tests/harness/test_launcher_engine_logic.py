"""The engine controller's pure logic: votes, redlines, sequences, valve travel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.units import ms
from hil_launcher.models.engine.redlines import RedlinesAsBuilt, RedlineWatch
from hil_launcher.models.engine.sequence import Sequence, Step
from hil_launcher.models.engine.states import Cause, Output, Quantity, State
from hil_launcher.models.engine.valve import Valve, ValveAsBuilt
from hil_launcher.models.engine.voting import Voter, VotingAsBuilt

VOTING = VotingAsBuilt(lowest_v=0.25, highest_v=4.75, band_v=0.2, disqualify_cycles=3, votes=True, disqualifies=True)
REDLINES = RedlinesAsBuilt.model_validate(
    {
        "cycles": 3,
        "pc_low_mpa": 8.0,
        "pc_high_mpa": 11.5,
        "turbine_temperature_high_k": 1050.0,
        "pump_speed_high_rpm": 36000.0,
        "armed": {
            "pc_low": ["MAINSTAGE"],
            "pc_high": ["MAINSTAGE"],
            "turbine_temperature_high": ["MAINSTAGE"],
            "pump_speed_high": ["MAINSTAGE"],
        },
    }
)
HEALTHY = {Quantity.PC: 10.0, Quantity.TURBINE_TEMPERATURE: 900.0, Quantity.PUMP_SPEED: 30000.0}
VALVE = ValveAsBuilt(coil_ohm=20.0, pull_in_a=0.8, drop_out_a=0.2, delay_ms=10.0, open_ms=100.0, close_ms=50.0)


# -- votes ------------------------------------------------------------------------------------------------------


@given(st.floats(0.3, 4.7), st.floats(-0.05, 0.05), st.floats(-1.0, 6.0), st.permutations([0, 1, 2]))
def test_one_bad_sensor_never_moves_the_vote_out_of_the_other_two(volts, apart, wrong, order):
    voter = Voter(VOTING)
    good = sorted([volts, min(max(volts + apart, 0.25), 4.75)])
    for _ in range(6):
        sample = [(*good, wrong)[place] for place in order]
        voted = voter.vote(sample)
        assert voted is not None
        assert good[0] - 1e-9 <= voted <= good[1] + 1e-9


def test_a_sensor_is_disqualified_after_its_number_of_odd_samples_and_not_before():
    voter = Voter(VOTING)
    for _ in range(2):
        voter.vote([3.0, 3.0, 3.5])
    voter.vote([3.0, 3.0, 3.0])
    for _ in range(2):
        voter.vote([3.0, 3.0, 3.5])
    assert voter.bad_mask == 0
    voter.vote([3.0, 3.0, 3.5])
    assert voter.bad == [False, False, True]
    assert voter.bad_mask == 0b100


def test_two_sensors_that_contradict_each_other_are_both_bad():
    voter = Voter(VOTING)
    for _ in range(3):
        voter.vote([0.0, 3.0, 3.0])
    for _ in range(3):
        voter.vote([0.0, 3.0, 3.3])
    assert voter.bad_count == 3


def test_without_a_credible_sensor_there_is_no_value():
    voter = Voter(VOTING)
    assert voter.vote([0.0, 0.0, 5.0]) is None


def test_requalified_sensors_count_again():
    voter = Voter(VOTING)
    for _ in range(3):
        voter.vote([0.0, 3.0, 3.0])
    voter.requalify()
    assert voter.bad_count == 0
    assert voter.vote([2.9, 3.0, 3.1]) == 3.0


# -- redlines ---------------------------------------------------------------------------------------------------


def test_redline_trips_at_its_number_of_consecutive_samples():
    watch = RedlineWatch(REDLINES)
    high = HEALTHY | {Quantity.PC: 12.0}
    assert [watch.sample(State.MAINSTAGE, high) for _ in range(3)] == [None, None, Cause.PC_HIGH]


@pytest.mark.parametrize("between", [(State.MAINSTAGE, HEALTHY), (State.RAMP, HEALTHY | {Quantity.PC: 12.0})])
def test_a_good_sample_or_a_phase_that_does_not_arm_begins_the_count_anew(between):
    watch = RedlineWatch(REDLINES)
    high = HEALTHY | {Quantity.PC: 12.0}
    samples = [(State.MAINSTAGE, high)] * 2 + [between] + [(State.MAINSTAGE, high)] * 2
    assert [watch.sample(*sample) for sample in samples] == [None] * 5


def test_a_quantity_without_value_trips_nothing():
    watch = RedlineWatch(REDLINES)
    for _ in range(5):
        assert watch.sample(State.MAINSTAGE, HEALTHY | {Quantity.PC: None}) is None


# -- sequences --------------------------------------------------------------------------------------------------


def test_steps_come_due_once_and_in_order():
    sequence = Sequence()
    sequence.begin(
        (Step(0.0, Output.IGNITER, True), Step(20.0, Output.MAIN_OX, True), Step(25.0, Output.IGNITER, False))
    )
    due = [[step.at_ms for step in sequence.due(elapsed_ms)] for elapsed_ms in (0.0, 10.0, 20.0, 30.0, 40.0)]
    assert due == [[0.0], [], [20.0], [25.0], []]


# -- valves -----------------------------------------------------------------------------------------------------


def test_valve_opens_after_its_delay_with_its_own_speed():
    valve = Valve(VALVE)
    assert valve.current(1.0, 0)
    assert [valve.position(time * ms) for time in (0, 10, 60, 110, 500)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert valve.rests_ns == 110 * ms


def test_valve_holds_between_pull_in_and_drop_out():
    valve = Valve(VALVE)
    assert not valve.current(0.5, 0)
    assert valve.current(0.8, 0)
    assert not valve.current(0.3, 500 * ms)
    assert valve.current(0.1, 500 * ms)
    assert valve.position(535 * ms) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 150)), min_size=1, max_size=8))
def test_valve_moves_without_jumps_however_it_is_driven(drives):
    valve, now_ns, last = Valve(VALVE), 0, 0.0
    for on, wait_ms in drives:
        valve.current(1.0 if on else 0.0, now_ns)
        for _ in range(wait_ms):
            now_ns += 1 * ms
            position = valve.position(now_ns)
            assert 0.0 <= position <= 1.0
            assert abs(position - last) <= 1.0 / VALVE.close_ms + 1e-9
            last = position
