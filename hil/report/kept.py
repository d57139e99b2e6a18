"""Invariants that were kept, or are for information: a line for each kind, as there may be dozens in every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.evidence.documents import INVARIANT
from hil.limits import Verdict
from hil.report.figures import figure, measured_figure, with_unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hil.evidence.records import Measured


def is_quiet(measured: Measured) -> bool:
    """Whether a measurement is an invariant that gives no cause to look at it: kept, or for information."""
    return measured.name.startswith(INVARIANT) and measured.verdict is Verdict.PASS


def kept_lines(measurements: Iterable[Measured]) -> tuple[str, ...]:
    """Lines that name every quiet invariant with its value, and its limit where it has one."""
    quiet = [measured for measured in measurements if is_quiet(measured)]
    judged = [f"{_value(measured)} ({_limit(measured)})" for measured in quiet if not measured.info]
    told = [_value(measured) for measured in quiet if measured.info]
    lines = [f"Invariants kept (PASS): {'; '.join(judged)}."] if judged else []
    return (*lines, *([f"Invariants for information: {'; '.join(told)}."] if told else []))


def _value(measured: Measured) -> str:
    unit = "" if measured.unit == "1" else f" {measured.unit}"
    return f"{measured.name.removeprefix(INVARIANT)} {measured_figure(measured)}{unit}"


def _limit(measured: Measured) -> str:
    if measured.equals is not None:
        return f"= {figure(measured.equals)}"
    texts = [
        f"{sign} {with_unit(bound, '1')}"
        for sign, bound in (("≥", measured.low), ("≤", measured.high))
        if bound is not None
    ]
    return ", ".join(texts)
