"""The table test x seeded defect: what counts as found, and what keeps it from being a proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from suite import Suite

from hil.campaign.defects import Campaign, Defect, KillTable, kill_table, load_defects, part_of
from hil.errors import ConfigError, HilError

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """
def test_volts(rig, measure):
    measure("box.volts", 20.0 + rig.file.rig.seed, "V")

def test_nothing_depends_on_it(rig, measure):
    measure("box.volts", 28.0, "V")

def test_breaks(rig, measure):
    if rig.file.rig.seed == 2:
        raise RuntimeError("no answer")
    measure("box.volts", 28.0, "V")
"""
RIG = '[rig]\nname = "empty"\nseed = 8\n'
LOW = Defect(name="low", sets=["rig.seed=1"], kills=["test_volts"])
BREAKS = Defect(name="breaks", sets=["rig.seed=2"], kills=["test_volts", "test_breaks"])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> KillTable:
    folder = tmp_path_factory.mktemp("suite")
    Suite(folder, TESTS, RIG)
    return kill_table(Campaign(["test_box.py"], "rig.toml", folder, every=True), [LOW, BREAKS])


def test_a_defect_is_found_by_the_tests_that_judge_against_it(table: KillTable) -> None:
    assert table.killed["low"] >= {"test_volts"}
    assert table.alive == set()


def test_an_error_is_no_judgement_and_so_no_find(table: KillTable) -> None:
    assert table.killed["breaks"] == {"test_volts"}
    assert table.upset["breaks"] == {"test_breaks"}


def test_what_keeps_the_table_from_being_a_proof_is_said(table: KillTable) -> None:
    problems = table.problems([LOW, BREAKS])
    assert "defect breaks is not found by test_breaks" in problems
    assert "test_nothing_depends_on_it is failed by no defect: it shows nothing" in problems


def test_the_table_has_a_row_per_test_and_a_column_per_defect(table: KillTable) -> None:
    rows = {line.split()[0]: line.split()[2:] for line in table.lines() if line.startswith("test_")}
    assert rows["test_volts"] == ["X", "X"]
    assert rows["test_nothing_depends_on_it"] == [".", "."]


def test_a_defect_is_tried_on_the_trials_that_are_expected_to_find_it_alone(tmp_path: Path) -> None:
    Suite(tmp_path, TESTS, RIG)
    narrow = Defect(name="low", sets=["rig.seed=1"], kills=["test_volts"], among="not breaks")
    table = kill_table(Campaign(["test_box.py"], "rig.toml", tmp_path), [narrow])
    assert table.ran["low"] == {"test_volts"}
    assert table.killed["low"] == {"test_volts"}


def test_a_sound_run_made_before_is_taken_as_it_is(tmp_path: Path) -> None:
    sound = Suite(tmp_path, TESTS, RIG).run().folder
    table = kill_table(Campaign(["test_box.py"], "rig.toml", tmp_path, sound=sound), [LOW])
    assert table.tests == ["test_volts", "test_nothing_depends_on_it", "test_breaks"]
    assert table.alive == set()


def test_a_run_with_changes_is_not_taken_for_a_sound_one(tmp_path: Path) -> None:
    changed = Suite(tmp_path, TESTS, RIG).run("--set", "rig.seed=9").folder
    with pytest.raises(HilError, match=r"is changed by rig\.seed=9; give a complete run"):
        kill_table(Campaign(["test_box.py"], "rig.toml", tmp_path, sound=changed), [LOW])


def test_a_part_tries_some_defects_and_believes_the_others(table: KillTable) -> None:
    high = Defect(name="high", sets=["rig.seed=90"], kills=["test_nothing_depends_on_it"])

    assert part_of([LOW, BREAKS, high], 1, 2) == ([LOW, high], [BREAKS])
    assert part_of([LOW, BREAKS, high], 2, 2) == ([BREAKS], [LOW, high])
    assert "test_nothing_depends_on_it is failed by no defect: it shows nothing" not in table.problems([LOW], [high])


def test_a_misspelt_key_of_the_defects_file_is_told_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "defects.toml"
    file.write_text('[[defect]]\nname = "a"\nset = ["x=1"]\nkills = ["test_a"]\n')
    with pytest.raises(ConfigError, match=r"defects\.toml:\d: .*did you mean sets"):
        load_defects(file)


def test_a_defect_stands_in_the_file_once(tmp_path: Path) -> None:
    file = tmp_path / "defects.toml"
    file.write_text('[[defect]]\nname = "a"\nsets = ["x=1"]\nkills = ["test_a"]\n' * 2)
    with pytest.raises(ConfigError, match="the defect a stands in it twice"):
        load_defects(file)
