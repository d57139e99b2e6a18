"""The rig of programs: every part behind a real socket or a python-can interface, hazards behind the keeper."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import pytest
from guest_boot import IN_GUEST, SURE, booted, shared
from paced_bench import ROOT, PacedBench, verdict, was_late

from hil.evidence.index import read_run
from hil.limits import Verdict
from hil.report.equivalence import compare

if TYPE_CHECKING:
    from pathlib import Path

    from hil.evidence.index import Run
    from hil.report.equivalence import Comparison

START = "tests/launcher/test_engine_sequence.py::test_start_follows_its_sequence"
TESTS = (*IN_GUEST, START)
SOCKET = "TCPIP0::127.0.0.1::{port}::SOCKET"
RESOURCES = {"psu": SOCKET, "psu_2": SOCKET, "psu_3": SOCKET, "siggen": SOCKET, "stand": "tcp://127.0.0.1:{port}"}


class Both(NamedTuple):
    """The same tests on the rig of programs and in virtual time, and the folder of the first run."""

    run: Run
    virtual: Run
    folder: Path


def late_in(*runs: Run) -> set[str]:
    """The tests whose clock was late in one of the runs: they may have ended before they took all measurements."""
    return {test.nodeid for run in runs for test in run.tests if was_late(test)}


def missing_in_time(compared: Comparison, *runs: Run) -> list[str]:
    """The measurements that one run does not have, of tests whose clocks were in time."""
    return [what for what in compared.missing if what.rpartition(": ")[0] not in late_in(*runs)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("processes")
    # other tests are run beside it: a tick may be 200 ms late, which the times that are judged here do not feel
    rig = ('worlds = { sim = "tcp://127.0.0.1:{port}" }', "pace = 0.25", "max_lateness_ms = 50.0")
    with PacedBench(folder, "processes.toml", "sim", rig=rig, resources=RESOURCES) as bench:
        run = bench.qualify(*TESTS)
        judged = folder / "virtual.toml"  # as the bench, which judges the invariants of every test
        judged.write_text(f'extends = "{ROOT}/rigs/sim.toml"\n[rig]\nname = "virtual"\ninvariants = true\n')
        virtual = bench.qualify(*TESTS, rig=judged, folder="virtual")
    return Both(run, virtual, folder / "run")


def test_the_same_tests_pass_on_the_rig_of_programs_unless_the_machine_was_late(both: Both) -> None:
    found = {test.nodeid: verdict(test) for test in both.run.tests}
    assert list(found) == list(TESTS)
    assert set(found.values()) <= {Verdict.PASS, Verdict.INCONCLUSIVE}, both.run.tests
    assert found[SURE] is Verdict.PASS, both.run.tests


def test_the_keeper_confirmed_the_rig_safe_and_says_so_in_its_own_record(both: Both) -> None:
    assert not both.run.unsafe
    assert both.run.finished
    assert "SAFE-CONFIRMED" in "".join(file.read_text() for file in both.folder.glob("keeper*.jsonl"))


def test_both_rigs_took_the_same_measurements(both: Both) -> None:
    compared = compare(both.run, both.virtual, {})
    taken = compared.spreads.keys()
    assert compared.is_whole
    assert compared.common == len(TESTS)
    assert not missing_in_time(compared, both.run)
    assert "fts.response_time" in taken
    assert START in late_in(both.run) or {"engine.start_to_igniter", "engine.main_ox_opening"} <= taken


def test_times_on_both_rigs_are_near_where_the_clock_was_in_time(both: Both) -> None:
    compared = compare(both.run, both.virtual, {"fts.response_time": 5.0})  # ms: the rig's max_lateness
    assert any(was_late(test) for test in both.run.tests) or compared.spreads["fts.response_time"].is_near


def test_unmodified_files_agree_in_virtual_time_over_programs_and_in_the_guest(
    both: Both, tmp_path_factory: pytest.TempPathFactory
) -> None:
    guest = read_run(booted(shared(tmp_path_factory.getbasetemp())) / "run")
    runs = [both.virtual, both.run, guest]

    assert not guest.unsafe
    for run in runs:
        found = {test.nodeid: verdict(test) for test in run.tests}
        assert found[SURE] is Verdict.PASS, run.tests
        assert {found[test] for test in IN_GUEST} <= {Verdict.PASS, Verdict.INCONCLUSIVE}, run.tests
    for one, other in combinations(runs, 2):
        compared = compare(one, other, {"fts.response_time": 5.0})  # ms: transport delays, not processing
        assert compared.common >= len(IN_GUEST)
        assert not missing_in_time(compared, one, other)
        assert SURE in late_in(one, other) or compared.spreads["fts.response_time"].is_near
        differing = {test for test, *_ in compared.verdicts} & set(IN_GUEST)
        assert differing <= late_in(one, other)
