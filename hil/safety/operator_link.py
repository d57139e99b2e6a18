"""An operator's connection to a keeper: takes the rig over, talks to its instruments, hands it back."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, cast

from hil.errors import InstrumentError
from hil.safety.errors import KeeperError
from hil.safety.launch import KeeperLink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil.safety.launch import KeeperDoor

_ANSWER_S = 10.0
_PROTECTED = "-203,"  # how a refusal of the keeper begins in the error queue
_NO_ERROR = ("0,", "+0,")


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
        """VISA resource of every instrument, by name, for this operator alone."""
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

    def say(self, instrument: str, message: str) -> list[str]:
        """Send one message to an instrument; each has a connection of its own, so that other programs may have theirs.

        Args:
            instrument: its name.
            message: a command or a query.

        Returns:
            Its answer, where there is one, and its error, where there is one.

        Raises:
            InstrumentError: when there is no such instrument, or no answer.
        """
        if instrument not in self.doors:
            raise InstrumentError(f"the keeper has no instrument {instrument}; it has {', '.join(self.doors)}")
        _, host, port, _ = self.doors[instrument].split("::")
        try:
            with socket.create_connection((host, int(port)), timeout=_ANSWER_S) as link, link.makefile("rb") as lines:
                link.sendall(f"{message}\nSYST:ERR?\n".encode("latin-1"))
                found = [lines.readline().decode("latin-1").strip()]
                if "?" in message and not found[0].startswith(_PROTECTED):
                    found.append(lines.readline().decode("latin-1").strip())
        except (OSError, UnicodeEncodeError) as problem:
            raise InstrumentError(f"{instrument}: {message!r}: {problem}") from problem
        if not all(found):
            raise InstrumentError(f"{instrument}: the keeper has closed the connection: the rig was made safe")
        return [line for line in found if not line.startswith(_NO_ERROR)]
