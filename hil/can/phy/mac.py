"""A CAN controller from bit to bit: arbitration, acknowledgement, error and overload frames, interframe space.

It knows bits and no time: at the start of a bit it says what it drives, at the sample point it is told what is there.
Source: Bosch CAN Specification 2.0 (1991), part B; ISO 11898-1:2015, section 10.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hil.can.bits import INTERMISSION_BITS
from hil.can.phy.coding import PhyFrame, encode
from hil.can.phy.confinement import BUS_OFF_FROM, Counters
from hil.can.phy.events import (
    ArbitrationLost,
    ErrorFound,
    ErrorOver,
    HeaderRead,
    Overloaded,
    Received,
    Sent,
    StandingChanged,
    Started,
)
from hil.can.phy.parse import Field, Parser

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.phy.events import Event
    from hil.can.phy.parse import Fault

_FLAG_BITS = 6
_DELIMITER_BITS = 8
_SUSPEND_BITS = 8
_INTEGRATION_BITS = 11
_RECOVERY_SEQUENCES = 128
_TOLERATED = 8  # so many dominant bits behind a flag count as a further error, and so do each eight more
_EOF_BITS = 7
_EVER = 1 << 30


class Mac:
    """One controller, bit by bit; it begins by waiting for 11 recessive bits.

    Args:
        fd: whether it knows CAN FD.
        counters: its error counters.
        retransmit: whether a frame that was destroyed or lost arbitration is sent again.
        auto_recover: whether it leaves bus-off by itself after 128 times 11 recessive bits.
        integrated: whether it knows that the bus is idle, and need not wait at first.
    """

    def __init__(
        self,
        *,
        fd: bool = True,
        counters: Counters | None = None,
        retransmit: bool = True,
        auto_recover: bool = True,
        integrated: bool = False,
    ) -> None:
        self.counters = counters or Counters()
        self.queue: deque[PhyFrame] = deque()
        """Frames to send."""
        self.told: list[Event] = []
        """What has happened since somebody last looked and cleared it."""
        self.level = 1
        """What it drives in this bit."""
        self.sending = False
        """Whether it is the transmitter of the frame on the bus, or of the one just ended."""
        self.listen_only = False
        """Whether it never drives, and counts no error."""
        self.acknowledges_itself = False
        """Whether it drives the acknowledge slot of its own frames: for a controller that stands for several."""
        self.overloads = 0
        """Overload frames to send before the next frame; the standard allows two."""
        self.disturb_at: int | None = None
        """The bit of the present or next frame that is to be disturbed on the bus, start of frame = 0."""
        self.disturbing = False
        """Whether this is that bit."""
        self.parser = Parser(fd=fd)
        self._fd = fd
        self._retransmit = retransmit
        self._auto_recover = auto_recover
        self._standing = self.counters.standing
        self._wire: list[int] = []
        self._next = 1
        self._state: Callable[[int], None] = self._idle if integrated else self._integrating
        self._left = _INTEGRATION_BITS
        self._sequences = 0
        self._run = 0
        self._run_of = 1
        self._dominants = 0
        self._is_overload = False
        self._unacknowledged = False

    # -- what the bit timing asks -----------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing happens until an edge comes or a frame is queued."""
        return self._state == self._idle and (not self.queue or self.listen_only)

    @property
    def between_frames(self) -> bool:
        """Whether a falling edge would be a start of frame (or a late overload flag), so that it restarts the bit."""
        if self._state == self._intermission:
            return self._left < INTERMISSION_BITS
        return self._state in (self._idle, self._suspend, self._integrating, self._off)

    @property
    def can_start(self) -> bool:
        """Whether a frame queued now starts with the next bit."""
        return self._state == self._idle

    @property
    def in_frame(self) -> bool:
        """Whether it is between start and end of a frame, no error flag sent."""
        return self._state == self._in_frame

    @property
    def off(self) -> bool:
        """Whether it is bus-off."""
        return self._state == self._off

    @property
    def fast(self) -> bool:
        """Whether the data rate of CAN FD is in force."""
        return self._state == self._in_frame and self.parser.fast

    def patience(self, level: int) -> tuple[int, int]:
        """How long the bus may stay as it is before this controller must look.

        Args:
            level: the bus now.

        Returns:
            The number of samples that need not be looked at, and the number of bits, from the next sample on, in which
            it drives what it drives now.
        """
        if self._state == self._in_frame and not self._fd and self.level == self._next and self.disturb_at is None:
            if not self.sending:
                return self.parser.patience(level), _EVER
            if level == self.level:
                return self.parser.patience(level), self._same_ahead()
        if self._state == self._off:
            left = self._sequences * _INTEGRATION_BITS - self._run - 1
            return (left if level else _EVER) if self._sequences else _EVER, _EVER
        return 0, 0

    def _same_ahead(self) -> int:
        """In how many bits, from the next sample on, it drives the same level."""
        wire, place = self._wire, self.parser.index
        count = 0
        while place + count < len(wire) and wire[place + count] == self.level:
            count += 1
        return count

    def begin_bit(self) -> int:
        """A bit begins: what is driven in it."""
        if self._state == self._idle and self.queue and not self.listen_only:
            self._begin(own=True)
        self.level = 1 if self.listen_only else self._next
        self.disturbing = self.disturb_at is not None and self.in_frame and self.parser.index == self.disturb_at
        return self.level

    def sample(self, bus: int) -> None:
        """The sample point: what is on the bus."""
        self._next = 1
        self._state(bus)
        standing = self.counters.standing
        if standing != self._standing:
            self._standing = standing
            self.told.append(StandingChanged(standing))

    # -- what a user asks -------------------------------------------------------------------------------------

    def take_over(self, frame: PhyFrame) -> None:
        """Begin a frame with the next bit, whatever was before."""
        self.queue.clear()
        self.queue.append(frame)
        self._state = self._idle

    def abandon(self) -> None:
        """Fall silent: what is queued or being sent is forgotten, what is on the bus is read on."""
        self.queue.clear()
        self.sending = False
        self._next = 1

    def recover(self) -> None:
        """Leave bus-off after 128 times 11 recessive bits from now; needed only without ``auto_recover``."""
        if self.off and not self._sequences:
            self._sequences = _RECOVERY_SEQUENCES
            self._run = 0

    # -- between frames ---------------------------------------------------------------------------------------

    def _integrating(self, bus: int) -> None:
        self._left = self._left - 1 if bus else _INTEGRATION_BITS
        if not self._left:
            self._state = self._idle

    def _idle(self, bus: int) -> None:
        if not bus:
            self._begin(own=False)

    def _intermission(self, bus: int) -> None:
        self._left -= 1
        if not bus:
            if self._left:
                self._overload()
            else:
                self._begin(own=False)
        elif not self._left:
            if self.sending and self.counters.suspends:
                self._state, self._left = self._suspend, _SUSPEND_BITS
            else:
                self._state = self._idle

    def _suspend(self, bus: int) -> None:
        self._left -= 1
        if not bus:
            self.sending = False
            self._begin(own=False, may_join=False)
        elif not self._left:
            self._state = self._idle

    def _rest(self) -> None:
        """A frame, an error frame or an overload frame has ended: intermission."""
        self._state, self._left = self._intermission, INTERMISSION_BITS
        if self.overloads:
            self.overloads -= 1
            self._overload()

    def _off(self, bus: int) -> None:
        if not self._sequences:
            return
        self._run = self._run + 1 if bus else 0
        if self._run == _INTEGRATION_BITS:
            self._run = 0
            self._sequences -= 1
            if not self._sequences:
                self.counters.clear()
                self._state = self._idle

    # -- a frame ----------------------------------------------------------------------------------------------

    def _begin(self, *, own: bool, may_join: bool = True) -> None:
        """A frame begins: with the next bit when it is our own start of frame, else it has just been sampled."""
        self.sending = bool(self.queue) and not self.listen_only and may_join
        if self.sending:
            frame = self.queue[0]
            self._wire = encode(frame._replace(esi=True) if frame.fd and self.counters.passive else frame)
        self.parser = Parser(fd=self._fd)
        self._state = self._in_frame
        self._next = 0 if own else 1
        if not own:
            self.parser.take(0)
            self._choose_next()
        self.told.append(Started(own, self.sending))

    def _choose_next(self) -> None:
        """What is driven in the next bit of the frame."""
        parser = self.parser
        if self.sending:
            place = parser.index
            if place < len(self._wire):
                self._next = self._wire[place]
            elif parser.field is Field.ACK and self.acknowledges_itself:
                self._next = 0
        elif parser.field is Field.ACK and parser.crc_right:
            self._next = 0

    def _in_frame(self, bus: int) -> None:
        parser = self.parser
        field, stuffed, known = parser.field, parser.next_is_stuffed, parser.header_known
        fault = parser.take(bus)
        if bus != self.level:
            fault = self._differs(field, fault, stuffed=stuffed)
        if fault is None and self.sending and not parser.acknowledged:
            slot = Field.ACK_DELIMITER if parser.is_fd else Field.ACK
            fault = "ack" if field is slot else None
        if fault is None:
            if parser.header_known and not known:
                self.told.append(HeaderRead(parser.frame, parser.size))
            if parser.eof_bit == _EOF_BITS:
                self._end(overload=False)
            else:
                self._choose_next()
        elif fault == "form" and parser.eof_bit == _EOF_BITS and not self.sending:
            self._end(overload=True)
        else:
            self._fail(fault, parser.index - 1, spared=fault == "stuff" and field is Field.ARBITRATION)

    def _differs(self, field: Field, fault: Fault | None, *, stuffed: bool) -> Fault | None:
        """The bus is not what we drive: what that means."""
        if not self.sending:
            return fault if self.level else "bit"
        if self.level:
            if field is Field.ARBITRATION:
                if stuffed:
                    return fault
                self.sending = False
                self.told.append(ArbitrationLost(self.queue[0]))
                if not self._retransmit:
                    self.queue.popleft()
                return fault
            if field is Field.ACK or (field is Field.ACK_DELIMITER and self.parser.is_fd):
                return fault
        return "bit"

    def _end(self, *, overload: bool) -> None:
        """End of a good frame."""
        self.disturb_at = None
        if self.sending:
            self.counters.sent_well()
            self.told.append(Sent(self.queue.popleft()))
        else:
            if not self.listen_only:
                self.counters.heard_well()
            self.told.append(Received(self.parser.frame, self.parser.acknowledged))
        if overload:
            self._overload()
        else:
            self._rest()

    # -- error and overload frames ----------------------------------------------------------------------------

    def _fail(self, fault: Fault, index: int, *, spared: bool = False, count: int | None = None) -> None:
        """Something is wrong: count it, and flag it with the next bit.

        Args:
            fault: what is wrong.
            index: where in the frame.
            spared: whether a transmitter is not blamed: its recessive stuff bit lost against another's identifier.
            count: what is counted; by default 8 for a transmitter and 1 for a receiver.
        """
        self.told.append(ErrorFound(fault, self.sending, index))
        passive = self.counters.passive
        self._unacknowledged = fault == "ack" and passive
        if not (self.listen_only or self._unacknowledged or (spared and self.sending)):
            self.counters.blame(count or (8 if self.sending else 1), sending=self.sending)
        if self.sending and self.queue and not self._retransmit:
            self.queue.popleft()
        if self.in_frame:
            self.disturb_at = None
        if self.counters.tec >= BUS_OFF_FROM:
            self._go_off()
        else:
            self._flag(passive=passive)

    def _go_off(self) -> None:
        self.queue.clear()
        self.sending = False
        self._state, self._run = self._off, 0
        self._sequences = _RECOVERY_SEQUENCES if self._auto_recover else 0

    def _overload(self) -> None:
        self.told.append(Overloaded())
        self._is_overload = True
        self._flag(passive=False, overload=True)

    def _flag(self, *, passive: bool, overload: bool = False) -> None:
        self._is_overload = overload
        self._dominants = self._run = 0
        self._left = _FLAG_BITS
        if self.listen_only:
            self._state = self._behind_flag
        else:
            self._state = self._passive_flag if passive else self._active_flag
            self._next = 1 if passive else 0

    def _active_flag(self, bus: int) -> None:
        if bus:
            self._fail("bit", -1, count=8)
            return
        self._left -= 1
        if self._left:
            self._next = 0
        else:
            self._state = self._behind_flag

    def _passive_flag(self, bus: int) -> None:
        """Recessive for as long as it takes to see six equal bits."""
        if not bus and self._unacknowledged:
            self._unacknowledged = False
            self.counters.blame(8, sending=True)
        self._run = self._run + 1 if bus == self._run_of else 1
        self._run_of = bus
        if self._run >= _FLAG_BITS:
            self._state = self._behind_flag

    def _behind_flag(self, bus: int) -> None:
        """Others may still be flagging: wait for a recessive bit."""
        if bus:
            self._state, self._left = self._delimiter, _DELIMITER_BITS - 1
            return
        self._dominants += 1
        if self.listen_only:
            return
        if self._dominants == 1 and not self.sending and not self._is_overload:
            self.counters.blame(8, sending=False)
        if self._dominants % _TOLERATED == 0:
            self.counters.blame(8, sending=self.sending)
        if self.counters.tec >= BUS_OFF_FROM:
            self._go_off()

    def _delimiter(self, bus: int) -> None:
        self._left -= 1
        if not bus:
            if self._left:
                self._fail("form", -1)
            else:
                self._over()
                self._overload()
        elif not self._left:
            self._over()
            self._rest()

    def _over(self) -> None:
        if not self._is_overload:
            self.told.append(ErrorOver())
