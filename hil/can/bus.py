"""The simulated bus as python-can sees it: ``can.Bus(interface="hil", channel="bus_a")``.

Nothing here measures wall time. Waits, timeouts, periodic sends and time stamps are on the rig clock;
``can.Notifier`` is refused, because it waits in a thread of its own.
"""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import can
from can.broadcastmanager import (
    LimitedDurationCyclicSendTaskABC,
    ModifiableCyclicTaskABC,
    RestartableCyclicTaskABC,
)

from hil.can.error_frames import ErrorSeen
from hil.can.frame import Frame, new_frame
from hil.can.link import BusStats
from hil.can.node import NodeState
from hil.can.wire import TX_DEPTH, find_wire, open_channels
from hil.clock import Phase
from hil.errors import BusError
from hil.units import s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from can.typechecking import AutoDetectedConfig, CanFilters

    from hil.can.node import CanNode
    from hil.can.wire import CanWire
    from hil.clock import Clock, Event
    from hil.jitter import LateChannel

Kind = TypeVar("Kind", Frame, ErrorSeen)

RX_DEPTH = 16_384
"""Frames that wait unread at most unless told otherwise; beyond that the oldest are lost and reading says so."""

_PLAIN = Frame(0)[3:]  # the rest of a classic data frame that has not been on the wire
_STATES = {
    NodeState.ERROR_ACTIVE: can.BusState.ACTIVE,
    NodeState.ERROR_PASSIVE: can.BusState.PASSIVE,
}


class SimBus(can.BusABC):
    """A python-can bus on a :class:`hil.can.wire.CanWire`.

    Args:
        channel: the name of an open wire.
        can_filters: as in python-can; applied when a frame arrives.
        receive_own_messages: whether sent frames are received too, at their end of frame, with ``is_rx`` False.
        node: its name on the wire; ``python_can_1`` and so on when not given.
        tx_depth: frames it queues to send.
        rx_depth: frames that wait unread at most.
        fd: whether CAN FD messages are sent and received; as the wire unless given. False hides them from the user;
            the controller takes and acknowledges them all the same.
        receive_error_frames: whether error frames are received as messages with ``is_error_frame``, whose identifier
            and data are SocketCAN's error class and detail, seen from this controller.
        auto_recover: whether the controller leaves bus-off by itself; otherwise :meth:`recover` makes it.
        late: what holds up frames, stamped as they are, on their way to whoever listens here; nothing unless given.
        refusal: asked before a frame is sent: why it may not be; "" when it may.
        **kwargs: options of other interfaces are accepted; ``bitrate`` and ``data_bitrate`` must be the wire's.

    Raises:
        can.CanInitializationError: when no wire of that name is open, the bit rates differ, CAN FD is asked for on a
            classic wire, or a queue has no place at all.
    """

    def __init__(
        self,
        channel: str = "",
        can_filters: CanFilters | None = None,
        *,
        receive_own_messages: bool = False,
        node: str | None = None,
        tx_depth: int = TX_DEPTH,
        rx_depth: int = RX_DEPTH,
        fd: bool | None = None,
        receive_error_frames: bool = False,
        auto_recover: bool = True,
        late: LateChannel | None = None,
        refusal: Callable[[Frame], str] | None = None,
        **kwargs: object,
    ) -> None:
        wire = _wire(channel, fd, kwargs)
        if rx_depth < 1:
            raise can.CanInitializationError(f"bus {channel}: rx_depth={rx_depth} can hold no frame; give 1 or more")
        self._clock = wire.clock
        has_fd = wire.data_bitrate_bps is not None
        self._hides_fd = has_fd and fd is False
        self._can_protocol = can.CanProtocol.CAN_FD if has_fd and fd is not False else can.CanProtocol.CAN_20
        self._inbox = _Inbox(rx_depth)
        self.channel_info = f"hil bus {channel}, {wire.bitrate_bps} bit/s"
        self.wire = wire
        try:
            self.node = wire.attach(node or _free_name(wire), tx_depth=tx_depth, auto_recover=auto_recover)
        except BusError as refused:
            raise can.CanInitializationError(str(refused)) from refused
        self._late = late
        self._refusal = refusal
        put = self._arriving(self._inbox.put_classic if self._hides_fd else self._inbox.put)
        self.node.on_frame(put)
        if receive_own_messages:
            self.node.on_sent(put)
        if receive_error_frames:
            self.node.on_error(self._arriving(self._inbox.put_error))
        super().__init__(channel, can_filters)

    # -- receiving ----------------------------------------------------------------------------------------

    def recv(self, timeout: float | None = None) -> can.Message | None:
        """The next frame that passes the filters, as a new message; its time stamp is rig time in seconds.

        Args:
            timeout: rig time to wait [s]; 0 lets what is due happen and does not wait, None and infinity wait as long
                as it takes.

        Raises:
            can.CanOperationError: when the bus is shut down, or frames were lost because nobody read them.
            ClockError: in an event callback, or in a thread the rig clock does not manage.
            DeadlockError: without a timeout, when nothing can ever arrive.
            ValueError: for a timeout that is not a number.
        """
        try:
            timeout_ns = None if timeout is None else round(timeout * 1e9)
        except OverflowError:
            timeout_ns = None if timeout == math.inf else 0
        except ValueError as wrong:
            raise ValueError(
                f"recv on {self.channel_info}: timeout = {timeout} s is no time to wait; give seconds"
            ) from wrong
        frame = self._take(timeout_ns)
        if frame is None:
            return None
        if isinstance(frame, ErrorSeen):
            return can.Message(
                timestamp=frame.at_ns / 1e9,
                arbitration_id=frame.error_class,
                is_extended_id=False,
                is_error_frame=True,
                channel=self.wire.name,
                data=frame.detail,
            )
        return can.Message(
            frame.at_ns / 1e9,
            frame.arbitration_id,
            frame.extended,
            frame.remote,
            False,
            self.wire.name,
            frame.requested if frame.remote else None,
            frame.data,
            frame.fd,
            frame.sender != self.node.name,
            frame.brs,
            frame.esi,
        )

    def recv_frame(self, timeout_ns: int | None = None) -> Frame | None:
        """As :meth:`recv`, with the time in whole nanoseconds: start and end of the frame are ``int`` ns.

        Error frames are passed over.

        Raises:
            can.CanOperationError: when the bus is shut down, or frames were lost because nobody read them.
            ClockError: in an event callback, or in a thread the rig clock does not manage.
            DeadlockError: without a timeout, when nothing can ever arrive.
        """
        until_ns = None if timeout_ns is None else self._clock.now + max(0, timeout_ns)
        while True:
            found = self._take(None if until_ns is None else until_ns - self._clock.now)
            if not isinstance(found, ErrorSeen):
                return found

    def _take(self, timeout_ns: int | None) -> Frame | ErrorSeen | None:
        if self._is_shutdown:
            raise can.CanOperationError(f"recv on {self.channel_info}: it has been shut down; open the bus again")
        inbox = self._inbox
        if not inbox.frames:
            until_ns = None if timeout_ns is None else self._clock.now + max(0, timeout_ns)
            if not self._clock.wait(until_ns, inbox.filled, "a CAN frame"):
                return None
        if inbox.lost:
            lost, inbox.lost = inbox.lost, 0
            raise can.CanOperationError(
                f"recv on {self.channel_info}: {lost} frames were lost because {inbox.depth} waited unread; "
                "read faster, set filters, or open the bus with a larger rx_depth"
            )
        return inbox.frames.popleft()

    def __iter__(self) -> Iterator[can.Message]:
        """Messages as they arrive; ends in a DeadlockError when none can arrive any more."""
        while True:
            message = self.recv(None)
            if message is not None:
                yield message

    def listen(
        self, fn: Callable[[Frame], object], accept: Iterable[tuple[int, bool]] | None = None
    ) -> Callable[[], None]:
        """Call ``fn`` with every frame of another node at its end of frame, filters or not; returns what ends it.

        Args:
            fn: takes the frame.
            accept: (identifier, extended) of the data frames it wants; None for every frame.
        """
        return self.node.on_frame(self._arriving(fn), accept)

    def _arriving(self, fn: Callable[[Kind], object]) -> Callable[[Kind], object]:
        """The call that a frame or an error frame is handed to: ``fn``, or late ``fn``."""
        late = self._late
        return fn if late is None else lambda seen: late.post(partial(fn, seen))

    def _apply_filters(self, filters: CanFilters | None) -> None:
        if filters is None:
            self._inbox.filters = None
            return
        self._inbox.filters = [
            (entry["can_id"], entry["can_mask"], bool(entry["extended"]) if "extended" in entry else None)
            for entry in filters
        ]

    # -- sending ------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Leave bus-off after 128 times 11 recessive bits from now; needed only without ``auto_recover``."""
        self.node.recover()

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Queue a copy of a message; it is on the wire when it wins arbitration.

        Args:
            msg: a CAN message; a CAN FD message where the bus has it.
            timeout: rig time to wait [s] while the transmit queue is full; without it a full queue is an error at once.

        Raises:
            can.CanOperationError: when the bus is shut down or bus-off, the queue is full, or the bus does not have
                such a message.
            ClockError: in a thread the rig clock does not manage.
            ValueError: for a timeout that is not a finite number.
        """
        try:
            frame = _frame(msg)
        except BusError as wrong:
            raise can.CanOperationError(f"send of {msg.arbitration_id:#x} on {self.channel_info}: {wrong}") from wrong
        if msg.is_fd and self._hides_fd:
            raise can.CanOperationError(
                f"send of {msg.arbitration_id:#x} on {self.channel_info}: it is CAN FD, and the bus was opened with "
                "fd=False; leave that out, or send it classic"
            )
        self.send_frame(frame, None if timeout is None else _time_ns(timeout, f"send on {self.channel_info}: timeout"))

    def send_frame(self, frame: Frame, timeout_ns: int | None = None) -> None:
        """As :meth:`send`, for a frame.

        Raises:
            can.CanOperationError: as :meth:`send`.
            ClockError: in a thread the rig clock does not manage.
        """
        why_not = self._refusal and self._refusal(frame)
        if why_not:
            raise can.CanOperationError(f"send of {frame.arbitration_id:#x} on {self.channel_info}: {why_not}")
        self.send_ungated(frame, timeout_ns)

    def send_ungated(self, frame: Frame, timeout_ns: int | None = None) -> None:
        """As :meth:`send_frame`, for the safe sequence: nothing is asked first.

        Raises:
            can.CanOperationError: as :meth:`send`.
            ClockError: in a thread the rig clock does not manage.
        """
        if self._is_shutdown:
            raise can.CanOperationError(f"send on {self.channel_info}: it has been shut down; open the bus again")
        node = self.node
        if timeout_ns and timeout_ns > 0 and len(node.queue) >= node.tx_depth:
            self._clock.wait(
                self._clock.now + timeout_ns, lambda: len(node.queue) < node.tx_depth, "a free transmit slot"
            )
        try:
            taken = node.send(frame)
        except BusError as wrong:
            raise can.CanOperationError(f"send on {self.channel_info}: {wrong}") from wrong
        if not taken:
            why = (
                f"the transmit queue is full ({node.tx_depth} frames); let rig time pass, send with a timeout, "
                "or open the bus with a larger tx_depth"
                if node.state in _STATES
                else f"node {node.name} is {node.state.value} (TEC {node.tec}, REC {node.rec})"
            )
            raise can.CanOperationError(f"send of {frame.arbitration_id:#x} on {self.channel_info}: {why}")

    def flush_tx_buffer(self) -> None:
        """Discard the frames that are queued and not on the wire yet."""
        self.node.flush()

    def _send_periodic_internal(
        self,
        msgs: Sequence[can.Message] | can.Message,
        period: float,
        duration: float | None = None,
        autostart: bool = True,
        modifier_callback: Callable[[can.Message], None] | None = None,
    ) -> ClockCyclicTask:
        task = ClockCyclicTask(
            self._clock,
            self.node,
            msgs,
            period,
            duration=duration,
            modifier=modifier_callback,
            bus=self.channel_info,
            refusal=self._refusal,
        )
        if autostart:
            task.start()
        return task

    # -- the rest of the contract -------------------------------------------------------------------------

    @property
    def state(self) -> can.BusState:
        """Error-active is ACTIVE, error-passive is PASSIVE, anything else is ERROR; counters are in ``node``."""
        return _STATES.get(self.node.state, can.BusState.ERROR)

    @state.setter
    def state(self, new_state: can.BusState) -> None:
        raise NotImplementedError(
            f"{self.channel_info}: state {new_state} cannot be set; it follows from the error counters"
        )

    @property
    def raw(self) -> SimBus:
        """The python-can bus: itself."""
        return self

    @property
    def stats(self) -> BusStats:
        """Counters of this controller and of the wire; load and error frames are the wire's."""
        node, wire = self.node, self.wire.stats
        return BusStats(
            sent=node.sent,
            received=node.received,
            refused=node.refused,
            error_frames=wire.error_frames,
            load=wire.load,
            tec=node.tec,
            rec=node.rec,
            state=node.state.value,
            lost=node.overruns,
        )

    def fileno(self) -> int:
        """There is none: a simulated bus is no file.

        Raises:
            can.CanOperationError: when a ``can.Notifier`` asks; the Notifier is refused before its thread starts.
            NotImplementedError: when anybody else asks, as python-can prescribes.
        """
        notifiers = _notifiers_of(self)
        for notifier in notifiers:
            notifier.stop()
        if notifiers:
            raise can.CanOperationError(
                f"can.Notifier on {self.channel_info}: refused, it waits in a thread of its own and in wall time; "
                "on a simulated bus use bus.recv(...) or bus.listen(fn), which calls fn on the rig clock"
            )
        raise NotImplementedError(f"{self.channel_info} is simulated and has no file descriptor")

    def shutdown(self) -> None:
        """Stop periodic sends and leave the wire once what is queued has been sent; harmless when done before."""
        if not self._is_shutdown:
            super().shutdown()
            self.node.detach()

    @staticmethod
    def _detect_available_configs() -> Sequence[AutoDetectedConfig]:
        return [{"interface": "hil", "channel": channel} for channel in open_channels()]


class ClockCyclicTask(LimitedDurationCyclicSendTaskABC, ModifiableCyclicTaskABC, RestartableCyclicTaskABC):
    """A periodic send on the rig clock; what ``SimBus.send_periodic`` returns.

    A full queue or bus-off does not stop it, as the kernel's broadcast manager does not stop on one;
    the frames that were not taken are counted in ``node.refused``.

    Args:
        clock: the rig clock.
        node: the controller that sends.
        messages: sent in turn, one per period; copied.
        period: [s].
        duration: how long to go on [s]; None for ever.
        modifier: called with each message before it is sent, to change its data.
        bus: what error messages call the bus.
        refusal: asked before each frame: why it may not be sent, and then is left out; "" when it may.

    Raises:
        ValueError: for a period that is not positive, a period or duration that is not a finite number, or messages of
            different identifiers.
        can.CanOperationError: for a message the bus does not have.
    """

    def __init__(
        self,
        clock: Clock,
        node: CanNode,
        messages: Sequence[can.Message] | can.Message,
        period: float,
        *,
        duration: float | None = None,
        modifier: Callable[[can.Message], None] | None = None,
        bus: str,
        refusal: Callable[[Frame], str] | None = None,
    ) -> None:
        self._refusal = refusal
        self._where = f"send_periodic on {bus}"
        self._node = node
        if _time_ns(period, f"{self._where}: period") <= 0:
            raise ValueError(f"{self._where}: the period is {period} s; it must be at least 1 ns")
        super().__init__(self._checked(messages), period, duration)
        self._duration_ns = None if duration is None else _time_ns(duration, f"{self._where}: duration")
        self._clock = clock
        self._modifier = modifier
        self._index = 0
        self._end_ns: int | None = None
        self._event: Event | None = None

    def start(self) -> None:
        """Send the first message now and go on from there; harmless while it runs.

        Raises:
            can.CanOperationError: when the bus has been shut down.
            ClockError: in a thread the rig clock does not manage.
        """
        if self._event is not None:
            return
        if self._node.leaving:
            raise can.CanOperationError(f"{self._where}: it has been shut down; open the bus again")
        self._index = 0
        self._end_ns = None if self._duration_ns is None else self._clock.now + self._duration_ns
        self._event = self._clock.every(self.period_ns, self._tick, Phase.DEVICE)

    def stop(self) -> None:
        """Send nothing more; harmless when stopped."""
        if self._event is not None:
            self._event.cancel()
            self._event = None

    def modify_data(self, messages: Sequence[can.Message] | can.Message) -> None:
        """Send other data from the next period on, at the same times.

        Raises:
            ValueError: for another identifier or another number of messages.
            can.CanOperationError: for a message the bus does not have.
        """
        super().modify_data(self._checked(messages))

    def _tick(self) -> None:
        if self._node.leaving or (self._end_ns is not None and self._clock.now >= self._end_ns):
            self.stop()
            return
        message = self.messages[self._index]
        self._index = (self._index + 1) % len(self.messages)
        if self._modifier is not None:
            self._modifier(message)
            message.dlc = message.dlc if message.is_remote_frame else len(message.data)
        frame = _frame(message)
        if self._refusal is None or not self._refusal(frame):
            self._node.send(frame)

    def _checked(self, messages: Sequence[can.Message] | can.Message) -> list[can.Message]:
        """Copies of the messages, each one that the bus has."""
        given = [messages] if isinstance(messages, can.Message) else messages
        for message in given:
            try:
                self._node.measure(_frame(message))
            except BusError as wrong:
                raise can.CanOperationError(f"{self._where}: {message.arbitration_id:#x}: {wrong}") from wrong
        return [message.__deepcopy__(None) for message in given]


class _Inbox:
    """Frames that have arrived and passed the filters; it knows nothing of its bus, so that the bus can be freed."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.frames: deque[Frame | ErrorSeen] = deque(maxlen=depth)
        self.filters: list[tuple[int, int, bool | None]] | None = None
        self.lost = 0

    def put(self, frame: Frame) -> None:
        if self.filters is not None and not self._passes(frame, self.filters):
            return
        if len(self.frames) == self.depth:
            self.lost += 1
        self.frames.append(frame)

    def put_classic(self, frame: Frame) -> None:
        if not frame.fd:
            self.put(frame)

    def put_error(self, seen: ErrorSeen) -> None:
        if len(self.frames) == self.depth:
            self.lost += 1
        self.frames.append(seen)

    def filled(self) -> bool:
        return bool(self.frames)

    @staticmethod
    def _passes(frame: Frame, filters: list[tuple[int, int, bool | None]]) -> bool:
        for can_id, mask, extended in filters:
            if (extended is None or extended == frame.extended) and not (can_id ^ frame.arbitration_id) & mask:
                return True
        return False


def _frame(message: can.Message) -> Frame:
    """The frame a message stands for; its identifier and length are checked when it is queued.

    Raises:
        BusError: for an error frame, or a DLC that is not that of the data.
    """
    if message.is_error_frame:
        raise BusError("an error frame cannot be sent; inject the fault 'corrupt'")
    data = bytes(message.data)
    if message.is_remote_frame:
        return Frame(message.arbitration_id, data, message.is_extended_id, True, message.dlc)
    if message.dlc != len(data):
        raise BusError(f"dlc is {message.dlc} and data has {len(data)} bytes; they must agree")
    if message.is_fd:
        brs, esi = message.bitrate_switch, message.error_state_indicator
        return Frame(message.arbitration_id, data, message.is_extended_id, fd=True, brs=brs, esi=esi)
    return new_frame(Frame, (message.arbitration_id, data, message.is_extended_id, *_PLAIN))


def _time_ns(seconds: float, what: str) -> int:
    """A time of python-can in whole nanoseconds.

    Raises:
        ValueError: when it is not a finite number.
    """
    if not math.isfinite(seconds):
        raise ValueError(f"{what} = {seconds} s is no time to wait; give a number of seconds")
    return round(seconds * s)


def _notifiers_of(bus: SimBus) -> list[can.Notifier]:
    """The notifiers that were given this bus, itself or inside a ``can.ThreadSafeBus``.

    ``can.Notifier.find_instances`` compares by identity and does not see through that proxy.
    """
    pairs = can.Notifier._registry.pairs  # noqa: SLF001  # type: ignore[reportPrivateUsage]  # the only way through
    return [pair.notifier for pair in pairs if getattr(pair.bus, "__wrapped__", pair.bus) is bus]


def _wire(channel: str, fd: bool | None, options: dict[str, object]) -> CanWire:
    wire = find_wire(channel)
    if wire is None:
        known = ", ".join(open_channels()) or "none"
        raise can.CanInitializationError(
            f"no simulated CAN bus {channel!r} is open (open: {known}); "
            "open the rig first, or make a hil.can.wire.CanWire"
        )
    bitrate = options.get("bitrate")
    if bitrate is not None and bitrate != wire.bitrate_bps:
        raise can.CanInitializationError(
            f"bus {channel} runs at {wire.bitrate_bps} bit/s, not at bitrate={bitrate}; leave bitrate out, or change "
            "bitrate_bps in the rig file"
        )
    if fd and wire.data_bitrate_bps is None:
        raise can.CanInitializationError(
            f"bus {channel} is classic CAN 2.0; leave fd=True out, or give the wire data_bitrate_bps"
        )
    data_bitrate = options.get("data_bitrate")
    if data_bitrate is not None and data_bitrate != wire.data_bitrate_bps:
        raise can.CanInitializationError(
            f"bus {channel} has a data bit rate of {wire.data_bitrate_bps} bit/s, not data_bitrate={data_bitrate}; "
            "leave data_bitrate out"
        )
    return wire


def _free_name(wire: CanWire) -> str:
    number = 1
    while f"python_can_{number}" in wire.nodes:
        number += 1
    return f"python_can_{number}"
