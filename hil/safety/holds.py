"""Declared holds: a test may stand still while somebody looks, one at a time or one in another, and not for ever."""

from __future__ import annotations

from dataclasses import dataclass

from hil.units import s


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold.

    Args:
        why: what for.
        until_ns: when it is over at the latest [ns].
        by: the operator who took the rig over; "" when the test declared it.
    """

    why: str
    until_ns: int
    by: str = ""


class Holds:
    """The holds of one test, and the time they took.

    Args:
        longest_s: the longest hold [s].
        sum_s: what all holds of the test may take together [s].
    """

    def __init__(self, longest_s: float, sum_s: float) -> None:
        self._longest_s = longest_s
        self._sum_s = sum_s
        self._open: list[Hold] = []
        self._since_ns = 0
        self._used_ns = 0

    def __bool__(self) -> bool:
        """Whether the test is held."""
        return bool(self._open)

    @property
    def operator(self) -> Hold | None:
        """The hold of an operator who has the rig."""
        return next((hold for hold in self._open if hold.by), None)

    def left_s(self, now_ns: int) -> float:
        """What holds may still take [s].

        Args:
            now_ns: now [ns].
        """
        running_ns = now_ns - self._since_ns if self._open else 0
        return self._sum_s - (self._used_ns + running_ns) / s

    def declare(self, why: str, most_s: float | None, now_ns: int, by: str = "") -> str:
        """Hold the test; why it cannot be, "" when it is.

        Args:
            why: what for.
            most_s: how long at most [s]; as long as is allowed unless given.
            now_ns: now [ns].
            by: the operator who takes the rig over.
        """
        left_s = self.left_s(now_ns)
        allowed_s = min(self._longest_s, left_s)
        if allowed_s <= 0.0:
            return f"the holds of this test took {self._sum_s:g} s, and the rig file allows no more (safety.hold_sum_s)"
        if most_s is not None and not 0.0 < most_s <= allowed_s:
            rule = "safety.hold_s" if allowed_s == self._longest_s else "safety.hold_sum_s, less those before"
            return f"a hold of {most_s:g} s was asked for, and the rig file allows {allowed_s:g} s ({rule})"
        if not self._open:
            self._since_ns = now_ns
        self._open.append(Hold(why, now_ns + round((most_s or allowed_s) * s), by))
        return ""

    def resume(self, now_ns: int, by: str = "") -> int:
        """The innermost hold of the test, or that of an operator, is over; harmless when there is none.

        Args:
            now_ns: now [ns].
            by: the operator.

        Returns:
            How long the test was held, once nothing holds it any more; 0 before [ns].
        """
        ended = next((hold for hold in reversed(self._open) if hold.by == by), None)
        if ended is None:
            return 0
        self._open.remove(ended)
        if self._open:
            return 0
        held_ns = now_ns - self._since_ns
        self._used_ns += held_ns
        return held_ns

    def over(self, now_ns: int) -> str:
        """Which hold took too long; "" when none did.

        Args:
            now_ns: now [ns].
        """
        for hold in self._open:
            if now_ns >= hold.until_ns:
                if hold.by:
                    return f"{hold.by} had the rig for as long as it may be held, and did not hand it back"
                return f"the declared hold is over and nobody resumed: {hold.why}"
        return ""
