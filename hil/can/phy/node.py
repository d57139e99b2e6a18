"""A controller with an oscillator: finds its bits in the edges of the bus, and drives its own at its own times.

A pure state machine. It is told of edges and of its own next instant (:attr:`Node.due`), in order of time, and answers
with actions. Between two edges it looks at the bus only where something could come of it.

    node = Node(timing_for(500_000), error_ppm=100)
    actions = node.send(0, PhyFrame(0x123, b"data"))
    actions += node.wake(node.due)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.can.phy.events import Disturb, Drive, Started, Told
from hil.can.phy.mac import Mac
from hil.can.phy.timing import Oscillator

if TYPE_CHECKING:
    from hil.can.phy.coding import PhyFrame
    from hil.can.phy.events import Action
    from hil.can.phy.timing import BitTiming, PhyTiming


class Node:
    """One controller on a line.

    At one instant it takes the starts of bits first, then edges, then sample points.

    Args:
        timing: its bit timing.
        mac: its controller; an ordinary one when not given, with CAN FD when the timing has a data phase.
        error_ppm: by how much its oscillator is fast [ppm].
        origin_ps: when it is switched on, and its oscillator's tick 0 [ps].
    """

    def __init__(self, timing: PhyTiming, mac: Mac | None = None, *, error_ppm: int = 0, origin_ps: int = 0) -> None:
        self.mac = mac or Mac(fd=timing.data is not None)
        self.level = 1
        """The bus as it sees it."""
        self._timing = timing
        self._bit = timing.nominal
        self._oscillator = Oscillator(timing.clock_ps, error_ppm, origin_ps)
        self._actions: list[Action] = []
        self._awake = True
        self._started = False  # whether the present bit has begun and waits for its sample point
        self._begin = 0  # ticks: start of this bit, its sample point, start of the next
        self._sample = 0
        self._next = 0
        self._sampled = 1
        self._synchronised = False
        self._frame_ps = 0
        self._disturbing = False

    @property
    def due(self) -> int | None:
        """When it must be woken if no edge comes before [ps]; None when only an edge or a frame to send can do that."""
        if not self._awake:
            return None
        mac, clocks = self.mac, self._bit.clocks
        quiet, same = mac.patience(self.level)
        if self._started:
            tick = min(self._sample + quiet * clocks, self._next + (same - 1) * clocks) if quiet else self._sample
        elif quiet:
            tick = self._next + min(self._bit.sample_clocks + quiet * clocks, same * clocks)
        else:
            tick = self._next
        return self._oscillator.time_of(tick)

    @property
    def bit_start_ps(self) -> int:
        """Start of the present bit, as far as the controller has looked [ps]."""
        return self._oscillator.time_of(self._begin)

    def edge(self, at_ps: int, level: int) -> list[Action]:
        """The bus has changed."""
        self._run_to(at_ps, samples=False)
        if level != self.level:
            self.level = level
            if not level:
                self._synchronise(at_ps)
        return self._taken()

    def wake(self, at_ps: int) -> list[Action]:
        """Time has passed, and the bus is as it was."""
        self._run_to(at_ps, samples=True)
        return self._taken()

    def send(self, at_ps: int, frame: PhyFrame) -> list[Action]:
        """Queue a frame; on an idle bus it starts with the next tick of the oscillator.

        Raises:
            BusError: for a frame that CAN does not have.
        """
        self._run_to(at_ps, samples=True)
        self.mac.queue.append(frame)
        if not self._awake:
            self._awake = True
            self._started = False
            self._next = self._oscillator.tick_at(at_ps - 1) + 1
            self._run_to(at_ps, samples=True)
        return self._taken()

    def resume(self, at_ps: int, frame: PhyFrame, start_ps: int) -> list[Action]:
        """Be in the middle of a frame of its own: for a controller that stands for others, who have begun already.

        Args:
            at_ps: now [ps].
            frame: what is being sent.
            start_ps: when it began, with a bus that was as the frame has it since then [ps].

        Raises:
            BusError: for a frame that CAN does not have.
        """
        self._run_to(at_ps, samples=True)
        mac, before = self.mac, self.mac.level
        mac.take_over(frame)
        begin = self._oscillator.tick_at(start_ps - 1) + 1
        while True:
            level = mac.begin_bit()
            self._place(begin)
            if self._oscillator.time_of(self._sample) > at_ps:
                break
            mac.sample(level ^ mac.disturbing)
            begin = self._next
        mac.told.clear()
        self._begin, self._frame_ps = begin, start_ps
        self._awake = self._started = self._synchronised = True
        if mac.disturbing != self._disturbing:
            self._disturbing = mac.disturbing
            self._actions.append(Disturb(at_ps, self._disturbing))
        if level != before:
            self._actions.append(Drive(at_ps, level))
        return self._taken()

    def _taken(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions

    # -- time -------------------------------------------------------------------------------------------------

    def _run_to(self, at_ps: int, *, samples: bool) -> None:
        """Catch up with everything before a time, and with what is due at that very time."""
        last = self._oscillator.tick_at(at_ps)
        last_sample = last if samples else self._oscillator.tick_at(at_ps - 1)
        while self._awake:
            if self._started:
                if self._sample > last_sample:
                    return
                self._take_sample()
            else:
                if self._next > last:
                    return
                self._start_bit()

    def _start_bit(self, at_ps: int | None = None) -> None:
        """The next bit begins: at its time, or with an edge that brings it forward, whatever quantum that lies in."""
        mac = self.mac
        self._begin = self._next
        self._place(self._begin)
        before, level = mac.level, mac.begin_bit()
        if level != before or mac.disturbing != self._disturbing:
            time_ps = self._oscillator.time_of(self._begin)
            if at_ps is not None and time_ps < at_ps:
                time_ps = at_ps
            if mac.disturbing != self._disturbing:
                self._disturbing = mac.disturbing
                self._actions.append(Disturb(time_ps, self._disturbing))
            if level != before:
                self._actions.append(Drive(time_ps, level))
        if mac.idle and self.level:
            self._awake = False
        else:
            self._started = True

    def _place(self, begin: int) -> None:
        """Where the sample point and the end of a bit lie that begins at a tick."""
        timing = self._timing
        self._bit = timing.data if self.mac.fast and timing.data is not None else timing.nominal
        self._sample = begin + self._bit.sample_clocks
        self._next = begin + self._bit.clocks

    def _take_sample(self) -> None:
        mac, oscillator = self.mac, self._oscillator
        fast = mac.fast
        self._started = False
        self._synchronised = False
        self._sampled = self.level
        mac.sample(self.level)
        if mac.fast != fast and self._timing.data is not None:
            self._bit = self._timing.data if mac.fast else self._timing.nominal
            self._next = self._sample + self._bit.phase2 * self._bit.prescaler
        if mac.told:
            told, mac.told = mac.told, []
            at_ps, end_ps = oscillator.time_of(self._sample), oscillator.time_of(self._next)
            for event in told:
                if isinstance(event, Started):
                    self._frame_ps = oscillator.time_of(self._begin)
                self._actions.append(Told(at_ps, event, self._frame_ps, end_ps))

    # -- synchronisation --------------------------------------------------------------------------------------

    def _synchronise(self, at_ps: int) -> None:
        """A falling edge: at most one of them moves a bit, and only after a recessive sample."""
        tick = self._oscillator.tick_at(at_ps)
        mac = self.mac
        if not self._awake:
            self._awake = self._started = self._synchronised = True
            self._begin = tick
            self._place(tick)
            return
        if self._synchronised or not self._sampled:
            return
        self._synchronised = True
        if mac.between_frames or (mac.in_frame and mac.parser.res_bit and not mac.sending):
            self._restart(tick, at_ps)
        elif not (mac.sending and mac.fast):
            self._resynchronise(tick, at_ps, self._bit)

    def _restart(self, tick: int, at_ps: int) -> None:
        """Hard synchronisation: the bit begins with the quantum of the edge."""
        if self._started:
            self._begin = tick
            self._place(tick)
        else:
            self._next = tick
            self._start_bit(at_ps)

    def _resynchronise(self, tick: int, at_ps: int, bit: BitTiming) -> None:
        """Make this bit longer or the last one shorter: by what the edge is off, at most by the jump width."""
        late = (tick - self._begin) // bit.prescaler
        if self._started:
            if self.mac.level:  # an edge behind our own dominant bit is our own edge, delayed
                jump = min(late, bit.sjw) * bit.prescaler
                self._sample += jump
                self._next += jump
            return
        early = -(-(self._next - tick) // bit.prescaler)
        if early <= bit.sjw:
            self._next = min(self._next, tick)
            self._start_bit(at_ps)
        else:
            self._next -= bit.sjw * bit.prescaler
