"""The world that another program simulates, as a test uses it: faults on its parts, and its plant.

Everything the articles under test have to do with goes over buses, instruments and cards. This is for the rest: what
a test does to the simulated world itself, and model inputs that it reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.clock import Instant, WallClock
from hil.closed import nearest
from hil.errors import ClockError, HilError, InstrumentError
from hil.io import stream
from hil.io.conversation import Conversation
from hil.lateness import LateSpan
from hil.signal import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hil.faults import Fault
    from hil.signal import Timeline


class FarWorld:
    """A program of models at ``tcp://host:port``. Faults it was given end with the connection.

    Args:
        name: the program's name.
        address: where it is.
        timeline: clock and mark of the test; a paced clock.
        join: whether the test's clock takes over the program's rig time, so that time tags in what the program's
            articles send are of the rig clock. Only before anything else happened on the test's clock.

    Raises:
        InstrumentError: when it does not answer, or speaks another protocol, or has another pace.
        ClockError: when its clock is behind the test's.
    """

    def __init__(self, name: str, address: str, *, timeline: Timeline, join: bool = False) -> None:
        self.name = name
        self.stamp_ns = 0
        """How far off a stamp of the world's clock may be in rig time [ns]."""
        self._timeline = timeline
        self._clock = timeline.clock
        self._listeners: dict[str, list[Callable[[bytes, int], object]]] = {}
        self._newest: dict[str, int] = {}
        self.plant = FarPlant(self, timeline)
        """Its plant; one that has none refuses everything."""
        self._said: Conversation[stream.World] = Conversation(
            name,
            address,
            clock=timeline.clock,
            greeting=stream.World,
            on_said=self._take,
            on_lost=self._lost,
            on_compared=self._compared,
            on_greeted=self._join if join else None,
        )

    @property
    def targets(self) -> list[str]:
        """What faults can be put on."""
        return list(self._said.hello.targets)

    @property
    def truths(self) -> dict[str, str]:
        """What is true of its plant, by name, with units."""
        return self._said.hello.truths

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put a fault on a part of it; the returned call takes it away.

        In an event callback, as at the onset of a planned fault, it is sent at once and a refusal comes later.

        Raises:
            InstrumentError: when it is refused, or the connection is lost.
        """
        given = dict(fault.parameters)
        what = f"fault {fault.kind!r} on {fault.target}"
        put = self.ask(lambda number: stream.PutFault(number, fault.target, fault.kind, given), what)
        return lambda: self._clear(put, what)

    def ask(self, question: Callable[[int], stream.Asked], what: str) -> int:
        """Ask for something, and wait for its answer where one may wait; the number of the question.

        Raises:
            InstrumentError: when it is refused, or the connection is lost.
        """
        try:
            return self._said.command(question, what).id
        except ClockError:
            self._clock.at(self._clock.now, _nothing)  # refuses a thread the clock does not manage
            return self._said.tell(question, what)

    def renew(self) -> None:
        """Have it get a new vehicle and new articles, if its vehicle has flown since it was new.

        Raises:
            InstrumentError: when it cannot, or the connection is lost.
        """
        self.ask(stream.Renew, "a new vehicle")

    def hear_lateness(self) -> None:
        """Be told of every lateness of its clock up to now; otherwise that comes within 50 ms.

        Raises:
            InstrumentError: when the connection is lost.
            ClockError: in an event callback, where its answer cannot be waited for.
        """
        self._said.command(stream.AskLate, "how late it was")

    def read(self, truth: str) -> float:
        """A truth of its plant as of the last step, in its unit.

        Raises:
            HilError: when there is no such truth.
            InstrumentError: when the connection is lost.
        """
        self.know(truth)
        answer = self._said.command(lambda number: stream.Read(number, truth), f"truth {truth}")
        if not isinstance(answer, stream.ReadValue):
            raise HilError(f"{self.name}: the question for {truth} was answered {answer}")
        return answer.value

    def know(self, truth: str) -> str:
        """The unit of a truth.

        Raises:
            HilError: when there is no such truth.
        """
        if truth not in self.truths:
            raise HilError(f"the plant of {self.name} has no truth {truth}; {nearest(truth, list(self.truths))}")
        return self.truths[truth]

    def hear(self, pin: str, fn: Callable[[bytes, int], object]) -> None:
        """Call ``fn(payload, sent_ns)`` for every datagram on the cable of a pin of the world [ns rig time].

        Raises:
            InstrumentError: when it has no such pin, or the connection is lost.
        """
        if pin not in self._listeners:
            self.ask(lambda number: stream.Hear(number, pin), f"datagrams of {pin}")
        self._listeners.setdefault(pin, []).append(fn)

    def demand(self) -> None:
        """Go on only when the connection is there.

        Raises:
            InstrumentError: when it is lost.
        """
        if self._said.lost:
            self._said.demand()

    def close(self) -> None:
        """End the connection; what faults it was given end with it."""
        self._said.close()

    def _clear(self, number: int, what: str) -> None:
        self.ask(lambda clear: stream.Clear(clear, number), f"the end of {what}")

    def _take(self, said: stream.Stamped, at_ns: int) -> None:
        if isinstance(said, stream.Late):  # the rig is both programs: a late tick of either doubts the test
            due_ns = at_ns - (said.at_ns - said.due_ns)
            self._clock.lateness.told(LateSpan(due_ns, at_ns, said.late_ns, said.allowed_ns))
            return
        if not isinstance(said, stream.Heard):
            self.plant.take(said, at_ns)
            return
        sent_ns = self._newest[said.pin] = max(at_ns, self._newest.get(said.pin, 0))  # clocks are compared anew
        try:
            payload = bytes.fromhex(said.payload)
        except ValueError as problem:
            raise InstrumentError(
                f"{self.name}: a datagram of {said.pin} came as {said.payload[:40]!r}, which is not hexadecimal; "
                "look at the program's release"
            ) from problem
        for fn in self._listeners.get(said.pin, ()):
            fn(payload, sent_ns)

    def _join(self, world: stream.World) -> bool:
        """From now on the test's clock says what the program's does.

        Raises:
            InstrumentError: when their paces differ.
        """
        clock = self._clock
        if not isinstance(clock, WallClock) or world.pace != clock.factor:
            raise InstrumentError(
                f"{self.name}: its rig time passes at {world.pace:g} rig seconds a second, that of the test is of pace "
                f"{clock.pace} ({getattr(clock, 'factor', 1.0):g}); start both on the same rig file with the same --set"
            )
        clock.join(Instant(world.rig_ns, world.boot_ns))
        self._timeline.mark_ns = clock.now
        return True

    def _lost(self) -> None:
        """Nothing is known of the world any more: whatever the test waits for ends here."""
        self._said.demand()

    def _compared(self, _world: stream.World, uncertainty_ns: int) -> None:
        self.stamp_ns = uncertainty_ns


class FarPlant:
    """The plant of a world that another program simulates, used as one of this program is.

    Args:
        world: the world.
        timeline: clock and mark of the test.
    """

    def __init__(self, world: FarWorld, timeline: Timeline) -> None:
        self.events: Signal[str] = Signal("model.event", "", timeline)
        """What has happened to the vehicle, by name; stamped with rig time."""
        self.world = world
        """The world it belongs to."""
        self._timeline = timeline
        self._running = False
        self._on_start: list[Callable[[], object]] = []
        self._signals: dict[str, Signal[float]] = {}

    @property
    def model(self) -> FarPlant:
        """What gives truths as of the last step: itself."""
        return self

    @property
    def running(self) -> bool:
        """Whether it was started by this test."""
        return self._running

    def start(self) -> None:
        """Let it step.

        Raises:
            InstrumentError: when it is refused, or the connection is lost.
        """
        if not self._running:
            self.world.ask(stream.Start, "start of the plant")
            self._running = True
            for fn in self._on_start:
                fn()

    def on_start(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` when this test has started it, before :meth:`start` returns."""
        self._on_start.append(fn)

    def read(self, name: str) -> float:
        """A truth as of the last step, in its unit; takes a round trip.

        Raises:
            HilError: when there is no such truth.
        """
        return self.world.read(name)

    def truth(self, name: str) -> Signal[float]:
        """What is true of the vehicle: a model input, not measured; sampled every 50 ms from when it is asked for.

        Raises:
            HilError: for a name the plant does not have.
        """
        unit = self.world.know(name)
        found = self._signals.get(name)
        if found is None:
            found = self._signals[name] = Signal(f"model.{name}", unit, self._timeline, backlog=self.world.demand)
            self.world.ask(lambda number: stream.Watch(number, name), f"truth {name}")
        return found

    def record(self, names: Iterable[str]) -> list[Signal[float]]:
        """Keep these truths in the evidence of the test; the signals, in that order.

        Raises:
            HilError: for a name the plant does not have.
        """
        signals = [self.truth(name) for name in names]
        for signal in signals:
            self._timeline.asked[signal.name] = signal
        return signals

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put a fault on the vehicle; the returned call takes it away.

        Raises:
            InstrumentError: when it is refused, or the connection is lost.
        """
        return self.world.apply(fault)

    def take(self, said: stream.Sample | stream.Occurred, at_ns: int) -> None:
        """The world says a sample or an event [ns rig time]."""
        if isinstance(said, stream.Occurred):
            self.events.put_newer(said.name, at_ns)
        elif said.channel in self._signals:
            self._signals[said.channel].put_newer(float(said.value), at_ns)


def _nothing() -> None:
    """Asked of the clock to hear what it thinks of this thread."""
