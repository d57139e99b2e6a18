"""Lateness of ticks: what is counted, which windows it meets, when a run is over its limit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.lateness import Histogram, Lateness, LateSpan
from hil.units import ms, s

durations = st.integers(0, 1 << 41)


@given(st.lists(durations, min_size=1, max_size=60), st.sampled_from([0.5, 0.99, 0.999, 1.0]))
def test_a_quantile_is_never_too_good_and_at_most_a_bin_too_bad(lateness_ns: list[int], fraction: float) -> None:
    histogram = Histogram()
    for late_ns in lateness_ns:
        histogram.add(late_ns)
    exact = sorted(lateness_ns)[math.ceil(fraction * len(lateness_ns)) - 1]
    assert exact <= histogram.quantile(fraction) <= exact * 17 / 16
    assert histogram.worst_ns == max(lateness_ns)


def test_nothing_counted_has_no_lateness() -> None:
    assert Histogram().quantile(0.99) == 0
    assert Lateness().summary().worst_ns == 0


def test_a_duration_beyond_every_bin_is_counted_and_the_worst_is_exact() -> None:
    histogram = Histogram()
    histogram.add(1 << 50)
    histogram.add(-3)
    assert (histogram.count, histogram.worst_ns, histogram.quantile(0.5)) == (2, 1 << 50, 0)


def test_a_late_tick_meets_the_windows_between_its_due_time_and_its_running() -> None:
    lateness = Lateness(1 * ms)
    lateness.tick(100 * ms, 5 * ms)
    assert lateness.worst_in(90 * ms, 99 * ms) == 0
    assert lateness.worst_in(90 * ms, 100 * ms) == 5 * ms
    assert lateness.worst_in(102 * ms, 103 * ms) == 5 * ms
    assert lateness.worst_in(105 * ms, 200 * ms) == 5 * ms
    assert lateness.worst_in(105 * ms + 1, 200 * ms) == 0


def test_a_tick_within_the_allowed_lateness_meets_no_window() -> None:
    lateness = Lateness(1 * ms)
    lateness.tick(100 * ms, 1 * ms)
    assert lateness.worst_in(0, 1 * s) == 0
    assert lateness.doubt(0, 1 * s) == ""


def test_the_doubt_names_the_worst_tick_the_allowance_and_the_window() -> None:
    lateness = Lateness(1 * ms)
    lateness.tick(100 * ms, 2 * ms)
    lateness.tick(200 * ms, 7 * ms)
    assert lateness.doubt(50 * ms, 300 * ms) == (
        "the clock was 7 ms late, beyond the rig's max_lateness of 1 ms, with what was due at 0.200000000 s; "
        "that meets the window 0.050000000 s to 0.300000000 s"
    )


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), max_size=80),
    st.tuples(st.integers(0, 2_000), st.integers(0, 300)),
    st.integers(4, 16),
)
def test_with_spans_joined_a_window_is_never_trusted_wrongly(
    ticks: list[tuple[int, int]], window: tuple[int, int], kept: int
) -> None:
    begin, end = window[0], window[0] + window[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hil.lateness._SPANS_MAX", kept)
        lateness, ran, met = Lateness(10), 0, 0
        for idle, late in ticks:
            ran += idle  # ticks run one after another, whenever they were due
            lateness.tick(ran - late, late)
            if late > 10 and ran >= begin and ran - late <= end:
                met = max(met, late)
    assert lateness.worst_in(begin, end) >= met
    assert len(lateness.late_ticks) <= kept
    if lateness.late <= kept:
        assert lateness.worst_in(begin, end) == met


def test_a_tick_that_is_heard_of_after_a_later_one_doubts_its_window_too() -> None:
    lateness = Lateness(1 * ms)
    lateness.tick(10 * ms, 40 * ms)
    lateness.tick(10 * ms, 10 * ms)
    assert lateness.worst_in(30 * ms, 60 * ms) == 40 * ms
    assert lateness.worst_in(15 * ms, 18 * ms) == 40 * ms
    assert lateness.worst_in(51 * ms, 60 * ms) == 0


def test_memory_does_not_grow_with_the_number_of_late_ticks() -> None:
    lateness = Lateness(0)
    for number in range(20_000):
        lateness.tick(number * ms, 1)
    assert len(lateness.late_ticks) <= 4_096
    assert lateness.late == 20_000
    assert lateness.late_ticks[-1] == (19_999 * ms, 1)


def test_a_run_beyond_its_count_of_late_ticks_says_so_with_the_figures() -> None:
    lateness = Lateness(1 * ms, late_max=2)
    for number in range(3):
        assert lateness.beyond_limit() == ""
        lateness.tick(number * s, 2 * ms)
        lateness.tick(number * s + 1, 0)
    assert lateness.beyond_limit() == (
        "the clock could not keep its pace: 3 late ticks, a test may have 2 "
        "(6 ticks, late by p50 0 ns, p99 2 ms, p99.9 2 ms, max 2 ms; 3 beyond 1 ms, at most 1 in a row)"
    )


def test_a_run_beyond_its_row_of_late_ticks_says_so() -> None:
    lateness = Lateness(1 * ms, late_in_a_row_max=2)
    for number in range(3):
        lateness.tick(number, 2 * ms)
    assert "3 late ticks in a row, a test may have 2" in lateness.beyond_limit()


def test_what_came_before_a_restart_is_forgotten() -> None:
    lateness = Lateness(1 * ms, late_max=0)
    lateness.tick(0, 1 * s)
    lateness.restart()
    assert lateness.beyond_limit() == ""
    assert lateness.worst_in(0, 10 * s) == 0
    assert lateness.summary().ticks == 0


def test_ticks_that_were_late_at_once_are_one_span() -> None:
    lateness = Lateness(1 * ms)
    for due_ms in range(10, 20):  # a stall from 10 ms to 25 ms
        lateness.tick(due_ms * ms, (25 - due_ms) * ms)
    lateness.tick(40 * ms, 2 * ms)
    assert lateness.spans_since(0) == [
        LateSpan(10 * ms, 25 * ms, 15 * ms, 1 * ms),
        LateSpan(40 * ms, 42 * ms, 2 * ms, 1 * ms),
    ]
    assert lateness.spans_since(26 * ms) == [LateSpan(40 * ms, 42 * ms, 2 * ms, 1 * ms)]


def test_a_span_that_another_program_tells_counts_once_and_doubts_what_meets_it() -> None:
    lateness = Lateness(1 * ms)
    lateness.tick(50 * ms, 3 * ms)
    lateness.told(LateSpan(10 * ms, 25 * ms, 6 * ms, 5 * ms))  # it is heard of later
    assert (lateness.late, lateness.late_in_a_row) == (2, 1)
    assert "6 ms late, beyond the rig's max_lateness of 5 ms" in lateness.doubt(20 * ms, 30 * ms)
    assert not lateness.doubt(26 * ms, 49 * ms)
    assert lateness.doubt(51 * ms, 60 * ms)
