"""What a rig file says of a hazardous bus: the gate of its messages, and whether its safe sequence can be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.can import step_words
from hil.can.gate import CanGate
from hil.errors import BusError, ConfigError, HilError
from hil.rig.loopbacks import loopback_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.can.database import Database
    from hil.rig.hazard_tables import SafeStep
    from hil.rig.model import RigFile


def can_gate(file: RigFile, name: str, database: Database) -> CanGate:
    """The gate of a hazardous bus.

    Raises:
        ConfigError: for a message, a signal or a value that its database does not have; names file and line.
    """
    table = file.bus[name]
    for key, steps in (("safe", table.safe), *(("safe_in", steps) for steps in table.safe_in.values())):
        for problem in _problems(steps, database):
            raise ConfigError(f"{file.where('bus', name, key)}: bus.{name}.{key}: {problem}")
    try:
        return CanGate(name, database, table.send, table.energising, loopback_of(file, name))
    except BusError as problem:
        raise ConfigError(f"{file.where('bus', name, 'send')}: bus.{name}: {problem}") from problem


def _problems(steps: list[SafeStep], database: Database) -> Iterator[str]:
    for step in steps:
        try:
            if step.write is not None:
                database.encode(*step_words.command(step.write))
            if step.query is not None:
                database.signal(*step_words.query(step.query))
        except HilError as problem:
            yield str(problem)
