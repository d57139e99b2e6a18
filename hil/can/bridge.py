"""A bridge between a simulated wire and a python-can bus: simulated articles meet real ones, or another program's.

The bridge is a node on the wire. What other nodes send is sent on the bus, what comes from the bus is sent on the
wire, in order, and never back to where it came from. Threads do the waiting. Where an interface takes many frames at
once (slcan), those of one turn of the clock leave together, before it sleeps. A received frame is stamped on arrival;
it is on the wire as soon as the clock's thread gets to it and the wire is free, and how long the clock's thread took at
worst is counted: so much later than on the real bus, beside their length, are its stamps on the wire.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import can

from hil.can.drops import Drops
from hil.can.lane import lane_of
from hil.clock import Event, WallClock
from hil.errors import BusError
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.frame import Frame
    from hil.can.wire import CanWire
    from hil.clock import Clock

DEPTH = 1_024
"""Frames that wait in each direction at most; what comes on top is lost, and counted."""
_READ_S = 0.05  # how long the reader waits before it looks whether it shall end [s]
_END_S = 2.0  # how long a thread may take to end [s]
_AGAIN_NS = 1 * ms  # when to try again what the bus did not take


@dataclass(frozen=True, slots=True)
class BridgeStats:
    """What a bridge has carried: frames from the wire to the bus and from the bus to the wire, and lost on the way."""

    to_bus: int
    from_bus: int
    lost_to_bus: int
    """Of the wire's: the queue was full, or the bus did not take it."""
    lost_from_bus: int
    """Of the bus's: not read in time, or not taken by the wire: queue full, bus-off, CAN FD on a classic wire."""
    worst_delay_ns: int
    """Longest time from the arrival of a frame to its being queued for the wire [ns]."""
    trouble: str
    """Why the bus cannot be read at present; empty when it can."""


class Bridge:
    """Joins a simulated wire and a python-can bus; owns the bus from then on.

    Args:
        wire: the simulated wire.
        bus: the bus, open.
        clock: the rig clock of the wire, a paced one.
        name: its name on the wire.
        echo: whether the bus gives back what was sent on it; open it without that where there is a choice.
        prepare: called first in the reading thread, to give it a scheduling class.
    """

    def __init__(
        self,
        wire: CanWire,
        bus: can.BusABC,
        clock: Clock,
        *,
        name: str = "bridge",
        echo: bool = False,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        if not isinstance(clock, WallClock):
            raise BusError(f"bus {wire.name}: {bus.channel_info} lives in wall time; set the rig's pace to join them")
        self.wire = wire
        self._clock = clock
        self._bus = bus
        self._drops = Drops(bus)
        self._prepare = prepare
        self._node = wire.attach(name, tx_depth=DEPTH)
        self._lane = lane_of(bus, f"{wire.name} bridge out", depth=DEPTH, echo=echo)
        self._node.on_frame(self._lane.put)
        self._from_bus = self._not_taken = 0
        self._worst_delay_ns = 0
        self._trouble = ""
        self._again = Event(_nothing)
        self._again.cancel()
        self._ending = threading.Event()
        self._stop_flushing = clock.before_sleep(self._flush)
        self._reader = threading.Thread(target=self._read, name=f"{wire.name} bridge in", daemon=True)
        self._reader.start()

    @property
    def stats(self) -> BridgeStats:
        """Counts so far."""
        lane = self._lane
        lost_from_bus = self._not_taken + self._drops.count
        return BridgeStats(lane.sent, self._from_bus, lane.lost, lost_from_bus, self._worst_delay_ns, self._trouble)

    def close(self) -> None:
        """Leave the wire, end the threads, shut the bus down; harmless when done before.

        Raises:
            BusError: when the driver holds a thread even then.
        """
        if self._ending.is_set():
            return
        self._ending.set()
        self._stop_flushing()
        if self._node.attached:
            self._node.power(False)
            self._node.detach()
        self._lane.close()
        self._reader.join(_END_S)
        self._drops.close()
        try:
            self._bus.shutdown()
        except (can.CanError, OSError) as problem:  # the other end of the cable went first
            self._trouble = str(problem) or type(problem).__name__
        self._lane.close()
        self._reader.join(_END_S)
        if self._reader.is_alive():
            raise BusError(
                f"{self._reader.name}: the driver of {self._bus.channel_info} does not come back; unplug the adapter "
                "or end the process"
            )

    # -- wire to bus --------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """The clock is about to sleep: send what waits; what the bus does not take at once goes the next time."""
        try:
            taken = self._lane.flush()
        except (OSError, ValueError) as problem:
            self._trouble = str(problem) or type(problem).__name__
            return
        if not taken and not self._again.active:
            self._again = self._clock.at(self._clock.now + _AGAIN_NS, _nothing)

    # -- bus to wire --------------------------------------------------------------------------------------

    def _read(self) -> None:
        """The reading thread: it only posts."""
        if self._prepare is not None:
            self._prepare()
        while not self._ending.is_set():
            try:
                taken = self._lane.take(_READ_S)
                self._trouble = ""
            except (can.CanError, OSError, ValueError) as problem:
                self._trouble = str(problem) or type(problem).__name__
                self._ending.wait(_READ_S)
                continue
            if taken is not None:
                self._clock.post(partial(self._came, taken, self._clock.arrival().rig_ns))

    def _came(self, taken: Callable[[], list[Frame]], arrival_ns: int) -> None:
        """On the clock's thread."""
        self._worst_delay_ns = max(self._worst_delay_ns, self._clock.now - arrival_ns)
        for frame in taken():
            try:
                is_taken = self._node.send(frame)
            except BusError:
                is_taken = False
            self._from_bus += is_taken
            self._not_taken += not is_taken


def _nothing() -> None:
    """Wake the clock, which sends what waits."""
