"""Over which buses the closed loop leaves the program that runs the plant, and what answers loop-back on each.

A bus is crossed when its interface is a real one and an article is on it that the plant's program does not simulate,
or, when another program runs the plant, the test beside one that it does; and always when it declares a loop-back.
Which of the articles closes the loop no rig file says, so each such bus counts. What is outside of the plant's program
and on no such bus may close the loop over cables and I/O cards, whose delay is not measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hil.can.loopback import LoopbackFrames
from hil.errors import ConfigError
from hil.rig.loopback_table import DEVICE
from hil.rig.values import HERE
from hil.toml_lines import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hil.can.database import Database
    from hil.rig.model import RigFile

_THE_TEST = "the test"


class Crossing(NamedTuple):
    """A bus over which the loop leaves the program that runs the plant."""

    bus: str
    outside: tuple[str, ...]
    """Who is on its other side."""
    frames: LoopbackFrames = LoopbackFrames()
    by: str | None = None
    """What answers there: a program of the rig or a device; None for nothing that the rig file knows of."""


def crossings(file: RigFile) -> list[Crossing]:
    """Every crossed bus, in the order of the rig file; in virtual time, where nothing is delayed, there is none."""
    if file.plant is None or file.rig.is_virtual:
        return []
    return [found for bus in file.bus if (found := _crossing(file, bus)) is not None]


def loopback_of(file: RigFile, bus: str) -> LoopbackFrames | None:
    """By which identifiers the delay of a bus is measured; None where it is not."""
    return next((found.frames for found in crossings(file) if found.bus == bus and found.by is not None), None)


def why_not_measured(file: RigFile, crossing: Crossing) -> str:
    """Why the delay of a bus that nothing answers on is not known, and the key that changes it."""
    return (
        f"bus {crossing.bus}: the transport delay of the rig was not measured: the plant's loop may be closed over "
        f"{', '.join(crossing.outside)}, and nothing on this bus is said to answer loop-back requests; "
        f"{what_to_declare(file, crossing)}"
    )


def what_to_declare(file: RigFile, crossing: Crossing) -> str:
    """What to do on a bus that nothing answers on."""
    return (
        f"set bus.{crossing.bus}.loopback at {file.where('bus', crossing.bus)}, for example {{ request = 0x7F0, "
        "answer = 0x7F1 }, to the identifiers by which a device on the bus answers"
    )


def out_of_reach(file: RigFile) -> dict[str, str]:
    """Articles over which the loop may be closed, and over no bus that is measured: why the delay is not known."""
    if file.plant is None or file.rig.is_virtual:
        return {}
    measured = {found.bus for found in crossings(file)}
    return {
        f"dut.{name}": (
            f"dut.{name}: the transport delay of the rig was not measured: the plant's loop may be closed over {name}, "
            "which is outside of the plant's program and on no bus that is measured, and over cables and I/O cards "
            f"nothing is measured; {what_to_say_of(file, name)}"
        )
        for name in _outside(file, file.dut)
        if file.dut[name].in_loop and measured.isdisjoint(file.dut[name].bus)
    }


def what_to_say_of(file: RigFile, name: str) -> str:
    """What to do about an article out of reach of the measurement."""
    return (
        f"set dut.{name}.in_loop = false at {file.where('dut', name)} if nothing that it does acts on the plant; else "
        f"simulate it in program {file.program_of('plant')}"
    )


def no_crossing(file: RigFile) -> str:
    """What is said of a paced rig whose loop crosses no bus and nothing out of reach."""
    program = file.program_of("plant")
    whose = "the test's own program" if program == HERE else f"program {program}"
    outside = _outside(file, file.dut)
    met = f"what is outside of it is in no loop, as the rig file says: {', '.join(outside)}" if outside else (
        "no article is outside of it"
    )  # fmt: skip
    return (
        f"Transport delay: not measured, and nothing to measure: {whose} runs the plant, and {met}, so that a loop has "
        "the delay of its models"
    )


def loopback_problems(file: RigFile, databases: Mapping[str, Database]) -> Iterator[str]:
    """What is wrong with the loop-back of each bus, a sentence each, with file and line.

    Args:
        file: the rig file.
        databases: the messages of each bus.
    """
    crossed = {found.bus: found for found in crossings(file)}
    for bus, table in file.bus.items():
        found = crossed.get(bus)
        if table.loopback is not None:
            yield from _unanswerable(file, bus, found)
            frames = _frames(file, bus)
        elif found is not None and found.by is not None:
            frames = found.frames
        else:
            continue
        yield from _taken(file, bus, frames, databases.get(bus))


def require_loopbacks(file: RigFile, databases: Mapping[str, Database]) -> None:
    """Go on only when the loop-back of every bus can work.

    Raises:
        ConfigError: when it cannot; names file and line.
    """
    problems = list(loopback_problems(file, databases))
    if problems:
        raise ConfigError("\n".join(problems))


def _crossing(file: RigFile, bus: str) -> Crossing | None:
    table = file.bus[bus]
    if not table.is_real:
        return None
    on_it = _on(file, bus)
    outside = _outside(file, on_it)
    if file.program_of("plant") != HERE and (len(outside) < len(on_it) or table.loopback is not None):
        outside.append(_THE_TEST)
    if not outside and table.loopback is None:
        return None
    return Crossing(bus, tuple(outside) or (DEVICE,), _frames(file, bus), _answering(file, bus))


def _on(file: RigFile, bus: str) -> list[str]:
    """The articles on a bus."""
    return [name for name, dut in file.dut.items() if bus in dut.bus]


def _outside(file: RigFile, articles: Iterable[str]) -> list[str]:
    """Those that the program of the plant does not simulate: real ones, and other programs'."""
    owner = file.program_of("plant")
    return [name for name in articles if file.simulated_by(name) != owner]


def _frames(file: RigFile, bus: str) -> LoopbackFrames:
    table = file.bus[bus].loopback
    return LoopbackFrames() if table is None else LoopbackFrames(table.request, table.answer, table.extended)


def _answering(file: RigFile, bus: str) -> str | None:
    table = file.bus[bus].loopback
    if table is not None and table.by is not None:
        return table.by
    able = _able(file, bus)
    return able[0] if able else None if table is None else DEVICE


def _able(file: RigFile, bus: str) -> list[str]:
    """The programs that can answer on a bus: that of the plant where it is another's, else all on the bus."""
    programs = {file.simulated_by(name) for name in _on(file, bus)}
    owner = file.program_of("plant")
    if owner != HERE and owner in programs:
        return [owner]
    return sorted(program for program in programs if program not in (None, HERE))


def _unanswerable(file: RigFile, bus: str, crossing: Crossing | None) -> Iterator[str]:
    """A declared answerer that cannot answer."""
    table = file.bus[bus].loopback
    if table is None or table.by is None:
        return
    owner = file.program_of("plant")
    programs = list(file.programs) if crossing is None else _able(file, bus)
    only_it = crossing is not None and owner != HERE and programs == [owner]
    able = programs if only_it else [*programs, DEVICE]
    if table.by not in able:
        why = f": program {owner} runs the plant, whose step is measured" if only_it else ""
        yield (
            f"{file.where('bus', bus, 'loopback', 'by')}: bus.{bus}.loopback.by = {table.by!r} cannot answer there{why}"
            f"{did_you_mean(table.by, able)}"
        )


def _taken(file: RigFile, bus: str, frames: LoopbackFrames, database: Database | None) -> Iterator[str]:
    """An identifier that a message of the bus has."""
    if database is None:
        return
    for key, frame in (("request", frames.request(b"")), ("answer", frames.answer(frames.request(b"")))):
        message = database.find(frame)
        if message is not None:
            yield (
                f"{file.where('bus', bus, 'loopback', key)}: bus.{bus}.loopback.{key} = {frame.arbitration_id:#x} is "
                f"the identifier of {message.name} in {database.path}; the transport delay is measured by it: give one "
                "that no message of the bus has"
            )
