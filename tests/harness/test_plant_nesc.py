"""The equations of motion against the atmospheric check cases of NASA/TM-2015-218675, simulation 4 of its volumes."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from hil.plant.atmosphere import air
from hil.plant.earth import (
    RATE_RAD_S,
    after,
    attitude_of,
    combined,
    dot,
    geodetic,
    north_east_down,
    place_ecef,
    rotation,
    turned,
)
from hil.plant.eom import Airframe, Push, rates
from hil.plant.integ import ab2, rk4
from hil.plant.ns import FLOATS

FT, SLUG = 0.3048, 14.5939029
SLUG_FT2 = SLUG * FT * FT
FILE = Path(__file__).parent / "data" / "nesc_cases.csv"
NED = ("X", "Y", "Z")
ANGLES = ("Yaw", "Pitch", "Roll")
BODIES = {
    # drag coefficient, reference area [ft^2], mass [slug], inertia [slug ft^2]; TM tables of the sphere and the brick
    1: (0.0, 0.1963495, 1.0, (3.6, 3.6, 3.6)),
    2: (0.0, 0.22222, 0.155404754, (0.001894220, 0.006211019, 0.007194665)),
    6: (0.1, 0.1963495, 1.0, (3.6, 3.6, 3.6)),
    9: (0.1, 0.1963495, 1.0, (3.6, 3.6, 3.6)),
}
TOLERANCE = {
    # altitude [ft], speed [ft/s], Euler angles [deg]: 1 and 2 fall in vacuum; 9 goes by another sphere of the Earth's
    # air (geopotential) than ours, seen already in its density column
    1: (1e-6, 1e-8, 1e-9),
    2: (1e-6, 1e-8, 1e-7),
    6: (1e-4, 5e-5, 1e-9),
    9: (5e-3, 5e-4, 1e-6),
}


def history(case):
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]
    return [row for row in rows if row["case"] == case]


def start(row):
    """The first row as a state: it is given relative to the turning Earth, its rates relative to inertial space."""
    latitude, longitude = math.radians(row["latitude_deg"]), math.radians(row["longitude_deg"])
    place = place_ecef(latitude, longitude, row["altitudeMsl_ft"] * FT)
    axes = north_east_down(latitude, longitude)
    velocity = (-RATE_RAD_S * place[1], RATE_RAD_S * place[0], 0.0)
    for axis, name in zip(axes, NED, strict=True):
        velocity = combined(velocity, axis, row[f"feVelocity_ft_s_{name}"] * FT)
    attitude = (1.0, 0.0, 0.0, 0.0)
    for name, axis in (("Roll", 1), ("Pitch", 2), ("Yaw", 3)):
        half = math.radians(row[f"eulerAngle_deg_{name}"]) / 2
        turn = [math.cos(half), 0.0, 0.0, 0.0]
        turn[axis] = math.sin(half)
        attitude = after(attitude, tuple(turn))
    spin = [math.radians(row[f"bodyAngularRateWrtEi_deg_s_{name}"]) for name in ("Roll", "Pitch", "Yaw")]
    return (*place, *velocity, *after(attitude, attitude_of(*axes)), *spin, *(0.0,) * 8)


def seen(x, time_s):
    """What the check case lists, from a state: altitude [ft], velocity [ft/s], Euler angles [deg]."""
    back = -RATE_RAD_S * time_s
    place = turned(x[:3], back)
    velocity = turned((x[3] + RATE_RAD_S * x[1], x[4] - RATE_RAD_S * x[0], x[5]), back)
    latitude, longitude, height_m = geodetic(place, FLOATS)
    north, east, down = north_east_down(latitude, longitude)
    m = rotation(x[6:10])
    nose, right, belly = (turned((m[k], m[k + 3], m[k + 6]), back) for k in range(3))
    yaw = math.atan2(dot(nose, east), dot(nose, north))
    pitch, roll = math.asin(-dot(nose, down)), math.atan2(dot(right, down), dot(belly, down))
    return height_m / FT, [dot(velocity, a) / FT for a in (north, east, down)], [
        math.degrees(angle) for angle in (yaw, pitch, roll)
    ]  # fmt: skip


def fly(case, method, step_s):
    """States every 5 s for 30 s."""
    drag, area_ft2, mass_slug, inertia = BODIES[case]
    frame = Airframe(0.0, 0.0, 0.5 * area_ft2 * FT * FT, ((0.0,) * 7,), 1.0, 0.0, 0.0, drag, 0.0, 0.0, (0.0,) * 16)
    push = Push(*(0.0,) * 7, mass_slug * SLUG, *(i * SLUG_FT2 for i in inertia), *(0.0,) * 7)

    def derive(x):
        return rates(x, push, frame, FLOATS)

    x, before, found = start(history(case)[0]), None, []
    for step in range(1, round(30 / step_s) + 1):
        now = derive(x)
        x = rk4(x, now, step_s, derive) if method == "rk4" or before is None else ab2(x, now, before, step_s)
        before = now
        if step % round(5 / step_s) == 0:
            found.append(x)
    return found


@pytest.mark.parametrize("case", BODIES)
def test_runge_kutta_at_100_hz_flies_the_check_case(case):
    altitude_ft, speed_ft_s, angle_deg = TOLERANCE[case]

    for x, row in zip(fly(case, "rk4", 0.01), history(case)[1:], strict=True):
        altitude, velocity, angles = seen(x, row["time"])
        assert altitude == pytest.approx(row["altitudeMsl_ft"], abs=altitude_ft)
        assert velocity == pytest.approx([row[f"feVelocity_ft_s_{axis}"] for axis in NED], abs=speed_ft_s)
        assert angles == pytest.approx([row[f"eulerAngle_deg_{name}"] for name in ANGLES], abs=angle_deg)


@pytest.mark.parametrize("case", [2, 6])
def test_adams_bashforth_at_1_khz_flies_the_check_case(case):
    for x, row in zip(fly(case, "ab2", 0.001), history(case)[1:], strict=True):
        altitude, velocity, angles = seen(x, row["time"])
        assert altitude == pytest.approx(row["altitudeMsl_ft"], abs=1e-4)
        assert velocity == pytest.approx([row[f"feVelocity_ft_s_{axis}"] for axis in NED], abs=5e-5)
        assert angles == pytest.approx([row[f"eulerAngle_deg_{name}"] for name in ANGLES], abs=1e-4)


@pytest.mark.parametrize("case", [1, 6])
def test_the_air_is_that_of_the_check_case(case):
    for row in history(case):
        density, _, sound_m_s = air(row["altitudeMsl_ft"] * FT, FLOATS)
        assert density / SLUG * FT**3 == pytest.approx(row["airDensity_slug_ft3"], rel=1e-6)
        assert sound_m_s / FT == pytest.approx(row["speedOfSound_ft_s"], rel=1e-6)
