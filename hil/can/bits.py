"""What a frame is on the wire: its exact length in bits, stuff bits included, and its place in arbitration.

Source: Bosch CAN Specification 2.0 (1991), part B, sections 3.1 (frame fields), 3.2 (arbitration), 5 (stuffing);
the same in ISO 11898-1. Bits are 0 (dominant) and 1 (recessive).

Both run over whole bytes through tables. The state of the stuffing machine is the value of the last bit and how often
it has been sent in a row (1 to 4; the fifth is followed by a stuff bit at once). CRC-15 is linear, so that each byte
of the data adds its own share, which depends on its place only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from hil.can.phy.coding import encode, from_frame
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
_LAST_7 = 256  # where the entries for 7 bits begin in a row

_Row: TypeAlias = "list[tuple[_Row, int]]"
"""One state of the stuffing machine: by the next 8 bits (or 256 + the next 7), its next state and the stuff bits."""


def measure(frame: Frame) -> tuple[int, int]:
    """The arbitration key of a frame and its length on the wire [bit], from start to end of frame.

    The lower key wins. The length has all stuff bits and no intermission.

    Raises:
        BusError: for an identifier, length or data type that classic CAN does not have.
    """
    arbitration_id, data, extended, remote, requested, _, _, _, fd, brs, esi = frame
    if data.__class__ is not bytes or (remote and data) or fd or brs or esi:
        if fd or brs or esi:
            raise BusError(_not_classic(frame))
        _header(arbitration_id, extended, remote, requested if remote else len(data))
        raise BusError(_bad_data(frame))
    return _measured(arbitration_id, data, extended, remote, requested)


def arbitration_key(arbitration_id: int, extended: bool = False, remote: bool = False) -> int:
    """What decides arbitration, lowest first: the bits of a frame from identifier to RTR, in wire order."""
    if extended:
        return (arbitration_id >> 18) << 21 | 0b11 << 19 | (arbitration_id & 0x3FFFF) << 1 | remote
    return arbitration_id << 21 | remote << 20


@lru_cache(maxsize=1024)
def _measured(arbitration_id: int, data: bytes, extended: bool, remote: bool, requested: int) -> tuple[int, int]:
    """As :func:`measure`; what goes out on two buses, or again and again, is measured once."""
    key, bits, crc, row, shares = _header(arbitration_id, extended, remote, requested if remote else len(data))
    for byte, share in zip(data, shares, strict=True):
        crc ^= share[byte]
        row, stuffed = row[byte]
        bits += stuffed
    row, stuffed = row[crc >> 7]
    return key, bits + stuffed + row[_LAST_7 | crc & 0x7F][1]


def stuffed_bits(frame: Frame) -> str:
    """The bits of a frame as they go over the wire, start of frame to CRC, as text of 0 and 1; slow.

    Raises:
        BusError: as :func:`measure`.
    """
    if frame.fd:
        return "".join(map(str, encode(from_frame(frame))))
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


class Stuffing(NamedTuple):
    """How many bits are stuffed in, and how many of them (0 or 1) behind the very last bit."""

    stuffed: int
    at_end: int


def stuff(bits: str, data: bytes = b"") -> Stuffing:
    """The stuff bits in a start of frame with what follows it, as text of 0 and 1, and whole bytes behind that."""
    state, stuffed, at_end = 0, 0, 0
    for bit in bits[1:]:
        state, at_end = _step(state, int(bit))
        stuffed += at_end
    for byte in data[:-1]:
        state, count = _steps(state, byte, 8)
        stuffed += count
    for shift in range(7, -1, -1) if data else ():
        state, at_end = _step(state, data[-1] >> shift & 1)
        stuffed += at_end
    return Stuffing(stuffed, at_end)


def first_difference(one: Frame, other: Frame) -> int:
    """The first bit after start of frame, counted from 0, in which two frames differ on the wire; -1 when in none."""
    pairs = zip(stuffed_bits(one), stuffed_bits(other), strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), -1)


@lru_cache(maxsize=4096)
def _header(
    arbitration_id: int, extended: bool, remote: bool, dlc: int
) -> tuple[int, int, int, _Row, tuple[list[int], ...]]:
    """All that the data do not change: key, bits without theirs stuffed, CRC with data of zeros, state, CRC shares."""
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
    size = 0 if remote else dlc
    crc = _crc_of(bits)
    for _ in range(size):
        crc = _next_byte(crc)
    state, stuffed = 0, 0  # start of frame: one dominant bit
    for bit in bits[1:]:
        state, extra = _step(state, int(bit))
        stuffed += extra
    length = len(bits) + 8 * size + _CRC_BITS + _TAIL_BITS + stuffed
    return arbitration_key(arbitration_id, extended, remote), length, crc, _ROWS[state], _SHARES[8 - size :]


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


def _not_classic(frame: Frame) -> str:
    name = f"frame {frame.arbitration_id:#x}"
    if frame.fd:
        return f"{name} is CAN FD, and here is classic CAN only; give the wire data_bitrate_bps, or send fd=False"
    return f"{name} is classic CAN with a rate switch or an error state; only CAN FD has those, set fd=True"


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


def _stuff_rows() -> list[_Row]:
    nibbles = [[_steps(state, bits, 4) for bits in range(16)] for state in range(_STATES)]
    rows: list[_Row] = [[] for _ in range(_STATES)]
    for state, row in enumerate(rows):
        for high in range(16):
            between, before = nibbles[state][high]
            row.extend((rows[after], before + count) for after, count in nibbles[between])
        for bits in range(1 << 7):
            after, count = _steps(state, bits, 7)
            row.append((rows[after], count))
    return rows


def _steps(state: int, bits: int, width: int) -> tuple[int, int]:
    """Send several bits, most significant first: the next state and the number of stuff bits."""
    count = 0
    for shift in range(width - 1, -1, -1):
        state, extra = _step(state, bits >> shift & 1)
        count += extra
    return state, count


def _crc_shares() -> tuple[list[int], ...]:
    """What a byte adds to the CRC, by its place from the eighth last to the last."""
    shares: list[list[int]] = [_CRC]
    for _ in range(7):
        shares.insert(0, [_next_byte(crc) for crc in shares[0]])
    return tuple(shares)


def _next_byte(crc: int) -> int:
    """The CRC after a further byte of zeros."""
    return _CRC[crc >> 7] ^ (crc & 0x7F) << 8


def _crc_table() -> list[int]:
    table: list[int] = []
    for byte in range(256):
        crc = byte << 7
        for _ in range(8):
            crc = _crc_step(crc, 0)
        table.append(crc)
    return table


_CRC = _crc_table()
_SHARES = _crc_shares()
_ROWS = _stuff_rows()
