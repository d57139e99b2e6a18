"""Both directions of a python-can bus, for a program whose clock's thread must not wait for a driver."""

from __future__ import annotations

import queue
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

import can
from can.interfaces.slcan import slcanBus

from hil.can.frame import Frame
from hil.can.kernel_cycle import key_of, message_of
from hil.can.slcan import SlcanLane
from hil.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.kernel_cycle import Key

_END_S = 2.0  # how long the writing thread may take to end [s]
_DLC_MAX = 8


class Lane(Protocol):
    """Frames out without waiting, frames in by a reading thread."""

    @property
    def sent(self) -> int:
        """Frames that the bus took."""
        ...

    @property
    def lost(self) -> int:
        """Frames that it did not take, or not in time."""
        ...

    def put(self, frame: Frame) -> None:
        """Have a frame sent, at :meth:`flush` at the latest; on the clock's thread."""
        ...

    def flush(self) -> bool:
        """Send what waits, as far as that takes no time; whether nothing waits any more. On the clock's thread."""
        ...

    def take(self, wait_s: float) -> Callable[[], list[Frame]] | None:
        """What has come, or comes within a time [s]; on the reading thread.

        It is called on the clock's thread, in the order it was taken, and gives the frames of other nodes. Raises what
        python-can raises, or OSError.
        """
        ...

    def close(self) -> None:
        """End what it runs; the bus is closed by its owner, before or afterwards."""
        ...


def lane_of(bus: can.BusABC, name: str, *, depth: int, echo: bool) -> Lane:
    """The lane of a bus, the fastest there is for its interface.

    Args:
        bus: the bus, open.
        name: what its threads are called after.
        depth: frames that wait to be sent at most.
        echo: whether the bus gives back what was sent on it.
    """
    return SlcanLane(bus) if isinstance(bus, slcanBus) else DriverLane(bus, name, depth=depth, echo=echo)


class DriverLane:
    """The lane of any python-can bus: a thread of its own sends, as long as the driver may hold it; see :class:`Lane`.

    Args:
        bus: the bus, open.
        name: what its thread is called after.
        depth: frames that wait to be sent at most; what comes on top is lost.
        echo: whether the bus gives back what was sent on it.
    """

    def __init__(self, bus: can.BusABC, name: str, *, depth: int, echo: bool) -> None:
        self.sent = self._full = self._not_sent = 0
        self._bus = bus
        self._echo = echo
        self._outgoing: queue.Queue[Frame | None] = queue.Queue(depth)
        self._unconfirmed: deque[Key] = deque(maxlen=depth)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write, name=f"{name} bridge out", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Frames that found the queue full, or that the driver did not take."""
        return self._full + self._not_sent

    def put(self, frame: Frame) -> None:
        """Queue a frame for the writing thread."""
        try:
            self._outgoing.put_nowait(frame)
        except queue.Full:
            self._full += 1

    def flush(self) -> bool:
        """Nothing waits for it."""
        return True

    def take(self, wait_s: float) -> Callable[[], list[Frame]] | None:
        """The next message; raises what python-can raises."""
        message = self._bus.recv(wait_s)
        return None if message is None or message.is_error_frame else partial(self._frames, message)

    def close(self) -> None:
        """End the writing thread; called again, once the bus is closed, it has ended or the driver holds it.

        Raises:
            BusError: when it is called again, and the driver holds the thread even then.
        """
        again = self._ending.is_set()
        self._ending.set()
        with suppress(queue.Full):  # a writer with a full queue looks after the frame it is at
            self._outgoing.put_nowait(None)
        self._thread.join(_END_S)
        if again and self._thread.is_alive():
            raise BusError(
                f"{self._thread.name}: the driver of {self._bus.channel_info} does not come back; unplug the adapter "
                "or end the process"
            )

    def _write(self) -> None:
        """The writing thread: a driver may hold it as long as it likes."""
        while True:
            frame = self._outgoing.get()
            if frame is None or self._ending.is_set():
                return
            if self._echo:
                self._unconfirmed.append(key_of(frame))
            try:
                self._bus.send(message_of(frame))
                self.sent += 1
            except (can.CanError, OSError, ValueError):
                self._not_sent += 1

    def _frames(self, message: can.Message) -> list[Frame]:
        """The frame of a message, unless it was sent here."""
        frame = _frame_of(message)
        return [] if self._is_own(message, frame) else [frame]

    def _is_own(self, message: can.Message, frame: Frame) -> bool:
        if not self._echo or message.is_rx:
            return False
        key = key_of(frame)
        if key not in self._unconfirmed:
            return False  # of another program on this host
        self._unconfirmed.remove(key)
        return True


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
