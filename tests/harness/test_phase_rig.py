"""Transport delay of a rig of programs: what the harness measures when a test flies, and what it does to verdicts."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import can
import pytest
from loop_rig import LAUNCHER, loop_rig
from paced_bench import PacedBench, was_late
from suite import Suite

from hil.campaign.transport import ENOUGH, TRIES, Transport, on_flight
from hil.can.loopback import LoopbackFrames
from hil.evidence.index import read_run
from hil.limits import Verdict
from hil.phase import Loopback
from hil.report.delays import chain_views
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms

if TYPE_CHECKING:
    from typing import Self

    from hil.evidence.index import Run
    from hil.evidence.records import Test
    from hil.rig.model import RigFile

SOCKET = "TCPIP0::127.0.0.1::{port}::SOCKET"
RESOURCES = {"psu": SOCKET, "psu_2": SOCKET, "psu_3": SOCKET, "siggen": SOCKET, "stand": "tcp://127.0.0.1:{port}"}
FLIGHTS = """
def test_stands(rig, measure):
    measure("stands.number", 1.0, "1", limit=(0.0, 2.0))


def test_flies(rig, measure):
    rig.plant.start()
    measure("flies.number", 1.0, "1", limit=(0.0, 2.0))
"""
REAL_FC = {"fts_a": "test", "fc": "real"}
ASKED = LoopbackFrames(0x700, 0x701)
DECLARED = "loopback = { request = 0x700, answer = 0x701 }"
TITLE = "Transport delay of the rig: phase at the bending modes"
MODES = {"pitch_1 in flight": 5.5, "pitch_2 in flight": 9.0}


class Device:
    """A flight computer in its test mode, on one bus: it answers each request at once."""

    def __init__(self, bus: str, frames: LoopbackFrames) -> None:
        self._bus = can.Bus(interface="virtual", channel=f"loop_{bus}")
        self._frames = frames
        self.requests: list[can.Message] = []
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._ending = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(5.0)
        self._bus.shutdown()

    def _answer(self) -> None:
        while not self._ending.is_set():
            message = self._bus.recv(0.05)
            if message is not None and message.arbitration_id == self._frames.request_id:
                self.requests.append(message)
                self._bus.send(
                    can.Message(arbitration_id=self._frames.answer_id, is_extended_id=False, data=message.data)
                )


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
    assert {"pitch_1 in flight", "yaw_2 on the clamps"} <= {row[5] for row in rows}
    assert all(int(row[1].partition(" ")[0]) >= ENOUGH for row in rows)
    assert all(float(row[7].removesuffix(" deg")) > 0.0 for row in rows)


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


def measured(file: RigFile) -> Transport:
    """What is measured when the plant of a rig is started."""
    found: list[Transport] = []
    rig = open_rig(Blueprint.of(file))
    try:
        on_flight(rig, None, found.append)
        rig.plant.start()
    finally:
        rig.close()
    return found[0]


def test_a_plant_here_is_measured_over_the_bus_to_a_device_and_back_to_its_next_step(tmp_path: Path) -> None:
    with Device("bus_a", ASKED) as device, Device("bus_b", ASKED):
        found = measured(loop_rig(tmp_path, REAL_FC, loopback=DECLARED, database=LAUNCHER / "launcher.dbc"))
    assert found.doubt == ""
    assert {bus: len(loop.samples_ns) for bus, loop in found.loops.items()} == {"bus_a": TRIES, "bus_b": TRIES}
    step_ns = 2 * ms
    assert all(loop.delay_ns(1.0) > 0.9 * step_ns for loop in found.loops.values())  # requests are spread over a step
    assert len(device.requests) == len({bytes(message.data) for message in device.requests}) == TRIES


def test_a_device_that_answers_by_other_identifiers_leaves_the_delay_unknown(tmp_path: Path) -> None:
    file = loop_rig(tmp_path, REAL_FC, loopback=DECLARED, on_b="", database=LAUNCHER / "launcher.dbc", pace="20.0")
    with Device("bus_a", LoopbackFrames(0x700, 0x702)):
        found = measured(file)
    assert f"0 of {TRIES} loop-back requests were answered" in found.doubt
    assert "does device (request 0x700, answered with 0x701) answer" in found.doubt
    assert found.loops["bus_a"].unanswered == TRIES - ENOUGH + 1  # nobody waits for the rest


def test_in_virtual_time_a_flight_is_not_measured(tmp_path: Path) -> None:
    file = load_rig(
        loop_rig(tmp_path, {}).file, ["rig.pace=virtual", "bus.bus_a.interface=hil", "bus.bus_b.interface=hil"]
    )
    rig = open_rig(Blueprint.of(file))
    found: list[Transport] = []
    on_flight(rig, None, found.append)
    rig.plant.start()
    rig.close()
    assert not found


def test_a_loop_within_the_test_s_own_program_says_that_there_is_nothing_to_measure(tmp_path: Path) -> None:
    found = measured(loop_rig(tmp_path, {}))
    assert (found.doubt, list(found.links("sim"))) == ("", [])
    assert "nothing to measure" in found.note


def test_a_real_article_past_every_bus_leaves_the_delay_unknown_unless_it_is_in_no_loop(tmp_path: Path) -> None:
    own = loop_rig(tmp_path, {}).file
    text = own.read_text() + '[dut.box]\nserial = "SN1"\n'
    own.write_text(text)
    found = measured(load_rig(own))
    assert "dut.box: the transport delay of the rig was not measured" in found.doubt
    assert not found.note
    own.write_text(text + "in_loop = false\n")
    found = measured(load_rig(own))
    assert not found.doubt
    assert "what is outside of it is in no loop, as the rig file says: box" in found.note


@pytest.fixture(scope="module")
def undeclared(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a real flight computer on two buses, on one of which something answers."""
    folder = tmp_path_factory.mktemp("undeclared")
    suite = Suite(folder, f"from test_phase_rig import ASKED, Device\n{FLIGHTS}".replace(
        "    rig.plant.start()\n", '    with Device("bus_a", ASKED):\n        rig.plant.start()\n'
    ))  # fmt: skip
    loop_rig(folder, REAL_FC, loopback=DECLARED, on_b="", database=LAUNCHER / "launcher.dbc")
    (folder / "loop.toml").rename(folder / "rig.toml")
    path = os.pathsep.join([*map(str, Path(__file__).parents[:1]), os.environ.get("PYTHONPATH", "")])
    ran = suite.run(PYTHONPATH=path)
    assert (ran.folder / "events.jsonl").is_file(), ran.text
    return read_run(ran.folder)


def test_a_flight_over_a_bus_without_a_loop_back_is_inconclusive_and_names_the_key(undeclared: Run) -> None:
    last = named(undeclared, "test_flies").attempts[-1]
    assert last.verdict is Verdict.INCONCLUSIVE
    assert "bus bus_b: the transport delay of the rig was not measured" in last.reason
    assert re.search(r"set bus\.bus_b\.loopback at .*rig\.toml:\d+", last.reason), last.reason
    assert named(undeclared, "test_stands").attempts[-1].verdict is Verdict.PASS


def test_its_table_has_what_was_measured_and_what_was_not(undeclared: Run) -> None:
    (rows,) = tables(named(undeclared, "test_flies"))
    assert [row[:2] for row in rows] == [("bus_a", f"{TRIES} of {TRIES}"), ("bus_b", "not measured")]


def test_the_delay_table_of_the_report_has_every_request_of_the_run(undeclared: Run) -> None:
    found = {chain.name: chain.rows[0] for chain in chain_views(undeclared)}
    assert found.keys() == {"transport delay of the rig, bus_a", "transport delay of the rig, bus_b"}
    assert [(row.spread.count, row.missing) for row in found.values()] == [(TRIES, 0), (0, 1)]


def test_too_few_answers_leave_the_delay_unknown_whatever_the_budget() -> None:
    loop = Loopback([1 * ms] * (ENOUGH - 1))
    assert f"{ENOUGH - 1} of {TRIES} loop-back requests were answered" in Transport({"bus_a": loop}, MODES, 1e6).doubt


def test_a_turn_that_nobody_answered_counts_as_the_longest() -> None:
    loop = Loopback([1 * ms] * (TRIES - 7) + [4 * ms])
    for _ in range(6):
        loop.sent(0)
        loop.gave_up()
    assert "pitch_2 in flight (9 Hz) by 13.0 deg" in Transport({"bus_a": loop}, MODES, 10.0).doubt


def test_a_bus_without_any_answer_is_in_the_table_too() -> None:
    found = Transport({"bus_a": Loopback()}, MODES, 10.0)
    assert found.table["rows"] == [["bus_a", f"0 of {TRIES}", "", "", "", "", "", "", "10 deg"]]


@pytest.mark.parametrize(("longer", "doubt"), [(5, ""), (6, "pitch_2 in flight (9 Hz) by 13.0 deg")])
def test_the_delay_is_judged_that_ninety_five_of_a_hundred_turns_stay_within(longer: int, doubt: str) -> None:
    found = Transport({"bus_a": Loopback([1 * ms] * (TRIES - longer) + [4 * ms] * longer)}, MODES, 10.0)
    assert doubt in found.doubt
    assert bool(found.doubt) == bool(doubt)
    assert [row[2:5] for row in found.table["rows"]] == [["1 ms", "4 ms" if doubt else "1 ms", "4 ms"]] * 2
