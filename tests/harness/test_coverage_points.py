"""Tables of points and counts: what counts, how it is stored, how it adds up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cover_world import DATA, collected
from hypothesis import given
from hypothesis import strategies as st

from hil.coverage.points import PointTable, count, counts_of, runs_of
from hil.errors import EvidenceError


def hits(counted, source: str, line: int, what: str) -> int:
    rows = zip(counted.table.points, counted.counts, strict=True)
    return sum(found for point, found in rows if (point.source, point.line, point.what) == (source, line, what))


def test_two_instances_of_one_module_are_one_set_of_points(tmp_path):
    counted = count(collected(tmp_path, "split"))

    assert hits(counted, "cover_voter.sv", 28, "if") == 6  # three clocks, in both voters
    assert len({point for point in counted.table.points if point.line == 28}) == 2


def test_the_generated_wrapper_does_not_count_and_is_said_to(tmp_path):
    table = count(collected(tmp_path, "split")).table

    assert {point.source for point in table.points} == {"cover_voter.sv", "cover_box.sv"}
    assert table.elsewhere == {"hil_top.v": 31}


def test_a_table_is_stored_and_read_back(tmp_path):
    table = count(collected(tmp_path, "wide")).table

    assert PointTable.of(table.content(), "here") == table


def test_equal_designs_have_equal_tables_whatever_was_reached(tmp_path):
    same, split, wide = (count(collected(tmp_path, name)).table.content() for name in ("same", "split", "wide"))

    assert same == split
    assert same != wide


def test_a_table_holds_no_path_of_this_machine(tmp_path):
    assert str(DATA).encode() not in count(collected(tmp_path, "same")).table.content()


def test_coverage_of_other_files_than_the_sources_is_refused(tmp_path):
    wrong = replace(collected(tmp_path, "same"), sources={"echo.sv": DATA / "echo.sv"})

    with pytest.raises(
        EvidenceError, match=r"none of its \d+ points is in a source of cover_box.toml; .*hand over the files"
    ):
        count(wrong)


def test_a_build_that_was_made_in_another_folder_counts_for_the_same_sources(tmp_path):
    here, there = collected(tmp_path, "same"), collected(tmp_path, "split")
    there.dat.write_bytes(there.dat.read_bytes().replace(str(DATA).encode(), b"/gone/checkout"))

    assert count(there).table == count(here).table


def test_a_source_that_is_gone_is_told(tmp_path):
    gone = replace(collected(tmp_path, "same"), sources={"gone.sv": tmp_path / "gone.sv"})

    with pytest.raises(EvidenceError, match=r"gone.sv: cannot be read: No such file"):
        count(gone)


@given(st.lists(st.integers(min_value=0, max_value=3) | st.integers(min_value=0)))
def test_counts_as_text_come_back(counts):
    assert counts_of(runs_of(counts), len(counts), "here") == counts


@pytest.mark.parametrize(
    ("runs", "said"), [("5 x", "'x' is no count"), ("5*99999999", "is no count"), ("5*2", "2 counts for 3")]
)
def test_counts_that_do_not_fit_are_refused(runs, said):
    with pytest.raises(EvidenceError, match=said):
        counts_of(runs, 3, "code.jsonl")


@pytest.mark.parametrize(
    "content", [b"", b"[]\n", b'{"sources":{}}\n', b'{"elsewhere":{},"sources":{},"tool":{}}\n[1]\n']
)
def test_what_is_no_table_is_refused(content):
    with pytest.raises(EvidenceError, match=r"points\.jsonl: is not a table of coverage points"):
        PointTable.of(content, "points.jsonl")
