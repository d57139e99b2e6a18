"""An operator takes the rig over from a test: the test is held, and what is kept listens to the operator alone.

Limits, interlocks, permits, lost instruments and the time that a hold may take count as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.clock import Clock
    from hil.safety.deadlines import Deadlines
    from hil.safety.holds import Hold, Holds
    from hil.safety.kept import Kept
    from hil.safety.record import KeeperRecord


@dataclass
class Test:
    """What the keeper knows of the test that runs."""

    name: str
    deadlines: Deadlines
    holds: Holds

    @property
    def operator(self) -> Hold | None:
        """The operator who has the rig."""
        return self.holds.operator

    def resume(self, now_ns: int, by: str = "") -> None:
        """A hold is over; its time does not count for the deadlines."""
        self.deadlines.put_off(self.holds.resume(now_ns, by), now_ns)


class ByHand:
    """Hands what is kept to an operator, and back to the test.

    Args:
        clock: the keeper's clock.
        record: the keeper's record.
        outlets: what is kept.
    """

    def __init__(self, clock: Clock, record: KeeperRecord, outlets: Mapping[str, Kept]) -> None:
        self.news: Callable[[Mapping[str, object]], None] = _untold
        """Told when an operator takes the rig over, and when that is over."""
        self._clock = clock
        self._record = record
        self._outlets = outlets

    def take(self, test: Test, by: str, why: str) -> tuple[str, dict[str, str]]:
        """An operator takes the rig over.

        Args:
            test: the test that is held.
            by: the operator.
            why: what for.

        Returns:
            Why not, or "" and where the operator reaches each part.
        """
        now, other = self._clock.now, test.operator
        refusal = f"{other.by} has it ({other.why})" if other else test.holds.declare(why, None, now, by)
        if refusal:
            self._record.write("take-over refused", t_ns=now, by=by, why=why, refusal=refusal)
            return refusal, {}
        left_s = test.holds.left_s(now)
        self._record.write("taken over by hand", t_ns=now, by=by, why=why, most_s=left_s, test=test.name)
        self.news({"news": "taken", "by": by, "why": why, "most_s": left_s})
        return "", {name: outlet.lend() for name, outlet in self._outlets.items()}

    def give_back(self, test: Test, how: str) -> bool:
        """The test has its instruments again; whether an operator had them.

        Args:
            test: the test that was held.
            how: for the record.
        """
        now, hold = self._clock.now, test.operator
        if hold is None:
            return False
        test.resume(now, hold.by)
        self._record.write("by hand until here", t_ns=now, by=hold.by, how=how)
        self.news({"news": "back", "by": hold.by, "how": how})
        for outlet in self._outlets.values():
            outlet.take_back()
        return True


def _untold(news: Mapping[str, object]) -> None:
    """Nobody is told."""
    del news
