"""Polarity and mapping, from command to motion and from motion to report: every axis, every actuator, by the ICD.

What is sent is typed from the interface control document byte by byte, and what must come of it is its sign table.
The rig stands in for the flight computer, whose software is halted; the last test asks the flight computer itself.
"""

from __future__ import annotations

import pytest

from hil.units import ms, s

# Each frame asks one more axis for +2.0 deg (500 counts, 0x1F4); identifier, data, counter and CRC as in the ICD.
COMMANDS = [
    ("gimbal_1_y_deg", 0x090, "F4 01 00 00 00 00 00 C8"),
    ("gimbal_1_z_deg", 0x090, "F4 41 1F 00 00 00 10 C7"),
    ("gimbal_2_y_deg", 0x090, "F4 41 1F F4 01 00 20 82"),
    ("gimbal_2_z_deg", 0x090, "F4 41 1F F4 41 1F 30 38"),
    ("gimbal_3_y_deg", 0x091, "F4 01 00 00 00 00 00 29"),
    ("gimbal_3_z_deg", 0x091, "F4 41 1F 00 00 00 10 26"),
    ("gimbal_4_y_deg", 0x091, "F4 41 1F F4 01 00 20 63"),
    ("gimbal_4_z_deg", 0x091, "F4 41 1F F4 41 1F 30 D9"),
    ("gimbal_5_y_deg", 0x092, "F4 01 00 00 00 00 00 76"),
    ("gimbal_5_z_deg", 0x092, "F4 41 1F 00 00 00 10 79"),
    ("gimbal_6_y_deg", 0x092, "F4 41 1F F4 01 00 20 3C"),
    ("gimbal_6_z_deg", 0x092, "F4 41 1F F4 41 1F 30 86"),
    ("gimbal_7_y_deg", 0x093, "F4 01 00 00 00 00 00 F6"),
    ("gimbal_7_z_deg", 0x093, "F4 41 1F 00 00 00 10 F9"),
    ("gimbal_8_y_deg", 0x093, "F4 41 1F F4 01 00 20 BC"),
    ("gimbal_8_z_deg", 0x093, "F4 41 1F F4 41 1F 30 06"),
    ("gimbal_9_y_deg", 0x094, "F4 01 00 00 9B"),
    ("gimbal_9_z_deg", 0x094, "F4 41 1F 10 21"),
]
COMMANDED_DEG = 2.0

STARTS = [
    (1, 0x110, "01 00 64"),
    (2, 0x111, "01 00 F9"),
    (3, 0x112, "01 00 43"),
    (4, 0x113, "01 00 DE"),
    (5, 0x114, "01 00 2A"),
    (6, 0x115, "01 00 B7"),
    (7, 0x116, "01 00 0D"),
    (8, 0x117, "01 00 90"),
    (9, 0x118, "01 00 F8"),
]

ALL = range(1, 10)
# Deflections (Y, Z) [deg] by engine, and the sign of pitch, yaw and roll acceleration: the ICD's table.
PUSHES = [
    (dict.fromkeys(ALL, (1.0, 0.0)), "- 0 0"),
    (dict.fromkeys(ALL, (0.0, 1.0)), "0 - 0"),
    ({1: (4.0, 0.0)}, "- 0 -"),
    ({3: (0.0, 4.0)}, "0 - -"),
    ({5: (4.0, 0.0)}, "- 0 +"),
    ({7: (0.0, 4.0)}, "0 - +"),
]
# What the inertial units feel along X, Y and Z under the first two of them: they sit ahead of the centre of mass.
FORCES = ["+ 0 +", "+ - 0"]

# What disturbs the vehicle, the axes that must answer and their sign, and the sign of the error reported: commanded
# less what is. Roll is met by the ring alone, so engine 9 shows pitch and yaw.
DISTURBANCES = [
    ("pitch", "engine_thrust", {"engine": 3, "factor": 0.2}, {"gimbal_9_y_deg": "-"}, "+"),
    ("yaw", "engine_thrust", {"engine": 1, "factor": 0.2}, {"gimbal_9_z_deg": "+"}, "-"),
    (
        "roll",
        "gimbal_hard_over",
        {"engine": 1, "axis": "pitch", "angle_deg": 4.0},
        {"gimbal_3_z_deg": "-", "gimbal_7_z_deg": "+"},
        "+",
    ),
]


def signs(values, still):
    """Each value as +, - or 0; 0 is whatever does not exceed ``still``."""
    return " ".join("0" if abs(value) <= still else "+" if value > 0.0 else "-" for value in values)


def opposite(deflections):
    """The same deflections to the other side."""
    return {engine: (-y, -z) for engine, (y, z) in deflections.items()}


@pytest.mark.requirement("AV-R-01")
@pytest.mark.measures("tvc.deflection_error")
def test_command_turns_the_named_gimbal_about_the_named_axis(hand_flight, clock, profile, measure):
    """Eighteen golden frames, one per engine and axis: that axis goes to +2 deg, and the other seventeen stay."""
    hand_flight.power_gimbals()
    still, errors = profile.value("tvc.sign_of_motion", "deg"), []
    for axis, identifier, data in COMMANDS:
        before = hand_flight.deflections_deg()
        hand_flight.send(identifier, data)
        clock.sleep(150 * ms)
        now = hand_flight.deflections_deg()
        assert {name for name in now if abs(now[name] - before[name]) > still} == {axis}
        errors.append(abs(now[axis] - COMMANDED_DEG))
    measure("tvc.deflection_error", max(errors), "deg")


@pytest.mark.requirement("AV-R-02")
@pytest.mark.measures("tvc.report_error")
def test_every_gimbal_reports_where_its_engine_points(hand_flight, gimbals, clock, measure):
    """Nine engines pointed nine ways: each status gives its own engine's deflections, with their signs."""
    hand_flight.power_gimbals()
    hand_flight.deflect({engine: (0.5 * engine, 0.3 - 0.4 * engine) for engine in ALL})
    clock.sleep(300 * ms)
    found = hand_flight.deflections_deg()
    reported = {f"gimbal_{n}_y_deg": gimbal.y_deg.last.value for n, gimbal in gimbals.items()}
    reported |= {f"gimbal_{n}_z_deg": gimbal.z_deg.last.value for n, gimbal in gimbals.items()}
    measure("tvc.report_error", max(abs(reported[name] - found[name]) for name in found), "deg")


@pytest.mark.requirement("AV-R-03")
def test_deflection_turns_the_vehicle_as_the_icd_says(hand_flight, profile):
    """In free ascent each deflection of the table gives its pitch, yaw and roll, and the opposite one the opposite."""
    still = profile.value("flight.still_acceleration", "deg/s2")
    hand_flight.power_vehicle()
    hand_flight.lift_off()
    for deflections, expected in PUSHES:
        hand_flight.deflect(deflections)
        (there,) = hand_flight.accelerations()
        hand_flight.deflect(opposite(deflections))
        (back,) = hand_flight.accelerations()
        assert (signs(there, still), signs((-turn for turn in back), still)) == (expected, expected), deflections


@pytest.mark.requirement("AV-R-04")
@pytest.mark.measures("imu.force_at_rest", "imu.rate_at_rest")
def test_every_imu_reports_one_g_along_x_on_the_pad(hand_flight, imus, clock, profile, measure):
    """On the pad the specific force is +1 g along X and nothing along Y and Z, and no axis turns."""
    hand_flight.power_inertial_units()
    clock.sleep(500 * ms)
    gravity = profile.value("flight.gravity", "m/s2")
    for imu in imus.values():
        x, y, z = (mean(signal) for signal in (imu.force_x_m_s2, imu.force_y_m_s2, imu.force_z_m_s2))
        measure("imu.force_at_rest", max(abs(x - gravity), abs(y), abs(z)), "m/s2")
        rates = [mean(signal) for signal in (imu.rate_x_deg_s, imu.rate_y_deg_s, imu.rate_z_deg_s)]
        measure("imu.rate_at_rest", max(map(abs, rates)), "deg/s")


@pytest.mark.requirement("AV-R-04")
def test_every_imu_reports_motion_with_its_sign(hand_flight, imus, profile):
    """Pushed in free ascent every unit says of pitch, yaw and roll, and of force, what the ICD says."""
    still, weak = profile.value("flight.still_acceleration", "deg/s2"), profile.value("imu.sign_of_force", "m/s2")
    hand_flight.power_vehicle()
    hand_flight.lift_off()
    for n, (deflections, turns) in enumerate(PUSHES[:3]):
        hand_flight.deflect(deflections)
        reported = hand_flight.accelerations(imus.values())
        assert [signs(each, still) for each in reported] == [turns] * len(imus), deflections
        felt = [[mean(axis) for axis in (u.force_x_m_s2, u.force_y_m_s2, u.force_z_m_s2)] for u in imus.values()]
        assert n >= len(FORCES) or [signs(each, weak) for each in felt] == [FORCES[n]] * len(imus), deflections
        hand_flight.deflect(opposite(deflections))
        hand_flight.accelerations()


@pytest.mark.requirement("AV-R-05")
def test_start_lights_the_named_engine_and_no_other(hand_flight, rig, profile):
    """Nine golden START frames, one after the other: each adds the thrust of its own engine."""
    hand_flight.power_engines()
    thrust_n = profile.value("flight.sign_of_thrust", "N")
    for engine, identifier, data in STARTS:
        hand_flight.send(identifier, data)
        rig.plant.truth(f"thrust_{engine}_n").expect(above=thrust_n, within=1 * s)
        assert hand_flight.pushing(thrust_n) == set(range(1, engine + 1))


@pytest.mark.requirement("AV-R-05")
def test_main_valve_takes_the_thrust_of_its_own_engine(hand_flight, rig, profile):
    """With all nine burning the main oxidiser valve of one after the other loses its wire: that engine goes out."""
    hand_flight.power_engines()
    hand_flight.start_engines()
    thrust_n = profile.value("flight.sign_of_thrust", "N")
    for engine in ALL:
        rig.inject("main_ox" if engine == 1 else f"engine_{engine}_main_ox", "open")
        rig.plant.truth(f"thrust_{engine}_n").expect(below=thrust_n, within=1 * s)
        assert hand_flight.pushing(thrust_n) == set(range(engine + 1, 10))


def mean(signal):
    """The mean of the samples of the last 400 ms."""
    values = [reading.value for reading in signal.history(signal.last.at - 400 * ms)]
    return sum(values) / len(values)


@pytest.mark.requirement("AV-R-06")
def test_disturbance_is_answered_with_the_icds_sign(ascent, rig, profile):
    """Thrust missing at +z pitches down, thrust missing at +y yaws right, an engine turned aside rolls: each is met."""
    still, error = profile.value("tvc.sign_of_motion", "deg"), profile.value("flight.sign_of_error", "deg")
    ascent.fly_to(1 * s)
    for axis, kind, parameters, answer, reported in DISTURBANCES:
        before = {name: ascent.now(name) for name in answer}
        with ascent.fault(kind, **parameters):
            bound = {"above": error} if reported == "+" else {"below": -error}
            ascent.avionics.telemetry[f"error_{axis}_deg"].expect(**bound, within=2 * s)
            assert {name: signs([ascent.now(name) - before[name]], still) for name in answer} == answer, axis
        rig.clock.sleep(1500 * ms)
