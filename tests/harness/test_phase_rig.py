"""Transport delay of a rig of programs: what the harness measures when a test flies, and what it does to verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from paced_bench import PacedBench, was_late

from hil.campaign.transport import ENOUGH, TRIES, Transport, on_flight
from hil.limits import Verdict
from hil.phase import Loopback
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms

if TYPE_CHECKING:
    from pathlib import Path

    from hil.evidence.index import Run
    from hil.evidence.records import Test

SOCKET = "TCPIP0::127.0.0.1::{port}::SOCKET"
RESOURCES = {"psu": SOCKET, "psu_2": SOCKET, "psu_3": SOCKET, "siggen": SOCKET, "stand": "tcp://127.0.0.1:{port}"}
FLIGHTS = """
def test_stands(rig, measure):
    measure("stands.number", 1.0, "1", limit=(0.0, 2.0))


def test_flies(rig, measure):
    rig.plant.start()
    measure("flies.number", 1.0, "1", limit=(0.0, 2.0))
"""
OWN = """
[rig]
name = "own"
pace = "virtual"

[plant]
model = "small_plant:MassOnSpring"
vehicle = "spring.toml"
"""
TITLE = "Transport delay of the rig: phase at the bending modes"
MODES = {"pitch_1 in flight": 5.5, "pitch_2 in flight": 9.0}


class Flown(NamedTuple):
    """The same two tests within the budget of phase and over it."""

    within: Run
    over: Run


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Flown:
    folder = tmp_path_factory.mktemp("phase")
    flights = folder / "test_flights.py"
    flights.write_text(FLIGHTS)
    tiny = folder / "tiny.toml"
    tiny.write_text('extends = "bench.toml"\n[rig]\nphase_budget_deg = 0.001\n')
    lines = ('worlds = { sim = "tcp://127.0.0.1:{port}" }', "phase_budget_deg = 1e6")
    with PacedBench(folder, "processes.toml", "sim", rig=lines, resources=RESOURCES) as bench:
        within = bench.qualify(str(flights), folder="within")
        over = bench.qualify(str(flights), rig=tiny, folder="over")
    return Flown(within, over)


def named(run: Run, name: str) -> Test:
    return next(test for test in run.tests if test.nodeid.endswith(name))


def tables(test: Test) -> list[tuple[tuple[str, ...], ...]]:
    return [table.rows for table in test.attempts[-1].exhibits.tables if table.title == TITLE]


def test_a_test_that_flies_has_the_lag_of_every_mode_on_every_bus_in_its_evidence(flown: Flown) -> None:
    (rows,) = tables(named(flown.within, "test_flies"))
    assert {row[0] for row in rows} == {"bus_a", "bus_b"}
    assert {"pitch_1 in flight", "yaw_2 on the clamps"} <= {row[4] for row in rows}
    assert all(int(row[1].partition(" ")[0]) >= ENOUGH for row in rows)
    assert all(float(row[6].removesuffix(" deg")) > 0.0 for row in rows)


def test_within_the_budget_the_verdict_stays(flown: Flown) -> None:
    test = named(flown.within, "test_flies")
    assert test.attempts[-1].verdict is Verdict.PASS or was_late(test)
    assert "phase budget" not in test.attempts[-1].reason


def test_over_the_budget_a_test_that_flies_is_inconclusive_with_the_figures(flown: Flown) -> None:
    last = named(flown.over, "test_flies").attempts[-1]
    assert last.verdict is Verdict.INCONCLUSIVE
    assert "pitch_1 in flight (5.5 Hz) by" in last.reason
    assert "its phase budget is 0.001 deg" in last.reason


def test_over_the_budget_a_test_that_does_not_fly_keeps_its_verdict(flown: Flown) -> None:
    test = named(flown.over, "test_stands")
    assert test.attempts[-1].verdict is Verdict.PASS or was_late(test)
    assert not tables(test)
    assert "phase budget" not in test.attempts[-1].reason


def test_a_plant_of_the_test_s_own_program_flies_without_a_measurement(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    (tmp_path / "spring.toml").write_text("mass_kg = 2.0\nstiffness_n_m = 8.0\n")
    measured: list[Transport] = []
    rig = open_rig(Blueprint.of(load_rig(tmp_path / "own.toml")))
    on_flight(rig, None, measured.append)
    rig.plant.start()
    rig.close()
    assert not measured


def test_too_few_answers_leave_the_delay_unknown_whatever_the_budget() -> None:
    loop = Loopback([1 * ms] * (ENOUGH - 1))
    assert f"{ENOUGH - 1} of {TRIES} loop-back requests were answered" in Transport({"bus_a": loop}, MODES, 1e6).doubt


def test_a_bus_without_any_answer_is_in_the_table_too() -> None:
    found = Transport({"bus_a": Loopback()}, MODES, 10.0)
    assert found.table["rows"] == [["bus_a", f"0 of {TRIES}", "", "", "", "", "", "10 deg"]]


def test_the_worst_of_all_delays_is_judged() -> None:
    found = Transport({"bus_a": Loopback([1 * ms] * (TRIES - 1) + [4 * ms])}, MODES, 10.0)
    assert "pitch_2 in flight (9 Hz) by 13.0 deg" in found.doubt
