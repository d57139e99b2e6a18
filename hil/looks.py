"""The windows in which a test looked at the rig, for the measurement that is made of what it saw.

A value is often counted over several stimuli. What spoilt one of the looks spoils the value, so that a measurement
answers for every look since the one before.
"""

from __future__ import annotations

from typing import NamedTuple


class Window(NamedTuple):
    """A stretch of rig time, both ends included."""

    begin_ns: int
    end_ns: int


class Looks:
    """Windows of rig time since the last measurement; one that meets the one before is joined with it."""

    def __init__(self) -> None:
        self._windows: list[Window] = []
        self._taken = False

    def add(self, begin_ns: int, end_ns: int) -> None:
        """The test looked at what was in a window of rig time [ns]; an empty one is nothing."""
        if self._taken:
            self._windows, self._taken = [], False
        if begin_ns > end_ns:
            return
        last = self._windows[-1] if self._windows else None
        if last is not None and begin_ns <= last.end_ns and last.begin_ns <= end_ns:
            self._windows[-1] = Window(min(begin_ns, last.begin_ns), max(end_ns, last.end_ns))
        else:
            self._windows.append(Window(begin_ns, end_ns))

    @property
    def windows(self) -> tuple[Window, ...]:
        """All of them, as they were added."""
        return tuple(self._windows)

    def take(self, begin_ns: int | None = None) -> None:
        """A measurement answers for all of them; one whose window begins later leaves them for the next.

        Measurements in a row answer for the same windows: each may be made of what was seen in them.
        """
        if begin_ns is None or all(begin_ns <= window.begin_ns for window in self._windows):
            self._taken = True
