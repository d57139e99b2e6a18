"""What a rig file asks before something hazardous is energised: the action that is permitted, and what reads back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.rig.model import RigFile
    from hil.rig.part_tables import BusTable, InstrumentTable
    from hil.safety.plan import Level

_DEADLY = 3  # the hazard of what can kill


def hazard_of(file: RigFile, name: str) -> InstrumentTable | BusTable:
    """The table of a hazardous part: an instrument, an I/O card or a bus."""
    return file.bus[name] if name in file.bus else file.instrument[name]


def action_of(file: RigFile, name: str) -> str:
    """The action that must have been permitted before a part energises something; "" asks for none."""
    table = hazard_of(file, name)
    return table.action or (f"{name}.energise" if table.hazard == _DEADLY else "")


def interlocks_for(file: RigFile, name: str) -> list[tuple[str, Level]]:
    """What must read back before a part energises something: pins and levels.

    These are the part's own interlocks; for hazard 3 also what shows that the hardware would act by itself.
    """
    table, safety = hazard_of(file, name), file.safety
    wanted: list[tuple[str, Level]] = [(each.pin, each.level) for each in table.interlock]
    if table.hazard == _DEADLY:
        chain = (safety.contactor, safety.emergency_stop, safety.arming_plug)
        for pin in filter(None, chain):
            wanted.append((pin, "high"))  # noqa: PERF401  # a list of a narrower kind
    return wanted


def readable_interlocks(file: RigFile) -> dict[str, tuple[str, Level]]:
    """Every interlock that a grant may name, with its pin and level.

    That is ``contactor``, ``emergency_stop`` and ``arming_plug`` of ``[safety]``; an instrument or a bus that has one
    interlock; and a net on which a card reads a level, high when it reads back.
    """
    safety = file.safety
    chain = {"contactor": safety.contactor, "emergency_stop": safety.emergency_stop, "arming_plug": safety.arming_plug}
    found: dict[str, tuple[str, Level]] = {name: (pin, "high") for name, pin in chain.items() if pin is not None}
    for name, table in (*file.instrument.items(), *file.bus.items()):
        if len(table.interlock) == 1:
            found.setdefault(name, (table.interlock[0].pin, table.interlock[0].level))
    for name, net in file.net.items():
        read = [pin for pin in net.pins if pin.partition(".")[2].startswith("di_")]
        if read:
            found.setdefault(name, (read[0], "high"))
    return found
