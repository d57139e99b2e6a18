"""Lines, branches and toggles: what is counted as what, and how simulations add up."""

from __future__ import annotations

import pytest
from cover_world import SOURCES, elements

from hil.coverage.elements import Bits, Element, SourceElements, named
from hil.coverage.points import Point
from hil.coverage.sources import FILE_SCOPE, Source, line_sha256

VOTER = "cover_voter.sv"


def reached(found: dict[str, SourceElements], kind: str, *, source: str = VOTER) -> dict[tuple[int, str], bool]:
    return {(each.line, each.what): each.hits > 0 for each in found[source].elements() if each.kind == kind}


def test_a_line_is_executed_when_any_point_that_stands_for_it_is_reached(tmp_path):
    lines = reached(elements(tmp_path, "split"), "line")

    assert lines[30, ""]  # one way out of its ?: was never taken
    assert [line for (line, _), hit in lines.items() if not hit] == [33, 34, 35]


def test_every_way_out_of_a_decision_is_a_branch_also_those_that_verilator_counts_as_lines(tmp_path):
    branches = reached(elements(tmp_path, "split"), "branch")

    assert {what for _, what in branches} == {"if", "else", "elsif", "case", "cond_then", "cond_else"}
    assert {place for place, hit in branches.items() if not hit} == {(26, "else"), (30, "cond_else"), (33, "case")}


def test_simulations_with_other_parameters_add_up_to_one_figure(tmp_path):
    apart = [reached(elements(tmp_path, name), "toggle") for name in ("same", "wide")]
    together = reached(elements(tmp_path, "same", "wide"), "toggle")

    assert together.keys() == apart[0].keys() | apart[1].keys()
    assert all(hit == any(each.get(place, False) for each in apart) for place, hit in together.items())


def test_what_one_test_missed_another_may_reach(tmp_path):
    assert not reached(elements(tmp_path, "same"), "branch")[32, "case"]
    assert reached(elements(tmp_path, "same", "split"), "branch")[32, "case"]


def test_a_line_that_another_build_optimised_away_stays_a_line():
    found = SourceElements()
    found.add([(Point("a.sv", 5, 1, "line", "block", "5-6"), 0)])
    found.add([(Point("a.sv", 5, 1, "line", "block", "5"), 3)])

    assert list(found.elements()) == [Element("line", 5, 0, "", 3), Element("line", 6, 0, "", 0)]


@pytest.mark.parametrize(
    ("name", "bit", "holds"),
    [
        ("q", "q:0->1", True), ("q", "q[3]:0->1", True), ("q", "qq[3]:0->1", False), ("q:0->1", "q[3]:1->0", False),
        ("q[3:1]", "q[1]:0->1", True), ("q[1:3]", "q[2]:0->1", True), ("q[3:1]", "q[4]:0->1", False),
        ("q[3]", "q[3]:1->0", True), ("g[0].q", "g[0].q[7]:0->1", True), ("g[0].q", "g[1].q[7]:0->1", False),
        ("m[2]", "m[2][5]:0->1", True), ("m[2][5:4]", "m[2][5]:0->1", True), ("m[2]", "m[3][2]:0->1", False),
    ],
)  # fmt: skip
def test_a_name_stands_for_its_bits(name, bit, holds):
    assert Bits.of(name).holds(bit) is holds


def test_bits_are_named_in_ranges_and_edges_only_where_one_is_missing():
    both = [Element("toggle", 1, 1, f"q[{bit}]:{edge}", 0) for bit in (7, 6, 3) for edge in ("0->1", "1->0")]
    one = [Element("toggle", 1, 1, "q[0]:1->0", 0), Element("toggle", 1, 1, "en:0->1", 0)]

    assert named([*both, *one]) == ["q[3]", "q[7:6]", "q[0]:1->0", "en:0->1"]


def test_blocks_are_modules_wherever_a_comment_or_a_text_mentions_one():
    lines = [
        "// module ghost",
        "module one (a);",
        " /* endmodule",
        'module no */ initial $display("endmodule");',
        "endmodule",
    ]
    text = "\n".join([*lines, "", "module two;", "endmodule", "function f;"])
    source = Source("a.sv", text)

    assert [(block.name, block.first, block.last) for block in source.blocks] == [("one", 2, 5), ("two", 7, 8)]
    assert [source.block_of(line) for line in (1, 2, 5, 6, 8, 9)] == [
        FILE_SCOPE,
        "one",
        "one",
        FILE_SCOPE,
        "two",
        FILE_SCOPE,
    ]


def test_the_hash_of_a_line_ignores_how_it_is_indented_and_nothing_else():
    source = Source.of(VOTER, SOURCES[VOTER].read_bytes())

    assert line_sha256(source.line(30)) == line_sha256(source.line(30).strip())
    assert line_sha256(source.line(30)) != line_sha256(source.line(30) + " // why")
    assert line_sha256(source.line(33, 34)) != line_sha256(source.line(33))


def test_a_comment_that_hides_something_is_found_wherever_it_stands_and_a_text_is_none():
    text = (
        "module a; // verilator lint_off WIDTH\n"
        "/* verilator\n  coverage_off*/ wire x = 1; /*verilator coverage_block_off*/\n"
        '// synopsys translate_off\ninitial $display("// verilator lint_off");\n// not verilator lint_off\n'
        "// verilator lint_on WIDTH\n/* `verilator_config */ `verilator_config\nendmodule\n"
    )

    assert [(each.line, each.text, each.hides_from) for each in Source("a.sv", text).pragmas] == [
        (1, "verilator lint_off", "lint"),
        (2, "verilator coverage_off", "coverage"),
        (3, "verilator coverage_block_off", "coverage"),
        (4, "synopsys translate_off", "synthesis"),
        (8, "`verilator_config", "coverage"),
    ]
