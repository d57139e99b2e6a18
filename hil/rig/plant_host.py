"""Where the plant meets the rig: its inputs and outputs as pins, its step on the clock, its truth as signals.

The inputs are pulled as one latched tuple at every step, phase plant; the outputs are those of the last step. What is
read of its truth is a model input, never a measurement: such signals are called ``model.NAME``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hil.clock import Phase
from hil.closed import nearest
from hil.errors import HilError
from hil.quantities import Latch
from hil.signal import Signal
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hil.clock import Event
    from hil.faults import Fault
    from hil.signal import Timeline
    from hil.wiring import Wiring

_TRUTH_PERIOD_NS = 50 * ms


class Plant(Protocol):
    """What a vehicle model offers a rig; all numbers in SI units."""

    @property
    def inputs(self) -> Mapping[str, int]:
        """Names of its inputs and how many values each takes."""
        ...

    @property
    def outputs(self) -> Mapping[str, int]:
        """Names of its outputs and how many values each gives."""
        ...

    @property
    def truth(self) -> Mapping[str, str]:
        """Names of what can be read of its state, and their units."""
        ...

    @property
    def defaults(self) -> Mapping[str, tuple[float, ...]]:
        """What each input takes while nothing is connected to it."""
        ...

    def step(self, commands: Sequence[tuple[float, ...]]) -> None:
        """One step on, with these inputs held, in the order of ``inputs``."""
        ...

    def output(self, name: str) -> tuple[float, ...]:
        """An output as of the last step."""
        ...

    def read(self, name: str) -> float:
        """A truth as of the last step."""
        ...

    def on_event(self, fn: Callable[[int, str], object]) -> None:
        """Call ``fn(plant time [ns], name)`` at every event: release, depletion, impact."""
        ...

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put a fault on it; the returned call undoes it."""
        ...


class PlantHost:
    """A plant on a rig.

    Args:
        model: the vehicle.
        timeline: clock and mark of the test.
        wiring: the rig's wiring, where its pins ``plant.NAME`` are made.
        step_ns: the step [ns].
    """

    def __init__(self, model: Plant, timeline: Timeline, wiring: Wiring, *, step_ns: int) -> None:
        self.model = model
        self.step_ns = step_ns
        self.events: Signal[str] = Signal("model.event", "", timeline)
        """What has happened to the vehicle, by name; stamped with rig time."""
        self._timeline = timeline
        self._clock = timeline.clock
        self._inputs = [
            wiring.quantity_pin(f"plant.{name}", width, model.defaults[name]) for name, width in model.inputs.items()
        ]
        for name, width in model.outputs.items():
            wiring.quantity_pin(f"plant.{name}", width).give(_reader(model, name))
        self._signals: dict[str, Signal[float]] = {}
        self._stepping: Event | None = None
        self._sampling: Event | None = None
        self._begun_ns = 0
        self._on_start: list[Callable[[], object]] = []
        model.on_event(self._event)

    @property
    def running(self) -> bool:
        """Whether it steps."""
        return self._stepping is not None

    def start(self) -> None:
        """Begin to step; until then the vehicle stands as it was made, and its outputs with it."""
        if self._stepping is None:
            self._begun_ns = self._clock.now
            model, latch = self.model, Latch(self._inputs)
            step = lambda: model.step(latch.read())  # noqa: E731  # the one call of every step
            self._stepping = self._clock.every(self.step_ns, step, Phase.PLANT, self.step_ns)
            for fn in self._on_start:
                fn()

    def on_start(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` when it has been started, before :meth:`start` returns."""
        self._on_start.append(fn)

    def step_after(self, at_ns: int) -> int:
        """When it makes its next step, at or after a rig time [ns]; near enough before it was started."""
        return at_ns + (self._begun_ns - at_ns) % self.step_ns

    def stop(self) -> None:
        """Step no more; the vehicle has done its duty."""
        for event in (self._stepping, self._sampling):
            if event is not None:
                event.cancel()

    def truth(self, name: str) -> Signal[float]:
        """What is true of the vehicle: a model input, not measured; sampled every 50 ms from when it is asked for.

        Raises:
            HilError: for a name the plant does not have.
        """
        units = self.model.truth
        if name not in units:
            raise HilError(f"the plant has no truth {name}; {nearest(name, list(units))}")
        found = self._signals.get(name)
        if found is None:
            found = self._signals[name] = Signal(f"model.{name}", units[name], self._timeline)
        if self._sampling is None:
            self._sampling = self._clock.every(_TRUTH_PERIOD_NS, self._sample, Phase.OBSERVE)
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
        """Put a fault on the vehicle.

        Raises:
            HilError: for a kind or parameter it does not have.
        """
        return self.model.apply(fault)

    def _sample(self) -> None:
        for name, signal in self._signals.items():
            signal.put(self.model.read(name))

    def _event(self, plant_ns: int, name: str) -> None:
        """An event within the step that ends now, stamped to the plant's own resolution."""
        self.events.put(name, min(self._begun_ns + plant_ns, self._clock.now))


def _reader(model: Plant, name: str) -> Callable[[], tuple[float, ...]]:
    return lambda: model.output(name)
