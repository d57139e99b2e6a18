"""An operator's connection to a keeper: takes the rig over, talks to what is kept, hands it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hil.safety.errors import KeeperError
from hil.safety.launch import KeeperLink
from hil.safety.operator_talk import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil.safety.launch import KeeperDoor


class OperatorLink(KeeperLink):
    """An operator who has the rig.

    Args:
        door: where the keeper is reached.
        by: the operator.
        why: what for.

    Raises:
        KeeperError: when the keeper refuses, or is not there.
    """

    def __init__(self, door: KeeperDoor, by: str, why: str) -> None:
        super().__init__(door, joins=False)
        told = self._ask(do="take", by=by, why=why)
        if not told.get("ok"):
            self.close()
            raise KeeperError(f"the rig is not handed over: {told.get('why')}")
        self.doors = cast("Mapping[str, str]", told["doors"])
        """Where every part is reached, by name, for this operator alone: VISA resource, or address in words."""
        self.test = str(told["test"])
        """The test that is held."""
        self.most_s = cast("float", told["most_s"])
        """How long it may be held [s]."""

    def hand_back(self) -> None:
        """Let the test go on.

        Raises:
            KeeperError: when this operator does not have the rig any more, or the keeper is gone.
        """
        told = self._ask(do="hand back")
        if not told.get("ok"):
            raise KeeperError(f"the rig was not handed back: {told.get('why')}; see the keeper's record")

    def end_safe(self) -> None:
        """Have the rig made safe, which ends the run.

        Raises:
            UnsafeError: when it is not confirmed safe.
            KeeperError: when this operator does not have the rig any more, or the keeper is gone.
        """
        told = self._ask(do="safe by hand")
        if "state" not in told:
            raise KeeperError(f"the rig was not made safe by hand: {told.get('why')}; see the keeper's record")
        self._demand_safe(told)

    def say(self, part: str, message: str) -> list[str]:
        """Send one message to a part, as :func:`~hil.safety.operator_talk.say` does.

        Raises:
            InstrumentError: when there is no such part, or no answer.
        """
        return say(self.doors, part, message)
