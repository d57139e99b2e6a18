"""The latencies of a bench, drawn in virtual time: what a test may never depend on.

In virtual time test code costs nothing and everything arrives at once. On a bench a statement of a test costs 50 ms
to 200 ms, an instrument answers when it likes, and a frame or a sample lies in a buffer until somebody is awake to
take it, with the stamp of the hardware on it. ``--bench-jitter`` draws all of that, and draws it badly: nothing, the
usual, or the worst. Only the tester's side is late; what articles do among themselves is not touched.

Order is kept on every channel, nothing arrives before it happened, and nothing later than the worst of its kind.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.clock import Phase, VirtualClock
from hil.units import ms, us

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    from hil.noise import Streams

_NOTHING, _WORST = 0.35, 0.70  # below the one a draw is nothing, above the other the worst; in between the usual
_BATCH = 256  # draws made at a time


@dataclass(frozen=True, slots=True)
class Latency:
    """What one kind of thing may cost: usually [ns], and at the worst [ns]."""

    usual_ns: int
    worst_ns: int


OPERATOR = Latency(50 * ms, 200 * ms)
"""What the test does between two calls: the interpreter, a log, a person at the keyboard."""
MESSAGE = Latency(2 * ms, 100 * ms)
"""A message to an instrument, or its answer, on the way."""
FRAME = Latency(200 * us, 50 * ms)
"""From the end of a frame until the tester's program has it: buffers of interface, kernel and reader."""
SAMPLE = Latency(1 * ms, 50 * ms)
"""From an edge at the card until the tester's program has it."""


class Draws:
    """Latencies of one kind, one after the other: nothing, about the usual, or the worst.

    >>> from hil.noise import Streams
    >>> draws = Draws(Latency(10, 1000), Streams(1).stream("bus_a", "latency"))
    >>> sorted({draws.next_ns() for _ in range(100)} - set(range(1, 21)))
    [0, 1000]

    Args:
        latency: the kind.
        rng: where they are drawn from.
    """

    def __init__(self, latency: Latency, rng: Generator) -> None:
        self._latency = latency
        self._rng = rng
        self._drawn: deque[int] = deque()

    def next_ns(self) -> int:
        """The next latency [ns]."""
        if not self._drawn:
            self._drawn.extend(map(self._of, self._rng.random(_BATCH).tolist()))
        return self._drawn.popleft()

    def _of(self, share: float) -> int:
        if share < _NOTHING:
            return 0
        if share > _WORST:
            return self._latency.worst_ns
        within = (share - _NOTHING) / (_WORST - _NOTHING)
        return min(self._latency.worst_ns, round(self._latency.usual_ns * (0.5 + within)))


class UnhurriedClock(VirtualClock):
    """A virtual clock on which a test's own calls cost rig time."""

    def cost(self, time_ns: int) -> None:
        """Let the world run for a time [ns]; no time at all in an event callback, in which no test code runs."""
        if time_ns and not self._dispatching:
            self.wait(self._now + time_ns)


class LateChannel:
    """Hands on what arrives later than it came, in its order; what comes while others wait, waits with them.

    Args:
        clock: the rig clock.
        draws: how long the first of those that wait has to.
    """

    def __init__(self, clock: VirtualClock, draws: Draws) -> None:
        self._clock = clock
        self._draws = draws
        self._waiting: deque[Callable[[], object]] = deque()
        self._held = False
        self._open_ns = -1

    def post(self, arrive: Callable[[], object]) -> None:
        """Call ``arrive`` when its time has come: now, or late."""
        if not self._held and not self._is_open():
            self._hold()
        if self._held:
            self._waiting.append(arrive)
        else:
            arrive()

    def _is_open(self) -> bool:
        """Whether what comes at this instant comes at once: those that come together arrive together."""
        return self._clock.now == self._open_ns

    def _hold(self) -> None:
        late_ns = self._draws.next_ns()
        if late_ns == 0:
            self._open_ns = self._clock.now
            return
        self._held = True
        self._clock.at(self._clock.now + late_ns, self._release, Phase.WIRE)

    def _release(self) -> None:
        try:
            while self._waiting:
                self._waiting.popleft()()
        finally:  # whatever one of them raised, the others arrive all the same
            self._held = bool(self._waiting)
            self._open_ns = self._clock.now
            if self._held:
                self._clock.at(self._clock.now, self._release, Phase.WIRE)


class Jitter:
    """All latencies of one world.

    Args:
        clock: the rig clock.
        streams: the world's random streams.
        label: what tells these draws from others of the same streams.
    """

    transport_ns = max(FRAME.worst_ns, SAMPLE.worst_ns)
    """Everything that was produced has arrived so much later [ns]."""

    def __init__(self, clock: UnhurriedClock, streams: Streams, label: str) -> None:
        self._clock = clock
        self._streams = streams
        self._label = label

    def cost_of(self, name: str, latency: Latency) -> Callable[[], None]:
        """A call that costs rig time each time it is made.

        Args:
            name: whose time it is; every name has a stream of its own.
            latency: how much.
        """
        draws, clock = self._draws(name, latency), self._clock
        return lambda: clock.cost(draws.next_ns())

    def channel(self, name: str, latency: Latency) -> LateChannel:
        """A channel on which everything arrives late.

        Args:
            name: what it is called; every name has a stream of its own.
            latency: how much.
        """
        return LateChannel(self._clock, self._draws(name, latency))

    def _draws(self, name: str, latency: Latency) -> Draws:
        return Draws(latency, self._streams.stream(name, f"latency {self._label}"))
