"""What a frame is on the wire: its exact length in bits, stuff bits included, and its place in arbitration.

Source: Bosch CAN Specification 2.0 (1991), part B, sections 3.1 (frame fields), 3.2 (arbitration), 5 (stuffing);
the same in ISO 11898-1. Bits are 0 (dominant) and 1 (recessive).

Stuffing and CRC-15 run over whole bytes through tables. The state of the stuffing machine is the value of the
last bit and how often it has been sent in a row (1 to 4; the fifth is followed by a stuff bit at once).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hil.errors import BusError

if TYPE_CHECKING:
    from hil.can.frame import Frame

INTERMISSION_BITS = 3
ACK_SLOT_FROM_END = 9
"""The acknowledge slot is the ninth bit from the end: ACK delimiter and 7 bits of end of frame follow."""
_TAIL_BITS = 10  # CRC delimiter, ACK slot, ACK delimiter, 7 bits end of frame: never stuffed
_CRC_BITS = 15
_CRC_POLYNOMIAL = 0x4599
_MAX_RUN = 5
_STATES = 8
_COUNT = 16  # a table entry is (stuff bits << 16) | (next state << 8); sums of ten entries do not carry


class _Header(NamedTuple):
    """Everything about a frame that its data does not change."""

    key: int
    bits: int
    crc: int
    state: int
    stuffed: int


def measure(frame: Frame) -> tuple[int, int]:
    """The arbitration key of a frame and its length on the wire [bit], from start to end of frame.

    The lower key wins. The length has all stuff bits and no intermission.

    Raises:
        BusError: for an identifier, length or data type that classic CAN does not have.
    """
    data = frame.data
    key, bits, crc, state, stuffed = _header(
        frame.arbitration_id, frame.extended, frame.remote, frame.requested if frame.remote else len(data)
    )
    if data.__class__ is not bytes or (frame.remote and data):
        raise BusError(_bad_data(frame))
    crc_table, stuff_table = _CRC, _STUFF_8
    for byte in data:
        crc = crc_table[(crc >> 7) ^ byte] ^ ((crc & 0x7F) << 8)
        entry = stuff_table[state | byte]
        state = entry & 0x700
        stuffed += entry
    entry = stuff_table[state | (crc >> 7)]
    stuffed += entry + _STUFF_7[(entry & 0x700) | (crc & 0x7F)]
    return key, bits + 8 * len(data) + (stuffed >> _COUNT)


def stuffed_bits(frame: Frame) -> str:
    """The bits of a frame as they go over the wire, start of frame to CRC, as text of 0 and 1; slow.

    Raises:
        BusError: as :func:`measure`.
    """
    measure(frame)
    plain = _header_bits(frame.arbitration_id, frame.extended, frame.remote, frame.dlc)
    plain += "".join(f"{byte:08b}" for byte in frame.data)
    plain += f"{_crc_of(plain):015b}"
    wire = ""
    for bit in plain:
        wire += bit
        if wire.endswith(bit * _MAX_RUN):
            wire += "1" if bit == "0" else "0"
    return wire


def first_difference(one: Frame, other: Frame) -> int:
    """The first bit after start of frame, counted from 0, in which two frames differ on the wire; -1 when in none."""
    pairs = zip(stuffed_bits(one), stuffed_bits(other), strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), -1)


@lru_cache(maxsize=4096)
def _header(arbitration_id: int, extended: bool, remote: bool, dlc: int) -> _Header:
    limit = 0x1FFFFFFF if extended else 0x7FF
    if not 0 <= arbitration_id <= limit:
        kind = "an extended" if extended else "a standard"
        raise BusError(
            f"identifier {arbitration_id:#x} does not fit {kind} frame (0 to {limit:#x}); "
            + ("CAN has 29 bits at most" if extended else "set extended=True for 29 bits")
        )
    if not 0 <= dlc <= 8:
        raise BusError(f"frame {arbitration_id:#x} has {dlc} bytes; a classic CAN frame has 0 to 8")
    bits = _header_bits(arbitration_id, extended, remote, dlc)
    state, stuffed = _SOF_STATE, 0
    for bit in bits[1:]:
        state, extra = _step(state, int(bit))
        stuffed += extra
    length = len(bits) + _CRC_BITS + _TAIL_BITS
    return _Header(_key(arbitration_id, extended, remote), length, _crc_of(bits), state << 8, stuffed << _COUNT)


def _key(arbitration_id: int, extended: bool, remote: bool) -> int:
    """Bits in wire order: base identifier, RTR or SRR, IDE, extended identifier, RTR of an extended frame."""
    if extended:
        return (arbitration_id >> 18) << 21 | 0b11 << 19 | (arbitration_id & 0x3FFFF) << 1 | remote
    return arbitration_id << 21 | remote << 20


def _header_bits(arbitration_id: int, extended: bool, remote: bool, dlc: int) -> str:
    """Start of frame, arbitration and control field, not stuffed."""
    if extended:
        base, rest = arbitration_id >> 18, arbitration_id & 0x3FFFF
        return f"0{base:011b}11{rest:018b}{int(remote)}00{dlc:04b}"
    return f"0{arbitration_id:011b}{int(remote)}00{dlc:04b}"


def _crc_of(bits: str) -> int:
    crc = 0
    for bit in bits:
        crc = _crc_step(crc, int(bit))
    return crc


def _crc_step(crc: int, bit: int) -> int:
    feedback = (crc >> 14) ^ bit
    crc = (crc << 1) & 0x7FFF
    return crc ^ _CRC_POLYNOMIAL if feedback else crc


def _bad_data(frame: Frame) -> str:
    name = f"frame {frame.arbitration_id:#x}"
    if frame.remote:
        return f"{name} is a remote frame with data {frame.data!r}; a remote frame carries none, set requested="
    return f"{name} has data of type {type(frame.data).__name__}; give bytes(...), a frame is shared and may not change"


def _step(state: int, bit: int) -> tuple[int, int]:
    """Send one bit: the next state and the number of stuff bits (0 or 1) it causes."""
    value, run = divmod(state, 4)
    run = run + 2 if bit == value else 1
    return (4 * (1 - bit), 1) if run == _MAX_RUN else (4 * bit + run - 1, 0)


def _stuff_table(width: int) -> list[int]:
    """Entries for ``width`` bits at once, index = state * 256 | bits."""
    table = [0] * (_STATES * 256)
    for state in range(_STATES):
        for bits in range(1 << width):
            now, count = state, 0
            for shift in range(width - 1, -1, -1):
                now, extra = _step(now, bits >> shift & 1)
                count += extra
            table[state << 8 | bits] = count << _COUNT | now << 8
    return table


def _joined_table(high: list[int], low: list[int], low_width: int) -> list[int]:
    """Two tables one after the other as one of ``4 + low_width`` bits."""
    table = [0] * (_STATES * 256)
    for state in range(_STATES):
        for bits in range(1 << 4 + low_width):
            first = high[state << 8 | bits >> low_width]
            then = low[(first & 0x700) | (bits & (1 << low_width) - 1)]
            table[state << 8 | bits] = ((first >> _COUNT) + (then >> _COUNT)) << _COUNT | then & 0x700
    return table


def _crc_table() -> list[int]:
    table: list[int] = []
    for byte in range(256):
        crc = byte << 7
        for _ in range(8):
            crc = _crc_step(crc, 0)
        table.append(crc)
    return table


_SOF_STATE = 0  # one dominant bit sent
_CRC = _crc_table()
_STUFF_4 = _stuff_table(4)
_STUFF_8 = _joined_table(_STUFF_4, _STUFF_4, 4)
_STUFF_7 = _joined_table(_STUFF_4, _stuff_table(3), 3)
