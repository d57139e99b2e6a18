"""The coverage section: figures per block, every gap with what justifies it, cover points with their bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.errors import HilError
from hil.evidence.coverage import CODE, FUNCTIONAL, CoverageFiles
from hil.evidence.coverage_results import RunResults, results_of
from hil.limits import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hil.coverage.bins import Hit
    from hil.coverage.judge import BlockResult, Figure, Gap
    from hil.coverage.model import PointResult
    from hil.coverage.waivers import Waiver
    from hil.evidence.coverage_results import DesignCoverage
    from hil.evidence.index import Run
    from hil.report.view import TestView

_GAPS_SHOWN = 60  # lines of one block; `hil coverage show` prints all
_NAMES_SHOWN = 8  # of the points of one line
_MATRIX_MAX = 8  # bins of the shorter point of a cross that still fit across the page
_NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One kind of element of one block as printed."""

    block: str
    source: str
    rows: int
    figure: Figure
    goal: str
    verdict: str


@dataclass(frozen=True, slots=True)
class GapRow:
    """One line with what no test reached of it, and the waiver that justifies it, if any."""

    line: int
    text: str
    what: str
    waiver: Waiver | None


@dataclass(frozen=True, slots=True)
class GapTable:
    """The gaps of one block; ``left`` lines are not printed."""

    block: str
    source: str
    rows: tuple[GapRow, ...]
    left: int


@dataclass(frozen=True, slots=True)
class DesignView:
    """One RTL file as printed.

    Args:
        coverage: what it comes to.
        figures: blocks and kinds, then the sums.
        gaps: blocks with something that no test reached.
        elsewhere: what does not count.
        open: elements that are neither reached nor justified.
    """

    coverage: DesignCoverage
    figures: tuple[FigureRow, ...]
    gaps: tuple[GapTable, ...]
    elsewhere: str
    open: int


@dataclass(frozen=True, slots=True)
class BinView:
    """One bin, or one combination of a cross: its name, its hits, the tests that hit it, whether that is enough."""

    name: str
    hits: int
    tests: tuple[TestView, ...]
    enough: bool


@dataclass(frozen=True, slots=True)
class PointView:
    """One cover point or cross as printed.

    Args:
        result: what it comes to.
        bins: its bins; of a cross only those that are not in the matrix.
        axes: of a cross of two points, the one with more bins first: it goes down.
        columns: the bins of the other one.
        matrix: the bins of the first, each with a cell a column; None for what is declared never to be.
        verdict: PASS, FAIL or not judged.
    """

    result: PointResult
    bins: tuple[BinView, ...]
    axes: tuple[str, ...]
    columns: tuple[str, ...]
    matrix: tuple[tuple[str, tuple[BinView | None, ...]], ...]
    verdict: str


@dataclass(frozen=True, slots=True)
class CoverageView:
    """The section as printed.

    Args:
        judged: whether the run was meant to reach its goals.
        verdict: PASS, FAIL or not judged.
        problems: what keeps it from them, as it was recorded.
        notes: what else a reader should know.
        designs: RTL files.
        points: cover points and crosses.
        models: the files that declare them.
        tools: the simulators.
        code_tests: number of tests that reached any code.
        trouble: why nothing can be shown, or not all as it was judged; "" as it should be.
    """

    judged: bool
    verdict: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    designs: tuple[DesignView, ...] = ()
    points: tuple[PointView, ...] = ()
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    code_tests: int = 0
    trouble: str = ""


def coverage_view(run: Run, run_dir: Path, tests: Sequence[TestView]) -> CoverageView | None:
    """The coverage of a run; None when it has none.

    Args:
        run: the run.
        run_dir: its folder, where what was collected is.
        tests: its tests.
    """
    record = run.coverage
    if record is None:
        return None
    files = CoverageFiles(run_dir)
    verdict = record.verdict.value if record.judged else _NOT_JUDGED
    try:
        results = results_of(files, record)
        hit_by = _hit_by(files, tests)
    except HilError as problem:
        return CoverageView(record.judged, verdict, record.problems, (), trouble=f"Coverage cannot be shown: {problem}")
    differs = record.judged and results.problems != record.problems
    return CoverageView(
        judged=record.judged,
        verdict=verdict,
        problems=record.problems,
        notes=_notes(results, judged=record.judged),
        designs=tuple(
            _design(each, judged=record.judged)
            for each in results.designs
            if _says_something(each, judged=record.judged)
        ),
        points=tuple(_point(each, hit_by, judged=record.judged) for each in results.points),
        models=results.models,
        tools=tuple(dict.fromkeys(tool for each in results.designs for tool in each.tools)),
        code_tests=sum(any(_attached(view, CODE)) for view in tests),
        trouble="This version judges what was collected otherwise than the run was judged; both stand here."
        if differs
        else "",
    )


def _notes(results: RunResults, *, judged: bool) -> tuple[str, ...]:
    """What is not a missed goal: waivers that are too wide, and in a run that is not judged those that do not hold."""
    notes = [note for each in results.designs for note in each.result.notes]
    if not judged:
        notes += results.edited
        notes += [waiver.problem for each in results.designs for waiver in each.result.waivers if waiver.problem]
    return tuple(notes)


def _attached(view: TestView, name: str) -> list[tuple[int, int]]:
    """The byte ranges of a file that are a test's."""
    return [
        (each.offset, each.size)
        for part in view.attempts
        for each in part.attempt.attachments
        if each.path == name and each.size
    ]


def _hit_by(files: CoverageFiles, tests: Sequence[TestView]) -> dict[Hit, list[TestView]]:
    found: dict[Hit, list[TestView]] = {}
    for view in tests:
        hits = {hit for offset, size in _attached(view, FUNCTIONAL) for hit in files.hits(offset, size)}
        for hit in sorted(hits):
            found.setdefault(hit, []).append(view)
    return found


# -- code -------------------------------------------------------------------------------------------------------


def _says_something(coverage: DesignCoverage, *, judged: bool) -> bool:
    """Whether something of a design was counted, or should have been."""
    figures = [figure for block in coverage.result.blocks for figure in block.figures]
    return any(figure.total or (judged and figure.goal_pct is not None) for figure in figures)


def _design(coverage: DesignCoverage, *, judged: bool) -> DesignView:
    result = coverage.result
    rows = [row for block in result.blocks for row in _figures(block, judged=judged)]
    total = result.total
    if len(result.blocks) > 1:
        rows += [FigureRow("all blocks", "", len(total) * (k == 0), each, "", "") for k, each in enumerate(total)]
    elsewhere = ", ".join(f"{name} ({number} points)" for name, number in coverage.elsewhere.items())
    gaps = tuple(_gap_table(block) for block in result.blocks if block.gaps)
    return DesignView(coverage, tuple(rows), gaps, elsewhere, sum(each.open for each in total))


def _figures(block: BlockResult, *, judged: bool) -> list[FigureRow]:
    rows: list[FigureRow] = []
    for number, figure in enumerate(block.figures):
        goal = "" if figure.goal_pct is None else f"{figure.goal_pct:g}"
        verdict = _verdict(met=figure.meets, judged=judged) if goal else ""
        rows.append(FigureRow(block.name, block.source, len(block.figures) * (not number), figure, goal, verdict))
    return rows


def _verdict(*, met: bool, judged: bool) -> str:
    if not judged:
        return _NOT_JUDGED
    return (Verdict.PASS if met else Verdict.FAIL).value


def _gap_table(block: BlockResult) -> GapTable:
    lines: dict[tuple[int, str], list[Gap]] = {}
    for gap in block.gaps:
        lines.setdefault((gap.line, "" if gap.waiver is None else gap.waiver.where), []).append(gap)
    rows = [
        GapRow(line, found[0].text, "; ".join(map(_what, found)), found[0].waiver)
        for (line, _), found in sorted(lines.items())
    ]
    shown = sorted(rows, key=lambda row: row.waiver is not None)[:_GAPS_SHOWN]  # what is open is never left out first
    return GapTable(
        block.name, block.source, tuple(sorted(shown, key=lambda row: row.line)), max(0, len(rows) - _GAPS_SHOWN)
    )


def _what(gap: Gap) -> str:
    """What was not reached, in the words that a waiver takes."""
    if gap.kind == "line":
        return "line"
    more = f" and {len(gap.names) - _NAMES_SHOWN} more" if len(gap.names) > _NAMES_SHOWN else ""
    return f"{gap.kind} {', '.join(gap.names[:_NAMES_SHOWN])}{more}" if gap.names else gap.kind


# -- cover points -----------------------------------------------------------------------------------------------


def _point(result: PointResult, hit_by: dict[Hit, list[TestView]], *, judged: bool) -> PointView:
    views = {
        bins: BinView(
            " × ".join(bins), hits, tuple(hit_by.get((result.name, bins), ())), hits >= result.declared.at_least
        )
        for bins, hits in result.counts.items()
    }
    verdict = _verdict(met=result.meets, judged=judged)
    if len(result.axes) == 2 and min(len(bins) for _, bins in result.axes) <= _MATRIX_MAX:
        (first, rows), (second, columns) = result.axes
        if len(columns) > len(rows):
            views = {(bins[1], bins[0]): view for bins, view in views.items()}
            first, rows, second, columns = second, columns, first, rows
        matrix = tuple((row, tuple(views.get((row, column)) for column in columns)) for row in rows)
        return PointView(result, (), (first, second), columns, matrix, verdict)
    return PointView(result, tuple(views.values()), (), (), (), verdict)
