"""A block test as a trial: run in its simulator, kept in the evidence when there is a rig, told to whoever looks."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hil.limits import Verdict
from hil.rtl.blocks.run import Bench, Ran, run_block
from hil.signal import Check

if TYPE_CHECKING:
    from hil.campaign.trial import Trial
    from hil.rtl.blocks.files import BlockFile, BlockTest

EVIDENCE_CLASS: Final = "rtl"
"""Evidence class of a block test, whatever rig is open."""

_FST_DATE = slice(202, 321)  # in the header of a waveform by Icarus; two equal runs shall be equal bytes


@dataclass(frozen=True, slots=True)
class BlockTrial:
    """One block test as it is to be run.

    Args:
        file: the file it stands in.
        test: the test.
        nodeid: what pytest calls it.
        seed: its seed.
        root: the folder that pytest runs in; shown paths are relative to it.
    """

    file: BlockFile
    test: BlockTest
    nodeid: str
    seed: int
    root: Path

    @property
    def repeat(self) -> str:
        """The command that runs it again with the same seed."""
        return f"python -m pytest {shlex.quote(self.nodeid)} --rtl-seed={self.seed}"

    @property
    def place(self) -> Path:
        """Where the files of a failure are left without a rig."""
        return self.root / "build" / "rtl" / self.file.path.stem / self.test.name.replace("/", ",")

    def run(self, trial: Trial | None) -> tuple[Verdict, str]:
        """Run it; returns its verdict, and what a person is told of it.

        Args:
            trial: its trial when a rig is open; it keeps the record.

        Raises:
            ToolMissingError: when the simulator is not there.
            RtlError: when the design does not build.
            ConfigError: when the RTL file or the as-built data are wrong.
        """
        shutil.rmtree(self.place, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="hil-block-") as scratch:
            bench = Bench(self.file, self.test, self.seed, Path(scratch) / "run", self.root)
            if trial is None:
                ran = run_block(bench)
                shown = self._left(ran)
            else:
                collects = trial.desk.blueprint.file.rtl.coverage
                ran = run_block(replace(bench, coverage=collects, cover_file=trial.coverage.cover_file()))
                shown = self._kept(ran, trial)
                self._record(ran, trial)
        return ran.verdict, self._told(ran, shown)

    def _left(self, ran: Ran) -> dict[str, str]:
        """Leave the log and the waveform of a failure where they can be looked at; returns where, by what."""
        if ran.verdict in (Verdict.PASS, Verdict.NOT_RUN):
            return {}
        self.place.mkdir(parents=True)
        shown: dict[str, str] = {}
        for what in ("log", "waves"):
            if what in ran.files:
                kept = shutil.copy(ran.files[what], self.place)
                shown[what] = Path(kept).relative_to(self.root).as_posix()
        return shown

    def _kept(self, ran: Ran, trial: Trial) -> dict[str, str]:
        """Put what is worth keeping into the evidence; returns where it will stand in the run folder, by what."""
        if "coverage" in ran.files:
            trial.covered(ran.built.spec.name, ran.files["coverage"], ran.built)
        if ran.verdict in (Verdict.PASS, Verdict.NOT_RUN):
            return {}
        kept: dict[str, bytes] = {"log": f"{ran.log}\n".encode()}
        names = {"log": "block/simulator.log"}
        if "waves" in ran.files:
            waves = ran.files["waves"]
            names["waves"] = f"waves/{ran.built.spec.name}{waves.suffix}"
            kept["waves"] = _undated(waves.read_bytes()) if waves.suffix == ".fst" else waves.read_bytes()
        for what, name in names.items():
            target = trial.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(kept[what])
        return {what: f"{trial.kept_as(name)} in the run folder" for what, name in names.items()}

    def _record(self, ran: Ran, trial: Trial) -> None:
        """What ran it, and one check record."""
        name = self.test.cocotb_name
        trial.note("design", name=ran.built.spec.name, **ran.built.identity, inside=ran.inside)
        trial.note("block test", name=name, simulated_ns=ran.duration_ns, seed=ran.seed, file=self.file.path.name)
        if ran.verdict is not Verdict.NOT_RUN:
            condition = f"passes on {self.test.simulator}, seed {self.seed}"
            seen = ran.reason or f"{len(ran.cases)} of {len(ran.cases)} passed"
            passed = ran.verdict is Verdict.PASS
            trial.judged(Check("cocotb", name, condition, passed, seen, round(ran.duration_ns), 0))

    def _told(self, ran: Ran, shown: dict[str, str]) -> str:
        if ran.verdict is Verdict.NOT_RUN:
            return f"NOT_RUN: {ran.reason}"
        lines = [ran.reason, "", ran.text(), ""]
        lines.append(f"seed {ran.seed}; once more: {self.repeat}")
        lines += [f"{what}: {path}" for what, path in shown.items() if what in ("waves", "log")]
        return "\n".join(lines)


def _undated(waveform: bytes) -> bytes:
    """A waveform of Icarus without the date it was written."""
    width = _FST_DATE.stop - _FST_DATE.start
    return waveform[: _FST_DATE.start] + bytes(width) + waveform[_FST_DATE.stop :]
