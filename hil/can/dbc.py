"""Reading a DBC file strictly: every contradiction is an error that names file and line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cantools.database import Database as CanDatabase
from cantools.database import load_string
from cantools.database.errors import UnsupportedDatabaseFormatError

from hil.can.fd import LENGTHS
from hil.can.protection import Counter, Protection
from hil.closed import nearest
from hil.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from cantools.database import Message, Signal

_PROTECTION = "HilProtection"
_DATA_ID = "HilDataId"
_KINDS = ("None", "Counter", "Crc8")
_EXTENDED = 0x80000000  # how a DBC marks a 29-bit identifier


def read_dbc(path: Path) -> tuple[list[Message], dict[str, Protection]]:
    """The messages of a DBC file, and how each is protected.

    Raises:
        ConfigError: when there is no such file, or it is not a DBC without contradictions.
    """
    try:
        text = path.read_text(encoding="cp1252")
    except OSError as problem:
        raise ConfigError(f"{path}: the DBC file cannot be read ({problem.strerror}); check the path") from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(
            f"{path}: byte {problem.start} is no character of Windows-1252, the encoding of DBC files; "
            "save the file in that encoding"
        ) from problem
    source = _Source(path, text)
    messages = _parsed(source)
    _check_unique(source, messages)
    _check_attributes(source, messages)
    return messages, {message.name: _protection(source, message) for message in messages}


class _Source:
    """The text of a DBC file, to say in which line something is wrong."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text

    def wrong(self, line: int | None, what: str) -> ConfigError:
        return ConfigError(f"{self.path}:{line}: {what}" if line else f"{self.path}: {what}")

    def line(self, message: str, signal: str | None = None) -> int | None:
        """The line of a message (its last one of that name), or of one of its signals."""
        starts = list(re.finditer(rf"^[ \t]*BO_[ \t]+\d+[ \t]+{re.escape(message)}[ \t]*:", self.text, re.MULTILINE))
        if not starts:
            return None
        found = starts[-1].end()
        if signal is not None:
            entry = re.compile(rf"^[ \t]*SG_[ \t]+{re.escape(signal)}\b", re.MULTILINE).search(self.text, found)
            found = entry.end() if entry else found
        return self.line_at(found)

    def line_at(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1


def _parsed(source: _Source) -> list[Message]:
    try:
        database = load_string(source.text, database_format="dbc", strict=True)
    except UnsupportedDatabaseFormatError as problem:
        cause = problem.e_dbc
        what = str(cause)
        line = getattr(cause, "line", None)  # a syntax error of the parser knows its line
        if line is None:
            message = re.search(r"in message (\w+)", what)
            signal = re.search(r"[Ss]ignals? (\w+)", what)
            line = source.line(message[1], signal[1] if signal else None) if message else None
        raise source.wrong(line, f"{what.strip().rstrip('.')}; correct the DBC file") from problem
    assert isinstance(database, CanDatabase)
    return database.messages


def _check_unique(source: _Source, messages: list[Message]) -> None:
    names: set[str] = set()
    identifiers: dict[tuple[int, bool], str] = {}
    for message in messages:
        other = identifiers.setdefault((message.frame_id, message.is_extended_frame), message.name)
        if other != message.name or message.name in names:
            what = (
                f"identifier {message.frame_id:#x} is {other}'s" if other != message.name else "its name is used twice"
            )
            raise source.wrong(source.line(message.name), f"message {message.name}: {what}; make both unique")
        names.add(message.name)
        if message.is_fd and message.length not in LENGTHS:
            raise source.wrong(
                source.line(message.name),
                f"message {message.name}: {message.length} bytes; CAN FD has {', '.join(map(str, LENGTHS))}",
            )
        if not message.is_fd and message.length > LENGTHS[8]:
            raise source.wrong(
                source.line(message.name),
                f"message {message.name}: {message.length} bytes; classic CAN has 8 at most, and its VFrameFormat is "
                "not one of CAN FD",
            )


def _check_attributes(source: _Source, messages: list[Message]) -> None:
    """An attribute of a signal that does not exist is dropped by cantools: a protection that silently is none."""
    signals = {
        message.frame_id | (_EXTENDED if message.is_extended_frame else 0): [signal.name for signal in message.signals]
        for message in messages
    }
    for entry in re.finditer(rf'^[ \t]*BA_\s+"{_PROTECTION}"\s+SG_\s+(\d+)\s+(\w+)', source.text, re.MULTILINE):
        known = signals.get(int(entry[1]), [])
        if entry[2] not in known:
            line = source.line_at(entry.start(2))
            raise source.wrong(
                line, f"{_PROTECTION}: message {entry[1]} has no signal {entry[2]}; {nearest(entry[2], known)}"
            )


def _protection(source: _Source, message: Message) -> Protection:
    counter: Counter | None = None
    crc_signal, crc_byte = None, 0
    for signal in message.signals:
        kind = _kind(source, message, signal)
        if kind == "None":
            continue
        if signal.is_signed or signal.scale != 1 or signal.offset != 0 or signal.multiplexer_ids is not None:
            raise _unfit(source, message, signal, "must be unsigned, scale 1, offset 0, and not multiplexed")
        if (counter if kind == "Counter" else crc_signal) is not None:
            raise _unfit(source, message, signal, f"is the second {kind} of its message; there can be one")
        if kind == "Counter":
            counter = _counter(source, message, signal)
        else:
            crc_signal, crc_byte = signal.name, _crc_byte(source, message, signal)
    data_id = _attribute(message, _DATA_ID)
    return Protection(
        message=message.name,
        data_id=data_id if data_id is not None else message.frame_id & 0xFFFF,
        length=message.length,
        counter=counter,
        crc_signal=crc_signal,
        crc_byte=crc_byte,
    )


def _kind(source: _Source, message: Message, signal: Signal) -> str:
    value = _attribute(signal, _PROTECTION)
    if value is None:
        return "None"
    if not 0 <= value < len(_KINDS):
        raise _unfit(source, message, signal, f"has {_PROTECTION} {value}; it is 0 to {len(_KINDS) - 1}: {_KINDS}")
    return _KINDS[value]


def _counter(source: _Source, message: Message, signal: Signal) -> Counter:
    little = signal.byte_order == "little_endian"
    full = (1 << signal.length) - 1
    first = int(signal.minimum or 0)
    last = full if signal.maximum is None else int(signal.maximum)
    if not 0 <= first < last <= full:
        raise _unfit(source, message, signal, f"cannot count from {first} to {last} in {signal.length} bits")
    return Counter(
        signal=signal.name,
        shift=signal.start if little else 8 * message.length - _from_left(signal) - signal.length,
        bits=signal.length,
        little_endian=little,
        first=first,
        last=last,
    )


def _crc_byte(source: _Source, message: Message, signal: Signal) -> int:
    aligned = signal.start % 8 == (0 if signal.byte_order == "little_endian" else 7)
    if signal.length != 8 or not aligned:
        raise _unfit(source, message, signal, "holds a CRC-8; it must be exactly one byte of the data")
    return signal.start // 8


def _from_left(signal: Signal) -> int:
    """The place of the most significant bit of a big-endian signal, counted from the first bit of the data."""
    return 8 * (signal.start // 8) + 7 - signal.start % 8


def _attribute(owner: Message | Signal, name: str) -> int | None:
    """A whole-number attribute; None when it is not given for this message or signal."""
    if owner.dbc is None or name not in owner.dbc.attributes:
        return None
    return int(owner.dbc.attributes[name].value)


def _unfit(source: _Source, message: Message, signal: Signal, what: str) -> ConfigError:
    return source.wrong(source.line(message.name, signal.name), f"{message.name}.{signal.name} {what}")
