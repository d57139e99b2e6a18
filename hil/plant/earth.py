"""The Earth: WGS-84 ellipsoid, gravitation with J2, geodesy, and the frames of a launch site.

Frames: ECI is inertial and coincides with ECEF at time 0; ECEF turns with the Earth about z. Latitudes are geodetic.
"Gravitation" is the pull of the masses alone; "gravity" has the centrifugal part in it and is what a scale at rest
feels.

Source: WGS-84 constants as NASA/TM-2015-218675, table 73, gives them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hil.plant.ns import Namespace

Vector = tuple[float, float, float]
Matrix = tuple[float, float, float, float, float, float, float, float, float]
"""Row by row."""
Quaternion = tuple[float, float, float, float]
"""Scalar first; turns body axes into those of the frame named."""

RADIUS_M = 6_378_137.0
FLATTENING = 1.0 / 298.257223563
MU_M3_S2 = 3.986004418e14
RATE_RAD_S = 7.292115e-5
J2 = 0.00108262982

_POLAR_M = RADIUS_M * (1.0 - FLATTENING)
_E2 = FLATTENING * (2.0 - FLATTENING)
_EP2 = _E2 / (1.0 - _E2)
_EP2_POLAR_M = _EP2 * _POLAR_M
_E2_RADIUS_M = _E2 * RADIUS_M
_J2_TERM_M2 = 1.5 * J2 * RADIUS_M * RADIUS_M


def height_and_vertical(axis_m: float, z_m: float, ns: Namespace) -> tuple[float, float, float]:
    """Height above the ellipsoid [m], sine and cosine of the geodetic latitude.

    Bowring's formula, once: its height is good to 1e-8 m from the sea to 100 km.

    Args:
        axis_m: distance from the Earth's axis [m].
        z_m: height above the equator's plane [m].
        ns: the namespace of the numbers.
    """
    sqrt = ns.sqrt
    r_m = sqrt(axis_m * axis_m + z_m * z_m)
    up = _POLAR_M * (r_m + _EP2_POLAR_M) * z_m
    out = RADIUS_M * r_m * axis_m
    scale = 1.0 / sqrt(up * up + out * out)
    sine, cosine = up * scale, out * scale
    up = z_m + _EP2_POLAR_M * sine * sine * sine
    out = axis_m - _E2_RADIUS_M * cosine * cosine * cosine
    scale = 1.0 / sqrt(up * up + out * out)
    sine, cosine = up * scale, out * scale
    return axis_m * cosine + z_m * sine - RADIUS_M * sqrt(1.0 - _E2 * sine * sine), sine, cosine


def gravitation(x_m: float, y_m: float, z_m: float, ns: Namespace) -> Vector:
    """Gravitation with J2 [m/s^2] at a place in ECI or ECEF [m]: the centrifugal part is not in it."""
    inverse_r2 = 1.0 / (x_m * x_m + y_m * y_m + z_m * z_m)
    central = -MU_M3_S2 * inverse_r2 * ns.sqrt(inverse_r2)
    flat = _J2_TERM_M2 * inverse_r2
    sine2 = 5.0 * z_m * z_m * inverse_r2
    across = central * (1.0 + flat * (1.0 - sine2))
    return across * x_m, across * y_m, central * (1.0 + flat * (3.0 - sine2)) * z_m


def geodetic(place: Vector, ns: Namespace) -> Vector:
    """Latitude [rad], longitude [rad] and height [m] of a place in ECEF [m]; for floats."""
    x_m, y_m, z_m = place
    height_m, sine, cosine = height_and_vertical(math.hypot(x_m, y_m), z_m, ns)
    return math.atan2(sine, cosine), math.atan2(y_m, x_m), height_m


def place_ecef(latitude_rad: float, longitude_rad: float, height_m: float) -> Vector:
    """The place in ECEF [m] of geodetic coordinates."""
    sine, cosine = math.sin(latitude_rad), math.cos(latitude_rad)
    normal_m = RADIUS_M / math.sqrt(1.0 - _E2 * sine * sine)
    out_m = (normal_m + height_m) * cosine
    return (
        out_m * math.cos(longitude_rad),
        out_m * math.sin(longitude_rad),
        (normal_m * (1.0 - _E2) + height_m) * sine,
    )


def north_east_down(latitude_rad: float, longitude_rad: float) -> tuple[Vector, Vector, Vector]:
    """The unit vectors north, east and down at a place, in ECEF."""
    sine, cosine = math.sin(latitude_rad), math.cos(latitude_rad)
    along, across = math.cos(longitude_rad), math.sin(longitude_rad)
    return (-sine * along, -sine * across, cosine), (-across, along, 0.0), (-cosine * along, -cosine * across, -sine)


def turned(vector: Vector, angle_rad: float) -> Vector:
    """A vector turned about the Earth's axis: ECEF to ECI by the angle [rad] it has turned, back by its negative."""
    sine, cosine = math.sin(angle_rad), math.cos(angle_rad)
    x, y, z = vector
    return cosine * x - sine * y, sine * x + cosine * y, z


def dot(a: Vector, b: Vector) -> float:
    """Scalar product, in the product of both units."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    """Vector product, in the product of both units."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def combined(a: Vector, b: Vector, factor: float = 1.0) -> Vector:
    """``a + factor * b``, in their common unit."""
    return a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2]


def rotation(attitude: Quaternion) -> Matrix:
    """The matrix of a unit quaternion: its columns are the body axes in the outer frame."""
    w, x, y, z = attitude
    return (
        1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y),
        2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x),
        2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y),
    )  # fmt: skip


def to_outer(m: Matrix, v: Vector) -> Vector:
    """A body vector in the outer frame."""
    x, y, z = v
    return m[0] * x + m[1] * y + m[2] * z, m[3] * x + m[4] * y + m[5] * z, m[6] * x + m[7] * y + m[8] * z


def to_body(m: Matrix, v: Vector) -> Vector:
    """An outer vector in body axes."""
    x, y, z = v
    return m[0] * x + m[3] * y + m[6] * z, m[1] * x + m[4] * y + m[7] * z, m[2] * x + m[5] * y + m[8] * z


def attitude_of(x_axis: Vector, y_axis: Vector, z_axis: Vector) -> Quaternion:
    """The unit quaternion whose body axes are these unit vectors of the outer frame."""
    (a, d, g), (b, e, h), (c, f, i) = x_axis, y_axis, z_axis
    squares = (1.0 + a + e + i, 1.0 + a - e - i, 1.0 - a + e - i, 1.0 - a - e + i)
    largest = squares.index(max(squares))
    twice = math.sqrt(squares[largest])
    rows = (
        (twice * twice, h - f, c - g, d - b),
        (h - f, twice * twice, b + d, c + g),
        (c - g, b + d, twice * twice, f + h),
        (d - b, c + g, f + h, twice * twice),
    )
    w, x, y, z = (0.5 * part / twice for part in rows[largest])
    return w, x, y, z


def after(first: Quaternion, second: Quaternion) -> Quaternion:
    """The product ``second * first``: what ``first`` turns, ``second`` turns on."""
    w, x, y, z = second
    a, b, c, d = first
    return (
        w * a - x * b - y * c - z * d,
        w * b + x * a + y * d - z * c,
        w * c - x * d + y * a + z * b,
        w * d + x * c - y * b + z * a,
    )


class Site(NamedTuple):
    """A launch site: where its pad is in ECEF [m], and its unit vectors there (north, east, up, down-range, right)."""

    pad: Vector
    north: Vector
    east: Vector
    up: Vector
    downrange: Vector
    right: Vector
    height_m: float


def site(latitude_rad: float, longitude_rad: float, height_m: float, azimuth_rad: float) -> Site:
    """The site at geodetic coordinates, with a launch azimuth east of true north [rad]."""
    north, east, down = north_east_down(latitude_rad, longitude_rad)
    along, across = math.cos(azimuth_rad), math.sin(azimuth_rad)
    zero = (0.0, 0.0, 0.0)
    return Site(
        pad=place_ecef(latitude_rad, longitude_rad, height_m),
        north=north,
        east=east,
        up=combined(zero, down, -1.0),
        downrange=combined(combined(zero, north, along), east, across),
        right=combined(combined(zero, north, -across), east, along),
        height_m=height_m,
    )
