"""``hil compare``: two runs of the same tests on two rigs, by verdicts and by how far measurements lie apart."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from suite import Suite

from hil.cli import main

TESTS = """
import os

VOLTS = float(os.environ["VOLTS"])

def test_bus(measure):
    measure("box.volts", VOLTS, "V")

def test_other(measure):
    measure("box.volts", 28.0, "V")
"""


BENCH = """
[rig]
name = "bench"
invariants = true
[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
model = "hil.visa.keysight_n6700_twin:KeysightN6700Twin"
"""
ON_A_RIG = """
def test_bus(rig, measure):
    measure("box.volts", 28.0, "V")
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run folders: at 28 V, at 28.5 V, at 40 V (which fails), and of one test alone."""
    suite = Suite(tmp_path_factory.mktemp("suite"), TESTS)
    return {
        "28": suite.run(run_folder="a", VOLTS="28").folder,
        "28.5": suite.run(run_folder="b", VOLTS="28.5").folder,
        "40": suite.run(run_folder="c", VOLTS="40").folder,
        "alone": suite.run("-k", "other", run_folder="d", VOLTS="28").folder,
    }


def compared(*arguments):
    done = CliRunner().invoke(main, ["compare", *map(str, arguments)])
    return done.exit_code, done.output


def test_runs_with_the_same_verdicts_and_near_measurements_are_equal(runs):
    code, text = compared(runs["28"], runs["28.5"], "--within", "box.volts=0.5", "--whole")
    assert code == 0
    assert "2 tests in both runs, 0 with different verdicts" in text
    assert "box.volts: 2 pairs, at most 0.5 V apart, allowed 0.5 V  near (test_bus)" in text


def test_a_measurement_too_far_apart_is_named(runs):
    code, text = compared(runs["28"], runs["28.5"], "--within", "box.volts=0.4")
    assert code == 1
    assert "allowed 0.4 V  TOO FAR APART (test_bus)" in text


def test_another_verdict_is_named_whatever_the_tolerance(runs):
    code, text = compared(runs["28"], runs["40"], "--within", "box.volts=100")
    assert code == 1
    assert "test_box.py::test_bus: PASS and FAIL" in text


def test_a_test_of_one_run_only_is_told_and_refused_when_both_must_be_whole(runs):
    code, text = compared(runs["28"], runs["alone"])
    assert code == 0
    assert "1 tests are in one of the runs only, test_box.py::test_bus the first of them" in text
    assert compared(runs["28"], runs["alone"], "--whole")[0] == 1


def test_a_tolerance_that_judges_nothing_is_refused(runs):
    code, text = compared(runs["28"], runs["40"], "--within", "box.amps=1")
    assert code != 0
    assert "no common test measures box.amps" in text


def test_what_a_bench_measures_of_itself_is_left_out(tmp_path):
    suite = Suite(tmp_path, ON_A_RIG, rig=BENCH)
    bench = suite.run(run_folder="bench")
    virtual = suite.run("--set", "rig.invariants=false", run_folder="virtual")
    code, text = compared(bench.folder, virtual.folder, "--within", "box.volts=0")

    assert any("invariant." in str(document.get("name")) for document in bench.documents)
    assert (code, "box.volts: 1 pairs" in text, "taken in one" in text) == (0, True, False)
