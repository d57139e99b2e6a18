"""Waivers: what they justify, and what makes one fail: a changed line, a test that reaches it, nothing to justify."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cover_world import DATA, SOURCES, elements

from hil.coverage.sources import Source, line_sha256
from hil.coverage.waivers import Resolved, draft, not_overlapping, read_waivers, resolve
from hil.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

VOTER = Source.of("cover_voter.sv", SOURCES["cover_voter.sv"].read_bytes())


def waiver(**changes: object) -> str:
    """A waiver of the way out of line 26 that no simulation takes."""
    fields: dict[str, object] = {
        "file": "cover_voter.sv", "line": 26, "kind": "branch", "point": "else", "justification": "enabled for good",
        "approver": "Q. Checker", "line_sha256": line_sha256(VOTER.line(26)),
    }  # fmt: skip
    rows = [f"{key} = {value!r}" for key, value in (fields | changes).items() if value is not None]
    return "\n".join(["[[waiver]]", *rows, "date = 2026-03-01", ""]).replace("'", '"')


def resolved(tmp_path: Path, text: str, *names: str, source: Source = VOTER) -> list[Resolved]:
    found = {name: list(each.elements()) for name, each in elements(tmp_path, *names).items()} if names else {}
    return [resolve(each, {source.name: source}, found) for each in read_waivers("waivers.toml", text.encode())]


def test_a_waiver_justifies_what_no_test_reached(tmp_path):
    (found,) = resolved(tmp_path, waiver(), "split")

    assert [(each.kind, each.line, each.what) for each in found.elements] == [("branch", 26, "else")]
    assert (found.problem, found.note) == ("", "")


def test_a_waiver_of_several_lines_and_kinds_justifies_all_gaps_in_them(tmp_path):
    text = waiver(
        line=33, last_line=36, kind=["line", "branch"], point=None, line_sha256=line_sha256(VOTER.line(33, 36))
    )
    (found,) = resolved(tmp_path, text, "split")

    assert [(each.kind, each.line) for each in found.elements] == [
        ("line", 33),
        ("line", 34),
        ("line", 35),
        ("branch", 33),
    ]


def test_a_point_alone_finds_its_line_by_its_name(tmp_path):
    text = waiver(line=None, kind="toggle", point="rst_n:1->0", line_sha256=line_sha256(VOTER.line(8)))
    (found,) = resolved(tmp_path, text, "split")

    assert [each.line for each in found.elements] == [8]


def test_an_edited_line_makes_its_waiver_stale_and_says_what_to_do(tmp_path):
    edited = Source("cover_voter.sv", VOTER.text.replace("end else if (enable_i)", "end else if (enable_i & 1'b1)"))
    (found,) = resolved(tmp_path, waiver(), "split", source=edited)

    assert found.problem.startswith(
        "waivers.toml:1: the waiver of branch else at cover_voter.sv:26 is stale: the line was edited (it was "
    )
    assert "reads `end else if (enable_i & 1'b1) begin` now; look at it again" in found.problem
    assert f'write line_sha256 = "{line_sha256(edited.line(26))}"' in found.problem
    assert found.elements == ()


def test_a_line_that_moved_is_found_again(tmp_path):
    moved = Source("cover_voter.sv", "\n\n" + VOTER.text)
    (found,) = resolved(tmp_path, waiver(), source=moved)

    assert (
        "is stale: there stands `differed_o <= 1'b0;` now; the waived text stands in line 28: write line = 28"
        in found.problem
    )


def test_indenting_a_line_does_not_make_its_waiver_stale(tmp_path):
    (found,) = resolved(tmp_path, waiver(), source=Source("cover_voter.sv", VOTER.text.replace("    ", "\t")))

    assert found.problem == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"line_sha256": None}, 'has no line_sha256; if it holds for `end else if (enable_i) begin`, write line_'),
        ({"point": "elze"}, "names nothing: did you mean else?"),
        ({"kind": "user", "point": None}, "names nothing: no user is counted there"),
        ({"file": "cover_vote.sv"}, "is of no source of the design; did you mean cover_voter.sv?"),
        ({"line": 400}, "is stale: cover_voter.sv has 42 lines; the waived text stands in line 26: write line = 26"),
        ({"point": "if"}, "is not needed: tests reach all 1 elements that it justifies as out of reach; remove it"),
        ({"line": None, "kind": "branch", "point": "case", "line_sha256": line_sha256(VOTER.line(30))},
         "names case, which stands on lines 30, 31, 32, 33: give the line"),
    ],
)  # fmt: skip
def test_a_waiver_that_does_not_hold_says_why(tmp_path, changes, said):
    (found,) = resolved(tmp_path, waiver(**changes), "split")

    assert said in found.problem
    assert found.problem.startswith("waivers.toml:1: the waiver of ")


def test_a_waiver_that_is_too_wide_holds_and_is_told(tmp_path):
    text = waiver(line=30, point=None, line_sha256=line_sha256(VOTER.line(30)))
    (found,) = resolved(tmp_path, text, "split")

    assert [each.what for each in found.elements] == ["cond_else"]
    assert found.note.endswith("tests reach 2 of its 3 elements; narrow it")


def test_two_reasons_for_one_gap_are_refused(tmp_path):
    found = resolved(tmp_path, waiver() + waiver(point=None), "split")

    assert not_overlapping(found) == [
        "waivers.toml:10: the waiver of branch at cover_voter.sv:26 overlaps with waivers.toml:1; keep one"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (waiver(aprover="me"), r"waivers.toml:9: waiver\[0\].aprover is not known; did you mean approver\?"),
        (waiver(justification=" "), r"waivers.toml:6: waiver\[0\].justification"),
        (waiver(kind="expression"), r"waivers.toml:4: waiver\[0\].kind"),
        (waiver(kind=[]), "name at least one kind"),
        (waiver(line=None, point=None), "give line, or a point whose name stands on one line only"),
        (waiver(last_line=3), "last_line = 3 stands before line = 26"),
        (waiver(kind="line"), "a waiver of lines has no point"),
        (waiver(line_sha256="abc"), r"waivers.toml:8: waiver\[0\].line_sha256"),
        (waiver(approver=None), r"waivers.toml:1: waiver\[0\].approver is missing"),
        ("[[waiver]", "waivers.toml:1: is not TOML"),
    ],
)
def test_what_is_no_waiver_is_refused_with_file_line_and_key(text, said):
    with pytest.raises(ConfigError, match=said):
        read_waivers("waivers.toml", text.encode())


def test_a_draft_is_a_waiver_once_it_is_completed(tmp_path):
    text = draft(VOTER, 33, ("line", "branch"), last_line=36, date="2026-03-01")
    completed = text.replace('justification = ""', 'justification = "why"').replace('approver = ""', 'approver = "who"')
    (found,) = resolved(tmp_path, completed, "split")

    assert "# default: begin" in text
    assert (len(found.elements), found.problem) == (4, "")


def test_the_waivers_of_the_test_design_hold():
    found = read_waivers("cover_waivers.toml", (DATA / "cover_waivers.toml").read_bytes())

    assert [resolve(each, {VOTER.name: VOTER}, {}).problem for each in found] == ["", ""]
