"""The documentation: decision records are complete and listed, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORDS = sorted((ROOT / "docs" / "adr").glob("0*.md"))
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_decision_record_has_its_sections_and_stands_in_the_index(record):
    text = record.read_text()
    title = text.partition("\n")[0].removeprefix(f"# {record.stem[:4]} ")

    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert f"| [{record.stem[:4]}]({record.name}) | {title} |" in record.with_name("README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_to_a_file(page):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_each_walk_through_the_code_is_at_most_six_files():
    walks = (ROOT / "docs" / "walks.md").read_text().split("\n## ")[1:]
    files = [re.findall(r"^\| \[([^\]]+)\]", walk, re.MULTILINE) for walk in walks]

    assert [len(walk) <= 6 for walk in files] == [True, True]
    diagrams = [walk.partition("```mermaid")[2].partition("```")[0] for walk in walks]
    assert all(name in diagram for walk, diagram in zip(files, diagrams, strict=True) for name in walk)
