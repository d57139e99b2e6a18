"""What an exception says about a trial, and a trial's measurements as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.limits import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.campaign.trial import Outcome
    from hil.limits import Measurement
    from hil.signal import Check


def ended_by(problem: BaseException | None, *, phase: str) -> tuple[Verdict | None, str, str]:
    """The verdict, the reason and the message of a test body that an exception ended.

    An assertion says FAIL in the body; everything else, and everything in the set-up, is an ERROR of the rig or
    the test itself. A skip is NOT_RUN.

    Args:
        problem: the exception, or None when the body ended by itself.
        phase: "setup" or "call".
    """
    if problem is None:
        return None, "", ""
    kind = type(problem).__name__
    message = str(problem)
    reason = f"{kind}: {message}".partition("\n")[0]
    if kind == "Skipped":
        return Verdict.NOT_RUN, message, message
    fails = isinstance(problem, AssertionError) or kind == "Failed"
    if fails and phase == "call":
        return Verdict.FAIL, reason, message
    return Verdict.ERROR, reason, message


def row(taken: Measurement) -> tuple[str, str, str, str, str]:
    """A measurement in five short texts: name, value, limits, margin, verdict."""
    limit = taken.limit
    if limit is None:
        bounds = "for information"
    elif limit.equals is not None:
        bounds = f"= {limit.equals}"
    else:
        low = "" if limit.low is None else f"{limit.low:g}"
        high = "" if limit.high is None else f"{limit.high:g}"
        bounds = f"{low} .. {high}"
    value = f"{taken.value:.6g}" if isinstance(taken.value, float) else str(taken.value)
    margin = "" if taken.judgement.margin is None else f"{taken.judgement.margin:.4g}"
    return taken.name, f"{value} {taken.unit}", bounds, margin, str(taken.verdict)


def table(found: Outcome, checks: Sequence[Check]) -> str:
    """Why a trial did not pass: its verdict, every measurement, and the checks that did not hold."""
    lines = [f"{found.verdict}: {found.reason}"]
    rows = [("measurement", "value", "limits", "margin", "verdict"), *(row(taken) for taken in found.measurements)]
    if found.measurements:
        widths = [max(len(cells[i]) for cells in rows) for i in range(5)]
        lines += [f"  {'  '.join(map(str.ljust, cells, widths))}" for cells in rows]
    lines += [f"  {check.signal} {check.form} {check.condition}: {check.seen}" for check in checks if not check.passed]
    return "\n".join(line.rstrip() for line in lines)


def summary(found: Outcome, cost: Mapping[str, object]) -> dict[str, object]:
    """An outcome, and what the trial took, in builtins: as it travels from a worker to the controller."""
    return {
        **cost,
        "verdict": str(found.verdict),
        "reason": found.reason,
        "rows": [list(row(taken)) for taken in found.measurements],
    }
