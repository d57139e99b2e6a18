"""What host and peer say to each other about a CAN controller in RTL: frames and what became of them, never bits.

Times are in ps since power-up.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hil.can.phy.coding import PhyFrame

Failure: TypeAlias = Literal["bit", "ack"]
_FRAME = struct.Struct("<IBB")
_PLAY = struct.Struct("<cIQBh")
_CUT = struct.Struct("<c")
_DISTURB = struct.Struct("<ch")
_MEET = struct.Struct("<cIB")
_BEGAN = struct.Struct("<cQB")
_WON = struct.Struct("<cI")
_HEADER = struct.Struct("<cB")
_ENDED = struct.Struct("<cIQQB")
_FAILURES: tuple[Failure | None, ...] = (None, "bit", "ack")
_EXTENDED, _REMOTE = 1, 2
_PRESENT, _PASSIVE, _DISTURBED = 1, 2, 4
_NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Play:
    """To the peer: play a frame; ``number`` comes back with what became of it."""

    number: int
    start_ps: int
    frame: PhyFrame
    acknowledged: bool
    """Whether one of the others hears it, and acknowledges it."""
    disturbed: int | None
    """A bit to be flipped, start of frame = 0."""


@dataclass(frozen=True, slots=True)
class Cut:
    """To the peer: the sender of the frame being played is gone."""


@dataclass(frozen=True, slots=True)
class Disturb:
    """To the peer: flip one bit of the frame that the design is sending."""

    bit: int


@dataclass(frozen=True, slots=True)
class Meet:
    """To the peer: bit rate, and who else is on the bus."""

    bitrate_bps: int
    present: bool
    passive: bool
    disturbed: bool


@dataclass(frozen=True, slots=True)
class Began:
    """To the host: a frame of the design has begun; ``joined`` when the frame to be played takes part."""

    start_ps: int
    joined: bool


@dataclass(frozen=True, slots=True)
class Won:
    """To the host: the design has won arbitration against this frame, or was on the bus before it."""

    number: int


@dataclass(frozen=True, slots=True)
class Header:
    """To the host: the header of the design's frame is known."""

    frame: PhyFrame
    size: int


@dataclass(frozen=True, slots=True)
class Ended:
    """To the host: a frame is over: the one played (``number``) or one of the design (0, with ``frame`` when good)."""

    number: int
    start_ps: int
    end_ps: int
    failure: Failure | None
    frame: PhyFrame | None


Word: TypeAlias = Play | Cut | Disturb | Meet | Began | Won | Header | Ended


def pack(word: Word) -> bytes:
    """A word as bytes.

    >>> unpack(pack(Play(7, 2_000, PhyFrame(0x123, b"ab"), True, None)))
    Play(number=7, start_ps=2000, frame=PhyFrame(arbitration_id=291, data=b'ab', extended=False, remote=False, \
requested=0, fd=False, brs=False, esi=False), acknowledged=True, disturbed=None)
    """
    match word:
        case Play(number, start_ps, frame, acknowledged, disturbed):
            bit = _NOWHERE if disturbed is None else disturbed
            head = _PLAY.pack(b"P", number, max(0, start_ps), acknowledged, bit)
            return head + _pack_frame(frame)
        case Cut():
            return _CUT.pack(b"C")
        case Disturb(bit):
            return _DISTURB.pack(b"D", bit)
        case Meet(bitrate_bps, present, passive, disturbed):
            return _MEET.pack(b"M", bitrate_bps, _PRESENT * present | _PASSIVE * passive | _DISTURBED * disturbed)
        case Began(start_ps, joined):
            return _BEGAN.pack(b"B", start_ps, joined)
        case Won(number):
            return _WON.pack(b"W", number)
        case Header(frame, size):
            return _HEADER.pack(b"H", size) + _pack_frame(frame)
        case Ended(number, start_ps, end_ps, failure, frame):
            head = _ENDED.pack(b"E", number, start_ps, end_ps, _FAILURES.index(failure))
            return head if frame is None else head + _pack_frame(frame)


def unpack(payload: bytes) -> Word:
    """The word that bytes stand for.

    Raises:
        ValueError: when they stand for none.
    """
    match payload[:1]:
        case b"P":
            _, number, start_ps, acknowledged, bit = _PLAY.unpack_from(payload)
            frame = _unpack_frame(payload[_PLAY.size :])
            return Play(number, start_ps, frame, bool(acknowledged), None if bit == _NOWHERE else bit)
        case b"C":
            return Cut()
        case b"D":
            return Disturb(int(_DISTURB.unpack(payload)[1]))
        case b"M":
            _, bitrate_bps, flags = _MEET.unpack(payload)
            return Meet(bitrate_bps, bool(flags & _PRESENT), bool(flags & _PASSIVE), bool(flags & _DISTURBED))
        case b"B":
            _, start_ps, joined = _BEGAN.unpack(payload)
            return Began(start_ps, bool(joined))
        case b"W":
            return Won(int(_WON.unpack(payload)[1]))
        case b"H":
            _, size = _HEADER.unpack_from(payload)
            return Header(_unpack_frame(payload[_HEADER.size :]), size)
        case b"E":
            _, number, start_ps, end_ps, index = _ENDED.unpack_from(payload)
            rest = payload[_ENDED.size :]
            return Ended(number, start_ps, end_ps, _FAILURES[int(index)], _unpack_frame(rest) if rest else None)
        case other:
            raise ValueError(
                f"{other!r} begins no word about a CAN controller; host and peer are of different versions"
            )


def _pack_frame(frame: PhyFrame) -> bytes:
    flags = _EXTENDED * frame.extended | _REMOTE * frame.remote
    return _FRAME.pack(frame.arbitration_id, flags, frame.requested) + frame.data


def _unpack_frame(payload: bytes) -> PhyFrame:
    arbitration_id, flags, requested = _FRAME.unpack_from(payload)
    return PhyFrame(arbitration_id, payload[_FRAME.size :], bool(flags & _EXTENDED), bool(flags & _REMOTE), requested)
