"""The inertial unit and the satellite receiver: what they report of what they sense, in time, and their faults."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from unit_world import UnitWorld

from hil.errors import HilError
from hil.units import ms, s, us
from hil_launcher.models.units.gnss import Gnss
from hil_launcher.models.units.imu import Imu

G = 9.80665
RATES_DEG_S = (1.0, -2.0, 3.0)
FORCES_M_S2 = (9.8, -0.5, 0.25)
MOTION = (*(math.radians(rate) for rate in RATES_DEG_S), *FORCES_M_S2)
PAD = (math.radians(5.0), math.radians(-10.0), 30.0, 0.0, 0.0, 0.0, 1.0)
NORTH_M_PER_DEG = 110_575.0  # at 5 deg of latitude, WGS-84
EAST_M_PER_DEG = 110_900.0


def imu(**changes: object) -> UnitWorld:
    world = UnitWorld(Imu, "imu_1.toml", "IMU1", {key.replace("__", "."): value for key, value in changes.items()})
    world.give("motion", *MOTION)
    world.power()
    return world


def gnss(**changes: object) -> UnitWorld:
    world = UnitWorld(Gnss, "gnss.toml", "GNSS1", changes)
    world.give("motion", *PAD)
    world.power()
    return world


def values(world: UnitWorld, message: str) -> list[float]:
    sent = world.last(message)
    return [float(sent[axis]) for axis in "XYZ"]


def test_rate_and_force_come_in_body_axes_with_the_signs_of_the_interface_document():
    world = imu()
    world.clock.sleep(1 * s)
    assert values(world, "IMU1_RATE") == pytest.approx(RATES_DEG_S, abs=0.0026)
    assert values(world, "IMU1_FORCE") == pytest.approx(FORCES_M_S2, abs=0.0026)


def test_both_messages_come_a_hundred_times_a_second_on_both_buses():
    world = imu()
    world.clock.sleep(2 * s)
    for message in ("IMU1_RATE", "IMU1_FORCE"):
        on_a, on_b = world.frames(message, "a"), world.frames(message, "b")
        assert [frame.data for frame in on_a] == [frame.data for frame in on_b]
        assert 175 <= len([frame for frame in on_a if frame.at_ns <= 2 * s]) <= 185
        assert on_a[-1].start_ns - on_a[-11].start_ns == pytest.approx(100 * ms, abs=50 * us)


def test_nothing_is_valid_before_the_unit_has_aligned():
    world = imu(boot_ms=100.0, align_ms=400.0)
    world.clock.sleep(450 * ms)
    assert world.last("IMU1_RATE")["VALID"] == 0
    world.clock.sleep(100 * ms)
    assert world.last("IMU1_RATE")["VALID"] == 1


def test_a_sample_is_late_by_the_latency_as_built():
    world = imu(latency_ms=4.0, boot_ms=100.0)
    world.clock.sleep(1_001 * ms)
    world.give("motion", *(2.0 * value for value in MOTION))
    world.clock.sleep(12 * ms)
    assert values(world, "IMU1_FORCE") == pytest.approx(FORCES_M_S2, abs=0.0026)
    world.clock.sleep(3 * ms)
    assert values(world, "IMU1_FORCE") == pytest.approx([2.0 * force for force in FORCES_M_S2], abs=0.0026)


def test_beyond_its_range_it_gives_the_end_of_the_range_and_says_so():
    world = imu()
    world.give("motion", math.radians(400.0), 0.0, 0.0, -900.0, 0.0, 0.0)
    world.clock.sleep(1 * s)
    assert (world.last("IMU1_RATE")["X"], world.last("IMU1_FORCE")["X"]) == (160.0, -160.0)
    assert (world.last("IMU1_RATE")["VALID"], world.last("IMU1_FORCE")["VALID"]) == (0, 0)


def test_a_unit_mounted_with_a_wrong_sign_reports_it():
    world = imu(rate_axes__y=[0.0, -1.0, 0.0], force_axes__x=[0.0, 0.0, 1.0], force_axes__z=[1.0, 0.0, 0.0])
    world.clock.sleep(1 * s)
    assert values(world, "IMU1_RATE") == pytest.approx([1.0, 2.0, 3.0], abs=0.0026)
    assert values(world, "IMU1_FORCE") == pytest.approx([0.25, -0.5, 9.8], abs=0.0026)


def test_a_unit_without_supply_is_silent():
    world = imu()
    world.clock.sleep(1 * s)
    world.power(0.0)
    world.clock.sleep(100 * ms)
    count = len(world.heard)
    world.clock.sleep(1 * s)
    assert len(world.heard) == count


@pytest.mark.parametrize(
    ("kind", "parameters", "rates", "forces"),
    [
        ("sign_flipped", {}, (-1.0, 2.0, -3.0), (-9.8, 0.5, -0.25)),
        ("sign_flipped", {"axis": "y", "quantity": "rate"}, (1.0, 2.0, 3.0), FORCES_M_S2),
        ("swapped", {"axes": "yz"}, (1.0, 3.0, -2.0), (9.8, 0.25, -0.5)),
        ("offset", {"axis": "z", "rate_deg_s": 5.0, "force_m_s2": -1.0}, (1.0, -2.0, 8.0), (9.8, -0.5, -0.75)),
    ],
)
def test_a_fault_changes_what_is_reported_and_goes_away(kind, parameters, rates, forces):
    world = imu()
    world.clock.sleep(1 * s)
    clear = world.fault(kind, **parameters)
    world.clock.sleep(20 * ms)
    assert values(world, "IMU1_RATE") == pytest.approx(rates, abs=0.0026)
    assert values(world, "IMU1_FORCE") == pytest.approx(forces, abs=0.0026)
    clear()
    world.clock.sleep(20 * ms)
    assert values(world, "IMU1_RATE") == pytest.approx(RATES_DEG_S, abs=0.0026)


def test_a_frozen_unit_goes_on_sending_what_it_last_saw():
    world = imu()
    world.clock.sleep(1 * s)
    world.fault("frozen")
    world.give("motion", *(0.0,) * 6)
    world.clock.sleep(1 * s)
    assert values(world, "IMU1_RATE") == pytest.approx(RATES_DEG_S, abs=0.0026)
    counters = [frame.data[6] >> 4 for frame in world.frames("IMU1_RATE")[-3:]]
    assert counters[1] == (counters[0] + 1) % 16


def test_an_unknown_fault_or_axis_is_refused_with_the_nearest_one():
    world = imu()
    with pytest.raises(HilError, match="sign_flipped"):
        world.fault("sign_fliped")
    with pytest.raises(HilError, match="axis=, one word; found 'w'"):
        world.fault("sign_flipped", axis="w")
    with pytest.raises(HilError, match="has no parameter axes"):
        world.fault("sign_flipped", axes="xy")


# -- satellite navigation -----------------------------------------------------------------------------------


def test_there_is_a_fix_once_it_is_acquired_and_not_before():
    world = gnss()
    world.clock.sleep(1_700 * ms)
    assert (world.last("GNSS1_STATUS")["FIX"], world.last("GNSS1_POSITION")["LATITUDE"]) == ("NONE", 0.0)
    world.clock.sleep(500 * ms)
    assert (world.last("GNSS1_STATUS")["FIX"], world.last("GNSS1_STATUS")["SATELLITES"]) == ("FIX_3D", 11)


def test_a_fix_is_where_the_receiver_is_within_its_noise():
    world = gnss()
    world.clock.sleep(3 * s)
    position, status = world.last("GNSS1_POSITION"), world.last("GNSS1_STATUS")
    assert float(position["LATITUDE"]) == pytest.approx(5.0, abs=10.0 / NORTH_M_PER_DEG)
    assert float(position["LONGITUDE"]) == pytest.approx(-10.0, abs=10.0 / EAST_M_PER_DEG)
    assert float(status["HEIGHT"]) == pytest.approx(30.0, abs=15.0)


def test_velocity_is_north_east_and_down():
    world = gnss()
    world.give("motion", *PAD[:3], 100.0, -50.0, -300.0, 1.0)
    world.clock.sleep(3 * s)
    sent = world.last("GNSS1_VELOCITY")
    assert [float(sent[name]) for name in ("NORTH", "EAST", "DOWN")] == pytest.approx([100.0, -50.0, -300.0], abs=0.5)


def test_a_solution_comes_ten_times_a_second_and_late():
    world = gnss(boot_ms=100.0)
    world.clock.sleep(3 * s)
    starts = [frame.start_ns for frame in world.frames("GNSS1_POSITION")]
    assert {later - earlier for earlier, later in pairwise(starts)} == {100 * ms}
    assert starts[0] == 165 * ms


def test_without_a_clear_sky_the_fix_is_lost_and_found_again():
    world = gnss()
    world.clock.sleep(3 * s)
    clear = world.fault("no_fix")
    world.clock.sleep(300 * ms)
    assert world.last("GNSS1_STATUS")["FIX"] == "NONE"
    clear()
    world.clock.sleep(900 * ms)
    assert world.last("GNSS1_STATUS")["FIX"] == "NONE"
    world.clock.sleep(500 * ms)
    assert world.last("GNSS1_STATUS")["FIX"] == "FIX_3D"


def test_an_offset_moves_the_solution_in_metres():
    world = gnss(horizontal_noise_m=0.0, vertical_noise_m=0.0, horizontal_bias_m=0.0, vertical_bias_m=0.0)
    world.fault("offset", north_m=1105.75, east_m=1109.0, up_m=50.0)
    world.clock.sleep(3 * s)
    position = world.last("GNSS1_POSITION")
    assert float(position["LATITUDE"]) == pytest.approx(5.01, abs=2e-5)
    assert float(position["LONGITUDE"]) == pytest.approx(-9.99, abs=2e-5)
    assert float(world.last("GNSS1_STATUS")["HEIGHT"]) == pytest.approx(80.0, abs=0.051)


def test_a_frozen_receiver_repeats_its_last_solution():
    world = gnss()
    world.clock.sleep(3 * s)
    world.fault("frozen")
    world.clock.sleep(500 * ms)
    before = world.last("GNSS1_POSITION")["LATITUDE"]
    world.clock.sleep(500 * ms)
    assert world.last("GNSS1_POSITION")["LATITUDE"] == before
