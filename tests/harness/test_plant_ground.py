"""On the pad, off it, dry, and down: what happens at which instant."""

from __future__ import annotations

import math

import plant_world as world
import pytest

from hil.noise import Streams
from hil.plant.launcher import Launcher
from hil.units import ms, s

OMEGA = 7.292115e-5


def named(plant, name):
    """Rig time of the one event of this name [ns]."""
    [time_ns] = [at for at, what in plant.events if what == name]
    return time_ns


def test_a_vehicle_left_alone_stands_still_for_an_hour():
    plant = world.launcher()
    given = list(Launcher.defaults.values())
    world.run(plant, given, 2 * s)

    place = plant.output("track")
    plant.time_ns += 3600 * s
    world.run(plant, given, 1 * ms)
    assert plant.output("track") == pytest.approx(place, abs=1e-6)
    assert plant.read("rise_m") == pytest.approx(0.0, abs=1e-6)


def test_on_the_pad_x_is_up_y_right_and_z_downrange():
    plant = world.launcher()
    x, y, z = plant.view.axes

    assert (plant.read("nose_x"), plant.read("nose_y"), plant.read("nose_z")) == pytest.approx((1, 0, 0), abs=1e-12)
    assert y == pytest.approx(plant.view.rig.site.right, abs=1e-12)
    assert z == pytest.approx(plant.view.rig.site.downrange, abs=1e-12)
    assert x == pytest.approx(plant.view.rig.site.up, abs=1e-12)


def test_specific_force_on_the_pad_is_plus_one_g():
    plant = world.launcher(world.EXACT)
    sine2 = math.sin(math.radians(69.295)) ** 2
    normal = 9.7803253359 * (1 + 0.00193185265241 * sine2) / math.sqrt(1 - 0.00669437999013 * sine2)

    force = plant.output("imu_1")[3:]
    height_m = plant.read("altitude_m")
    assert force[0] == pytest.approx(normal - 3.086e-6 * height_m, abs=2e-4)  # WGS-84 normal gravity, free-air gradient
    assert force[1:] == pytest.approx((0.0, 0.0), abs=1e-3)  # what flattening leaves between gravity and the vertical


def test_gyros_on_the_pad_feel_the_turning_earth():
    rates = world.launcher(world.EXACT).output("imu_1")[:3]

    latitude, azimuth = math.radians(69.295), math.radians(338.6)
    expected = (math.sin(latitude), -math.cos(latitude) * math.sin(azimuth), math.cos(latitude) * math.cos(azimuth))
    assert rates == pytest.approx([OMEGA * part for part in expected], abs=1e-10)


def test_the_clamps_hold_full_thrust():
    plant = world.launcher()
    world.run(plant, world.commands(1.0), 3 * s)

    assert plant.read("thrust_n") > 1.2 * plant.read("mass_kg") * 9.83
    assert (plant.read("rise_m"), plant.read("speed_m_s")) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert plant.events == []


def test_without_thrust_above_weight_an_open_clamp_is_no_lift_off():
    plant = world.launcher()
    world.run(plant, world.commands(0.7, clamps=0.0), 3 * s)

    assert [name for _, name in plant.events] == ["release"]
    assert plant.read("clamped") == 0.0
    assert plant.read("rise_m") == pytest.approx(0.0, abs=1e-6)


def test_lift_off_comes_when_growing_thrust_meets_weight():
    plant = world.launcher(world.CALM)
    world.run(plant, world.flying(), 1 * s)
    lifted_s = named(plant, "liftoff") / s

    # thrust(t) = full (1 - exp(-t / lag)) meets the weight, from which little has burnt by then
    full_n = 9 * (85_900.0 - 0.107 * 101_325.0 * math.exp(-30.0 / 8_434.5))
    expected_s = -0.15 * math.log(1.0 - 55_465.0 * 9.8255 / full_n)
    assert lifted_s == pytest.approx(expected_s, abs=3e-3)
    assert named(plant, "release") == 0


def test_the_first_second_of_flight_is_thrust_less_weight():
    plant = world.launcher(world.CALM)
    world.lift(plant)
    force, mass_kg = plant.read("thrust_n"), plant.read("mass_kg")
    world.run(plant, world.flying(), 1 * s)

    mean_kg = mass_kg - 0.5 * 9 * 29.2
    assert plant.read("v_up_m_s") == pytest.approx(force / mean_kg - 9.8255, rel=2e-3)  # air and rising thrust left out
    assert plant.read("rise_m") == pytest.approx(0.5 * plant.read("v_up_m_s"), rel=0.03)  # the centre moves forward


def test_propellant_runs_dry_at_the_instant_its_mass_says():
    plant = world.launcher({**world.CALM, "body.oxidiser_kg": 500.0})
    world.run(plant, world.flying(), 4 * s)

    per_s = 9 * 29.2 * 2.7 / 3.7  # oxidiser at full flow; the start takes a lag's time of it less
    expected_s = 500.0 / per_s + 0.15  # exp(-t / lag) is 1e-8 by then
    assert named(plant, "depletion_oxidiser") / s == pytest.approx(expected_s, abs=1e-6)
    assert (plant.read("oxidiser_kg"), plant.read("thrust_n")) == (0.0, 0.0)


def test_a_tank_may_run_dry_on_the_clamps():
    plant = world.launcher({"body.fuel_kg": 50.0})
    world.run(plant, world.commands(1.0), 4 * s)

    assert named(plant, "depletion_fuel") / s == pytest.approx(50.0 / (9 * 29.2 / 3.7) + 0.15, abs=3e-3)
    assert (plant.read("thrust_n"), plant.read("clamped")) == (0.0, 1.0)


@pytest.mark.parametrize("integrator", ["ab2", "rk4"])
def test_running_dry_splits_the_step(integrator):
    """The speed after it does not depend on where in a step the tank ran dry; a whole step of thrust is 12 mm/s."""

    def speed(step_ns):
        plant = world.launcher({**world.CALM, "body.oxidiser_kg": 500.0}, step_ns=step_ns, integrator=integrator)
        world.run(plant, world.commands(1.0), 1 * s)
        world.run(plant, world.flying(), 3 * s)
        return plant.read("v_up_m_s")

    assert speed(1 * ms) == pytest.approx(speed(4 * ms), abs=2e-4)


def test_a_vehicle_whose_thrust_is_cut_falls_back_and_hits_once():
    plant = world.launcher(world.CALM)
    world.lift(plant, 3 * s)
    world.run(plant, world.flying(0.0), 20 * s)

    assert [name for _, name in plant.events] == ["release", "liftoff", "impact"]
    assert plant.read("impacted") == 1.0
    assert plant.read("speed_m_s") == pytest.approx(0.0, abs=1e-6)
    assert plant.read("thrust_n") == 0.0


def test_the_instant_of_impact_does_not_depend_on_the_step():
    def hit(step_ns):
        plant = world.launcher(world.CALM, step_ns=step_ns, integrator="rk4")
        world.run(plant, world.commands(1.0), 2 * s)
        world.run(plant, world.flying(), 3 * s)
        world.run(plant, world.flying(0.0), 20 * s)
        return named(plant, "impact")

    fine, coarse = hit(1 * ms), hit(8 * ms)
    assert coarse == pytest.approx(fine, abs=20 * ms)  # forces of a lag are held over a step
    assert fine % ms
    assert coarse % ms


def test_the_fall_without_air_takes_the_time_of_a_stone():
    still = {"aero.axial": 0.0, "aero.normal_slope_per_rad": 0.0, "aero.crossflow_drag": 0.0}
    plant = world.launcher({**world.CALM, **still})
    world.lift(plant, 5 * s)
    world.run(plant, world.flying(0.0), 2 * s)  # nothing pushes any more
    height_m, up_m_s, now_s = plant.read("rise_m"), plant.read("v_up_m_s"), plant.time_ns / s
    world.run(plant, world.flying(0.0), 20 * s)

    gravity = 9.8255
    fall_s = (up_m_s + math.sqrt(up_m_s**2 + 2 * gravity * height_m)) / gravity
    assert named(plant, "impact") / s == pytest.approx(now_s + fall_s, rel=2e-4)


def test_events_are_told_when_they_happen():
    plant = world.launcher()
    told = []
    plant.on_event(lambda time_ns, name: told.append((time_ns, name)))
    world.lift(plant, 10 * ms)

    assert told == plant.events == [(2 * s, "release"), (2 * s, "liftoff")]


def test_a_plant_refuses_an_integrator_or_a_step_that_there_is_not():
    with pytest.raises(Exception, match="no integrator 'ab3'; did you mean ab2"):
        Launcher(world.vehicle(), streams=Streams(1), step_ns=ms, integrator="ab3")
    with pytest.raises(Exception, match="step_ns=0 is not a step"):
        Launcher(world.vehicle(), streams=Streams(1), step_ns=0, integrator="ab2")
