"""A wire between bit-level controllers: dominant wins, edges take their time, bits can be disturbed.

line = Line()
a, b = line.attach(timing_for(500_000)), line.attach(timing_for(500_000), error_ppm=500, delay_ps=40_000)
line.run(50_000_000)
line.send(a, PhyFrame(0x123, b"data"))
line.run(400_000_000)
line.told(b)
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from hil.can.phy.events import Disturb, Drive, Told
from hil.can.phy.node import Node

if TYPE_CHECKING:
    from hil.can.phy.coding import PhyFrame
    from hil.can.phy.events import Action, Event
    from hil.can.phy.mac import Mac
    from hil.can.phy.timing import PhyTiming


class Line:
    """A bus of :class:`~hil.can.phy.node.Node`, in virtual time of its own, from 0 [ps]."""

    def __init__(self) -> None:
        self.now_ps = 0
        self._nodes: list[Node] = []
        self._delays: list[int] = []
        self._drives: list[int] = []
        self._heard: list[list[int]] = []  # by listener: the level of each driver as it has arrived there
        self._told: list[list[Told]] = []
        self._heap: list[tuple[int, int, int, int, int]] = []  # time, order, listener, driver, level
        self._order = 0
        self._forced: int | None = None
        self._flipped = 0
        self._deaf: dict[int, int] = {}  # listeners whose view of the bus is inverted, and how often

    def attach(
        self,
        timing: PhyTiming,
        mac: Mac | None = None,
        *,
        error_ppm: int = 0,
        origin_ps: int | None = None,
        delay_ps: int = 0,
    ) -> Node:
        """Put a controller on the line.

        Args:
            timing: its bit timing.
            mac: its controller, when it is not an ordinary one.
            error_ppm: by how much its oscillator is fast [ppm].
            origin_ps: tick 0 of its oscillator, by default now [ps].
            delay_ps: from it to the middle of the line, and back [ps].
        """
        node = Node(timing, mac, error_ppm=error_ppm, origin_ps=self.now_ps if origin_ps is None else origin_ps)
        self._nodes.append(node)
        self._delays.append(delay_ps)
        self._drives.append(1)
        for heard in self._heard:
            heard.append(1)
        self._heard.append([*self._drives])
        self._told.append([])
        return node

    @property
    def level(self) -> int:
        """The bus in the middle of the line, delays aside: 0 dominant, 1 recessive."""
        return self._seen(min(self._drives), -1)

    def told(self, node: Node) -> list[Event]:
        """What a controller has said so far, in order."""
        return [told.event for told in self.stamped(node)]

    def stamped(self, node: Node) -> list[Told]:
        """The same with times."""
        return self._told[self._nodes.index(node)]

    def send(self, node: Node, frame: PhyFrame) -> None:
        """Give a controller a frame to send, now.

        Raises:
            BusError: for a frame that CAN does not have.
        """
        self._apply(self._nodes.index(node), node.send(self.now_ps, frame))

    def run(self, until_ps: int) -> None:
        """Let time pass."""
        while True:
            due, who = self._next_due()
            at_ps = min(due, self._heap[0][0] if self._heap else due)
            if at_ps > until_ps:
                break
            self.now_ps = at_ps
            if self._heap and self._heap[0][0] <= at_ps:
                _, _, listener, driver, level = heapq.heappop(self._heap)
                self._arrive(listener, driver, level)
            else:
                self._apply(who, self._nodes[who].wake(at_ps))
        self.now_ps = until_ps

    # -- disturbances -----------------------------------------------------------------------------------------

    def flip(self, start_ps: int, end_ps: int, node: Node | None = None) -> None:
        """Invert what all controllers see, or what one of them sees, from one time to another [ps]."""
        listener = -1 if node is None else self._nodes.index(node)
        self._push(start_ps, -2, listener, 1)
        self._push(end_ps, -2, listener, -1)

    def force(self, start_ps: int, end_ps: int, level: int) -> None:
        """Hold the whole line at a level from one time to another [ps]: a short circuit, or a break."""
        self._push(start_ps, -3, 0, level)
        self._push(end_ps, -3, 0, -1)

    # -- inside -----------------------------------------------------------------------------------------------

    def _next_due(self) -> tuple[int, int]:
        best, who = 1 << 62, -1
        for index, node in enumerate(self._nodes):
            due = node.due
            if due is not None and due < best:
                best, who = due, index
        return best, who

    def _push(self, at_ps: int, listener: int, driver: int, level: int) -> None:
        self._order += 1
        heapq.heappush(self._heap, (at_ps, self._order, listener, driver, level))

    def _apply(self, who: int, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Drive):
                self._drive(who, max(action.at_ps, self.now_ps), action.level)
            elif isinstance(action, Disturb):
                self._push(max(action.at_ps, self.now_ps), -2, -1, 1 if action.on else -1)
            else:
                self._told[who].append(action)

    def _drive(self, who: int, at_ps: int, level: int) -> None:
        for listener, delay_ps in enumerate(self._delays):
            arrives = at_ps + (delay_ps + self._delays[who] if listener != who else 0)
            self._push(arrives, listener, who, level)

    def _arrive(self, listener: int, driver: int, level: int) -> None:
        if listener == -2:
            if driver < 0:
                self._flipped += level
            else:
                self._deaf[driver] = self._deaf.get(driver, 0) + level
        elif listener == -3:
            self._forced = level if level >= 0 else None
        else:
            self._heard[listener][driver] = level
            if listener == driver:
                self._drives[driver] = level
            self._tell(listener)
            return
        for index in range(len(self._nodes)):
            self._tell(index)

    def _tell(self, listener: int) -> None:
        level = self._seen(min(self._heard[listener]), listener)
        node = self._nodes[listener]
        if level != node.level:
            self._apply(listener, node.edge(self.now_ps, level))

    def _seen(self, level: int, listener: int) -> int:
        if self._forced is not None:
            level = self._forced
        return level ^ ((self._flipped + self._deaf.get(listener, 0)) & 1)
