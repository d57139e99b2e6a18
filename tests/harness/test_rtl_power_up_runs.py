"""Power-up honesty: an output that depends on what an un-reset register came up with is found by running the design."""

from __future__ import annotations

import pytest
from rtl_bench import bench
from rtl_world import DATA

from hil.errors import ToolMissingError, UnknownLevelError
from hil.rtl.analysis import power_up_runs as runs
from hil.rtl.analysis.solo import Input
from hil.rtl.spec import load_spec
from hil.units import us


@pytest.fixture(autouse=True)
def _simulators(hdl):
    hdl("icarus")
    hdl("verilator")


def power_up_runs(design, **asked):
    """Runs of a design of ``data/rtl``, on the builds that other tests use too."""
    return runs.power_up_runs(load_spec(DATA / f"{design}.toml"), {}, upsets=True, **asked)


def test_an_output_without_reset_is_found_on_icarus_and_between_seeds_of_verilator():
    found = power_up_runs("unreset", until_ns=10 * us)
    assert [(doubt.output, doubt.at_ns) for doubt in found.doubts] == [("terminate_o", 575)]
    seen = found.doubts[0].seen
    assert seen["icarus"] == "X"
    assert {value for run, value in seen.items() if run != "icarus"} == {"0", "1"}
    assert "terminate_o at 0.000000575 s: X on icarus, " in str(found.doubts[0])


def test_it_is_in_doubt_until_inputs_have_set_it():
    inputs = [Input(2 * us, "arm_i", 1), Input(2 * us, "terminate_i", 1)]
    with_inputs = power_up_runs("unreset", until_ns=10 * us, inputs=inputs, seeds=(1,))
    assert [doubt.output for doubt in with_inputs.doubts] == ["terminate_o"]
    assert with_inputs.doubts[0].at_ns == 575  # found where it begins, whatever comes later
    assert with_inputs.changes >= 2  # arm_o and terminate_o


def test_a_design_whose_registers_are_reset_is_the_same_from_every_power_up():
    inputs = [Input(3 * us, "level_i", 200), Input(4 * us, "start_i", 1)]
    found = power_up_runs("echo", until_ns=200 * us, inputs=inputs, seeds=(1, 2))
    assert found.doubts == ()
    assert found.changes == 4  # level_o, parity_o twice, and alarm_o
    assert found.shown["level_o"] == ("00000000", "11001000")
    assert found.runs == ("icarus", "verilator seed 1", "verilator seed 2")


def test_what_peripherals_say_is_compared_too():
    inputs = [Input(20 * us, "line", b"AZ")]
    found = power_up_runs("console", until_ns=80 * us, inputs=inputs, seeds=(1, 2))
    assert found.doubts == ()
    assert found.said["line"] == 2
    assert "line" in found.moved


def test_what_is_asked_of_a_design_that_stays_dead_moves_nothing():
    assert power_up_runs("echo", until_ns=200 * us, seeds=(1,)).moved == ()


def test_on_a_rig_it_fails_on_icarus_and_the_verdict_depends_on_the_seed_on_verilator(tmp_path):
    levels = set()
    for seed in range(1, 7):
        with bench(tmp_path, "unreset", "verilator", seed=seed) as box:
            box.clock.sleep(1 * us)
            levels.add(box.fpga.value("terminate_o"))
    assert levels == {0, 1}
    with bench(tmp_path, "unreset", "icarus") as box, pytest.raises(UnknownLevelError, match="terminate_o is X"):
        box.clock.sleep(1 * us)


def test_vhdl_is_looked_at_on_ghdl(hdl):
    hdl("ghdl")
    found = power_up_runs("echo_vhdl", until_ns=10 * us, inputs=[Input(3000, "level_i", 7)])
    assert (found.runs, found.doubts, found.changes) == (("ghdl",), (), 2)


def test_both_simulators_are_needed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="apt-get install iverilog"):
        power_up_runs("unreset", until_ns=1000)
