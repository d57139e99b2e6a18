"""Bit-level CAN controllers on the two pins of one in RTL: the wire between them, inside the simulator.

Pins change off the clock's edges only: what falls on a rising edge is put off by a quarter period, which the design
cannot see. The wire is looked at on edges and where a controller must, not bit by bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cocotb
from cocotb.triggers import Event, Timer
from cocotb.utils import get_sim_time

from hil.can.phy.events import Disturb, Drive
from hil.rtl.peer.levels import level

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.phy.coding import PhyFrame
    from hil.can.phy.events import Action, Told
    from hil.can.phy.node import Node

_NEVER = 1 << 62


class PinLine:
    """A bus with one controller in RTL and any number of others.

    Args:
        tx: handle of the design's transmit pin.
        rx: handle of its receive pin.
        period_ps: period of the design's clock, whose rising edges are at half a period [ps].
        told: called with one of the other controllers and what it says.
    """

    def __init__(self, tx: Any, rx: Any, period_ps: int, told: Callable[[Node, Told], None]) -> None:
        self._tx = tx
        self._rx = rx
        self._period_ps = period_ps
        self._told = told
        self.nodes: list[Node] = []
        """The other controllers."""
        self.design_level = 1
        """What the design drives: 0 dominant, 1 recessive."""
        self._known = False
        self._drives: dict[Node, int] = {}
        self._disturbed = 0
        self._held: int | None = None
        self._bus = 1
        self._pin = 1
        self._due = 0  # when somebody must look
        self._armed = 0  # when the watch will
        self._extra = _NEVER  # when one before that will
        self._called = Event()

    @property
    def now_ps(self) -> int:
        """Simulated time [ps]."""
        return round(get_sim_time("ps"))

    @property
    def bus(self) -> int:
        """The level of the bus."""
        return self._bus

    def start(self) -> None:
        """Put the receive pin at recessive and begin to listen."""
        self._rx.value = 1
        cocotb.start_soon(self._listen())
        cocotb.start_soon(self._watch())

    def attach(self, node: Node) -> Node:
        """Put another controller on the bus."""
        self.nodes.append(node)
        self._drives[node] = 1
        self.refresh()
        return node

    def send(self, node: Node, frame: PhyFrame) -> None:
        """Give a controller a frame to send, now.

        Raises:
            BusError: for a frame that CAN does not have.
        """
        self.apply(node, node.send(self.now_ps, frame))

    def apply(self, node: Node, actions: list[Action]) -> None:
        """Let a controller's actions take effect, now."""
        self._apply(node, actions)
        self.refresh()

    def disturb(self, on: bool) -> None:
        """Invert the bus from now on, or no longer."""
        self._disturbed += 1 if on else -1
        self.refresh()

    def hold(self, level: int | None) -> None:
        """Hold the bus at a level, whatever is driven: a short circuit (0) or a break (1); None lets go of it."""
        self._held = level
        self.refresh()

    def refresh(self) -> None:
        """Something has changed from outside: let the bus follow, and look again when it is due."""
        now_ps = self.now_ps
        self._settle(now_ps)
        self._plan(now_ps)

    # -- inside -----------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Follow the design's transmit pin, which is a register: it changes behind a rising edge, once."""
        while True:
            await self._tx.value_change
            level = self._level()
            if level != self.design_level:
                self.design_level = level
                now_ps = self.now_ps
                self._settle(now_ps)
                self._put()
                self._plan(now_ps)

    def _level(self) -> int:
        """What the design drives; unknown is recessive until the reset has made it known, and never again."""
        self._known = self._known or self._tx.value.is_resolvable
        return level(self._tx) if self._known else 1

    def _settle(self, now_ps: int) -> None:
        """Let every controller hear what is on the bus, until nobody drives anything else because of it."""
        while True:
            bus = self._held
            if bus is None:
                bus = min(self._drives.values(), default=1) & self.design_level ^ (self._disturbed & 1)
            if bus == self._bus:
                return
            self._bus = bus
            for node in self.nodes:
                self._apply(node, node.edge(now_ps, bus))

    def _apply(self, node: Node, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Drive):
                self._drives[node] = action.level
            elif isinstance(action, Disturb):
                self._disturbed += 1 if action.on else -1
            else:
                self._told(node, action)

    def _put(self) -> None:
        """Show the design the bus."""
        if self._bus != self._pin:
            self._pin = self._bus
            self._rx.value = self._pin

    def _plan(self, now_ps: int) -> None:
        """Look again when the first controller must, or at once when the pin is not what it should be."""
        due = now_ps + 1 if self._pin != self._bus else _NEVER
        for node in self.nodes:
            at_ps = node.due
            if at_ps is not None and at_ps < due:
                due = at_ps
        if due == _NEVER:
            self._due = due
            return
        if due <= now_ps:
            due = now_ps + 1
        if due % self._period_ps == self._period_ps // 2:
            due += self._period_ps // 4
        self._due = due
        if self._armed == _NEVER:
            self._called.set()
        elif due < self._armed and due < self._extra:
            self._extra = due
            cocotb.start_soon(self._look(due - now_ps))

    async def _watch(self) -> None:
        """Look whenever it is due; what becomes due earlier than was known has a look of its own."""
        while True:
            now_ps = self.now_ps
            if self._due == _NEVER:
                self._armed = _NEVER
                await self._called.wait()
                self._called.clear()
                continue
            if self._due > now_ps:
                self._armed = self._due
                await Timer(self._due - now_ps, "ps")
            self._look_now()

    async def _look(self, delay_ps: int) -> None:
        await Timer(delay_ps, "ps")
        self._extra = _NEVER
        now_ps = self.now_ps
        if now_ps < self._due:
            self._plan(now_ps)  # put off meanwhile, and nobody else may look in time
        else:
            self._look_now()

    def _look_now(self) -> None:
        now_ps = self.now_ps
        if now_ps < self._due:
            return
        for node in self.nodes:
            due = node.due
            if due is not None and due <= now_ps:
                self._apply(node, node.wake(now_ps))
        self._settle(now_ps)
        self._put()
        self._plan(now_ps)
