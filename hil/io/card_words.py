"""What a rig file says to an I/O card, as text: the commands and the readings of its safe sequence.

A step of an instrument's safe sequence is a command and a query; those of a card are written as a person says them:

>>> command("do_arm open")(1)
Switch(id=1, channel='do_arm', on=False)
>>> command("ao_heater 0.5 V")(2)
Drive(id=2, channel='ao_heater', volts=0.5)
>>> command("ao_heater released")(3), command("watchdog 500 ms")(4), command("feed")(5)
(Release(id=3, channel='ao_heater'), Guard(id=4, timeout_ms=500), Feed(id=5))
>>> readings("di_arm, load_line.amps")
[('di_arm', 'level'), ('load_line', 'amps')]
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hil.errors import InstrumentError
from hil.io import stream
from hil.io.card import QUANTITIES, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.io.card import Quantity

    Question = Callable[[int], stream.Asked]

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_DRIVE = re.compile(rf"(ao_\w+) ({_NUMBER}) V", re.ASCII)
_RELEASE = re.compile(r"(ao_\w+) released", re.ASCII)
_SWITCH = re.compile(r"(do_\w+) (open|closed)", re.ASCII)
_GUARD = re.compile(r"watchdog (\d+) ms", re.ASCII)
_FORMS = "do_NAME open, do_NAME closed, ao_NAME 0 V, ao_NAME released, watchdog 500 ms, watchdog off, feed"


def command(text: str) -> Question:
    """What makes the message of a command from its number.

    Raises:
        InstrumentError: for anything that is no command of a card.
    """
    text = text.strip()
    if found := _SWITCH.fullmatch(text):
        channel, on = found[1], found[2] == "closed"
        return lambda number: stream.Switch(number, channel, on)
    if found := _DRIVE.fullmatch(text):
        channel, volts = found[1], float(found[2])
        return lambda number: stream.Drive(number, channel, volts)
    if found := _RELEASE.fullmatch(text):
        channel = found[1]
        return lambda number: stream.Release(number, channel)
    if found := _GUARD.fullmatch(text):
        timeout_ms = int(found[1])
        return lambda number: stream.Guard(number, timeout_ms)
    if text == "watchdog off":
        return lambda number: stream.Guard(number, 0)
    if text == "feed":
        return stream.Feed
    raise InstrumentError(f"{text!r} is no command of an I/O card; write one of {_FORMS}")


def channel_of(text: str) -> str | None:
    """The output that a command moves; None for one of the watchdog.

    Raises:
        InstrumentError: as :func:`command`.
    """
    return getattr(command(text)(0), "channel", None)


def readings(text: str) -> list[tuple[str, Quantity]]:
    """The channels that a query reads, each with its quantity: ``di_arm, ai_line, load_line.amps``.

    Raises:
        InstrumentError: for a channel that observes nothing, or not that quantity.
    """
    found: list[tuple[str, Quantity]] = []
    for part in text.split(","):
        port, _, quantity = part.strip().partition(".")
        offered = QUANTITIES[kind_of(port)]
        chosen: Quantity | None = next((known for known in offered if quantity in ("", known)), None)
        if chosen is None:
            raise InstrumentError(f"{part.strip()!r} cannot be read: {port} observes {', '.join(offered) or 'nothing'}")
        found.append((port, chosen))
    return found


def shown(value: bool | float) -> str:
    """A reading as the answer to a query: ``high``, ``low``, or a number in V or A."""
    if isinstance(value, bool):
        return "high" if value else "low"
    return f"{value:.6g}"
