"""Axes and signs of the interface: expected values come from its table, never from a run.

Body: x to the nose; on the pad x up, z down-range, y to the right looking down-range. Gimbal y: turn of the thrust
about body +y, z about body +z. +y on all engines pitches negative, +z on all yaws negative. Engine k of 1..8 sits at
45 deg (k - 1) from +y towards +z, engine 9 in the centre; a thrust T there rolls with T (ry (-y) - rz z).
"""

from __future__ import annotations

import math

import plant_world as world
import pytest

from hil.units import ms, s

EIGHTH = math.sqrt(0.5)
RING = [(1, 0), (EIGHTH, EIGHTH), (0, 1), (-EIGHTH, EIGHTH), (-1, 0), (-EIGHTH, -EIGHTH), (0, -1), (EIGHTH, -EIGHTH),
        (0, 0)]  # fmt: skip
"""Where each engine is, of the ring's radius: body y and z."""
DEFLECTION = 0.02


@pytest.fixture
def aloft():
    """A rigid vehicle in calm air, a second after lift-off; its inertial units without errors."""
    plant = world.launcher({**world.CALM, **world.RIGID, **world.EXACT})
    world.lift(plant, 1 * s)
    return plant


def turned_by(plant, **given):
    """Change of body rates over half a second of a deflection [rad/s]."""
    before = plant.view.rates
    world.run(plant, world.flying(**given), 500 * ms)
    return [b - a for a, b in zip(before, plant.view.rates, strict=True)]


def test_deflection_about_y_pitches_negative(aloft):
    roll, pitch, yaw = turned_by(aloft, gimbal=(DEFLECTION, 0.0))

    assert pitch < -0.02
    assert (roll, yaw) == pytest.approx((0.0, 0.0), abs=1e-3)


def test_deflection_about_z_yaws_negative(aloft):
    roll, pitch, yaw = turned_by(aloft, gimbal=(0.0, DEFLECTION))

    assert yaw < -0.02
    assert (roll, pitch) == pytest.approx((0.0, 0.0), abs=1e-3)


def test_negative_pitch_tips_the_nose_downrange(aloft):
    world.run(aloft, world.flying(gimbal=(DEFLECTION, 0.0)), 1 * s)

    assert aloft.read("q_deg_s") < 0.0
    assert aloft.read("nose_y") > 1e-2
    assert aloft.read("nose_z") == pytest.approx(0.0, abs=1e-3)
    assert aloft.read("azimuth_deg") == pytest.approx(338.6, abs=0.5)


def test_positive_yaw_tips_the_nose_to_the_right(aloft):
    world.run(aloft, world.flying(gimbal=(0.0, -DEFLECTION)), 1 * s)

    assert aloft.read("r_deg_s") > 0.0
    assert aloft.read("nose_z") > 1e-2
    assert aloft.read("azimuth_deg") == pytest.approx(338.6 + 90.0 - 360.0, abs=0.5)


@pytest.mark.parametrize("axis", [0, 1], ids=["y", "z"])
@pytest.mark.parametrize("engine", range(1, 10))
def test_each_engine_rolls_as_its_place_says(aloft, engine, axis):
    gimbal = (DEFLECTION, 0.0) if axis == 0 else (0.0, DEFLECTION)
    found = turned_by(aloft, gimbal=gimbal, only=engine)[0]

    place_y, place_z = RING[engine - 1]
    arm = -place_y if axis == 0 else -place_z
    spin_up_s = 0.5 - 2 * 0.7 / (2 * math.pi * 8.0)  # half a second less the gimbal's lag
    expected = 75_060.0 * 0.72 * arm * DEFLECTION / 1.05e4 * spin_up_s
    assert found == pytest.approx(expected, rel=0.02, abs=2e-4)


@pytest.mark.parametrize("engine", range(1, 9))
def test_an_engine_out_turns_the_vehicle_towards_its_side(aloft, engine):
    """The rest pushes harder on the other side: the nose goes towards the engine that is out."""
    world.put(aloft, "engine_fails", engine=engine)
    _, pitch, yaw = turned_by(aloft)

    place_y, place_z = RING[engine - 1]
    turn = math.hypot(pitch, yaw)
    assert turn > 5e-3
    assert (yaw / turn, -pitch / turn) == pytest.approx((place_y, place_z), abs=0.02)


def test_gyros_and_accelerometers_read_along_the_body_axes(aloft):
    world.run(aloft, world.flying(gimbal=(DEFLECTION, -DEFLECTION)), 500 * ms)
    rates = aloft.output("imu_1")[:3]
    x_force, y_force, z_force = aloft.output("imu_1")[3:]

    assert rates == pytest.approx(aloft.view.rates, abs=1e-9)
    assert x_force > 9.8
    # thrust leans to -y and -z at the tail; the units ahead of the centre feel the turn more than the push
    assert aloft.read("force_y_m_s2") < 0.0
    assert aloft.read("force_z_m_s2") < 0.0
    assert y_force > aloft.read("force_y_m_s2")
    assert z_force > aloft.read("force_z_m_s2")


def test_wind_from_the_west_carries_the_vehicle_east():
    plant = world.launcher({"wind.speed_m_s": 20.0, "wind.from_deg": 270.0, "wind.gust_m_s": 0.0, **world.RIGID})
    world.lift(plant, 3 * s)

    assert plant.read("wind_east_m_s") == pytest.approx(20.0)
    assert plant.read("wind_north_m_s") == pytest.approx(0.0, abs=1e-9)
    assert plant.read("east_m") > 0.05
    assert abs(plant.read("north_m")) < 0.3 * plant.read("east_m")


def test_the_antenna_is_where_the_site_has_it():
    plant = world.launcher()
    distance_m, angle_rad, roll_rad = plant.output("line_of_sight")

    # 1800 m south, 1200 m east, 60 m above the pad; the centre of mass 11.4 m above it
    assert distance_m == pytest.approx(math.sqrt(1800**2 + 1200**2 + 48.6**2), abs=0.1)
    assert angle_rad == pytest.approx(math.acos(48.6 / distance_m), abs=1e-4)
    azimuth = math.radians(338.6)
    right = -1800.0 * -math.sin(azimuth) + 1200.0 * math.cos(azimuth)
    downrange = -1800.0 * math.cos(azimuth) + 1200.0 * math.sin(azimuth)
    assert roll_rad == pytest.approx(math.atan2(downrange, right), abs=1e-4)
