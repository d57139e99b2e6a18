"""The mixed rig: one receiver is a program of its own, the rest is simulated in the test's; the tests are the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from paced_bench import PacedBench, verdict, was_late

from hil.campaign.transport import ENOUGH
from hil.limits import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from hil.evidence.index import Run

SURE = "tests/launcher/test_fts_rf.py::test_response_time[fts_a-nominal]"
"""Short are the times in which a late tick would doubt it."""
FLIES = """
def test_flies(rig, measure):
    rig.plant.start()
    measure("flies.number", 1.0, "1", limit=(0.0, 2.0))
"""
TESTS = ("tests/launcher/test_fts_logic.py::test_reset_unlatches_everything", SURE)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """A run on it, and what the receiver's program said at its end."""
    folder: Path = tmp_path_factory.mktemp("mixed")
    rig = ('worlds = { fts = "tcp://127.0.0.1:{port}" }', 'cables = { fts = "tcp://127.0.0.1:{port}" }', "pace = 0.2")
    with PacedBench(folder, "mixed.toml", "fts", rig=rig) as bench:
        (folder / "test_flies.py").write_text(FLIES)
        run = bench.qualify(*TESTS, str(folder / "test_flies.py"))
    return run, bench.said


def test_the_same_tests_pass_on_the_mixed_rig_unless_the_machine_was_late(bench: tuple[Run, str]) -> None:
    run, _ = bench
    found = {test.nodeid.rpartition("::")[2]: verdict(test) for test in run.tests if "test_fts" in test.nodeid}
    assert found.keys() == {
        "test_reset_unlatches_everything[fts_a]",  # the program's
        "test_reset_unlatches_everything[fts_b]",  # the test's own
        "test_response_time[fts_a-nominal]",
    }
    assert set(found.values()) <= {Verdict.PASS, Verdict.INCONCLUSIVE}, run.tests
    assert found[SURE.rpartition("::")[2]] is Verdict.PASS, run.tests


def test_what_was_measured_at_the_receiver_of_the_other_program_is_right(bench: tuple[Run, str]) -> None:
    run, _ = bench
    taken = [
        (each.name, each.value)
        for test in run.tests
        for each in test.attempts[-1].measurements
        if "fts_a" in test.nodeid
    ]
    assert ("fts.reset_unlatches", True) in taken
    assert ("fts.inadvertent_outputs", 0) in taken
    late = any(was_late(test) for test in run.tests)
    times_ms = [value for name, value in taken if name == "fts.response_time"]
    assert times_ms
    assert late or all(isinstance(each, float) and 8.0 < each < 20.0 for each in times_ms)


def test_simulated_evidence_stays_simulated_and_nothing_is_kept(bench: tuple[Run, str]) -> None:
    run, _ = bench
    assert run.evidence_class == "sim"
    assert not run.development
    assert not run.unsafe


def test_the_program_says_what_its_cable_carried_and_how_late(bench: tuple[Run, str]) -> None:
    _, said = bench
    found = re.search(r"cable to test: 7 nets, plugged in 4 times, (\d+) changes applied, late by p50 .*, max", said)
    assert found is not None, said
    assert int(found[1]) > 10


def test_a_flight_here_is_measured_over_the_buses_of_the_other_program(bench: tuple[Run, str]) -> None:
    run, _ = bench
    last = next(test for test in run.tests if test.nodeid.endswith("test_flies")).attempts[-1]
    (table,) = (each for each in last.exhibits.tables if each.title.startswith("Transport delay"))
    assert {row[0] for row in table.rows} == {"bus_a", "bus_b"}
    assert all(int(row[1].partition(" ")[0]) >= ENOUGH for row in table.rows)
    assert {row[5] for row in table.rows} >= {"pitch_1 in flight", "yaw_2 on the clamps"}
