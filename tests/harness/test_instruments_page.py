"""The page on instruments says what the drivers declare."""

from __future__ import annotations

from pathlib import Path

from hil.visa.page import filled

PAGE = Path(__file__).parents[2] / "docs" / "instruments.md"


def test_the_tables_of_the_page_are_those_of_the_declarations():
    assert filled(PAGE.read_text()) == PAGE.read_text(), "python -m hil.visa.page docs/instruments.md writes them"


def test_a_table_is_filled_between_its_marks_and_the_rest_stays():
    page = "before\n<!-- table: hil.visa.keysight_34980a:Relay -->\nold\n<!-- end -->\nafter\n"

    lines = filled(page).splitlines()

    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
    assert any(line.startswith("| `close_contact` | `ROUTe:CLOSe` |") for line in lines)
