"""What the coverage of a whole run comes to: a pure function of its folder and its ``coverage`` document."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import ValidationError

from hil.coverage.elements import SourceElements
from hil.coverage.goals import CoverageTable, Design
from hil.coverage.judge import DesignResult, judge_design
from hil.coverage.model import CoverModel, PointResult
from hil.coverage.points import added
from hil.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hil.coverage.points import PointTable
    from hil.evidence.coverage import CoverageFiles, CoverageRecord, DesignRecord

_GENERATED = frozenset({"hil_top.v", "verilated_std.sv"})
"""Files that are counted and belong to no design: the wrapper, and what Verilator brings along."""


@dataclass(frozen=True, slots=True)
class DesignCoverage:
    """One RTL file of a run.

    Args:
        result: its blocks and what is missed.
        articles: what it stood for, in this run.
        tools: what simulated it, one text each.
        elsewhere: number of points that do not count, by file.
        of_rig: whether it is an article's; otherwise it is of block tests alone.
    """

    result: DesignResult
    articles: tuple[str, ...]
    tools: tuple[str, ...]
    elsewhere: Mapping[str, int]
    of_rig: bool


@dataclass(frozen=True, slots=True)
class RunResults:
    """The coverage of a run.

    Args:
        designs: RTL files, those of the rig's articles first.
        points: cover points and crosses.
        models: names and editions of the files of cover points.
        problems: every goal that is missed and every waiver that does not hold.
        edited: sources that were edited during the run; they stand among the problems as well.
    """

    designs: tuple[DesignCoverage, ...]
    points: tuple[PointResult, ...]
    models: tuple[str, ...]
    problems: tuple[str, ...]
    edited: tuple[str, ...] = ()


def results_of(files: CoverageFiles, record: CoverageRecord) -> RunResults:
    """Judge what a run collected.

    Args:
        files: its coverage files.
        record: its ``coverage`` document, or what will become of it.

    Raises:
        HilError: when a file in the folder is not what was recorded, or is none of its kind.
    """
    collected = _Collected(files)
    designs = [collected.judged(_stored(files, each), each.articles) for each in record.designs]
    known = {digest for each in record.designs for digest in each.sources.values()}
    others = [
        collected.judged(Design(name, {each: files.text(digest) for each, digest in sources.items()}, CoverageTable()))
        for name, sources in collected.others(known).items()
    ]
    model = CoverModel((name, files.text(digest)) for name, digest in record.models)
    points = tuple(model.results(files.hits()))
    edited = tuple(problem for each in record.designs for problem in collected.edited(each))
    problems = [*edited]
    for each in record.designs:
        problems += [*collected.not_tested(each), *collected.not_listed(each)]
    named = {each.name for each in record.designs}  # what was edited stands among the others too, and is told already
    judged = [*designs, *(each for each in others if each.result.name not in named)]
    problems += [problem for each in judged for problem in each.result.problems]
    problems += [point.problem for point in points if point.problem]
    once = tuple(dict.fromkeys(problems))  # designs share sources, and what is wrong in them
    return RunResults((*designs, *others), points, tuple(model.titles), once, edited)


class _Collected:
    """Everything that was collected, joined over trials: the counts of every table, the elements of every source."""

    def __init__(self, files: CoverageFiles) -> None:
        self._articles: dict[str, dict[str, None]] = {}  # articles by table
        self._designs: dict[str, dict[str, None]] = {}  # tables by design
        self._ran: dict[str, set[str]] = {}  # articles and blocks by design
        counts: dict[str, list[int]] = {}
        for record in files.code():
            found = files.counts(record)
            counts[record.table] = added(counts[record.table], found) if record.table in counts else found
            self._articles.setdefault(record.table, {})[record.article] = None
            self._designs.setdefault(record.design, {})[record.table] = None
            self._ran.setdefault(record.design, set()).add(record.article)
        self._tables = {digest: files.table(digest) for digest in counts}
        self._elements: dict[str, SourceElements] = {}
        for digest, table in self._tables.items():
            for name, source in table.sources.items():
                own = ((point, hits) for point, hits in zip(table.points, counts[digest], strict=True))
                elements = self._elements.setdefault(source, SourceElements())
                elements.add((point, hits) for point, hits in own if point.source == name)

    def judged(self, design: Design, articles: tuple[str, ...] = ()) -> DesignCoverage:
        """A design with everything that was reached of its sources, in whatever build."""
        digests = {name: sha256(content).hexdigest() for name, content in design.sources.items()}
        elements = {name: self._elements[digest] for name, digest in digests.items() if digest in self._elements}
        wanted = set(digests.values())
        tables = {digest: each for digest, each in self._tables.items() if wanted & set(each.sources.values())}
        others = sorted({name for digest in tables for name in self._articles[digest]} - set(articles))
        elsewhere = {name: number for each in tables.values() for name, number in sorted(each.elsewhere.items())}
        return DesignCoverage(
            judge_design(design, elements), (*articles, *others), _tools(tables.values()), elsewhere, bool(articles)
        )

    def others(self, known: set[str]) -> dict[str, dict[str, str]]:
        """Sources that are of no article's design, by the RTL file that brought them."""
        found: dict[str, dict[str, str]] = {}
        for design in sorted(self._designs):
            for table in self._designs[design]:
                for name, digest in self._tables[table].sources.items():
                    if digest not in known:
                        found.setdefault(design, {})[name] = digest
        return found

    def not_tested(self, design: DesignRecord) -> list[str]:
        """That none of a listed design's block tests was counted; another design may have reached parts of it."""
        ran = self._ran.get(design.name, set()) - set(design.articles)
        if ran or not design.listed or design.language != "verilog":
            return []
        return [
            f"{design.name}: block_designs lists it, but none of its block tests ran with coverage, so that its goals "
            "are missed: run them, on Verilator, or take it off the list"
        ]

    def not_listed(self, design: DesignRecord) -> list[str]:
        """Files of a design that the simulator counted, and that no goal holds for: the RTL file does not name them."""
        files = {name for digest in self._designs.get(design.name, ()) for name in self._tables[digest].elsewhere}
        return [
            f"{design.name}: {name} is part of the design and is not among its sources, so that no goal holds for it: "
            "list it there"
            for name in sorted(files - _GENERATED)
            if ": " not in name  # a kind of points that is not counted
        ]

    def edited(self, design: DesignRecord) -> list[str]:
        """Sources that were simulated with another text than the one that is judged."""
        tables = [self._tables[digest] for digest in self._designs.get(design.name, ())]
        names = {
            name
            for table in tables
            for name, digest in table.sources.items()
            if design.sources.get(name, digest) != digest
        }
        return [
            f"{design.name}: {name} was edited while the run went on: some of it was counted against another text, and "
            "stands apart; run again"
            for name in sorted(names)
        ]


def _tools(tables: Iterable[PointTable]) -> tuple[str, ...]:
    said = (
        f"{table.tool.get('simulator', 'unknown')} {table.tool.get('version', 'of unknown version')}, SHA-256 "
        f"{table.tool.get('sha256', 'unknown')}"
        for table in tables
    )
    return tuple(dict.fromkeys(said))


def _stored(files: CoverageFiles, record: DesignRecord) -> Design:
    try:
        goals = CoverageTable.model_validate(record.goals)
    except ValidationError as error:
        raise EvidenceError(f"coverage goals of {record.name}: {error.errors(include_url=False)[0]['msg']}") from error
    waivers = tuple((name, files.text(digest)) for name, digest in record.waivers)
    sources = {name: files.text(digest) for name, digest in record.sources.items()}
    return Design(record.name, sources, goals, waivers, record.language)
