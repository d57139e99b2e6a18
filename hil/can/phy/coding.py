"""Frames as bits: what a transmitter sends from start of frame to CRC, classic and CAN FD.

Bits are 0 (dominant) and 1 (recessive). Source: ISO 11898-1:2015, sections 10.4 (frames), 10.5 (stuffing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hil.can.frame import Frame
from hil.errors import BusError

TAIL_BITS = 10
"""CRC delimiter, ACK slot, ACK delimiter, 7 bits end of frame: never stuffed."""
MAX_RUN = 5
"""After so many equal bits one of the other value is stuffed in."""
FD_LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
"""Bytes of data by the DLC of a CAN FD frame."""
_CRC17_UP_TO = 16
FSB_EVERY = 4
"""Bits between two fixed stuff bits in the CRC field of an FD frame."""
COUNT_BITS = 4
"""The stuff count and its parity."""


class PhyFrame(NamedTuple):
    """A frame of any kind, classic or FD, data or remote."""

    arbitration_id: int
    data: bytes = b""
    extended: bool = False
    remote: bool = False
    requested: int = 0
    """DLC of a remote frame."""
    fd: bool = False
    brs: bool = False
    """Whether the data phase has the faster bit rate."""
    esi: bool = False
    """Error state indicator: sent recessive, also when the sender is error-passive."""

    @property
    def dlc(self) -> int:
        """The data length code."""
        if self.remote:
            return self.requested
        return FD_LENGTHS.index(len(self.data)) if self.fd else len(self.data)


def from_frame(frame: Frame) -> PhyFrame:
    """A frame as one for the wire."""
    return PhyFrame(
        frame.arbitration_id, frame.data, frame.extended, frame.remote, frame.requested, frame.fd, frame.brs, frame.esi
    )


def to_frame(frame: PhyFrame, *, start_ns: int = 0, at_ns: int = 0, sender: str = "") -> Frame:
    """A classic frame from the wire, with its times [ns].

    Raises:
        BusError: for a CAN FD frame.
    """
    if frame.fd:
        raise BusError(f"frame {frame.arbitration_id:#x} is CAN FD; a frame of a classic bus is asked for")
    return Frame(
        frame.arbitration_id, frame.data, frame.extended, frame.remote, frame.requested, start_ns, at_ns, sender
    )


@dataclass(frozen=True, slots=True)
class CrcKind:
    """A cyclic redundancy check: its width [bit], its polynomial without the highest power, and its start value."""

    width: int
    polynomial: int
    start: int

    def add(self, crc: int, bit: int) -> int:
        """The value after one more bit."""
        feedback = crc >> (self.width - 1) ^ bit
        crc = crc << 1 & ((1 << self.width) - 1)
        return crc ^ self.polynomial if feedback else crc


CRC15 = CrcKind(15, 0x4599, 0)
"""Classic frames."""
CRC17 = CrcKind(17, 0x1685B, 1 << 16)
"""FD frames of up to 16 bytes."""
CRC21 = CrcKind(21, 0x102899, 1 << 20)
"""FD frames of more than 16 bytes."""


def fd_crc(size: int) -> CrcKind:
    """The check of an FD frame with so many bytes of data."""
    return CRC17 if size <= _CRC17_UP_TO else CRC21


def stuff_count(stuffed: int) -> int:
    """The four bits in which an FD frame says how many bits were stuffed: modulo 8, Gray-coded, with even parity.

    >>> [f"{stuff_count(n):04b}" for n in range(8)]
    ['0000', '0011', '0110', '0101', '1100', '1111', '1010', '1001']
    """
    gray = stuffed % 8 ^ stuffed % 8 >> 1
    return gray << 1 | gray.bit_count() & 1


def encode(frame: PhyFrame) -> list[int]:
    """The bits of a frame from start of frame to the end of its CRC, stuff bits included.

    Raises:
        BusError: for a frame that CAN does not have.
    """
    check(frame)
    plain = [int(bit) for bit in _header(frame) + "".join(f"{byte:08b}" for byte in frame.data)]
    if frame.fd:
        return _encode_fd(frame, plain)
    crc = CRC15.start
    for bit in plain:
        crc = CRC15.add(crc, bit)
    plain += _bits(crc, CRC15.width)
    wire, _ = _stuffed(plain)
    return wire + ([1 - wire[-1]] if _run(wire) == MAX_RUN else [])


def check(frame: PhyFrame) -> None:
    """Refuse a frame that CAN does not have.

    Raises:
        BusError: with what is wrong with it.
    """
    limit = 0x1FFFFFFF if frame.extended else 0x7FF
    name = f"frame {frame.arbitration_id:#x}"
    if not 0 <= frame.arbitration_id <= limit:
        kind = "extended" if frame.extended else "standard"
        raise BusError(f"{name}: the identifier of a {kind} frame is 0 to {limit:#x}")
    if frame.fd and (frame.remote or len(frame.data) not in FD_LENGTHS):
        raise BusError(
            f"{name} is CAN FD with {'a remote request' if frame.remote else f'{len(frame.data)} bytes'}; an FD frame "
            f"is a data frame of {', '.join(map(str, FD_LENGTHS))} bytes"
        )
    if not frame.fd and (len(frame.data) > 8 or not 0 <= frame.requested <= 15 or frame.brs or frame.esi):
        raise BusError(f"{name}: a classic frame has 0 to 8 bytes, no rate switch and no error state; set fd=True")
    if frame.remote and frame.data:
        raise BusError(f"{name} is a remote frame with {len(frame.data)} bytes; it carries none, set requested=")


def _header(frame: PhyFrame) -> str:
    """Start of frame, arbitration and control field, not stuffed."""
    ident, remote = frame.arbitration_id, int(frame.remote)
    if frame.extended:
        text = f"0{ident >> 18:011b}11{ident & 0x3FFFF:018b}{remote}"
        text += f"10{frame.brs:d}{frame.esi:d}" if frame.fd else "00"
    else:
        text = f"0{ident:011b}{remote}0"
        text += f"10{frame.brs:d}{frame.esi:d}" if frame.fd else "0"
    return f"{text}{frame.dlc:04b}"


def _encode_fd(frame: PhyFrame, plain: list[int]) -> list[int]:
    wire, stuffed = _stuffed(plain)
    kind = fd_crc(len(frame.data))
    crc = kind.start
    count = _bits(stuff_count(stuffed), COUNT_BITS)
    for bit in [*wire, *count]:
        crc = kind.add(crc, bit)
    for index, bit in enumerate([*count, *_bits(crc, kind.width)]):
        if index % FSB_EVERY == 0:
            wire.append(1 - wire[-1])
        wire.append(bit)
    return wire


def _stuffed(plain: list[int]) -> tuple[list[int], int]:
    """The bits with stuff bits between them, none after the last, and how many were stuffed."""
    wire: list[int] = []
    for bit in plain:
        if _run(wire) == MAX_RUN:
            wire.append(1 - wire[-1])
        wire.append(bit)
    return wire, len(wire) - len(plain)


def _run(wire: list[int]) -> int:
    """How many equal bits there are at the end, at most five."""
    run = 0
    for bit in wire[: -MAX_RUN - 1 : -1]:
        if bit != wire[-1]:
            break
        run += 1
    return run


def _bits(value: int, width: int) -> list[int]:
    return [value >> shift & 1 for shift in range(width - 1, -1, -1)]
