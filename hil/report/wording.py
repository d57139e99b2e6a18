"""What a report says of its evidence: how far it goes, and what it closes. Sentences, kept in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.limits import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.evidence.index import Run
    from hil.evidence.scan import Finding

WATERMARKS = {"sim": "SIMULATED", "rtl": "RTL SIMULATED", "hardware": "HARDWARE"}
"""The watermark of each evidence class."""

FOOTERS = {
    "sim": "Simulated evidence: closes no flight requirement",
    "rtl": "RTL simulation evidence: closes no flight requirement",
    "hardware": "Hardware evidence",
}
"""The line on every page, by evidence class."""

SOURCES = {"sim": "simulated", "rtl": "RTL simulation"}
"""What stands at a plot whose channels were not measured on hardware, by evidence class."""

_UNKNOWN = "UNKNOWN CLASS"
_SCOPE = {
    "sim": (
        "Simulated evidence closes no flight requirement. The articles, instruments and the vehicle were models: "
        "these results show that the tests run, that they can fail, and what to expect on the bench."
    ),
    "rtl": (
        "RTL simulation evidence closes no flight requirement. The logic of an article ran as RTL in an HDL "
        "simulator; everything around it was a model."
    ),
    "hardware": (
        "Hardware evidence can close the requirements below, for the articles and serial numbers named under "
        "identity, while calibrations and profile editions stand. Closing a requirement is the reviewer's decision."
    ),
}
_ADJECTIVE = {"sim": "simulated", "rtl": "RTL simulation"}


def watermark(run: Run) -> str:
    """The text across every page."""
    text = WATERMARKS.get(run.evidence_class, _UNKNOWN)
    return f"{text} · DEVELOPMENT" if run.development else text


def footer(run: Run) -> str:
    """The line at the foot of every page; safe inside of a style sheet, since it is one of a closed set."""
    text = FOOTERS.get(run.evidence_class, "Evidence of unknown class: closes no flight requirement")
    return f"{text} · development run" if run.development else text


def scope(run: Run) -> list[str]:
    """What this evidence can and cannot close."""
    texts = [_SCOPE.get(run.evidence_class, "The evidence class is not known: nothing here closes a requirement.")]
    if run.development:
        texts.append(
            "Development run: the rig was changed with --set for this run, so that nothing here closes anything."
        )
    texts.append(
        "Verdicts are against the named editions of the profiles and no others; this report makes no claim of "
        "compliance with a rule."
    )
    return texts


def headline(run: Run, damage: Sequence[Finding]) -> str:
    """The biggest word of the report: the run's outcome, unless the evidence itself cannot be trusted."""
    return "EVIDENCE DAMAGED" if damage else run.tally.outcome.value.replace("_", " ")


def reasons(run: Run, damage: Sequence[Finding]) -> list[str]:
    """Why the headline is what it is, for people."""
    counted = run.tally
    texts: list[str] = []
    if damage:
        texts.append(
            f"{len(damage)} findings: this folder is not as it was recorded; no verdict in it can be relied on. "
            f"Recorded outcome: {counted.outcome.value}."
        )
    if run.unsafe:
        texts.append(f"UNSAFE: {run.unsafe}")
    if not run.finished:
        texts.append("The run was not finished: it has no manifest. What had been recorded by then is shown.")
    if counted.judged < counted.planned:
        texts.append(f"{counted.planned - counted.judged} of {counted.planned} planned tests have no verdict.")
    if counted.unplanned:
        texts.append(f"{counted.unplanned} tests were recorded without being planned.")
    skipped = counted.verdicts.get(Verdict.NOT_RUN.value, 0)
    if skipped:
        texts.append(f"{skipped} tests were not run; what they verify stays open.")
    if counted.too_late:
        texts.append(f"{counted.too_late[0].upper()}{counted.too_late[1:]}.")
    if not run.tests:
        texts.append("No test was planned.")
    if run.coverage is not None and run.coverage.verdict is Verdict.FAIL:
        texts.append("Coverage goals are missed, or a waiver does not hold: see Coverage.")
    return texts


def closes(run: Run, verdict: Verdict) -> str:
    """What a requirement's verdict means for its status."""
    if verdict is not Verdict.PASS:
        return "open"
    if run.development:
        return "open (development run)"
    if run.evidence_class != "hardware":
        return f"open ({_ADJECTIVE.get(run.evidence_class, 'unknown')} evidence)"
    return "supported by hardware evidence" if run.finished and run.tally.complete else "open (run incomplete)"
