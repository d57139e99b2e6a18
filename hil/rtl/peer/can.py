"""A CAN bus on two pins of a design: see :mod:`hil.rtl.can.rest_of_bus` for who is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hil.rtl.can.rest_of_bus import RestOfBus
from hil.rtl.peer.can_line import PinLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.phy.events import Told
    from hil.can.phy.node import Node


class Can:
    """See :class:`hil.rtl.peer.server.Peripheral`; commands and events are words of :mod:`hil.rtl.can.words`."""

    def __init__(self, top: Any, binding: dict[str, Any], post: Callable[[bytes], None], period_ps: int) -> None:
        self._line = PinLine(getattr(top, binding["tx"]), getattr(top, binding["rx"]), period_ps, self._told)
        self._rest = RestOfBus(self._line, post)

    def start(self) -> None:
        """Listen to the design."""
        self._line.start()

    def command(self, payload: bytes) -> None:
        """A word of the host."""
        self._rest.command(payload)

    def _told(self, node: Node, told: Told) -> None:
        del node  # there is one
        self._rest.told(told)
