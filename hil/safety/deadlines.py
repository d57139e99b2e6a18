"""How long a test may take, altogether and in each phase of its articles; the time of declared holds does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.units import s

if TYPE_CHECKING:
    from collections.abc import Mapping


class Deadlines:
    """The deadlines of one test.

    Args:
        test: the test.
        allowed_s: what it may take altogether [s]; None for no such deadline.
        in_phase_s: what it may spend in a phase, from each time that it enters it [s], by phase.
        phase: the phase it begins in.
        now_ns: when it begins [ns].
    """

    def __init__(
        self, test: str, allowed_s: float | None, in_phase_s: Mapping[str, float], *, phase: str, now_ns: int
    ) -> None:
        self._test = test
        self._allowed_s = allowed_s
        self._in_phase_s = in_phase_s
        self._phase = phase
        self._began_ns = self._entered_ns = now_ns

    def enter(self, phase: str, now_ns: int) -> None:
        """The articles are in another phase; to enter the one they are in already begins nothing anew.

        Args:
            phase: the phase.
            now_ns: when [ns].
        """
        if phase != self._phase:
            self._phase, self._entered_ns = phase, now_ns

    def put_off(self, held_ns: int, now_ns: int) -> None:
        """A hold is over; its time does not count, in a phase that was entered meanwhile from then on.

        Args:
            held_ns: how long it was [ns].
            now_ns: now [ns].
        """
        self._began_ns += held_ns
        self._entered_ns += min(held_ns, now_ns - self._entered_ns)

    @property
    def due_ns(self) -> int | None:
        """When the next deadline is [ns]; None when there is none."""
        due = [began_ns + round(allowed_s * s) for _, allowed_s, began_ns in self._counted()]
        return min(due, default=None)

    def over(self, now_ns: int) -> str:
        """Which deadline the test is over; "" when it is over none.

        Args:
            now_ns: now [ns].
        """
        late = [
            (began_ns + round(allowed_s * s), f"{self._test} is over its deadline of {allowed_s:g} s{where}")
            for where, allowed_s, began_ns in self._counted()
            if now_ns >= began_ns + round(allowed_s * s)
        ]
        return min(late)[1] if late else ""

    def _counted(self) -> list[tuple[str, float, int]]:
        """What counts now: where, the time allowed [s], since when [ns]."""
        found = [("", self._allowed_s, self._began_ns)] if self._allowed_s is not None else []
        in_phase_s = self._in_phase_s.get(self._phase)
        if in_phase_s is not None:
            found.append((f" in phase {self._phase}", in_phase_s, self._entered_ns))
        return found


def why_not_allowed(asked_s: float | None, most_s: float) -> str:
    """Why a test may not have the deadline it asks for; "" when it may.

    Args:
        asked_s: what it asks for [s]; None for what every test has.
        most_s: the longest that the rig file allows [s].
    """
    if asked_s is None or asked_s <= most_s:
        return ""
    return f"a deadline of {asked_s:g} s was asked for, and the rig file allows {most_s:g} s (safety.deadline_max_s)"
