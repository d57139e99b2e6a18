"""CAN FD frames on the wire: their exact length in bits of two rates, and where in them something happens.

Source: ISO 11898-1:2015, sections 10.4 (frames), 10.5 (stuffing), 11.3 (bit rate switch). Dynamic stuff bits end with
the data; the CRC field has a fixed stuff bit before every fourth bit, so that its value does not change its length.

The rate changes at the sample points of BRS and of the CRC delimiter: these two bits together last exactly as long as
one slow and one fast bit. Here BRS counts as slow and the CRC delimiter as fast, so that whole frames are exact, and an
instant between the two may be off by less than a slow bit.

A length is one whole number, its *code*: slow bits in the low twelve, fast bits above. A classic frame's code is its
number of bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hil.can.bits import arbitration_key, measure, stuff
from hil.errors import BusError

if TYPE_CHECKING:
    from hil.can.frame import Frame

LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
"""Bytes of data by the DLC of a CAN FD frame."""
_FAST = 12  # where in a code the number of fast bits begins
_SLOW_MASK = (1 << _FAST) - 1
_CRC_17_BITS = 4 + 17 + 6  # stuff count, CRC-17, fixed stuff bits
_CRC_21_BITS = 4 + 21 + 7
_CRC_17_UP_TO = 16  # bytes of data
_ACK_AND_END = 9  # ACK slot, ACK delimiter, 7 bits end of frame
_FDF_FROM_END = 8  # of the control field: FDF, res, BRS, ESI, four bits DLC
_BRS_FROM_END = 6


class Layout(NamedTuple):
    """Where the parts of an FD frame are, in bits on the wire, stuff bits included."""

    fdf: int
    """Place of the bit that says it is CAN FD, start of frame = 0."""
    slow: int
    """Bits up to and with BRS."""
    fast: int
    """Bits after that up to and with the CRC delimiter, in whatever rate they are sent."""

    @property
    def total(self) -> int:
        """Bits from start to end of frame."""
        return self.slow + self.fast + _ACK_AND_END


def measure_any(frame: Frame) -> tuple[int, int]:
    """The arbitration key of a frame of either kind, and the code of its length, from start to end of frame.

    Raises:
        BusError: for a frame that CAN and CAN FD do not have.
    """
    if not frame.fd:
        return measure(frame)
    key = arbitration_key(frame.arbitration_id, frame.extended)
    return key, code(frame, layout(frame).total)


def layout(frame: Frame) -> Layout:
    """The parts of an FD frame.

    Raises:
        BusError: for an identifier, length or data type that CAN FD does not have.
    """
    limit = 0x1FFFFFFF if frame.extended else 0x7FF
    if not 0 <= frame.arbitration_id <= limit:
        raise BusError(
            f"identifier {frame.arbitration_id:#x} does not fit {'an extended' if frame.extended else 'a standard'} "
            f"frame (0 to {limit:#x})"
        )
    if frame.data.__class__ is not bytes or frame.remote or len(frame.data) not in LENGTHS:
        found = "a remote frame" if frame.remote else f"{type(frame.data).__name__} of {len(frame.data)} bytes"
        raise BusError(
            f"frame {frame.arbitration_id:#x} is CAN FD with {found}; an FD frame is a data frame of bytes, "
            f"{', '.join(map(str, LENGTHS))} of them"
        )
    return _layout(frame.arbitration_id, frame.data, frame.extended, frame.brs, frame.esi)


def code(frame: Frame, bits: int) -> int:
    """The code of the first ``bits`` bits of an FD frame."""
    if not frame.brs:
        return bits
    parts = layout(frame)
    fast = min(max(0, bits - parts.slow), parts.fast)
    return bits - fast | fast << _FAST


def total_bits(length: int) -> int:
    """The number of bits of either rate in the code of a length."""
    return (length & _SLOW_MASK) + (length >> _FAST)


class Durations(dict[int, int]):
    """Duration [ns] by the code of a length, worked out when it is first asked for.

    Args:
        bitrate_bps: rate of the slow bits.
        data_bitrate_bps: rate of the fast bits.
    """

    def __init__(self, bitrate_bps: int, data_bitrate_bps: int) -> None:
        super().__init__()
        self._slow, self._fast = bitrate_bps, data_bitrate_bps

    def __missing__(self, length: int) -> int:
        """Rounded once for the whole frame, as every frame synchronises anew."""
        both = self._slow * self._fast
        bits = (length & _SLOW_MASK) * self._fast + (length >> _FAST) * self._slow
        self[length] = duration_ns = (2_000_000_000 * bits + both) // (2 * both)
        return duration_ns


@lru_cache(maxsize=1024)
def _layout(arbitration_id: int, data: bytes, extended: bool, brs: bool, esi: bool) -> Layout:
    base, rest = (arbitration_id >> 18, f"11{arbitration_id & 0x3FFFF:018b}0") if extended else (arbitration_id, "00")
    head = f"0{base:011b}{rest}"
    head += f"10{brs:d}{esi:d}{LENGTHS.index(len(data)):04b}"
    before_fdf = stuff(head[:-_FDF_FROM_END]).stuffed
    before_brs = stuff(head[:-_BRS_FROM_END]).stuffed
    whole = stuff(head, data)
    stuffed = whole.stuffed - whole.at_end  # none after the last bit of the data: a fixed one stands there
    slow = len(head) - _BRS_FROM_END + 1 + before_brs
    crc_bits = _CRC_17_BITS if len(data) <= _CRC_17_UP_TO else _CRC_21_BITS
    fast = len(head) + 8 * len(data) + stuffed - slow + crc_bits + 1
    return Layout(len(head) - _FDF_FROM_END + before_fdf, slow, fast)
