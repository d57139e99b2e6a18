"""Loop-back frames of a bus, by which the transport delay of a closed loop is measured, and a node that answers them.

A request comes as a command does: over the bus, to a program or a box on its other side. Its data go back as a sensor's
do; where that program runs the plant, once it has made its next step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hil.can.frame import Frame
from hil.clock import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.wire import CanWire

REQUEST_ID = 0x7F0
"""Identifier of a request unless the rig file gives another: behind those of messages, so that it waits for them."""
ANSWER_ID = 0x7F1
"""Identifier of an answer unless the rig file gives another."""


class LoopbackFrames(NamedTuple):
    """By which two identifiers the delay of a bus is measured."""

    request_id: int = REQUEST_ID
    answer_id: int = ANSWER_ID
    extended: bool = False
    """Whether they have 29 bits."""

    def request(self, data: bytes) -> Frame:
        """A request; its data, at most 8 bytes, tell it apart from others."""
        return Frame(self.request_id, data, self.extended)

    def answer(self, request: Frame) -> Frame:
        """The answer to a request: the same data."""
        return Frame(self.answer_id, request.data, self.extended)

    def is_request(self, frame: Frame) -> bool:
        """Whether a frame is a request."""
        return not frame.remote and (frame.arbitration_id, frame.extended) == (self.request_id, self.extended)

    def is_answer(self, frame: Frame) -> bool:
        """Whether a frame is an answer."""
        return not frame.remote and (frame.arbitration_id, frame.extended) == (self.answer_id, self.extended)

    def __str__(self) -> str:
        return f"{self.request_id:#x}, answered with {self.answer_id:#x}"


class LoopbackNode:
    """The node on a simulated wire that answers loop-back requests; it keeps nothing.

    Args:
        wire: the wire.
        frames: the identifiers.
        step_after: when the plant makes its next step, at or after a rig time [ns]: the answer waits for it. Without a
            plant on this side a request is answered at once.
        name: its name on the wire.

    Raises:
        BusError: when the wire has a node of that name.
    """

    def __init__(
        self,
        wire: CanWire,
        frames: LoopbackFrames,
        *,
        step_after: Callable[[int], int] | None = None,
        name: str = "loopback",
    ) -> None:
        self._clock = wire.clock
        self._frames = frames
        self._step_after = step_after
        self._node = wire.attach(name)
        self._node.on_frame(self._asked, {(frames.request_id, frames.extended)})

    def _asked(self, request: Frame) -> None:
        if not self._frames.is_request(request):
            return
        answer = self._frames.answer(request)
        if self._step_after is None:
            self._node.send(answer)
        else:
            self._clock.at(self._step_after(self._clock.now), lambda: self._node.send(answer), Phase.OBSERVE)
