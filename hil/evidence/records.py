"""What is read back of a run: tests, attempts, measurements, checks, events, attachments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hil.evidence.exhibits import Exhibits
from hil.evidence.tally import verdict_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil.evidence.documents import Json
    from hil.limits import Verdict

Scalar = float | int | bool | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSource:
    """One limit as it was written, numbers in the measurement's unit; see :class:`hil.limits.Limit`."""

    low: float | None
    high: float | None
    equals: Scalar
    clause: str
    source: str
    grade: str
    note: str
    origin: str
    requirement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measurement; every number is in ``unit``, ``t_ns`` is virtual time [ns] in the test.

    Args:
        t_ns: when it was taken.
        name: its name in the profiles.
        value: the value; None when it was never taken or is not finite.
        nonfinite: "NaN", "Infinity" or "-Infinity" when it is not finite.
        unit: unit of everything here.
        low: low limit that judged.
        high: high limit that judged.
        equals: the one allowed value, for a discrete quantity.
        family_low: low end of the family.
        family_high: high end of the family.
        limits: every limit that applied, as written.
        uncertainty: expanded uncertainty U (k = 2).
        guard: width of the guard band.
        decision: decision rule.
        margin: distance to the nearest limit, positive inside.
        verdict: its verdict.
        reason: why it is not a PASS.
        evidence_class: "sim", "rtl" or "hardware".
        info: whether it was taken for information only.
    """

    t_ns: int
    name: str
    value: Scalar
    nonfinite: str
    unit: str
    low: float | None
    high: float | None
    equals: Scalar
    family_low: float | None
    family_high: float | None
    limits: tuple[LimitSource, ...]
    uncertainty: float
    guard: float
    decision: str
    margin: float | None
    verdict: Verdict
    reason: str
    evidence_class: str
    info: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One expect, stays, always or assert; times are virtual [ns] in the test.

    Args:
        t_ns: when it was judged.
        form: which of them.
        signal: what was looked at.
        condition: what was asked of it, for people.
        passed: whether it held.
        seen: what was seen last.
        at_ns: when that was produced, or None.
        mark_ns: the mark it was counted from, or None.
        verdict: PASS or FAIL, or what the record says.
        reason: why it is not a PASS.
    """

    t_ns: int
    form: str
    signal: str
    condition: str
    passed: bool
    seen: Json
    at_ns: int | None
    mark_ns: int | None
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Event:
    """Anything else that happened: a stimulus, a fault, a message; ``t_ns`` is virtual time [ns]."""

    t_ns: int
    what: str
    fields: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Channel:
    """A recorded signal: its name, its unit and what else was declared of it."""

    name: str
    unit: str
    fields: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A byte range of a file in the run folder; offset and size in bytes."""

    path: str
    offset: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One execution of a test.

    Args:
        number: 1 for the first.
        title: the test's docstring: its purpose.
        requirements: ids of the requirements it verifies.
        seed: the seed of its streams.
        evidence_class: "sim", "rtl" or "hardware".
        development: its ``--set`` list.
        verdict: its verdict, or None when the recording breaks off.
        reason: why, in one word or line.
        message: what the test said when it failed.
        duration_ns: virtual time [ns] that it took.
        torn: whether its last line was never finished.
        late: late ticks of its clock.
        measurements: in the order they were taken.
        checks: in the order they were judged.
        events: everything else, in order.
        channels: recorded signals.
        attachments: its raw files.
        exhibits: what it laid beside its measurements for the report to show.
    """

    number: int
    title: str
    requirements: tuple[str, ...]
    seed: int
    evidence_class: str
    development: tuple[str, ...]
    verdict: Verdict | None
    reason: str
    message: str
    duration_ns: int
    torn: bool = False
    late: int = 0
    measurements: tuple[Measured, ...] = field(default=(), repr=False)
    checks: tuple[Check, ...] = field(default=(), repr=False)
    events: tuple[Event, ...] = field(default=(), repr=False)
    channels: tuple[Channel, ...] = field(default=(), repr=False)
    attachments: tuple[Attachment, ...] = field(default=(), repr=False)
    exhibits: Exhibits = field(default=Exhibits(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One test with all its attempts.

    Args:
        index: its place in the plan from 0, or None when it was not planned.
        nodeid: its id.
        attempts: in order; empty when it was never started.
        planned_for: the requirements that the plan gives it.
    """

    __test__ = False  # pytest takes classes by this name for its own

    index: int | None
    nodeid: str
    attempts: tuple[Attempt, ...]
    planned_for: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of its attempts; NOT_RUN without any."""
        return verdict_of([attempt.verdict for attempt in self.attempts])

    @property
    def judged(self) -> bool:
        """Whether its last attempt came to a verdict."""
        return bool(self.attempts) and self.attempts[-1].verdict is not None

    @property
    def title(self) -> str:
        """Its purpose, from its docstring."""
        return self.attempts[-1].title if self.attempts else ""

    @property
    def requirements(self) -> tuple[str, ...]:
        """The requirements that the plan or any of its attempts names, in order."""
        named = [each for attempt in self.attempts for each in attempt.requirements]
        return tuple(dict.fromkeys([*self.planned_for, *named]))

    @property
    def measurements(self) -> tuple[Measured, ...]:
        """The measurements of all its attempts, in order."""
        return tuple(measured for attempt in self.attempts for measured in attempt.measurements)

    @property
    def duration_ns(self) -> int:
        """Virtual time [ns] that all its attempts took."""
        return sum(attempt.duration_ns for attempt in self.attempts)
