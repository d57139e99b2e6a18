"""The mission rules one by one, as truth tables of what a report shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from range_world import as_built

from hil_launcher.models.range_safety.impact_point import Ground
from hil_launcher.models.range_safety.rules import DataLoss, LineAsBuilt, Seen, Streak, follow
from hil_launcher.models.range_safety.tables import interpolate

BUILT = as_built()
SQUARE = LineAsBuilt(north_m=(-10.0, 10.0, 10.0, -10.0), east_m=(-10.0, -10.0, 10.0, 10.0))


def broken(name: str, seen: Seen) -> bool:
    rule = BUILT.rules[name]
    assert not isinstance(rule, DataLoss)
    return rule.active(seen.t_plus_s) and rule.broken(seen, BUILT.lines) is not None


def seen(t_s: float, *, at=(0.0, 0.0, 1000.0), v=(0.0, 0.0, 60.0), impact=(0.0, 0.0), peak=60.0) -> Seen:
    return Seen(t_s, Ground(*at, *v), impact, peak)


@pytest.mark.parametrize(
    ("t_s", "north_m", "east_m", "expected"),
    [
        (20.0, 0.0, 0.0, False),
        (20.0, 900.0, 0.0, False),  # towards the sea there is no line near the pad
        (20.0, 5e4, -2e4, False),  # far down-range
        (20.0, 0.0, 980.0, False),
        (20.0, 0.0, 1005.0, True),  # 1 km inland
        (20.0, -1005.0, 0.0, True),
        (20.0, 5e4, 5e4, True),  # far to the right, over land
        (-1.0, 0.0, 5e3, False),  # before its window
    ],
)
def test_position_beyond_the_line(t_s, north_m, east_m, expected):
    assert broken("position_beyond_line", seen(t_s, at=(north_m, east_m, 500.0))) is expected


@pytest.mark.parametrize(
    ("t_s", "impact", "expected"),
    [
        (20.0, (0.0, 500.0), False),
        (20.0, (0.0, 1100.0), True),
        (20.0, (-1100.0, 0.0), True),
        (20.0, (1e5, -4e4), False),
        (20.0, None, False),  # it does not come down
        (2.0, (0.0, 1100.0), False),  # before its window
    ],
)
def test_impact_point_beyond_the_line(t_s, impact, expected):
    assert broken("impact_point_beyond_line", seen(t_s, impact=impact)) is expected


@pytest.mark.parametrize(
    ("t_s", "v", "peak", "expected"),
    [
        (20.0, (0.0, 0.0, 60.0), 60.0, False),
        (20.0, (0.0, 0.0, 41.0), 60.0, False),  # 19 m/s of climb lost
        (20.0, (0.0, 0.0, 39.0), 60.0, True),  # 21 m/s
        (20.0, (0.0, 0.0, -4.0), 10.0, False),
        (20.0, (0.0, 0.0, -6.0), 10.0, True),  # it sinks
        (20.0, (0.0, 30.0, 55.0), 60.0, False),  # 61 deg above the horizon, nominal 88: 27 deg off
        (20.0, (0.0, 40.0, 55.0), 60.0, True),  # 54 deg: 34 deg off
        (10.0, (0.0, 14.0, 20.0), 20.0, False),  # 55 deg, but slower than 25 m/s
        (60.0, (130.0, -50.0, 180.0), 180.0, False),  # 52 deg, nominal 68
        (60.0, (160.0, -60.0, 100.0), 110.0, True),  # 30 deg
        (7.0, (0.0, 0.0, -20.0), 20.0, False),  # before its window
        (151.0, (0.0, 0.0, -20.0), 20.0, False),  # after it
    ],
)
def test_loss_of_control(t_s, v, peak, expected):
    assert broken("loss_of_control", seen(t_s, v=v, peak=peak)) is expected


@pytest.mark.parametrize(
    ("t_s", "impact", "expected"),
    [
        (49.0, (0.0, 0.0), False),
        (51.0, (0.0, 0.0), True),
        (51.0, (2000.0, -780.0), False),
        (51.0, (-2000.0, 780.0), True),  # the wrong way
        (51.0, (0.0, 900.0), True),  # across
    ],
)
def test_straight_up(t_s, impact, expected):
    assert broken("straight_up", seen(t_s, impact=impact)) is expected


@pytest.mark.parametrize(
    ("t_s", "without_s", "expected"),
    [(5.0, 5.0, False), (7.0, 6.9, True), (23.0, 2.9, False), (23.2, 3.2, True), (62.0, 2.1, True), (-1.0, 9.0, False)],
)
def test_data_loss(t_s, without_s, expected):
    rule = BUILT.rules["data_loss"]
    assert isinstance(rule, DataLoss)
    assert rule.broken(t_s, without_s) is expected


def test_a_streak_confirms_by_time_and_by_reports():
    rule = BUILT.rules["loss_of_control"]
    assert not isinstance(rule, DataLoss)
    assert not Streak(1000, 2900, 40, {}).confirms(rule), "1.9 s are not 2 s"
    assert not Streak(1000, 9000, 4, {}).confirms(rule), "4 reports are not 5"
    assert Streak(1000, 3000, 5, {}).confirms(rule)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_a_streak_counts_the_reports_since_the_last_good_one(shown):
    streak = None
    for number, bad in enumerate(shown):
        streak = follow(streak, 100 * number, {"x": float(number)} if bad else None)
    run = next((n for n, bad in enumerate(reversed(shown)) if not bad), len(shown))
    assert (0 if streak is None else streak.reports) == run


@given(st.floats(-20.0, 20.0), st.floats(-20.0, 20.0))
def test_a_line_permits_what_is_inside(north_m, east_m):
    if abs(abs(north_m) - 10.0) > 1e-6 and abs(abs(east_m) - 10.0) > 1e-6:
        assert SQUARE.permits(north_m, east_m) is (abs(north_m) < 10.0 and abs(east_m) < 10.0)


@given(st.floats(-5.0, 25.0))
def test_a_table_is_straight_between_its_knots(at):
    assert interpolate((0.0, 10.0, 20.0), (0.0, 10.0, 20.0), at) == pytest.approx(min(20.0, max(0.0, at)), abs=1e-9)
