"""Instantaneous impact point: where the vehicle would fall if all thrust stopped now, without air."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hil.plant.earth import MU_M3_S2, RATE_RAD_S, Vector, combined, cross, dot, geodetic, turned
from hil.plant.ns import FLOATS

if TYPE_CHECKING:
    from hil.plant.earth import Site

_ROUNDS = 3  # the ground's radius is that of the place found the round before


def impact_point(place: Vector, velocity: Vector, ground: Site) -> tuple[Vector, float]:
    """Where a free fall ends at the pad's height: the place in ECEF [m], and the time to it [s].

    Kepler's ellipse about the Earth's centre, the ground a sphere through the pad, then through the foot of the
    place found. A vehicle at or below the ground, or one that never comes down, is its own impact point.

    Args:
        place: of the centre of mass, in ECEF [m].
        velocity: relative to the Earth, in ECEF [m/s].
        ground: the site whose pad gives the height of the ground.
    """
    inertial = combined(velocity, (-RATE_RAD_S * place[1], RATE_RAD_S * place[0], 0.0))
    radius_m = math.sqrt(dot(ground.pad, ground.pad))
    found, fall_s = place, 0.0
    for _ in range(_ROUNDS):
        found, fall_s = _fall(place, inertial, radius_m)
        if fall_s == 0.0:
            return place, 0.0
        found = turned(found, -RATE_RAD_S * fall_s)
        radius_m += ground.height_m - geodetic(found, FLOATS)[2]
    return found, fall_s


def _fall(place: Vector, velocity: Vector, radius_m: float) -> tuple[Vector, float]:
    """Place [m] in the inertial frame and time [s] at which an ellipse comes down through a radius [m]."""
    r_m = math.sqrt(dot(place, place))
    inverse_a = 2.0 / r_m - dot(velocity, velocity) / MU_M3_S2
    if inverse_a <= 0.0 or r_m <= radius_m:
        return place, 0.0
    a_m = 1.0 / inverse_a
    e_cos, e_sin = 1.0 - r_m / a_m, dot(place, velocity) / math.sqrt(MU_M3_S2 * a_m)
    e = math.hypot(e_cos, e_sin)
    at_ground = (1.0 - radius_m / a_m) / e
    if not -1.0 < at_ground < 1.0:
        return place, 0.0
    start, end = math.atan2(e_sin, e_cos), 2.0 * math.pi - math.acos(at_ground)
    if start < 0.0:
        start += 2.0 * math.pi
    mean = math.sqrt(MU_M3_S2 / a_m) / a_m
    gone = end - start
    fall_s = (gone - e * (math.sin(end) - math.sin(start))) / mean
    f = 1.0 - a_m / r_m * (1.0 - math.cos(gone))
    g_s = fall_s - (gone - math.sin(gone)) / mean
    momentum = cross(place, velocity)
    if fall_s <= 0.0 or dot(momentum, momentum) == 0.0:
        return place, 0.0
    x, y, z = combined((f * place[0], f * place[1], f * place[2]), velocity, g_s)
    return (x, y, z), fall_s
