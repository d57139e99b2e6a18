"""Completeness: how many tests were planned, how many have a verdict, and what the run comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.limits import Outcome, Verdict, outcome, worst

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hil.evidence.documents import Document


@dataclass(frozen=True, slots=True)
class Segment:
    """What counts of one attempt.

    Args:
        index: the test's place in the plan, or None when it was not planned.
        nodeid: the test.
        attempt: 1 for the first.
        verdict: the verdict of its ``stop`` document, or None when the recording breaks off.
        late: late ticks of its clock, as that document says.
    """

    index: int | None
    nodeid: str
    attempt: int
    verdict: Verdict | None
    late: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The numbers of a run.

    Args:
        planned: number of planned tests.
        judged: how many of them have a verdict.
        unplanned: tests that were recorded without being planned.
        verdicts: number of tests by verdict, of all verdicts.
        outcome: what the run comes to.
        late: late ticks of all attempts together.
        late_max: how many the run may have; None where none is given.
    """

    planned: int
    judged: int
    unplanned: int
    verdicts: dict[str, int]
    outcome: Outcome
    late: int = 0
    late_max: int | None = None

    @property
    def too_late(self) -> str:
        """Why the whole run is inconclusive: its clocks were late too often; empty when they were not."""
        if self.late_max is None or self.late <= self.late_max:
            return ""
        return f"the clocks of this run were late {self.late} times, it may be {self.late_max}: the host is too slow"

    @property
    def complete(self) -> bool:
        """Whether exactly the planned tests have their verdict."""
        return self.judged == self.planned and not self.unplanned

    def counts(self) -> Document:
        """The numbers as fields of the run's ``stop`` document and of the manifest."""
        return {
            "planned": self.planned,
            "judged": self.judged,
            "unplanned": self.unplanned,
            "verdicts": {verdict: number for verdict, number in self.verdicts.items() if number},
        }


def verdict_of(attempts: Sequence[Verdict | None]) -> Verdict:
    """The verdict of a test: the worst of its attempts, since a second attempt takes nothing back.

    An attempt whose recording breaks off shows nothing: INCONCLUSIVE, and a gap that makes the run INCOMPLETE. A
    test without an attempt is NOT_RUN.

    >>> verdict_of([Verdict.FAIL, Verdict.PASS]), verdict_of([None]), verdict_of([])
    (<Verdict.FAIL: 'FAIL'>, <Verdict.INCONCLUSIVE: 'INCONCLUSIVE'>, <Verdict.NOT_RUN: 'NOT_RUN'>)
    """
    return worst(Verdict.INCONCLUSIVE if verdict is None else verdict for verdict in attempts)


def tally(
    planned: int,
    segments: Iterable[Segment],
    *,
    unsafe: bool = False,
    finished: bool = True,
    coverage: Verdict | None = None,
    late_max: int | None = None,
) -> Tally:
    """Count a run.

    Args:
        planned: number of planned tests.
        segments: every attempt that was recorded.
        unsafe: whether a hazardous output could not be confirmed safe.
        finished: whether the run was finalised.
        coverage: whether the run reached its coverage goals; None when it was not judged by them. Where no test
            ran, there is nothing to judge.
        late_max: how many late ticks all attempts may have together; beyond it the run is INCONCLUSIVE at best.
    """
    segments = list(segments)
    attempts: dict[int, list[Verdict | None]] = {}
    strays: dict[str, list[Verdict | None]] = {}
    for segment in segments:
        if segment.index is not None and segment.index < planned:
            attempts.setdefault(segment.index, []).append(segment.verdict)
        else:
            strays.setdefault(segment.nodeid, []).append(segment.verdict)
    judged = sum(1 for found in attempts.values() if found[-1] is not None)
    verdicts = [verdict_of(attempts.get(index, [])) for index in range(planned)]
    verdicts += [verdict_of(found) for found in strays.values()]
    judgements = list(verdicts)
    if coverage is not None and any(verdict is not Verdict.NOT_RUN for verdict in verdicts):
        judgements.append(coverage)
    late = sum(segment.late for segment in segments)
    if late_max is not None and late > late_max:
        judgements.append(Verdict.INCONCLUSIVE)
    return Tally(
        planned=planned,
        judged=judged,
        unplanned=len(strays),
        verdicts={verdict.value: verdicts.count(verdict) for verdict in Verdict},
        outcome=outcome(judgements, complete=finished and judged == planned and not strays, unsafe=unsafe),
        late=late,
        late_max=late_max,
    )
