"""Rendering: a run folder in, one HTML text out; the same folder gives the same bytes."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hil.evidence.chain import file_hash
from hil.evidence.documents import decode
from hil.evidence.folder import MANIFEST, REPORT, write_whole
from hil.evidence.index import Run, read_run
from hil.evidence.verify import verify
from hil.report.bars import WIDTH
from hil.report.coverage import CoverageView, coverage_view
from hil.report.delays import chain_views
from hil.report.designs import designs_seen, deviations_seen
from hil.report.figures import breakable, figure, recorded, seconds, t_plus
from hil.report.repeats import repeat_views
from hil.report.view import (
    TestView,
    decisions_used,
    grades_used,
    identity_tables,
    instruments_seen,
    requirement_views,
    test_views,
)
from hil.report.wording import SOURCES, footer, headline, reasons, scope, watermark

if TYPE_CHECKING:
    from hil.evidence.documents import Json
    from hil.evidence.scan import Finding

_FINDINGS_SHOWN = 20
_HERE = Path(__file__).parent


def render(run_dir: Path) -> str:
    """The report of a run as HTML.

    Args:
        run_dir: the run folder or a copy of it; an unfinished run gives a report that says so.

    Raises:
        EvidenceError: when it is no run folder, or a document in it cannot be read.
    """
    run = read_run(run_dir)
    manifest = run_dir / MANIFEST
    tests = test_views(run, run_dir)
    found = verify(run_dir)
    return _page(run, tests, found, manifest if manifest.is_file() else None, coverage_view(run, run_dir, tests))


def generator() -> str:
    """Which version of the report's own code and templates renders here, as the report names it."""
    digest = hashlib.sha256()
    for path in sorted(_HERE.rglob("*")):
        if path.suffix in (".py", ".html", ".css", ".js"):
            digest.update(path.read_bytes())
    return f"hil {metadata.version('hil')}, report {digest.hexdigest()[:12]}"


def _page(
    run: Run, tests: list[TestView], findings: list[Finding], manifest: Path | None, coverage: CoverageView | None
) -> str:
    environment = Environment(
        loader=PackageLoader("hil.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(breakable=breakable, figure=figure, recorded=recorded, seconds=seconds, t_plus=t_plus)
    damage = [finding for finding in findings if not finding.incomplete]
    flights = [part.flight for view in tests for part in view.attempts if part.flight]
    plotted = any(flight.plots or flight.grounds for flight in flights)
    return environment.get_template("report.html").render(
        run=run,
        tests=tests,
        failing=[view for view in tests if view.verdict != "PASS"],
        requirements=requirement_views(run, tests),
        headline=headline(run, damage),
        reasons=reasons(run, damage),
        damage=[str(finding) for finding in damage[:_FINDINGS_SHOWN]],
        damage_left=max(0, len(damage) - _FINDINGS_SHOWN),
        scope=scope(run),
        watermark=watermark(run),
        footer=footer(run),
        duration_ns=sum(test.duration_ns for test in run.tests),
        decisions=decisions_used(run),
        grades=grades_used(run),
        identity=[*identity_tables(run.identity), instruments_seen(run), designs_seen(run), deviations_seen(run)],
        manifest_hash="" if manifest is None else file_hash(manifest),
        files=[] if manifest is None else _files(manifest),
        chains=chain_views(run),
        repeats=repeat_views(run),
        plotted=plotted,
        coverage=coverage,
        styles=_styles(plotted=plotted, covered=coverage is not None),
        script=_script() if plotted else "",
        source=SOURCES.get(run.evidence_class, ""),
        generator=generator(),
        width=WIDTH,
    )


def _styles(*, plotted: bool, covered: bool) -> Markup:
    """What the plots' pictures and the coverage section need; trusted, since all of it is ours or vendored."""
    names = ["assets/uPlot.min.css", "templates/flight.css"] if plotted else []
    names += ["templates/coverage.css"] if covered else []
    return Markup("".join((_HERE / name).read_text() for name in names))  # noqa: S704  # as the docstring says


def _script() -> Markup:
    """What brings the plots to life: uPlot with its licence, and ours."""
    licence, library = ((_HERE / "assets" / name).read_text() for name in ("uPlot.LICENSE", "uPlot.iife.min.js"))
    own = (_HERE / "templates" / "flight.js").read_text()
    return Markup(f"/*! uPlot\n{licence}*/\n{library}\n{own}")  # noqa: S704  # as above


def write_report(run_dir: Path, path: Path | None = None) -> Path:
    """Write the report of a run.

    Args:
        run_dir: the run folder.
        path: where to; None puts it into the run folder as ``report.html``.

    Returns:
        Where it is.

    Raises:
        EvidenceError: when the run cannot be read or the file cannot be written.
    """
    target = run_dir / REPORT if path is None else path
    write_whole(target, render(run_dir).encode("utf-8", "xmlcharrefreplace"))
    return target


def _files(manifest: Path) -> list[tuple[str, Json, Json]]:
    """Name, size [bytes] and sha256 of every file in a manifest; none when it cannot be read."""
    try:
        files = decode(manifest.read_bytes()).get("files")
    except ValueError:
        return []
    if not isinstance(files, dict):
        return []
    return [(name, entry.get("size"), entry.get("sha256")) for name, entry in files.items() if isinstance(entry, dict)]
