"""The end of a run: the evidence is closed, the exit code found, and the terminal told."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.errors import EvidenceError
from hil.limits import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil.campaign.session import RunSession
    from hil.evidence.finalise import Finalised

_COLOURS = {"PASS": "green", "NOT_RUN": "yellow", "INCONCLUSIVE": "yellow"}
_HEADINGS = ("test", "verdict", "measurement", "value", "limits", "margin", "")
_NARROWEST = 120  # columns below which the table would fold every line


@dataclass(frozen=True)
class Ending:
    """How a run was closed: its exit code, what came of it, or why it could not be closed."""

    code: int
    finalised: Finalised | None
    trouble: str = ""

    def lines(
        self, run: RunSession, outcomes: Mapping[str, Mapping[str, Any]], *, width: int, coloured: bool
    ) -> list[str]:
        """What the terminal is told: every measurement with its limits and margin, counts, and the evidence.

        Args:
            run: the run.
            outcomes: what each judged test reported, by its id.
            width: columns of the terminal.
            coloured: whether it understands colours.
        """
        if self.finalised is None:
            return [f"ERROR: {self.trouble}"]
        table = _table(run, outcomes, max(width, _NARROWEST), coloured)
        return [*table, *_counts(run, self.finalised)]


def end_run(run: RunSession) -> Ending:
    """Close a run and find its exit code."""
    try:
        finalised = run.finish()
    except EvidenceError as problem:
        return Ending(Outcome.ERROR.exit_code, None, str(problem))
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
    if run.file.development:
        lines.insert(1, f"DEVELOPMENT RUN, qualifies nothing: {'  '.join(run.file.sets)}")
    return lines + [f"ERROR: {finding}" for finding in finalised.findings]


def _table(run: RunSession, outcomes: Mapping[str, Mapping[str, Any]], width: int, coloured: bool) -> list[str]:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def verdict(text: str) -> Text:
        return Text(text, style=_COLOURS.get(text, "red"))

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in ("value", "margin") else "left", overflow="fold")
    for nodeid in run.planned:
        found = outcomes.get(nodeid, {"verdict": "no verdict", "rows": []})
        head = (Text(nodeid.rpartition("::")[2]), verdict(found["verdict"]))
        for cells in found["rows"] or [[""] * 5]:
            table.add_row(*head, *map(Text, cells[:4]), verdict(cells[4]))
            head = (Text(""), Text(""))
    written = StringIO()
    Console(file=written, width=width, force_terminal=coloured, no_color=not coloured).print(table)
    return [line.rstrip() for line in written.getvalue().splitlines()]


def _relative(folder: Path) -> str:
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
