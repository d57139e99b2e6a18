"""The delay table and the statistics of repeated trials: nothing missing is left out, and few are marked."""

from __future__ import annotations

import math
import re
import statistics
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_flight import delayed, record_of
from synthetic_run import PASSING, Sketch, of, write_run

from hil.evidence.index import read_run
from hil.report.delays import ChainView, chain_views, spread
from hil.report.render import render
from hil.report.repeats import RepeatView, repeat_views

if TYPE_CHECKING:
    from pathlib import Path


def chain_of(path: Path, *sketches: Sketch) -> ChainView:
    write_run(path, sketches)
    (found,) = chain_views(read_run(path))
    return found


def repeats_of(path: Path, *sketches: Sketch) -> list[RepeatView]:
    write_run(path, sketches)
    return repeat_views(read_run(path))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2))
def test_a_spread_is_that_of_its_numbers(values: list[float]) -> None:
    found = spread(values)
    assert found.count == len(values)
    assert math.isclose(float(found.mean), statistics.fmean(values), rel_tol=1e-4, abs_tol=1e-9)
    assert math.isclose(float(found.three_sigma), 3.0 * statistics.stdev(values), rel_tol=1e-4, abs_tol=1e-9)


def test_one_number_has_no_spread_and_none_has_nothing() -> None:
    assert (spread([4.0]).mean, spread([4.0]).three_sigma) == ("4", "–")
    assert (spread([]).count, spread([]).mean) == (0, "–")


def test_links_stand_in_order_over_all_trials(tmp_path: Path) -> None:
    chain = chain_of(tmp_path / "run", *(delayed(k) for k in range(30)))
    assert (chain.name, chain.passes) == ("termination", 30)
    assert [(row.order, row.name) for row in chain.rows] == [
        ("1", "violation to track report"),
        ("2", "track report to decision"),
        ("3", "output A to output B"),
        ("4", "valves closed to thrust < 5 %"),
    ]
    assert [(row.spread.count, row.missing, row.few) for row in chain.rows] == [(30, 0, False)] * 4


@pytest.mark.parametrize("lost", [None, math.nan])
def test_a_link_that_was_not_found_is_counted_and_its_pass_has_no_total(tmp_path: Path, lost: float | None) -> None:
    chain = chain_of(tmp_path / "run", *(delayed(k, **({"decision": lost} if k < 3 else {})) for k in range(31)))
    decision = chain.rows[1]
    assert (decision.spread.count, decision.missing, decision.few) == (28, 3, True)
    assert chain.total is not None
    assert (chain.total.spread.count, chain.total.missing) == (28, 3)


def test_a_link_that_a_trial_never_recorded_is_missing_too(tmp_path: Path) -> None:
    short = delayed(1)
    short.exhibits = short.exhibits[:1]
    chain = chain_of(tmp_path / "run", short, delayed(2))
    assert [(row.spread.count, row.missing) for row in chain.rows] == [(2, 0), (1, 1), (1, 1), (1, 1)]


def test_the_total_adds_what_adds_pass_by_pass_and_is_of_the_weakest_class(tmp_path: Path) -> None:
    trials = [delayed(k) for k in range(5)]
    chain = chain_of(tmp_path / "run", *trials)
    sums = [sum(fields["value_ms"] for _, fields in each.exhibits if fields["in_total"]) for each in trials]
    assert chain.total is not None
    assert float(chain.total.spread.mean) == pytest.approx(statistics.fmean(sums), rel=1e-4)
    assert float(chain.total.spread.three_sigma) == pytest.approx(3 * statistics.stdev(sums), rel=1e-4)
    assert (chain.total.evidence_class, chain.total.uncertainty) == ("model input", "0.3")
    assert [row.beside for row in chain.rows] == [False, False, True, False]


def test_several_passes_in_one_trial_are_told_apart_by_their_sample(tmp_path: Path) -> None:
    sketch = delayed(1)
    sketch.exhibits = tuple(
        (kind, fields | {"sample": sample}) for sample in range(4) for kind, fields in sketch.exhibits
    )
    chain = chain_of(tmp_path / "run", sketch)
    assert chain.total is not None
    assert (chain.passes, chain.total.spread.count, chain.total.missing) == (4, 4, 0)


def test_a_link_recorded_twice_in_one_pass_has_no_total(tmp_path: Path) -> None:
    sketch = delayed(1)
    sketch.exhibits = sketch.exhibits + sketch.exhibits[:1]
    chain = chain_of(tmp_path / "run", sketch)
    assert chain.total is not None
    assert (chain.total.spread.count, chain.total.missing) == (0, 1)


def test_the_limits_of_the_measurement_of_a_link_stand_beside_it(tmp_path: Path) -> None:
    chain = chain_of(tmp_path / "run", delayed(1), delayed(2))
    assert [row.limits for row in chain.rows] == ["", "≤ 25 ms PASS", "", ""]


def test_the_page_marks_few_and_missing(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [delayed(k, **({"skew": None} if k == 2 else {})) for k in range(6)])
    text = " ".join(re.sub(r"<[^>]+>", " ", render(tmp_path / "run")).split())
    assert "termination: 6 passes" in text
    assert re.search(r"3 \(output A to output B\) [\d.]+ ± [\d.]+ [\d.]+ [\d.]+ 5 &lt; 30 1 rig 0.1 rtl", text)
    assert re.search(r"4 valves closed .* 180 ± 0 180 180 6 &lt; 30 0 rig 0.1 model input, not measured", text)


def test_a_test_tried_five_times_has_statistics_and_one_tried_four_times_has_none(tmp_path: Path) -> None:
    assert repeats_of(tmp_path / "four", PASSING, *(delayed(k) for k in range(4))) == []
    (found,) = repeats_of(tmp_path / "five", PASSING, *(delayed(k) for k in range(5)))
    (row,) = found.rows
    assert (found.nodeid, found.trials) == ("tests/launcher/test_chain.py::test_delays", 5)
    assert (row.name, row.unit, row.missing) == ("fts.response_time", "ms", 0)
    assert (row.spread.mean, row.spread.low, row.spread.high) == ("12.02", "12", "12.04")


def test_a_trial_without_a_finite_value_is_missing_from_the_statistics(tmp_path: Path) -> None:
    sketches = [
        Sketch(nodeid=f"t::test_a[{k}]", measurements=(of("fts.response_time", value),))
        for k, value in enumerate([1.0, 2.0, 3.0, math.nan])
    ]
    sketches.append(Sketch(nodeid="t::test_a[4]", exhibits=record_of(note={"text": "took nothing"})))
    (found,) = repeats_of(tmp_path / "run", *sketches)
    assert [(row.spread.count, row.missing, row.spread.sigma) for row in found.rows] == [(3, 2, "1")]


def test_words_and_truths_have_no_statistics(tmp_path: Path) -> None:
    sketches = [Sketch(nodeid=f"t::test_a[{k}]", measurements=(of("av.valve_state", "CLOSED"),)) for k in range(6)]
    assert repeats_of(tmp_path / "run", *sketches) == []
