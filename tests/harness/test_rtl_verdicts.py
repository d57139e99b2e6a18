"""RTL through pytest: which verdict a design or simulator that goes wrong gives, and what the evidence keeps of it."""

from __future__ import annotations

import os

import pytest
from rtl_world import DATA
from suite import Suite

RIG = f"""[rig]
name = "rtl"
pace = "PACE"
[rtl]
simulator = "SIMULATOR"
upsets = true
silence_s = 2.0
[dut.box]
rtl = "{DATA}/faulty.toml"
as_built = "{DATA}/as_built.toml"
"""
TESTS = """
import os
import signal

import pytest

from hil.units import ms, s


@pytest.fixture
def box(rig):
    supply = rig.wiring.pin("bench.power")
    rig.wiring.net("power", ["bench.power", "box.power"])
    rig.undo("supply", lambda: supply.drive(0.0, 0.01))
    supply.drive(28.0, 0.01)
    rig.clock.sleep(1 * ms)
    return rig.models["box"].fpga


def go_wrong(rig, box, mode):
    box.drive("mode_i", mode)
    rig.clock.sleep(10 * ms)


def test_good(rig, box, measure):
    box.drive("level_i", 1)
    rig.clock.sleep(1 * ms)
    measure("box.volts", 27.0 + box.value("level_o"), "V")


def test_unknown(rig, box, measure):
    measure("box.volts", 28.0, "V")
    go_wrong(rig, box, 6)


def test_error(rig, box):
    go_wrong(rig, box, 3)


def test_finish(rig, box):
    go_wrong(rig, box, 1)


def test_loop(rig, box):
    go_wrong(rig, box, 5)


def test_crash(rig, box):
    os.kill(box.live.hello["pid"], signal.SIGSEGV)
    rig.clock.sleep(1 * ms)


@pytest.mark.realtime
def test_realtime(rig):
    raise AssertionError("it must not run")
"""


@pytest.fixture(scope="module", params=["icarus", "verilator"])
def ran(request, hdl, tmp_path_factory):
    """The suite, run once on a simulator."""
    folder = tmp_path_factory.mktemp(request.param)
    rig = RIG.replace("PACE", "virtual").replace("SIMULATOR", hdl(request.param))
    return Suite(folder, TESTS, rig).run()


def verdicts(ran):
    names = ("good", "unknown", "error", "finish", "loop", "crash", "realtime")
    return {name: ran.verdict(f"test_{name}") for name in names}


def test_each_way_of_going_wrong_has_its_verdict(ran, request):
    found = verdicts(ran)
    icarus = "icarus" in request.node.name
    assert found == {
        "good": "PASS",
        "unknown": "FAIL" if icarus else "PASS",  # two states cannot show it; power-up runs find it
        "error": "FAIL",
        "finish": "ERROR",
        "loop": "ERROR",
        "crash": "ERROR",
        "realtime": "ERROR",
    }


def test_a_test_marked_realtime_does_not_run_on_rtl(ran):
    assert "a test marked realtime judges wall time, and rig.toml has pace 'virtual'" in ran.text
    assert "it must not run" not in ran.text


def test_whatever_went_wrong_leaves_the_waveform_of_the_ports(ran):
    kept = [doc for doc in ran.documents if doc.get("what") == "waveform"]
    wrong = [name for name, verdict in verdicts(ran).items() if verdict != "PASS" and name != "realtime"]
    assert len(kept) == len(wrong)
    for doc in kept:
        text = (ran.folder / str(doc["file"])).read_text()
        assert text.startswith("$timescale 1ns $end\n$scope module box $end")
        assert "level_o $end" in text
        assert "\n#75\n" in text


def test_what_went_wrong_stands_in_the_evidence_with_the_end_of_the_log(ran):
    messages = {str(doc.get("message")) for doc in ran.documents if doc["doc"] == "stop"}
    for words in ("error on request", "the design called $finish", "no sign of life for 2 s", "crashed by SIGSEGV"):
        assert any(words in message for message in messages), words
    assert any("the end of its log" in message for message in messages)


def test_results_of_rtl_say_so_and_name_what_ran(ran, request):
    starts = [doc for doc in ran.documents if doc["doc"] == "start" and "nodeid" in doc]
    assert {doc["evidence_class"] for doc in starts} == {"rtl"}
    design = next(doc for doc in ran.documents if doc.get("what") == "design")
    assert design["simulator"] in request.node.name
    assert len(str(design["sha256"])) == 64
    inside = next(doc for doc in ran.documents if doc.get("what") == "simulated" and doc["cycles"])
    assert str(design["simulator"]) in str(inside["simulator"]).lower()
    assert inside["python"] == design["python"]
    assert len(str(inside["binary_sha256"])) == 64  # of the process itself: vvp, or the model that Verilator made
    assert inside["binary_sha256"] != design["sha256"]


def test_rtl_on_a_rig_of_wall_pace_is_an_error_with_the_remedy(tmp_path, hdl):
    rig = RIG.replace("PACE", "wall").replace("SIMULATOR", hdl("icarus"))
    ran = Suite(tmp_path, TESTS, rig).run("-k", "good")
    assert ran.verdict("test_good") == "ERROR"
    assert "an HDL simulator is never real time; give the rig virtual pace" in ran.text


@pytest.mark.parametrize(("ci", "code"), [("", 5), ("true", 5)])
def test_without_a_simulator_a_test_is_not_run_and_told_what_to_install(tmp_path, ci, code):
    rig = RIG.replace("PACE", "virtual").replace("SIMULATOR", "icarus")
    ran = Suite(tmp_path, TESTS, rig).run("-k", "good", PATH=os.devnull, CI=ci)
    assert ran.verdict("test_good") == "NOT_RUN"
    assert "apt-get install iverilog" in ran.text
    assert ran.code == code
