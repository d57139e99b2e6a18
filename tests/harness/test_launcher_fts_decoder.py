"""The tone decoder's logic, the signal-strength curve and the threshold sweep, as plain functions."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import HilError
from hil.units import ms
from hil_launcher.clients.sweep import threshold_sweep
from hil_launcher.models.fts.tone_decoder import (
    Command,
    CommandLogic,
    StrengthCurve,
    ToneBank,
    ToneFilter,
    add_powers_dbm,
)

ARM = Command("ARM", frozenset({1, 5}), ("arm", "shutdown"))
TERMINATE = Command("TERMINATE", frozenset({1, 2}), ("terminate",), frozenset({"ARM"}))
TONE = ToneFilter(1, 10_000.0, 1.5, 16.0)


def logic(*, tones_required=2, extra_tones_block=True):
    return CommandLogic([ARM, TERMINATE], tones_required=tones_required, extra_tones_block=extra_tones_block)


def test_a_filter_is_flat_around_its_centre_and_steep_beyond():
    assert TONE.loss_db(10_150.0) == 0.0
    assert TONE.loss_db(9_900.0) == 0.0
    assert TONE.loss_db(10_400.0) == pytest.approx(40.0)
    assert TONE.deviation_hz([(10_400.0, 30_000.0), (10_000.0, 3_000.0)]) == pytest.approx(3_000.0)
    assert TONE.deviation_hz([]) == 0.0


def test_a_tone_is_reported_after_its_integration_time_and_dropped_after_its_release_time():
    bank = ToneBank([1, 2])
    bank.drive({1}, 0, rise_ns=7 * ms, fall_ns=3 * ms)
    assert bank.next_due_ns == 7 * ms
    assert bank.settle(7 * ms - 1) == frozenset()
    assert bank.settle(7 * ms) == {1}
    bank.drive(set(), 20 * ms, rise_ns=7 * ms, fall_ns=3 * ms)
    assert bank.settle(23 * ms - 1) == {1}
    assert bank.settle(23 * ms) == frozenset()
    assert bank.next_due_ns is None


def test_a_tone_shorter_than_the_integration_time_is_never_reported():
    bank = ToneBank([1])
    bank.drive({1}, 0, rise_ns=7 * ms, fall_ns=3 * ms)
    bank.drive(set(), 6 * ms, rise_ns=7 * ms, fall_ns=3 * ms)
    assert bank.settle(100 * ms) == frozenset()


def test_a_tone_that_comes_back_in_time_is_not_dropped():
    bank = ToneBank([1])
    bank.drive({1}, 0, rise_ns=1, fall_ns=3 * ms)
    bank.drive(set(), 10 * ms, rise_ns=1, fall_ns=3 * ms)
    bank.drive({1}, 12 * ms, rise_ns=1, fall_ns=3 * ms)
    assert bank.settle(100 * ms) == {1}


def test_only_exactly_its_tones_are_a_command():
    decoder = logic()
    for count in range(5):
        for tones in combinations((1, 2, 3, 5), count):
            command = decoder.recognise(frozenset(tones))
            assert (command and command.tones) == (frozenset(tones) if set(tones) in ({1, 5}, {1, 2}) else None)


def test_terminate_is_accepted_only_after_arm():
    decoder = logic()
    assert decoder.accept(TERMINATE) == ()
    assert decoder.accept(ARM) == ("arm", "shutdown")
    assert decoder.accept(TERMINATE) == ("terminate",)
    decoder.reset()
    assert decoder.accept(TERMINATE) == ()


def test_what_was_programmed_wrongly_is_done_wrongly():
    assert logic(tones_required=1).recognise({1}) is ARM
    assert logic(extra_tones_block=False).recognise({1, 2, 3}) is TERMINATE
    assert logic().recognise({1, 2, 3}) is None


@given(st.floats(-140, 10), st.floats(0.01, 30))
def test_the_strength_curve_rises_with_level_unless_the_ranges_do_not_match(level_dbm, more_db):
    matched = StrengthCurve(-121.0, -55.0, 0.41, 4.82, -85.0, 0.0)
    assert matched.volts(level_dbm) <= matched.volts(level_dbm + more_db) <= 4.82
    mismatched = StrengthCurve(-121.0, -55.0, 0.41, 4.82, -85.0, 0.3)
    assert mismatched.volts(-84.9) < mismatched.volts(-85.1)


def test_the_strength_curve_without_signal_is_its_low_end():
    assert StrengthCurve(-121.0, -55.0, 0.41, 4.82, -85.0, 0.0).volts(-math.inf) == 0.41


def test_powers_of_uncorrelated_signals_add():
    assert add_powers_dbm(-100.0, -100.0) == pytest.approx(-96.99, abs=0.01)
    assert add_powers_dbm(-100.0, None) == pytest.approx(-100.0)
    assert add_powers_dbm(None) == -math.inf


def sweep(works_at, tries=3):
    return threshold_sweep(works_at, from_dbm=-90.0, to_dbm=-120.0, step_db=0.5, tries=tries)


def test_a_sweep_finds_a_sharp_threshold_from_both_sides():
    found = sweep(lambda level_dbm: level_dbm >= -116.3)
    assert found.threshold_dbm == -116.0
    assert found.spread_db == 0.0
    assert found.is_monotonic
    assert [step.level_dbm for step in found.down] == [step.level_dbm for step in reversed(found.up)]


def test_a_sweep_with_scatter_is_monotonic_and_has_a_spread():
    answers = iter([True, False, True] * 1000)
    found = sweep(lambda level_dbm: level_dbm >= -115.0 or (level_dbm >= -116.0 and next(answers)))
    assert found.threshold_dbm == -115.0
    assert found.spread_db == pytest.approx(0.5)
    assert found.is_monotonic


def test_a_sweep_shows_a_hole_above_the_threshold():
    found = sweep(lambda level_dbm: level_dbm >= -116.0 and not -101.0 <= level_dbm <= -99.0)
    assert found.threshold_dbm == -98.5
    assert found.spread_db == pytest.approx(17.0)
    assert not found.is_monotonic
    assert "    -100.0   0/3      0/3" in found.table


def test_a_sweep_that_never_works_has_no_threshold():
    found = sweep(lambda level_dbm: level_dbm > 0.0)
    assert found.threshold_dbm == found.spread_db == math.inf


def test_a_sweep_with_nothing_to_do_is_refused():
    with pytest.raises(HilError, match="from -120 dBm to -90 dBm"):
        threshold_sweep(bool, from_dbm=-120.0, to_dbm=-90.0, step_db=0.5, tries=1)
