"""Runs one cocotb test in a simulator process of its own, and when it fails once more, with a waveform.

The second run has the same seed and the same everything, only that every signal is recorded: so passing tests cost no
recording, and a failure that does not repeat is told as such.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hil.article import Article
from hil.limits import Verdict
from hil.rtl import tools
from hil.rtl.blocks.results import Case, Found, judge, read_results
from hil.rtl.build import Built, Variant, build, parameters_of
from hil.rtl.cover import VARIABLE
from hil.rtl.launch import Run, SimulatorProcess
from hil.rtl.named import board_of
from hil.rtl.peer_words import BLOCK_JOB
from hil.rtl.simulator_log import ended_with, log_excerpt, reached_ns
from hil.rtl.spec import load_spec
from hil.toml_lines import check, load_toml

if TYPE_CHECKING:
    from hil.article import AsBuilt
    from hil.rtl.blocks.files import BlockFile, BlockTest
    from hil.rtl.spec import RtlSpec

_PEER: Final = "hil.rtl.peer.block"
_AGAIN_LIMIT_S: Final = 10.0
_WAVES: Final = {"icarus": "waves.fst", "verilator": "dump.vcd"}


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of one block test.

    Args:
        verdict: its verdict.
        reason: why it is not a PASS, in one line.
        seed: the seed it ran with.
        built: the design it ran on.
        cases: what cocotb says of it, one or several.
        log: the end of the log, without wall time.
        repeated: on a failure, what the second run came to.
        began: whether the test was found in the simulator.
        files: what is worth keeping, by what it is: "log", "waves", "coverage".
        inside: simulator, Python and cocotb as they told themselves from inside the process.
    """

    verdict: Verdict
    reason: str
    seed: int
    built: Built
    cases: tuple[Case, ...] = ()
    log: str = ""
    repeated: str = ""
    began: bool = True
    files: dict[str, Path] = field(default_factory=dict[str, Path])
    inside: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def duration_ns(self) -> float:
        """Simulated time of all its cases [ns]."""
        return sum(case.duration_ns for case in self.cases)

    def text(self) -> str:
        """What a person needs to see of a failure: where it failed, what the log says, and whether it does so again."""
        lines: list[str] = []
        for case in self.cases:
            if case.status in ("failed", "error"):
                lines += [f"{case.name} {case.status} after {case.duration_ns:.0f} ns:", case.traceback.rstrip(), ""]
        if self.log:
            lines += ["end of the simulator's log:", *(f"  {line}" for line in self.log.splitlines()), ""]
        return "\n".join([*lines, *([self.repeated] if self.repeated else [])])


@dataclass(frozen=True, slots=True)
class Bench:
    """One test as it is run: on what seed, where, and what it collects.

    Args:
        block: the file it stands in.
        test: the test.
        seed: seed of cocotb and, on Verilator, of what has no reset.
        folder: where its files are left: log, results, waveform, coverage; emptied before.
        root: shown paths are relative to it.
        coverage: with code coverage, where the simulator has it (Verilator).
        cover_file: into which it notes the situations it met; None when nobody asks.
    """

    block: BlockFile
    test: BlockTest
    seed: int
    folder: Path
    root: Path
    coverage: bool = False
    cover_file: Path | None = None


def run_block(bench: Bench) -> Ran:
    """Run one test; when it fails, run it again for a waveform.

    Raises:
        ToolMissingError: when the simulator is not there; says what to install.
        RtlError: when the design does not build.
        ConfigError: when the RTL file or the as-built data are wrong.
    """
    simulator = tools.find(bench.test.simulator, load_spec(bench.block.block).language)
    compiled = simulator.name == "verilator"
    variant = Variant(coverage=bench.coverage and compiled, upsets=bench.block.upsets and compiled, served=False)
    first = _run(bench, _built(bench.block, simulator, variant), bench.block.wall_limit_s)
    if not _shows(first):
        return first
    second = replace(bench, folder=bench.folder / "again", cover_file=None)
    limit_s = min(bench.block.wall_limit_s, _AGAIN_LIMIT_S)
    again = _run(second, _built(bench.block, simulator, replace(variant, waves=True)), limit_s)
    waves = {"waves": again.files["waves"]} if "waves" in again.files else {}
    return replace(first, repeated=_repeated(first, again), files=first.files | waves)


def _shows(ran: Ran) -> bool:
    """Whether a waveform could show why: not when the test itself is wrong, or never began."""
    mistaken = any(case.status in ("failed", "error") for case in ran.cases)
    return ran.verdict is Verdict.FAIL or (ran.verdict is Verdict.ERROR and ran.began and not mistaken)


def _built(block: BlockFile, simulator: tools.Simulator, variant: Variant) -> Built:
    spec = load_spec(block.block)
    return build(spec, simulator, variant, parameters_of(spec, as_built_of(spec, block.as_built)))


def as_built_of(spec: RtlSpec, path: Path | None) -> AsBuilt | None:
    """As-built data for a design's parameters, checked as its board declares them; None without a file.

    Raises:
        ConfigError: when the board is not there, or the data are not what it declares.
    """
    if path is None:
        return None
    board = board_of(spec) or Article
    data, lines = load_toml(path)
    return check(board.AS_BUILT, data, path, lines)


def _repeated(first: Ran, again: Ran) -> str:
    if again.verdict is Verdict.PASS:
        return "run again with the same seed, for the waveform, it passed: the failure does not repeat"
    same = "the same way" if again.reason == first.reason else f"in another way: {again.verdict}: {again.reason}"
    return f"run again with the same seed, for the waveform, it failed {same}"


def _run(bench: Bench, built: Built, limit_s: float) -> Ran:
    """Run a test in a process of its own, at most for a time [s of wall time], and read what that left."""
    folder = bench.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    notes = folder / "notes.json"
    cover = {} if bench.cover_file is None else {VARIABLE: str(bench.cover_file)}
    environment = {BLOCK_JOB: json.dumps(_job(bench, built, notes)), **cover}
    run = Run(built, _PEER, environment, seed=bench.seed, plusargs=_plusargs(built, folder))
    process = SimulatorProcess(run, folder)
    try:
        code = process.wait(limit_s)
    finally:
        process.close()
    noted: dict[str, Any] = json.loads(notes.read_text()) if notes.is_file() else {}
    plain = _Plain(bench.root, built)
    log = plain.text(process.log.read_text(errors="replace"))
    cases = read_results(process.results)
    found = judge(
        None if cases is None else [plain.case(case) for case in cases],
        wanted=noted.get("tests", ()),
        seed=bench.seed,
        code=ended_with(log, code),
        complaints=[plain.text(line) for line in process.complaints()],
    )
    if code is None:
        found = _late(found, log, limit_s)
    return Ran(
        found.verdict, found.reason, bench.seed, built, found.cases, log_excerpt(log), began=bool(noted),
        files=_files(built, folder), inside={name: value for name, value in noted.items() if name != "tests"},
    )  # fmt: skip


def _job(bench: Bench, built: Built, notes: Path) -> dict[str, object]:
    """What the simulator's side is told; see :mod:`hil.rtl.peer.block`."""
    spec, own = built.spec, (built.spec.clock.port, built.spec.reset.port)
    return {
        "folder": str(bench.block.path.parent.resolve()),
        "module": bench.block.path.stem,
        "functions": list(bench.block.functions),
        "function": bench.test.function,
        "case": bench.test.case,
        "notes": str(notes),
        "wrapped": spec.language == "verilog",
        "inputs": [port.name for port in built.top.inputs if port.name not in own],
        "clock": spec.clock.port,
        "period_ps": spec.clock.period_ps,
        "reset": spec.reset.port,
        "reset_level": 0 if spec.reset.active == "low" else 1,
    }


@dataclass(frozen=True, slots=True)
class _Plain:
    """Takes the paths of this machine out of texts; a source is told as where it stands now, not where it was built."""

    root: Path
    built: Built

    def text(self, text: str) -> str:
        """A text without them."""
        for source in self.built.spec.source_files:
            shown = source.relative_to(self.root) if source.is_relative_to(self.root) else Path(source.name)
            text = re.sub(rf"(?<![\w/])/[^\s:]*/{re.escape(source.name)}\b", shown.as_posix(), text)
        return text.replace(f"{self.built.folder}/", "").replace(f"{self.root}/", "").replace(sys.prefix, "python")

    def case(self, case: Case) -> Case:
        """A case without them."""
        return replace(case, message=self.text(case.message), traceback=self.text(case.traceback))


def _late(found: Found, log: str, limit_s: float) -> Found:
    reached = reached_ns(log)
    at = "" if reached is None else f"; the last it said was at {reached:.0f} ns of simulated time"
    return Found(Verdict.ERROR, f"it ran longer than {limit_s:g} s of wall time and was killed{at}", found.cases)


def _plusargs(built: Built, folder: Path) -> list[str]:
    """Where the simulator writes what it records."""
    if built.variant.coverage:
        return [f"+verilator+coverage+file+{folder / 'coverage.dat'}"]
    if built.variant.waves and built.simulator.name == "icarus":
        return [f"+dumpfile_path={folder / _WAVES['icarus']}"]
    return []


def _files(built: Built, folder: Path) -> dict[str, Path]:
    waves = _WAVES.get(built.simulator.name, f"{built.hdl_top}.ghw")
    names = {"log": "simulator.log", "waves": waves, "coverage": "coverage.dat"}
    return {what: folder / name for what, name in names.items() if (folder / name).is_file()}
