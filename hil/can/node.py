"""A CAN controller on a simulated wire: transmit queue, error counters, error-active, error-passive, bus-off.

Source: Bosch CAN Specification 2.0 (1991), part B, section 8 (fault confinement); the same in ISO 11898-1.
Simplified: a receiver counts 1 for every error frame, never 8 for being the first to flag it.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from enum import Enum
from threading import get_ident
from typing import TYPE_CHECKING, Literal, TypeAlias

from hil.can.bits import arbitration_key, measure
from hil.can.error_frames import ErrorSeen, kind_seen, level_of
from hil.can.fd import measure_any
from hil.clock import Phase
from hil.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hil.can.bit_segment import BitLevel, BitSegment
    from hil.can.error_frames import Cause
    from hil.can.frame import Frame
    from hil.clock import Clock

PASSIVE_FROM = 128
BUS_OFF_FROM = 256
_REC_AFTER_PASSIVE = 120  # a receive error counter above 127 falls to 119..127 with the next good frame
_REC_MAX = 255

Pending: TypeAlias = "tuple[int, int, Frame, int]"
"""A queued frame: arbitration key, sequence number, frame, length on the wire [bit]."""


class NodeState(Enum):
    """What a controller may do on the wire."""

    ERROR_ACTIVE = "error-active"
    ERROR_PASSIVE = "error-passive"
    BUS_OFF = "bus-off"
    UNPOWERED = "unpowered"
    DETACHED = "detached"


_ACTIVE = NodeState.ERROR_ACTIVE


class CanNode:
    """One controller on a :class:`hil.can.wire.CanWire`; made by its ``attach``, callback style.

    ``tec``, ``rec`` and the counts are for reading. The attributes below ``# the wire's side`` belong to the wire.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        segment: BitSegment,
        *,
        tx_depth: int,
        tx_policy: Literal["fifo", "priority"],
        auto_recover: bool,
        fd: bool = False,
    ) -> None:
        self.name = name
        self.fd = fd
        """Whether it knows CAN FD; a classic controller answers an FD frame with an error frame."""
        self.tec = 0
        """Transmit error counter."""
        self.rec = 0
        """Receive error counter."""
        self.tx_depth = tx_depth
        self.auto_recover = auto_recover
        self.sent = 0
        self.received = 0
        """Frames of other nodes that it accepted."""
        self.refused = 0
        """Frames :meth:`send` did not take: bus-off, no power, or the queue full."""
        self.discarded = 0
        """Frames taken and never sent: flushed by bus-off or power loss, or the node was silenced."""
        self.overruns = 0
        """Frames that were on the wire and that this controller lost (fault ``drop``)."""
        self.measure: Callable[[Frame], tuple[int, int]] = measure_any if fd else measure
        """Arbitration key and length of a frame; raises BusError for one this controller does not have."""
        self.tells_errors = False
        """Whether somebody listens to what it says of errors."""
        self._error_calls: tuple[Callable[[ErrorSeen], object], ...] = ()
        self._by_priority = tx_policy == "priority"
        self._clock = clock
        self._thread = get_ident()
        self._sequence = 0
        self._standing = NodeState.ERROR_ACTIVE
        self._received = _Listeners()
        self._confirmed = _Listeners()
        self._held_until_ns = 0
        self._leaving = False
        self._faults = segment.faults
        self._babble: Pending | None = None
        self._silent = 0
        # the wire's side
        self.queue: deque[Pending] = deque()
        self.segment = segment
        self.suspended_until_ns = 0
        self.listening_from_ns = 0
        self.recessive_left: int | None = None
        self.recessive_since_ns = 0
        self.bits: BitLevel | None = None

    # -- for articles and buses ---------------------------------------------------------------------------

    @property
    def state(self) -> NodeState:
        """Error-active, error-passive, bus-off, unpowered or detached."""
        if self._standing is not NodeState.ERROR_ACTIVE:
            return self._standing
        if self.bits is not None and self.tec >= BUS_OFF_FROM:
            return NodeState.BUS_OFF
        passive = self.tec >= PASSIVE_FROM or self.rec >= PASSIVE_FROM
        return NodeState.ERROR_PASSIVE if passive else NodeState.ERROR_ACTIVE

    def send(self, frame: Frame) -> bool:
        """Queue a frame for transmission; it is on the wire when it wins arbitration.

        Returns:
            False when the controller does not take it: bus-off, unpowered, detached, or the queue full.

        Raises:
            BusError: for a frame this controller does not have, or a node whose frames come from RTL.
            ClockError: from a thread the rig clock does not manage.
        """
        if get_ident() != self._thread:
            self._clock.at(self._clock.now, _nothing)  # the clock says what it thinks of this thread
        if self._standing is not _ACTIVE or len(self.queue) >= self.tx_depth:
            self.measure(frame)
            if self.bits is not None:
                raise BusError(f"node {self.name!r} is a controller at bit level: its frames come from its own logic")
            self.refused += 1
            return False
        if self._silent or self._faults.at_sender:
            return self._send_faulty(frame)
        self._enqueue(frame)
        return True

    def on_frame(
        self, fn: Callable[[Frame], object], accept: Iterable[tuple[int, bool]] | None = None
    ) -> Callable[[], None]:
        """Call ``fn`` with every frame of another node at its end of frame; returns the call that ends it.

        Args:
            fn: takes the frame.
            accept: (identifier, extended) of the data frames it wants: an acceptance filter; None wants every frame.
                A controller acknowledges every frame, whatever it accepts.
        """
        keys = None if accept is None else {arbitration_key(*wanted) for wanted in accept}
        end = self._received.add(fn, keys)
        self.segment.listeners_changed()

        def stop() -> None:
            end()
            self.segment.listeners_changed()

        return stop

    def on_sent(self, fn: Callable[[Frame], object]) -> Callable[[], None]:
        """Call ``fn`` with every frame of this node at its end of frame; returns the call that ends it."""
        return self._confirmed.add(fn)

    def on_error(self, fn: Callable[[ErrorSeen], object]) -> Callable[[], None]:
        """Call ``fn`` with every error frame as this controller sees it, at its end; returns the call that ends it.

        The end of bus-off is told too, as ``restarted``.
        """
        self._tell_errors_to((*self._error_calls, fn))
        return lambda: self._tell_errors_to(tuple(other for other in self._error_calls if other is not fn))

    def _tell_errors_to(self, calls: tuple[Callable[[ErrorSeen], object], ...]) -> None:
        self._error_calls = calls
        self.tells_errors = bool(calls)

    def flush(self) -> int:
        """Discard the frames not yet on the wire; returns how many."""
        in_flight = self.segment.in_flight(self)
        kept = [pending for pending in self.queue if pending is in_flight or pending is self._babble]
        count = len(self.queue) - len(kept)
        self.queue.clear()
        self.queue.extend(kept)
        self.discarded += count
        self.segment.changed()
        self._leave_when_empty()
        return count

    def power(self, on: bool) -> None:
        """Switch the controller on (error counters at zero) or off (it says nothing, hears nothing, forgets).

        Raises:
            BusError: when the node has been detached.
        """
        if self._standing is NodeState.DETACHED:
            raise BusError(f"node {self.name!r} has been detached from its bus; attach it again")
        if on is not (self._standing is NodeState.UNPOWERED):
            return
        if on:
            self._reset()
        else:
            self._stand(NodeState.UNPOWERED)

    def recover(self) -> None:
        """Leave bus-off after 128 times 11 recessive bits from now; needed only without ``auto_recover``."""
        if self._standing is NodeState.BUS_OFF and self.recessive_left is None:
            self.segment.start_recovery(self)

    def detach(self) -> None:
        """Leave the wire once the frames already queued have been sent; harmless when done before."""
        self._leaving = True
        self._leave_when_empty()

    @property
    def attached(self) -> bool:
        """Whether the node is on its wire still, powered or not."""
        return self._standing is not NodeState.DETACHED

    @property
    def leaving(self) -> bool:
        """Whether the node has been told to leave its wire, or has left."""
        return self._leaving

    # -- for the wire -------------------------------------------------------------------------------------

    def calls_for(self, key: int) -> tuple[Callable[[Frame], object], ...] | None:
        """The calls to make with a frame of this arbitration key; None when the node does not accept it.

        A node at which nobody listens has no filter and accepts everything.
        """
        calls = self._received.wanting(key)
        return calls if calls or not self._received.calls else None

    def heard_well(self) -> None:
        """A frame of another node has ended well."""
        if self.rec:
            self.rec = self.rec - 1 if self.rec < PASSIVE_FROM else _REC_AFTER_PASSIVE

    def take(self, frame: Frame, key: int) -> None:
        """A frame of another node has ended well: hand it on if the node accepts it, and has room for it."""
        calls = self.calls_for(key)
        if calls is None:
            return
        if self._faults.dropping and self._faults.drops(self.name, frame):
            self.overruns += 1
            return
        self.received += 1
        for fn in calls:
            fn(frame)

    def transmitted(self, pending: Pending) -> None:
        """The frame on the wire was acknowledged: take it off the queue."""
        if self.tec:
            self.tec -= 1
        self.sent += 1
        if pending is not self._babble:
            if self.queue[0] is pending:
                self.queue.popleft()
            else:
                self.queue.remove(pending)

    def take_bits(self, bits: BitLevel) -> None:
        """From now on the node stands for a controller that takes part bit by bit, and counts errors as seen outside.

        Raises:
            BusError: when the wire has another such controller, or the node has frames to send.
        """
        if self.queue:
            raise BusError(f"node {self.name!r} has {len(self.queue)} frames to send; take it to bit level before")
        self.segment.seat.take(self.name)
        self.bits = bits
        self.tx_depth = 0
        self.segment.go_live(bits)

    def was_heard(self) -> None:
        """A frame of the controller at bit level has ended well."""
        self.sent += 1
        if self.tec >= BUS_OFF_FROM:
            self.tec = self.rec = 0  # it has been bus-off and has recovered
        if self.tec:
            self.tec -= 1

    def confirm(self, frame: Frame) -> None:
        """Tell who listens for this node's own frames that one has been sent."""
        for fn in self._confirmed.calls:
            fn(frame)
        if self._leaving:
            self._leave_when_empty()

    def transmit_failed(self, kind: str) -> None:
        """An error frame destroyed this node's frame; a passive node alone on the wire is not blamed for that."""
        if kind != "ack" or (self.tec < PASSIVE_FROM and self.rec < PASSIVE_FROM):
            self.tec += 8

    def bus_off(self) -> None:
        """Leave the wire with everything queued forgotten, and begin to recover when that is automatic."""
        if self.bits is not None:
            return  # it knows by itself
        self._stand(NodeState.BUS_OFF)
        if self.auto_recover and not self._leaving:
            self.segment.start_recovery(self)

    def receive_failed(self) -> None:
        """An error frame destroyed another node's frame."""
        self.rec = min(self.rec + 1, _REC_MAX)

    def tell_error(self, cause: Cause, location: int, *, sending: bool, before: tuple[int, int]) -> None:
        """Tell who listens what this controller has seen of an error frame that ends now.

        Args:
            cause: why the frame failed.
            location: where in it, as SocketCAN counts.
            sending: whether it was this node's.
            before: (TEC, REC) before the error.
        """
        level = level_of(self.tec, self.rec)
        self._tell(
            ErrorSeen(
                self._clock.now,
                kind_seen(cause, sending=sending, classic=not self.fd),
                sending,
                location,
                self.tec,
                self.rec,
                level if level != level_of(*before) else None,
            )
        )

    def _tell(self, seen: ErrorSeen) -> None:
        for fn in self._error_calls:
            fn(seen)

    def recovered(self) -> None:
        """128 times 11 recessive bits have passed since bus-off."""
        self._reset()
        self._tell(ErrorSeen(self._clock.now, "restarted", False, 0, 0, 0, "active"))

    def show_state(self) -> None:
        """Before its next frame starts: in an FD frame an error-passive controller sets ESI by itself."""
        key, sequence, frame, _ = head = self.queue[0]
        if frame.fd and not frame.esi and head is not self._babble and self.state is NodeState.ERROR_PASSIVE:
            shown = frame._replace(esi=True)
            self.queue[0] = (key, sequence, shown, self.measure(shown)[1])

    def move(self, segment: BitSegment) -> None:
        """Connect the node to another part of the wire; what is queued goes with it."""
        recovering = self.recessive_left is not None
        self.segment.leave(self)
        self.segment = segment
        if self._standing is NodeState.ERROR_ACTIVE:
            segment.join(self)
        elif recovering:
            segment.start_recovery(self)

    def repeat(self, pending: Pending) -> None:
        """Put a frame in front of the queue once more (fault ``duplicate``)."""
        self.queue.appendleft(pending)

    # -- for faults ---------------------------------------------------------------------------------------

    def silence(self) -> Callable[[], None]:
        """Send nothing more, what is queued included; hear and acknowledge as before. The returned call ends it."""
        self._silent += 1
        self.flush()

        def undo() -> None:
            self._silent -= 1

        return undo

    def babble(self, frame: Frame, period_ns: int | None) -> Callable[[], None]:
        """Send one frame for ever, back to back or every ``period_ns`` [ns]; the returned call ends it.

        Raises:
            BusError: when the node babbles already, or for a frame this controller does not have.
        """
        if period_ns is not None:
            return self._clock.every(period_ns, lambda: self.send(frame)).cancel
        if self._babble is not None:
            raise BusError(f"node {self.name!r} babbles {self._babble[2]} already; clear that fault first")
        key, bits = self.measure(frame)
        self._babble = (key, 0, frame, bits)
        if self._standing is NodeState.ERROR_ACTIVE:
            self.queue.appendleft(self._babble)
            self.segment.changed()
        return self._stop_babbling

    def _stop_babbling(self) -> None:
        self._babble, babble = None, self._babble
        if babble in self.queue and self.segment.in_flight(self) is not babble:
            self.queue.remove(babble)
            self.segment.changed()

    # -- inside -------------------------------------------------------------------------------------------

    def _enqueue(self, frame: Frame) -> None:
        key, bits = self.measure(frame)
        self._sequence += 1
        if self._by_priority:
            insort(self.queue, (key, self._sequence, frame, bits))
        else:
            self.queue.append((key, self._sequence, frame, bits))
        self.segment.request(self, key)

    def _send_faulty(self, frame: Frame) -> bool:
        self.measure(frame)
        if self._silent:
            self.discarded += 1
            return True
        frame = self._faults.garbled(self.name, frame)
        release_ns = max(self._held_until_ns, self._clock.now + self._faults.delay_ns(self.name, frame))
        if release_ns <= self._clock.now:
            self._enqueue(frame)
            return True
        self._held_until_ns = release_ns
        self._clock.at(release_ns, lambda: self._release(frame), Phase.WIRE)
        return True

    def _release(self, frame: Frame) -> None:
        if self._standing is NodeState.ERROR_ACTIVE and len(self.queue) < self.tx_depth and not self._silent:
            self._enqueue(frame)
        else:
            self.discarded += 1

    def _leave_when_empty(self) -> None:
        if self._leaving and not self.queue and self.attached:
            self._stand(NodeState.DETACHED)

    def _stand(self, standing: NodeState) -> None:
        """Leave the wire: bus-off, no power, or detached; a node about to be detached will not come back."""
        self._standing = NodeState.DETACHED if self._leaving else standing
        self.recessive_left = None
        self.discarded += sum(pending is not self._babble for pending in self.queue)
        self.queue.clear()
        self.segment.leave(self)

    def _reset(self) -> None:
        self._standing = NodeState.ERROR_ACTIVE
        self.tec = self.rec = 0
        self.recessive_left = None
        self.suspended_until_ns = 0
        if self._babble is not None:
            self.queue.append(self._babble)
        self.segment.join(self)


class _Listeners:
    """The calls to make on an event; replaced, never changed, so that a call may add or end others."""

    def __init__(self) -> None:
        self.calls: tuple[Callable[[Frame], object], ...] = ()
        """All of them, whatever they want."""
        self._entries: tuple[_Listener, ...] = ()

    def add(self, fn: Callable[[Frame], object], keys: set[int] | None = None) -> Callable[[], None]:
        """Make the call for frames with these arbitration keys, or for all; returns what ends it."""
        entry = _Listener(fn, keys)
        self._replace((*self._entries, entry))
        return lambda: self._replace(tuple(other for other in self._entries if other is not entry))

    def wanting(self, key: int) -> tuple[Callable[[Frame], object], ...]:
        """The calls for a frame with this arbitration key, in the order they were added."""
        return tuple(entry.fn for entry in self._entries if entry.keys is None or key in entry.keys)

    def _replace(self, entries: tuple[_Listener, ...]) -> None:
        self._entries = entries
        self.calls = tuple(entry.fn for entry in entries)


class _Listener:
    """One call, and the arbitration keys it is made for; None for all."""

    def __init__(self, fn: Callable[[Frame], object], keys: set[int] | None) -> None:
        self.fn = fn
        self.keys = keys


def _nothing() -> None:
    """Do nothing, on the clock."""
