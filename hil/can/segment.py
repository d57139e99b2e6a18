"""A stretch of wire whose nodes hear one another: arbitration, acknowledgement, error frames, recovery.

Only one event per frame is on the clock, its end. The start of the next frame is planned as soon as a frame is
queued: at once on an idle wire, after the intermission otherwise. Until the instant of that start has passed, a
frame queued with a better identifier takes its place; that is arbitration among all frames pending when the wire
becomes idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from hil.can import fd
from hil.can.bits import ACK_SLOT_FROM_END, INTERMISSION_BITS, first_difference
from hil.can.error_frames import location_of
from hil.can.frame import Frame, new_frame
from hil.can.log import WireError
from hil.can.node import BUS_OFF_FROM, PASSIVE_FROM, NodeState
from hil.clock import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.bit_segment import BitLevel
    from hil.can.error_frames import Cause
    from hil.can.faults import BusFaults, Corruption
    from hil.can.node import CanNode, Pending
    from hil.can.tally import Tally
    from hil.clock import Clock, Event

_SUSPEND_BITS = 8  # after its own frame an error-passive node leaves the wire to the others for so long
_FLAG_BITS = 6
_DELIMITER_BITS = 8
_RECOVERY_SEQUENCES = 128
_RECESSIVE_SEQUENCE_BITS = 11
_LONGEST_BITS = 200  # an extended frame of 8 bytes has at most 157, an error frame adds at most 20
_NEVER = -1
_KEYS_MAX = 4096  # identifiers whose readers are remembered; beyond that they are found anew

_Ears: TypeAlias = "tuple[tuple[CanNode, tuple[Callable[[Frame], object], ...]], ...]"
"""Nodes that accept a frame, each with the calls to make."""


class BitTime:
    """Durations on a wire, rounded to whole nanoseconds per frame (every frame synchronises anew).

    Args:
        bitrate_bps: its bit rate.
        data_bitrate_bps: that of the data phase of CAN FD frames; None for classic CAN only.
    """

    def __init__(self, bitrate_bps: int, data_bitrate_bps: int | None = None) -> None:
        self.bitrate_bps = bitrate_bps
        self.fd = data_bitrate_bps is not None
        self.ns: tuple[int, ...] | fd.Durations = (
            tuple(self.duration_ns(bits) for bits in range(_LONGEST_BITS))
            if data_bitrate_bps is None
            else fd.Durations(bitrate_bps, data_bitrate_bps)
        )
        """Duration [ns] of so many bits, or of the code of a length (:mod:`hil.can.fd`)."""

    def duration_ns(self, bits: int) -> int:
        """The duration of any number of bits [ns]."""
        return (2_000_000_000 * bits + self.bitrate_bps) // (2 * self.bitrate_bps)

    def whole_sequences(self, duration_ns: int) -> int:
        """How often eleven bits fit into a duration [ns]."""
        return max(0, duration_ns) * self.bitrate_bps // (_RECESSIVE_SEQUENCE_BITS * 1_000_000_000)


class Flight(NamedTuple):
    """The frame planned or on the wire."""

    sender: CanNode
    pending: Pending
    start_ns: int
    """Start of frame [ns]."""
    deferred: bool
    """Whether it starts later than the wire is idle, because its sender is suspended."""
    rivals: tuple[tuple[CanNode, Pending], ...]
    """Further nodes that send with the same identifier at the same time."""
    error: Cause | None = None
    """How it will fail, if it will."""
    cause: Corruption | None = None
    """The fault that makes it fail."""
    disturbed: int | None = None
    """The bit at which it will fail, start of frame = 0."""


class Segment:
    """The nodes that hear one another now, and the frame between them.

    Args:
        clock: the rig clock.
        bit_time: durations at the wire's bit rate.
        tally: counts and logs what passes here.
        faults: the faults now active on the wire.
    """

    def __init__(self, clock: Clock, bit_time: BitTime, tally: Tally, faults: BusFaults) -> None:
        self.tally = tally
        self.nodes: tuple[CanNode, ...] = ()
        """The nodes that take part: powered, not bus-off, connected here."""
        self._clock = clock
        self._bit_time = bit_time
        self.bitrate_bps = bit_time.bitrate_bps
        self._ns = bit_time.ns
        self.faults = faults
        self._idle_ns = 0
        self._joined_ns = 0
        self._flight: Flight | None = None
        self._event: Event | None = None
        self._recovering: list[tuple[CanNode, Event]] = []
        self._waiting: dict[CanNode, None] = {}  # the nodes that have something to send, in the order they asked
        self._ears: dict[int, _Ears] = {}  # by arbitration key, the nodes that accept such frames, and their calls
        self._bits: BitLevel | None = None  # the controller here that takes part bit by bit
        self._fd = bit_time.fd
        self._mixed = False  # whether frames may be CAN FD, and a node here does not know that
        self._hurt = False  # whether a receive error counter may be above zero, or the segment is mixed

    # -- what nodes call ----------------------------------------------------------------------------------

    def request(self, node: CanNode, key: int) -> None:
        """A node has queued a frame with this arbitration key."""
        self._waiting[node] = None
        flight = self._flight
        if flight is None:
            self._plan()
        elif (key <= flight.pending[0] or flight.deferred) and self._clock.now <= flight.start_ns:
            self._plan_again()

    def changed(self) -> None:
        """Queues or nodes have changed: choose again unless a frame is on the wire already."""
        self._waiting = dict.fromkeys(node for node in self.nodes if node.queue)
        self._plan_again()

    def listeners_changed(self) -> None:
        """A node accepts other frames than before."""
        self._ears = {}

    def _plan_again(self) -> None:
        if self._flight is None:
            self._plan()
        elif self._event is not None and self._clock.now <= self._flight.start_ns:
            self._event.cancel()
            self._plan()

    def in_flight(self, node: CanNode) -> Pending | None:
        """The frame of this node that is on the wire now."""
        flight = self._flight
        if flight is None or self._clock.now <= flight.start_ns:
            return None
        senders = ((flight.sender, flight.pending), *flight.rivals)
        return next((pending for sender, pending in senders if sender is node), None)

    def busy_since(self) -> int | None:
        """Start of the frame on the wire now [ns]; None when the wire is idle."""
        flight = self._flight
        return None if flight is None or self._clock.now <= flight.start_ns else flight.start_ns

    def join(self, node: CanNode) -> None:
        """A node takes part from now on; it hears only frames that start from now on."""
        node.listening_from_ns = self._joined_ns = self._clock.now
        if node not in self.nodes:
            self.nodes = (*self.nodes, node)
            self._ears = {}
        self._mixed = self._fd and not all(other.fd for other in self.nodes)
        self._hurt = self._hurt or node.rec > 0 or self._mixed
        self.changed()

    def leave(self, node: CanNode) -> None:
        """A node falls silent; a frame it is just sending is cut off and becomes an error frame for the others."""
        self.nodes = tuple(other for other in self.nodes if other is not node)
        self._waiting.pop(node, None)
        self._ears = {}
        self._mixed = self._fd and not all(other.fd for other in self.nodes)
        for recovering, event in self._recovering:
            if recovering is node:
                event.cancel()
        self._recovering = [entry for entry in self._recovering if entry[0] is not node]
        flight = self._flight
        if flight is not None and flight.sender is node and self._clock.now > flight.start_ns:
            self._cut(flight)
        else:
            self.changed()

    def start_recovery(self, node: CanNode) -> None:
        """A node in bus-off begins to count 128 times 11 recessive bits."""
        node.recessive_left = _RECOVERY_SEQUENCES
        self._await_recovery(node, max(self._idle_ns, self._clock.now))

    # -- one frame ----------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Choose the next frame: the earliest start, then the lowest key, among the heads of all queues."""
        now = self._clock.now
        idle = self._idle_ns
        if idle < now:
            idle = now
        start, key, tied = _NEVER, 0, False
        winner: CanNode | None = None
        for node in self._waiting:
            may = node.suspended_until_ns
            if may < idle:
                may = idle
            its_key = node.queue[0][0]
            if winner is None or may < start or (may == start and its_key < key):
                start, key, winner, tied = may, its_key, node, False
            elif may == start and its_key == key:
                tied = True
        if winner is None:
            self._flight = self._event = None
            return
        rivals: tuple[tuple[CanNode, Pending], ...] = ()
        if tied:
            winner, rivals = self._tied(start, key)
        flight = Flight(winner, winner.queue[0], start, start > idle, rivals)
        if rivals or len(self.nodes) == 1 or self._fd or self.faults.corrupting or self._bits is not None:
            self._plan_with_care(flight)
        else:
            self._flight = flight
            self._event = self._clock.at(start + self._ns[flight.pending[3]], self._finished, Phase.WIRE)

    def _plan_with_care(self, flight: Flight) -> None:
        """Plan a frame that may fail, or one on a wire with CAN FD."""
        if self._fd:
            flight.sender.show_state()
            flight = flight._replace(pending=flight.sender.queue[0])
        flight, bits = self._foresee(flight)
        self._flight = flight
        end = self._failed if flight.error else self._finished
        self._event = self._clock.at(flight.start_ns + self._ns[bits], end, Phase.WIRE)

    def _tied(self, start_ns: int, key: int) -> tuple[CanNode, tuple[tuple[CanNode, Pending], ...]]:
        """The nodes that start with the same identifier at the same time: the one that joined first, and the others."""
        tied = [
            node
            for node in self.nodes
            if node in self._waiting and node.queue[0][0] == key and node.suspended_until_ns <= start_ns
        ]
        return tied[0], tuple((node, node.queue[0]) for node in tied[1:])

    def _foresee(self, flight: Flight) -> tuple[Flight, int]:
        """Whether the attempt will fail, and how many bits it will take in all."""
        frame, bits = flight.pending[2], flight.pending[3]
        cause, position = self._disturbance(flight)
        alone = self._alone(flight)
        flags = _FLAG_BITS if alone else 2 * _FLAG_BITS
        if self._mixed and frame.fd and self._refused(flight):
            fdf = fd.layout(frame).fdf
            if position is None or fdf < position:
                return flight._replace(error="form", disturbed=fdf), fdf + 1 + flags + _DELIMITER_BITS
        to_ack_slot = bits - ACK_SLOT_FROM_END + 1
        if cause is not None and cause.at_receivers and not alone:  # they flag one bit later than the sender
            return flight._replace(error="crc", cause=cause), to_ack_slot + 1 + _FLAG_BITS + _DELIMITER_BITS
        if position is not None:
            reached = fd.code(frame, position + 1) if frame.fd else position + 1
            return flight._replace(error="bit", cause=cause, disturbed=position), reached + flags + _DELIMITER_BITS
        if alone:
            return flight._replace(error="ack"), to_ack_slot + flags + _DELIMITER_BITS
        return flight, bits

    def _alone(self, flight: Flight) -> bool:
        """Whether nobody but the senders can take the frame."""
        count = len(self.nodes)
        if self._mixed and flight.pending[2].fd:
            count = sum(node.fd for node in self.nodes)
        return count == 1 + len(flight.rivals)

    def _refused(self, flight: Flight) -> bool:
        """Whether a classic node flags an FD frame; once it is error-passive its flag destroys nothing."""
        return any(
            not node.fd and node.listening_from_ns <= flight.start_ns and node.state is NodeState.ERROR_ACTIVE
            for node in self.nodes
        )

    def _disturbance(self, flight: Flight) -> tuple[Corruption | None, int | None]:
        """The first bit at which the wire will not be what the sender sends, and the fault that does it."""
        _, _, frame, bits = flight.pending
        cause, position = self.faults.corrupted_bit(flight.sender.name, frame, fd.total_bits(bits))
        for _, pending in flight.rivals:
            differs = first_difference(frame, pending[2])
            if differs >= 0 and (position is None or differs < position):
                cause, position = None, differs
        return cause, position

    def _finished(self) -> None:
        """End of frame: the frame is good unless nobody was there from its start to acknowledge it."""
        flight = self._flight
        assert flight is not None
        sender, pending, start, _, rivals, _, _, _ = flight
        late = self._joined_ns > start
        if len(self.nodes) == 1 or ((late or rivals or self._mixed) and not self._acknowledged(flight)):
            self._flight = flight._replace(error="ack")
            self._event = self._clock.at(self._clock.now + self._ns[_DELIMITER_BITS], self._failed, Phase.WIRE)
            return
        now = self._clock.now
        idle = now + self._ns[INTERMISSION_BITS]
        self._settle(start, idle)
        key, _, (identifier, data, extended, remote, requested, _, _, _, fd, brs, esi), _ = pending
        stamped = (identifier, data, extended, remote, requested, start, now, sender.name, fd, brs, esi)
        frame = new_frame(Frame, stamped)
        self.tally.frame(frame, idle)
        sent = self._sent(sender, pending, frame, idle)
        confirmed = (
            [node for node, its in rivals if node in self.nodes and self._sent(node, its, frame, idle)]
            if rivals
            else ()
        )
        if sent:
            sender.confirm(frame)
        for node in confirmed:
            node.confirm(frame)
        if late or rivals or self._hurt or self.faults.dropping:
            for node in self._heard(flight, late=late):
                node.take(frame, key)
        else:
            ears = self._ears.get(key)
            for node, calls in self._listen(key) if ears is None else ears:
                if node is not sender:
                    node.received += 1
                    for fn in calls:
                        fn(frame)
        if self._waiting and self._flight is None:
            self._plan()

    def _heard(self, flight: Flight, *, late: bool) -> list[CanNode]:
        """Every node but the senders has heard a good frame, whether it accepts it or not; those that did."""
        senders = (flight.sender, *(rival for rival, _ in flight.rivals))
        heard = [
            node
            for node in self.nodes
            if node not in senders and not (late and node.listening_from_ns > flight.start_ns)
        ]
        if self._mixed and flight.pending[2].fd:
            for node in heard:
                if not node.fd:
                    node.receive_failed()
            heard = [node for node in heard if node.fd]
        for node in heard:
            node.heard_well()
        self._hurt = self._mixed or any(node.rec for node in self.nodes)
        return heard

    def _listen(self, key: int) -> _Ears:
        """The nodes that accept frames with this arbitration key; remembered until a node or a listener changes."""
        if len(self._ears) >= _KEYS_MAX:
            self._ears = {}
        found = [(node, node.calls_for(key)) for node in self.nodes]
        ears = self._ears[key] = tuple((node, calls) for node, calls in found if calls is not None)
        return ears

    def _sent(self, node: CanNode, pending: Pending, frame: Frame, idle_ns: int) -> bool:
        """A node's frame is through; False when a fault makes its controller send it once more."""
        node.transmitted(pending)
        if node.tec >= PASSIVE_FROM or node.rec >= PASSIVE_FROM:
            node.suspended_until_ns = idle_ns + self._ns[_SUSPEND_BITS]
        if self.faults.duplicating:
            key, sequence, plain, bits = pending
            if sequence > 0 and self.faults.duplicates(node.name, frame):
                node.repeat((key, -sequence, plain, bits))
                return False
        if not node.queue:
            self._waiting.pop(node, None)
        return True

    def _failed(self) -> None:
        """End of an error frame: count it, and let the sender try again."""
        flight = self._flight
        assert flight is not None
        kind, start = flight.error or "bit", flight.start_ns
        frame = flight.pending[2]
        now = self._clock.now
        idle = now + self._ns[INTERMISSION_BITS]
        self._settle(start, idle)
        if flight.cause is not None:
            flight.cause.spend()
        listening = [node for node in self.nodes if node.listening_from_ns <= start]
        senders = [node for node in (flight.sender, *(rival for rival, _ in flight.rivals)) if node in listening]
        told = [(node, node.tec, node.rec) for node in listening if node.tells_errors]
        for node in listening:
            if node not in senders:
                node.receive_failed()
                self._hurt = True
        for node in senders:
            node.transmit_failed(kind)
            if node.tec >= PASSIVE_FROM or node.rec >= PASSIVE_FROM:
                node.suspended_until_ns = idle + self._ns[_SUSPEND_BITS]
        for node in senders:
            if node.tec >= BUS_OFF_FROM:
                node.bus_off()
        if told:
            location = location_of(frame, kind, flight.disturbed)
            for node, tec, rec in told:
                node.tell_error(kind, location, sending=node in senders, before=(tec, rec))
        self._record_error(flight.sender, "ack" if kind == "crc" else kind, now, start)
        if self._flight is None:
            self._plan()

    def _record_error(self, sender: CanNode, kind: str, now: int, start_ns: int) -> None:
        state = sender.state
        passive, off = state is NodeState.ERROR_PASSIVE, state is NodeState.BUS_OFF
        self.tally.error(WireError(now, kind, sender.tec, sender.rec, passive, off), start_ns, self._idle_ns)

    def _cut(self, flight: Flight) -> None:
        """The sender has gone in the middle of its frame: the others flag a stuff error."""
        if self._event is not None:
            self._event.cancel()
        self._flight = flight._replace(error="bit")
        end = self._clock.now + self._ns[2 * _FLAG_BITS + _DELIMITER_BITS]
        self._event = self._clock.at(end, self._failed, Phase.WIRE)

    def _acknowledged(self, flight: Flight) -> bool:
        senders = [flight.sender, *(rival for rival, _ in flight.rivals)]
        by_all = not flight.pending[2].fd
        return any(
            node not in senders and node.listening_from_ns <= flight.start_ns and (by_all or node.fd)
            for node in self.nodes
        )

    # -- between frames -----------------------------------------------------------------------------------

    def _settle(self, start_ns: int, idle_ns: int) -> None:
        """A frame or error frame is over; the wire is free from ``idle_ns``."""
        before, self._idle_ns = self._idle_ns, idle_ns
        self._flight = self._event = None
        if not self._recovering:
            return
        waiting, self._recovering = self._recovering, []
        for node, event in waiting:
            event.cancel()
            # every frame and error frame ends in 11 recessive bits; before it there was idle time
            passed = 1 + self._bit_time.whole_sequences(start_ns - max(before, node.recessive_since_ns))
            node.recessive_left = max(0, (node.recessive_left or 0) - passed)
            self._await_recovery(node, idle_ns)

    def _await_recovery(self, node: CanNode, from_ns: int) -> None:
        node.recessive_since_ns = from_ns
        left = (node.recessive_left or 0) * _RECESSIVE_SEQUENCE_BITS
        due = from_ns + self._bit_time.duration_ns(left)
        self._recovering.append((node, self._clock.at(due, lambda: self._recovered(node), Phase.WIRE)))

    def _recovered(self, node: CanNode) -> None:
        flight = self._flight
        if flight is not None and flight.start_ns < self._clock.now:
            return  # the wire was busy meanwhile; its end counts what is left
        self._recovering = [entry for entry in self._recovering if entry[0] is not node]
        node.recovered()
