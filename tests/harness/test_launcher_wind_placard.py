"""The wind placard: limits between heights, the least margin of a profile, and what is no placard or no profile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import ConfigError
from hil.profile import Profile
from hil_launcher.clients.met import WindLevel, WindProfile
from hil_launcher.clients.wind_placard import WindPlacard

PLACARD = WindPlacard((0.0, 300.0, 1000.0), (10.0, 14.0, 18.0))


def measured(*levels):
    """A wind profile of levels (height [m], speed [m/s])."""
    return WindProfile(1, 0, tuple(WindLevel(height_m, speed_m_s, 250.0) for height_m, speed_m_s in levels))


@pytest.mark.parametrize(
    ("height_m", "limit_m_s"),
    [(0.0, 10.0), (150.0, 12.0), (300.0, 14.0), (650.0, 16.0), (1000.0, 18.0), (-5.0, 10.0), (4000.0, 18.0)],
)
def test_limit_is_straight_between_heights_and_held_beyond_them(height_m, limit_m_s):
    assert PLACARD.limit_m_s(height_m) == pytest.approx(limit_m_s)


def test_worst_is_the_level_with_the_least_margin_not_the_strongest_wind():
    worst = PLACARD.worst(measured((0.0, 9.0), (300.0, 11.0), (1000.0, 16.0)))
    assert (worst.height_m, worst.wind_m_s, worst.limit_m_s) == (0.0, 9.0, 10.0)
    assert worst.margin_m_s == pytest.approx(1.0)


def test_wind_beyond_the_placard_has_a_negative_margin_and_says_where():
    worst = PLACARD.worst(measured((0.0, 5.0), (300.0, 15.5), (1000.0, 10.0)))
    assert worst.margin_m_s == pytest.approx(-1.5)
    assert str(worst) == "15.5 m/s at 300 m, placard 14.0 m/s"


def test_bend_of_the_placard_between_two_levels_counts():
    """Straight between 12 m/s on the ground and 17.5 m/s at 1 km the wind is within at both ends, not between them."""
    placard = WindPlacard((0.0, 300.0, 1000.0), (14.0, 13.0, 18.0))
    worst = placard.worst(measured((0.0, 12.0), (1000.0, 17.5)))
    assert worst.height_m == 300.0
    assert worst.margin_m_s == pytest.approx(13.0 - (12.0 + 0.3 * 5.5))


@given(
    st.lists(st.floats(0.0, 40.0), min_size=3, max_size=3),
    st.floats(0.0, 1000.0),
)
def test_no_height_has_less_margin_than_the_worst(speeds_m_s, height_m):
    heights_m = (0.0, 500.0, 1000.0)
    wind = WindPlacard(heights_m, tuple(speed_m_s + 1.0 for speed_m_s in speeds_m_s)).limit_m_s(height_m) - 1.0
    worst = PLACARD.worst(measured(*zip(heights_m, speeds_m_s, strict=True)))
    assert PLACARD.limit_m_s(height_m) - wind >= worst.margin_m_s - 1e-9


@pytest.mark.parametrize(
    ("levels", "covers"),
    [
        (((0.0, 5.0), (1000.0, 5.0)), True),
        (((0.0, 5.0), (999.0, 5.0)), False),
        (((10.0, 5.0), (1000.0, 5.0)), False),
        (((0.0, 5.0), (1000.0, 5.0), (900.0, 5.0)), False),
        ((), False),
    ],
)
def test_profile_covers_the_placard_from_end_to_end_with_rising_levels(levels, covers):
    assert PLACARD.covered_by(measured(*levels)) is covers


@pytest.mark.parametrize("levels", [(), ((300.0, 5.0), (0.0, 5.0))])
def test_profile_without_rising_levels_shows_nothing(levels):
    with pytest.raises(ConfigError, match="levels must rise"):
        PLACARD.worst(measured(*levels))


@pytest.mark.parametrize(
    ("heights_m", "limits_m_s"),
    [
        ((), ()),
        ((0.0, 300.0), (10.0,)),
        ((300.0, 0.0), (10.0, 14.0)),
        ((0.0, 300.0), (10.0, float("nan"))),
        ((0.0, 300.0), (10.0, 0.0)),
    ],
)
def test_what_is_no_placard_is_refused(heights_m, limits_m_s):
    with pytest.raises(ConfigError, match="one limit per height, heights rising"):
        WindPlacard(heights_m, limits_m_s)


def test_placard_comes_from_the_profile(pytestconfig):
    profile = Profile.load([pytestconfig.rootpath / "fixtures/hil_launcher/profiles/flight.toml"])
    placard = WindPlacard.of(profile)
    assert placard.limit_m_s(0.0) == profile.values("flight.wind_placard", "m/s")[0]
