"""What answers at the addresses of a rig: who it is, whether its outputs are safe, whether it has its watchdog."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hil.clock import Stopwatch
from hil.doctor.finding import Finding
from hil.doctor.queries import Inquirer, query_forms
from hil.doctor.tables import simulated
from hil.errors import HilError, InstrumentError
from hil.io.card import IoCard
from hil.rig.checks import resolve
from hil.rig.values import HERE
from hil.safety.sequence import run_sequence
from hil.units import s
from hil.visa.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil.rig.model import RigFile

_ANSWER_NS = 1 * s
_ERRORS_MAX = 20


def instruments(file: RigFile, why_not: Callable[[], str]) -> Iterator[Finding]:
    """Every VISA instrument of a rig.

    Args:
        file: the rig file.
        why_not: why nobody may talk to the instruments now, "" when one may; asked before each of them. Any message
            feeds the watchdog of many instruments, and could keep alive what a dying test left on.
    """
    for name in file.instrument:
        driver = resolve(file, "instrument", name, "driver")
        if issubclass(driver, IoCard):
            continue
        reason = simulated(file, name) or why_not()
        if reason:
            yield Finding(f"{name} identity", "skip", reason)
        elif issubclass(driver, Driver):
            yield from _instrument(file, name, driver)


def unreachable(file: RigFile, name: str) -> str:
    """What to do when nothing answers at an instrument's address."""
    program, place = file.program_of("instrument", name), file.where("instrument", name, "resource")
    if program != HERE:
        return f"start the program that simulates it: hil sim {file.file.as_posix()} --program {program}"
    return f"switch it on and connect it, see that no other program has it open, or correct {place}"


def _instrument(file: RigFile, name: str, driver: type[Driver]) -> Iterator[Finding]:
    resource = file.instrument[name].resource
    assert resource is not None
    try:
        line = Inquirer(resource, name)
    except InstrumentError as problem:
        yield Finding(f"{name} identity", "fail", str(problem), unreachable(file, name))
        return
    with line:
        identity = _identity(file, name, driver, line)
        yield identity
        if identity.state == "fail":
            yield Finding(f"{name} outputs", "skip", "another instrument answers at its address")
            return
        try:
            yield from _outputs(file, name, line)
            yield from _watchdog(file, name, line)
        except InstrumentError as problem:
            yield Finding(name, "fail", str(problem), unreachable(file, name))


def _identity(file: RigFile, name: str, driver: type[Driver], line: Inquirer) -> Finding:
    table, what = file.instrument[name], f"{name} identity"
    place = file.where("instrument", name, "serial")
    try:
        driver.recognise(line.identity, name=name, serial=table.serial, where=str(table.resource))
    except InstrumentError as problem:
        return Finding(what, "fail", str(problem), f"connect the right instrument, or correct {place}")
    found = str(line.identity)
    if table.serial is None and file.program_of("instrument", name) == HERE:
        return Finding(
            what,
            "warn",
            f"{found}; the rig file asks for no serial number",
            f'give instrument.{name} serial = "{line.identity.serial}" when it is the right one',
        )
    return Finding(what, "ok", found)


def _outputs(file: RigFile, name: str, line: Inquirer) -> Iterator[Finding]:
    """What the safe sequence reads back, without what it writes."""
    table, what = file.instrument[name], f"{name} outputs"
    if not table.hazard:
        return
    watch = Stopwatch()
    steps = [step.model_copy(update={"write": None}) for step in table.safe if step.query is not None]
    results = run_sequence(steps, line, partial(_elapsed_ns, watch))
    trouble = "; ".join(result.trouble for result in results if result.trouble)
    if trouble:
        yield Finding(
            what, "fail", f"not safe: {trouble}", f"stay clear; make it safe with hil safe {file.file.as_posix()}"
        )
    else:
        read = "; ".join(f"{step.query} reads {result.answer}" for step, result in zip(steps, results, strict=True))
        yield Finding(what, "ok", f"safe: {read}")


def _watchdog(file: RigFile, name: str, line: Inquirer) -> Iterator[Finding]:
    """Whether the instrument knows the watchdog of the rig file: it answers the query form of what starts it."""
    table, what = file.instrument[name], f"{name} watchdog"
    if table.watchdog is None:
        if table.hazard:
            yield Finding(what, "skip", "the rig file gives it none; its interlock guards it")
        return
    queries = query_forms(table.watchdog.enable)
    place = file.where("instrument", name, "watchdog", "enable")
    remedy = f"see that the instrument and its firmware have this watchdog, and correct {place}"
    if not queries:
        yield Finding(what, "skip", f"{table.watchdog.enable!r} has no query form")
        return
    answers: list[str] = []
    for query in queries:
        answer = line.ask(query, _ANSWER_NS)
        if answer is None:
            yield Finding(what, "fail", f"{query} was not answered ({_complaint(line)})", remedy)
            return
        answers.append(f"{query} reads {answer}")
    yield Finding(what, "ok", "; ".join(answers))


def _complaint(line: Inquirer) -> str:
    """What the instrument says of a query it did not answer; its error queue is as empty as before then."""
    told: list[str] = []
    try:
        for _ in range(_ERRORS_MAX):
            entry = line.ask("SYST:ERR?", _ANSWER_NS)
            if entry is None or entry.lstrip("+").startswith("0"):
                break
            told.append(entry)
    except HilError as problem:
        told.append(str(problem))
    return "; ".join(told) or "it reports no error"


def _elapsed_ns(watch: Stopwatch) -> int:
    return round(watch.elapsed_s * s)
