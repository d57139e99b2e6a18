"""Coverage of a run: which designs have goals, what the tests reached together, and what the terminal is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hil.coverage.goals import Design, read_design
from hil.coverage.points import Collected
from hil.coverage.waivers import read_waivers
from hil.errors import EvidenceError, HilError
from hil.evidence.coverage import CoverageFiles, CoverageRecord, DesignRecord, keep_text
from hil.evidence.coverage_results import results_of
from hil.evidence.documents import plain
from hil.limits import Verdict
from hil.rtl.blocks.files import PATTERN, read_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hil.coverage.model import CoverModel
    from hil.evidence.documents import Document
    from hil.rig.model import RigFile
    from hil.rtl.build import Built


def collecting(file: RigFile) -> RigFile:
    """The same rig with code coverage; nothing that qualifies is changed, so that it is no development run."""
    rtl = file.rtl.model_copy(update={"coverage": True})
    return replace(file, tables=file.tables.model_copy(update={"rtl": rtl}))


def collected_of(article: str, dat: Path, built: Built) -> Collected:
    """What a simulator process left, as coverage takes it.

    Args:
        article: the article, or the block that a block test drives.
        dat: the file that Verilator wrote.
        built: the design.
    """
    spec = built.spec
    sources = dict(zip(spec.sources, spec.source_files, strict=True))
    return Collected(article=article, design=spec.file.name, dat=dat, sources=sources, tool=built.simulator.identity)


@dataclass(frozen=True, slots=True)
class Judged:
    """A design that a run is judged by.

    Args:
        design: its sources, goals and waivers.
        articles: the articles of the rig that it stands for; none for a design of block tests.
        listed: whether the rig lists it as one that block tests must have run.
    """

    design: Design
    articles: tuple[str, ...] = ()
    listed: bool = False


def designs_of(file: RigFile, tested: Iterable[Path] = ()) -> list[Judged]:
    """The designs that a run is judged by: those of the rig's articles, those it lists, and those of block tests.

    Args:
        file: the rig file.
        tested: the RTL files of the block tests that are planned.

    Raises:
        ConfigError: when an RTL file, or its list of waivers, is wrong.
    """
    articles: dict[Path, list[str]] = {}  # by the file itself, however it is named
    rtl = [(table.rtl, [name]) for name, table in file.dut.items() if table.rtl is not None]
    named: list[tuple[Path, list[str]]] = [*rtl, *((path, []) for path in (*file.rtl.block_designs, *tested))]
    for path, names in named:
        articles.setdefault(path.resolve(), []).extend(names)
    paths = {path.resolve(): path for path, _ in reversed(named)}
    listed = {path.resolve() for path in file.rtl.block_designs}
    designs = [Judged(read_design(paths[each]), tuple(names), each in listed) for each, names in articles.items()]
    for each in designs:
        for name, content in each.design.waivers:
            read_waivers(name, content)
    return designs


def designs_of_plan(root: Path, nodeids: Iterable[str]) -> list[Path]:
    """The RTL files of planned block tests, in order.

    Args:
        root: the folder that ids of tests are relative to.
        nodeids: all tests that are planned.

    Raises:
        ConfigError: when a file of block tests cannot be read.
    """
    files = dict.fromkeys(root / nodeid.partition("::")[0] for nodeid in nodeids)
    return list(dict.fromkeys(read_blocks(path).block for path in files if path.match(PATTERN)))


@dataclass(frozen=True)
class RunCoverage:
    """What the tests of a run reach together, and whether that is enough.

    Args:
        folder: the run folder.
        designs: the designs that the run is judged by.
        model: the declared cover points.
        judged: whether the run is meant to reach its goals.
    """

    folder: Path
    designs: Sequence[Judged]
    model: CoverModel
    judged: bool

    def __call__(self) -> CoverageRecord | None:
        """Judge what the folder holds; None when nothing was collected and nothing was asked for.

        Raises:
            EvidenceError: when it cannot be read or kept.
        """
        files = CoverageFiles(self.folder)
        if not self.judged and not files.code() and not files.hits():
            return None
        try:
            record = CoverageRecord(
                judged=self.judged,
                problems=(),
                designs=tuple(self._recorded(each) for each in self.designs),
                models=tuple((name, keep_text(self.folder, content)) for name, content in self.model.files),
            )
            problems = results_of(files, record).problems
            return replace(record, problems=problems if self.judged else ())
        except HilError as problem:
            raise EvidenceError(f"coverage cannot be judged: {problem}") from problem

    def _recorded(self, judged: Judged) -> DesignRecord:
        design = judged.design
        return DesignRecord(
            name=design.name,
            articles=judged.articles,
            sources={name: keep_text(self.folder, content) for name, content in design.sources.items()},
            goals=_plain_goals(design),
            waivers=tuple((name, keep_text(self.folder, content)) for name, content in design.waivers),
            language=design.language,
            listed=judged.listed,
        )


def _plain_goals(design: Design) -> Document:
    found = plain(design.goals.model_dump(exclude_none=True), f"{design.name}: coverage")
    return found if isinstance(found, dict) else {}


def told(record: CoverageRecord | None) -> list[str]:
    """What the terminal is told of a run's coverage; nothing without any."""
    if record is None:
        return []
    if not record.judged:
        return ["coverage: collected, in the report; a run of the whole suite is judged by it with --coverage-goals"]
    if record.verdict is Verdict.PASS:
        return ["coverage goals: PASS"]
    return [f"coverage goals: FAIL, {len(record.problems)} missed", *(f"    {each}" for each in record.problems)]
