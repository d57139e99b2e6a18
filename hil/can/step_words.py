"""What a rig file says to a bus, as text: the frames and the read-back of its safe sequence.

>>> command("ENG1_COMMAND COMMAND=2 MODE=IDLE")
('ENG1_COMMAND', {'COMMAND': 2.0, 'MODE': 'IDLE'})
>>> query("ENG1_STATUS.STATE")
('ENG1_STATUS', 'STATE')
"""

from __future__ import annotations

import re

from hil.errors import BusError

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def command(text: str) -> tuple[str, dict[str, float | int | str]]:
    """The message to send, and the physical values of its signals; counter and CRC are filled in.

    Raises:
        BusError: for anything else.
    """
    message, *pairs = text.split() or [""]
    values: dict[str, float | int | str] = {}
    for pair in pairs:
        signal, equals, value = pair.partition("=")
        if not equals or not _NAME.fullmatch(signal) or not value or signal in values:
            raise BusError(f"{text!r}: {pair!r} is no signal with its value; write MESSAGE SIGNAL=1 OTHER=NAME")
        values[signal] = float(value) if _NUMBER.fullmatch(value) else value
    if not _NAME.fullmatch(message):
        raise BusError(f"{text!r} names no message; write MESSAGE SIGNAL=1 OTHER=NAME")
    return message, values


def query(text: str) -> tuple[str, str]:
    """The message that is waited for, and the signal that is read.

    Raises:
        BusError: for anything else.
    """
    message, _, signal = text.strip().partition(".")
    if not _NAME.fullmatch(message) or not _NAME.fullmatch(signal):
        raise BusError(f"{text!r} cannot be read; write MESSAGE.SIGNAL")
    return message, signal


def shown(value: float | str) -> str:
    """A signal's value as the answer to a query: the name of its value table, or a number.

    >>> shown(3.0), shown("IDLE")
    ('3', 'IDLE')
    """
    return value if isinstance(value, str) else f"{value:.9g}"
