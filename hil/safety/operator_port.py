"""The port on loopback at which an operator reaches one kept part, while an operator has the rig."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hil.safety.message_port import MessagePort

if TYPE_CHECKING:
    from collections.abc import Callable


class OperatorPort:
    """Lent and taken back by the keeper; what changes does so in the part's own thread, between two messages.

    Args:
        wake: wakes the part's thread.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._changes: deque[MessagePort | None] = deque()
        self.port: MessagePort | None = None
        """Where the operator is heard; None while nobody has the part."""

    def lend(self) -> int:
        """Listen to an operator, once the part's thread comes to it. Any thread may call.

        Returns:
            The TCP port.
        """
        lent = MessagePort()
        self._changes.append(lent)
        self._wake()
        return lent.port

    def take_back(self) -> None:
        """Listen to the operator no more. Any thread may call."""
        self._changes.append(None)
        self._wake()

    @property
    def changes(self) -> bool:
        """Whether whoever speaks may have been relieved."""
        return bool(self._changes)

    def hand_over(self) -> bool:
        """Do what was asked since; whether anything was."""
        changed = bool(self._changes)
        while self._changes:
            lent = self._changes.popleft()
            self.end()
            self.port = lent
        return changed

    def end(self) -> None:
        """End the operator's connection, if there is one."""
        if self.port is not None:
            self.port.close()
            self.port = None
