"""Coverage from a simulator to the exit code: a design on a rig and a block test of a part of it, judged together."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from cover_world import DATA
from suite import Ran, Suite

from hil.errors import ToolMissingError
from hil.evidence.coverage import CoverageFiles
from hil.evidence.coverage_results import results_of
from hil.evidence.index import read_run
from hil.evidence.verify import verify
from hil.rtl import tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hil.coverage.judge import BlockResult


RIG = """[rig]
name = "box"
[rtl]
simulator = "verilator"
[dut.box]
rtl = "cover_box.toml"
as_built = "as_built.toml"
"""
COVER = """[cover]
name = "box situations"
edition = "1"
[point."box.inputs"]
bins = ["same", "split"]
source = "test plan"
"""
TESTS = """
import pytest
from hil.units import ms

@pytest.mark.parametrize("inputs", ["same", "split"])
def test_votes(rig, measure, cover, inputs):
    pins = {name: rig.wiring.pin(f"bench.{name}") for name in ("power", "enable", "a", "b", "c")}
    for name, pin in pins.items():
        rig.wiring.net(name, [pin.name, f"box.{name}"])
        pin.drive(28.0, 1.0)
    rig.clock.sleep(3 * ms)
    if inputs == "split":
        pins["c"].drive(0.0, 1.0)
    rig.clock.sleep(1 * ms)
    cover("box.inputs", inputs)
    measure("box.volts", 28.0, "V")
"""
BLOCK = '''
import cocotb
from cocotb.triggers import ClockCycles, FallingEdge
from hil.rtl.cover import cover

BLOCK = "cover_voter.toml"
SIMULATORS = ("verilator",)

@cocotb.test()
async def test_not_enabled(dut):
    """Without enable nothing is voted."""
    await ClockCycles(dut.clk, 3)
    await FallingEdge(dut.clk)
    dut.rst_n.value, dut.a_i.value, dut.b_i.value = 1, 3, 3
    await ClockCycles(dut.clk, 3)
    assert int(dut.voted_o.value) == 0
    await FallingEdge(dut.clk)
    dut.enable_i.value = 1
    await ClockCycles(dut.clk, 3)
    cover("box.inputs", "split")
'''


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """The box on a rig with two tests, and a block test of its voter."""
    try:
        tools.find("verilator")
    except ToolMissingError as missing:
        pytest.skip(f"NOT_RUN: there is no Verilator: {missing}")
    folder = tmp_path_factory.mktemp("box")
    made = Suite(folder, TESTS, RIG)
    for path in (*DATA.glob("cover_*.sv"), *DATA.glob("cover_*.toml"), DATA / "as_built.toml"):
        shutil.copy(path, folder)
    (folder / "cover.toml").write_text(COVER)
    (folder / "cocotb_voter.py").write_text(BLOCK)
    (folder / "pytest.ini").write_text("[pytest]\nhil_profiles = box.toml\nhil_cover = cover.toml\n")
    return made


@pytest.fixture(scope="module")
def whole(suite: Suite) -> Ran:
    """All tests, asked to reach the goals."""
    return suite.run("test_box.py", "cocotb_voter.py", "--coverage-goals", run_folder="whole")


def voter(folder: Path) -> BlockResult:
    record = read_run(folder).coverage
    assert record is not None
    return results_of(CoverageFiles(folder), record).designs[0].result.blocks[0]


def test_the_rig_and_the_block_test_reach_the_goals_together(whole: Ran) -> None:
    assert whole.code == 0, whole.text
    assert "coverage goals: PASS" in whole.text
    assert verify(whole.folder) == []


def test_without_the_block_test_the_run_fails_and_names_the_line(suite: Suite) -> None:
    ran = suite.run("test_box.py", "--coverage-goals", run_folder="less")

    assert ran.code == 1, ran.text
    assert (
        "cover_voter.sv: cover_voter: branch 84.6 %, goal 100 %: 2 of 13 neither reached nor justified, lines 26, 30"
        in ran.text
    )


# -- goals of block designs ---------------------------------------------------------------------------------------

LIST = '[rtl]\nblock_designs = ["cover_voter.toml"]\n'


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    """A file with another text, for a while."""
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    try:
        yield
    finally:
        path.write_text(before)


def test_a_design_of_block_tests_is_judged_by_its_own_goals_though_no_rig_lists_it(suite: Suite, whole: Ran) -> None:
    with edited(suite.folder / "cover_voter.toml", "toggle_pct = 60.0", "toggle_pct = 100.0"):
        ran = suite.run("test_box.py", "cocotb_voter.py", "--coverage-goals", run_folder="unlisted")
    record = read_run(whole.folder).coverage

    assert record is not None
    assert [(each.name, each.articles) for each in record.designs] == [
        ("cover_box.toml", ("box",)),
        ("cover_voter.toml", ()),
    ]
    assert ran.code == 1, ran.text
    assert "coverage goals: FAIL, 1 missed" in ran.text
    assert re.search(r"cover_voter.sv: cover_voter: toggle \d+\.\d %, goal 100 %: \d+ of 46 neither", ran.text)


def test_a_design_of_block_tests_without_any_goal_fails_the_run(suite: Suite) -> None:
    table = (suite.folder / "cover_voter.toml").read_text().partition("[coverage]")[2]
    with edited(suite.folder / "cover_voter.toml", f"[coverage]{table}", ""):
        ran = suite.run("test_box.py", "cocotb_voter.py", "--coverage-goals", "-n", "2", run_folder="goalless")

    assert ran.code == 1, ran.text
    assert (
        "cover_voter.toml: has no coverage goal, so that nothing could ever be missed: write a table [coverage]"
        in ran.text
    )


def test_a_wrong_waiver_file_of_a_block_design_is_told_before_anything_runs(suite: Suite) -> None:
    with edited(suite.folder / "cover_voter.toml", "cover_waivers.toml", "cover_box.toml"):
        ran = suite.run("cocotb_voter.py", "--coverage-goals", run_folder="wrong")

    assert ran.code == 4, ran.text
    assert "cover_box.toml:2: top is not known" in ran.text


def test_a_listed_design_that_its_block_tests_ran_reaches_its_goals(suite: Suite) -> None:
    with edited(suite.folder / "rig.toml", "[rtl]\n", LIST):
        ran = suite.run("test_box.py", "cocotb_voter.py", "--coverage-goals", run_folder="listed")

    assert ran.code == 0, ran.text
    assert "coverage goals: PASS" in ran.text


def test_a_listed_design_that_no_block_test_ran_misses_its_goals_though_its_code_was_reached(suite: Suite) -> None:
    with edited(suite.folder / "rig.toml", "[rtl]\n", LIST):
        ran = suite.run("test_box.py", "--coverage-goals", run_folder="untested")

    assert ran.code == 1, ran.text
    assert (
        "cover_voter.toml: block_designs lists it, but none of its block tests ran with coverage, so that its goals "
        "are missed: run them, on Verilator, or take it off the list"
    ) in ran.text.replace("\n", " ")


# -- figures ------------------------------------------------------------------------------------------------------


def test_the_block_is_one_figure_whoever_simulated_it(whole: Ran) -> None:
    block = voter(whole.folder)

    assert [(each.kind, each.total) for each in block.figures] == [("line", 15), ("branch", 13), ("toggle", 46)]
    assert block.figure("branch").reached == 12


def test_a_situation_counts_from_the_rig_and_from_the_simulator(whole: Ran) -> None:
    assert CoverageFiles(whole.folder).hits() == {
        ("box.inputs", ("same",)): 1,
        ("box.inputs", ("split",)): 2,
    }


def test_two_workers_collect_the_same_bytes(suite: Suite, whole: Ran) -> None:
    again = suite.run("test_box.py", "cocotb_voter.py", "--coverage-goals", "-n", "2", run_folder="workers")
    names = sorted(path.relative_to(whole.folder) for path in (whole.folder / "coverage").rglob("*") if path.is_file())

    assert {path.relative_to(again.folder) for path in (again.folder / "coverage").rglob("*") if path.is_file()} == set(
        names
    )
    for name in names:
        assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_nothing_is_collected_unless_it_is_asked_for(suite: Suite) -> None:
    ran = suite.run("test_box.py", "-k", "same", run_folder="plain")

    assert ran.code == 0, ran.text
    assert not (ran.folder / "coverage" / "code.jsonl").exists()
