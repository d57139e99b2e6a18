"""What is told of an RTL run before it begins: cycles, wall time and budget, from what earlier runs showed."""

from __future__ import annotations

import pytest
from rtl_world import rig_file

from hil.campaign.workload import Known, forecast
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig

ONE, OTHER, NEW = "tests/test_box.py::test_one", "tests/test_box.py::test_other", "tests/test_box.py::test_new"


@pytest.fixture
def blueprint(tmp_path, hdl):
    return Blueprint.of(load_rig(rig_file(tmp_path, {"box": "echo"}, hdl("icarus"), more="budget_s = 90.0")))


def told(blueprint, outcomes, *tests):
    known = Known()
    known.learn(outcomes)
    return "\n".join(forecast(blueprint, tests, known))


def outcome(duration_s, cycles=None, busy_s=10.0, verdict="PASS"):
    simulated = {} if cycles is None else {"box": ("icarus", cycles, busy_s)}
    return {"verdict": verdict, "duration_ns": round(duration_s * 1e9), "simulated": simulated}


def test_what_runs_on_what_at_which_clock_is_told_with_the_budget(blueprint):
    text = told(blueprint, {}, NEW)
    assert "rtl: box is echo on icarus, 10 MHz: 1 s of powered rig time takes about 50 s" in text  # nominal speed
    assert "budget 90 s of wall time per simulator and test" in text
    assert "0 of 1 tests estimated" in text
    assert "1 never ran on this machine" in text


def test_a_test_that_ran_is_estimated_by_its_cycles_and_the_speed_it_had(blueprint):
    text = told(blueprint, {ONE: outcome(0.5, cycles=4_000_000, busy_s=8.0)}, ONE)
    assert "1 s of powered rig time takes about 20 s" in text
    assert "test_box.py::test_one: 4.0 Mcycles, about 8 s" in text


def test_a_test_that_only_ran_without_rtl_is_estimated_by_its_rig_time(blueprint):
    text = told(blueprint, {OTHER: outcome(0.2)}, OTHER)
    assert "test_box.py::test_other: at most 2.0 Mcycles, about 10 s" in text


def test_an_article_that_was_a_model_then_is_estimated_by_the_rig_time(tmp_path, hdl):
    file = rig_file(tmp_path, {"box": "echo", "other": "echo"}, hdl("icarus"))
    text = told(Blueprint.of(load_rig(file)), {ONE: outcome(0.2, cycles=1_000_000, busy_s=5.0)}, ONE)
    assert "test_box.py::test_one: at most 3.0 Mcycles, about 15 s" in text


def test_a_run_that_was_broken_off_teaches_nothing(blueprint):
    assert "0 of 1 tests estimated" in told(blueprint, {ONE: outcome(0.5, cycles=1, verdict="ERROR")}, ONE)
