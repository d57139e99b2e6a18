"""End-to-end protection: a counter and a CRC inside the data, declared in the DBC, filled by the sender, checked here.

A signal is declared by the attribute ``HilProtection``; the message may give a data identifier::

    BA_DEF_ SG_ "HilProtection" ENUM "None","Counter","Crc8";
    BA_DEF_ BO_ "HilDataId" INT 0 65535;
    BA_ "HilProtection" SG_ 256 Alive 1;
    BA_ "HilProtection" SG_ 256 Crc 2;
    BA_ "HilDataId" BO_ 256 4660;

The counter steps by one with every frame and runs from the signal's minimum to its maximum. The CRC is CRC-8 SAE
J1850 over the data identifier (high byte, low byte) and all data bytes but its own, in order. Without ``HilDataId``
the low 16 bits of the identifier stand in, so that a frame under a wrong identifier fails too. The scheme is our own
design; it follows the idea of the AUTOSAR end-to-end profiles and is compatible with none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.can.frame import Frame

_CRC8_POLYNOMIAL = 0x1D


def crc8_j1850(data: bytes) -> int:
    """CRC-8 SAE J1850: polynomial 0x1D, start value 0xFF, final inversion.

    >>> hex(crc8_j1850(b"123456789"))
    '0x4b'
    """
    crc = 0xFF
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc ^ 0xFF


def _crc8_table() -> bytes:
    table = bytearray()
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = (crc << 1 ^ _CRC8_POLYNOMIAL) & 0xFF if crc & 0x80 else crc << 1
        table.append(crc)
    return bytes(table)


_CRC8 = _crc8_table()
_BYTE = tuple(bytes([value]) for value in range(256))


@dataclass(frozen=True, slots=True)
class Counter:
    """Where a message carries its counter and how that runs."""

    signal: str
    shift: int
    """Distance of its lowest bit from the lowest bit of the data read as one number [bit]."""
    bits: int
    little_endian: bool
    first: int
    last: int

    @property
    def wheel(self) -> tuple[int, int, int]:
        """How to read it from the data as one number: shift [bit] and mask; and how many values it has."""
        return self.shift, (1 << self.bits) - 1, self.last - self.first + 1

    def after(self, value: int) -> int:
        """The counter of the next frame."""
        return self.first if value >= self.last else value + 1


@dataclass(frozen=True, slots=True)
class Protection:
    """How one message is protected; either part may be missing."""

    message: str
    data_id: int
    length: int
    """Data length [bytes]."""
    counter: Counter | None
    crc_signal: str | None
    crc_byte: int
    _begun: int = field(init=False, repr=False, compare=False)
    """The CRC after the data identifier, with which every frame begins."""
    last_sound: bytes = field(default=b"", init=False, repr=False, compare=False)
    """The data last found or made sound: they come to several receivers, on two buses."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_begun", crc8_j1850(self.data_id.to_bytes(2, "big")) ^ 0xFF)

    def crc_of(self, data: bytes) -> int:
        """The CRC these data should carry."""
        crc, own = self._begun, self.crc_byte
        for byte in data[:own] + data[own + 1 :]:
            crc = _CRC8[crc ^ byte]
        return crc ^ 0xFF

    def seal(self, data: bytes) -> bytes:
        """The data with their CRC filled in."""
        if self.crc_signal is None:
            return data
        sealed = data[: self.crc_byte] + _BYTE[self.crc_of(data)] + data[self.crc_byte + 1 :]
        object.__setattr__(self, "last_sound", sealed)
        return sealed

    def is_sound(self, data: bytes) -> bool:
        """Whether data of the right length carry the CRC they should; always, where there is none."""
        if data is self.last_sound or self.crc_signal is None:
            return True
        sound = data[self.crc_byte] == self.crc_of(data)
        if sound:
            object.__setattr__(self, "last_sound", data)
        return sound


class Rejection(Enum):
    """Why a receiver rejects a frame."""

    LENGTH = "wrong data length"
    CRC = "wrong CRC"
    REPEATED = "counter did not step"


class Receiver:
    """The receiving end of one stream of a protected message; keep one per message and bus.

    A message without protection passes every frame of the right length.
    """

    def __init__(self, protection: Protection) -> None:
        self.protection = protection
        self.accepted = 0
        self.lost = 0
        """Frames missing between accepted ones, by the counter."""
        self.repeated = 0
        self.crc_errors = 0
        self.last_gap = 0
        """Frames missing just before the last accepted one."""
        self._last: int | None = None
        counter = protection.counter
        self._counts = counter is not None
        self._order: Literal["little", "big"] = "little" if counter is None or counter.little_endian else "big"
        self._shift, self._mask, self._turn = (0, 0, 1) if counter is None else counter.wheel

    def check(self, frame: Frame) -> Rejection | None:
        """Check one frame: None to use it, otherwise why not. After lost frames the next good one is used."""
        data, protection = frame[1], self.protection
        if len(data) != protection.length:
            return Rejection.LENGTH
        if data is not protection.last_sound and not protection.is_sound(data):
            self.crc_errors += 1
            return Rejection.CRC
        self.last_gap = 0
        if self._counts:
            value = int.from_bytes(data, self._order) >> self._shift & self._mask
            if self._last is not None:
                steps = (value - self._last) % self._turn
                if steps == 0:
                    self.repeated += 1
                    return Rejection.REPEATED
                self.last_gap = steps - 1
                self.lost += self.last_gap
            self._last = value
        self.accepted += 1
        return None


class Sender:
    """The sending end of one stream of a message: every frame carries the next counter value and its CRC.

    Args:
        encode: makes a frame of signals and a counter value.
        counter: how the counter runs; None when the message has none.
    """

    def __init__(
        self, encode: Callable[[Mapping[str, float | int | str], int], Frame], counter: Counter | None
    ) -> None:
        self._encode = encode
        self._counter = counter
        self._next = counter.first if counter is not None else 0

    def frame(self, signals: Mapping[str, float | int | str]) -> Frame:
        """The next frame of the stream.

        Raises:
            BusError: for a signal that is missing, unknown or out of range.
        """
        frame = self._encode(signals, self._next)
        if self._counter is not None:
            self._next = self._counter.after(self._next)
        return frame
