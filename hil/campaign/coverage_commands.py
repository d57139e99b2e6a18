"""``hil coverage``: look at what was reached, and keep the list of justified gaps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from hil.clock import utc_now
from hil.closed import nearest
from hil.coverage.goals import read_design
from hil.coverage.points import KINDS
from hil.coverage.sources import Source
from hil.coverage.waivers import draft, read_waivers, resolve
from hil.errors import HilError
from hil.evidence.coverage import CoverageFiles
from hil.evidence.coverage_results import results_of
from hil.evidence.index import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.coverage.judge import BlockResult
    from hil.evidence.coverage_results import RunResults

_PLACE = re.compile(r"(?P<file>.+):(?P<line>[1-9]\d*)(?:-(?P<last>[1-9]\d*))?")
_RTL = click.argument("rtl", type=click.Path(path_type=Path))


@click.group()
def coverage() -> None:
    """Coverage of RTL and of declared situations: what was reached, and what is justified."""


@coverage.command()
@_RTL
@click.argument("place", metavar="SOURCE:LINE[-LAST]")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, required=True, help="What is not reached.")
@click.option("--point", default="", help='Which of them: "else", "count_q[31:20]:0->1"; default: all on the line.')
def waive(rtl: Path, place: str, kinds: tuple[str, ...], point: str) -> None:
    """Print a waiver of lines of RTL, with their hash, to be completed and added to the waiver file.

    RTL is the RTL file of an article, SOURCE one of its sources: hil coverage waive receiver.toml logic.sv:57 --kind
    branch --point else
    """
    found = _PLACE.fullmatch(place)
    if found is None:
        _refuse(f"{place}: write SOURCE:LINE or SOURCE:FIRST-LAST")
    try:
        design = read_design(rtl)
    except HilError as problem:
        _refuse(str(problem))
    if found["file"] not in design.sources:
        _refuse(f"{found['file']} is no source of {rtl.name}; {nearest(found['file'], list(design.sources))}")
    source = Source.of(found["file"], design.sources[found["file"]])
    line, last = int(found["line"]), int(found["last"]) if found["last"] else None
    if (last or line) > len(source.lines) or (last is not None and last < line):
        _refuse(f"{place}: {source.name} has lines 1 to {len(source.lines)}")
    click.echo(draft(source, line, kinds, point=point, last_line=last, date=utc_now()[:10]), nl=False)


@coverage.command()
@_RTL
def check(rtl: Path) -> None:
    """Check the goals and waivers of an RTL file against its sources as they are now.

    Exit code 1 when a waiver is stale. Whether one is needed, and names something, only a run can tell.
    """
    try:
        design = read_design(rtl)
        waivers = [waiver for name, content in design.waivers for waiver in read_waivers(name, content)]
    except HilError as problem:
        _refuse(str(problem))
    sources = {name: Source.of(name, content) for name, content in design.sources.items()}
    problems = [found.problem for waiver in waivers if (found := resolve(waiver, sources, {})).problem]
    for text in problems:
        click.echo(text)
    click.echo(f"{rtl}: {len(waivers)} waivers, {len(problems) or 'no'} problems")
    raise SystemExit(1 if problems else 0)


@coverage.command()
@click.argument("run", type=click.Path(path_type=Path))
def show(run: Path) -> None:
    """Print the coverage of a run: figures per block, every gap, every bin that was not hit."""
    try:
        record = read_run(run).coverage
        results = None if record is None else results_of(CoverageFiles(run), record)
    except HilError as problem:
        _refuse(str(problem))
    if record is None or results is None:
        click.echo(f"{run}: no coverage was collected")
        return
    for text in _shown(results):
        click.echo(text)
    for text in record.problems:
        click.echo(f"{record.verdict}: {text}")
    if not record.judged:
        click.echo("not judged: this run was not asked to reach its goals (--coverage-goals)")


def _shown(results: RunResults) -> Iterator[str]:
    for design in results.designs:
        yield f"{design.result.name}: {', '.join(design.articles)}"
        for block in design.result.blocks:
            yield from _block(block)
    for point in results.points:
        yield f"{point.name}: {point.hit} of {len(point.counts)} bins, {point.share} %"
        for bins in point.missed:
            yield f"    not hit: {' × '.join(bins)}"


def _block(block: BlockResult) -> Iterator[str]:
    figures = (
        f"{each.kind} {each.before} %" + (f" (with justified {each.after} %)" if each.justified else "")
        for each in block.figures
    )
    yield f"  {block.name} ({block.source}): {', '.join(figures)}"
    for gap in block.gaps:
        reason = "open" if gap.waiver is None else gap.waiver.table.justification
        yield f"    {gap.line:>5}  {gap.text}  [{' '.join((gap.kind, *gap.names))}]  {reason}"


def _refuse(text: str) -> NoReturn:
    click.echo(text, err=True)
    raise SystemExit(2)
