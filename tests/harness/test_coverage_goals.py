"""Figures before and after waivers, against goals that hold for every block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cover_world import DATA, elements

from hil.coverage.goals import BlockGoals, CoverageTable, Design, read_design
from hil.coverage.judge import Figure, judge_design
from hil.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def box(*, sources: dict[str, bytes] | None = None, waivers: bool = True, **goals: object) -> Design:
    """The design of the tests, with other goals."""
    found = read_design(DATA / "cover_box.toml")
    return Design(
        found.name,
        {**found.sources, **(sources or {})},
        CoverageTable.model_validate(goals),
        found.waivers if waivers else None,
    )


def test_figures_stand_before_and_after_waivers(tmp_path):
    result = judge_design(box(line_pct=100.0), elements(tmp_path, "split"))
    voter = result.blocks[0]

    assert voter.figure("line") == Figure("line", 15, 12, justified=3, goal_pct=100.0)
    assert (voter.figure("line").before, voter.figure("line").after) == ("80.0", "100.0")
    assert result.problems == ()


def test_a_goal_that_is_missed_names_block_figure_and_lines(tmp_path):
    result = judge_design(box(branch_pct=90.0, waivers=False), elements(tmp_path, "split"))

    (problem,) = result.problems
    assert problem.startswith("cover_voter.sv: cover_voter: branch 76.9 %, goal 90 %: ")
    assert problem.endswith("3 of 13 neither reached nor justified, lines 26, 30, 33")


def test_all_blocks_together_cannot_hide_one(tmp_path):
    result = judge_design(box(toggle_pct=90.0), elements(tmp_path, "wide"))

    together = next(each for each in result.total if each.kind == "toggle")
    assert 100 * (together.reached + together.justified) >= 90.0 * together.total
    assert [problem.split(": toggle")[0] for problem in result.problems] == ["cover_box.sv: cover_box"]


def test_a_block_may_have_goals_of_its_own(tmp_path):
    design = box(toggle_pct=95.0, block={"cover_box": {"toggle_pct": 80.0}})

    assert judge_design(design, elements(tmp_path, "split", "wide")).problems == ()
    assert design.goals.goal("cover_box", "toggle") == 80.0
    assert design.goals.goal("cover_box", "line") is None


def test_goals_of_a_block_that_is_not_there_are_told(tmp_path):
    design = replace(box(), goals=CoverageTable(block={"cover_bos": BlockGoals(line_pct=1.0)}))

    assert judge_design(design, elements(tmp_path, "split")).problems == (
        "cover_box.toml: coverage.block.cover_bos is no block of the design",
    )


def test_goals_without_any_data_are_missed(tmp_path):
    result = judge_design(box(line_pct=50.0, waivers=False), {})

    assert "no coverage of its code was collected, but goals are set; only Verilator counts" in result.problems[0]


def test_a_module_that_was_never_simulated_is_missed_and_a_package_is_not(tmp_path):
    more = {"spare.sv": b"module spare;\nendmodule\n", "codes.sv": b"package codes;\nendpackage\n"}
    result = judge_design(box(sources=more, line_pct=100.0), elements(tmp_path, "split"))

    assert result.problems == ("spare.sv: spare was part of no simulated design: simulate it, or leave it out",)
    assert [block.name for block in result.blocks] == ["cover_voter", "cover_box", "spare"]


@pytest.mark.parametrize(("reached", "goal_pct", "meets"), [(19, 95.0, True), (18, 95.0, False), (20, 100.0, True)])
def test_a_goal_is_met_at_its_own_value(reached, goal_pct, meets):
    assert Figure("line", 20, reached, goal_pct=goal_pct).meets is meets


def test_only_all_of_it_is_printed_as_all_of_it():
    assert [Figure("line", 100_000, reached).before for reached in (99_999, 100_000)] == ["99.9", "100.0"]


RTL = 'top = "a"\nsources = ["a.sv"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RTL + "[coverage]\nlines_pct = 5.0\n", r"a.toml:4: coverage.lines_pct is not known; did you mean line_pct\?"),
        (RTL + "[coverage]\nline_pct = 101.0\n", r"a.toml:4: coverage.line_pct .* less than or equal to 100"),
        (RTL + '[coverage]\nwaivers = "no.toml"\n', r"a.toml:4: no.toml cannot be read: .*relative to a.toml"),
        ('sources = ["b.sv"]\n', r"a.toml:1: b.sv cannot be read"),
        (
            RTL + 'language = "vhdl"\n[coverage]\nline_pct = 5.0\n',
            r"a.toml:4: coverage: goals of a vhdl design cannot be",
        ),
    ],
)
def test_a_wrong_table_is_refused_with_file_and_line(tmp_path: Path, text, said):
    (tmp_path / "a.sv").write_text("")
    (tmp_path / "a.toml").write_text(text)

    with pytest.raises(ConfigError, match=said):
        read_design(tmp_path / "a.toml")
