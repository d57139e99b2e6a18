"""Seeded defects: proof that a campaign can fail.

A defect is a list of ``--set`` changes to the rig: to what an article *is*. Every test must be failed by at least one
defect, every defect by at least one test, and the rig without a defect by none; otherwise a test shows nothing.
"""

from __future__ import annotations

import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from hil.campaign.qualify import pytest_command
from hil.errors import ConfigError, HilError
from hil.evidence.index import Run, read_run
from hil.limits import Verdict
from hil.toml_lines import check, load_toml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_AGAINST = (Verdict.FAIL, Verdict.OUT_OF_FAMILY)


class Defect(BaseModel):
    """One seeded defect: its name, the changes that make it, why, and the tests that are expected to find it.

    ``among`` narrows which trials of those tests are run, as an expression of pytest's ``-k``: one seed of thirty
    is enough to find a defect.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sets: list[str] = Field(min_length=1)
    note: str = ""
    kills: list[str] = Field(min_length=1)
    among: str = ""

    def selection(self, tests: Sequence[str]) -> str:
        """The expression that selects the tests expected to find it, those that there are."""
        names = " or ".join(name for name in self.kills if name in tests)
        return f"({names}) and ({self.among})" if self.among else names


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    defect: list[Defect] = Field(min_length=1)


@dataclass(frozen=True)
class Campaign:
    """What is run for every defect: tests, rig file, root folder.

    ``every`` runs every test with every defect, not only those expected to find it. ``sound`` is the folder of a run
    of these tests on this rig without a defect, made before; None makes one.
    """

    tests: Sequence[str]
    rig: str
    root: Path
    every: bool = False
    sound: Path | None = None


@dataclass
class KillTable:
    """Which defect failed which test.

    Args:
        tests: names of the tests, without parameters, in plan order.
        killed: per defect, the tests that found it: FAIL or OUT_OF_FAMILY.
        upset: per defect, the tests that came to no judgement of it: ERROR, INCONCLUSIVE or NOT_RUN.
        ran: per defect, the tests that were run.
        alive: the tests that did not pass without any defect.
    """

    tests: list[str] = field(default_factory=list[str])
    killed: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    upset: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    ran: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    alive: set[str] = field(default_factory=set[str])

    def problems(self, defects: Sequence[Defect], others: Sequence[Defect] = ()) -> list[str]:
        """Everything that keeps the table from being a proof; empty when it is one.

        Args:
            defects: the defects that were tried.
            others: those that were not, this time: they are believed to be found by the tests they name.
        """
        found = [f"{test} does not pass on the rig without a defect" for test in sorted(self.alive)]
        known = set(self.tests)
        for defect in defects:
            missed = sorted(set(defect.kills) & known - self.killed[defect.name])
            found += [f"defect {defect.name} is not found by {test}" for test in missed]
            found += [f"defect {defect.name} names {test}, which is no test" for test in set(defect.kills) - known]
        killers = set[str]().union(*self.killed.values(), *(defect.kills for defect in others))
        found += [f"{test} is failed by no defect: it shows nothing" for test in self.tests if test not in killers]
        return found

    def lines(self) -> list[str]:
        """The table as text: a row per test, a column per defect.

        X where it was found, e where it upset the test, a dot where it was not found, nothing where it was not run.
        """
        names = list(self.killed)
        width = max(map(len, self.tests), default=4)
        lines = [f"{number + 1:>3}  {name}" for number, name in enumerate(names)]
        lines += ["", " " * width + "  none " + " ".join(f"{number + 1:>2}" for number in range(len(names)))]
        for test in self.tests:
            marks = " ".join(self._mark(test, name) for name in names)
            lines.append(f"{test:<{width}}  {'FAIL' if test in self.alive else '  . '} {marks}")
        return lines

    def _mark(self, test: str, defect: str) -> str:
        if test in self.killed[defect]:
            return " X"
        if test in self.upset[defect]:
            return " e"
        return " ." if test in self.ran[defect] else "  "


def load_defects(path: Path) -> list[Defect]:
    """Read a file of seeded defects.

    Raises:
        ConfigError: with file and line when it is not one, or a name stands twice.
    """
    data, lines = load_toml(path)
    defects = check(_File, data, path, lines).defect
    names = [defect.name for defect in defects]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: the defect {name} stands in it twice; a name means one defect")
    return defects


def part_of(defects: Sequence[Defect], part: int, parts: int) -> tuple[list[Defect], list[Defect]]:
    """Every so-many-th defect, and the others: several runs share the work.

    Args:
        defects: all of them.
        part: which part, from 1.
        parts: how many there are.
    """
    chosen = [defect for number, defect in enumerate(defects) if number % parts == (part - 1) % parts]
    return chosen, [defect for defect in defects if defect not in chosen]


def kill_table(campaign: Campaign, defects: Sequence[Defect], *, workers: int = 2) -> KillTable:
    """Run the campaign without a defect and once per defect.

    Args:
        campaign: what is run.
        defects: the defects.
        workers: how many runs at a time, each in a process of its own.

    Raises:
        HilError: when a run could not be started or recorded.
    """
    with tempfile.TemporaryDirectory(prefix="hil-defects-") as scratch, ThreadPoolExecutor(workers) as pool:
        sound = _sound(campaign, Path(scratch) / "none", workers)
        folders = [Path(scratch) / str(number) for number in range(len(defects))]
        selections = [
            _Selection() if campaign.every else _Selection(defect.selection(sound.tests), sound.files_of(defect.kills))
            for defect in defects
        ]
        ran = list(pool.map(_run, repeat(campaign), folders, [defect.sets for defect in defects], selections))
    runs = {defect.name: run for defect, run in zip(defects, ran, strict=True)}
    return KillTable(
        sound.tests,
        killed={name: run.against for name, run in runs.items()},
        upset={name: run.upset for name, run in runs.items()},
        ran={name: set(run.tests) for name, run in runs.items()},
        alive=sound.against | sound.upset,
    )


@dataclass(frozen=True)
class _Selection:
    """Which tests of a campaign are run: an expression of pytest's ``-k``, and their files; all of them if empty."""

    expression: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Ran:
    """One run: its tests in plan order, those that judged against the rig, those that came to no judgement.

    ``files`` tells in which files each of its tests stands.
    """

    tests: list[str]
    against: set[str]
    upset: set[str]
    files: Mapping[str, frozenset[str]]

    def files_of(self, names: Sequence[str]) -> tuple[str, ...]:
        """The files in which some tests stand: a run of few tests need not read all."""
        return tuple(sorted({file for name in names for file in self.files.get(name, ())}))


def _sound(campaign: Campaign, scratch: Path, workers: int) -> _Ran:
    """The campaign without a defect: as it was run before, or now.

    Raises:
        HilError: for an earlier run that is not complete, or that was changed from outside.
    """
    if campaign.sound is None:
        return _run(campaign, scratch, (), _Selection(), workers=workers)
    run = read_run(campaign.sound)
    if not run.tally.complete or run.development:
        what = f"changed by {', '.join(run.development)}" if run.development else "INCOMPLETE"
        raise HilError(f"{campaign.sound} is {what}; give a complete run of the campaign without a defect")
    return _told(run)


def _run(campaign: Campaign, folder: Path, sets: Sequence[str], selection: _Selection, *, workers: int = 1) -> _Ran:
    """Run the campaign, or some of it, with some changes."""
    only = ["-k", selection.expression] if selection.expression else []
    tests = [*(selection.files or campaign.tests), "-q", "-p", "no:cacheprovider", *only]
    if workers > 1:
        tests += ["-n", str(workers), "--dist", "worksteal"]
    done = subprocess.run(
        pytest_command(tests, campaign.rig, folder, sets),
        check=False,
        capture_output=True,
        text=True,
        cwd=campaign.root,
    )
    changed = ", ".join(sets) or "no defect"
    if not folder.is_dir():
        raise HilError(f"the run with {changed} did not start:\n{done.stdout}{done.stderr}")
    run = read_run(folder)
    if not run.tally.complete:
        raise HilError(f"the run with {changed} is INCOMPLETE:\n{done.stdout[-2000:]}")
    return _told(run)


def _told(run: Run) -> _Ran:
    against = {_name(test.nodeid) for test in run.tests if test.verdict in _AGAINST}
    upset = {_name(test.nodeid) for test in run.tests if test.verdict not in (*_AGAINST, Verdict.PASS)}
    files: dict[str, set[str]] = {}
    for test in run.tests:
        files.setdefault(_name(test.nodeid), set()).add(test.nodeid.partition("::")[0])
    frozen = {name: frozenset(found) for name, found in files.items()}
    return _Ran(list(files), against, upset - against, frozen)


def _name(nodeid: str) -> str:
    return nodeid.rpartition("::")[2].partition("[")[0]
