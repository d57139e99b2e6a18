"""A person takes a hand: a debugger and an operator hold a test under the keeper, on record, and it does not PASS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest
from card_bench import Stand
from click.testing import CliRunner
from keeper_bench import Instrument
from kill_bench import Supply
from suite import Suite

from hil.campaign.session import RunSession, Settings
from hil.campaign.trial import Order
from hil.cli import main
from hil.errors import ConfigError
from hil.rig.keeping import keeper_plan
from hil.rig.loader import load_rig
from hil.safety.holder import Holder
from hil.safety.keeper_folder import door_of, remove_left
from hil.safety.launch import KeeperLink, exit_code_of, start_keeper
from hil.safety.lease import status
from hil.safety.operator_link import OperatorLink
from hil.safety.record import read_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 60.0
RIG = """
[rig]
name = "taken"
pace = "wall"
max_lateness_ms = 60000.0
[safety]
silence_s = 3.0
deadline_s = 60.0
[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
resource = "{resource}"
hazard = 1
limits = {{ voltage_max_v = 36.0 }}
safe = [{{ write = "OUTP OFF,(@1:4)", query = "OUTP? (@1:4)", expect = "0,0,0,0", within_ms = 1000.0 }}]
watchdog = {{ enable = "OUTP:PROT:WDOG:DEL 30;:OUTP:PROT:WDOG ON", timeout_ms = 30000.0 }}
"""
CARD_RIG = """
[rig]
name = "taken"
pace = "wall"
[instrument.stand]
driver = "hil.io.stream_card:StreamCard"
resource = "{address}"
hazard = 1
safe = [{{ write = "do_arm open", query = "di_arm", expect = "low", within_ms = 500.0 }}]
interlock = {{ pin = "stand.di_key", level = "low" }}
[instrument.stand.outputs]
do_arm = {{ energises = "high" }}
[net.arm]
pins = ["stand.do_arm", "stand.di_arm"]
[net.key]
pins = ["stand.di_key", "stand.do_timer"]
"""
TESTS = """
from hil.visa.classes import DCPower

def test_held(rig, measure):
    psu = rig.instrument("psu", DCPower)
    with open("ready", "w") as ready:
        ready.write("ready")
    with open("go") as go:
        go.read()
    measure("box.volts", 25.0 + psu.output(1).voltage_v, "V")

def test_debugged(rig, measure):
    breakpoint()
    measure("box.volts", 30.0, "V")
"""


# -- a run ------------------------------------------------------------------------------------------------------


def test_an_operator_and_a_debugger_hold_a_test_which_is_then_inconclusive(tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_LEASE_FOLDER", str(tmp_path / "lease"))
    supply = Supply()
    Suite(tmp_path, TESTS, RIG.format(resource=supply.resource))
    (tmp_path / ".pdbrc").write_text("continue\n")
    for name in ("ready", "go"):
        os.mkfifo(tmp_path / name)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rig=rig.toml", "--run-folder=run"]
    child = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        (tmp_path / "ready").read_text()
        link = OperatorLink(door_of(status("taken").pid), "Ada Marsh", "look at valve 3")
        (tmp_path / "go").write_text("go")
        assert link.say("psu", "VOLT 2.5,(@1)") == []
        assert link.say("psu", "VOLT? (@1)")[0].startswith("+2.5")
        assert "36" in link.say("psu", "VOLT 40,(@1)")[0]
        link.hand_back()
        link.close()
        said, _ = child.communicate(timeout=PATIENCE_S)
    finally:
        child.kill()
        supply.close()
    lines = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    stops = [line for line in lines if line["doc"] == "stop" and "verdict" in line][:2]
    assert [stop["verdict"] for stop in stops] == ["INCONCLUSIVE", "INCONCLUSIVE"], said
    assert "Ada Marsh had the rig during the test (look at valve 3)" in str(stops[0]["reason"])
    assert "a debugger had the rig" in str(stops[1]["reason"])
    measured = [line["value"] for line in lines if line.get("name") == "box.volts"]
    assert measured == [27.5, 30.0], "the test asked after the operator had handed back"
    whats = [line["what"] for line in read_record(tmp_path / "run" / "keeper.jsonl")]
    assert whats.index("taken over by hand") < whats.index("said by hand") < whats.index("by hand until here")
    assert whats.index("hold") < whats.index("resume")
    assert "tripped" not in whats


def test_a_deadline_longer_than_the_rig_allows_is_refused_before_anything_runs(tmp_path):
    Suite(tmp_path, TESTS)
    run = RunSession.begin(Settings(str(tmp_path / "rig.toml"), tmp_path))
    with pytest.raises(ConfigError, match=r"test_of_its_own: a deadline of 3600 s was asked for, .* allows 600 s"):
        run.demand_deadlines([Order("test_of_its_own", deadline_s=3600.0)])
    run.demand_deadlines([Order("test_of_its_own", deadline_s=600.0)])


@pytest.mark.parametrize("mark", [pytest.mark.deadline(), pytest.mark.deadline("long"), pytest.mark.deadline(s=1)])
def test_a_deadline_that_is_no_number_of_seconds_is_a_usage_error(request, mark):
    request.node.add_marker(mark)
    with pytest.raises(pytest.UsageError, match=r"deadline\(.*\) takes one number of seconds above 0"):
        request.node.ihook.pytest_itemcollected(item=request.node)


# -- the keeper's folder ----------------------------------------------------------------------------------------


def test_a_keeper_removes_what_one_that_was_killed_left_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    this = Holder.this()
    holders = {"hil-keeper-gone": replace(this, pid=gone.pid), "hil-keeper-lives": this}
    for name, holder in holders.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "door.json").write_text(json.dumps({"holder": asdict(holder), "door": {}}))
    (tmp_path / "hil-keeper-of-somebody").mkdir()
    remove_left()
    assert {path.name for path in tmp_path.iterdir()} == {"hil-keeper-lives", "hil-keeper-of-somebody"}


# -- hil take ---------------------------------------------------------------------------------------------------


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeeperLink]:
    """The connection of a run whose test runs."""
    monkeypatch.setenv("HIL_LEASE_FOLDER", str(tmp_path / "lease"))
    supply = Instrument()
    opened = run_of(tmp_path, RIG.format(resource=supply.resource))
    yield opened
    opened.close()
    supply.close()


def run_of(folder: Path, rig: str) -> KeeperLink:
    """Start the keeper of a rig file, and begin a test."""
    (folder / "rig.toml").write_text(rig)
    plan = keeper_plan(load_rig(folder / "rig.toml"), who="a test", record=folder / "keeper.jsonl")
    opened = KeeperLink(start_keeper(plan))
    opened.begin("test_valves")
    return opened


def take(folder: Path, *lines: str) -> tuple[int, str]:
    """``hil take``, and what it printed."""
    arguments = ["take", str(folder / "rig.toml"), "--by", "Ada Marsh", "--why", "look at valve 3"]
    done = CliRunner().invoke(main, arguments, input="\n".join(lines) + "\n")
    return done.exit_code, done.output


def test_the_command_takes_over_talks_and_hands_back_and_an_operator_who_is_gone_trips(link, tmp_path):
    code, said = take(tmp_path, "psu VOLT? (@1)", "psu *RST", "smu X", "help", "hand back")
    assert code == 0, said
    assert "held is test_valves" in said
    assert "TCPIP0::127.0.0.1::" in said
    assert "\n7\n" in said.replace("> ", "")
    assert "-203" in said
    assert "the keeper does not keep smu; it keeps psu" in said
    assert link.take_overs()[0]["by"] == "Ada Marsh"
    assert link.operator == ""

    OperatorLink(door_of(link.door.pid), "Bo Lind", "look").close()
    assert exit_code_of(link.door) == 0
    assert "Bo Lind, who had taken the rig over, is gone" in (tmp_path / "keeper.jsonl").read_text()


def test_the_command_reaches_an_i_o_card(tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_LEASE_FOLDER", str(tmp_path / "lease"))
    with Stand() as stand:
        link = run_of(tmp_path, CARD_RIG.format(address=stand.server.address))
        code, said = take(tmp_path, "stand do_arm closed", "stand di_arm ?", "stand do_timer closed", "hand back")
        assert code == 0, said
        assert "stand  words://127.0.0.1:" in said
        assert "do_arm closed\ndone\n" in said
        assert "di_arm ?\nhigh\n" in said
        assert "refused: stand.do_timer is not on the list of outputs" in said
        assert stand.volts("arm") > 20.0
        link.make_safe()
        assert stand.volts("arm") == 0.0
        link.end()
    said_by_hand = [line for line in read_record(tmp_path / "keeper.jsonl") if line["what"] == "said by hand"]
    assert (said_by_hand[0]["outlet"], said_by_hand[0]["message"]) == ("stand", "do_arm closed")


def test_the_end_of_its_input_makes_safe_and_ends_the_run(link, tmp_path):
    code, said = take(tmp_path)
    assert code == 0, said
    assert "SAFE-CONFIRMED" in said
    assert exit_code_of(link.door) == 0
    assert "Ada Marsh, who had taken the rig over, asked for it" in (tmp_path / "keeper.jsonl").read_text()


def test_a_rig_that_nobody_keeps_cannot_be_taken_over(tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_LEASE_FOLDER", str(tmp_path / "lease"))
    (tmp_path / "rig.toml").write_text(RIG.format(resource="TCPIP0::127.0.0.1::1::SOCKET"))
    code, said = take(tmp_path)
    assert code == 13
    assert "there is nobody to take it over from" in said
