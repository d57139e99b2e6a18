"""Limits and verdicts: pure functions of numbers.

A :class:`Limit` says what a value must be, where that is written, and by which decision rule it is judged.
:func:`judge` compares one value with one limit; :func:`take` makes a whole :class:`Measurement` of it. Nothing
here knows a clock, a file or a test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from numbers import Real
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from hil.errors import HilError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Value = float | int | bool | str | None

GRADES = {
    "P": "primary text read",
    "S": "secondary page or abstract",
    "M": "general knowledge, unverified",
    "D": "own design value, no standard behind it",
    "C": "computed from the others",
}
"""Evidence grades of a number's source, as printed beside every limit."""

DECISIONS = {
    "guarded": (
        "Guarded acceptance, guard band w = U (ILAC-G8:09/2019): PASS only where the value is inside its limits "
        "by at least its expanded uncertainty U (k = 2, about 95 %), so that at most 2.5 % of the accepted "
        "values can be beyond the limit; inside by less is INCONCLUSIVE; beyond the limit is FAIL."
    ),
    "simple": (
        "Simple acceptance, no guard band (w = 0): PASS inside the limits or on them, FAIL beyond; a value on its "
        "limit is beyond it with a probability of up to 50 %."
    ),
}
"""The decision rules a limit may name, with the statement that the report prints."""

_PLAIN = frozenset({float, str, bool, type(None)})
_TIME_UNITS = frozenset({"ns", "us", "µs", "ms", "s", "min", "h"})
_PREFIXES = {"n": -9, "u": -6, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_PREFIXED = frozenset({"s", "V", "A", "W", "Hz", "Ohm", "N", "Pa", "m", "g", "bit/s"})


class LimitError(HilError):
    """A limit contradicts itself, or a value was measured that its limit cannot judge."""


class Verdict(StrEnum):
    """What was found out about one measurement, one test or one requirement."""

    PASS = "PASS"  # noqa: S105  # a verdict, not a password
    NOT_RUN = "NOT_RUN"
    INCONCLUSIVE = "INCONCLUSIVE"
    OUT_OF_FAMILY = "OUT_OF_FAMILY"
    FAIL = "FAIL"
    ERROR = "ERROR"


class Outcome(StrEnum):
    """What a whole run comes to; the order is from the best to the worst."""

    PASS = "PASS"  # noqa: S105  # a verdict, not a password
    NOT_RUN = "NOT_RUN"
    INCONCLUSIVE = "INCONCLUSIVE"
    OUT_OF_FAMILY = "OUT_OF_FAMILY"
    FAIL = "FAIL"
    INCOMPLETE = "INCOMPLETE"
    ERROR = "ERROR"
    UNSAFE = "UNSAFE"

    @property
    def exit_code(self) -> int:
        """The exit code of a run with this outcome; 2 to 4 stay pytest's own."""
        return _EXIT_CODES[self]


_SEVERITY = {verdict: rank for rank, verdict in enumerate(Verdict)}
_EXIT_CODES = {
    Outcome.PASS: 0,
    Outcome.NOT_RUN: 5,
    Outcome.INCONCLUSIVE: 10,
    Outcome.OUT_OF_FAMILY: 11,
    Outcome.FAIL: 1,
    Outcome.INCOMPLETE: 12,
    Outcome.ERROR: 13,
    Outcome.UNSAFE: 14,
}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts; of none at all it is NOT_RUN.

    >>> worst([Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.PASS])
    <Verdict.INCONCLUSIVE: 'INCONCLUSIVE'>
    """
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.NOT_RUN)


def outcome(verdicts: Iterable[Verdict], *, complete: bool = True, unsafe: bool = False) -> Outcome:
    """What the verdicts of a run's tests come to.

    Tests that were NOT_RUN leave a PASS standing as long as one test ran; a planned test without a verdict is a
    gap, and a gap is INCOMPLETE.

    Args:
        verdicts: one per test.
        complete: whether every planned test has its verdict.
        unsafe: whether a hazardous output could not be confirmed safe.

    >>> outcome([Verdict.PASS, Verdict.NOT_RUN]), outcome([]), outcome([Verdict.PASS], complete=False)
    (<Outcome.PASS: 'PASS'>, <Outcome.NOT_RUN: 'NOT_RUN'>, <Outcome.INCOMPLETE: 'INCOMPLETE'>)
    """
    ran = [verdict for verdict in verdicts if verdict is not Verdict.NOT_RUN]
    found = [Outcome(worst(ran).value)]
    if not complete:
        found.append(Outcome.INCOMPLETE)
    if unsafe:
        found.append(Outcome.UNSAFE)
    order = list(Outcome)
    return max(found, key=order.index)


def exit_code(verdicts: Iterable[Verdict], *, complete: bool = True, unsafe: bool = False) -> int:
    """The exit code of a run: 0 only when something ran and all that ran is PASS; see :func:`outcome`."""
    return outcome(verdicts, complete=complete, unsafe=unsafe).exit_code


def judge_test(verdicts: Iterable[Verdict], *, never_taken: Sequence[str] = ()) -> Verdict:
    """The verdict of a test whose body ended by itself, from the verdicts of its check records.

    Args:
        verdicts: one per check record: measurements that were judged, and expect, stays, always.
        never_taken: names of measurements that were declared and never taken; one is enough for FAIL.

    >>> judge_test([]), judge_test([Verdict.PASS], never_taken=["fts.arm_threshold"])
    (<Verdict.INCONCLUSIVE: 'INCONCLUSIVE'>, <Verdict.FAIL: 'FAIL'>)
    """
    found = list(verdicts)
    if never_taken:
        found.append(Verdict.FAIL)
    return worst(found) if found else Verdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What one named value must be, and where that is written.

    Args:
        name: the measurement's name, ``fts.arm_threshold``.
        unit: unit of every number here; "1" for a bare ratio or a count.
        low: smallest value allowed [unit], or None.
        high: largest value allowed [unit], or None.
        equals: the one value allowed of a discrete quantity (a bool or a text), instead of low and high.
        family_low: smallest value seen in the family of sister units and earlier runs [unit], or None.
        family_high: largest value seen in the family [unit], or None.
        uncertainty: expanded uncertainty U (k = 2) [unit] of the way it is measured, unless the call says another.
        decision: the decision rule, a key of :data:`DECISIONS`.
        clause: paragraph of the rule or specification.
        source: document the number stands in.
        grade: how good that source is, a key of :data:`GRADES`, or "" for a limit typed in a test.
        note: anything a reader of the report should know.
        requirement: id of the requirement that this limit verifies, or "".
        origin: where the limit was read: the profile's name and edition, or "call".

    Raises:
        LimitError: when it limits nothing, or contradicts itself.
    """

    name: str
    unit: str
    low: float | None = None
    high: float | None = None
    equals: bool | str | None = None
    family_low: float | None = None
    family_high: float | None = None
    uncertainty: float | None = None
    decision: str = "guarded"
    clause: str = ""
    source: str = ""
    grade: str = ""
    note: str = ""
    requirement: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        for key in ("low", "high", "family_low", "family_high", "uncertainty"):
            value = getattr(self, key)
            if value is not None:
                object.__setattr__(self, key, _finite(value, f"{self.name}: {key}"))
        self._check_bounds()
        if self.uncertainty is not None and self.uncertainty < 0.0:
            raise LimitError(f"{self.name}: uncertainty {self.uncertainty:g} {self.unit} is negative")
        if self.decision not in DECISIONS:
            raise LimitError(
                f"{self.name}: decision {self.decision!r} is not known; it is one of {', '.join(DECISIONS)}"
            )
        if self.grade and self.grade not in GRADES:
            raise LimitError(f"{self.name}: grade {self.grade!r} is not known; it is one of {', '.join(GRADES)}")

    def _check_bounds(self) -> None:
        bounds = (self.low, self.high, self.family_low, self.family_high)
        if self.equals is not None:
            if any(bound is not None for bound in bounds):
                raise LimitError(f"{self.name}: equals = {self.equals!r} stands alone, without low, high or family")
            return
        if all(bound is None for bound in bounds):
            raise LimitError(f"{self.name} limits nothing; give low, high, equals or family")
        for low, high, what in ((self.low, self.high, ""), (self.family_low, self.family_high, "family ")):
            if low is not None and high is not None and low > high:
                raise LimitError(f"{self.name}: {what}low {low:g} {self.unit} is above {what}high {high:g} {self.unit}")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a limit says of a value.

    Args:
        verdict: the verdict.
        margin: distance to the nearest limit in the limit's unit, positive inside; None where there is none.
        guard: width of the guard band [unit].
        reason: why it is not a PASS, for people; "" when it is.
    """

    verdict: Verdict
    margin: float | None = None
    guard: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured value with everything that judged it.

    Args:
        name: its name in the profiles.
        unit: unit of the value, of its limits, uncertainty, guard and margin.
        value: the value as a builtin; a NaN or an infinity stays one here.
        limits: every limit that applies, as it was written; empty when it is taken for information.
        limit: the limit that judged: the stricter of ``limits``, or None.
        uncertainty: expanded uncertainty U (k = 2) used [unit].
        judgement: verdict, margin and reason.
    """

    name: str
    unit: str
    value: Value
    limits: tuple[Limit, ...]
    limit: Limit | None
    uncertainty: float
    judgement: Judgement

    @property
    def info(self) -> bool:
        """Whether it was taken for information only: then it is no check record of its test."""
        return self.limit is None

    @property
    def verdict(self) -> Verdict:
        """The verdict of its judgement."""
        return self.judgement.verdict


@runtime_checkable
class _Scalar(Protocol):
    """A numpy scalar or a zero-dimensional array, recognised without importing numpy."""

    @property
    def dtype(self) -> object: ...

    def item(self) -> object: ...


def builtin(value: object, name: str = "value") -> Value:
    """The same value as a Python builtin: what numpy made of it must never reach a report or pytest.

    Args:
        value: a number, bool, text or None; numpy scalars and zero-dimensional arrays too.
        name: what the value is, for the error's text.

    Raises:
        LimitError: for anything that is no single real value.

    >>> builtin(True), builtin(3), builtin(2.5), builtin("CLOSED"), builtin(None)
    (True, 3, 2.5, 'CLOSED', None)
    """
    if type(value) in _PLAIN and not isinstance(value, int):
        return cast("Value", value)
    if isinstance(value, _Scalar):
        try:
            value = value.item()
        except (TypeError, ValueError) as error:
            raise LimitError(f"{name} is {value!r}, not one number; measure one element of it") from error
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return _within_float(int(value), name)
    if isinstance(value, Real):
        return float(value)
    raise LimitError(f"{name} is a {type(value).__name__} ({value!r}); a measurement is a number, a bool or a text")


def judge(limit: Limit, value: object, uncertainty: float | None = None, *, doubt: str = "") -> Judgement:
    """Judge one value by one limit.

    Beyond the limit is FAIL whatever the uncertainty; inside it, what the measurement cannot show (guard band, a
    clock too coarse for the limit, a stated doubt) is INCONCLUSIVE, and outside the family is OUT_OF_FAMILY.

    Args:
        limit: the limit.
        value: the value [limit.unit]; None means that it was never taken, which is FAIL.
        uncertainty: expanded uncertainty U (k = 2) [limit.unit]; None takes the limit's own, or zero.
        doubt: why the value cannot be trusted although it was taken (a late tick, clocks that are not
            synchronised); it turns a PASS into INCONCLUSIVE.

    Raises:
        LimitError: when the value is of another kind than the limit, or the uncertainty is no finite number.

    >>> judge(Limit(name="v", unit="V", low=24.0, high=36.0), 24.2, 0.5).verdict
    <Verdict.INCONCLUSIVE: 'INCONCLUSIVE'>
    """
    found = builtin(value, limit.name)
    spread = _spread(limit, uncertainty)
    guard = spread if limit.decision == "guarded" else 0.0
    if found is None:
        return Judgement(Verdict.FAIL, None, guard, "never taken")
    if limit.equals is not None:
        return _judge_equals(limit, found, doubt)
    if isinstance(found, bool | str):
        raise LimitError(
            f"{limit.name} is {found!r}, but its limit is a number [{limit.unit}]; "
            "give the limit `equals` if the quantity is discrete"
        )
    if not math.isfinite(found):
        return Judgement(Verdict.FAIL, None, guard, f"{_nonfinite(found)} is no value and never passes")
    margin = _margin(limit, found)
    if margin is not None and margin < 0.0:
        return Judgement(Verdict.FAIL, margin, guard, _beyond(limit, found))
    doubts = [doubt] if doubt else []
    doubts += _doubts(limit, margin, guard, spread)
    verdicts = [Verdict.PASS] + [Verdict.INCONCLUSIVE] * len(doubts)
    family = _family(limit, found)
    if family:
        verdicts.append(Verdict.OUT_OF_FAMILY)
    return Judgement(worst(verdicts), margin, guard, "; ".join([*([family] if family else []), *doubts]))


def stricter(first: Limit, *others: Limit) -> Limit:
    """The limit that judges when several apply: the narrowest bounds, the wider uncertainty, the guarded rule.

    Where one limit gives all the bounds, its clause, source and grade are kept; otherwise both are named.

    Raises:
        LimitError: when the units differ, or no value could satisfy all of them.

    >>> stricter(Limit(name="t", unit="ms", high=25), Limit(name="t", unit="ms", high=20)).high
    20.0
    """
    return reduce(_stricter, others, first)


def take(
    name: str,
    value: object,
    unit: str,
    limits: Sequence[Limit] | None,
    *,
    uncertainty: float | None = None,
    doubt: str = "",
) -> Measurement:
    """Take one measurement: coerce the value, find the stricter limit, judge.

    Args:
        name: the measurement's name.
        value: the value [unit]; numpy scalars become builtins.
        unit: its unit, the same as the limits'.
        limits: every limit that applies (from profiles and from the call); None for information only.
        uncertainty: expanded uncertainty U (k = 2) [unit]; None takes the limit's own, or zero.
        doubt: as in :func:`judge`.

    Raises:
        LimitError: without a limit, with another unit, or with a value of another kind than its limit.
    """
    if limits is None:
        return _information(name, builtin(value, name), unit, uncertainty, doubt)
    if not limits:
        raise LimitError(f"{name} has no limit; add it to a profile, or say measure(..., info=True)")
    for limit in limits:
        if limit.unit != unit:
            raise LimitError(_unit_mismatch(name, unit, limit))
    limit = stricter(*limits)
    return Measurement(
        name=name,
        unit=unit,
        value=builtin(value, name),
        limits=tuple(limits),
        limit=limit,
        uncertainty=_spread(limit, uncertainty),
        judgement=judge(limit, value, uncertainty, doubt=doubt),
    )


def margin_percent(value: float, low: float | None, high: float | None) -> float | None:
    """The margin in percent of the nearest limit's size; None without a limit, or where that limit is zero.

    Args:
        value: the measured value, in the limits' unit.
        low: low limit, or None.
        high: high limit, or None.

    >>> margin_percent(20.0, None, 25.0)
    20.0
    """
    nearest = None if low is None else (value - low, low)
    if high is not None and (nearest is None or high - value < nearest[0]):
        nearest = (high - value, high)
    if nearest is None or nearest[1] == 0.0:
        return None
    return 100.0 * nearest[0] / abs(nearest[1])


def _finite(value: object, where: str) -> float:
    found = builtin(value, where)
    if found is None or isinstance(found, bool | str) or not math.isfinite(found):
        raise LimitError(f"{where} is {value!r}; it must be a finite number")
    return float(found)


def _within_float(value: int, name: str) -> int:
    try:
        float(value)
    except OverflowError as error:
        raise LimitError(f"{name} is an integer of {value.bit_length()} bits; no unit makes that a value") from error
    return value


def _nonfinite(value: float) -> str:
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _spread(limit: Limit, uncertainty: float | None) -> float:
    if uncertainty is None:
        return limit.uncertainty or 0.0
    spread = _finite(uncertainty, f"{limit.name}: uncertainty")
    if spread < 0.0:
        raise LimitError(f"{limit.name}: uncertainty {spread:g} {limit.unit} is negative")
    return spread


def _margin(limit: Limit, value: float) -> float | None:
    margins: list[float] = []
    if limit.low is not None:
        margins.append(value - limit.low)
    if limit.high is not None:
        margins.append(limit.high - value)
    return min(margins, default=None)


def _beyond(limit: Limit, value: float) -> str:
    if limit.low is not None and value < limit.low:
        low, by = limit.low, limit.low - value
        return f"{_say(value, limit, 9)} is {_say(by, limit)} below the limit {_say(low, limit)}"
    high = cast("float", limit.high)
    return f"{_say(value, limit, 9)} is {_say(value - high, limit)} above the limit {_say(high, limit)}"


def _say(value: float, limit: Limit, digits: int = 6) -> str:
    """A number with its unit; a bare ratio or count stands alone."""
    return f"{value:.{digits}g}" if limit.unit == "1" else f"{value:.{digits}g} {limit.unit}"


def _doubts(limit: Limit, margin: float | None, guard: float, spread: float) -> list[str]:
    doubts: list[str] = []
    if limit.unit in _TIME_UNITS:
        for bound in (limit.low, limit.high):
            if bound and spread > abs(bound) / 10.0:
                doubts.append(f"uncertainty {_say(spread, limit)} is above a tenth of the limit {_say(bound, limit)}")
                break
    if margin is not None and margin < guard:
        doubts.append(f"margin {_say(margin, limit)} is within the guard band {_say(guard, limit)}")
    return doubts


def _family(limit: Limit, value: float) -> str:
    low, high = limit.family_low, limit.family_high
    if (low is None or value >= low) and (high is None or value <= high):
        return ""
    band = f"{'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"
    return f"{_say(value, limit, 9)} is outside the family {band}"


def _judge_equals(limit: Limit, value: float | str, doubt: str) -> Judgement:
    if type(value) is not type(limit.equals):
        raise LimitError(f"{limit.name} is {value!r}, but its limit is {limit.equals!r}: another kind of value")
    if value != limit.equals:
        return Judgement(Verdict.FAIL, None, 0.0, f"{value!r} is not {limit.equals!r}")
    return Judgement(Verdict.INCONCLUSIVE if doubt else Verdict.PASS, None, 0.0, doubt)


def _information(name: str, value: Value, unit: str, uncertainty: float | None, doubt: str) -> Measurement:
    spread = 0.0 if uncertainty is None else _finite(uncertainty, f"{name}: uncertainty")
    reason = doubt
    if value is None:
        reason = "never taken"
    elif isinstance(value, float) and not math.isfinite(value):
        reason = f"{_nonfinite(value)} is no value and never passes"
    verdict = Verdict.INCONCLUSIVE if reason else Verdict.PASS
    judgement = Judgement(verdict, None, 0.0, reason)
    return Measurement(
        name=name, unit=unit, value=value, limits=(), limit=None, uncertainty=spread, judgement=judgement
    )


def _stricter(a: Limit, b: Limit) -> Limit:
    if a.unit != b.unit:
        raise LimitError(f"{a.name} is in {a.unit} in {_where(a)}, but in {b.unit} in {_where(b)}; use one unit")
    if a.equals is not None or b.equals is not None:
        if a.equals != b.equals or type(a.equals) is not type(b.equals):
            raise LimitError(
                f"{a.name}: {_where(a)} and {_where(b)} contradict each other ({a.equals!r}, {b.equals!r})"
            )
        return a
    low, high = _tighter(max, a.low, b.low), _tighter(min, a.high, b.high)
    if low is not None and high is not None and low > high:
        raise LimitError(
            f"{a.name}: {_where(a)} and {_where(b)} contradict each other: no value is above {low:g} and below {high:g}"
        )
    merged = replace(
        a if (low, high) == (a.low, a.high) else b,
        low=low,
        high=high,
        family_low=_tighter(max, a.family_low, b.family_low),
        family_high=_tighter(min, a.family_high, b.family_high),
        uncertainty=_tighter(max, a.uncertainty, b.uncertainty),
        decision="guarded" if "guarded" in (a.decision, b.decision) else a.decision,
    )
    if (low, high) in ((a.low, a.high), (b.low, b.high)):
        return merged
    return replace(merged, **{key: _both(a, b, key) for key in ("clause", "source", "note", "origin")}, grade="")


def _tighter(choose: _Choose, a: float | None, b: float | None) -> float | None:
    found = [value for value in (a, b) if value is not None]
    return choose(found) if found else None


class _Choose(Protocol):
    """``min`` or ``max``."""

    def __call__(self, values: Iterable[float], /) -> float: ...


def _both(a: Limit, b: Limit, key: str) -> str:
    texts = [text for text in (getattr(a, key), getattr(b, key)) if text]
    return " + ".join(dict.fromkeys(texts))


def _where(limit: Limit) -> str:
    return limit.origin or limit.source or "a limit without a source"


def _unit_mismatch(name: str, unit: str, limit: Limit) -> str:
    text = f"{name} was measured in {unit!r}, but {_where(limit)} limits it in {limit.unit!r}"
    for base in _PREFIXED:
        if unit.endswith(base) and limit.unit.endswith(base):
            got, wanted = unit.removesuffix(base), limit.unit.removesuffix(base)
            if got in _PREFIXES and wanted in _PREFIXES:
                return f"{text}; 1 {unit} = 1e{_PREFIXES[got] - _PREFIXES[wanted]} {limit.unit}: convert the value"
    return f"{text}; convert the value to {limit.unit!r}"
