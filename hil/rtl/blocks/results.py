"""What a simulator process left of a cocotb test: the results file, the log, and what the two come to.

A verdict needs a results file that this very run wrote, with the test in it and the seed it was given; everything
else is an ERROR. A test that passed is still FAIL when the design complained with ``$error`` or an assertion:
Icarus and GHDL go on after one and call the run good.
"""

from __future__ import annotations

import re
import signal
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.limits import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

_UNKNOWN = re.compile(r"non-0/1 values|Cannot convert Logic|Can't convert Logic")
_JUDGING = frozenset({"AssertionError", "Failed", "SimTimeoutError", "SimFailure"})
_OWN_FRAME = re.compile(r"^  File \".*hil/rtl/peer/block\.py\", .*\n    .*\n(?:    \s*[~^]+\n)?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """What cocotb says of one test.

    Args:
        name: its name.
        status: "passed", "failed", "error" or "skipped".
        kind: class of the exception that ended it; "" when none did.
        message: what that said.
        traceback: where it came from.
        seed: the seed the run was given.
        duration_ns: simulated time it took [ns].
    """

    name: str
    status: str
    kind: str = ""
    message: str = ""
    traceback: str = ""
    seed: int | None = None
    duration_ns: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a run comes to: the verdict, why in one line, and the cases it is made of."""

    verdict: Verdict
    reason: str
    cases: tuple[Case, ...] = ()


def read_results(path: Path) -> tuple[Case, ...] | None:
    """The cases of a results file; None when there is none that can be read."""
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314  # the file was written by our own child process
    except (OSError, ElementTree.ParseError):
        return None
    return tuple(_case(element) for element in root.iter("testcase"))


def judge(
    cases: Sequence[Case] | None, *, wanted: Sequence[str], seed: int, code: int | None, complaints: Sequence[str]
) -> Found:
    """What a run comes to.

    Args:
        cases: what :func:`read_results` found.
        wanted: names of the tests that the simulator said it would run.
        seed: the seed it was given.
        code: exit code of its process; None when it had to be killed.
        complaints: lines of the log in which the design itself complains.
    """
    if code is None:
        return Found(Verdict.ERROR, "the simulator did not end and was killed")
    if cases is None:
        return Found(Verdict.ERROR, f"the simulator {_ended(code)} and left no results")
    found = _strange(cases, wanted, seed)
    if found:
        return Found(Verdict.ERROR, found, tuple(cases))
    ended = [case for case in cases if case.status in ("failed", "error")]
    if ended:
        errors = [case for case in ended if not _fails(case)]
        case = (errors or ended)[0]
        verdict = Verdict.ERROR if errors else Verdict.FAIL
        return Found(verdict, _why(case, complaints), tuple(cases))
    if complaints:
        return Found(Verdict.FAIL, f"the design complained: {complaints[0].strip()}", tuple(cases))
    if code != 0:
        return Found(Verdict.ERROR, f"the test passed, but the simulator {_ended(code)}", tuple(cases))
    skipped = [case for case in cases if case.status == "skipped"]
    if skipped:
        why = skipped[0].message or "the test skips itself"
        some = "" if len(skipped) == len(cases) else f"{len(skipped)} of {len(cases)} cases were skipped: "
        return Found(Verdict.NOT_RUN, f"{some}{why}", tuple(cases))
    return Found(Verdict.PASS, "", tuple(cases))


def _strange(cases: Sequence[Case], wanted: Sequence[str], seed: int) -> str:
    """Why results are not those of the run; "" when they are."""
    names = [case.name for case in cases]
    if not names:
        return "no test was run: it was filtered away"
    if sorted(names) != sorted(wanted):
        return f"the results are of {', '.join(names)}, the simulator was to run {', '.join(wanted) or 'nothing'}"
    seeds = {case.seed for case in cases if case.seed is not None}
    if seeds - {seed}:
        return f"the results are of seed {seeds.pop()}, the run was given {seed}; is COCOTB_RANDOM_SEED set outside?"
    return ""


def _ended(code: int) -> str:
    """How a process ended: its code, or the signal that killed it."""
    names = {each.value: each.name for each in signal.Signals}
    return f"died of {names.get(-code, f'signal {-code}')}" if code < 0 else f"ended with code {code}"


def _why(case: Case, complaints: Sequence[str]) -> str:
    """Why a case failed, in one line."""
    complaint = f": {complaints[0].strip()}" if complaints else ""
    if case.kind == "SimFailure":
        return f"the design ended the simulation, {case.duration_ns:.0f} ns after the test began{complaint}"
    if case.kind == "SimTimeoutError":
        return f"SimTimeoutError: the test's own timeout passed, {case.duration_ns:.0f} ns after it began"
    return f"{case.kind or case.status}: {case.message}".partition("\n")[0]


def _fails(case: Case) -> bool:
    """Whether a case ended by a judgement of the design; anything else is a mistake in the test itself."""
    return case.kind in _JUDGING or (case.kind == "ValueError" and _UNKNOWN.search(case.message) is not None)


def _case(element: Element) -> Case:
    properties = {each.get("name", ""): each.get("value", "") for each in element.iter("property")}
    name = element.get("name", "")
    seed = properties.get("random_seed", "")
    number = int(seed) if seed.lstrip("-").isdigit() else None
    duration_ns = float(properties.get("sim_time_duration") or 0.0)
    for tag, status in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
        ended = element.find(tag)
        if ended is not None:
            kind, message = ended.get("type", ""), ended.get("message", "")
            return Case(name, status, kind, message, _OWN_FRAME.sub("", ended.text or ""), number, duration_ns)
    return Case(name, "passed", seed=number, duration_ns=duration_ns)
