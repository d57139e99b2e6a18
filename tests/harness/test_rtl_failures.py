"""A design or a simulator that goes wrong: told as the right error, nothing left running or behind."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from rtl_bench import bench, built, family, on_icarus, rtl_file, running

from hil.clock import Stopwatch
from hil.errors import DesignError, HilError, RtlError, UnknownLevelError
from hil.rtl import launch, link
from hil.rtl.analysis.solo import Input, Solo
from hil.rtl.launch import PeerProcess
from hil.units import ms, s, us

if TYPE_CHECKING:
    from pathlib import Path

FINISH, FATAL, ERROR, ASSERTION, LOOP, UNKNOWN, UNDRIVEN = range(1, 8)


@dataclass
class Ended:
    """How a box ended: the error, what of it still runs and stands, and what closing its rig did."""

    error: BaseException
    at_ns: int
    processes: list[int]
    left: list[Path]
    undone: list[str]
    waves: str

    @property
    def text(self) -> str:
        """What the error says."""
        return str(self.error)

    def check(self, kind: type[BaseException], *words: str) -> None:
        """It is this very kind of error, says this, and left nothing; what the rig was to undo is undone."""
        assert type(self.error) is kind, self.error
        for each in words:
            assert re.search(each, self.text), self.text
        assert (self.processes, self.left) == ([], [])
        assert self.undone == ["time passed", "supply off"]
        assert "mode_i" in self.waves


@pytest.fixture
def end(tmp_path, monkeypatch):
    """``end(simulator, act)`` powers the faulty box, lets ``act`` spoil it, and lets time pass until it ends."""
    scratch = tmp_path / "t"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    def run(simulator, act, *, more="", design="faulty"):
        undone = []

        def off():
            box.power(0.0)
            undone.append("supply off")

        def wait():
            box.clock.sleep(10 * ms)
            undone.append("time passed")

        with bench(tmp_path, design, simulator, more=more) as box:
            box.rig.undo("the supply", off)
            box.rig.undo("what needs time", wait)
            box.clock.sleep(1 * ms)
            pids = family(os.getpgid(box.simulator_pid()))
            box.fpga.drive("mode_i", 0)
            with pytest.raises((HilError, KeyboardInterrupt)) as caught:  # noqa: PT012  # the act or what it leads to
                act(box)
                box.clock.sleep(600 * s)
            at_ns, waves = box.clock.now, box.rig.traces["box"].vcd()
        assert len(pids) == 2  # the runner, and the simulator it started
        return Ended(caught.value, at_ns, running(pids), list(scratch.iterdir()), undone, waves)

    return run


def mode(number):
    """Has the design go wrong in one way."""
    return lambda box: box.fpga.drive("mode_i", number)


# -- what the design does ---------------------------------------------------------------------------------------


def test_a_design_that_ends_the_simulation_is_an_error_that_says_when(end, simulator):
    end(simulator, mode(FINISH)).check(RtlError, r"the design called \$finish", r"[12]\.\d+ ms after power-up")


@pytest.mark.parametrize(
    ("number", "line", "words"),
    [(FATAL, 35, "fatal on request"), (ERROR, 36, "error on request"), (ASSERTION, 37, "assertion on request")],
)
def test_a_design_that_complains_fails_the_test_with_file_and_line(end, simulator, number, line, words):
    end(simulator, mode(number)).check(DesignError, "the design complained", rf"faulty\.sv:{line}: .*{words}")


@on_icarus
def test_a_complaint_is_found_at_the_next_exchange_and_not_at_power_down(end, simulator):
    def tick(box):
        box.clock.every(50 * us, lambda: None)
        box.fpga.drive("mode_i", ERROR)

    assert end(simulator, tick).at_ns <= 1 * ms + 50 * us


def test_a_loop_without_time_is_an_error_that_says_how_far_it_got(end, simulator):
    ended = end(simulator, mode(LOOP), more="silence_s = 2.0")
    ended.check(RtlError, "no sign of life for 2 s", "loop without time", r"999\.975 us after power-up")


@pytest.mark.parametrize(("number", "bits"), [(UNKNOWN, "X"), (UNDRIVEN, "Z")])
def test_an_unknown_output_fails_the_test_and_names_the_pin(end, hdl, number, bits):
    end(hdl("icarus"), mode(number)).check(UnknownLevelError, rf"box: output open_o is {bits} at 0\.00100\d+ s", "no 0")


def test_an_unknown_output_is_never_read_as_a_level(tmp_path, hdl):
    heard = []
    with bench(tmp_path, "faulty", hdl("icarus")) as box:
        box.fpga.on_output("open_o", heard.append)
        box.clock.sleep(1 * ms)
        box.fpga.drive("mode_i", UNKNOWN)
        with pytest.raises(UnknownLevelError):
            box.clock.sleep(1 * ms)
        assert set(heard) == {0}  # what it was in the reset and after it
        with pytest.raises(UnknownLevelError, match="open_o is X"):
            box.fpga.value("open_o")


def test_an_output_that_stays_unknown_from_power_up_on_is_found_when_the_reset_is_over(tmp_path, hdl):
    with bench(tmp_path, "unreset", hdl("icarus")) as box:
        box.clock.sleep(500)  # still in the reset
        with pytest.raises(UnknownLevelError, match=r"output terminate_o is X at 0.000000575 s"):
            box.clock.sleep(100)


CAN = 'kind = "can"\ntx = "{0}"\nrx = "{1}"'
UART = 'kind = "uart"\ntx = "{0}"\nbaud = 125000.0'
PWM = 'kind = "pwm_out"\nport = "{0}"\nwindow_us = 5.0'
SPI = 'kind = "spi_adc"\nsclk = "tick_o"\ncs_n = "level_o"\nmosi = "{0}"\nmiso = "{1}"\nchannels = ["a"]'


@pytest.mark.parametrize("binding", [CAN, UART, PWM, SPI], ids=["can", "uart", "pwm", "spi"])
def test_a_pin_that_becomes_unknown_fails_the_test_though_only_a_peripheral_reads_it(tmp_path, hdl, binding):
    file = rtl_file(tmp_path, "faulty", then="[bind.it]\n" + binding.format("open_o", "level_i"))
    with Solo(built(file, hdl("icarus"))) as solo:
        solo.run(10 * us)
        with pytest.raises(UnknownLevelError, match="faulty: output open_o is X: an unknown level is neither 0 nor 1"):
            solo.run(50 * us, [Input(20 * us, "mode_i", UNKNOWN)])


def test_a_can_pin_that_is_unknown_from_power_up_on_fails_the_test(tmp_path, hdl):
    file = rtl_file(tmp_path, "unreset", then="[bind.it]\n" + CAN.format("terminate_o", "terminate_i"))
    with (
        Solo(built(file, hdl("icarus"))) as solo,
        pytest.raises(UnknownLevelError, match="unreset: output terminate_o is X: an unknown level is neither 0 nor 1"),
    ):
        solo.run(10 * us)


# -- what happens to the simulator ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_simulator_that_crashes_is_an_error_that_names_the_signal(end, simulator, number):
    def crash(box):
        os.kill(box.simulator_pid(), number)

    end(simulator, crash).check(RtlError, f"crashed by {number.name}", "after power-up")


def test_a_simulator_that_stands_still_is_an_error(end, simulator):
    def stop(box):
        os.kill(box.simulator_pid(), signal.SIGSTOP)

    end(simulator, stop, more="silence_s = 2.0").check(RtlError, "no sign of life", "a stopped process")


def test_a_simulator_that_uses_up_its_budget_is_an_error_that_says_what_to_do(end, simulator):
    end(simulator, mode(0), more="budget_s = 0.5").check(RtlError, "budget of 0.5 s of wall time", "rtl.budget_s")


def test_ctrl_c_in_a_long_grant_ends_it_and_closes_the_rig(end, simulator):
    def interrupt(*_):
        raise KeyboardInterrupt

    def later(_box):
        signal.setitimer(signal.ITIMER_REAL, 0.3)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        end(simulator, later).check(KeyboardInterrupt)
    finally:
        signal.signal(signal.SIGALRM, before)


@on_icarus
def test_after_an_interrupted_wait_the_fpga_is_as_good_as_without_power(tmp_path, simulator):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with bench(tmp_path, "faulty", simulator) as box:
            box.clock.sleep(1 * ms)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt):
                box.clock.sleep(600 * s)
            with pytest.raises(RtlError, match="its simulator has ended"):
                box.fpga.peek("count_q")
            assert not box.fpga.powered
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_simulator_that_is_told_to_terminate_is_an_error_or_goes_on(end, simulator):
    def terminate(box):
        os.kill(box.simulator_pid(), signal.SIGTERM)

    ended = end(simulator, terminate, more="budget_s = 4.0")
    ended.check(RtlError, "crashed by SIGTERM|used up its budget|the simulator ended itself")


def test_a_design_in_vhdl_that_complains_fails_the_test(end, hdl):
    for number, words in ((1, "error on request"), (2, "assertion on request")):
        end(hdl("ghdl"), mode(number), design="faulty_vhdl").check(DesignError, rf"faulty\.vhd:\d+:\d+:.*{words}")


def test_a_design_in_vhdl_that_ends_the_simulation_is_an_error(end, hdl):
    end(hdl("ghdl"), mode(3), design="faulty_vhdl").check(RtlError, "the simulator ended")


def test_an_unknown_output_of_a_design_in_vhdl_fails_the_test(end, hdl):
    end(hdl("ghdl"), mode(4), design="faulty_vhdl").check(UnknownLevelError, "output open_o is X")


def test_the_budget_is_that_of_the_test_and_not_of_one_power_up(tmp_path, simulator):
    with bench(tmp_path, "faulty", simulator) as box:
        box.clock.sleep(20 * ms)
        spent_s = box.fpga.live.busy_s
        box.power(0.0)
        box.clock.sleep(5 * ms)
        box.power()
        box.clock.sleep(1 * ms)
        assert box.fpga.live.busy_s > spent_s > 0


@on_icarus
def test_a_peer_that_connects_and_says_nothing_is_given_up_in_time(tmp_path, simulator, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(launch, "START_TIMEOUT_S", 3.0)
    (tmp_path / "silent_peer.py").write_text(SILENT_PEER)
    watch = Stopwatch()
    with pytest.raises(RtlError, match="did not greet"):
        PeerProcess(built("faulty", simulator), seed=1, module="silent_peer")
    assert watch.elapsed_s < 3.0 + 2 * launch.GRACE_S + 1.0


SILENT_PEER = """
import socket

import cocotb


@cocotb.test()
async def connect(top):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.connect("s")
        link.recv(1)
"""


@on_icarus
def test_a_peer_that_does_not_import_is_an_error_with_the_reason(tmp_path, simulator, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(RtlError, match=r"(?s)did not greet: .*No module named 'no_such_peer'"):
        PeerProcess(built("faulty", simulator), seed=1, module="no_such_peer")
    assert list(tmp_path.iterdir()) == []


def test_every_wait_for_a_simulator_ends_within_15_s_of_wall_time():
    assert link.SILENCE_S + launch.GRACE_S < 15.0
    assert launch.START_TIMEOUT_S + launch.GRACE_S < 15.0


# -- after it ---------------------------------------------------------------------------------------------------


@on_icarus
def test_a_dead_simulator_is_told_to_whoever_asks_and_power_brings_another(tmp_path, simulator):
    with bench(tmp_path, "faulty", simulator) as box:
        box.clock.sleep(1 * ms)
        os.kill(box.simulator_pid(), signal.SIGKILL)
        with pytest.raises(RtlError, match="crashed"):
            box.clock.sleep(1 * ms)
        with pytest.raises(RtlError, match="its simulator has ended"):
            box.fpga.peek("count_q")
        box.power(0.0)
        box.clock.sleep(5 * ms)
        box.power()
        box.fpga.drive("level_i", 1)
        box.clock.sleep(1 * ms)
        assert box.fpga.value("level_o") == 1


def test_a_folder_for_temporary_files_with_a_long_name_does_no_harm(tmp_path, hdl, monkeypatch):
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with bench(tmp_path, "faulty", hdl("icarus")) as box:
        box.fpga.drive("level_i", 1)
        box.clock.sleep(1 * ms)
        assert box.fpga.value("level_o") == 1
