"""The end of a run: the evidence is closed, the exit code found, and the terminal told."""

from __future__ import annotations

import os
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


def end_run(run: RunSession, outcomes: Mapping[str, Mapping[str, Any]]) -> tuple[int, list[str]]:
    """Close a run.

    Args:
        run: the run.
        outcomes: what each judged test reported, by its id.

    Returns:
        The exit code, and the lines for the terminal.
    """
    try:
        finalised = run.finish()
    except EvidenceError as problem:
        return Outcome.ERROR.exit_code, [f"ERROR: {problem}"]
    return _code(finalised), [*_table(run, outcomes), *_counts(run, finalised)]


def _code(finalised: Finalised) -> int:
    found = finalised.tally.outcome
    return max(found, Outcome.ERROR, key=list(Outcome).index).exit_code if finalised.findings else found.exit_code


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


def _table(run: RunSession, outcomes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("test", "measurement", "value", "limits", "margin", "verdict"):
        table.add_column(heading, justify="right" if heading in ("value", "margin") else "left", overflow="fold")
    for nodeid in run.planned:
        found = outcomes.get(nodeid)
        name = nodeid.rpartition("::")[2]
        if found is None:
            table.add_row(name, "", "", "", "", Text("no verdict", style="red"))
            continue
        rows = found["rows"] or [["", "", "", "", found["verdict"]]]
        for index, cells in enumerate(rows):
            verdict = Text(cells[4], style=_COLOURS.get(cells[4], "red"))
            table.add_row(Text(name if index == 0 else ""), *map(Text, cells[:4]), verdict)
    written = StringIO()
    coloured = "NO_COLOR" not in os.environ and "CI" not in os.environ
    Console(file=written, width=150, force_terminal=coloured).print(table)
    return written.getvalue().splitlines()


def _relative(folder: Path) -> str:
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
