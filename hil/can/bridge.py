"""A bridge between a simulated wire and a python-can bus: simulated articles meet real ones, or another program's.

The bridge is a node on the wire. What other nodes send is sent on the bus, what comes from the bus is sent on the
wire, in order, and never back to where it came from. Two threads do the waiting. A received frame is stamped on
arrival; it is on the wire as soon as the clock's thread gets to it and the wire is free, and how long the clock's
thread took at worst is counted: so much later than on the real bus, beside their length, are its stamps on the wire.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import can

from hil.can.drops import Drops
from hil.can.frame import Frame
from hil.clock import WallClock
from hil.errors import BusError

if TYPE_CHECKING:
    from hil.can.wire import CanWire
    from hil.clock import Clock

DEPTH = 1_024
"""Frames that wait in each direction at most; what comes on top is lost, and counted."""
_READ_S = 0.05  # how long the reader waits before it looks whether it shall end [s]
_END_S = 2.0  # how long a thread may take to end [s]
_DLC_MAX = 8
_Key = tuple[int, bool, bool, bytes]


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
    """

    def __init__(
        self, wire: CanWire, bus: can.BusABC, clock: Clock, *, name: str = "bridge", echo: bool = False
    ) -> None:
        if not isinstance(clock, WallClock):
            raise BusError(f"bus {wire.name}: {bus.channel_info} lives in wall time; set the rig's pace to join them")
        self.wire = wire
        self._clock = clock
        self._bus = bus
        self._drops = Drops(bus)
        self._node = wire.attach(name, tx_depth=DEPTH)
        self._node.on_frame(self._from_wire)
        self._outgoing: queue.Queue[Frame | None] = queue.Queue(DEPTH)
        self._echo = echo
        self._unconfirmed: deque[_Key] = deque(maxlen=DEPTH)
        self._to_bus = self._from_bus = self._full = self._not_sent = self._not_taken = 0
        self._worst_delay_ns = 0
        self._trouble = ""
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"{wire.name} bridge {way}", daemon=True)
            for way, target in (("out", self._write), ("in", self._read))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def stats(self) -> BridgeStats:
        """Counts so far."""
        lost = self._full + self._not_sent
        lost_from_bus = self._not_taken + self._drops.count
        return BridgeStats(self._to_bus, self._from_bus, lost, lost_from_bus, self._worst_delay_ns, self._trouble)

    def close(self) -> None:
        """Leave the wire, end the threads, shut the bus down; harmless when done before.

        Raises:
            BusError: when the driver holds a thread even then.
        """
        if self._ending.is_set():
            return
        self._ending.set()
        if self._node.attached:
            self._node.power(False)
            self._node.detach()
        with suppress(queue.Full):  # a writer with a full queue looks after the frame it is at
            self._outgoing.put_nowait(None)
        for thread in self._threads:
            thread.join(_END_S)
        self._drops.close()
        try:
            self._bus.shutdown()
        except (can.CanError, OSError) as problem:  # the other end of the cable went first
            self._trouble = str(problem) or type(problem).__name__
        for thread in self._threads:
            thread.join(_END_S)
            if thread.is_alive():
                raise BusError(
                    f"{thread.name}: the driver of {self._bus.channel_info} does not come back; unplug the adapter or "
                    "end the process"
                )

    # -- wire to bus --------------------------------------------------------------------------------------

    def _from_wire(self, frame: Frame) -> None:
        try:
            self._outgoing.put_nowait(frame)
        except queue.Full:
            self._full += 1

    def _write(self) -> None:
        """The writing thread: a driver may hold it as long as it likes."""
        while True:
            frame = self._outgoing.get()
            if frame is None or self._ending.is_set():
                return
            if self._echo:
                self._unconfirmed.append(_key(frame))
            try:
                self._bus.send(_message_of(frame))
                self._to_bus += 1
            except (can.CanError, OSError, ValueError):
                self._not_sent += 1

    # -- bus to wire --------------------------------------------------------------------------------------

    def _read(self) -> None:
        """The reading thread: it only posts."""
        while not self._ending.is_set():
            try:
                message = self._bus.recv(_READ_S)
                self._trouble = ""
            except (can.CanError, OSError, ValueError) as problem:
                self._trouble = str(problem) or type(problem).__name__
                self._ending.wait(_READ_S)
                continue
            if message is not None and not message.is_error_frame:
                self._clock.post(partial(self._came, message, self._clock.arrival().rig_ns))

    def _came(self, message: can.Message, arrival_ns: int) -> None:
        """On the clock's thread."""
        self._worst_delay_ns = max(self._worst_delay_ns, self._clock.now - arrival_ns)
        frame = _frame_of(message)
        if self._is_own(message, frame):
            return
        try:
            taken = self._node.send(frame)
        except BusError:
            taken = False
        self._from_bus += taken
        self._not_taken += not taken

    def _is_own(self, message: can.Message, frame: Frame) -> bool:
        if not self._echo or message.is_rx:
            return False
        key = _key(frame)
        if key not in self._unconfirmed:
            return False  # of another program on this host
        self._unconfirmed.remove(key)
        return True


def _key(frame: Frame) -> _Key:
    return frame.arbitration_id, frame.extended, frame.remote, frame.data


def _frame_of(message: can.Message) -> Frame:
    if message.is_remote_frame:
        return Frame(message.arbitration_id, b"", message.is_extended_id, True, min(message.dlc, _DLC_MAX))
    return Frame(
        message.arbitration_id,
        bytes(message.data),
        message.is_extended_id,
        fd=message.is_fd,
        brs=message.bitrate_switch,
        esi=message.error_state_indicator,
    )


def _message_of(frame: Frame) -> can.Message:
    return can.Message(
        arbitration_id=frame.arbitration_id,
        is_extended_id=frame.extended,
        is_remote_frame=frame.remote,
        dlc=frame.dlc,
        data=None if frame.remote else frame.data,
        is_fd=frame.fd,
        bitrate_switch=frame.brs,
        error_state_indicator=frame.esi,
    )
