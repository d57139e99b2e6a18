"""Figures before and after waivers, against goals that hold for every block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cover_world import DATA, SOURCES, elements

from hil.coverage.elements import SourceElements
from hil.coverage.goals import BlockGoals, CoverageTable, Design, read_design
from hil.coverage.judge import Figure, judge_design
from hil.coverage.points import Point
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
        found.waivers if waivers else (),
    )


def test_figures_stand_before_and_after_waivers(tmp_path):
    result = judge_design(box(line_pct=100.0), elements(tmp_path, "split"))
    voter = result.blocks[0]

    assert voter.figure("line") == Figure("line", 15, 12, justified=3, goal_pct=100.0)
    assert (voter.figure("line").before, voter.figure("line").after) == ("80.0", "100.0")
    assert result.problems == ()


def test_the_waivers_of_several_files_hold_together(tmp_path):
    text = (DATA / "cover_waivers.toml").read_text()
    first, second = text.split("\n\n")
    for name, part in (("a.toml", first), ("b.toml", second)):
        (tmp_path / name).write_text(part)
    (tmp_path / "cover.toml").write_text(
        f'sources = ["{SOURCES["cover_voter.sv"]}"]\n[coverage]\nline_pct = 1.0\nwaivers = ["a.toml", "b.toml"]\n'
    )
    read = read_design(tmp_path / "cover.toml")
    result = judge_design(replace(box(line_pct=100.0), waivers=read.waivers), elements(tmp_path, "split"))

    assert [each.waiver.where for each in result.waivers] == ["a.toml:2", "b.toml:1"]
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


def test_functions_that_belong_to_no_module_are_judged_by_the_goals_as_well(tmp_path):
    loose = b"function automatic logic f(input logic x);\n  if (x) return 1'b0;\n  return 1'b1;\nendfunction\n"
    found = elements(tmp_path, "split")
    found["loose.sv"] = SourceElements()
    found["loose.sv"].add(
        [(Point("loose.sv", 2, 3, "branch", "if", "2"), 0), (Point("loose.sv", 2, 3, "branch", "else", ""), 4)]
    )
    result = judge_design(box(sources={"loose.sv": loose}, branch_pct=60.0), found)

    assert result.problems == (
        "loose.sv: (file): branch 50.0 %, goal 60 %: 1 of 2 neither reached nor justified, lines 2",
    )


def test_a_design_without_any_goal_has_a_problem_that_says_which_table_to_write(tmp_path):
    result = judge_design(box(), elements(tmp_path, "split"))

    assert result.problems == (
        "cover_box.toml: has no coverage goal, so that nothing could ever be missed: write a table [coverage] with "
        "line_pct, branch_pct and toggle_pct in it",
    )
    assert not CoverageTable(waivers="some.toml").asks
    assert CoverageTable(block={"cover_box": BlockGoals(line_pct=1.0)}).asks


def test_a_design_in_vhdl_has_no_goals_and_a_note_that_says_so():
    result = judge_design(
        Design("hold.toml", {"hold.vhd": b"package p is\nend;\n"}, CoverageTable(), language="vhdl"), {}
    )

    assert (result.problems, result.blocks) == ((), ())
    assert result.notes == ("hold.toml: written in vhdl, of which nothing counts coverage: it has no goals",)


@pytest.mark.parametrize(
    "pragma", ["// verilator coverage_off", "/* verilator\n coverage_block_off */", "`verilator_config"]
)
def test_what_takes_points_away_from_the_judge_is_a_problem_with_its_line(tmp_path, pragma):
    more = {"cover_box.sv": SOURCES["cover_box.sv"].read_bytes() + b"\n" + pragma.encode() + b"\n"}
    line = more["cover_box.sv"].count(b"\n") - pragma.count("\n")
    found = judge_design(box(sources=more, line_pct=1.0), elements(tmp_path, "split")).problems

    assert [each.partition(" takes")[0] for each in found] == [
        f"cover_box.sv:{line}: {' '.join(pragma.strip('/* ').split())}"
    ]
    assert "points away without a reason and an approver: remove it, and justify" in found[0]


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
