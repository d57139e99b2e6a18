"""Areas, limit lines, footprints and delay links: pure geometry and sums; and the lines of the profile."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from range_world import as_built

from hil.errors import ConfigError, HilError
from hil.profile import Profile
from hil.units import ms
from hil_launcher.clients.delay_links import EDGES, Edge, links
from hil_launcher.clients.footprint import Dispersion, Footprint
from hil_launcher.clients.limit_lines import Area, LimitLine, flight_limit, hazard_area, impact_limit
from hil_launcher.clients.range_geometry import RangeGeometry

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
PROFILE = Profile.load([LAUNCHER / "profiles" / "range.toml"])
FLIGHT, IMPACT, HAZARD = flight_limit(PROFILE), impact_limit(PROFILE), hazard_area(PROFILE)
COAST = tuple(zip(PROFILE.values("range.coast.north", "m"), PROFILE.values("range.coast.east", "m"), strict=True))
DISPERSION = Dispersion.of(PROFILE)
METRES = st.floats(-3000.0, 3000.0)
RING = Area(tuple((1e3 * math.cos(a * math.pi / 180), 1e3 * math.sin(a * math.pi / 180)) for a in range(360)))


def at(bearing_deg: float, metres: float) -> tuple[float, float]:
    return metres * math.cos(math.radians(bearing_deg)), metres * math.sin(math.radians(bearing_deg))


# -- geometry --------------------------------------------------------------------------------------------------------


@given(METRES, METRES)
def test_the_margin_to_a_circle_is_radius_less_distance(north_m, east_m):
    assert RING.margin_m((north_m, east_m)) == pytest.approx(1000.0 - math.hypot(north_m, east_m), abs=0.1)


@given(st.lists(st.tuples(METRES, METRES), min_size=3, max_size=9, unique=True), METRES, METRES)
def test_a_turn_of_the_whole_ground_changes_no_distance(corners, north_m, east_m):
    def turned(point):
        return point[0] * 0.6 - point[1] * 0.8 + 50.0, point[0] * 0.8 + point[1] * 0.6 - 20.0

    before, after = Area(tuple(corners)), Area(tuple(turned(corner) for corner in corners))
    point = (north_m, east_m)
    assert after.distance_m(turned(point)) == pytest.approx(before.distance_m(point), abs=1e-6)


@given(st.tuples(METRES, METRES), st.tuples(METRES, METRES))
def test_a_step_changes_the_margin_by_its_length_at_most(one, other):
    change_m = abs(IMPACT.margin_m(one) - IMPACT.margin_m(other))
    assert change_m <= math.dist(one, other) + 1e-6


@given(METRES, METRES)
def test_corners_either_way_round_enclose_the_same(north_m, east_m):
    area, other = Area(HAZARD.corners), Area(tuple(reversed(HAZARD.corners)))
    assert area.distance_m((north_m, east_m)) < 1e-6 or area.contains((north_m, east_m)) is other.contains(
        (north_m, east_m)
    )


def test_an_area_needs_three_corners():
    with pytest.raises(ConfigError, match="2 corners encloses nothing"):
        Area(((0.0, 0.0), (1.0, 1.0)))


# -- the lines of the profile ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bearing_deg", range(30, 226, 15))
def test_on_the_land_side_the_limits_are_the_published_radii(bearing_deg):
    exclusion_m, debris_m = PROFILE.value("range.exclusion_radius", "m"), PROFILE.value("range.debris_radius", "m")
    assert (
        FLIGHT.margin_m(at(bearing_deg, exclusion_m - 40.0)) >= 0.0 >= FLIGHT.margin_m(at(bearing_deg, exclusion_m + 1))
    )
    assert IMPACT.margin_m(at(bearing_deg, debris_m - 50.0)) >= 0.0 >= IMPACT.margin_m(at(bearing_deg, debris_m + 1))


@pytest.mark.parametrize("metres", [0.0, 100.0, 1e3, 1e4, 1e5, 8e5])
def test_a_good_flight_has_room_on_both_sides_all_the_way(metres):
    assert FLIGHT.margin_m(at(338.6, metres)) >= 650.0
    assert IMPACT.margin_m(at(338.6, metres)) >= 1_800.0


def test_the_flight_limit_lies_inside_the_impact_limit_with_room_for_a_decision():
    outline = [
        (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)
        for a, b in FLIGHT.permitted.edges
        for share in (0.0, 0.001, 0.01, 0.1, 0.5)
    ]
    assert min(IMPACT.margin_m(point) for point in outline) >= 1_150.0


def test_the_pad_is_on_land_and_the_sea_begins_before_it_matters():
    assert not HAZARD.contains((0.0, 0.0))
    assert HAZARD.contains(at(338.6, 150.0))
    assert HAZARD.contains(at(300.0, 150.0))
    assert not HAZARD.contains(at(120.0, 150.0))
    assert all(math.hypot(*corner) <= 2_301.0 for corner in HAZARD.corners)
    assert set(COAST) <= set(HAZARD.corners)


def test_the_hazard_area_lies_inside_the_impact_limit():
    assert all(IMPACT.margin_m(corner) > -10.0 for corner in HAZARD.corners), "a chord is inside its circle"


def test_the_closed_area_is_the_sea_area_and_the_exclusion_radius_around_the_pad():
    geometry = RangeGeometry.of(PROFILE)
    assert geometry.closed_margin_m((0.0, 0.0)) == 1_000.0
    assert geometry.closed_margin_m(at(120.0, 900.0)) == pytest.approx(100.0)
    assert geometry.closed_margin_m(at(120.0, 1_100.0)) == pytest.approx(-100.0)
    far = at(338.6, 1_500.0)
    assert geometry.closed_margin_m(far) == HAZARD.margin_m(far) > 0.0
    assert geometry.closed_margin_m(at(338.6, 3_000.0)) == pytest.approx(-700.0, abs=10.0)


def test_the_range_computer_was_loaded_with_the_flight_limit_of_the_profile():
    loaded = as_built().lines["flight_limit"]
    assert tuple(zip(loaded.north_m, loaded.east_m, strict=True)) == FLIGHT.permitted.corners


def test_the_range_computer_was_loaded_with_the_site_of_the_vehicle():
    site = tomllib.loads((LAUNCHER / "vehicle.toml").read_text())["site"]
    loaded = as_built().site
    assert (loaded.latitude_deg, loaded.longitude_deg) == (site["latitude_deg"], site["longitude_deg"])
    assert abs(loaded.height_m - site["height_m"]) < 50.0


ENTRIES = [limit for name in PROFILE.limit_names for limit in PROFILE.limits(name)]
ENTRIES += [PROFILE.parameter(name) for name in PROFILE.parameter_names]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_number_is_graded_by_where_it_stands(entry):
    if "notional" in entry.source:
        assert entry.grade == "D"
    assert (entry.grade == "P") is entry.source.startswith("14 CFR 417")
    assert (entry.grade == "P") is entry.clause.startswith(("D417.", "E417.", "417."))


# -- footprints ------------------------------------------------------------------------------------------------------


@given(METRES, METRES, st.floats(0.0, 100.0))
def test_a_footprint_is_longer_along_the_fall_and_its_margin_less_than_that_of_its_centre(north_m, east_m, fall_s):
    fallen = Footprint.of_fall((0.0, 0.0), (north_m, east_m), fall_s=fall_s, dispersion=DISPERSION)
    assert fallen.along_m >= fallen.across_m >= 3.0 * DISPERSION.position_m
    centre_m = IMPACT.margin_m((north_m, east_m))
    assert centre_m - fallen.along_m - 1e-6 <= fallen.margin_m(IMPACT) <= centre_m


def test_a_footprint_points_along_the_way_it_fell():
    fallen = Footprint.of_fall((0.0, 0.0), (0.0, 1000.0), fall_s=10.0, dispersion=Dispersion(0.0, 1.0, 0.1))
    assert (fallen.across_m, fallen.along_m) == pytest.approx((30.0, 3.0 * math.hypot(10.0, 100.0)))
    east = max(fallen.outline.corners, key=lambda corner: corner[1])
    assert east == pytest.approx((0.0, 1000.0 + fallen.along_m))


@pytest.mark.parametrize(
    ("impact", "inside"), [((-900.0, -1500.0), True), ((0.0, -900.0), True), ((300.0, 300.0), False)]
)
def test_a_footprint_lies_in_an_area_or_not(impact, inside):
    fallen = Footprint(impact, 100.0, 50.0, 0.0)
    assert fallen.inside(HAZARD) is inside


def test_a_footprint_that_reaches_over_a_line_has_a_negative_margin():
    line = LimitLine("ring", "impact limit", RING)
    assert Footprint((900.0, 0.0), 200.0, 50.0, 0.0).margin_m(line) == pytest.approx(-100.0, abs=0.2)


# -- delay links -----------------------------------------------------------------------------------------------------

CHAIN = {name: Edge(index * 10 * ms) for index, name in enumerate(EDGES)}


def test_a_whole_chain_has_all_links_in_order_and_they_add_up():
    found = links(CHAIN)
    assert [link.order for link in found] == list(range(1, 22))
    by_name = {link.name: link for link in found}
    assert by_name["violation to thrust below 5 %"].value_ms == 100.0
    assert by_name["ARM to first shutdown output"].value_ms == 10.0
    assert by_name["shutdown output to all valve drivers off"].value_ms == 20.0
    assert by_name["terminate A to B (skew)"].value_ms == 10.0


def test_the_total_of_the_chain_is_the_time_from_violation_to_the_end_of_thrust():
    found = links(CHAIN | {"shutdown_b": Edge(CHAIN["shutdown_a"].at_ns - 4 * ms)})
    by_name = {link.name: link for link in found}
    total_ms = sum(link.value_ms for link in found if link.in_total)
    assert total_ms == by_name["violation to thrust below 5 %"].value_ms
    assert not by_name["violation to thrust below 5 %"].in_total


def test_engines_are_shut_down_by_arm_and_what_terminate_does_adds_nothing():
    after_arm = {link.name for link in links(CHAIN) if "TERMINATE" in link.name or "terminate" in link.name}
    assert after_arm == {"TERMINATE to output A", "TERMINATE to output B", "terminate A to B (skew)"}
    assert not any(link.in_total for link in links(CHAIN) if link.name in after_arm | {"ARM burst and gap"})


def test_every_link_that_names_a_limit_names_one_of_the_profiles():
    profiles = [LAUNCHER / "profiles" / name for name in ("range.toml", "launcher_spec.toml")]
    known = Profile.load(profiles).limit_names
    named = [link.measurement for link in links(CHAIN) if link.measurement]
    assert len(named) >= 12
    assert set(named) <= set(known)


def test_an_edge_that_was_not_seen_takes_its_links_away_and_no_others():
    found = links(CHAIN | {"terminate_b": None, "thrust_low": None})
    assert {link.name for link in links(CHAIN)} - {link.name for link in found} == {
        "TERMINATE to output B",
        "terminate A to B (skew)",
        "valves of engine 1 closed to thrust below 5 %",
        "rule to thrust below 5 %",
        "violation to thrust below 5 %",
    }
    assert links({}) == ()


def test_the_first_output_drops_the_drivers_whichever_it_is():
    early_b = CHAIN | {"shutdown_b": Edge(CHAIN["shutdown_a"].at_ns - 2 * ms)}
    by_name = {link.name: link for link in links(early_b)}
    assert by_name["shutdown A to B (skew)"].value_ms == -2.0
    assert by_name["shutdown output to all valve drivers off"].value_ms == 22.0


def test_a_link_is_worth_its_weaker_end_and_as_uncertain_as_both():
    edges = {
        "valves_closed": Edge(0, "rig", 3 * ms, "hardware"),
        "thrust_low": Edge(50 * ms, "plant", 4 * ms, "model input"),
    }
    (link,) = links(edges)
    assert (link.clock, link.uncertainty_ms, link.evidence_class) == ("rig to plant", 5.0, "model input")


def test_an_unknown_edge_is_refused():
    with pytest.raises(HilError, match="no edge marker; edges are violation"):
        links({"marker": Edge(0)})
