"""Deadlines on a rig without a keeper, in rig time: what a keeper would trip on a bench ends the test here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.safety.deadlines import Deadlines
from hil.safety.errors import OverdueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil.clock import Clock, Event

_AGAIN_NS = 1  # a test that goes on all the same is told in each of its waits


class TimeLimits:
    """The deadlines of the test that runs; nothing is scheduled while none is declared.

    Args:
        clock: the rig clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deadlines: Deadlines | None = None
        self._event: Event | None = None
        self._held_since_ns: int | None = None
        self._holds = 0

    def begin(self, test: str, allowed_s: float | None, in_phase_s: Mapping[str, float], phase: str) -> None:
        """A test begins.

        Args:
            test: its name.
            allowed_s: what it may take [s rig time]; None for no such deadline.
            in_phase_s: what it may spend in a phase [s rig time].
            phase: the phase it begins in.
        """
        self._deadlines = Deadlines(test, allowed_s, in_phase_s, phase=phase, now_ns=self._clock.now)
        self._set()

    def enter(self, phase: str) -> None:
        """The articles are in another phase."""
        if self._deadlines is not None:
            self._deadlines.enter(phase, self._clock.now)
            self._set()

    def hold(self) -> None:
        """Nothing counts from now on."""
        self._holds += 1
        if self._holds == 1:
            self._held_since_ns = self._clock.now
            self._cancel()

    def resume(self) -> None:
        """A hold is over."""
        self._holds -= 1
        if self._holds == 0 and self._held_since_ns is not None and self._deadlines is not None:
            self._deadlines.put_off(self._clock.now - self._held_since_ns, self._clock.now)
            self._set()

    def end(self) -> None:
        """The test is over: what puts the rig back has no deadline."""
        self._deadlines = None
        self._cancel()

    def _cancel(self) -> None:
        if self._event is not None:
            self._event.cancel()
            self._event = None

    def _set(self) -> None:
        self._cancel()
        due_ns = None if self._deadlines is None else self._deadlines.due_ns
        if due_ns is not None and not self._holds:
            self._event = self._clock.at(max(due_ns, self._clock.now), self._look)

    def _look(self) -> None:
        """A deadline is reached.

        Raises:
            OverdueError: out of the wait in which it is reached.
        """
        over = "" if self._deadlines is None else self._deadlines.over(self._clock.now)
        if over:
            self._event = self._clock.at(self._clock.now + _AGAIN_NS, self._look)
            raise OverdueError(f"{over} of rig time; make it shorter, or see pytest.mark.deadline and [safety]")
