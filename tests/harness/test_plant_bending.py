"""Bending: its frequency from a free decay, what drives it, and where it is felt."""

from __future__ import annotations

import math
from itertools import pairwise

import plant_world as world
import pytest

from hil.units import ms, s

STIFF = {"modes.pitch_2.modal_mass_kg": 1e12, "modes.yaw_2.modal_mass_kg": 1e12}
MODES = {"pitch_1": (13, (1.0, 0.0)), "pitch_2": (15, (1.0, 0.0)), "yaw_1": (17, (0.0, 1.0)), "yaw_2": (19, (0.0, 1.0))}
"""Where each mode stands in the state, and the gimbal command of its plane."""


def ring(plant, mode, given, duration_ns):
    """Deflections of a mode [m], a sample a step, after a kick of its gimbals for 60 ms."""
    at, plane = MODES[mode]
    world.run(plant, given(gimbal=tuple(0.05 * part for part in plane)), 60 * ms)
    world.run(plant, given(), 200 * ms)
    found = []
    for _ in range(duration_ns // plant.step_ns):
        plant.step(given())
        found.append(plant.view.state[at])
    return found


def period_and_decay(samples):
    """Period [s] and ratio of one swing to the next, from the turning points of a decaying swing."""
    slopes = [b - a for a, b in pairwise(samples)]
    turns = [k for k in range(1, len(slopes)) if slopes[k - 1] * slopes[k] < 0.0]
    swings = [abs(samples[b] - samples[a]) for a, b in pairwise(turns)]
    halves = len(turns) - 1
    return 2e-3 * (turns[-1] - turns[0]) / halves, (swings[-1] / swings[0]) ** (2.0 / (len(swings) - 1))


@pytest.mark.parametrize(("mode", "free_hz", "damping"), [
    ("pitch_1", 5.5, 0.01), ("yaw_1", 2.2, 0.01), ("pitch_2", 9.0, 0.008), ("yaw_2", 9.0, 0.008),
])  # fmt: skip
def test_a_free_mode_rings_at_its_frequency_and_dies_at_its_damping(mode, free_hz, damping):
    plant = world.launcher({**world.CALM, f"modes.{mode}.free_hz": free_hz})
    world.lift(plant, 200 * ms)

    period_s, ratio = period_and_decay(ring(plant, mode, world.flying, 2 * s))
    assert 1.0 / period_s == pytest.approx(free_hz * math.sqrt(1 - damping**2), rel=5e-3)
    assert ratio == pytest.approx(math.exp(-2 * math.pi * damping), rel=0.01)


def test_on_the_clamps_the_frequency_is_the_clamped_one_and_release_frees_it():
    plant = world.launcher(world.CALM)
    world.run(plant, world.commands(1.0), 2 * s)
    clamped = period_and_decay(ring(plant, "pitch_1", lambda **g: world.commands(1.0, **g), 4 * s))[0]
    free = period_and_decay(ring(plant, "pitch_1", world.flying, 2 * s))[0]

    assert 1.0 / clamped == pytest.approx(1.3, rel=5e-3)
    assert 1.0 / free == pytest.approx(5.5, rel=5e-3)


def test_release_leaves_deflection_and_speed_as_they_are():
    plant = world.launcher(world.CALM)
    world.run(plant, world.commands(1.0, gimbal=(0.05, 0.05)), 2 * s)
    before = plant.view.state[13:]
    world.run(plant, world.flying(gimbal=(0.05, 0.05)), 1 * ms)

    assert plant.events[-1][1] == "liftoff"
    assert plant.view.state[13:] == pytest.approx(before, abs=5e-3)
    assert max(map(abs, before)) > 1e-4


def test_a_steady_lateral_thrust_holds_the_deflection_of_a_spring():
    plant = world.launcher({**world.CALM, **STIFF, "modes.pitch_1.damping": 0.7})
    world.run(plant, world.commands(1.0, gimbal=(0.01, 0.0)), 4 * s)

    lateral_n = -plant.read("thrust_n") * 0.01
    expected_m = 0.05 * lateral_n / (10_000.0 * (2 * math.pi * 1.3) ** 2)
    assert plant.read("bending_pitch_mm") == pytest.approx(1e3 * expected_m, rel=1e-4)
    assert plant.read("bending_yaw_mm") == pytest.approx(0.0, abs=1e-6)


def test_wind_bends_the_standing_vehicle():
    plant = world.launcher({"wind.speed_m_s": 10.0, "wind.from_deg": 338.6 + 90.0})  # from the right
    rest = plant.read("bending_yaw_mm")
    world.run(plant, world.commands(), 1 * s)

    lateral_n = -0.5 * 1.2215 * 100.0 * 0.6 * 50.0  # crossflow drag at the pad's height, towards -y
    assert rest == pytest.approx(1e3 * lateral_n * 0.5 / (10_000.0 * (2 * math.pi * 1.3) ** 2), rel=0.02)
    assert plant.read("bending_yaw_mm") == pytest.approx(rest, rel=1e-9)


@pytest.mark.parametrize("imu", [1, 2, 3])
def test_a_gyro_feels_the_slope_at_its_station(imu):
    plant = world.launcher({**world.CALM, **world.EXACT, **STIFF})
    world.lift(plant)
    world.run(plant, world.flying(gimbal=(0.02, -0.03)), 300 * ms)

    factor = getattr(plant.vehicle, f"imu_{imu}").slope_factor
    x, rates = plant.view.state, plant.output(f"imu_{imu}")
    # shape rising towards the nose: moving to +z it turns the bay about -y, to +y about +z
    assert rates[1] - x[11] == pytest.approx(-0.25 * factor * x[14], rel=1e-6)
    assert rates[2] - x[12] == pytest.approx(0.25 * factor * x[18], rel=1e-6)
    assert abs(x[14]) > 1e-3


def test_the_first_mode_turns_the_bay_against_the_body():
    """A kick of the gimbals starts body and bay in opposite senses: what a rate loop drives to a limit cycle."""
    plant = world.launcher({**world.CALM, **world.EXACT, **STIFF})
    world.lift(plant)
    world.run(plant, world.flying(gimbal=(0.05, 0.0)), 40 * ms)

    body = plant.view.rates[1]
    assert body < 0.0
    assert plant.output("imu_1")[1] - body > 0.0
