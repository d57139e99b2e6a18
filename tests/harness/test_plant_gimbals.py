"""Gimbals: second order, rate limit, hard stops, and the energy that travel spends; engines and tanks beside them."""

from __future__ import annotations

import math
from itertools import pairwise

import plant_world as world
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.units import ms, s

WORN = ("gimbal_1_y_deg", "gimbal_9_z_deg")
ANGLE = st.floats(-0.3, 0.3)


def swing(plant, angle_rad, duration_ns):
    """Positions of engine 1 about y after each step of a command on the pad [rad]."""
    found = []
    given_ = world.commands(gimbal=(angle_rad, 0.0))
    for _ in range(duration_ns // plant.step_ns):
        plant.step(given_)
        found.append(plant.output("gimbal_1_position")[0])
    return found


@pytest.mark.parametrize("step_ns", [1 * ms, 5 * ms])
def test_a_small_step_is_that_of_the_second_order_at_any_step_length(step_ns):
    found = swing(world.launcher(step_ns=step_ns), 0.004, 100 * ms)

    omega, damping = 2 * math.pi * 8.0, 0.7
    turn = omega * math.sqrt(1 - damping**2)
    for number, angle_rad in enumerate(found, 1):
        t = number * step_ns / s
        away = math.cos(turn * t) + damping * omega / turn * math.sin(turn * t)
        assert angle_rad == pytest.approx(0.004 * (1 - math.exp(-damping * omega * t) * away), abs=1e-12)


def test_a_large_step_is_held_by_the_rate_limit():
    found = swing(world.launcher({"tvc.rate_limit_deg_s": 20.0}), 0.1, 400 * ms)

    fastest = max(b - a for a, b in pairwise(found)) / 1e-3
    assert math.degrees(fastest) == pytest.approx(20.0, rel=1e-3)  # a step that meets the limit may lead it by a hair


def test_the_hard_stop_holds_at_six_degrees():
    found = swing(world.launcher(), 0.5, 400 * ms)

    assert max(found) == found[-1] == math.radians(6.0)


@settings(max_examples=30)
@given(st.lists(st.tuples(ANGLE, ANGLE), min_size=1, max_size=12))
def test_no_command_takes_a_gimbal_past_its_limits(aims):
    plant = world.launcher()
    before = 0.0
    for aim in aims:
        for _ in range(20):
            plant.step(world.commands(gimbal=aim))
            now = plant.output("gimbal_5_position")[0]
            assert abs(now) <= math.radians(6.0)
            assert abs(now - before) <= math.radians(100.0) * 1e-3 * 1.001
            before = now


def test_an_unpowered_gimbal_stays_where_it_is():
    plant = world.launcher()
    swing(plant, 0.05, 30 * ms)
    stopped = plant.output("gimbal_1_position")
    dead = [(*command[:2], 0.0) if len(command) == 3 else command for command in world.commands()]
    world.run(plant, dead, 500 * ms)

    assert plant.output("gimbal_1_position") == stopped
    assert stopped[0] > 0.01


def test_travel_of_all_axes_is_spent():
    plant = world.launcher({"tvc.damping": 1.0})  # no overshoot: the way is the distance
    for angle_rad in (0.02, -0.02, 0.0):
        world.run(plant, world.commands(gimbal=(angle_rad, angle_rad)), 1 * s)

    assert 215.0 - plant.read("tvc_energy_rad") == pytest.approx(18 * (0.02 + 0.04 + 0.02), rel=1e-6)


def test_spent_energy_freezes_all_gimbals_with_one_event():
    plant = world.launcher({"tvc.energy_rad": 1.0})
    for _ in range(4):
        for angle_rad in (0.05, -0.05):
            world.run(plant, world.commands(gimbal=(angle_rad, 0.0)), 200 * ms)
    frozen = [plant.read(name) for name in WORN]
    world.run(plant, world.commands(gimbal=(0.02, 0.02)), 500 * ms)

    assert [name for _, name in plant.events] == ["tvc_exhausted"]
    assert plant.read("tvc_energy_rad") == 0.0
    assert [plant.read(name) for name in WORN] == frozen


def test_thrust_follows_the_valves_with_its_lag():
    plant = world.launcher()
    world.run(plant, world.commands(1.0), 150 * ms)
    risen = plant.read("thrust_1_n")
    world.run(plant, world.commands(1.0), 3 * s)
    full = plant.read("thrust_1_n")
    world.run(plant, world.commands(0.0), 450 * ms)

    assert risen == pytest.approx(full * (1 - math.exp(-1.0)), rel=1e-5)
    assert plant.read("thrust_1_n") == pytest.approx(full * math.exp(-3.0), rel=1e-5)  # the centre of mass rises


def test_an_engine_has_the_thrust_of_its_p_law_at_the_pad():
    plant = world.launcher()
    world.run(plant, world.commands(1.0), 3 * s)

    pressure_pa = plant.view.air[1]
    assert plant.read("thrust_3_n") == pytest.approx(85_900.0 - 0.107 * pressure_pa, rel=1e-9)
    assert plant.read("thrust_n") == pytest.approx(9 * plant.read("thrust_3_n"), rel=1e-12)


@settings(max_examples=15)
@given(st.floats(0.2, 1.0), st.integers(1, 5))
def test_what_leaves_the_tanks_is_what_the_engines_burn(flow, tenths):
    plant = world.launcher()
    before = plant.read("propellant_kg")
    world.run(plant, world.commands(flow), tenths * 100 * ms)

    t, lag = tenths * 0.1, 0.15
    burnt = 9 * 29.2 * flow * (t - lag * (1 - math.exp(-t / lag)))
    assert before - plant.read("propellant_kg") == pytest.approx(burnt, rel=1e-9)


def test_the_centre_of_mass_moves_forward_as_the_tanks_empty():
    full = world.launcher()
    empty = world.launcher({"body.oxidiser_kg": 0.001, "body.fuel_kg": 0.001})
    world.run(empty, world.commands(1.0), 10 * ms)

    assert full.view.push.centre_m == pytest.approx(16.6)
    assert full.view.push.mass_kg == pytest.approx(55_500.0)
    assert full.view.push.inertia_y == pytest.approx(1.66e6)
    assert empty.view.push.mass_kg == pytest.approx(14_300.0, abs=0.1)


def test_an_open_vent_loses_ullage_pressure_only_off_the_ground_supply():
    plant = world.launcher()
    world.run(plant, world.commands(vent=1.0), 2 * s)
    held = plant.output("tank")[0]
    world.run(plant, world.commands(vent=1.0, umbilical=0.0), 8 * s)

    assert held == 400e3
    assert plant.output("tank")[0] == pytest.approx(105e3 + 295e3 * math.exp(-1.0), rel=1e-6)
    assert plant.output("tank")[1] == 350e3


def test_too_little_ullage_pressure_starves_the_engines():
    plant = world.launcher()
    world.lift(plant)
    world.run(plant, world.flying(vent=1.0), 12 * s)

    pressure_pa = plant.read("oxidiser_pa")
    assert pressure_pa == pytest.approx(105e3 + 295e3 * math.exp(-1.5), rel=1e-6)
    assert plant.read("flow_1") == pytest.approx((pressure_pa - 130e3) / 120e3, abs=0.03)  # the lag runs behind
