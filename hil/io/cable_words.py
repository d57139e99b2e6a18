r"""The messages on a cable between two programs of one rig: one JSON object a line, line feed at the end.

Both programs say the same things: ``cable`` first, then what is on each shared net as it is, then ``plugged``, then
every change. Stamps are the sender's rig time [ns]. A message with an unknown kind, a missing or unknown field, or a
value of another type is refused.

>>> encode(Wire(net="power", siemens=20.0, amps=560.0, at_ns=7))
b'{"kind":"wire","net":"power","siemens":20.0,"amps":560.0,"at_ns":7}\n'
>>> decode(b'{"kind":"late","at_ns":7,"late_ns":6000000}')
Late(at_ns=7, late_ns=6000000)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, cast

from hil.errors import WiringError
from hil.io.fields import typed
from hil.io.line_words import Vocabulary
from hil.nets import RfValue, Tone

PROTOCOL = 1
"""Version of the messages; both sides must have the same."""
_DEEP = 8  # interferers of interferers at most


@dataclass(frozen=True, slots=True)
class Hello:
    """Who is there: program, rig, pace, one instant as rig time and as time since the machine was started [ns], nets.

    ``nets`` has the kind (``wire``, ``rf``, ``datagram``) of every net that is shared, by name.
    """

    protocol: int
    program: str
    rig: str
    pace: float
    rig_ns: int
    boot_ns: int
    nets: dict[str, str]


@dataclass(frozen=True, slots=True)
class Plugged:
    """What is on every net has been said; from now on changes follow."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The connection ends here, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Wire:
    """The equivalent of all pins of the sender on a net: conductance [S] and short-circuit current [A].

    That is a source of amps / siemens [V] behind 1 / siemens [ohm]; twice 0 for an open connector.
    """

    net: str
    siemens: float
    amps: float
    at_ns: int


@dataclass(frozen=True, slots=True)
class Rf:
    """What the sender's connectors put on an RF net, their path loss included; None for silence."""

    net: str
    value: RfValue | None
    at_ns: int


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram that one of the sender's pins sent; payload as hexadecimal digits."""

    net: str
    payload: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Late:
    """What you said of ``at_ns``, your clock, was applied so much later [ns]: later than the rig allows."""

    at_ns: int
    late_ns: int


Change: TypeAlias = Wire | Rf | Datagram
"""What happens on a net."""
Word: TypeAlias = Hello | Plugged | Refused | Change | Late

_KINDS: dict[str, type[Word]] = {
    "cable": Hello, "plugged": Plugged, "refused": Refused, "wire": Wire, "rf": Rf, "datagram": Datagram, "late": Late,
}  # fmt: skip
_RF_FIELDS = {"carrier_hz", "level_dbm", "tones", "noise_dbm", "interferers"}


def encode(word: Word) -> bytes:
    """A message as a line, with its line feed.

    Raises:
        WiringError: for a number that is not finite, which JSON does not have.
    """
    try:
        return _VOCABULARY.encode(word)
    except ValueError as problem:
        raise WiringError(f"{word} cannot go over a cable: {problem}; give finite values") from problem


def decode(line: bytes) -> Word:
    """The message on a line (without its line feed).

    Raises:
        WiringError: for anything that is not exactly one message of this protocol.
    """
    return _VOCABULARY.decode(line)


def _value(line: bytes, value: object, kind: str) -> object:
    if kind.startswith("RfValue"):
        return None if value is None else _rf(line, value, _DEEP)
    return typed(value, kind)


def _rf(line: bytes, value: object, deep: int) -> RfValue:
    """The RF value of a JSON object, the weaker signals in it included."""
    if not isinstance(value, dict) or not deep:
        raise _wrong(line, f"has the RF value {value!r}; it is an object, in {_DEEP} others at most")
    given = cast("dict[str, object]", value)
    if given.keys() != _RF_FIELDS:
        raise _wrong(
            line, f"has an RF value with the fields {', '.join(given)}; it has {', '.join(sorted(_RF_FIELDS))}"
        )
    noise_dbm = given["noise_dbm"]
    return RfValue(
        carrier_hz=_number(line, given["carrier_hz"]),
        level_dbm=_number(line, given["level_dbm"]),
        tones=tuple(_tone(line, tone) for tone in _items(line, given["tones"])),
        noise_dbm=None if noise_dbm is None else _number(line, noise_dbm),
        interferers=tuple(_rf(line, other, deep - 1) for other in _items(line, given["interferers"])),
    )


def _tone(line: bytes, value: object) -> Tone:
    given = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    start_ns = typed(given.get("start_ns"), "int")
    if given.keys() != {"frequency_hz", "deviation_hz", "start_ns"} or not isinstance(start_ns, int):
        raise _wrong(line, f"has the tone {value!r}; it has frequency_hz, deviation_hz and start_ns")
    return Tone(_number(line, given["frequency_hz"]), _number(line, given["deviation_hz"]), start_ns)


def _number(line: bytes, value: object) -> float:
    checked = typed(value, "float")
    if not isinstance(checked, float):
        raise _wrong(line, f"has {value!r} where a number belongs")
    return checked


def _items(line: bytes, value: object) -> list[object]:
    if not isinstance(value, list):
        raise _wrong(line, f"has {value!r} where a list belongs")
    return cast("list[object]", value)


_VOCABULARY: Vocabulary[Word] = Vocabulary(_KINDS, "cable protocol", WiringError, _value)
_wrong = _VOCABULARY.wrong
