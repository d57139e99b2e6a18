"""The derivative itself: conservation laws, one source for floats and arrays, integrators of their order."""

from __future__ import annotations

import math

import numpy as np
import plant_world as world
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant.airframe import airframe
from hil.plant.earth import J2, MU_M3_S2, RADIUS_M, after, rotation, to_outer
from hil.plant.eom import SIZE, Airframe, Push, rates
from hil.plant.integ import ab2, rk4, share_until
from hil.plant.ns import FLOATS, arrays
from hil.units import s

INERTIA = (1.0e4, 1.5e6, 1.9e6)
VACUUM = Airframe(0.0, 0.0, 0.0, ((0.0,) * 7,), 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, (0.0,) * 16)
COAST = Push(*(0.0,) * 7, 5e4, *INERTIA, *(0.0,) * 7)
STILL = (0.0,) * 8


def coast(x, steps, step_s):
    def derive(state):
        return rates(state, COAST, VACUUM, FLOATS)

    for _ in range(steps):
        x = rk4(x, derive(x), step_s, derive)
    return x


def spin(x):
    """Angular momentum in ECI [N m s] and rotational energy [J]."""
    momentum = tuple(i * w for i, w in zip(INERTIA, x[10:13], strict=True))
    return to_outer(rotation(x[6:10]), momentum), 0.5 * sum(i * w * w for i, w in zip(INERTIA, x[10:13], strict=True))


def orbit(x):
    """Energy with J2 [J/kg], and the angular momentum about the Earth's axis [m^2/s]."""
    r = math.sqrt(sum(c * c for c in x[:3]))
    pull = MU_M3_S2 / r * (1.0 - J2 * (RADIUS_M / r) ** 2 * (1.5 * (x[2] / r) ** 2 - 0.5))
    return 0.5 * sum(c * c for c in x[3:6]) - pull, x[0] * x[4] - x[1] * x[3]


def test_a_tumbling_body_keeps_angular_momentum_and_energy():
    x = (7e6, 0.0, 0.0, 0.0, 7.5e3, 0.0, 1.0, 0.0, 0.0, 0.0, 0.9, 0.4, -0.3, *STILL)
    momentum, energy = spin(x)

    after_20_s = spin(coast(x, 2_000, 0.01))
    assert after_20_s[0] == pytest.approx(momentum, abs=1e-8 * math.hypot(*momentum))
    assert after_20_s[1] == pytest.approx(energy, rel=1e-8)


def test_an_orbit_keeps_its_energy_and_its_momentum_about_the_axis():
    x = (6.9e6, 0.0, 1e6, -500.0, 4.5e3, 6.0e3, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, *STILL)
    energy, momentum = orbit(x)

    found = orbit(coast(x, 1_500, 1.0))  # a quarter of a revolution
    assert found[0] == pytest.approx(energy, rel=1e-11)
    assert found[1] == pytest.approx(momentum, rel=1e-11)


@pytest.mark.parametrize(("method", "order"), [("rk4", 4), ("ab2", 2)])
def test_an_integrator_has_its_order(method, order):
    def derive(x):  # an oscillator of 1 rad/s
        return x[1], -x[0]

    def error(steps):
        x, before, step_s = (1.0, 0.0), None, 2.0 / steps
        for _ in range(steps):
            now = derive(x)
            x = rk4(x, now, step_s, derive) if method == "rk4" or before is None else ab2(x, now, before, step_s)
            before = now
        return math.dist(x, (math.cos(2.0), -math.sin(2.0)))

    assert math.log2(error(100) / error(200)) == pytest.approx(order, abs=0.1)


@given(st.floats(0.01, 0.99))
def test_an_event_is_found_within_its_step(where):
    assert share_until(lambda share: where - share) == pytest.approx(where, abs=1e-11)


@pytest.fixture(scope="module")
def flown():
    """A vehicle in flight with everything moving: wind, gimbals, bending, rates."""
    plant = world.launcher()
    world.lift(plant, 2 * s)
    world.run(plant, world.flying(gimbal=(0.03, -0.02)), 1 * s)
    return plant


def dispersed(x, count):
    """States of ``count`` vehicles scattered about one, on both sides of a layer of air and of the speed of sound."""
    rng = np.random.default_rng(5)
    states = np.array([x] * count) * (1.0 + 1e-3 * rng.standard_normal((count, SIZE)))
    states[:, 3:6] += 300.0 * rng.standard_normal((count, 3))
    states[:, 10:] += 0.1 * rng.standard_normal((count, SIZE - 10))
    return states


def test_one_derivative_serves_one_vehicle_and_a_batch(flown):
    frame, push = airframe(flown.vehicle, clamped=False), flown.view.push
    states = dispersed(flown.view.state, 64)
    pushes = [push._replace(mass_kg=push.mass_kg + n, y=0.01 * n, wind_n=float(n)) for n in range(64)]

    batch = rates(tuple(states.T), Push(*np.array(pushes).T), frame, arrays())
    single = [rates(tuple(row), each, frame, FLOATS) for row, each in zip(states.tolist(), pushes, strict=True)]
    for component, column in enumerate(zip(*single, strict=True)):
        # numpy's exp and log1p may differ from C's in the last digit
        assert np.broadcast_to(batch[component], 64) == pytest.approx(column, rel=1e-9, abs=1e-12)


def test_an_integrator_serves_a_batch_too(flown):
    frame, push = airframe(flown.vehicle, clamped=False), flown.view.push
    states, every = dispersed(flown.view.state, 8), arrays()

    batch = rk4(tuple(states.T), rates(tuple(states.T), push, frame, every), 1e-3,
                lambda x: rates(x, push, frame, every))  # fmt: skip
    for number, row in enumerate(states.tolist()):
        alone = rk4(tuple(row), rates(tuple(row), push, frame, FLOATS), 1e-3, lambda x: rates(x, push, frame, FLOATS))
        assert [component[number] for component in batch] == pytest.approx(alone, rel=1e-12, abs=1e-12)


def test_the_path_of_floats_holds_floats_only(flown):
    assert {type(number) for number in (*flown.view.state, *flown.view.push, *flown.output("imu_1"))} == {float}


def test_the_quaternion_stays_of_unit_length():
    plant = world.launcher()
    world.lift(plant, 1 * s)
    world.run(plant, world.flying(gimbal=(0.1, 0.1)), 20 * s)  # it tumbles

    assert plant.read("tilt_deg") > 5.0
    assert sum(c * c for c in plant.view.state[6:10]) == pytest.approx(1.0, abs=1e-6)


def test_the_nose_of_an_unstable_body_turns_away_from_the_wind():
    """Positive angle of attack (air from below) raises the nose: the centre of pressure is ahead."""
    frame = airframe(world.vehicle(), clamped=False)
    push = Push(*(0.0,) * 7, 5e4, 1e4, 1.6e6, 1.6e6, 0.0, 0.0, 0.0, 16.6, 0.0, 0.0, 0.0)
    level = (RADIUS_M + 1e3, 0.0, 0.0, 10.0, 7.292115e-5 * (RADIUS_M + 1e3), -100.0)
    # at the equator on the Greenwich meridian: body x to the south (-z), y to the west, z up is (+x); wind rises
    attitude = after((1.0, 0.0, 0.0, 0.0), (math.sqrt(0.5), 0.0, math.sqrt(0.5), 0.0))

    change = rates((*level, *attitude, 0.0, 0.0, 0.0, *STILL), push, frame, FLOATS)
    assert to_outer(rotation(attitude), (1.0, 0.0, 0.0)) == pytest.approx((0.0, 0.0, -1.0), abs=1e-12)
    assert to_outer(rotation(attitude), (0.0, 0.0, 1.0)) == pytest.approx((1.0, 0.0, 0.0), abs=1e-12)
    assert change[11] > 0.0  # the vehicle climbs along +z of the body: w > 0, nose towards -z, a positive pitch rate
