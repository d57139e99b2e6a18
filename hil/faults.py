"""The one fault protocol: target, kind, onset, until. Bus, wire, article and later plant faults all speak it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hil.closed import nearest
from hil.errors import HilError
from hil.units import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.clock import Clock, Event


@dataclass(frozen=True)
class Fault:
    """One fault: what it is put on, what kind it is, when it begins and ends, and its parameters.

    Args:
        target: name of a wire (net or pin), bus, bus node, instrument or article.
        kind: what goes wrong; every target names the kinds it knows.
        onset_ns: rig time at which it begins [ns].
        until_ns: rig time at which it ends [ns]; None for as long as it is not cleared.
        parameters: numbers and names with their unit in the key, such as ``ohms`` or ``volts``.
    """

    target: str
    kind: str
    onset_ns: int = 0
    until_ns: int | None = None
    parameters: Mapping[str, float | int | str | bool] = field(default_factory=dict[str, "float | int | str | bool"])

    def number(self, name: str, default: float | None = None) -> float:
        """A parameter as a number, in the unit its name says.

        Raises:
            HilError: when it is missing and has no default, or is not a number.
        """
        value = self.parameters.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            given = ", ".join(f"{key}={given!r}" for key, given in self.parameters.items()) or "no parameters"
            raise HilError(f"fault {self.kind!r} on {self.target} needs a number {name}=; given: {given}")
        return float(value)


class Faultable(Protocol):
    """Anything a fault can be put on."""

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put the fault on now; the returned call takes it away. Unknown kinds raise, naming the known ones."""
        ...


class Injection:
    """A fault that is planned, present or past; a context manager that clears it at the end of the block."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._undo: Callable[[], None] | None = None
        self._planned: list[Event] = []

    def __enter__(self) -> Injection:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    @property
    def present(self) -> bool:
        """Whether the fault is there now."""
        return self._undo is not None

    def clear(self) -> None:
        """Take the fault away, or off the plan; harmless when that is done already."""
        for event in self._planned:
            event.cancel()
        self._planned = []
        if self._undo is not None:
            undo, self._undo = self._undo, None
            undo()

    def plan(self, clock: Clock, begin: Callable[[], Callable[[], None]]) -> None:
        """Put onset and end on the clock; an onset at or before now begins at once."""

        def onset() -> None:
            self._undo = begin()

        if self.fault.onset_ns > clock.now:
            self._planned.append(clock.at(self.fault.onset_ns, onset))
        else:
            onset()
        if self.fault.until_ns is not None:
            self._planned.append(clock.at(self.fault.until_ns, self.clear))


class FaultInjector:
    """Puts faults on the named parts of one rig, at their time, and tells the timeline.

    Args:
        clock: the rig clock.
        stimulus: told of every onset, so that the test's mark moves to it.
    """

    def __init__(self, clock: Clock, stimulus: Callable[[str, object], None]) -> None:
        self._clock = clock
        self._stimulus = stimulus
        self._targets: dict[str, Faultable] = {}

    def register(self, name: str, target: Faultable) -> None:
        """Make a part of the rig reachable for faults under its name."""
        self._targets[name] = target

    @property
    def targets(self) -> list[str]:
        """The names faults can be put on."""
        return sorted(self._targets)

    def inject(self, fault: Fault) -> Injection:
        """Plan a fault.

        Raises:
            HilError: for an unknown target, or an end that is not after the onset.
        """
        target = self._targets.get(fault.target)
        if target is None:
            raise HilError(f"no part of the rig is called {fault.target}; {nearest(fault.target, self.targets)}")
        if fault.until_ns is not None and fault.until_ns <= max(fault.onset_ns, self._clock.now):
            raise HilError(
                f"fault {fault.kind!r} on {fault.target} ends at {format_time(fault.until_ns)}, "
                f"which is not after its onset at {format_time(max(fault.onset_ns, self._clock.now))}"
            )
        injection = Injection(fault)

        def begin() -> Callable[[], None]:
            self._stimulus("fault", f"{fault.target}: {fault.kind}")
            return target.apply(fault)

        injection.plan(self._clock, begin)
        return injection
