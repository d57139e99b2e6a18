"""A stretch of wire on which one controller takes part bit by bit, beside nodes that know frames only.

That controller is somewhere else, in a simulator with its RTL or on a real bus; a :class:`BitLevel` stands for it here.
While it is on a segment the nodes' frames are played to it at bit level, and what became of them is what it says:
acknowledged, destroyed, arbitration lost. Its own frames begin when it says so, and are on the wire as any other.
Without one a segment is what :class:`hil.can.segment.Segment` is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from hil.can.bits import ACK_SLOT_FROM_END, INTERMISSION_BITS, measure
from hil.can.frame import Frame
from hil.can.node import NodeState
from hil.can.segment import BitTime, Flight, Segment
from hil.clock import Phase
from hil.errors import BusError

if TYPE_CHECKING:
    from hil.can.faults import BusFaults
    from hil.can.node import CanNode
    from hil.can.tally import Tally
    from hil.clock import Clock

_STANDARD_BITS = 44  # a standard frame without data and stuff bits
_EXTENDED_BITS = 64
_UNKNOWN = (0, 0, Frame(0), 0)  # what stands for a frame that is not known yet


@dataclass(frozen=True, slots=True)
class Company:
    """What the nodes on a segment are, together, to the controller that takes part bit by bit."""

    bitrate_bps: int
    present: bool = False
    """Whether there is any: they acknowledge its frames and flag errors."""
    passive: bool = False
    """Whether all of them are error-passive."""
    disturbed: bool = False
    """Whether a fault may want to flip a bit of its frames, and must be shown their headers."""


class BitLevel(Protocol):
    """The controller that takes part bit by bit, as its segment sees it. Times are rig time in ns."""

    @property
    def node(self) -> CanNode:
        """Its place on the wire."""
        ...

    @property
    def live(self) -> bool:
        """Whether it can take part now: it has power."""
        ...

    def play(self, frame: Frame, start_ns: int, *, acknowledged: bool, disturbed: int | None) -> None:
        """Play a frame of the other nodes to it.

        Args:
            frame: the frame.
            start_ns: its start, which may have passed [ns].
            acknowledged: whether one of the other nodes acknowledges it.
            disturbed: a bit to be flipped, start of frame = 0.
        """
        ...

    def disturb(self, bit: int) -> None:
        """Flip one bit of the frame it is sending."""
        ...

    def cut(self) -> None:
        """The sender of the frame being played is gone."""
        ...

    def meet(self, company: Company) -> None:
        """Who else is there, from now on."""
        ...


class Seat:
    """The one place for such a controller on a wire.

    Args:
        bus: the wire's name.
        fd: whether the wire has CAN FD.
    """

    def __init__(self, bus: str, *, fd: bool = False) -> None:
        self._bus = bus
        self._fd = fd
        self._taken = ""

    def take(self, node: str) -> None:
        """Take it.

        Raises:
            BusError: when another node has it, or the wire has CAN FD.
        """
        if self._fd:
            raise BusError(
                f"bus {self._bus}: {node} takes part at bit level, which is classic CAN only, and the bus has CAN FD; "
                "leave data_bitrate_bps out, or give the node a model"
            )
        if self._taken and self._taken != node:
            raise BusError(
                f"bus {self._bus}: {self._taken} takes part at bit level already, so {node} cannot: one controller in "
                "RTL per bus; give the other one a model, or a bus of its own"
            )
        self._taken = node


class BitSegment(Segment):
    """A segment that one controller may join at bit level.

    Args:
        clock: the rig clock.
        bit_time: durations at the wire's bit rate.
        tally: counts and logs what passes here.
        faults: the faults now active on the wire.
        seat: the place for such a controller.
    """

    def __init__(self, clock: Clock, bit_time: BitTime, tally: Tally, faults: BusFaults, seat: Seat) -> None:
        super().__init__(clock, bit_time, tally, faults)
        self.seat = seat
        self._launched = False  # whether the flight is at bit level
        self._company: Company | None = None

    # -- membership -------------------------------------------------------------------------------------------

    def join(self, node: CanNode) -> None:
        """A node takes part from now on; it hears only frames that start from now on."""
        super().join(node)
        if node.bits is not None:
            self.go_live(node.bits)
        self._meet()

    def leave(self, node: CanNode) -> None:
        """A node falls silent; a frame it is just sending is cut off and becomes an error frame for the others."""
        if node.bits is not None:
            self.go_dead(node.bits)
        super().leave(node)
        self._meet()

    def go_live(self, bits: BitLevel) -> None:
        """The controller of a node on this segment is at bit level from now on, if it has power."""
        if self._bits is bits or not bits.live or bits.node not in self.nodes:
            return
        self._bits = bits
        self._meet()
        flight = self._flight
        if flight is None or self._event is None:
            return
        if self._clock.now <= flight.start_ns:
            self._event.cancel()
            self._plan()
        elif flight.sender in self.nodes and self._clock.now < self._ack_slot_ns(flight):
            self._event.cancel()
            self._launch()

    def _ack_slot_ns(self, flight: Flight) -> int:
        """When its acknowledge slot begins [ns]."""
        return flight.start_ns + self._ns[flight.pending[3] - ACK_SLOT_FROM_END]

    def go_dead(self, bits: BitLevel) -> None:
        """A controller has lost its power, or its place here; what the others are sending goes on by the clock."""
        if self._bits is not bits:
            return
        self._bits = self._company = None
        flight, launched, self._launched = self._flight, self._launched, False
        if flight is None:
            return
        if launched and flight.sender is bits.node:
            self._cut(flight)
        elif launched:
            bits.cut()
            self._resume(flight)
        elif self._event is not None:
            self._event.cancel()
            self._plan()

    def _resume(self, flight: Flight) -> None:
        """A frame that was played goes on without anybody to play it to."""
        if self._event is not None:
            return  # its outcome is known already
        foreseen, bits = self._foresee(flight._replace(disturbed=None))
        self._flight = foreseen
        due_ns = max(self._clock.now, flight.start_ns + self._ns[bits])
        self._event = self._clock.at(due_ns, self._failed if foreseen.error else self._finished, Phase.WIRE)

    def _meet(self) -> None:
        """Tell the controller who is here, when that has changed."""
        bits = self._bits
        if bits is None:
            return
        others = [node for node in self.nodes if node is not bits.node]
        company = Company(
            self.bitrate_bps,
            present=bool(others),
            passive=all(node.state is NodeState.ERROR_PASSIVE for node in others),
            disturbed=bool(self.faults.corrupting),
        )
        if company != self._company:
            self._company = company
            bits.meet(company)

    def changed(self) -> None:
        """Queues, nodes or faults have changed: choose again unless a frame is on the wire already."""
        super().changed()
        self._meet()

    # -- frames of the nodes ----------------------------------------------------------------------------------

    def _plan_with_care(self, flight: Flight) -> None:
        if self._bits is None:
            super()._plan_with_care(flight)
            return
        cause, position = self._disturbance(flight)
        self._flight = flight._replace(cause=cause, disturbed=position)
        self._event = self._clock.at(flight.start_ns + 1, self._launch, Phase.WIRE)  # then the choice is final

    def _launch(self) -> None:
        """The start of the planned frame has passed: play it."""
        flight, bits = self._flight, self._bits
        assert flight is not None
        assert bits is not None
        self._event = None
        self._launched = True
        self._flight = flight._replace(error=None)
        senders = (flight.sender, bits.node, *(rival for rival, _ in flight.rivals))
        heard = any(node not in senders and node.listening_from_ns <= flight.start_ns for node in self.nodes)
        bits.play(flight.pending[2], flight.start_ns, acknowledged=heard, disturbed=flight.disturbed)

    def _cut(self, flight: Flight) -> None:
        if self._bits is not None and self._launched and self._event is None:
            self._flight = flight._replace(error="bit")
            self._bits.cut()
        else:
            super()._cut(flight)

    def _acknowledged(self, flight: Flight) -> bool:
        return self._launched or super()._acknowledged(flight)

    # -- what the controller says -----------------------------------------------------------------------------

    def began(self, start_ns: int, *, joined: bool) -> None:
        """Its start of frame was seen; ``joined`` when the frame being played takes part in the arbitration."""
        if self._bits is None or (joined and self._launched):
            return
        if self._event is not None:
            self._event.cancel()
            self._event = None
        self._launched = True
        self._flight = Flight(self._bits.node, _UNKNOWN, start_ns, deferred=False, rivals=())

    def won(self) -> None:
        """It has won arbitration against the frame being played, which waits."""
        flight = self._flight
        if self._bits is not None and self._launched and flight is not None:
            self._flight = Flight(self._bits.node, _UNKNOWN, flight.start_ns, deferred=False, rivals=())

    def header(self, frame: Frame, size: int) -> None:
        """The header of its frame is known: a fault may choose a bit to flip.

        Args:
            frame: identifier and kind, without data.
            size: bytes of data that follow.
        """
        flight = self._flight
        if self._bits is None or flight is None or flight.sender is not self._bits.node:
            return
        shown = frame if frame.remote else frame._replace(data=bytes(size))
        bits = (_EXTENDED_BITS if frame.extended else _STANDARD_BITS) + 8 * len(shown.data)
        cause, position = self.faults.corrupted_bit(flight.sender.name, shown, bits)
        if position is not None:
            self._flight = flight._replace(cause=cause)
            self._bits.disturb(position)

    def ended(self, start_ns: int, end_ns: int, frame: Frame | None, error: Literal["bit", "ack"] | None) -> None:
        """A frame is over, or will be at ``end_ns`` [ns]: its own (``frame``) or the one being played, good or not."""
        flight = self._flight
        if not self._launched or flight is None or self._event is not None:
            return
        if frame is not None:
            key, bits = measure(frame)
            flight = flight._replace(pending=(key, 0, frame, bits))
        self._flight = flight._replace(start_ns=start_ns, error=error or flight.error)
        self._event = self._clock.at(max(end_ns, self._clock.now), self._over, Phase.WIRE)

    def _over(self) -> None:
        flight, bits = self._flight, self._bits
        assert flight is not None
        if flight.error is not None:
            self._launched = False
            self._failed()
        elif bits is not None and flight.sender is bits.node:
            self._launched = False
            self._foreign_finished(flight)
        else:
            self._finished()
            self._launched = False
        self._meet()

    def _foreign_finished(self, flight: Flight) -> None:
        """End of a good frame of the controller at bit level."""
        sender, (key, _, frame, _), start, *_ = flight
        now = self._clock.now
        idle = now + self._ns[INTERMISSION_BITS]
        self._settle(start, idle)
        frame = frame._replace(start_ns=start, at_ns=now, sender=sender.name)
        self.tally.frame(frame, idle)
        sender.was_heard()
        sender.confirm(frame)
        for node in self._heard(flight, late=self._joined_ns > start):
            node.take(frame, key)
        if self._waiting and self._flight is None:
            self._plan()
