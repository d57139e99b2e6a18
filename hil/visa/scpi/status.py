"""IEEE 488.2 status reporting: status byte, standard events, register groups, error queue."""

from __future__ import annotations

from collections import deque
from enum import IntFlag
from typing import TYPE_CHECKING

from hil.visa.scpi.errors import ScpiError

if TYPE_CHECKING:
    from collections.abc import Callable

ERROR_QUEUE_DEPTH = 20
"""Entries the error queue holds; SCPI-99 asks for at least two, 20 is usual."""


class Event(IntFlag):
    """Bits of the standard event status register (IEEE 488.2, 11.5.1)."""

    OPERATION_COMPLETE = 1
    REQUEST_CONTROL = 2
    QUERY_ERROR = 4
    DEVICE_ERROR = 8
    EXECUTION_ERROR = 16
    COMMAND_ERROR = 32
    USER_REQUEST = 64
    POWER_ON = 128


class StatusByte(IntFlag):
    """Bits of the status byte (IEEE 488.2, 11.2, and SCPI-99 volume 1, 5.1)."""

    ERROR_QUEUE = 4
    QUESTIONABLE = 8
    MESSAGE_AVAILABLE = 16
    EVENT_SUMMARY = 32
    MASTER_SUMMARY = 64
    OPERATION = 128


class Group:
    """One SCPI status register group: condition, transition filters, event, enable.

    Args:
        changed: called when the summary bit may have changed.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.condition = 0
        self.event = 0
        self.enable = 0
        self.positive = 0x7FFF
        self.negative = 0

    def set_condition(self, value: int) -> None:
        """Take over new conditions; transitions that the filters pass become events."""
        rising, falling = value & ~self.condition, self.condition & ~value
        self.condition = value
        self.event |= (rising & self.positive) | (falling & self.negative)
        self._changed()

    def change(self, bits: int, present: bool) -> None:
        """Set or clear some conditions and keep the others."""
        self.set_condition(self.condition | bits if present else self.condition & ~bits)

    def take_event(self) -> int:
        """The event register, which reading clears."""
        value, self.event = self.event, 0
        self._changed()
        return value

    def preset(self) -> None:
        """``STATus:PRESet``: nothing enabled, rising conditions become events."""
        self.enable, self.positive, self.negative = 0, 0x7FFF, 0
        self._changed()

    @property
    def summary(self) -> bool:
        """Whether an enabled event is set."""
        return bool(self.event & self.enable)


class Status:
    """All status of one instrument.

    Args:
        message_available: asked for the MAV bit.
    """

    def __init__(self, message_available: Callable[[], bool]) -> None:
        self._message_available = message_available
        self.errors: deque[str] = deque()
        self.events = Event.POWER_ON
        self.event_enable = 0
        self.service_enable = 0
        self.operation: list[Group] = []
        self.questionable: list[Group] = []
        self.service_requested = False
        self._asserted = 0

    def add_channels(self, count: int) -> None:
        """Make one operation and one questionable group per channel."""
        self.operation = [Group(self.update) for _ in range(count)]
        self.questionable = [Group(self.update) for _ in range(count)]

    def report(self, error: ScpiError) -> None:
        """Put an error in the queue and set its standard event; a full queue ends in -350."""
        self.events |= _event_of(error.number)
        if len(self.errors) < ERROR_QUEUE_DEPTH:
            self.errors.append(error.entry)
        else:
            self.errors[-1] = ScpiError(-350).entry
        self.update()

    def next_error(self) -> str:
        """The oldest error, taken out of the queue."""
        entry = self.errors.popleft() if self.errors else ScpiError(0).entry
        self.update()
        return entry

    def set_event(self, event: Event) -> None:
        """Set a standard event."""
        self.events |= event
        self.update()

    def take_events(self) -> int:
        """``*ESR?``: the standard events, which reading clears."""
        value, self.events = int(self.events), Event(0)
        self.update()
        return value

    def clear(self) -> None:
        """``*CLS``: events and errors; enables and what is in the output queue stay."""
        self.events = Event(0)
        self.errors.clear()
        for group in (*self.operation, *self.questionable):
            group.event = 0
        self.update()

    def byte(self) -> int:
        """The status byte with MSS in bit 6, as ``*STB?`` reads it."""
        bits = self._summary()
        if bits & self.service_enable:
            bits |= StatusByte.MASTER_SUMMARY
        return int(bits)

    def serial_poll(self) -> int:
        """The status byte with RQS in bit 6, which a serial poll clears."""
        bits = self._summary()
        if self.service_requested:
            bits |= StatusByte.MASTER_SUMMARY
        self.service_requested = False
        return int(bits)

    def update(self) -> None:
        """Look whether a new reason for service has come up; call it when status changed."""
        if not self.service_enable and not self._asserted:
            return
        asserted = int(self._summary()) & self.service_enable
        if asserted & ~self._asserted:
            self.service_requested = True
        elif not asserted:
            self.service_requested = False
        self._asserted = asserted

    def _summary(self) -> int:
        bits = 0
        if self.errors:
            bits |= StatusByte.ERROR_QUEUE
        if any(group.summary for group in self.questionable):
            bits |= StatusByte.QUESTIONABLE
        if self._message_available():
            bits |= StatusByte.MESSAGE_AVAILABLE
        if self.events & self.event_enable:
            bits |= StatusByte.EVENT_SUMMARY
        if any(group.summary for group in self.operation):
            bits |= StatusByte.OPERATION
        return bits


def _event_of(number: int) -> Event:
    """The standard event an error number belongs to (SCPI-99 volume 2, 21.8.1)."""
    if -200 < number <= -100:
        return Event.COMMAND_ERROR
    if -300 < number <= -200:
        return Event.EXECUTION_ERROR
    if -500 < number <= -400:
        return Event.QUERY_ERROR
    return Event.DEVICE_ERROR
