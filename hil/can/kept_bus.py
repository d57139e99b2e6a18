"""One real CAN bus as the keeper holds it: frames out at once, frames in with the stamps of whoever took them."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import can

from hil.can.drops import Drops
from hil.can.error_message import decode
from hil.can.frame import Frame
from hil.can.kernel_cycle import message_of
from hil.can.opening import open_bus
from hil.can.stamps import SOURCES
from hil.errors import BusError
from hil.units import s

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import WallClock

_READ_S = 0.05  # how long the reader waits for a frame before it looks whether it shall end
_END_S = 2.0
_WAITING_MAX = 16_384
_SEND_S = 0.05  # how long the queue of the interface may be full


class Received(NamedTuple):
    """A data frame, or an error message of the controller."""

    frame: Frame | None
    classes: int
    """Of an error message."""
    unix_ns: int
    """Its stamp on the host's real-time clock [ns since 1970]."""
    read_ns: int
    """When the keeper read it, on the clock that was given [ns]."""


class KeptBus:
    """The keeper's own connection to a bus; one thread sends and takes, another one reads.

    Args:
        name: what the rig calls it.
        interface: the python-can interface.
        channel: its channel.
        bitrate_bps: bit rate [bit/s].
        clock: stamps what has no stamp of a known clock.
        wake: called in the reader thread when something can be taken, or was lost.

    Raises:
        BusError: when it cannot be opened.
    """

    def __init__(
        self, name: str, *, interface: str, channel: str, bitrate_bps: int, clock: WallClock, wake: Callable[[], None]
    ) -> None:
        self.name = name
        self.trouble = ""
        """Why the bus cannot be read; "" when it can."""
        self._interface, self._channel, self._bitrate_bps = interface, channel, bitrate_bps
        self._clock = clock
        self._wake = wake
        self._bus = open_bus(interface, channel, bitrate_bps, echo=False)
        self._drops = Drops(self._bus)
        self._missing = 0
        self._stamped = interface in SOURCES
        self._waiting: deque[Received] = deque()
        self._ending = threading.Event()
        self._reader = threading.Thread(target=self._read, name=f"can {name}", daemon=True)
        self._reader.start()

    @property
    def lost(self) -> int:
        """Frames that came and are not among what is taken.

        There was no room for them in the controller, the socket or the queue; or they are CAN FD or remote frames,
        which the way to the test does not carry.
        """
        return self._missing + self._drops.count

    def send(self, frame: Frame) -> None:
        """Send a frame.

        Raises:
            BusError: when the interface does not take it.
        """
        try:
            self._bus.send(message_of(frame), timeout=_SEND_S)
        except (can.CanError, OSError, ValueError) as problem:
            raise BusError(f"bus {self.name}: {frame} was not taken: {problem}") from problem

    def unix_ns(self) -> int:
        """The host's real-time clock now [ns since 1970]."""
        return self._clock.arrival().unix_ns

    def take(self) -> list[Received]:
        """Everything that has come since the last call."""
        found: list[Received] = []
        while self._waiting:
            found.append(self._waiting.popleft())
        return found

    def reopened(self) -> KeptBus:
        """Another connection to the same bus, in place of this one.

        Raises:
            BusError: when it cannot be opened.
        """
        self.close()
        return KeptBus(
            self.name,
            interface=self._interface,
            channel=self._channel,
            bitrate_bps=self._bitrate_bps,
            clock=self._clock,
            wake=self._wake,
        )

    def close(self) -> None:
        """End the reader and shut the bus down; harmless when done before."""
        if not self._ending.is_set():
            self._ending.set()
            self._reader.join(_END_S)
            self._drops.close()
            with suppress(can.CanError, OSError, ValueError):  # of an adapter that is not there any more
                self._bus.shutdown()

    def _read(self) -> None:
        while not self._ending.is_set():
            try:
                message = self._bus.recv(_READ_S)
            except (can.CanError, OSError, ValueError) as problem:
                self.trouble = str(problem) or type(problem).__name__
                self._wake()
                self._ending.wait(_READ_S)
                continue
            self.trouble = ""
            if message is not None:
                self._came(message)

    def _came(self, message: can.Message) -> None:
        arrival = self._clock.arrival()
        unix_ns = _whole_ns(message.timestamp) if self._stamped else arrival.unix_ns
        if message.is_error_frame:
            self._missing += decode(message.arbitration_id, bytes(message.data)).lost
            self._put(Received(None, message.arbitration_id, unix_ns, arrival.rig_ns))
        elif message.is_fd or message.is_remote_frame:
            self._missing += 1
            self._wake()
        else:
            frame = Frame(message.arbitration_id, bytes(message.data), message.is_extended_id)
            self._put(Received(frame, 0, unix_ns, arrival.rig_ns))

    def _put(self, received: Received) -> None:
        if len(self._waiting) >= _WAITING_MAX:
            self._missing += 1
            return
        self._waiting.append(received)
        self._wake()


def _whole_ns(timestamp_s: float) -> int:
    """Seconds in ns, with no more rounding than the float has already."""
    whole = int(timestamp_s)
    return whole * s + round((timestamp_s - whole) * s)
