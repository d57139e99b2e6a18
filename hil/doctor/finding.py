"""One finding of the doctor, and how findings are told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

State = Literal["ok", "warn", "fail", "skip"]
_SHOWN: dict[State, str] = {"ok": "ok", "warn": "WARN", "fail": "FAIL", "skip": "not checked"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to.

    Args:
        name: what was looked at: ``psu identity``.
        state: ``skip`` is a check that could not be made, or makes no sense on this rig; it is never ``ok``.
        found: what was found, or why nothing could be.
        remedy: what to do; every failure has one.
    """

    name: str
    state: State
    found: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.state in ("warn", "fail") and not self.remedy:
            raise ValueError(f"the finding {self.name!r} ({self.found}) is {self.state!r} and names no remedy")

    def lines(self) -> list[str]:
        """For people: the finding, and its remedy below."""
        text = [f"{_SHOWN[self.state]:<12}{self.name:<28}{self.found}"]
        return text + ([f"{'':<12}-> {self.remedy}"] if self.remedy else [])


def count(findings: Iterable[Finding]) -> dict[State, int]:
    """How many findings there are of each state."""
    counts = dict.fromkeys(_SHOWN, 0)
    for finding in findings:
        counts[finding.state] += 1
    return counts


def summary(rig: str, findings: Sequence[Finding]) -> str:
    """One line: how many of each state."""
    counts = ", ".join(f"{number} {_SHOWN[state]}" for state, number in count(findings).items() if number)
    return f"{rig}: {counts}"


def as_document(rig: str, findings: Sequence[Finding]) -> dict[str, object]:
    """For programs: the rig, whether nothing failed, the counts, and every finding."""
    counts = count(findings)
    return {
        "rig": rig,
        "ok": not counts["fail"],
        "counts": counts,
        "findings": [asdict(finding) for finding in findings],
    }
