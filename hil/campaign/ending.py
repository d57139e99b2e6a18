"""The end of a run: the evidence is closed, the exit code found, and the terminal told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import style, unstyle

from hil.campaign.coverage import told
from hil.errors import EvidenceError
from hil.limits import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil.campaign.session import RunSession
    from hil.evidence.finalise import Finalised

_COLOURS = {"PASS": "green", "NOT_RUN": "yellow", "INCONCLUSIVE": "yellow"}
_NOTHING: dict[str, Any] = {"verdict": "no verdict", "rows": []}
_VERDICT_WIDTH = len("OUT_OF_FAMILY")


@dataclass(frozen=True)
class Ending:
    """How a run was closed: its exit code, what came of it, or why it could not be closed."""

    code: int
    finalised: Finalised | None
    trouble: str = ""

    def lines(self, run: RunSession, outcomes: Mapping[str, Mapping[str, Any]], *, coloured: bool) -> list[str]:
        """What the terminal is told: every measurement with its limits and margin, counts, and the evidence.

        Args:
            run: the run.
            outcomes: what each judged test reported, by its id.
            coloured: whether the terminal understands colours.
        """
        if self.finalised is None:
            return [f"ERROR: {self.trouble}"]
        lines = [*_table(run, outcomes), "", *_counts(run, self.finalised), *told(self.finalised.coverage)]
        return lines if coloured else [unstyle(line).rstrip() for line in lines]


def end_run(run: RunSession) -> Ending:
    """Close a run and find its exit code."""
    try:
        finalised = run.finish()
    except EvidenceError as problem:  # a rig that is not safe is told of, whatever became of its evidence
        outcome = Outcome.UNSAFE if run.unsafe else Outcome.ERROR
        return Ending(outcome.exit_code, None, "; ".join(filter(None, (run.unsafe, str(problem)))))
    found = finalised.tally.outcome
    if finalised.findings:
        found = max(found, Outcome.ERROR, key=list(Outcome).index)
    return Ending(found.exit_code, finalised)


def _counts(run: RunSession, finalised: Finalised) -> list[str]:
    counted = finalised.tally
    verdicts = ", ".join(f"{number} {verdict}" for verdict, number in counted.verdicts.items() if number)
    lines = [
        f"{counted.outcome}: {counted.judged} of {counted.planned} planned tests judged ({verdicts or 'none'})",
        f"evidence class {run.file.evidence_class}, seed {run.seed}, head {finalised.head[:16]}",
        f"evidence: {_relative(run.folder)}",
    ]
    if counted.too_late:
        lines.insert(1, counted.too_late)
    if run.development:
        lines.insert(1, f"DEVELOPMENT RUN, qualifies nothing: {'  '.join(run.development)}")
    return lines + [f"ERROR: {finding}" for finding in finalised.findings]


def _table(run: RunSession, outcomes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line per test, and below it a line per measurement, in columns."""
    found = {nodeid: outcomes.get(nodeid, _NOTHING) for nodeid in run.planned}
    rows = [cells for outcome in found.values() for cells in outcome["rows"]]
    widths = [max((len(cells[column]) for cells in rows), default=0) for column in range(4)]
    lines: list[str] = []
    for nodeid, outcome in found.items():
        lines.append(f"{_coloured(outcome['verdict'])} {style(nodeid.rpartition('/')[2], bold=True)}")
        for name, value, limits, margin, verdict in outcome["rows"]:
            cells = (name.ljust(widths[0]), value.rjust(widths[1]), limits.center(widths[2]), margin.rjust(widths[3]))
            lines.append(f"    {'   '.join(cells)}   {_coloured(verdict)}")
    return lines


def _coloured(verdict: str) -> str:
    return style(verdict.ljust(_VERDICT_WIDTH), fg=_COLOURS.get(verdict, "red"))


def _relative(folder: Path) -> str:
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
