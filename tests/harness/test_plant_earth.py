"""The Earth: geodesy against the closed forward formula, gravity against the normal gravity of WGS-84."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant.earth import (
    J2,
    MU_M3_S2,
    RADIUS_M,
    RATE_RAD_S,
    after,
    attitude_of,
    dot,
    geodetic,
    gravitation,
    height_and_vertical,
    place_ecef,
    rotation,
    site,
    to_body,
)
from hil.plant.ns import FLOATS

LATITUDE = st.floats(-math.pi / 2, math.pi / 2)
LONGITUDE = st.floats(-math.pi, math.pi)
PART = st.floats(-1.0, 1.0)


def potential(x, y, z):
    """Potential of central mass and J2 [m^2/s^2], as text books give it."""
    r = math.sqrt(x * x + y * y + z * z)
    return MU_M3_S2 / r * (1.0 - J2 * (RADIUS_M / r) ** 2 * (1.5 * (z / r) ** 2 - 0.5))


@given(LATITUDE, LONGITUDE, st.floats(-500.0, 100e3))
def test_geodetic_coordinates_come_back_from_their_place(latitude_rad, longitude_rad, height_m):
    found = geodetic(place_ecef(latitude_rad, longitude_rad, height_m), FLOATS)

    assert found[0] == pytest.approx(latitude_rad, abs=1e-11)  # 0.06 mm on the ground
    assert found[2] == pytest.approx(height_m, abs=1e-7)
    if abs(latitude_rad) < 1.57:
        assert math.remainder(found[1] - longitude_rad, math.tau) == pytest.approx(0.0, abs=1e-11)


@pytest.mark.parametrize("height_m", [400e3, 2000e3])
def test_the_height_holds_in_orbit_too(height_m):
    for degree in range(-90, 91):
        x, y, z = place_ecef(math.radians(degree), 0.3, height_m)
        assert height_and_vertical(math.hypot(x, y), z, FLOATS)[0] == pytest.approx(height_m, abs=1e-5)


@given(LATITUDE, st.floats(0.0, 1e6))
def test_gravitation_is_the_slope_of_the_potential(latitude_rad, height_m):
    place = place_ecef(latitude_rad, 0.7, height_m)
    step_m = 50.0  # rounding of the potential leaves 1e-9 m/s^2, the third derivative 1e-12

    for axis, found in enumerate(gravitation(*place, FLOATS)):
        ahead, behind = ([c + sign * step_m * (k == axis) for k, c in enumerate(place)] for sign in (1, -1))
        assert found == pytest.approx((potential(*ahead) - potential(*behind)) / (2 * step_m), abs=2e-8)


@pytest.mark.parametrize("degree", [0, 30, 45, 69.295, 90])
def test_gravity_at_the_ellipsoid_is_the_normal_gravity_of_wgs84(degree):
    latitude_rad = math.radians(degree)
    x, y, z = place_ecef(latitude_rad, 0.0, 0.0)
    gx, gy, gz = gravitation(x, y, z, FLOATS)
    felt = math.hypot(gx + RATE_RAD_S**2 * x, gy + RATE_RAD_S**2 * y, gz)

    sine2 = math.sin(latitude_rad) ** 2  # Somigliana's formula, NIMA TR8350.2, eq. 4-1
    normal = 9.7803253359 * (1 + 0.00193185265241 * sine2) / math.sqrt(1 - 0.00669437999013 * sine2)
    assert felt == pytest.approx(normal, abs=1.5e-4)  # 5 J4 g at the pole, which the plant leaves out


@given(st.tuples(PART, PART, PART, PART).filter(lambda q: sum(c * c for c in q) > 0.1))
def test_an_attitude_comes_back_from_its_axes(numbers):
    size = math.sqrt(sum(c * c for c in numbers))
    attitude = tuple(c / size for c in numbers)
    m = rotation(attitude)

    found = attitude_of(m[0::3], m[1::3], m[2::3])
    assert abs(sum(a * b for a, b in zip(found, attitude, strict=True))) == pytest.approx(1.0, abs=1e-12)


def test_turns_are_combined_in_their_order():
    half = math.sqrt(0.5)
    about_z, about_x = (half, 0.0, 0.0, half), (half, half, 0.0, 0.0)

    m = rotation(after(about_z, about_x))  # first about z, then about the outer x
    assert m[0::3] == pytest.approx((0.0, 0.0, 1.0))  # x went to y, and y to z


def test_the_launch_frame_is_up_downrange_right_by_the_compass():
    ground = site(math.radians(69.295), math.radians(16.02), 30.0, math.radians(90.0))

    assert dot(ground.downrange, ground.east) == pytest.approx(1.0)
    assert dot(ground.right, ground.north) == pytest.approx(-1.0)
    m = (ground.up[0], ground.right[0], ground.downrange[0], ground.up[1], ground.right[1], ground.downrange[1],
         ground.up[2], ground.right[2], ground.downrange[2])  # fmt: skip
    assert to_body(m, ground.up) == pytest.approx((1.0, 0.0, 0.0), abs=1e-12)
