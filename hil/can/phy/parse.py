"""Bits as frames: what a controller reads from start of frame to end of frame, bit by bit, and what it finds wrong.

Every node on a bus parses every frame, its own too: that is how it knows where it is.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

from hil.can.phy.coding import (
    COUNT_BITS,
    CRC15,
    CRC17,
    CRC21,
    FD_LENGTHS,
    FSB_EVERY,
    MAX_RUN,
    PhyFrame,
    stuff_count,
)

if TYPE_CHECKING:
    from collections.abc import Generator

Fault: TypeAlias = Literal["bit", "stuff", "form", "crc", "ack"]
"""What a controller finds wrong with a frame, in the words of the standard."""
_Steps: TypeAlias = "Generator[Fault | None, int, None]"
_EOF_BITS = 7
_CLASSIC_MAX = 8


class Field(IntEnum):
    """Where in a frame the next bit lies."""

    ARBITRATION = 0
    CONTROL = 1
    DATA = 2
    CRC = 3
    CRC_DELIMITER = 4
    ACK = 5
    ACK_DELIMITER = 6
    EOF = 7
    DONE = 8


class Parser:
    """One frame being read; :meth:`take` is given every bit on the wire, start of frame first.

    Args:
        fd: whether it knows CAN FD; a classic controller takes the FDF bit for a form error.
    """

    def __init__(self, *, fd: bool) -> None:
        self.field = Field.ARBITRATION
        """Where the next bit lies; start of frame counts as arbitration."""
        self.index = 0
        """Place of the next bit on the wire, start of frame = 0, stuff bits counted."""
        self.next_is_stuffed = False
        """Whether the next bit is a stuff bit that follows five equal ones."""
        self.arbitration_id = 0
        self.extended = self.remote = self.is_fd = self.brs = self.esi = False
        self.dlc = 0
        self.data = b""
        self.crc_right = True
        self.acknowledged = False
        self.fast = False
        """Whether the data rate is in force from the sample point of the last bit on."""
        self.res_bit = False
        """Whether the next bit begins with the falling edge behind FDF, on which receivers synchronise hard."""
        self.header_known = False
        """Whether identifier and DLC are complete."""
        self.eof_bit = 0
        """How many bits of end of frame have been read."""
        self._knows_fd = fd
        self._stuffing = True
        self._last = 1
        self._run = 0
        self._stuffed = 0
        self._left = 0  # plain bits to the next place of interest
        self._crc15, self._crc17, self._crc21 = CRC15.start, CRC17.start, CRC21.start
        self._steps = self._frame()
        next(self._steps)

    @property
    def frame(self) -> PhyFrame:
        """The frame as read."""
        requested = self.dlc if self.remote else 0
        return PhyFrame(
            self.arbitration_id, self.data, self.extended, self.remote, requested, self.is_fd, self.brs, self.esi
        )

    @property
    def size(self) -> int:
        """Bytes of data, once the header is known."""
        return 0 if self.remote else FD_LENGTHS[self.dlc] if self.is_fd else min(self.dlc, _CLASSIC_MAX)

    def patience(self, bit: int) -> int:
        """How many bits of one value may follow before anything is seen outside; 0 where CAN FD is known.

        What may be seen is a sixth equal bit, the end of the arbitration field or the header, or the end of the CRC.
        """
        if not self._stuffing or self._knows_fd:
            return 0
        return max(0, min(MAX_RUN - (self._run if bit == self._last else 0), self._left - 1))

    def take(self, bit: int) -> Fault | None:
        """Read one bit; what is wrong with it, or None."""
        self.index += 1
        if self.next_is_stuffed:
            return self._take_stuffed(bit)
        if bit == self._last:
            self._run += 1
        else:
            self._last, self._run = bit, 1
        if self._left:
            self._left -= 1
        found = self._steps.send(bit)
        self.next_is_stuffed = self._stuffing and self._run >= MAX_RUN
        if self.field > Field.CRC and not self.next_is_stuffed:
            self._stuffing = False
        return found

    def _take_stuffed(self, bit: int) -> Fault | None:
        if bit == self._last:
            return "stuff"
        self._last, self._run = bit, 1
        self._stuffed += 1
        self.next_is_stuffed = False
        if self.field > Field.CRC:
            self._stuffing = False
        if self._knows_fd:
            self._add_fd(bit)
        return None

    # -- fields ---------------------------------------------------------------------------------------------

    def _frame(self) -> _Steps:
        """A frame, bit by bit without stuff bits: each step is given a bit and says what is wrong with it."""
        self._add((yield None))
        yield from self._arbitration()
        wrong = yield from self._control()
        if wrong is not None:
            yield wrong
        self.header_known = True
        self.field = Field.DATA
        if self.size:
            value = yield from self._number(8 * self.size)
            self.data = value.to_bytes(self.size, "big")
        if self.is_fd:
            self._stuffing = False
            self.field = Field.CRC
            wrong = yield from self._fd_crc()
            if wrong is not None:
                yield wrong
        else:
            yield from self._classic_crc()
        yield from self._tail()

    def _arbitration(self) -> Generator[Fault | None, int, None]:
        self._left = 13
        self.arbitration_id = yield from self._number(11)
        self.remote = bool((yield from self._number(1)))
        self.extended = bool((yield from self._number(1)))
        self._left = 20 if self.extended else 1  # up to the FDF bit
        if self.extended:
            low = yield from self._number(18)
            self.arbitration_id = self.arbitration_id << 18 | low
            self.remote = bool((yield from self._number(1)))

    def _control(self) -> Generator[Fault | None, int, Fault | None]:
        self.field = Field.CONTROL
        self.is_fd = bool((yield from self._number(1)))
        if self.is_fd:
            if not self._knows_fd:
                return "form"
            self.remote = False
            self.res_bit = True
            reserved = yield from self._number(1)
            self.res_bit = False
            if reserved:
                return "form"
            self.brs = self.fast = bool((yield from self._number(1)))
            self.esi = bool((yield from self._number(1)))
        else:
            self._left = 5 if self.extended else 4
            if self.extended:
                yield from self._number(1)
        self.dlc = yield from self._number(4)
        self._left = 8 * self.size + CRC15.width
        return None

    def _classic_crc(self) -> Generator[Fault | None, int, None]:
        self.field = Field.CRC
        expected = self._crc15
        found = 0
        for _ in range(CRC15.width):
            found = found << 1 | (yield None)
        self.crc_right = found == expected

    def _fd_crc(self) -> Generator[Fault | None, int, Fault | None]:
        """Stuff count and CRC, each fourth bit preceded by a fixed stuff bit."""
        kind = CRC21 if self.size > 16 else CRC17
        count, found = 0, 0
        for index in range(COUNT_BITS + kind.width):
            if index % FSB_EVERY == 0:
                before = self._last
                if (yield None) == before:
                    return "form"
            bit = yield None
            if index < COUNT_BITS:
                count = count << 1 | bit
                self._add_fd(bit)
            else:
                found = found << 1 | bit
        expected = self._crc21 if kind is CRC21 else self._crc17
        self.crc_right = found == expected and count == stuff_count(self._stuffed)
        return None

    def _tail(self) -> _Steps:
        self.field = Field.CRC_DELIMITER
        delimiter = yield None
        self.fast = False
        if not delimiter:
            yield "form"
        self.field = Field.ACK
        self.acknowledged = not (yield None)
        self.field = Field.ACK_DELIMITER
        delimiter = yield None
        if self.is_fd and not delimiter:  # an acknowledgement two bits long, or one bit late, of a distant receiver
            self.acknowledged = True
            delimiter = yield None
        if not delimiter:
            yield "form"
        self.field = Field.EOF
        if not self.crc_right:
            yield "crc"
        for bits in range(1, _EOF_BITS + 1):
            bit = yield None
            self.eof_bit = bits
            if not bit:
                yield "form"
        self.field = Field.DONE
        yield None

    # -- bits -------------------------------------------------------------------------------------------------

    def _number(self, width: int) -> Generator[Fault | None, int, int]:
        value = 0
        for _ in range(width):
            bit = yield None
            self._add(bit)
            value = value << 1 | bit
        return value

    def _add(self, bit: int) -> None:
        """A bit that the CRC covers."""
        self._crc15 = CRC15.add(self._crc15, bit)
        if self._knows_fd:
            self._add_fd(bit)

    def _add_fd(self, bit: int) -> None:
        self._crc17 = CRC17.add(self._crc17, bit)
        self._crc21 = CRC21.add(self._crc21, bit)
