"""The attitude law of the flight computer, its allocation and its filters; signs after the ICD's axes."""

from __future__ import annotations

import cmath
import itertools
import math
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil_launcher.models.flight_computer.as_built import FlightAsBuilt
from hil_launcher.models.flight_computer.autopilot import (
    ENGINES,
    Filters,
    allocate,
    attitude_error,
    bias,
    demand,
    filtered,
    gains,
    low_pass,
    mixing,
    notch,
)
from hil_launcher.models.flight_computer.steering import sections

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
AS_BUILT = FlightAsBuilt.model_validate(tomllib.loads((LAUNCHER / "as_built" / "fc.toml").read_text()))
CONTROL = AS_BUILT.steering.control
WELL = (False,) * ENGINES
K = gains(bandwidth_rad_s=1.8, damping=0.8, roll_rad_s=2.0, roll_damping=0.9)
NO_FILTERS = Filters((), (), ())
ANGLES = [math.radians(45 * k) for k in range(8)]


def about(axis, angle_rad):
    vector = [0.0, 0.0, 0.0]
    vector["xyz".index(axis)] = math.sin(angle_rad / 2)
    return (math.cos(angle_rad / 2), *vector)


def shared(wanted, lost=WELL, stuck=WELL, offset=(0.0, 0.0, 0.0), limit_deg=6.0):
    return allocate(
        wanted,
        mixing(lost, stuck),
        offset=offset,
        authority=(5.0, 0.5, 0.5),
        limit_rad=math.radians(limit_deg),
        roll_limit_rad=math.radians(limit_deg / 3),
    )


def effect(out, lost=WELL, ratio=0.068):
    """Roll, pitch and yaw of thrusting engines by the ICD: in deflections of one engine [rad]."""
    roll = pitch = yaw = 0.0
    for k in range(ENGINES):
        if not lost[k]:
            ry, rz = (math.cos(ANGLES[k]), math.sin(ANGLES[k])) if k < 8 else (0.0, 0.0)
            y, z = out[2 * k], out[2 * k + 1]
            roll += ry * -y - rz * z
            pitch += ratio * rz - y
            yaw += -ratio * ry - z
    return roll, pitch, yaw


@pytest.mark.parametrize("axis", "xyz")
def test_error_is_the_turn_from_attitude_to_command(axis):
    error = attitude_error(about(axis, 0.30), about(axis, 0.28))
    expected = [0.02 if name == axis else 0.0 for name in "xyz"]
    assert error == pytest.approx(expected, abs=1e-6)


def test_error_does_not_depend_on_the_sign_of_a_quaternion():
    there = about("y", 0.3)
    assert attitude_error(tuple(-q for q in there), about("y", 0.1)) == pytest.approx(
        attitude_error(there, about("y", 0.1))
    )


@pytest.mark.parametrize(("error", "rate"), [(0.1, 0.0), (0.0, -0.1)])
def test_vehicle_that_points_too_low_or_turns_down_is_told_to_turn_up(error, rate):
    _, wanted = demand(
        NO_FILTERS.at_rest(), (0.0, error, 0.0), (0.0, rate, 0.0), commanded=(0.0, 0.0, 0.0), k=K, filters=NO_FILTERS
    )
    assert wanted[1] > 0.0
    assert wanted[0] == wanted[2] == 0.0


def test_wanted_nose_up_deflects_all_engines_negative_about_y():
    out = shared((0.0, 0.1, 0.0))
    assert out[::2] == pytest.approx([-0.1 / 0.5 / 9] * 9)
    assert out[1::2] == pytest.approx([0.0] * 9)


def test_wanted_nose_right_deflects_all_engines_negative_about_z():
    out = shared((0.0, 0.0, 0.1))
    assert out[1::2] == pytest.approx([-0.1 / 0.5 / 9] * 9)
    assert out[::2] == pytest.approx([0.0] * 9)


def test_roll_turns_the_ring_and_leaves_the_centre():
    out = shared((0.5, 0.0, 0.0))
    roll, pitch, yaw = effect(out)
    assert (roll, pitch, yaw) == pytest.approx((0.1, 0.0, 0.0))
    assert out[16:] == pytest.approx((0.0, 0.0))
    assert out[0] < 0.0  # engine 1 lies on +y: it pushes towards +z, which is -y in deflection
    assert out[5] < 0.0  # engine 3 lies on +z and pushes towards -y


@given(
    st.tuples(*[st.floats(-0.02, 0.02)] * 3),
    st.sets(st.integers(0, 8), max_size=3),
    st.sets(st.integers(0, 8), max_size=3),
)
def test_demand_is_met_whatever_engines_and_gimbals_are_left(wanted, lost, stuck):
    lost, stuck = (tuple(k in chosen for k in range(ENGINES)) for chosen in (lost, stuck))
    y, z = (tuple(angle if still else 0.0 for still in stuck) for angle in (0.01, -0.02))
    out = shared(wanted, lost, stuck, offset=bias(lost, y, z, 0.068), limit_deg=90.0)
    there = [angle for pair in zip(y, z, strict=True) for angle in pair]
    total = effect([a + b for a, b in zip(out, there, strict=True)], lost)
    assert total == pytest.approx((wanted[0] / 5.0, wanted[1] / 0.5, wanted[2] / 0.5), abs=1e-9)


def test_lost_engine_is_trimmed_by_the_others():
    lost = (False, False, True, *[False] * 6)  # engine 3, on +z: less thrust there pitches the nose down
    offset = bias(lost, (0.0,) * 9, (0.0,) * 9, 0.068)
    assert offset[1] == pytest.approx(-0.068)
    out = shared((0.0, 0.0, 0.0), lost, offset=offset)
    assert out[4:6] == (0.0, 0.0)
    assert effect(out, lost) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


def test_no_gimbal_left_means_no_command():
    assert shared((0.1, 0.1, 0.1), stuck=(True,) * 9) == (0.0,) * 18


def test_commands_end_at_the_limit():
    assert max(map(abs, shared((3.0, -3.0, 3.0)))) == pytest.approx(math.radians(6))


def gain(section, frequency_hz, rate_hz=100.0):
    b0, b1, b2, a1, a2 = section
    z = cmath.exp(-2j * math.pi * frequency_hz / rate_hz)
    return (b0 + b1 * z + b2 * z * z) / (1.0 + a1 * z + a2 * z * z)


@given(st.floats(1.0, 30.0), st.floats(0.01, 1.0), st.floats(0.05, 1.0))
def test_notch_has_its_depth_at_its_centre_and_none_far_away(hz, depth, width):
    section = notch(hz, depth=depth, width=width, rate_hz=100.0)
    assert abs(gain(section, hz)) == pytest.approx(depth, rel=1e-6)
    assert abs(gain(section, 0.0)) == pytest.approx(1.0)
    assert abs(gain(section, 50.0)) == pytest.approx(1.0)


def test_filters_do_what_their_coefficients_say():
    chain = (notch(5.5, depth=0.1, width=0.5, rate_hz=100.0), low_pass(20.0, damping=0.7, rate_hz=100.0))
    state, hz, last = (0.0,) * 4, 2.2, []
    for n in range(2000):
        state, out = filtered(chain, state, math.cos(2 * math.pi * hz * n / 100.0))
        last.append(out)
    expected = abs(gain(chain[0], hz) * gain(chain[1], hz))
    assert max(last[-500:]) == pytest.approx(expected, rel=0.01)


def loop(hz, authority_share=1.0, delay_s=0.012):
    """Open loop of rigid body, gimbal (8 Hz, 0.7), delay, hold and the law as built, at a frequency [Hz]."""
    s = 2j * math.pi * hz
    w = 2 * math.pi * 8.0
    gimbal = w * w / (s * s + 1.4 * w * s + w * w)
    law = CONTROL.bandwidth_rad_s**2 + 2 * CONTROL.damping * CONTROL.bandwidth_rad_s * s
    for section in sections(CONTROL.pitch, 100.0):
        law *= gain(section, hz)
    return authority_share * law * gimbal * cmath.exp(-s * (delay_s + 0.005)) / (s * s)


FREQUENCIES = [0.05 * 1.02**n for n in range(300)]


def test_rigid_loop_has_a_phase_margin_of_thirty_degrees():
    crossing = next(hz for hz in FREQUENCIES if abs(loop(hz)) < 1.0)
    assert 0.3 < crossing < 1.2
    assert math.degrees(cmath.phase(-loop(crossing))) > 30.0


def test_rigid_loop_has_a_gain_margin_of_six_decibels():
    values = [(hz, loop(hz)) for hz in FREQUENCIES if hz < 40.0]
    behind = [abs(v) for (_, u), (_, v) in itertools.pairwise(values) if u.imag < 0.0 < v.imag and v.real < 0]
    assert behind
    assert max(behind) < 0.5
