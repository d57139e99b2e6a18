"""Parts of the flight computer by themselves: bus choice, votes, navigation, guidance."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import pytest
from fc_world import DATABASE
from hypothesis import given
from hypothesis import strategies as st

from hil.can.database import Database
from hil.errors import ConfigError
from hil_launcher.models.flight_computer import guidance, navigation
from hil_launcher.models.flight_computer.as_built import FlightAsBuilt
from hil_launcher.models.flight_computer.autopilot import attitude_error
from hil_launcher.models.flight_computer.imu_votes import ImuVotes, middle
from hil_launcher.models.flight_computer.listening import field
from hil_launcher.models.units.bus_choice import A, B, BusChoice

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
AS_BUILT = FlightAsBuilt.model_validate(tomllib.loads((LAUNCHER / "as_built" / "fc.toml").read_text()))
PROGRAMME = AS_BUILT.steering.programme
SITE = navigation.surveyed(AS_BUILT.steering.site)
STILL = (0.0, 0.0, 0.0, 9.8, 0.0, 0.0)


def test_slave_listens_to_a_until_it_is_silent_and_returns_to_it():
    choice = BusChoice(timeout_ns=150)
    choice.heard(A, 0)
    choice.heard(B, 100)
    assert [choice.active(now) for now in (100, 149, 150)] == [A, A, B]
    choice.heard(A, 200)
    assert choice.active(200) == A


def test_bus_of_a_silent_partner_is_known():
    choice = BusChoice(timeout_ns=150)
    choice.heard(B, 10)
    assert not choice.silent(100)
    assert choice.silent(160)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_middle_of_three_is_the_second_in_order(a, b, c):
    assert middle(a, b, c) == sorted((a, b, c))[1]


def test_vote_takes_the_middle_of_each_channel_by_itself():
    votes = ImuVotes(AS_BUILT.votes)
    samples = [tuple(float((n + k) % 3) for k in range(6)) for n in range(3)]
    assert votes.vote(samples) == (1.0,) * 6


@pytest.mark.parametrize(("missing", "expected"), [((0,), 2.0), ((0, 1), 3.0), ((0, 1, 2), None)])
def test_vote_goes_on_with_the_units_that_are_left(missing, expected):
    votes = ImuVotes(AS_BUILT.votes)
    samples = [None if n in missing else (float(2 * n - 1),) * 6 for n in range(3)]
    voted = votes.vote(samples)
    assert voted == (None if expected is None else (expected,) * 6)


def test_glitch_takes_no_unit_out():
    votes = ImuVotes(AS_BUILT.votes)
    for n in range(500):
        other = (9.0, *STILL[1:]) if n % 3 == 0 else STILL
        votes.vote([(n * 1e-6, *STILL[1:]), (*STILL[:5], n * 1e-6), other])
    assert votes.bad == [False, False, False]


def test_attitude_follows_a_constant_turn():
    attitude = (1.0, 0.0, 0.0, 0.0)
    rate = math.radians(30.0)
    for _ in range(300):
        attitude = navigation.turned(attitude, (0.0, -rate, 0.0), 0.01)
    assert navigation.in_launch_frame(attitude, (1.0, 0.0, 0.0)) == pytest.approx((0.0, 0.0, 1.0), abs=1e-4)


def test_vehicle_at_rest_stays_where_it_is():
    nav = navigation.ON_THE_PAD
    gyros = navigation.earth_rate_in_body(nav.attitude, SITE)
    gravity = SITE.gravity_m_s2 * (1.0 - 2.0 * SITE.height_m / 6_371_000.0)
    for _ in range(6000):
        nav = navigation.propagated(nav, gyros, (gravity, 0.0, 0.0), site=SITE, dt_s=0.01)
    assert math.hypot(*nav.position) < 0.01
    assert attitude_error((1.0, 0.0, 0.0, 0.0), nav.attitude) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)


def test_satellite_fix_north_of_the_pad_lies_mostly_down_range():
    """At an azimuth of 338.6 deg, 1000 m north are 931 m down-range and 365 m to the right."""
    north_rad = 1000.0 / 6_393_000.0
    up, right, down_range = navigation.from_gnss(SITE.latitude_rad + north_rad, SITE.longitude_rad, SITE.height_m, SITE)
    assert (right, down_range) == pytest.approx((364.9, 931.1), abs=1.0)
    assert up == pytest.approx(-0.08, abs=0.01)


def test_fix_draws_position_slowly_and_leaves_the_attitude():
    nav = navigation.blended(navigation.ON_THE_PAD, (10.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.02)
    assert nav.position[0] == pytest.approx(0.2)
    assert nav.attitude == navigation.ON_THE_PAD.attitude


@given(st.floats(-5.0, 150.0))
def test_commanded_rates_are_the_slope_of_the_commanded_attitude(time_s):
    knots = (*PROGRAMME.tilt_s, PROGRAMME.roll.from_s, PROGRAMME.roll.until_s)
    if min(abs(time_s - knot) for knot in knots) < 0.02:
        return
    now, soon = guidance.command(PROGRAMME, time_s), guidance.command(PROGRAMME, time_s + 1e-3)
    slope = tuple(1e3 * turn for turn in attitude_error(soon.attitude, now.attitude))
    assert slope == pytest.approx(now.rates, abs=1e-4)


def test_programme_rises_rolls_and_pitches_over_in_that_order():
    assert guidance.command(PROGRAMME, 9.9).attitude == (1.0, 0.0, 0.0, 0.0) or PROGRAMME.roll.from_s > 9.9
    at_twelve, later = guidance.command(PROGRAMME, 12.0), guidance.command(PROGRAMME, 30.0)
    assert at_twelve.tilt_rad == 0.0
    assert at_twelve.roll_rad > 0.0
    assert math.degrees(later.roll_rad) == pytest.approx(40.0)
    nose = navigation.in_launch_frame(later.attitude, (1.0, 0.0, 0.0))
    assert nose[2] == pytest.approx(math.sin(later.tilt_rad))
    assert nose[1] == pytest.approx(0.0)


@given(st.integers(-32768, 32767))
def test_field_is_read_as_the_database_reads_it(raw):
    frame = DATABASE.encode("IMU2_RATE", {"X": 0.0, "Y": raw * 0.005, "Z": 1.0, "VALID": 1})
    shift, mask, sign, factor, offset = field(DATABASE, "IMU2_RATE", "Y")
    number = int.from_bytes(frame.data, "little") >> shift & mask
    assert (number - ((number & sign) << 1)) * factor + offset == pytest.approx(DATABASE.decode(frame)["Y"])


def test_big_endian_field_is_refused(tmp_path):
    path = tmp_path / "other.dbc"
    path.write_text('VERSION ""\nBU_: X\nBO_ 1 M: 8 X\n SG_ S : 7|16@0+ (1,0) [0|65535] "" X\n')
    with pytest.raises(ConfigError, match=r"M\.S is big-endian"):
        field(Database.load(path), "M", "S")
