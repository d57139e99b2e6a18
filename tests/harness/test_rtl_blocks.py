"""Block tests: ordinary cocotb tests, collected, run and judged by the same pytest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from block_suite import BlockSuite

from hil.errors import ConfigError
from hil.evidence.index import read_run
from hil.evidence.verify import verify
from hil.limits import Verdict
from hil.rtl.blocks.files import read_blocks
from hil.rtl.blocks.results import Case, judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from suite import Ran

    Tool = Callable[[str], str]


EVERY_ENDING = '''
import ctypes
import os
import random
from pathlib import Path

WALL_LIMIT_S = 6
REQUIREMENTS = {"test_good": ("BOX-R-01",)}

@cocotb.test()
async def test_good(dut):
    """It counts."""
    await start(dut)
    await ClockCycles(dut.clk, 5)
    assert int(dut.count_o.value) == 4

@cocotb.test()
async def test_wrong(dut):
    await start(dut)
    await ClockCycles(dut.clk, 5)
    dut._log.info("about to look")
    assert int(dut.count_o.value) == 77, "it miscounts"

@cocotb.test()
async def test_unknown(dut):
    await start(dut)
    assert int(dut.loose_o.value) >= 0

async def trouble(dut, number):
    await start(dut)
    dut.trouble_i.value = number
    await ClockCycles(dut.clk, 5)

@cocotb.test()
async def test_finish(dut):
    await trouble(dut, 1)

@cocotb.test()
async def test_fatal(dut):
    await trouble(dut, 2)

@cocotb.test()
async def test_error(dut):
    await trouble(dut, 3)

@cocotb.test()
async def test_loop(dut):
    await trouble(dut, 4)

@cocotb.test()
async def test_crash(dut):
    await start(dut)
    ctypes.string_at(0)

@cocotb.test()
async def test_exit(dut):
    await start(dut)
    os._exit(0)

@cocotb.test()
async def test_mistake(dut):
    dut.no_such_port.value = 1

@cocotb.test(skip=True)
async def test_skipped(dut):
    assert False

@cocotb.test(timeout_time=2, timeout_unit="us")
async def test_late(dut):
    await Timer(3, "us")

@cocotb.test(expect_fail=True)
async def test_known_to_fail(dut):
    assert False

@cocotb.test()
async def test_draw(dut):
    assert False, f"drew {random.random()}"

@cocotb.test()
async def test_flaky(dut):
    mark = Path(__file__).with_name("been_here")
    first = not mark.exists()
    mark.touch()
    assert not first

@cocotb.test()
@cocotb.parametrize(depth=[1, 2], kind=["short", "long"])
async def test_written_out(dut, depth, kind):
    assert (depth, kind) != (2, "long")

VALUES = [object(), object()]

@cocotb.test()
@cocotb.parametrize(value=VALUES)
async def test_worked_out(dut, value):
    assert value is VALUES[0]
'''
VERDICTS = {
    "test_good": "PASS",
    "test_wrong": "FAIL",
    "test_unknown": "FAIL",
    "test_finish": "FAIL",
    "test_fatal": "FAIL",
    "test_error": "FAIL",
    "test_loop": "ERROR",
    "test_crash": "ERROR",
    "test_exit": "ERROR",
    "test_mistake": "ERROR",
    "test_skipped": "NOT_RUN",
    "test_late": "FAIL",
    "test_known_to_fail": "PASS",
    "test_draw": "FAIL",
    "test_flaky": "FAIL",
    "test_worked_out": "FAIL",
}
GOOD = "\n@cocotb.test()\nasync def test_good(dut):\n    await start(dut)\n"


@pytest.fixture(scope="module")
def ran(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    tool("iverilog")
    return BlockSuite(tmp_path_factory.mktemp("blocks"), EVERY_ENDING).run(rig=True)


@pytest.mark.parametrize(("test", "verdict"), VERDICTS.items())
def test_every_ending_of_a_block_test_has_its_verdict(ran: Ran, test: str, verdict: str) -> None:
    assert ran.verdict(f"{test}[icarus]") == verdict


def test_a_block_test_is_a_trial_of_class_rtl_with_a_seed_of_its_own(ran: Ran) -> None:
    trial = next(test for test in read_run(ran.folder).tests if "test_good" in test.nodeid)
    attempt = trial.attempts[-1]
    assert (attempt.title, attempt.requirements, attempt.evidence_class) == ("It counts.", ("BOX-R-01",), "rtl")
    assert attempt.checks[0].condition == f"passes on icarus, seed {attempt.seed}"
    assert attempt.events[0].what == "design"
    assert attempt.events[0].fields["simulator"] == "icarus"


def test_the_evidence_of_block_tests_verifies_and_holds_log_and_waveform_of_failures(ran: Ran) -> None:
    assert verify(ran.folder) == []
    kept = {path.name for kind in ("block", "waves") for path in (ran.folder / kind).rglob("*.*")}
    assert kept >= {"simulator.log", "trouble.fst"}


def test_the_terminal_shows_the_line_that_failed_the_log_and_the_seed(ran: Ran) -> None:
    assert 'assert int(dut.count_o.value) == 77, "it miscounts"' in ran.text
    assert "AssertionError: it miscounts" in ran.text
    assert re.search(r"INFO +cocotb.hil_top +about to look", ran.text)
    command = r"python -m pytest 'cocotb_trouble.py::test_wrong\[icarus\]' --rtl-seed=(\d+)"
    assert re.search(rf"seed (\d+); once more: {command}", ran.text)


def test_an_error_of_the_design_that_the_simulator_ignores_is_a_failure(ran: Ran) -> None:
    assert "the design complained: ERROR: trouble.sv:27: the design does not like this" in ran.text


def test_a_design_that_ends_the_simulation_is_told_with_the_time_and_its_last_words(ran: Ran) -> None:
    assert "the design ended the simulation, 350 ns after the test began" in ran.text
    assert "after the test began: FATAL: trouble.sv:26: the design gives up" in ran.text


def test_a_loop_without_time_is_ended_by_the_wall_clock_with_the_time_reached(ran: Ran) -> None:
    assert re.search(r"it ran longer than 6 s of wall time and was killed; the last it said was at \d+ ns", ran.text)


def test_a_simulator_that_dies_is_an_error_with_its_code(ran: Ran) -> None:
    assert "ERROR: the simulator died of SIGSEGV and left no results" in ran.text
    assert "ERROR: the simulator ended with code 0 and left no results" in ran.text


def test_literal_parameters_make_a_test_each_others_one_for_all(ran: Ran) -> None:
    cases = [f"test_written_out[icarus-depth={depth}/kind={kind}]" for depth in (1, 2) for kind in ("short", "long")]
    assert [ran.verdict(case) for case in cases] == ["PASS", "PASS", "PASS", "FAIL"]
    assert "test_worked_out/value=1 failed" in ran.text


def test_a_failure_that_does_not_repeat_is_told_as_such(ran: Ran) -> None:
    assert "run again with the same seed, for the waveform, it passed: the failure does not repeat" in ran.text
    assert "run again with the same seed, for the waveform, it failed the same way" in ran.text


def test_the_seed_of_the_option_repeats_a_draw(ran: Ran, tmp_path: Path) -> None:
    drew = re.compile(r"drew (0\.\d+)")
    seed = re.findall(r"test_draw\[icarus\]' --rtl-seed=(\d+)", ran.text)[0]
    suite = BlockSuite(tmp_path, EVERY_ENDING)
    assert set(drew.findall(suite.run("-k", "draw", f"--rtl-seed={seed}").text)) == set(drew.findall(ran.text))
    assert set(drew.findall(suite.run("-k", "draw", "--rtl-seed=5").text)) != set(drew.findall(ran.text))


WRONG = "\n@cocotb.test()\nasync def test_wrong(dut):\n    await start(dut)\n    assert False\n"


def test_two_runs_with_failures_are_equal_bytes(tool: Tool, tmp_path: Path) -> None:
    tool("iverilog")
    runs: list[Ran] = []
    for workers in ("0", "2"):
        (tmp_path / workers).mkdir()
        runs.append(BlockSuite(tmp_path / workers, GOOD + WRONG).run("-n", workers, rig=True))
    assert [run.code for run in runs] == [1, 1]
    assert (runs[0].folder / "events.jsonl").read_bytes() == (runs[1].folder / "events.jsonl").read_bytes()


def test_without_a_rig_a_failure_leaves_log_and_waveform_and_a_pass_takes_them_away(tool: Tool, tmp_path: Path) -> None:
    tool("iverilog")
    suite = BlockSuite(tmp_path, WRONG)
    ran = suite.run()
    left = tmp_path / "build" / "rtl" / "cocotb_trouble" / "test_wrong[icarus]"
    assert ran.code == 1
    assert f"waves: {(left / 'waves.fst').relative_to(tmp_path)}" in ran.text
    assert {path.name for path in left.iterdir()} == {"simulator.log", "waves.fst"}
    suite.add("trouble", WRONG.replace("assert False", "assert True"))
    assert suite.run().code == 0
    assert not left.exists()


@pytest.mark.parametrize(
    ("tests", "told"),
    [
        ("", "holds no cocotb test"),
        ("\n@cocotb.test()\ndef test_a(dut):\n    pass\n", "test_a is no coroutine; write async def test_a"),
        (GOOD + GOOD, "test_good stands in line 14 too, which never runs"),
        (GOOD + "REQUIREMENTS = {'test_god': ('R-1',)}\n", "there is no test test_god; did you mean test_good?"),
        (GOOD + "SIMULATORS = ('icarsu',)\n", "'icarsu' is not known; did you mean icarus?"),
        (GOOD + "SIMULATORS = tuple('a')\n", "SIMULATORS is no literal"),
        (GOOD + "BLOCK = 'other.toml'\n", "BLOCK: there is no file other.toml"),
        (GOOD + "SIMULATORS = ()\n", "SIMULATORS is empty: its tests would never run"),
        (GOOD + "def (:\n", "is not Python"),
    ],
)
def test_a_file_that_says_something_impossible_is_refused(tmp_path: Path, tests: str, told: str) -> None:
    BlockSuite(tmp_path, tests)
    with pytest.raises(ConfigError, match=re.escape(told)):
        read_blocks(tmp_path / "cocotb_trouble.py")


def test_a_file_without_a_test_is_no_green_run(tmp_path: Path) -> None:
    ran = BlockSuite(tmp_path, "").run()
    assert ran.code == 2
    assert "cocotb_trouble.py: holds no cocotb test" in ran.text


def test_what_pytest_cannot_see_and_what_does_not_import_are_errors(tool: Tool, tmp_path: Path) -> None:
    tool("iverilog")
    suite = BlockSuite(tmp_path, "\nimport nothing_of_that_name\n" + GOOD)
    suite.add("hiding", GOOD + "\nfrom shared import test_hidden\n")
    (tmp_path / "shared.py").write_text("import cocotb\n@cocotb.test()\nasync def test_hidden(dut):\n    pass\n")
    ran = suite.run("cocotb_trouble.py", "cocotb_hiding.py")
    assert "2 failed" in ran.text
    assert "No module named 'nothing_of_that_name'" in ran.text
    assert "cocotb finds test_hidden, which pytest cannot see, so it would never run" in ran.text


def test_a_filter_from_outside_does_not_make_a_run_green(tool: Tool, tmp_path: Path) -> None:
    tool("iverilog")
    ran = BlockSuite(tmp_path, GOOD).run(COCOTB_TEST_FILTER="something_else")
    assert ran.code == 1
    assert "no test was run: it was filtered away" in ran.text


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_without_a_simulator_block_tests_are_not_run_and_red_only_in_ci(tmp_path: Path, ci: str, code: int) -> None:
    (tmp_path / "suite").mkdir()
    ran = BlockSuite(tmp_path / "suite", GOOD).run("test_box.py", "cocotb_trouble.py", PATH=str(tmp_path), CI=ci)
    assert "1 passed, 1 skipped" in ran.text
    assert re.search(
        r"test_good\[icarus\]  there is no simulator: no usable icarus: .* apt-get install iverilog", ran.text
    )
    assert ran.code == code


def test_with_nothing_but_block_tests_that_cannot_run_nothing_ran(tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    assert BlockSuite(tmp_path / "suite", GOOD).run(PATH=str(tmp_path)).code == 5


def test_block_tests_run_on_verilator_with_code_coverage_on_a_rig(tool: Tool, tmp_path: Path) -> None:
    tool("g++")
    ran = BlockSuite(tmp_path, GOOD, ("verilator",)).run("--coverage", rig=True)
    assert ran.code == 0, ran.text
    assert ran.verdict("test_good[verilator]") == "PASS"
    assert '"article":"trouble"' in (ran.folder / "coverage" / "code.jsonl").read_text()


def test_pytest_imports_neither_cocotb_nor_a_block_test_nor_what_stands_beside_it(tool: Tool, tmp_path: Path) -> None:
    tool("iverilog")
    suite = BlockSuite(tmp_path, "import bench\n" + GOOD)
    (tmp_path / "bench.py").write_text("import cocotb\n")
    (tmp_path / "conftest.py").write_text(
        "import sys\n\ndef pytest_unconfigure(config):\n"
        "    print('loaded:', sorted({'cocotb', 'cocotb_tools', 'cocotb_trouble'} & set(sys.modules)))\n"
    )
    ran = suite.run(".", "test_box.py", "--doctest-modules")
    assert ran.code == 0
    assert "loaded: []" in ran.text
    assert "2 passed" in ran.text


def test_a_test_of_several_cases_of_which_one_is_skipped_has_not_passed():
    cases = [Case("test_gap/1", "passed"), Case("test_gap/2", "skipped", message="no such gap")]
    found = judge(cases, wanted=[case.name for case in cases], seed=1, code=0, complaints=[])
    assert found.verdict is Verdict.NOT_RUN
    assert found.reason == "1 of 2 cases were skipped: no such gap"
