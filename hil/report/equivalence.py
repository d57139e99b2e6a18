"""Two runs of the same tests on two rigs, test by test: the same verdicts, and measurements as near as they must be.

For a model and the RTL that it stands for, or a simulated rig and the bench. What a bench measures of itself at the end
of every test is left out: another rig has other instruments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hil.errors import EvidenceError
from hil.evidence.documents import INVARIANT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil.evidence.index import Run
    from hil.evidence.records import Test


@dataclass(slots=True)
class Spread:
    """How far one measurement lies apart in two runs: number of pairs, largest distance, in which test, allowed."""

    unit: str
    pairs: int = 0
    largest: float = 0.0
    test: str = ""
    within: float | None = None

    @property
    def is_near(self) -> bool:
        """Whether no pair lies further apart than is allowed; True when nothing was said about it."""
        return self.within is None or self.largest <= self.within


@dataclass(slots=True)
class Comparison:
    """What two runs have in common, and where they differ."""

    common: int = 0
    alone: list[str] = field(default_factory=list[str])
    """Tests that one of the two runs does not have."""
    verdicts: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """Tests whose verdicts differ: test, verdict of one, verdict of the other."""
    missing: list[str] = field(default_factory=list[str])
    """Measurements that one of the two runs did not take, with the test."""
    spreads: dict[str, Spread] = field(default_factory=dict[str, Spread])
    """Numbers, by the name of the measurement."""

    @property
    def is_whole(self) -> bool:
        """Whether both runs have the same tests."""
        return not self.alone

    @property
    def is_equal(self) -> bool:
        """Whether there is something to compare, and nothing that is in both runs differs more than it may."""
        near = all(spread.is_near for spread in self.spreads.values())
        return bool(self.common) and not self.verdicts and not self.missing and near

    def lines(self) -> list[str]:
        """All of it as text."""
        lines = [f"{self.common} tests in both runs, {len(self.verdicts)} with different verdicts"]
        if self.alone:
            lines.append(f"  {len(self.alone)} tests are in one of the runs only, {self.alone[0]} the first of them")
        lines += [f"  {test}: {one} and {other}" for test, one, other in self.verdicts]
        lines += [f"  {what}: taken in one of the runs only" for what in self.missing]
        for name, spread in sorted(self.spreads.items()):
            allowed = "" if spread.within is None else f", allowed {spread.within:g} {spread.unit}"
            verdict = "" if spread.within is None else ("  near" if spread.is_near else "  TOO FAR APART")
            lines.append(
                f"  {name}: {spread.pairs} pairs, at most {spread.largest:.4g} {spread.unit} apart{allowed}{verdict} "
                f"({spread.test.rpartition('::')[2]})"
            )
        return lines


def compare(one: Run, other: Run, within: Mapping[str, float]) -> Comparison:
    """Compare two runs by the tests they have in common.

    Args:
        one: a run.
        other: the other run.
        within: how far a measurement may lie apart, by name, in its unit.

    Raises:
        EvidenceError: when the runs have no test in common, or a measurement with a tolerance was never taken.
    """
    found = Comparison()
    others = {test.nodeid: test for test in other.tests}
    found.alone = sorted({test.nodeid for test in one.tests} ^ set(others))
    for test in one.tests:
        if test.nodeid in others:
            found.common += 1
            _compare(test, others[test.nodeid], within, found)
    if not found.common:
        raise EvidenceError(f"{one.name} and {other.name} have no test in common; run the same tests on both rigs")
    never = sorted(set(within) - set(found.spreads))
    if never:
        raise EvidenceError(f"no common test measures {', '.join(never)}; a tolerance that judges nothing is a mistake")
    return found


def _compare(test: Test, other: Test, within: Mapping[str, float], found: Comparison) -> None:
    if str(test.verdict) != str(other.verdict):
        found.verdicts.append((test.nodeid, str(test.verdict), str(other.verdict)))
    taken, others = (
        [found for found in each.attempts[-1].measurements if not found.name.startswith(INVARIANT)]
        if each.attempts
        else []
        for each in (test, other)
    )
    names = [measured.name for measured in taken]
    if names != [measured.name for measured in others]:
        found.missing += [f"{test.nodeid}: {name}" for name in sorted(set(names) ^ {each.name for each in others})]
        return
    for a, b in zip(taken, others, strict=True):
        if isinstance(a.value, bool) or isinstance(b.value, bool):
            continue
        if isinstance(a.value, float | int) and isinstance(b.value, float | int):
            spread = found.spreads.setdefault(a.name, Spread(a.unit, within=within.get(a.name)))
            spread.pairs += 1
            apart = abs(a.value - b.value)
            if apart >= spread.largest:
                spread.largest, spread.test = apart, test.nodeid
