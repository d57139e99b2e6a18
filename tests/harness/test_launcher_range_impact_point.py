"""Where a vehicle is and where it would fall, against formulas that share no line with the range computer's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from range_world import SITE

from hil_launcher.models.range_safety.impact_point import EARTH_RAD_S, EQUATOR_M, FLATTENING, MU, fall

Vector = tuple[float, float, float]


def state(north: float, east: float, up: float, v_north: float, v_east: float, v_up: float) -> tuple[Vector, Vector]:
    """ECEF position and velocity of a state at the pad, by turning the axes one after the other."""
    lat, lon = math.radians(69.295), math.radians(16.020)

    def turned(n: float, e: float, u: float) -> Vector:
        out, z = u * math.cos(lat) - n * math.sin(lat), u * math.sin(lat) + n * math.cos(lat)
        return out * math.cos(lon) - e * math.sin(lon), out * math.sin(lon) + e * math.cos(lon), z

    pad = SITE.position_m
    x, y, z = turned(north, east, up)
    return (pad[0] + x, pad[1] + y, pad[2] + z), turned(v_north, v_east, v_up)


def integrated(position: Vector, velocity: Vector, step_s: float = 0.02) -> Vector:
    """The fall by RK4 in the turning frame, with Coriolis and centrifugal acceleration, to the ellipsoid."""
    w = EARTH_RAD_S

    def slope(x: tuple[float, ...]) -> tuple[float, ...]:
        k = -MU / math.hypot(*x[:3]) ** 3
        ax, ay = k * x[0] + 2.0 * w * x[4] + w * w * x[0], k * x[1] - 2.0 * w * x[3] + w * w * x[1]
        return (*x[3:], ax, ay, k * x[2])

    def moved(x: tuple[float, ...], k: tuple[float, ...], h: float) -> tuple[float, ...]:
        return tuple(a + h * b for a, b in zip(x, k, strict=True))

    def above(x: tuple[float, ...]) -> float:
        return (x[0] ** 2 + x[1] ** 2) / EQUATOR_M**2 + (x[2] / (EQUATOR_M * (1.0 - FLATTENING))) ** 2 - 1.0

    x = (*position, *velocity)
    while True:
        k1 = slope(x)
        k2 = slope(moved(x, k1, step_s / 2))
        k3 = slope(moved(x, k2, step_s / 2))
        k4 = slope(moved(x, k3, step_s))
        mean = tuple((a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True))
        after = moved(x, mean, step_s)
        if above(after) < 0.0:
            return moved(x, mean, step_s * above(x) / (above(x) - above(after)))[:3]  # type: ignore[return-value]
        x = after


@pytest.mark.parametrize(
    "at",
    [
        (0.0, 0.0, 5.0, 0.0, 0.0, 0.0),
        (50.0, 20.0, 700.0, 30.0, -10.0, 40.0),
        (300.0, -100.0, 3000.0, 100.0, -40.0, 200.0),
        (5e3, -2e3, 2e4, 600.0, -200.0, 600.0),
        (4e4, -1.5e4, 6e4, 1800.0, -700.0, 1500.0),
    ],
)
def test_the_kepler_arc_ends_where_an_integration_ends(at):
    found = fall(*state(*at))
    assert found is not None
    assert math.dist(found, integrated(*state(*at))) < 1e-3 + 1e-6 * math.hypot(*at[:3])


@settings(max_examples=60)
@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(50, 2000), st.floats(-80, 80))
def test_near_the_pad_it_is_the_parabola_of_a_flat_earth(v_north, v_east, up, v_up):
    found = SITE.impact(*state(0.0, 0.0, up, v_north, v_east, v_up))
    g = 9.826
    drop = up + 30.0  # the ellipsoid is 30 m below the pad
    fall_s = (v_up + math.sqrt(v_up**2 + 2.0 * g * drop)) / g
    assert found == pytest.approx((v_north * fall_s, v_east * fall_s), abs=6.0 + 0.006 * fall_s * 80.0)


@settings(max_examples=60)
@given(*[st.floats(-2e4, 2e4)] * 2, st.floats(0.0, 3e4), *[st.floats(-500, 500)] * 3)
def test_the_state_over_the_ground_is_the_one_that_was_made(north, east, up, v_north, v_east, v_up):
    ground = SITE.ground(*state(north, east, up, v_north, v_east, v_up))
    stretched = 1.0 + (up + 4e4) / 6.37e6
    assert math.hypot(ground.north_m - north, ground.east_m - east) <= math.hypot(north, east) * (stretched - 1.0) + 0.1
    assert (ground.up_m, ground.v_north_m_s) == pytest.approx((up, v_north), abs=1e-6)
    assert (ground.v_east_m_s, ground.v_up_m_s) == pytest.approx((v_east, v_up), abs=1e-6)


def test_what_is_fast_enough_does_not_come_down():
    assert SITE.impact(*state(0.0, 0.0, 2e5, 7_900.0, 0.0, 0.0)) is None
    assert SITE.impact(*state(0.0, 0.0, 2e5, 0.0, 0.0, 12_000.0)) is None


@pytest.mark.parametrize(
    ("v", "elevation_deg"), [((0.0, 0.0, 10.0), 90.0), ((10.0, 0.0, 0.0), 0.0), ((0.0, 10.0, -10.0), -45.0)]
)
def test_the_elevation_is_that_of_the_velocity(v, elevation_deg):
    assert SITE.ground(*state(0.0, 0.0, 100.0, *v)).elevation_deg == pytest.approx(elevation_deg, abs=1e-6)
