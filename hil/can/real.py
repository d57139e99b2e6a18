"""A real CAN bus as the rest of the harness sees it: any python-can bus, on the wall clock.

A reader thread waits for the bus and only posts what came, with its arrival, to the rig clock; everything else is done
on the clock's thread. A received frame has the kernel's stamp in rig time where the interface has one.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import can
from can.interfaces.slcan import slcanBus

from hil.can.bits import measure
from hil.can.drops import Drops
from hil.can.frame import Frame
from hil.can.kernel_cycle import KernelCycle, hand_over, key_of, message_of
from hil.can.link import BusStats
from hil.can.observed import Observed
from hil.can.opening import echoes, open_bus
from hil.can.slcan import SlcanLane
from hil.can.stamps import SOURCES, Stamper, StampSource
from hil.errors import BusError
from hil.units import us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hil.can.kernel_cycle import Key
    from hil.clock import Arrival, WallClock

_READ_S = 0.05  # how long the reader waits for a frame before it looks whether it shall end
_END_S = 2.0  # how long a reader may take to end before its bus is closed under it
_UNCONFIRMED_MAX = 4_096
_DLC_MAX = 8


class RealLink:
    """A :class:`hil.can.link.Link` over a python-can bus; owns the bus from then on.

    Frames of other programs on this host count as received, whatever the interface marks them as.

    Args:
        name: the name of the bus in the rig and in the frame log.
        clock: the rig clock.
        bus: the bus, open.
        log: called with each line of the frame log (candump text, no end of line) on the clock's thread.
        listen_only: whether to refuse to send anything.
        bitrate_bps: bit rate [bit/s]: gives frames their duration.
        stamps: whose stamps its frames carry; that of the interface unless given.
        echo: whether the bus gives back what it sent, with ``is_rx`` False; if not, a frame taken counts as sent.
        prepare: called first in the reader thread, to give it a scheduling class.
        refusal: asked before a frame is sent: why it may not be; "" when it may. Then the rig clock sends cyclically.
    """

    def __init__(
        self,
        name: str,
        clock: WallClock,
        bus: can.BusABC,
        *,
        log: Callable[[str], None] | None = None,
        listen_only: bool = False,
        bitrate_bps: int = 500_000,
        stamps: StampSource | None = None,
        echo: bool = False,
        prepare: Callable[[], object] | None = None,
        refusal: Callable[[Frame], str] | None = None,
    ) -> None:
        source = SOURCES.get(interface_of(bus), StampSource.ARRIVAL) if stamps is None else stamps
        self.name = name
        self.listen_only = listen_only
        coarse_ns = 1 * us if interface_of(bus) == "socketcand" else 0
        self.stamper = Stamper(source, clock.factor, coarse_ns=coarse_ns)
        self.observed = Observed(name, bitrate_bps, log)
        self.ignored = 0
        """CAN FD frames that came; this link carries classic CAN."""
        self.trouble = ""
        """Why the bus could not be read; empty again once a frame was read or sent."""
        self._clock = clock
        self._bus = bus
        self._drops = Drops(bus)
        self._echo = echo
        self._prepare = prepare
        self._refusal = refusal
        self._listeners: list[tuple[Callable[[Frame], object], frozenset[tuple[int, bool]] | None]] = []
        self._unconfirmed: deque[Key] = deque(maxlen=_UNCONFIRMED_MAX)
        self._cycles: list[KernelCycle] = []
        self._at_ns = 0
        self._sent = self._received = self._refused = 0
        self._bulk = SlcanLane(bus) if isinstance(bus, slcanBus) else None
        self._ending = threading.Event()
        self._reader = threading.Thread(target=self._read, name=f"can {name}", daemon=True)
        self._reader.start()

    @property
    def raw(self) -> can.BusABC:
        """The python-can bus. What is received there is missing here, as the reader takes every frame."""
        return self._bus

    @property
    def stats(self) -> BusStats:
        """Counters so far; load from the frames seen, state and error counters from error messages."""
        seen = self.observed
        return BusStats(
            sent=self._sent,
            received=self._received,
            refused=self._refused,
            error_frames=seen.error_frames,
            load=seen.load(self._clock.now, self._clock.began_ns),
            tec=seen.tec,
            rec=seen.rec,
            state="detached" if self.trouble or self._ending.is_set() else seen.state,
            lost=seen.lost + self._drops.count,
        )

    # -- sending ------------------------------------------------------------------------------------------

    def send_frame(self, frame: Frame) -> None:
        """Queue a frame.

        Raises:
            can.CanOperationError: when it is not taken: the bus is shut down, listen-only or bus-off, the queue is
                full, or classic CAN has no such frame.
        """
        try:
            self._require_sending()
            refusal = self._refusal and self._refusal(frame)
            if refusal:
                raise can.CanOperationError(refusal)
            measure(frame)
            self._bus.send(message_of(frame))
        except (can.CanError, BusError, OSError, ValueError) as problem:
            self._refused += 1
            raise can.CanOperationError(
                f"send of {frame.arbitration_id:#x} on {self.name} ({self._bus.channel_info}): {problem}"
            ) from problem
        self.trouble = ""
        if self._echo:
            self._unconfirmed.append(key_of(frame))
        else:
            now_ns = self._clock.now
            self.observed.carried(frame._replace(start_ns=now_ns, at_ns=now_ns))
            self._sent += 1

    def cyclic(self, frames: Sequence[Frame], period_ns: int) -> KernelCycle | None:
        """Have the kernel or the interface send these frames in turn, one a period [ns]; see :class:`Scheduler`.

        Raises:
            can.CanOperationError: when the bus could do that and refuses.
        """
        if self._clock.factor != 1.0 or self._refusal is not None:
            return None
        self._require_sending()
        cycle = hand_over(self._bus, frames, period_ns)
        if cycle is not None:
            self._cycles.append(cycle)
        return cycle

    def _require_sending(self) -> None:
        if self._ending.is_set():
            raise can.CanOperationError("it has been shut down; open the bus again")
        if self.listen_only:
            raise can.CanOperationError("the bus is listen-only; take that out of the rig file to send")
        if self.observed.state == "bus-off":
            raise can.CanOperationError(
                f"the controller is bus-off (TEC {self.observed.tec}, REC {self.observed.rec}); find what disturbs "
                "the bus, then restart it (socketcan: ip link set CHANNEL type can restart, or restart-ms 100 when "
                "it is brought up)"
            )

    # -- receiving ----------------------------------------------------------------------------------------

    def listen(
        self, fn: Callable[[Frame], object], accept: Iterable[tuple[int, bool]] | None = None
    ) -> Callable[[], None]:
        """Call ``fn`` on the rig clock with every frame of another node; returns the call that ends it.

        Args:
            fn: takes the frame.
            accept: (identifier, extended) of the data frames it wants; None for every frame.
        """
        entry = (fn, None if accept is None else frozenset(accept))
        self._listeners.append(entry)
        return lambda: self._listeners.remove(entry) if entry in self._listeners else None

    def shutdown(self) -> None:
        """End the reader and shut the bus down; harmless when done before.

        Raises:
            BusError: when the driver holds the reader even then.
        """
        if self._ending.is_set():
            return
        self._ending.set()
        self._reader.join(_END_S)
        self._drops.close()
        self._bus.shutdown()
        self._reader.join(_END_S)
        if self._reader.is_alive():
            raise BusError(
                f"bus {self.name} ({self._bus.channel_info}): its driver does not come back from a read of "
                f"{_READ_S} s; unplug the adapter or end the process"
            )

    def _read(self) -> None:
        """The reader thread: read, stamp the arrival, post; nothing else."""
        if self._prepare is not None:
            self._prepare()
        told = ""
        while not self._ending.is_set():
            try:
                came = self._next()
            except (can.CanError, OSError, ValueError) as problem:
                trouble = str(problem) or type(problem).__name__
                if trouble != told:
                    told = trouble
                    self._clock.post(partial(self._failed, trouble))
                self._ending.wait(_READ_S)
                continue
            told = ""
            if came is not None:
                self._clock.post(partial(came, self._clock.arrival()))

    def _next(self) -> Callable[[Arrival], None] | None:
        """On the reader thread: what has come, as what is to be done with it at its arrival; None when nothing has."""
        if self._bulk is not None:
            taken = self._bulk.take(_READ_S)
            return None if taken is None else partial(self._came_together, taken)
        message = self._bus.recv(_READ_S)
        return None if message is None else partial(self._came, message)

    def _came_together(self, taken: Callable[[], list[Frame]], arrival: Arrival) -> None:
        """On the clock's thread: frames that were read at once."""
        self.trouble = ""
        frames = taken()
        if not frames:
            return
        self._at_ns = max(self._at_ns, arrival.rig_ns)
        stamped = self.observed.spread(frames, self._at_ns)
        self.observed.carried_all(stamped)
        self._received += len(stamped)
        self._hand_out_all(stamped)

    def _hand_out_all(self, frames: list[Frame]) -> None:
        for place, frame in enumerate(frames, 1):
            try:
                self._hand_out(frame)
            except Exception:
                self._clock.post(partial(self._hand_out_all, frames[place:]))  # what follows has come all the same
                raise

    def _failed(self, trouble: str) -> None:
        """On the clock's thread: the bus cannot be read. A controller that comes back from that starts anew."""
        self.trouble = trouble
        self.observed.started_anew()

    def _came(self, message: can.Message, arrival: Arrival) -> None:
        """On the clock's thread: what was read."""
        self.trouble = ""
        self._at_ns = max(self._at_ns, self.stamper.rig_ns(message.timestamp, arrival))
        if message.is_error_frame:
            self.observed.told(message.arbitration_id, bytes(message.data), self._at_ns)
            return
        if message.is_fd:
            self.ignored += 1
            return
        frame = self._stamped(message)
        self.observed.carried(frame)
        if not message.is_rx and self._is_own(key_of(frame)):
            self._sent += 1
            return
        self._received += 1
        if message.is_rx and self.observed.state == "bus-off":
            self.observed.started_anew()  # it hears others again, and was restarted without saying so
        self._hand_out(frame)

    def _hand_out(self, frame: Frame) -> None:
        wanted = None if frame.remote else (frame.arbitration_id, frame.extended)
        for fn, accept in tuple(self._listeners):
            if accept is None or wanted in accept:
                fn(frame)

    def _stamped(self, message: can.Message) -> Frame:
        """The frame with its start and end [ns]."""
        remote = message.is_remote_frame
        payload = b"" if remote else bytes(message.data)
        requested = min(message.dlc, _DLC_MAX) if remote else 0
        frame = Frame(message.arbitration_id, payload, message.is_extended_id, remote, requested)
        return self.observed.spread((frame,), self._at_ns)[0]

    def _is_own(self, key: Key) -> bool:
        """Whether this link sent a frame that the host sent: other programs share the interface."""
        if key in self._unconfirmed:
            self._unconfirmed.remove(key)
            return True
        return any(key in cycle.keys for cycle in self._cycles)


def open_real(
    name: str,
    clock: WallClock,
    *,
    interface: str,
    channel: str,
    bitrate_bps: int,
    log: Callable[[str], None] | None = None,
    listen_only: bool = False,
    prepare: Callable[[], object] | None = None,
    options: Mapping[str, object] | None = None,
    stamps: StampSource | None = None,
    refusal: Callable[[Frame], str] | None = None,
) -> RealLink:
    """Open a python-can interface as a link; arguments as :func:`hil.can.opening.open_bus` and :class:`RealLink`.

    Raises:
        BusError: when it cannot be opened; names interface, channel and remedy.
    """
    bus = open_bus(interface, channel, bitrate_bps, listen_only=listen_only, options=options)
    return RealLink(
        name,
        clock,
        bus,
        log=log,
        listen_only=listen_only,
        bitrate_bps=bitrate_bps,
        stamps=SOURCES.get(interface, StampSource.ARRIVAL) if stamps is None else stamps,
        echo=echoes(interface),
        prepare=prepare,
        refusal=refusal,
    )


def interface_of(bus: can.BusABC) -> str:
    """The name of the python-can interface a bus is of; empty for a class from elsewhere."""
    package, _, rest = type(bus).__module__.partition("can.interfaces.")
    return rest.partition(".")[0] if not package else ""
