"""Inertial units: noise, bias, scale, counts, range; and what is true of wind and impact point."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

import plant_world as world
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.noise import Streams
from hil.plant.earth import dot, turned
from hil.plant.impact import impact_point
from hil.plant.integ import rk4
from hil.plant.noise import Normals
from hil.plant.sensors import Imu
from hil.plant.wind import Wind
from hil.units import ms, s

DEGREE = math.radians(1.0)
COUNT = 4_000
RATE = st.floats(-4.0, 4.0)


def unit(seed=1, **errors):
    """An inertial unit of the reference vehicle, with some errors set."""
    spec = world.vehicle({f"imu_1.{name}": value for name, value in errors.items()}).imu_1
    return Imu(spec, Normals(Streams(seed).stream("plant", "imu_1")))


def readings(imu, channel, rates=(0.0, 0.0, 0.0), force=(0.0, 0.0, 0.0)):
    return [imu.read(rates, force)[channel] for _ in range(COUNT)]


@pytest.mark.parametrize(("channel", "sigma"), [(0, 0.02 * DEGREE), (5, 0.03)])
def test_readings_scatter_as_the_vehicle_file_says(channel, sigma):
    imu = unit(gyro_noise_deg_s=0.02, force_noise_m_s2=0.03, gyro_bias_deg_s=0.0, force_bias_m_s2=0.0)
    found = readings(imu, channel)

    assert statistics.fmean(found) == pytest.approx(0.0, abs=4 * sigma / math.sqrt(COUNT))
    assert statistics.stdev(found) == pytest.approx(sigma, rel=4 / math.sqrt(2 * COUNT))  # 4 sigma of its own scatter


def test_noise_is_white_from_one_reading_to_the_next():
    found = readings(unit(gyro_noise_deg_s=0.02), 1)
    mean = statistics.fmean(found)
    product = statistics.fmean((a - mean) * (b - mean) for a, b in pairwise(found))

    assert product / statistics.pvariance(found) == pytest.approx(0.0, abs=4 / math.sqrt(COUNT))


def test_bias_differs_from_seed_to_seed_by_its_sigma():
    exact = {"gyro_noise_deg_s": 0.0, "gyro_bias_deg_s": 0.5, "gyro_lsb_deg_s": 1e-6}
    found = [unit(seed, **exact).read((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))[0] for seed in range(300)]

    assert statistics.stdev(found) == pytest.approx(0.5 * DEGREE, rel=4 / math.sqrt(600))
    assert statistics.fmean(found) == pytest.approx(0.0, abs=4 * 0.5 * DEGREE / math.sqrt(300))


def test_the_scale_error_grows_with_the_quantity():
    exact = {"force_noise_m_s2": 0.0, "force_bias_m_s2": 0.0, "force_scale_ppm": 1000.0, "force_lsb_m_s2": 1e-9}
    small, large = (unit(**exact).read((0.0, 0.0, 0.0), (force, 0.0, 0.0))[3] / force - 1.0 for force in (1.0, 100.0))

    assert small == pytest.approx(large, rel=1e-5)
    assert 1e-6 < abs(large) < 5e-3


@given(RATE, RATE)
def test_a_reading_is_a_whole_number_of_counts_within_its_range(x, y):
    imu = unit(gyro_lsb_deg_s=0.01, gyro_range_deg_s=120.0)
    counts = imu.counts((x, y, 0.0), (0.0, 0.0, 0.0))
    values = imu.read((x, y, 0.0), (0.0, 0.0, 0.0))

    assert all(isinstance(count, int) and abs(count) <= 12_000 for count in counts[:3])
    for value, true in zip(values, (x, y), strict=False):
        assert value / (0.01 * DEGREE) == pytest.approx(round(value / (0.01 * DEGREE)), abs=1e-6)
        held = max(-120.0 * DEGREE, min(120.0 * DEGREE, true))
        assert value == pytest.approx(held, abs=0.1 * DEGREE)


def test_one_instant_has_one_reading():
    plant = world.launcher()
    world.run(plant, world.commands(), 10 * ms)
    first = plant.output("imu_2")

    assert plant.output("imu_2") == first
    world.run(plant, world.commands(), 1 * ms)
    assert plant.output("imu_2") != first


def test_asking_one_unit_more_often_does_not_shift_another():
    def second(*asked):
        plant = world.launcher()
        found = []
        for step in range(50):
            plant.step(world.commands())
            for name in asked:
                plant.output(name)
            if step % 10 == 9:
                found.append(plant.output("imu_2"))
        return found

    assert second() == second("imu_1", "imu_3")


def test_a_unit_away_from_the_centre_feels_the_turn():
    plant = world.launcher({**world.CALM, **world.EXACT, **world.RIGID})
    world.lift(plant, 1 * s)
    world.run(plant, world.flying(gimbal=(0.1, 0.0)), 1 * s)
    arm = plant.view.push.centre_m - 6.0
    _, q, _ = plant.view.rates

    x_force, _, z_force = plant.output("imu_1")[3:]
    assert z_force - plant.read("force_z_m_s2") == pytest.approx(-plant.view.change[11] * arm, rel=1e-3)
    assert x_force - plant.read("force_x_m_s2") == pytest.approx(-q * q * arm, rel=1e-2)


def test_gusts_have_the_strength_and_the_length_of_the_vehicle_file():
    spec = world.vehicle({"wind.speed_m_s": 0.0, "wind.gust_m_s": 2.0, "wind.gust_length_m": 50.0}).wind
    wind = Wind(spec, Normals(Streams(3).stream("plant", "gust")), 0.01)
    found = []
    for _ in range(60_000):  # 10 min at 50 m/s: 600 lengths
        wind.advance(100.0, 50.0)
        wind.now = tuple(now + 0.01 * slope for now, slope in zip(wind.now, wind.slope, strict=True))
        found.append(wind.now[0])

    assert statistics.pstdev(found) == pytest.approx(2.0, rel=0.1)
    lagged = statistics.fmean(a * b for a, b in zip(found, found[100:], strict=False))  # one length later
    assert lagged / statistics.fmean(a * a for a in found) == pytest.approx(math.exp(-1.0), abs=0.1)


def test_the_mean_wind_is_the_profile():
    plant = world.launcher({"wind.gust_m_s": 0.0})
    profile = plant.output("wind_profile")
    table = plant.vehicle.wind

    assert profile[0::2] == table.speed_m_s
    assert profile[1::2] == pytest.approx([math.radians(angle) for angle in table.from_deg])
    world.run(plant, world.commands(1.0), 2 * s)
    world.run(plant, world.flying(), 15 * s)
    wind = Wind(table, Normals(Streams(1).stream("plant", "gust")), 0.01).mean(plant.read("altitude_m") - 30.0)
    assert (plant.read("wind_north_m_s"), plant.read("wind_east_m_s")) == pytest.approx(wind[:2], abs=0.02)


@pytest.mark.parametrize("seconds", [5, 40])
def test_the_impact_point_is_where_a_fall_without_air_ends(seconds):
    plant = world.launcher(world.CALM)
    world.lift(plant, 1 * s)
    world.run(plant, world.flying(gimbal=(0.002, 0.001)), 1 * s)
    world.run(plant, world.flying(), seconds * s)
    view = plant.view
    found, fall_s = impact_point(view.place, view.velocity, view.rig.site)

    def pull(x):  # central gravitation alone, in ECI
        r3 = math.sqrt(dot(x[:3], x[:3])) ** 3
        return (*x[3:], *(-3.986004418e14 * c / r3 for c in x[:3]))

    x = view.state[:6]
    for _ in range(1_000):
        x = rk4(x, pull(x), fall_s / 1_000, pull)
    landed = turned(x[:3], -7.292115e-5 * (view.time_ns / s + fall_s))
    assert landed == pytest.approx(found, abs=0.5)
    assert fall_s > 1.0
