"""Bus: what a rig, a client or a test uses of a CAN bus: named messages in physical units, frames, statistics.

It stands on a :class:`hil.can.link.Link`. The simulated bus is one itself; a real python-can bus becomes one through a
reader that posts its frames to the rig clock.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import can

from hil.can.link import Scheduler
from hil.clock import Phase
from hil.errors import BusError
from hil.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hil.can.database import Database
    from hil.can.frame import Frame
    from hil.can.link import BusStats, Cyclic, Link
    from hil.can.protection import Receiver, Sender
    from hil.clock import Clock, Event

    Signals = Mapping[str, float | int | str]

UNREAD_MAX = 16_384
"""Frames that wait unread at most; beyond that the oldest are lost and reading says so."""

TURN_MAX = 256
"""Frames that a scheduler sends in turn at most: the limit of the kernel's broadcast manager."""


class Bus:
    """One CAN bus of a rig.

    Args:
        name: the name of the bus in the rig.
        clock: the rig clock.
        link: the bus behind it.
        database: its messages.
        before_call: called first by every call of the test that sends or waits.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        link: Link,
        database: Database,
        before_call: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.database = database
        self._clock = clock
        self._link = link
        self._before_call = before_call or _nothing
        self._senders: dict[str, Sender] = {}
        self._periodic: list[PeriodicMessage] = []
        self._unread: deque[Frame] = deque(maxlen=UNREAD_MAX)
        self._lost = 0
        self._stop_listening = link.listen(self._arrived)

    @property
    def raw(self) -> can.BusABC:
        """The python-can bus, for everything python-can does."""
        return self._link.raw

    @property
    def stats(self) -> BusStats:
        """Counters so far."""
        return self._link.stats

    # -- sending ------------------------------------------------------------------------------------------

    def send(self, name: str, signals: Signals) -> Frame:
        """Send a message once; its counter and CRC are filled in. Returns the frame as queued.

        Raises:
            BusError: for an unknown message or signal, a missing one, a value out of range, or when the bus does not
                take the frame.
        """
        self._before_call()
        frame = self.sender(name).frame(signals)
        self.put_on(frame)
        return frame

    def send_raw(self, frame: Frame) -> None:
        """Send a frame as it is.

        Raises:
            BusError: when the bus does not take it: bus-off, queue full, or no such frame in classic CAN.
        """
        self._before_call()
        self.put_on(frame)

    def put_on(self, frame: Frame) -> None:
        """As :meth:`send_raw`, as a part of a greater call: what sends a frame on several buses at once.

        Raises:
            BusError: as :meth:`send_raw`.
        """
        try:
            self._link.send_frame(frame)
        except can.CanOperationError as refused:
            raise BusError(f"bus {self.name}: {refused}") from refused

    def send_periodic(self, name: str, signals: Signals, period_ns: int | None = None) -> PeriodicMessage:
        """Send a message now and every period from then on.

        The kernel or the interface does it where the bus has such a scheduler and the counter of the message turns
        over within 256 frames; the rig clock does it elsewhere.

        Args:
            name: the message.
            signals: its physical values, which :meth:`PeriodicMessage.update` changes.
            period_ns: [ns]; the cycle time of the database (``GenMsgCycleTime``) when not given.

        Raises:
            BusError: for an unknown message or signal, a missing one, a value out of range, or no period at all.
            ClockError: for a period of zero or less.
        """
        period_ns = self.database.cycle_ns(name) if period_ns is None else period_ns
        if period_ns is None:
            raise BusError(
                f"bus {self.name}: message {name} has no cycle time in {self.database.path}; give period_ns="
            )
        self._before_call()
        scheduler = self._link if isinstance(self._link, Scheduler) else None
        periodic = PeriodicMessage(self, name, signals, clock=self._clock, period_ns=period_ns, scheduler=scheduler)
        self._periodic.append(periodic)
        return periodic

    def sender(self, name: str) -> Sender:
        """The stream of a message that this bus sends: its counter goes on from frame to frame.

        Raises:
            BusError: when the database has no such message.
        """
        sender = self._senders.get(name)
        if sender is None:
            sender = self._senders[name] = self.database.sender(name)
        return sender

    # -- receiving ----------------------------------------------------------------------------------------

    def recv(self, timeout_ns: int | None) -> Frame | None:
        """The next frame of another node not yet read; None when none comes in time.

        Args:
            timeout_ns: rig time to wait [ns]; None waits as long as it takes.

        Raises:
            BusError: when frames were lost because nobody read them.
            ClockError: in an event callback, or in a thread the rig clock does not manage.
            DeadlockError: without a timeout, when nothing can ever arrive.
        """
        self._before_call()
        if not self._unread:
            until_ns = None if timeout_ns is None else self._clock.now + max(0, timeout_ns)
            if not self._clock.wait(until_ns, lambda: bool(self._unread), f"a frame on bus {self.name}"):
                return None
        if self._lost:
            lost, self._lost = self._lost, 0
            raise BusError(
                f"bus {self.name}: {lost} frames were lost because {UNREAD_MAX} waited unread; "
                "drop them with bus.clear(), or use bus.subscribe(fn)"
            )
        return self._unread.popleft()

    def clear(self) -> int:
        """Drop the frames not yet read; returns how many there were."""
        count = len(self._unread) + self._lost
        self._unread.clear()
        self._lost = 0
        return count

    def subscribe(self, fn: Callable[[Frame], object], messages: Iterable[str] | None = None) -> Callable[[], None]:
        """Call ``fn`` with every frame of another node at its end of frame; returns the call that ends it.

        Args:
            fn: takes the frame.
            messages: the names of the messages it wants; None for every frame, known to the database or not.

        Raises:
            BusError: when the database has no such message.
        """
        accept = None if messages is None else [self.database.identifier(name) for name in messages]
        return self._link.listen(fn, accept)

    def check(self, name: str) -> Receiver:
        """Begin to check every frame of a message for counter and CRC; the returned stream counts what is wrong.

        Raises:
            BusError: when the database has no such message.
        """
        receiver = self.database.receiver(name)
        self.subscribe(receiver.check, [name])
        return receiver

    def close(self) -> None:
        """Stop sending and listening and shut the python-can bus down; harmless when done before."""
        for periodic in self._periodic:
            periodic.stop()
        self._stop_listening()
        self._link.shutdown()

    def _arrived(self, frame: Frame) -> None:
        if len(self._unread) == UNREAD_MAX:
            self._lost += 1
        self._unread.append(frame)


class PeriodicMessage:
    """A message sent again and again; made by :meth:`Bus.send_periodic`.

    A frame the bus does not take (queue full, bus-off) is counted in :attr:`refused` where the rig clock sends; the
    sending goes on. A scheduler is given a whole turn of the counter; when it is stopped, the counter of the next
    frame begins where the turn began.
    """

    def __init__(
        self,
        bus: Bus,
        name: str,
        signals: Signals,
        *,
        clock: Clock,
        period_ns: int,
        scheduler: Scheduler | None = None,
    ) -> None:
        bus.database.encode(name, signals)  # a wrong value is an error here, not at the first tick
        self.refused = 0
        self._bus = bus
        self._name = name
        self._signals = dict(signals)
        self._period_ns = period_ns
        self._cyclic = self._handed_over(scheduler) if scheduler is not None else None
        self._running = True
        self._event: Event | None = None
        if self._cyclic is None:
            self._event = clock.every(period_ns, self._tick, Phase.DEVICE)

    def __repr__(self) -> str:
        return f"<{self._name} every {format_duration(self._period_ns)} on bus {self._bus.name}>"

    def update(self, signals: Signals) -> None:
        """Change some physical values from the next frame on.

        Raises:
            BusError: for an unknown signal or a value out of range, or when a scheduler does not take the frames; the
                old values then stay.
        """
        changed = {**self._signals, **signals}
        self._bus.database.encode(self._name, changed)
        if self._cyclic is not None and self._running:
            try:
                self._cyclic.update(self._turn(changed))
            except can.CanOperationError as refused:
                raise BusError(f"bus {self._bus.name}: {refused}") from refused
        self._signals = changed

    @property
    def running(self) -> bool:
        """Whether it is still being sent."""
        return self._running

    @property
    def by_scheduler(self) -> bool:
        """Whether the kernel or the interface sends it, and not the rig clock."""
        return self._cyclic is not None

    def stop(self) -> None:
        """Send no more; harmless when stopped."""
        self._running = False
        if self._event is not None:
            self._event.cancel()
        if self._cyclic is not None:
            self._cyclic.stop()

    def _handed_over(self, scheduler: Scheduler) -> Cyclic | None:
        """The scheduler's own sending, or None when it cannot do that."""
        counter = self._bus.database.protection(self._name).counter
        if counter is not None and counter.wheel[2] > TURN_MAX:
            return None
        try:
            return scheduler.cyclic(self._turn(self._signals), self._period_ns)
        except can.CanOperationError as refused:
            raise BusError(f"bus {self._bus.name}: {refused}") from refused

    def _turn(self, signals: Signals) -> list[Frame]:
        """The frames of one turn of the counter; the stream stands where it stood afterwards."""
        counter = self._bus.database.protection(self._name).counter
        sender = self._bus.sender(self._name)
        return [sender.frame(signals) for _ in range(1 if counter is None else counter.wheel[2])]

    def _tick(self) -> None:
        frame = self._bus.sender(self._name).frame(self._signals)
        try:
            self._bus.put_on(frame)
        except BusError:
            self.refused += 1


def _nothing() -> None:
    """A call of the test costs no time."""
