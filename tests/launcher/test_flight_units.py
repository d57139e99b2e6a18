"""The flight computer, its buses and its units in flight: what is lost or wrong, and what the others make of it.

The reactions are those of the interface control document. The vehicle's attitude is judged while it is pushed in
pitch and yaw: a vehicle that nobody controls would leave its limit.
"""

from __future__ import annotations

import pytest

from hil.signal import HIGH
from hil.units import ms, s

BUS_A_LOST = {"open": ("bus_a.fc", "open"), "short": ("bus_a", "corrupt")}
HEARTBEAT = 0x080
WRONG = {
    "frozen": {"kind": "frozen"},
    "sign_flipped": {"kind": "sign_flipped"},
    "swapped": {"kind": "swapped", "axes": "xy"},
}


def silence(rig, article):
    """Let an article go on working without a frame of its own on either bus; the faults, to be cleared."""
    return [rig.inject(f"{bus}.{article}", "silent") for bus in rig.buses]


def largest(ascent, truth, over_ns):
    """The largest magnitude of a truth of the vehicle in the last so many ns; a model input."""
    return max(abs(reading.value) for reading in ascent.truth(truth).history(ascent.rig.clock.now - over_ns))


@pytest.mark.requirement("AV-R-40")
@pytest.mark.measures("avionics.bus_change", "flight.attitude_error")
@pytest.mark.parametrize("how", BUS_A_LOST)
def test_loss_of_bus_a_in_flight(how, ascent, avionics, gimbals, push, rig, measure):
    """Every gimbal listens to bus B in time, the flight computer reads its units there, and the vehicle is held."""
    ascent.fly_to(1 * s)
    target, kind = BUS_A_LOST[how]
    lost_ns = rig.inject(target, kind).fault.onset_ns
    changed = [gimbal.bus_in_use.expect("B", within=300 * ms) for gimbal in gimbals.values()]
    measure("avionics.bus_change", max(reading.at - lost_ns for reading in changed) / ms, "ms")
    avionics.bus_in_use.expect("B", within=500 * ms)
    measure("flight.attitude_error", push(3 * s), "deg")


@pytest.mark.requirement("AV-R-41")
@pytest.mark.measures("avionics.bus_change", "flight.attitude_error")
def test_heartbeat_lost_on_either_bus_alone(ascent, avionics, gimbals, push, rig, measure):
    """Without A units change to bus B, without B they are on A; engines burn on, the computer stays on bus A."""
    ascent.fly_to(1 * s)
    with rig.inject("bus_a", "drop", id=HEARTBEAT) as lost:
        changed = [gimbal.bus_in_use.expect("B", within=300 * ms) for gimbal in gimbals.values()]
        measure("avionics.bus_change", max(reading.at - lost.fault.onset_ns for reading in changed) / ms, "ms")
        measure("flight.attitude_error", push(2 * s), "deg")
        avionics.bus_in_use.expect("A", within=500 * ms)

    rig.inject("bus_b", "drop", id=HEARTBEAT)
    for gimbal in gimbals.values():
        gimbal.bus_in_use.expect("A", within=300 * ms)
    measure("flight.attitude_error", push(2 * s), "deg")
    avionics.bus_in_use.expect("A", within=500 * ms)
    avionics.engines_lost.expect(0, within=500 * ms)


@pytest.mark.requirement("AV-R-42")
@pytest.mark.measures("flight.attitude_error")
def test_silent_imu_is_left_out_while_it_is_silent(ascent, avionics, push, rig, measure):
    """Without the frames of one inertial unit the other two fly the vehicle; when it speaks again it is used again."""
    ascent.fly_to(1 * s)
    faults = silence(rig, "imu_2")
    avionics.imu_ok.expect(0b101, within=200 * ms)
    measure("flight.attitude_error", push(2 * s), "deg")
    for fault in faults:
        fault.clear()
    avionics.imu_ok.expect(0b111, within=200 * ms)


@pytest.mark.requirement("AV-R-42")
@pytest.mark.measures("flight.altitude_error", "flight.attitude_error")
def test_silent_gnss_receiver_is_not_missed(ascent, avionics, push, rig, measure):
    """Without the frames of one receiver navigation goes on with the other."""
    ascent.fly_to(1 * s)
    silence(rig, "gnss_1")
    measure("flight.attitude_error", push(3 * s), "deg")
    altitude = avionics.altitude_m.expect(lambda _: True, within=200 * ms)
    measure("flight.altitude_error", abs(altitude.value - ascent.now("altitude_m")), "m")


@pytest.mark.requirement("AV-R-42")
@pytest.mark.measures("flight.attitude_error")
def test_gimbal_without_status_is_not_counted_on(ascent, gimbals, push, rig, profile, measure):
    """A gimbal that says nothing is sent to its centre, and the other eight answer a push without it."""
    still = profile.value("tvc.sign_of_motion", "deg")
    ascent.fly_to(1 * s)
    silence(rig, "gimbal_3")
    rig.clock.sleep(300 * ms)
    measure("flight.attitude_error", push(2 * s), "deg")
    answers = {n: largest(ascent, f"gimbal_{n}_z_deg", 2 * s) for n in gimbals}
    assert [n for n, answer in answers.items() if answer <= still] == [3]


@pytest.mark.requirement("AV-R-42")
@pytest.mark.measures("flight.attitude_error")
def test_engine_without_status_counts_as_lost_and_burns_on(ascent, avionics, push, rig, profile, measure):
    """An engine that says nothing is reported lost while that lasts; nobody shuts it down, and control is kept."""
    ascent.fly_to(1 * s)
    faults = silence(rig, "engine_4")
    avionics.engines_lost.expect(1 << 3, within=400 * ms)
    measure("flight.attitude_error", push(2 * s), "deg")
    assert ascent.now("thrust_4_n") > profile.value("flight.sign_of_thrust", "N")
    for fault in faults:
        fault.clear()
    avionics.engines_lost.expect(0, within=400 * ms)


@pytest.mark.requirement("AV-R-43")
@pytest.mark.measures("imu.disqualification", "flight.attitude_error")
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_imu_is_taken_out(wrong, ascent, avionics, push, rig, measure):
    """A frozen, a sign-flipped, an exchanged unit is taken out in time and for good, and the vehicle is held."""
    ascent.fly_to(1 * s)
    with rig.inject("imu_1", **WRONG[wrong]) as injected:
        taken_out = avionics.imu_ok.expect(0b110, within=1 * s)
        measure("imu.disqualification", (taken_out.at - injected.fault.onset_ns) / ms, "ms")
        measure("flight.attitude_error", push(2 * s), "deg")
    assert avionics.imu_ok.stays(0b110, for_=500 * ms)


@pytest.mark.requirement("AV-R-43")
@pytest.mark.measures("flight.attitude_error")
def test_gyros_of_the_wrong_sign_are_found_out_when_the_vehicle_rolls(ascent, avionics, rig, measure):
    """What cannot be seen while nothing turns is seen early in the roll manoeuvre, and the vehicle is held."""
    rig.inject("imu_3", "sign_flipped", quantity="rate")
    avionics.commanded_roll_deg.expect(above=0.0, within=15 * s)
    avionics.imu_ok.expect(0b011, within=1 * s)
    begun_ns = rig.clock.now - ascent.t0_ns
    rig.clock.sleep(2 * s)
    measure("flight.attitude_error", ascent.largest_attitude_error_deg(0, begun_ns + 2 * s), "deg")


@pytest.mark.requirement("AV-R-44")
@pytest.mark.measures("flight.believed_attitude_error")
def test_two_imus_wrong_alike_are_believed_and_range_safety_ends_the_flight(
    ascent, avionics, range_safety, rig, profile, measure
):
    """Two gyros with one bias outvote the right one: nothing on board notices, and a rule of the range fires."""
    for unit in ("imu_1", "imu_2"):  # at one instant: a first one alone would be outvoted
        rig.inject(unit, "offset", at=ascent.at(4 * s), axis="y", rate_deg_s=3.0)
    ascent.fly_to(4 * s)
    avionics.imu_ok.expect(0b011, within=1 * s)
    ascent.attitude_error_deg.expect(above=profile.value("flight.attitude_is_lost", "deg"), within=5 * s)
    range_safety.violation.expect(HIGH, within=15 * s)
    measure("flight.believed_attitude_error", abs(avionics.error_pitch_deg.last.value), "deg")
