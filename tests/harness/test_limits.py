"""Limits, guard band, family, verdicts and exit codes."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.limits import (
    Limit,
    LimitError,
    Outcome,
    Verdict,
    builtin,
    exit_code,
    judge,
    judge_test,
    margin_percent,
    outcome,
    stricter,
    take,
    worst,
)

VOLTS = Limit(name="psu.voltage", unit="V", low=24.0, high=36.0)
finite = st.floats(-1e9, 1e9)


@pytest.mark.parametrize(("value", "verdict"), [(24.0, "PASS"), (36.0, "PASS"), (23.999, "FAIL"), (36.001, "FAIL")])
def test_a_value_on_its_limit_passes_and_one_beyond_fails(value: float, verdict: str) -> None:
    assert judge(VOLTS, value).verdict == verdict


@pytest.mark.parametrize(("value", "verdict"), [(24.5, "PASS"), (24.4, "INCONCLUSIVE"), (23.9, "FAIL")])
def test_inside_the_guard_band_is_inconclusive(value: float, verdict: str) -> None:
    assert judge(VOLTS, value, 0.5).verdict == verdict


def test_simple_acceptance_has_no_guard_band() -> None:
    simple = Limit(name="v", unit="V", low=24.0, decision="simple", uncertainty=0.5)
    assert judge(simple, 24.1).verdict is Verdict.PASS
    assert judge(simple, 24.1).guard == 0.0


def test_the_margin_is_the_distance_to_the_nearest_limit() -> None:
    assert judge(VOLTS, 35.0).margin == 1.0
    assert judge(VOLTS, 38.0).margin == -2.0
    assert "2 V above the limit 36 V" in judge(VOLTS, 38.0).reason


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_a_value_that_is_not_finite_fails_where_a_limit_applies(value: float) -> None:
    assert judge(VOLTS, value).verdict is Verdict.FAIL
    assert judge(Limit(name="v", unit="V", low=0.0), value).verdict is Verdict.FAIL


def test_a_value_that_is_not_finite_is_inconclusive_as_information() -> None:
    assert take("v", math.nan, "V", None).verdict is Verdict.INCONCLUSIVE
    assert take("v", 3.0, "V", None).info


def test_a_measurement_never_taken_fails() -> None:
    assert judge(VOLTS, None).verdict is Verdict.FAIL
    assert judge(VOLTS, None).reason == "never taken"


def test_inside_the_limits_but_outside_the_family_is_out_of_family() -> None:
    limit = Limit(name="t", unit="dBm", high=-107.0, family_low=-119.0, family_high=-113.0)
    assert judge(limit, -111.0).verdict is Verdict.OUT_OF_FAMILY
    assert judge(limit, -115.0).verdict is Verdict.PASS
    assert judge(limit, -100.0).verdict is Verdict.FAIL


def test_out_of_family_outweighs_the_guard_band_and_both_are_said() -> None:
    judgement = judge(Limit(name="t", unit="V", high=10.0, family_high=9.0), 9.9, 0.5)
    assert judgement.verdict is Verdict.OUT_OF_FAMILY
    assert "family" in judgement.reason
    assert "guard band" in judgement.reason


def test_a_clock_too_coarse_for_its_limit_is_inconclusive() -> None:
    limit = Limit(name="t", unit="ms", high=25.0)
    assert judge(limit, 12.0, 2.5).verdict is Verdict.PASS
    assert judge(limit, 12.0, 2.6).verdict is Verdict.INCONCLUSIVE
    assert judge(Limit(name="u", unit="V", high=25.0), 12.0, 2.6).verdict is Verdict.PASS


def test_a_stated_doubt_takes_a_pass_but_no_fail() -> None:
    assert judge(VOLTS, 30.0, doubt="a late tick").verdict is Verdict.INCONCLUSIVE
    assert judge(VOLTS, 99.0, doubt="a late tick").verdict is Verdict.FAIL


def test_a_discrete_value_must_be_equal_and_of_the_same_kind() -> None:
    closed = Limit(name="valve", unit="1", equals="CLOSED")
    assert judge(closed, "CLOSED").verdict is Verdict.PASS
    assert judge(closed, "OPEN").verdict is Verdict.FAIL
    assert judge(Limit(name="pin", unit="1", equals=False), np.bool_(False)).verdict is Verdict.PASS
    with pytest.raises(LimitError, match="another kind"):
        judge(closed, 1.0)


@pytest.mark.parametrize("value", [True, "12", np.bool_(True)])
def test_a_bool_or_a_text_is_no_number(value: object) -> None:
    with pytest.raises(LimitError, match="equals"):
        judge(VOLTS, value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.float32(1.5), float),
        (np.int64(3), int),
        (np.array(2.0), float),
        (np.bool_(True), bool),
        (Fraction(1, 2), float),
    ],
)
def test_numpy_scalars_become_builtins(value: object, kind: type) -> None:
    assert type(builtin(value)) is kind


@pytest.mark.parametrize("value", [np.array([1.0, 2.0]), [1.0], 1j, 10**400])
def test_what_is_no_single_real_number_is_refused(value: object) -> None:
    with pytest.raises(LimitError, match="psu"):
        take("psu.voltage", value, "V", [VOLTS])


def test_another_unit_is_refused_with_the_factor() -> None:
    with pytest.raises(LimitError, match=r"'mV'.*in 'V'; 1 mV = 1e-3 V"):
        take("psu.voltage", 24000.0, "mV", [VOLTS])
    with pytest.raises(LimitError, match="convert the value to 'V'"):
        take("psu.voltage", 24.0, "dBm", [VOLTS])


def test_a_measurement_without_a_limit_is_refused_unless_it_is_information() -> None:
    with pytest.raises(LimitError, match="info=True"):
        take("x", 1.0, "V", [])


def test_the_stricter_of_two_limits_judges_and_both_are_kept() -> None:
    rule = Limit(name="t", unit="ms", high=30.0, source="rule", grade="P")
    spec = Limit(name="t", unit="ms", high=25.0, source="spec", grade="D")
    taken = take("t", 27.0, "ms", [rule, spec])
    assert taken.verdict is Verdict.FAIL
    assert taken.limit is not None
    assert (taken.limit.high, taken.limit.source) == (25.0, "spec")
    assert taken.limits == (rule, spec)


def test_limits_that_each_give_one_bound_are_both_named() -> None:
    merged = stricter(Limit(name="v", unit="V", low=20, source="a"), Limit(name="v", unit="V", high=30, source="b"))
    assert (merged.low, merged.high, merged.source) == (20.0, 30.0, "a + b")


@pytest.mark.parametrize("other", [Limit(name="v", unit="V", low=40), Limit(name="v", unit="mV", high=1)])
def test_limits_that_contradict_each_other_are_refused(other: Limit) -> None:
    with pytest.raises(LimitError, match=r"contradict|one unit"):
        stricter(VOLTS, other)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "limits nothing"),
        ({"low": 2, "high": 1}, "above"),
        ({"low": math.nan}, "finite"),
        ({"high": 1, "uncertainty": -1}, "negative"),
        ({"high": 1, "decision": "lenient"}, "lenient"),
        ({"high": 1, "grade": "X"}, "grade"),
        ({"high": 1, "equals": True}, "alone"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(fields: dict[str, object], text: str) -> None:
    with pytest.raises(LimitError, match=text):
        Limit(name="v", unit="V", **fields)


@given(finite, finite, finite, st.floats(0, 1e6))
def test_a_pass_is_inside_by_at_least_its_uncertainty(value: float, one: float, other: float, spread: float) -> None:
    low, high = sorted((one, other))
    verdict = judge(Limit(name="v", unit="V", low=low, high=high), value, spread).verdict
    assert (verdict is Verdict.FAIL) == (value < low or value > high)
    if verdict is Verdict.PASS:
        assert min(value - low, high - value) >= spread


@given(finite, st.floats(0, 1e3), st.lists(st.tuples(finite, finite), min_size=1, max_size=4))
def test_several_limits_never_judge_milder_than_one_of_them(
    value: float, spread: float, bounds: list[tuple[float, float]]
) -> None:
    limits = [Limit(name="v", unit="V", low=min(pair), high=max(pair)) for pair in bounds]
    if max(limit.low or 0 for limit in limits) > min(limit.high or 0 for limit in limits):
        return
    alone = worst(judge(limit, value, spread).verdict for limit in limits)
    assert judge(stricter(*limits), value, spread).verdict is alone


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["PASS", "PASS"], 0), (["PASS", "NOT_RUN"], 0), (["NOT_RUN"], 5), ([], 5), (["PASS", "INCONCLUSIVE"], 10),
        (["INCONCLUSIVE", "OUT_OF_FAMILY"], 11), (["FAIL", "OUT_OF_FAMILY"], 1), (["ERROR", "FAIL"], 13),
    ],
)  # fmt: skip
def test_the_exit_code_is_that_of_the_worst_verdict(verdicts: list[str], code: int) -> None:
    assert exit_code([Verdict(each) for each in verdicts]) == code


def test_a_gap_is_worse_than_a_fail_and_unsafe_is_worse_than_all() -> None:
    assert exit_code([Verdict.FAIL], complete=False) == 12
    assert exit_code([Verdict.ERROR], complete=False) == 13
    assert outcome([Verdict.ERROR], complete=False, unsafe=True) is Outcome.UNSAFE
    assert Outcome.UNSAFE.exit_code == 14


def test_a_test_without_a_check_record_is_inconclusive() -> None:
    assert judge_test([]) is Verdict.INCONCLUSIVE
    assert judge_test([Verdict.PASS]) is Verdict.PASS
    assert judge_test([Verdict.PASS], never_taken=["v"]) is Verdict.FAIL


def test_the_margin_in_percent_is_of_the_nearest_limit() -> None:
    assert margin_percent(30.0, 24.0, 36.0) == 25.0
    assert margin_percent(35.0, 24.0, 40.0) == 12.5
    assert margin_percent(1.0, 0.0, None) is None
