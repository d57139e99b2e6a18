"""A safe sequence: ordered steps, each proved by what reads back; it never stops at the first error.

What is timed: when a command was sent, when the instrument's state followed (acknowledged), and when the measured
value did (discharged). The same code runs in virtual time and in the keeper.
"""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hil.errors import HilError
from hil.units import ms

_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d+)?\s*", re.ASCII)
"""<NRf> of IEEE 488.2; anything else an instrument says is no number."""

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Step(Protocol):
    """One step, as a rig file writes it."""

    @property
    def write(self) -> str | None:
        """What makes the output safe."""
        ...

    @property
    def query(self) -> str | None:
        """What reads it back."""
        ...

    @property
    def expect(self) -> str | None:
        """The answer when it is safe."""
        ...

    @property
    def below_v(self) -> float | None:
        """What every number of the answer lies below when it is safe [V]."""
        ...

    @property
    def within_ms(self) -> float:
        """Time allowed [ms]."""
        ...


class Line(Protocol):
    """A way to talk to one instrument."""

    def send(self, text: str) -> None:
        """Send a command; raises HilError."""
        ...

    def ask(self, text: str, within_ns: int) -> str | None:
        """Send a query; the answer, or None when none came in time; raises HilError."""
        ...


@dataclass(frozen=True)
class StepResult:
    """What came of one step; times in ns on the clock it ran on, None where that never happened."""

    step: str
    sent_ns: int
    proved_ns: int | None
    measured: bool
    """Whether a measured value proves it, and not the instrument's own state alone."""
    answer: str
    trouble: str = ""
    """Why it is not safe; "" when it is."""


def run_sequence(steps: Sequence[Step], line: Line, now: Callable[[], int]) -> list[StepResult]:
    """Run all steps in order.

    Args:
        steps: what to do.
        line: the instrument.
        now: the clock [ns].
    """
    return [_survived(step, line, now) for step in steps]


def defect_of(problem: Exception) -> str:
    """What is said of an error that nobody foresaw."""
    return f"a defect in the harness: {type(problem).__name__}: {problem}"


def _survived(step: Step, line: Line, now: Callable[[], int]) -> StepResult:
    """One step; a defect in it keeps no other from being run."""
    try:
        return _run(step, line, now)
    except Exception as defect:
        traceback.print_exc()
        return StepResult(step.write or step.query or "", now(), None, False, "", defect_of(defect))


def _run(step: Step, line: Line, now: Callable[[], int]) -> StepResult:
    sent_ns, answer, problem = now(), "", ""
    deadline_ns = sent_ns + round(step.within_ms * ms)
    measured = step.below_v is not None
    name = step.write or step.query or ""
    try:
        if step.write is not None:
            line.send(step.write)
    except HilError as error:
        problem = f"{step.write!r} could not be sent: {error}"
    if step.query is None:
        return StepResult(name, sent_ns, None if problem else now(), measured, "", problem)
    while True:
        try:
            found = line.ask(step.query, max(1, deadline_ns - now()))
        except HilError as error:
            return StepResult(name, sent_ns, None, measured, answer, problem or f"{step.query!r}: {error}")
        if found is not None:
            answer = found
            if _proves(step, found) and not problem:
                return StepResult(name, sent_ns, now(), measured, answer)
        if now() >= deadline_ns:
            wanted = f"{step.expect!r}" if step.below_v is None else f"every value below {step.below_v:g} V"
            told = f"{answer!r}" if answer else "no answer"
            text = f"{step.query!r} was to read {wanted} within {step.within_ms:g} ms; found {told}"
            return StepResult(name, sent_ns, None, measured, answer, problem or text)


def _proves(step: Step, answer: str) -> bool:
    if step.below_v is None:
        return answer.strip() == step.expect
    parts = answer.split(",")
    return all(_NUMBER.fullmatch(part) and abs(float(part)) < step.below_v for part in parts)
