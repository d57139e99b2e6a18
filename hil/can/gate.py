"""The gate before a hazardous bus: which messages a test may send, and which of them energise something."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from cantools.database.errors import DecodeError

from hil.closed import nearest
from hil.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cantools.database import Signal

    from hil.can.database import Database
    from hil.can.frame import Frame
    from hil.can.loopback import LoopbackFrames

_GRID = 1e-6  # share of a step by which a value may lie beside the one that can be sent
_FLOATS = {16: "e", 32: "f", 64: "d"}


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

    def passed(self, ruling: Ruling, *, believed: bool) -> bool:
        """A frame has passed; whether nothing is energised any more because of it.

        Args:
            ruling: what the gate said of it.
            believed: whether its receivers take it; one that they reject switches nothing off.
        """
        if ruling.energises:
            self._messages.add(ruling.message)
            return False
        if not believed:
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
        loopback: by which the transport delay is measured; a request may pass, and is no message of the database.

    Raises:
        BusError: for a message, a signal or a value that the database does not have.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        send: Iterable[str],
        energising: Mapping[str, Mapping[str, Sequence[bool | int | float | str]]],
        loopback: LoopbackFrames | None = None,
    ) -> None:
        self.name = name
        self._database = database
        self._loopback = loopback
        self._send = frozenset(_listed(database, send))
        self._energising = {message: _raws(database, message, when) for message, when in energising.items()}
        for message in energising:
            if message not in self._send:
                raise BusError(f"energising.{message} may not be sent at all; list it in send")

    def rule(self, frame: Frame) -> Ruling:
        """Whether a frame may pass, and what it does."""
        if self._loopback is not None and self._loopback.is_request(frame):
            return Ruling()  # no message of the bus has its identifier
        found = self._database.find(frame)
        if found is None or found.name not in self._send:
            what = f"{frame}" if found is None else found.name
            listed = "" if found is None else f"; {nearest(found.name, sorted(self._send))}"
            return Ruling(f"{what} is not on the list of what may be sent on bus {self.name}{listed}")
        when = self._energising.get(found.name)
        if when is None:
            return Ruling("", found.name)
        try:
            values = found.decode(frame.data, decode_choices=False, scaling=False, allow_excess=False)
        except DecodeError as problem:
            return Ruling(f"{frame} cannot be read as {found.name}, which can energise: {problem}")
        assert isinstance(values, dict)  # only AUTOSAR containers decode to a list, a DBC has none
        # a signal that is multiplexed out of this frame has none of the values
        energises = not when or any(values.get(signal) in allowed for signal, allowed in when.items())
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


def _raws(
    database: Database, message: str, when: Mapping[str, Sequence[bool | int | float | str]]
) -> dict[str, frozenset[int | float]]:
    """The values of each signal as they are in a frame, where they are equal or not; names are looked up.

    Raises:
        BusError: for a signal, a name or a number that the message cannot carry.
    """
    found: dict[str, frozenset[int | float]] = {}
    for name, values in when.items():
        signal = database.signal(message, name)
        choices = {str(text): number for number, text in (signal.choices or {}).items()}
        for value in values:
            if isinstance(value, str) and value not in choices:
                raise BusError(f"{message}.{name} has no value {value!r}; {nearest(value, list(choices))}")
        found[name] = frozenset(
            choices[value] if isinstance(value, str) else _raw(message, signal, value) for value in values
        )
    return found


def _raw(message: str, signal: Signal, value: float) -> int | float:
    """The raw value of a physical one."""
    where = f"{message}.{signal.name}"
    if not math.isfinite(value) or not signal.scale:
        raise BusError(f"{where} = {value!r} cannot be sent, so that it energises nothing; write a value that can be")
    if signal.is_float:
        form = _FLOATS[signal.length]
        try:
            return float(struct.unpack(form, struct.pack(form, (value - signal.offset) / signal.scale))[0])
        except OverflowError as problem:
            raise BusError(f"{where} = {value!r} is beyond its {signal.length} bits") from problem
    scale, offset = Fraction(str(signal.scale)), Fraction(str(signal.offset))
    exact = (Fraction(str(float(value)) if isinstance(value, float) else int(value)) - offset) / scale
    raw = round(exact)
    if abs(exact - raw) > _GRID:
        raise BusError(
            f"{where} = {value!r} cannot be sent: it has steps of {signal.scale:g}; "
            f"the nearest value is {float(raw * scale + offset):.12g}"
        )
    least, most = (
        (-1 << signal.length - 1, (1 << signal.length - 1) - 1) if signal.is_signed else (0, (1 << signal.length) - 1)
    )
    if not least <= raw <= most:
        low, high = sorted(float(end * scale + offset) for end in (least, most))
        raise BusError(f"{where} = {value!r} cannot be sent: its {signal.length} bits reach from {low:g} to {high:g}")
    return raw
