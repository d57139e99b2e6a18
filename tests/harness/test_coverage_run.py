"""Coverage of a whole run: collected by every test, joined, judged when the run is asked to reach its goals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cover_world import DATA, write_covered_run
from suite import Ran, Suite

from hil.coverage.goals import read_design
from hil.errors import EvidenceError
from hil.evidence.coverage import CoverageFiles
from hil.evidence.index import read_run
from hil.evidence.verify import verify
from hil.limits import Outcome, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from hil.evidence.finalise import Finalised

COVER = """[cover]
name = "box situations"
edition = "1"
[point."box.supply"]
bins = ["low", "high"]
source = "test plan"
"""
TESTS = """
import pytest

@pytest.mark.parametrize("supply", ["low", "high"])
def test_supply(rig, measure, cover, supply):
    cover("box.supply", supply)
    cover("box.supply", "low")
    measure("box.volts", 28.0, "V")

def test_typo(rig, measure, cover):
    measure("box.volts", 28.0, "V")
    cover("box.supply", "hihg")

def test_plain(rig, measure):
    measure("box.volts", 28.0, "V")
"""


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Four tests, two of which cover both bins of one point."""
    made = Suite(tmp_path, TESTS)
    (tmp_path / "cover.toml").write_text(COVER)
    (tmp_path / "pytest.ini").write_text("[pytest]\nhil_profiles = box.toml\nhil_cover = cover.toml\n")
    return made


def document(ran: Ran) -> dict[str, object] | None:
    return next((each for each in ran.documents if each["doc"] == "coverage"), None)


def test_a_run_of_some_tests_is_not_told_that_it_missed_goals(suite: Suite) -> None:
    ran = suite.run("-k", "low")

    assert ran.code == 0, ran.text
    assert (
        "coverage: collected, in the report; a run of the whole suite is judged by it with --coverage-goals" in ran.text
    )
    assert "missed" not in ran.text
    assert document(ran)["verdict"] == "NOT_RUN"


def test_a_run_that_reaches_its_goals_passes(suite: Suite) -> None:
    ran = suite.run("-k", "supply", "--coverage-goals")

    assert ran.code == 0, ran.text
    assert "coverage goals: PASS" in ran.text


def test_a_run_that_misses_its_goals_fails_and_says_which(suite: Suite) -> None:
    ran = suite.run("-k", "low", "--coverage-goals")

    assert ran.code == 1
    assert "FAIL: 1 of 1 planned tests judged (1 PASS)" in ran.text
    assert "coverage goals: FAIL, 1 missed" in ran.text
    assert "box.supply: 1 of 2 bins hit, 50.0 %, goal 100 %; not hit: high" in ran.text
    assert verify(ran.folder) == []
    assert read_run(ran.folder).tally.outcome is Outcome.FAIL


def test_an_unknown_bin_is_an_error_of_its_test(suite: Suite) -> None:
    ran = suite.run("-k", "typo")

    assert ran.verdict("test_typo") == "ERROR"
    assert "'hihg' is in no bin; did you mean high?" in ran.text


def test_a_run_without_coverage_has_no_trace_of_it(suite: Suite) -> None:
    ran = suite.run("-k", "plain")

    assert ran.code == 0
    assert "coverage:" not in ran.text
    assert document(ran) is None
    assert not (ran.folder / "coverage").exists()


def test_workers_change_no_byte(suite: Suite) -> None:
    one, two = suite.run("-k", "supply"), suite.run("-k", "supply", "-n", "2", run_folder="two", PYTHONHASHSEED="5")
    names = [path.relative_to(one.folder) for path in sorted(one.folder.rglob("coverage/**/*.*"))]

    assert len(names) == 2
    for name in ("events.jsonl", *names):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()


def test_a_wrong_file_of_cover_points_is_refused_before_anything_runs(suite: Suite) -> None:
    (suite.folder / "cover.toml").write_text(COVER.replace("bins", "bin"))
    ran = suite.run("-k", "plain")

    assert ran.code == 4
    assert 'cover.toml:5: point."box.supply".bin is not known; did you mean bins?' in ran.text


# -- what is in the folder ----------------------------------------------------------------------------------------


@pytest.fixture
def finished(tmp_path: Path) -> Finalised:
    """A run with coverage of code, in ``tmp_path / "run"``."""
    return write_covered_run(tmp_path / "run", tmp_path)


def test_figures_of_several_tests_and_builds_are_judged_together(finished: Finalised, tmp_path: Path) -> None:
    record = read_run(tmp_path / "run").coverage

    assert record == finished.coverage
    assert record is not None
    assert record.verdict is Verdict.FAIL
    assert record.problems[0] == (
        "cover_voter.sv: cover_voter: branch 84.6 %, goal 100 %: 2 of 13 neither reached nor justified, lines 26, 30"
    )


def test_each_trial_has_its_own_part_and_tables_are_kept_once(finished: Finalised, tmp_path: Path) -> None:
    run = read_run(tmp_path / "run")
    files = CoverageFiles(tmp_path / "run")
    first, second = (
        next(each for each in test.attempts[0].attachments if each.path == "coverage/code.jsonl") for test in run.tests
    )

    assert [record.article for record in files.code(first.offset, first.size)] == ["box_same"]
    assert [record.article for record in files.code(second.offset, second.size)] == ["box_split", "box_wide"]
    assert len(list((tmp_path / "run" / "coverage" / "points").iterdir())) == 2  # two sets of parameters


def test_the_same_run_is_the_same_bytes(finished: Finalised, tmp_path: Path) -> None:
    again = write_covered_run(tmp_path / "again", tmp_path)

    assert again.head == finished.head


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("coverage/code.jsonl", b'"counts":"15*2', b'"counts":"16*2'),
        ("coverage/functional.jsonl", b'["ARM"],1', b'["ARM"],9'),
        ("events.jsonl", b'"judged":true', b'"judged":false'),
    ],
)
def test_an_edit_is_found(finished: Finalised, tmp_path: Path, name: str, old: bytes, new: bytes) -> None:
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes().replace(old, new))

    assert any(name.rpartition("/")[2] in finding.where for finding in verify(tmp_path / "run"))


def test_a_removed_table_is_found_and_named(finished: Finalised, tmp_path: Path) -> None:
    table = next((tmp_path / "run" / "coverage" / "points").iterdir())
    table.unlink()
    files = CoverageFiles(tmp_path / "run")

    assert [finding.where for finding in verify(tmp_path / "run")] == [f"coverage/points/{table.name}"]
    with pytest.raises(EvidenceError, match=r"coverage/points/.*cannot be read: No such file.*; check the copy"):
        files.table(table.stem)


def test_a_source_that_was_edited_during_the_run_is_told(tmp_path: Path) -> None:
    design = read_design(DATA / "cover_box.toml")
    before = replace(design, sources={**design.sources, "cover_box.sv": design.sources["cover_box.sv"] + b"// old\n"})
    record = write_covered_run(tmp_path / "run", tmp_path, design=before).coverage

    assert record is not None
    assert record.problems[0].startswith("cover_box.toml: cover_box.sv was edited while the run went on")


def test_a_file_that_was_simulated_and_is_no_source_keeps_the_run_from_its_goals(tmp_path: Path) -> None:
    voter_alone = read_design(DATA / "cover_voter.toml")
    record = write_covered_run(tmp_path / "run", tmp_path, design=voter_alone).coverage

    assert record is not None
    assert record.problems[0] == (
        "cover_voter.toml: cover_box.sv is part of the design and is not among its sources, so that no goal holds for "
        "it: list it there"
    )


def test_coverage_alone_judges_nothing_where_no_test_ran(tmp_path: Path) -> None:
    finished = write_covered_run(tmp_path / "run", tmp_path, simulations=())

    assert finished.coverage is not None
    assert finished.coverage.verdict is Verdict.FAIL
    assert finished.tally.outcome is Outcome.NOT_RUN
