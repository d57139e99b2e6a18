"""Numbers and bars of the report."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.evidence.documents import measurement_fields
from hil.evidence.fields import Fields
from hil.evidence.index import measured_of
from hil.limits import Limit, take
from hil.report.bars import WIDTH, Bar, bar_of
from hil.report.figures import figure, recorded

finite = st.floats(allow_nan=False, allow_infinity=False)


def bar(value: float, **limits: float) -> Bar | None:
    taken = take("v", value, "V", [Limit(name="v", unit="V", **limits)])
    return bar_of(measured_of(Fields(measurement_fields(taken, t_ns=0, evidence_class="sim"), "test")))


@given(finite, finite)
def test_two_numbers_never_look_the_same_unless_they_are(value: float, limit: float) -> None:
    assert (figure(value, limit) == figure(limit, value)) == (value == limit)


@given(finite.filter(lambda value: abs(value) < 1e300))
def test_a_figure_is_near_its_value(value: float) -> None:
    assert math.isclose(float(figure(value)), value, rel_tol=1e-5)


def test_a_long_value_is_cut_and_says_so() -> None:
    assert recorded("x" * 500).endswith("... (500 characters)")


@given(finite, st.none() | finite, st.none() | finite, st.floats(0, 1e6))
def test_a_bar_never_leaves_its_picture(value: float, low: float | None, high: float | None, spread: float) -> None:
    if low is not None and high is not None and low > high:
        low, high = high, low
    if low is None and high is None:
        return
    found = bar(value, low=low, high=high, uncertainty=spread)
    assert found is not None
    assert all(0 <= float(x) <= WIDTH for x in (*found.limits, found.value))
    assert all(float(left) + float(wide) <= WIDTH + 0.2 for left, wide in (found.allowed, *found.guards))


@pytest.mark.parametrize(("value", "clipped"), [(30.0, ""), (1000.0, ">"), (-1000.0, "<")])
def test_a_value_beyond_the_scale_is_marked_at_its_end(value: float, clipped: str) -> None:
    found = bar(value, low=24.0, high=36.0)
    assert found is not None
    assert found.clipped == clipped


@pytest.mark.parametrize(("value", "inside"), [(12.0, True), (26.0, False)])
def test_the_mark_is_on_the_same_side_of_the_limit_as_the_value(value: float, *, inside: bool) -> None:
    found = bar(value, high=25.0)
    assert found is not None
    assert (float(found.value) < float(found.limits[0])) is inside


def test_a_discrete_value_has_no_bar() -> None:
    taken = take("v", "OPEN", "1", [Limit(name="v", unit="1", equals="OPEN")])
    assert bar_of(measured_of(Fields(measurement_fields(taken, t_ns=0, evidence_class="sim"), "test"))) is None
