"""python-can's buffered readers wait in wall time, inside a queue; on a virtual rig such a wait is refused.

A ``can.BufferedReader`` knows no bus, so that it cannot be made to wait on a rig clock. What is in its buffer is read
as always; only a wait for more, which no rig time would ever end, raises and names the remedy.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import can

from hil.errors import ClockError

if TYPE_CHECKING:
    from collections.abc import Generator

    from hil.clock import Clock

_SYNCHRONOUS = "get_message"
_ASYNCHRONOUS = ("get_message", "__anext__")


@contextmanager
def wall_readers_refused(clock: Clock) -> Generator[None]:
    """While a virtual rig is open, ``can.BufferedReader`` and ``can.AsyncBufferedReader`` do not wait in wall time."""
    if clock.pace != "virtual":
        yield
        return
    guards = [_Guard(can.BufferedReader, _SYNCHRONOUS), *(_Guard(can.AsyncBufferedReader, n) for n in _ASYNCHRONOUS)]
    try:
        yield
    finally:
        for guard in guards:
            guard.end()


class _Guard:
    """Stands before one method of a reader class; rigs may be closed in any order."""

    def __init__(self, reader: type, name: str) -> None:
        self._reader, self._name = reader, name
        self._original = getattr(reader, name)
        self._on = True
        original, refuse = self._original, self._refuse

        def guarded(this: can.BufferedReader | can.AsyncBufferedReader, *given: object, **named: object) -> object:
            refuse(this)
            return original(this, *given, **named)

        self._guarded = guarded
        setattr(reader, name, guarded)

    def end(self) -> None:
        """Step aside."""
        self._on = False
        if vars(self._reader)[self._name] is self._guarded:
            setattr(self._reader, self._name, self._original)

    def _refuse(self, reader: can.BufferedReader | can.AsyncBufferedReader) -> None:
        stopped = getattr(reader, "is_stopped", False)
        if self._on and not stopped and reader.buffer.empty():
            raise ClockError(
                f"can.{type(reader).__name__}.{self._name} on a virtual clock: its buffer is empty, and it would wait "
                "in wall time, in which no message arrives; use bus.recv(timeout), which waits in rig time"
            )
