"""Figures of a design's blocks before and after waivers, against their goals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.coverage.elements import Element, named
from hil.coverage.points import KINDS
from hil.coverage.sources import FILE_SCOPE, Source
from hil.coverage.waivers import Resolved, not_overlapping, read_waivers, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hil.coverage.elements import SourceElements
    from hil.coverage.goals import Design
    from hil.coverage.waivers import Waiver

_LINES_NAMED = 12


@dataclass(frozen=True, slots=True)
class Figure:
    """How much of one kind of element of a block was reached.

    Args:
        kind: the kind.
        total: number of elements.
        reached: how many of them a test reached.
        justified: how many of the others a waiver justifies.
        goal_pct: what reached and justified together must come to [percent]; None where nothing is asked.
        absent: whether there are no elements because the block was never simulated.
    """

    kind: str
    total: int
    reached: int
    justified: int = 0
    goal_pct: float | None = None
    absent: bool = False

    @property
    def open(self) -> int:
        """Elements that are neither reached nor justified."""
        return self.total - self.reached - self.justified

    @property
    def before(self) -> str:
        """Share that tests reach [percent], rounded down to a tenth; "–" of nothing."""
        return percent(self.reached, self.total)

    @property
    def after(self) -> str:
        """Share that is reached or justified [percent], rounded down to a tenth; "–" of nothing."""
        return percent(self.reached + self.justified, self.total)

    @property
    def meets(self) -> bool:
        """Whether the goal is met, or there is none."""
        if self.goal_pct is None:
            return True
        return not self.absent and 100 * (self.reached + self.justified) >= self.goal_pct * self.total


def percent(part: int, whole: int) -> str:
    """A share in percent, rounded down to a tenth, so that only all of it is 100.0.

    >>> percent(2, 3), percent(9999, 10000), percent(0, 0)
    ('66.6', '99.9', '–')
    """
    if not whole:
        return "–"
    tenths = 1000 * part // whole
    return f"{tenths // 10}.{tenths % 10}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Elements of one line and kind that no test reached.

    Args:
        line: the line.
        text: its source text.
        kind: kind of the elements.
        names: their names, in short; none for a line.
        count: how many they are.
        waiver: what justifies them; None for nothing.
    """

    line: int
    text: str
    kind: str
    names: tuple[str, ...]
    count: int
    waiver: Waiver | None = None


@dataclass(frozen=True, slots=True)
class BlockResult:
    """One block of a design.

    Args:
        name: its module.
        source: the source it stands in.
        figures: by kind, in the order of :data:`~hil.coverage.points.KINDS`; cover statements only where there are any.
        gaps: what no test reached, by line.
    """

    name: str
    source: str
    figures: tuple[Figure, ...]
    gaps: tuple[Gap, ...]

    def figure(self, kind: str) -> Figure:
        """The figure of one kind."""
        return next((each for each in self.figures if each.kind == kind), Figure(kind, 0, 0))


@dataclass(frozen=True, slots=True)
class DesignResult:
    """What a design's coverage comes to.

    Args:
        name: its RTL file.
        blocks: its blocks, in the order of sources and lines.
        waivers: every waiver and what it comes to.
        problems: what keeps the goals from being met, one sentence each.
        notes: what a reader should know besides.
    """

    name: str
    blocks: tuple[BlockResult, ...]
    waivers: tuple[Resolved, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def total(self) -> tuple[Figure, ...]:
        """The figures of all blocks together, without a goal: goals hold for each block."""
        return tuple(
            Figure(kind, sum(each.total for each in found), sum(each.reached for each in found),
                   sum(each.justified for each in found))
            for kind in KINDS
            if (found := [block.figure(kind) for block in self.blocks])
            and (kind != "user" or any(each.total for each in found))
        )  # fmt: skip


def judge_design(design: Design, elements: Mapping[str, SourceElements]) -> DesignResult:
    """Judge what all tests together reached of a design.

    A design without any goal has a problem for it, and so has one whose sources hide points: what is not to be reached
    stands in a goal below 100 or in a waiver, where it is seen. A VHDL design has a note instead: nothing counts it.

    Args:
        design: its sources, goals and waivers.
        elements: what was reached of each source, by its name; a source that was never simulated is not there.

    Raises:
        ConfigError: when the waiver file is none.
    """
    if design.language != "verilog":
        note = f"{design.name}: written in {design.language}, of which nothing counts coverage: it has no goals"
        return DesignResult(design.name, (), (), (), (note,))
    sources = {name: Source.of(name, content) for name, content in design.sources.items()}
    found = {name: list(each.elements()) for name, each in elements.items() if name in sources and each}
    resolved = [
        resolve(waiver, sources, found) for name, content in design.waivers for waiver in read_waivers(name, content)
    ]
    reasons = {
        (each.waiver.table.file, element): each.waiver for each in reversed(resolved) for element in each.elements
    }
    blocks = [
        _block(
            design,
            source,
            block,
            [each for each in found.get(name, ()) if source.block_of(each.line) == block],
            reasons,
        )
        for name, source in sources.items()
        for block in _blocks(source, found.get(name, ()))
    ]
    problems = [] if design.goals.asks else [_no_goal(design)]
    problems += [each.problem for each in resolved if each.problem] + not_overlapping(resolved)
    problems += [
        f"{source.name}:{each.line}: {each.text} takes points away without a reason and an approver: remove it, and "
        "justify what no test reaches by a waiver"
        for source in sources.values()
        for each in source.pragmas
        if each.hides_from == "coverage"
    ]
    problems += _missed(design, blocks, any_data=bool(found))
    notes = [each.note for each in resolved if each.note]
    unknown = sorted(set(design.goals.block) - {block.name for block in blocks})
    problems += [f"{design.name}: coverage.block.{name} is no block of the design" for name in unknown]
    return DesignResult(design.name, tuple(blocks), tuple(resolved), tuple(problems), tuple(notes))


def _blocks(source: Source, elements: Iterable[Element]) -> list[str]:
    """The blocks of a source: its modules, and what stands outside of them when something of it was simulated."""
    names = [block.name for block in source.blocks]
    hit = {source.block_of(element.line) for element in elements}
    modules = [name for name in names if name in hit or not _is_package(source, name)]
    return modules + ([FILE_SCOPE] if FILE_SCOPE in hit else [])


def _is_package(source: Source, name: str) -> bool:
    """A package has nothing to be reached unless it has functions that were simulated."""
    first = next(block.first for block in source.blocks if block.name == name)
    return source.line(first).strip().startswith("package")


def _block(
    design: Design, source: Source, name: str, elements: Sequence[Element],
    reasons: Mapping[tuple[str, Element], Waiver],
) -> BlockResult:  # fmt: skip
    figures: list[Figure] = []
    for kind in KINDS:
        of_kind = [element for element in elements if element.kind == kind]
        goal = design.goals.goal(name, kind)
        if kind == "user" and not of_kind and goal is None:
            continue
        justified = sum((source.name, element) in reasons for element in of_kind)
        reached = sum(element.hits > 0 for element in of_kind)
        figures.append(Figure(kind, len(of_kind), reached, justified, goal, absent=not elements))
    gaps: dict[tuple[int, int, str], list[Element]] = {}
    for element in elements:
        if not element.hits:
            waiver = reasons.get((source.name, element))
            key = (element.line, KINDS.index(element.kind), "" if waiver is None else waiver.where)
            gaps.setdefault(key, []).append(element)
    return BlockResult(
        name,
        source.name,
        tuple(figures),
        tuple(_gap(source, found, reasons.get((source.name, found[0]))) for _, found in sorted(gaps.items())),
    )


def _gap(source: Source, elements: Sequence[Element], waiver: Waiver | None) -> Gap:
    first = elements[0]
    names = tuple(named(elements))
    return Gap(first.line, source.line(first.line).strip(), first.kind, names, len(elements), waiver)


def _no_goal(design: Design) -> str:
    return (
        f"{design.name}: has no coverage goal, so that nothing could ever be missed: write a table [coverage] with "
        "line_pct, branch_pct and toggle_pct in it"
    )


def _missed(design: Design, blocks: Sequence[BlockResult], *, any_data: bool) -> list[str]:
    """Every goal that is missed, with the lines that are open."""
    if not any_data:
        asked = any(figure.goal_pct is not None for block in blocks for figure in block.figures)
        return [
            f"{design.name}: no coverage of its code was collected, but goals are set; only Verilator counts: run the "
            "tests on it with coverage"
        ] if asked else []  # fmt: skip
    texts: list[str] = []
    for block in blocks:
        missed = [figure for figure in block.figures if not figure.meets]
        if missed and missed[0].absent:
            texts.append(f"{block.source}: {block.name} was part of no simulated design: simulate it, or leave it out")
            continue
        for figure in missed:
            lines = sorted({gap.line for gap in block.gaps if gap.kind == figure.kind and gap.waiver is None})
            more = f" and {len(lines) - _LINES_NAMED} more" if len(lines) > _LINES_NAMED else ""
            shown = ", ".join(map(str, lines[:_LINES_NAMED]))
            texts.append(
                f"{block.source}: {block.name}: {figure.kind} {figure.after} %, goal {figure.goal_pct:g} %: "
                f"{figure.open} of {figure.total} neither reached nor justified, lines {shown}{more}"
            )
    return texts
