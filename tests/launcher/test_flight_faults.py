"""What breaks in flight: engines, gimbals, the power of an axis, the flight computer; and what becomes of the vehicle.

Where the vehicle is and points to is a model input; what an article does is judged at its pins; what it says is
compared beside them.
"""

from __future__ import annotations

import math

import pytest

from hil.signal import HIGH, LOW
from hil.units import ms, s
from hil_launcher.clients.ascent import ENGINES
from hil_launcher.clients.footprint import Dispersion
from hil_launcher.clients.gimbals import Gimbal

LOST = 3  # the engine that is lost: on the ring, at +z
STUCK = 2  # the engine whose gimbal sticks: on the ring, off both axes


def positions_deg(ascent):
    """Where the nine gimbals are now, about y and z [deg]; a model input."""
    return [ascent.now(f"gimbal_{number}_{axis}_deg") for number in ENGINES for axis in "yz"]


# -- engines and gimbals ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("AV-R-30", "AV-R-31", "AV-R-10")
@pytest.mark.measures("fault.engine_loss_reported", "fault.drift_at_the_mast", "fault.attitude_error_left")
def test_engine_out_at_lift_off_is_noticed_and_clears_the_mast(grounded_ascent, pad, avionics, profile, measure):
    """A fuel valve loses its current as the vehicle leaves: the computer says which engine, and flies on with eight."""
    ascent = grounded_ascent
    ascent.fault_on("liftoff", "open", target=f"engine_{LOST}_main_fuel")
    pad.lift_off(ascent)
    told = avionics.engines_lost.expect(1 << (LOST - 1), within=2 * s)
    measure("fault.engine_loss_reported", (told.at - ascent.occurred("liftoff").at) / ms, "ms")

    cleared = ascent.altitude_m.expect(above=profile.value("flight.mast_height", "m"), within=12 * s)
    measure("fault.drift_at_the_mast", math.hypot(ascent.now("downrange_m"), ascent.now("crossrange_m")), "m")
    measure("flight.attitude_error", ascent.largest_attitude_error_deg(0, cleared.at - ascent.t0_ns), "deg")
    measure("fault.attitude_error_left", ascent.attitude_error_deg.last.value, "deg")
    assert avionics.engines_lost.last.value == 1 << (LOST - 1)


@pytest.mark.requirement("AV-R-30", "AV-R-10")
@pytest.mark.measures("fault.engine_loss_reported", "flight.attitude_error", "fault.attitude_error_left")
def test_engine_out_at_t_plus_15_leaves_the_vehicle_on_its_programme(ascent, avionics, range_safety, always, measure):
    """With roll manoeuvre and pitch programme under way an engine is lost: noticed, trimmed out, no rule fires."""
    always(range_safety.violation, LOW)
    ascent.fault("open", target=f"engine_{LOST}_main_fuel", at=ascent.at(15 * s))
    ascent.fly_to(15 * s)
    told = avionics.engines_lost.expect(1 << (LOST - 1), within=2 * s)
    measure("fault.engine_loss_reported", (told.at - ascent.at(15 * s)) / ms, "ms")

    ascent.fly_to(19 * s)
    measure("flight.attitude_error", ascent.largest_attitude_error_deg(15 * s, 19 * s), "deg")
    measure("fault.attitude_error_left", ascent.attitude_error_deg.last.value, "deg")
    assert ascent.truth("v_up_m_s").stays(above=ascent.now("v_up_m_s"), for_=500 * ms)  # it still gains climb


@pytest.mark.requirement("AV-R-32", "AV-R-10")
@pytest.mark.measures("fault.gimbal_reported", "flight.attitude_error", "fault.attitude_error_left")
def test_gimbal_that_stands_still_off_its_command_is_trimmed_out(ascent, rig, measure):
    """An actuator runs to 4 deg and stays there: it is reported frozen, and the other eight hold the vehicle."""
    ascent.fly_to(1 * s)
    ascent.fault("gimbal_hard_over", engine=STUCK, axis="pitch", angle_deg=4.0)
    onset_ns = rig.clock.now

    told = rig.device(f"gimbal_{STUCK}", Gimbal).state.expect("FROZEN", within=1 * s)
    measure("fault.gimbal_reported", (told.at - onset_ns) / ms, "ms")
    ascent.fly_to(5 * s)
    measure("flight.attitude_error", ascent.largest_attitude_error_deg(1 * s, 5 * s), "deg")
    measure("fault.attitude_error_left", ascent.attitude_error_deg.last.value, "deg")


# -- the flight computer ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("AV-R-33", "ENG-R-08")
@pytest.mark.measures("engine.heartbeat_loss_in_mainstage", "fault.gimbal_drift")
def test_without_flight_computer_gimbals_stand_and_engines_stop(ascent, pad, avionics, icd, measure):
    """A flight computer loses its power: every gimbal holds its last command, until the engines miss the heartbeat."""
    ascent.fault("engine_fails", engine=LOST)  # so that the gimbals stand somewhere
    ascent.fly_to(1500 * ms)
    ascent.fault("dead", target="fc")
    ascent.rig.clock.sleep(100 * ms)
    beat, held_deg = avionics.phase.last, positions_deg(ascent)

    off = pad.valve_current_a.expect(below=icd.off_a, within=4 * s)
    measure("engine.heartbeat_loss_in_mainstage", (off.at - beat.at) / ms, "ms")
    drift_deg = max(abs(now - then) for now, then in zip(positions_deg(ascent), held_deg, strict=True))
    measure("fault.gimbal_drift", drift_deg, "deg")


@pytest.mark.requirement("RNG-R-11", "FTS-R-40", "AV-R-33")
@pytest.mark.measures("engine.heartbeat_loss_in_mainstage", "range.rule_to_decision_officer")
def test_range_ends_the_flight_of_a_halted_flight_computer(
    ascent, pad, avionics, range_safety, receivers, icd, measure
):
    """Its engines stop, the vehicle loses its climb: a rule fires, the range keys, both receivers act for good."""
    ascent.fault("cpu_halt", target="fc", at=ascent.at(8 * s))
    ascent.fly_to(8100 * ms)
    off = pad.valve_current_a.expect(below=icd.off_a, within=4 * s)
    measure("engine.heartbeat_loss_in_mainstage", (off.at - avionics.phase.last.at) / ms, "ms")

    violated = range_safety.violation.expect(HIGH, within=20 * s)
    keyed = range_safety.key.expect(HIGH, within=6 * s)
    measure("range.rule_to_decision_officer", (keyed.at - violated.at) / ms, "ms")
    assert ascent.now("impacted") == 0.0, "the command comes after the fall"
    for receiver in receivers:
        receiver.terminate_output.expect(HIGH, within=500 * ms)
    assert pad.valve_current_a.stays(below=icd.off_a, for_=200 * ms)


# -- loss of an axis -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("RNG-R-10", "RNG-R-24", "RNG-R-30", "FTS-R-40")
@pytest.mark.measures("range.rule_to_decision_afts", "range.rule_to_thrust_off", "range.footprint_margin")
@pytest.mark.parametrize("axis", ["pitch", "yaw"])
def test_lost_axis_is_cut_while_the_footprint_is_clear(ascent, range_safety, geometry, profile, measure, axis):
    """All gimbals lose the power of an axis: the range's computer decides, nothing falls beyond the impact limit."""
    range_safety.decide_automatically()
    ascent.fault("tvc_power_loss", axis=axis, at=ascent.at(5 * s))
    violated = range_safety.violation.expect(HIGH, within=60 * s)
    keyed = range_safety.key.expect(HIGH, within=6 * s)
    ended = ascent.thrust_n.expect(below=ascent.gone_thrust_n, within=2 * s)
    measure("range.rule_to_decision_afts", (keyed.at - violated.at) / ms, "ms")
    measure("range.rule_to_thrust_off", (ended.at - violated.at) / ms, "ms")

    footprint = ascent.footprint(Dispersion.of(profile))  # of the fall that begins now
    measure("range.footprint_margin", footprint.margin_m(geometry.impact_limit), "m")
    is_lost_deg = profile.value("flight.attitude_is_lost", "deg")  # it was lost, and not cut before
    assert ascent.largest_attitude_error_deg(5 * s, violated.at - ascent.t0_ns) > is_lost_deg
