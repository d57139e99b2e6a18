"""Hazard 3 on a bench: the keeper judges the grant, reads the interlock, pulses the timer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from authority_bench import ACTION, KEYS, write_register
from live_bench import BOTH, ROOT, granted
from suite import Suite

from hil.clock import utc_now
from hil.errors import HilError
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.keeping import keeper_plan
from hil.rig.loader import load_rig
from hil.safety.errors import AuthorityError, NoGrantError
from hil.safety.keys import SigningKey, fingerprint
from hil.safety.launch import KeeperLink, start_keeper
from hil.safety.record import read_record
from hil.safety.register import Register
from hil.signal import HIGH, LOW
from hil.units import ms, s
from hil.visa.classes import DCPower

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hil.rig.world import Rig
    from hil.safety.grant import Grant
    from hil.signal import Signal


RIG = """
[rig]
name = "live_bench"
pace = "wall"
max_lateness_ms = 10000.0
worlds = { sim = "tcp://127.0.0.1:0" }

[safety]
silence_s = 20.0
lease_s = 5.0
timer = "stand.do_timer"
contactor = "stand.di_contactor"
emergency_stop = "stand.di_emergency_stop"
arming_plug = "stand.di_arming_plug"
authority = "authority.toml"

[instrument.psu_fire]
driver = "hil.visa.keysight_n6700:KeysightN6700"
model = "hil.visa.keysight_n6700_twin:KeysightN6700Twin"
resource = "TCPIP0::127.0.0.1::0::SOCKET"
process = "sim"
hazard = 3
action = "fts.terminate"
limits = { voltage_max_v = 30.0 }
safe = [
    { write = "OUTP OFF,(@1:4)", query = "OUTP? (@1:4)", expect = "0,0,0,0", within_ms = 2000.0 },
    { query = "MEAS:VOLT? (@1:4)", below_v = 1.0, within_ms = 2000.0 },
]
interlock = { pin = "stand.di_arming_plug", level = "high" }

[instrument.psu_fire.watchdog]
enable = "OUTP:PROT:WDOG:DEL 60;:OUTP:PROT:WDOG ON"
disable = "OUTP:PROT:WDOG OFF"
clear = "OUTP:PROT:CLE (@1:4)"
timeout_ms = 60000.0

[instrument.stand]
driver = "hil.io.stream_card:StreamCard"
model = "hil.io.sim_card:SimIoCard"
resource = "tcp://127.0.0.1:0"
process = "sim"

[dut.safety_chain]
model = "hil_launcher.models.safety_chain:SafetyChain"
as_built = "safety_chain.toml"
process = "sim"

[net.power_safety_chain]
pins = ["stand.do_safety_chain_power", "safety_chain.power"]
[net.timer]
pins = ["stand.do_timer", "safety_chain.timer"]
[net.contactor]
pins = ["safety_chain.contactor", "stand.di_contactor"]
[net.emergency_stop]
pins = ["safety_chain.emergency_stop", "stand.di_emergency_stop"]
[net.arming_plug]
pins = ["safety_chain.arming_plug", "stand.di_arming_plug"]
[net.initiator_supply]
pins = ["psu_fire.out3", "safety_chain.line_in", "stand.ai_initiator_supply"]
[net.initiator_bus]
pins = ["safety_chain.line_out", "stand.load_initiator_bus"]
ohms = { "stand.load_initiator_bus" = 100.0 }
"""
_TESTS = """
import socket
import pytest
from hil.errors import InstrumentError
from hil.safety.errors import KeptAddressError
from hil.signal import HIGH, LOW
from hil.units import s
from hil.visa.classes import DCPower

@pytest.fixture
def bus(rig):
    card = rig.card("stand")
    card.switch("do_safety_chain_power", on=True)
    card.level("di_contactor").expect(HIGH, within=5 * s)
    output = rig.instrument("psu_fire", DCPower).output(3)
    output.voltage_v, output.current_limit_a = 28.0, 2.0
    return output

def test_permitted(rig, bus):
    rig.permit("fts.terminate")
    bus.on()
    rig.card("stand").volts("load_initiator_bus").expect(above=27.0, within=5 * s)

def test_not_permitted_any_more(rig, bus):
    with pytest.raises(InstrumentError, match="was not permitted in this test"):
        bus.on()
    assert rig.card("stand").volts("load_initiator_bus").stays(below=1.0, for_=1 * s // 5)

def test_past_the_keeper(rig):
    _, _, host, _, port, *_ = rig.file.instrument["psu_fire"].resource.split(":")
    with pytest.raises(KeptAddressError, match="the address of psu_fire"):
        socket.create_connection((host, int(port)))
    assert rig.card("stand").volts("load_initiator_bus").stays(below=1.0, for_=1 * s // 50)
"""


class Live:
    """The rig's program, and the rig file of the test that reaches it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_register(folder)
        built = (ROOT / "fixtures" / "hil_launcher" / "as_built" / "safety_chain.toml").read_text()
        (folder / "safety_chain.toml").write_text(built.replace("timer_ms = 250.0", "timer_ms = 1000.0"))
        file = folder / "rig.toml"
        file.write_text(RIG)
        command = [sys.executable, "-c", "from hil.sim.commands import sim; sim()", str(file)]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.child.stdout is not None
        where: dict[str, str] = {}
        for line in self.child.stdout:
            what, _, address = line.strip().rpartition(" ")
            where[what] = address
            if address == "ready":
                break
        text = RIG.replace("TCPIP0::127.0.0.1::0::SOCKET", where["instrument psu_fire"])
        text = text.replace('sim = "tcp://127.0.0.1:0"', f'sim = "{where["world sim"]}"')
        file.write_text(text.replace("tcp://127.0.0.1:0", where["card stand"]))
        self.file = file

    def close(self) -> None:
        self.child.terminate()
        self.child.communicate(timeout=10.0)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    opened = Live(tmp_path_factory.mktemp("live"))
    yield opened
    opened.close()


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "keeper.jsonl"


@pytest.fixture
def link(live: Live, record: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeeperLink]:
    """A keeper of the rig, and a test that began."""
    monkeypatch.setenv("HIL_LEASE_FOLDER", str(record.parent / "lease"))
    opened = KeeperLink(start_keeper(keeper_plan(load_rig(live.file), who="a test", record=record)))
    opened.begin("a test")
    yield opened
    with suppress(HilError):  # where a test ended it
        opened.end()
    opened.close()


@pytest.fixture
def rig(live: Live, link: KeeperLink) -> Iterator[Rig]:
    """The rig of that test, its contactor closed."""
    opened = open_rig(Blueprint.of(load_rig(live.file)), doors=link.door.doors)
    opened.keeper = link
    opened.clock.every(200 * ms, link.progress)
    opened.card("stand").switch("do_safety_chain_power", on=True)
    opened.card("stand").level("di_contactor").expect(HIGH, within=10 * s)
    yield opened
    opened.close()


def energise(rig: Rig) -> Signal[float]:
    """Make the initiator bus live, as it was permitted; its voltage."""
    rig.grants = [granted(rig="live_bench")]
    rig.permit(ACTION)
    output = rig.instrument("psu_fire", DCPower).output(3)
    output.voltage_v, output.current_limit_a = 28.0, 2.0
    output.on()
    volts = rig.card("stand").volts("load_initiator_bus")
    volts.expect(above=27.0, within=5 * s)
    return volts


def files(*grants: Grant) -> list[bytes]:
    return [grant.encode() for grant in grants]


def test_the_keeper_permits_nothing_without_a_grant(link, record):
    with pytest.raises(NoGrantError, match="no grant was given to this run"):
        link.permit(ACTION, [])
    with pytest.raises(AuthorityError, match=r"is no grant"):
        link.permit(ACTION, [b"{}\n"])
    assert [line["action"] for line in read_record(record) if line["what"] == "not permitted"] == [ACTION, ACTION]


def test_the_keeper_reads_the_interlock_of_the_grant_itself(link):
    with pytest.raises(AuthorityError, match=r"interlock stand\.di_emergency_stop high reads low"):  # no control supply
        link.permit(ACTION, files(granted(rig="live_bench", interlock="emergency_stop")))


def test_a_run_energises_live_lines_in_the_test_that_was_permitted_it_and_in_no_other(live, tmp_path):
    for name in ("rig.toml", "authority.toml", "revoked.txt", "safety_chain.toml"):
        (tmp_path / name).write_bytes((live.folder / name).read_bytes())
    suite = Suite(tmp_path, _TESTS, live.file.read_text())
    (tmp_path / "box.grant").write_bytes(granted(rig="live_bench").encode())
    ran = suite.run("--grant", "box.grant", HIL_LEASE_FOLDER=str(tmp_path / "lease"))
    assert ran.code == 0, ran.text
    found = [line for line in read_record(ran.folder / "keeper.jsonl") if line["what"] in ("permitted", "energised")]
    assert [line["what"] for line in found] == ["permitted", "energised"]
    persons = [{"name": name, "key": fingerprint(SigningKey(KEYS[name]).public)} for name in BOTH]
    assert found[0]["persons"] == persons
    permits = [document for document in ran.documents if document.get("what") == "permit"]
    assert [document["persons"] for document in permits] == [persons]


def test_a_grant_that_is_revoked_makes_the_keeper_switch_off(live, rig, record):
    volts = energise(rig)
    Register(live.folder / "authority.toml").revoke(rig.grants[0], utc=utc_now(), reason="the wind turned")
    volts.expect(below=1.0, within=5 * s, since=rig.clock.now)
    assert "it was revoked" in next(str(line["why"]) for line in read_record(record) if line["what"] == "tripped")


def test_when_the_keeper_is_killed_the_contactor_opens_by_itself(rig, link):
    volts = energise(rig)
    killed_ns = rig.clock.now
    os.kill(link.door.pid, signal.SIGKILL)
    rig.card("stand").level("di_contactor").expect(LOW, within=3 * s, since=killed_ns)
    volts.expect(below=1.0, within=1 * s, since=killed_ns)
    assert rig.card("stand").volts("ai_initiator_supply").stays(above=27.0, for_=200 * ms)  # nobody switched it off
