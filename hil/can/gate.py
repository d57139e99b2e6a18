"""The gate before a hazardous bus: which messages a test may send, and which of them energise something."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cantools.database.errors import DecodeError

from hil.can.loopback import REQUEST_ID
from hil.closed import nearest
from hil.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hil.can.database import Database
    from hil.can.frame import Frame


class Ruling(NamedTuple):
    """What the gate says of one frame."""

    refusal: str = ""
    """Why it may not pass; "" when it may."""
    message: str = ""
    """Its message; "" for none of the database."""
    energises: bool = False
    """Whether it energises something, so that the interlock is asked first."""


class Live:
    """Which messages energise something now, by the last frame of each that passed."""

    def __init__(self) -> None:
        self._messages: set[str] = set()

    def begins(self, ruling: Ruling) -> bool:
        """Whether a frame would energise what is not energised yet."""
        return ruling.energises and ruling.message not in self._messages

    def passed(self, ruling: Ruling) -> bool:
        """A frame has passed; whether nothing is energised any more because of it."""
        if ruling.energises:
            self._messages.add(ruling.message)
            return False
        was_live = ruling.message in self._messages
        self._messages.discard(ruling.message)
        return was_live and not self._messages

    def clear(self) -> None:
        """The safe sequence has run."""
        self._messages.clear()

    def __bool__(self) -> bool:
        """Whether anything is energised."""
        return bool(self._messages)


class CanGate:
    """What a test may send on one bus. A frame is read as its receivers read it, whatever its counter and CRC are.

    Args:
        name: what the rig calls the bus.
        database: its messages.
        send: messages that may be sent, by name, or by the beginning of their names with a ``*`` behind it.
        energising: of these, those that energise something: always, or when a signal has one of the values.

    Raises:
        BusError: for a message, a signal or a value that the database does not have.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        send: Iterable[str],
        energising: Mapping[str, Mapping[str, Sequence[bool | int | float | str]]],
    ) -> None:
        self.name = name
        self._database = database
        self._send = frozenset(_listed(database, send))
        self._energising = {message: _numbers(database, message, when) for message, when in energising.items()}
        for message in energising:
            if message not in self._send:
                raise BusError(f"energising.{message} may not be sent at all; list it in send")

    def rule(self, frame: Frame) -> Ruling:
        """Whether a frame may pass, and what it does."""
        if frame.arbitration_id == REQUEST_ID and not frame.extended and not frame.remote:
            return Ruling()  # the transport delay is measured by it; no message of a rig has this identifier
        found = self._database.find(frame)
        if found is None or found.name not in self._send:
            what = f"{frame}" if found is None else found.name
            listed = "" if found is None else f"; {nearest(found.name, sorted(self._send))}"
            return Ruling(f"{what} is not on the list of what may be sent on bus {self.name}{listed}")
        when = self._energising.get(found.name)
        if when is None:
            return Ruling("", found.name)
        try:
            values = found.decode(frame.data, decode_choices=False, allow_excess=False)
        except DecodeError as problem:
            return Ruling(f"{frame} cannot be read as {found.name}, which can energise: {problem}")
        energises = not when or any(values[signal] in allowed for signal, allowed in when.items())  # type: ignore[index,call-overload]  # a plain message decodes to a dictionary
        return Ruling("", found.name, energises)


def _listed(database: Database, patterns: Iterable[str]) -> Iterable[str]:
    for pattern in patterns:
        if pattern.endswith("*"):
            fitting = [name for name in database.names if name.startswith(pattern[:-1])]
            if not fitting:
                raise BusError(f"no message of {database.path} begins with {pattern[:-1]!r}")
            yield from fitting
        else:
            database.message(pattern)
            yield pattern


def _numbers(
    database: Database, message: str, when: Mapping[str, Sequence[bool | int | float | str]]
) -> dict[str, frozenset[float]]:
    """The values of each signal as numbers; a name of its value table is looked up."""
    found: dict[str, frozenset[float]] = {}
    for signal, values in when.items():
        choices = {str(text): number for number, text in (database.signal(message, signal).choices or {}).items()}
        for value in values:
            if isinstance(value, str) and value not in choices:
                raise BusError(f"{message}.{signal} has no value {value!r}; {nearest(value, list(choices))}")
        found[signal] = frozenset(float(choices[value]) if isinstance(value, str) else float(value) for value in values)
    return found
