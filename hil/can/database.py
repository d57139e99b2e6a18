"""The message database of a bus: a DBC file, read strictly through cantools.

Values are physical, in the unit the DBC names; nothing is clipped, completed or ignored. A database holds no state
of a run and may serve any number of buses and worlds.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from cantools.database.errors import DecodeError, EncodeError
from cantools.database.namedsignalvalue import NamedSignalValue

from hil.can.codec import Codec
from hil.can.dbc import read_dbc
from hil.can.frame import Frame
from hil.can.protection import Protection, Receiver, Sender
from hil.closed import nearest
from hil.errors import BusError
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cantools.database import Message, Signal


class Database:
    """The messages of one DBC file; :meth:`load` makes it.

    What is plainly right is coded by a :class:`hil.can.codec.Codec` per message, the rest by cantools.
    """

    def __init__(self, path: Path, messages: list[Message], protections: dict[str, Protection]) -> None:
        self.path = path
        self._by_name = {message.name: message for message in messages}
        self._by_id = {(message.frame_id, message.is_extended_frame): message for message in messages}
        self._protections = protections
        self._codecs: dict[str, Codec] = {}

    @classmethod
    def load(cls, path: Path | str) -> Database:
        """Read a DBC file.

        Raises:
            ConfigError: when there is no such file, or it is not a DBC without contradictions: syntax, overlapping
                signals, signals outside their message, identifiers or names used twice, CAN FD, wrong protection.
        """
        messages, protections = read_dbc(Path(path))
        return cls(Path(path), messages, protections)

    # -- looking up ---------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The names of all messages, in the order of the file."""
        return list(self._by_name)

    def __contains__(self, name: object) -> bool:
        """Whether there is a message of that name."""
        return name in self._by_name

    def identifier(self, name: str) -> tuple[int, bool]:
        """The identifier of a message, and whether it is an extended one; what an acceptance filter takes.

        Raises:
            BusError: when there is no message of that name.
        """
        message = self.message(name)
        return message.frame_id, message.is_extended_frame

    def message(self, name: str) -> Message:
        """A message by name, as cantools describes it.

        Raises:
            BusError: when there is none of that name; names the nearest one.
        """
        message = self._by_name.get(name)
        if message is None:
            raise BusError(f"{self.path} has no message {name!r}; {nearest(name, self.names)}")
        return message

    def signal(self, message: str, name: str) -> Signal:
        """A signal of a message, as cantools describes it (unit, minimum, maximum, choices).

        Raises:
            BusError: when there is no such message or signal; names the nearest one.
        """
        signals = {signal.name: signal for signal in self.message(message).signals}
        if name not in signals:
            raise BusError(f"{self.path}: message {message} has no signal {name!r}; {nearest(name, list(signals))}")
        return signals[name]

    def find(self, frame: Frame) -> Message | None:
        """The message a frame carries; None when the database does not know it, or for a remote frame."""
        return None if frame.remote else self._by_id.get((frame.arbitration_id, frame.extended))

    def sent_by(self, node: str) -> list[str]:
        """The names of the messages that a node of the DBC sends."""
        return [message.name for message in self._by_name.values() if node in message.senders]

    def cycle_ns(self, name: str) -> int | None:
        """The cycle time of a message (``GenMsgCycleTime``) [ns]; None when it is sent on demand.

        Raises:
            BusError: when there is no message of that name.
        """
        cycle_ms = self.message(name).cycle_time
        return cycle_ms * ms if cycle_ms else None

    def protection(self, name: str) -> Protection:
        """How a message is protected.

        Raises:
            BusError: when there is no message of that name.
        """
        return self._protections[self.message(name).name]

    # -- coding -------------------------------------------------------------------------------------------

    def encode(self, name: str, signals: Mapping[str, float | int | str], counter: int | None = None) -> Frame:
        """The frame of a message with these physical values; CAN FD with rate switch where the database says FD.

        Counter and CRC are filled in; a value given for them is taken as it is, so that a test can send a wrong one.

        Args:
            name: the message.
            signals: physical values, or names of a value table; every signal of the message must be there.
            counter: the counter value; its first one when not given. :meth:`sender` counts.

        Raises:
            BusError: for an unknown message or signal, a missing one, or a value out of range.
        """
        message = self.message(name)
        data = self._codec(message).encode(signals, counter)
        if data is None:
            data = self._encoded(message, signals, counter)
        fd = message.is_fd
        return Frame(message.frame_id, data, message.is_extended_frame, fd=fd, brs=fd)

    def decode(self, frame: Frame) -> dict[str, float | int | str]:
        """The physical values in a frame; a value with a name in the value table comes as that name.

        Raises:
            BusError: for a frame the database does not know, or of the wrong length.
        """
        message = self.find(frame)
        if message is None:
            raise BusError(f"{self.path} has no message for frame {frame}; {self._near(frame)}")
        found = self._codec(message).decode(frame.data)
        return self._decoded(message, frame) if found is None else found

    def decoder(self, name: str) -> Callable[[Frame], dict[str, float | int | str]]:
        """What decodes the frames of one message as :meth:`decode` does, for whoever knows which message it is.

        Raises:
            BusError: when there is no message of that name.
        """
        message = self.message(name)
        decode, strictly = self._codec(message).decode, self._decoded

        def decoded(frame: Frame) -> dict[str, float | int | str]:
            return decode(frame.data) or strictly(message, frame)

        return decoded

    def sender(self, name: str) -> Sender:
        """A new stream of a message to send: counts and protects its frames.

        Raises:
            BusError: when there is no message of that name.
        """
        message, counter = self.message(name), self.protection(name).counter
        codec, (identifier, extended), fd = self._codec(message), self.identifier(name), message.is_fd

        def frame(signals: Mapping[str, float | int | str], count: int) -> Frame:
            data = codec.encode(signals, count)
            data = self._encoded(message, signals, count) if data is None else data
            if fd:
                return Frame(identifier, data, extended, fd=True, brs=True)
            return Frame(identifier, data, extended)

        return Sender(frame, counter)

    def receiver(self, name: str) -> Receiver:
        """A new stream of a message to receive: checks counter and CRC of its frames.

        Raises:
            BusError: when there is no message of that name.
        """
        return Receiver(self.protection(name))

    # -- inside -------------------------------------------------------------------------------------------

    def _codec(self, message: Message) -> Codec:
        codec = self._codecs.get(message.name)
        if codec is None:
            codec = self._codecs[message.name] = Codec(message, self._protections[message.name])
        return codec

    def _encoded(self, message: Message, signals: Mapping[str, float | int | str], counter: int | None) -> bytes:
        """The data of a frame as cantools codes them, sealed."""
        protection = self._protections[message.name]
        values = dict(signals)
        seal = protection.crc_signal is not None and protection.crc_signal not in values
        if protection.crc_signal is not None:
            values.setdefault(protection.crc_signal, 0)
        if protection.counter is not None:
            values.setdefault(protection.counter.signal, protection.counter.first if counter is None else counter)
        try:
            data = message.encode(values)
        except (EncodeError, OverflowError, ValueError, KeyError, TypeError) as problem:
            raise self._refused(message, signals, problem) from problem
        return protection.seal(data) if seal else data

    def _decoded(self, message: Message, frame: Frame) -> dict[str, float | int | str]:
        """The values in a frame as cantools decodes them."""
        try:
            values = message.decode(frame.data, allow_excess=False)
        except DecodeError as problem:
            raise BusError(
                f"{self.path}: frame {frame} does not decode as {message.name}: {problem}; "
                f"{message.name} has {message.length} bytes"
            ) from problem
        assert isinstance(values, dict)  # only AUTOSAR containers decode to a list, a DBC has none
        return {
            name: str(value) if isinstance(value, NamedSignalValue) else value  # type: ignore[misc]  # plain signal
            for name, value in values.items()
        }

    def _refused(self, message: Message, signals: Mapping[str, float | int | str], problem: Exception) -> BusError:
        where = f"{self.path}: message {message.name}"
        known = [signal.name for signal in message.signals]
        for name, value in signals.items():
            if name not in known:
                return BusError(f"{where} has no signal {name!r}; {nearest(name, known)}")
            if isinstance(value, float) and not math.isfinite(value):
                return BusError(f"{where}: {name} = {value} is not finite; no frame can carry it")
            choices = self.signal(message.name, name).choices
            if isinstance(value, str) and value not in map(str, (choices or {}).values()):
                names = [str(choice) for choice in (choices or {}).values()]
                return BusError(f"{where}: {name} = {value!r} is not in its value table; {nearest(value, names)}")
        return BusError(f"{where} refused {dict(signals)!r}: {problem}; nothing is clipped, give every signal in range")

    def _near(self, frame: Frame) -> str:
        other = self._by_id.get((frame.arbitration_id, not frame.extended))
        if other is not None:
            return f"{other.name} has this identifier in {'11' if frame.extended else '29'} bits"
        return "a remote frame carries no signals" if frame.remote else f"it has {len(self._by_id)} messages"
