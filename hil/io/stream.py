r"""The messages of an I/O card, or of a simulated world, on a network: one JSON object a line, line feed at the end.

Text, because every language and every laboratory controller writes it, because a dialogue can be read and typed with
netcat, and because a card says something only when a reading changes. The first client of a card may be slow; a card
that samples faster than some 10 000 changes a second needs another protocol.

The card says, unasked: ``hello`` first, then a ``sample`` of every channel as it is, then a ``sample`` at every
change. Its stamps are of its own clock. A client asks ``drive``, ``release``, ``pulse``, ``switch`` and ``ask_time``,
and of a card that has a watchdog ``guard`` and ``feed``; each question has an ``id``, and is answered by ``done``,
``refused`` or ``time`` with the same one, in order (a ``pulse`` when it has ended), after every sample of what was
before. A message with an unknown kind, a missing or unknown field, or a value of another type is refused:

    {"kind": "hello", "protocol": 2, "card": "stand", "channels": ["ao_sense", "ai_sense"], "volts": 0.0025, ...}
    {"kind": "sample", "channel": "ai_sense", "quantity": "volts", "value": 3.995, "at_ns": 1200034000}
    {"kind": "drive", "id": 7, "channel": "ao_sense", "volts": 4.0}
    {"kind": "done", "id": 7, "at_ns": 1200510000}

A program that runs models says ``world`` instead of ``hello``, and is asked ``fault``, ``clear``, ``renew``, ``start``,
``watch``, ``read`` and ``hear``; its plant says ``occurred``, a pin that is heard ``heard``; a
clock that is late while the plant runs ``late``.

>>> encode(Switch(id=3, channel="do_key", on=True))
b'{"kind":"switch","id":3,"channel":"do_key","on":true}\n'
>>> decode(b'{"kind":"time","id":1,"at_ns":5}')
Time(id=1, at_ns=5)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from hil.errors import InstrumentError
from hil.io.fields import typed
from hil.io.line_words import Vocabulary

PROTOCOL = 3
"""Version of the messages; both sides must have the same."""
LINE_MAX = 1 << 20
"""Bytes of the longest line."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What the card is: its channels, and the expanded uncertainty (k = 2) of volts [V], amps [A], stamps [ns]."""

    protocol: int
    card: str
    channels: tuple[str, ...]
    volts: float
    amps: float
    stamp_ns: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A reading: channel, quantity (``level``, ``volts``, ``amps``), value (level, [V] or [A]), card's clock [ns]."""

    channel: str
    quantity: str
    value: bool | float
    at_ns: int


@dataclass(frozen=True, slots=True)
class Done:
    """The command with this ``id`` was carried out, at ``at_ns`` of the card's clock."""

    id: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The command with this ``id`` was not carried out, and why."""

    id: int
    why: str


@dataclass(frozen=True, slots=True)
class Time:
    """The card's clock [ns] when the question with this ``id`` came."""

    id: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Drive:
    """Make an ``ao_`` channel give a voltage [V]."""

    id: int
    channel: str
    volts: float


@dataclass(frozen=True, slots=True)
class Release:
    """Take an ``ao_`` channel off its pin."""

    id: int
    channel: str


@dataclass(frozen=True, slots=True)
class Pulse:
    """Make ``ao_`` channels give voltages [V] at one instant, and take them off their pins so much later [ns].

    The card times it on its own clock, whatever becomes of the client. ``done`` is said at its end and stamped with
    that; so its beginning was ``for_ns`` before.
    """

    id: int
    volts: dict[str, float]
    for_ns: int


@dataclass(frozen=True, slots=True)
class Switch:
    """Close or open a ``do_`` channel."""

    id: int
    channel: str
    on: bool


@dataclass(frozen=True, slots=True)
class Guard:
    """Take every output off unless ``feed`` comes within this time [ms], again and again; 0 ends that.

    Once it ran out, nothing energises any more until the next ``guard``. It outlives the connection.
    """

    id: int
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Feed:
    """There is progress: the watchdog begins anew."""

    id: int


@dataclass(frozen=True, slots=True)
class AskTime:
    """What does the card's clock say?"""

    id: int


@dataclass(frozen=True, slots=True)
class World:
    """What a program simulates: what faults can be put on, what is true of its plant, with units; and its clock.

    Its rig time was ``rig_ns`` when the machine had run for ``boot_ns`` [ns]; ``pace`` rig seconds pass in a second.
    """

    protocol: int
    program: str
    targets: tuple[str, ...]
    truths: dict[str, str]
    pace: float
    rig_ns: int
    boot_ns: int


@dataclass(frozen=True, slots=True)
class PutFault:
    """Put a fault on a part of the world now; it ends by ``clear``, or with the connection."""

    id: int
    target: str
    fault: str
    parameters: dict[str, bool | int | float | str]


@dataclass(frozen=True, slots=True)
class Clear:
    """Take away the fault that the message ``fault`` put on."""

    id: int
    fault: int


@dataclass(frozen=True, slots=True)
class Start:
    """Let the plant step."""

    id: int


@dataclass(frozen=True, slots=True)
class Renew:
    """Give the world a new vehicle and new articles, if the plant has stepped since they were new."""

    id: int


@dataclass(frozen=True, slots=True)
class Watch:
    """Say a truth of the plant from now on, as samples of the channel of its name with the quantity ``truth``."""

    id: int
    truth: str


@dataclass(frozen=True, slots=True)
class Read:
    """What is a truth of the plant as of its last step?"""

    id: int
    truth: str


@dataclass(frozen=True, slots=True)
class ReadValue:
    """The answer to ``read``, in the truth's unit."""

    id: int
    value: float


@dataclass(frozen=True, slots=True)
class Occurred:
    """Something happened to the plant, by name; the world's clock [ns]."""

    name: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Hear:
    """Say every datagram on the cable of a pin from now on."""

    id: int
    pin: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A datagram on the cable of a pin: its payload as hexadecimal digits, the world's clock when it was sent [ns]."""

    pin: str
    payload: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Late:
    """The world's clock was behind from ``due_ns`` to ``at_ns`` [ns], at worst by ``late_ns``, which is not allowed."""

    due_ns: int
    late_ns: int
    allowed_ns: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class AskLate:
    """Say every lateness up to now, before the answer to this."""

    id: int


Greeting: TypeAlias = Hello | World
"""What is said first."""
Stamped: TypeAlias = Sample | Occurred | Heard | Late
"""What is said unasked."""
Answer: TypeAlias = Done | Refused | Time | ReadValue
"""What is said to a question."""
Said: TypeAlias = Greeting | Stamped | Answer
"""What a card or a world says."""
Asked: TypeAlias = (
    Drive
    | Release
    | Pulse
    | Switch
    | Guard
    | Feed
    | AskTime
    | PutFault
    | Clear
    | Start
    | Renew
    | Watch
    | Read
    | Hear
    | AskLate
)
"""What a client asks."""
Message: TypeAlias = Said | Asked

_KINDS: dict[str, type[Message]] = {
    "hello": Hello, "sample": Sample, "done": Done, "refused": Refused, "time": Time,
    "drive": Drive, "release": Release, "pulse": Pulse, "switch": Switch, "ask_time": AskTime,
    "guard": Guard, "feed": Feed,
    "world": World, "fault": PutFault, "clear": Clear, "start": Start, "renew": Renew, "watch": Watch,
    "read": Read, "value": ReadValue, "occurred": Occurred,
    "hear": Hear, "heard": Heard, "late": Late, "ask_late": AskLate,
}  # fmt: skip


def _typed(line: bytes, value: object, kind: str) -> object:
    del line
    return typed(value, kind)


_VOCABULARY: Vocabulary[Message] = Vocabulary(_KINDS, "I/O card protocol", InstrumentError, _typed)


def encode(message: Message) -> bytes:
    """A message as a line, with its line feed.

    Raises:
        ValueError: for a number that is not finite, which JSON does not have.
    """
    return _VOCABULARY.encode(message)


def decode(line: bytes) -> Message:
    """The message on a line (without its line feed).

    Raises:
        InstrumentError: for anything that is not exactly one message of this protocol.
    """
    return _VOCABULARY.decode(line)
