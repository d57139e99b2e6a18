"""``hil sim``: the models of a rig file as a program, met by a test over the same rig file."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest
import pyvisa
from two_programs import FTS, RIG, Simulation

from hil.clock import Stopwatch
from hil.errors import ConfigError, HilError
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.sim.program import simulate
from hil.sim.slcan_hub import SlcanHub
from hil.units import ms, s
from hil.visa.keysight_n6700 import KeysightN6700
from hil_launcher.clients.fts import Fts

if TYPE_CHECKING:
    from pathlib import Path

_ENDED = threading.Event()
_ENDED.set()


@pytest.fixture
def rig_file(tmp_path: Path) -> Path:
    file = tmp_path / "two_programs.toml"
    file.write_text(RIG)
    return file


def test_a_test_meets_the_models_of_its_rig_file_in_another_program(rig_file: Path) -> None:
    with Simulation(rig_file) as program:
        rig = open_rig(Blueprint.of(load_rig(rig_file, program.sets())))
        try:
            output = rig.instrument("psu", KeysightN6700).output(1)
            output.voltage_v, output.current_limit_a = 28.0, 1.0
            output.on()
            volts = rig.card("stand").volts("load_out1").expect(above=27.5, within=1 * s)
            assert rig.card("stand").level("di_out1").seen(True, within=100 * ms)
            output.off()
            assert rig.card("stand").volts("load_out1").expect(below=1.0, within=1 * s).at > volts.at
        finally:
            rig.close()


def test_an_article_of_the_program_reports_on_a_bus_of_several_programs(
    rig_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rig_file.parent)
    rig_file.write_text(RIG + FTS)
    with SlcanHub(2, link="bus_a_"), SlcanHub(2, link="bus_b_"), Simulation(rig_file) as program:
        rig = open_rig(Blueprint.of(load_rig(rig_file, program.sets())))
        try:
            output, fts = rig.instrument("psu", KeysightN6700).output(2), rig.device("fts_a", Fts)
            output.voltage_v, output.current_limit_a = 28.0, 3.0
            output.on()
            assert fts.reported_state.expect("SAFE", within=3 * s)
            assert fts.reported_supply_v.expect(above=27.0, within=3 * s)
            assert rig.card("stand").volts("ai_fts_a_power").expect(above=27.0, within=1 * s)
        finally:
            rig.close()


def test_the_program_ends_in_order_and_says_how_late_it_was(rig_file: Path) -> None:
    with Simulation(rig_file) as program:
        program.child.send_signal(signal.SIGINT)
        out, err = program.child.communicate(timeout=10.0)
        assert (program.child.returncode, err) == (0, "")
        assert out.startswith("lateness: ")
        assert "p99" in out


def test_an_instrument_of_the_program_may_be_slow_and_take_one_client(rig_file: Path) -> None:
    with Simulation(rig_file, "--one-client", "--latency", "psu=30") as program:
        manager = pyvisa.ResourceManager("@py")
        psu = manager.open_resource(program.where("instrument psu"), read_termination="\n", write_termination="\n")
        assert isinstance(psu, pyvisa.resources.MessageBasedResource)
        watch = Stopwatch()
        assert psu.query("*OPC?") == "1"
        assert watch.elapsed_s >= 0.030
        second = manager.open_resource(program.where("instrument psu"), read_termination="\n", timeout=500)
        assert isinstance(second, pyvisa.resources.MessageBasedResource)
        with pytest.raises((pyvisa.errors.VisaIOError, OSError)):
            second.query("*OPC?")
        manager.close()


def test_a_refusal_is_one_line_and_exit_code_2(rig_file: Path) -> None:
    with Simulation(rig_file, "--program", "sym") as program:
        _, err = program.child.communicate(timeout=10.0)
        assert program.child.returncode == 2
        assert "has no program sym; did you mean sim" in err


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("TCPIP0::127.0.0.1::0::SOCKET", "TCPIP0::10.0.0.7::5025::SOCKET", "can only be served on this machine"),
        ("TCPIP0::127.0.0.1::0::SOCKET", "TCPIP0::127.0.0.1::inst0::INSTR", "can only be served on this machine"),
        (
            'tcp://127.0.0.1:0"\nprocess = "sim"',
            'tcp://127.0.0.1:0"\nprocess = "b"',
            "the programs b, sim; say which one",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_at_the_start(rig_file: Path, old: str, new: str, why: str) -> None:
    others = RIG.replace("worlds = { ", 'worlds = { b = "tcp://127.0.0.1:0", ')
    rig_file.write_text(others.replace(old, new))
    with pytest.raises(ConfigError, match=why):
        simulate(load_rig(rig_file), stop=_ENDED)


def test_a_rig_without_another_program_has_nothing_to_simulate(rig_file: Path) -> None:
    rig_file.write_text('[rig]\nname = "alone"\npace = "wall"\n')
    with pytest.raises(ConfigError, match="no part of this rig belongs to another program"):
        simulate(load_rig(rig_file), stop=_ENDED)


def test_a_port_that_is_taken_ends_the_program_with_its_name(rig_file: Path) -> None:
    with Simulation(rig_file) as program:
        rig_file.write_text(RIG.replace("TCPIP0::127.0.0.1::0::SOCKET", program.where("instrument psu")))
        with pytest.raises(HilError, match=r"psu: TCP port .* cannot be opened"):
            simulate(load_rig(rig_file), stop=_ENDED)
