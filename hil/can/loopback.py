"""A gateway's answer to a loop-back request, by which the transport delay of a closed loop is measured.

A request comes as a command does: over the bus, to the program or box that runs the plant. Its data go back as a
sensor's do, once the plant has made its next step. Both identifiers stand behind those of any message, so that the two
frames wait for every other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.can.frame import Frame
from hil.clock import Phase

if TYPE_CHECKING:
    from hil.can.wire import CanWire

REQUEST_ID = 0x7F0
"""Identifier of a request; its data, at most 8 bytes, tell it apart from others."""
ANSWER_ID = 0x7F1
"""Identifier of its answer, with the same data."""


class LoopbackNode:
    """The node on a simulated wire that answers loop-back requests; it keeps nothing.

    Args:
        wire: the wire.
        period_ns: the step of the plant [ns]; steps are due at whole multiples of it on the rig clock, near enough: the
            phase between request and step is left to the requests.
        name: its name on the wire.

    Raises:
        BusError: when the wire has a node of that name.
    """

    def __init__(self, wire: CanWire, *, period_ns: int, name: str = "loopback") -> None:
        self._clock = wire.clock
        self._period_ns = period_ns
        self._node = wire.attach(name)
        self._node.on_frame(self._asked, {(REQUEST_ID, False)})

    def _asked(self, request: Frame) -> None:
        now_ns = self._clock.now
        next_step_ns = now_ns - now_ns % self._period_ns + self._period_ns
        answer = Frame(ANSWER_ID, request.data)
        self._clock.at(next_step_ns, lambda: self._node.send(answer), Phase.OBSERVE)
