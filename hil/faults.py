"""The one fault protocol: target, kind, onset, until. Bus, wire, article and later plant faults all speak it."""

from __future__ import annotations

import math
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

    Raises:
        HilError: for a time that is a float.
    """

    target: str
    kind: str
    onset_ns: int = 0
    until_ns: int | None = None
    parameters: Mapping[str, float | int | str | bool] = field(default_factory=dict[str, "float | int | str | bool"])

    def __post_init__(self) -> None:
        for name, time_ns in (("onset_ns", self.onset_ns), ("until_ns", self.until_ns)):
            if isinstance(time_ns, float):
                raise HilError(
                    f"fault {self.kind!r} on {self.target}: {name}={time_ns!r} is a float; rig time is an integer in "
                    "nanoseconds, write it as a product, for example 500 * ms"
                )

    def take_only(self, *names: str) -> None:
        """Refuse parameters this kind of fault does not have: a misspelt one would be left out in silence.

        Raises:
            HilError: for a parameter of another name; names the nearest.
        """
        for name in self.parameters:
            if name not in names:
                near = nearest(name, list(names))
                raise HilError(f"fault {self.kind!r} on {self.target} has no parameter {name}; {near}")

    def number(self, name: str, default: float | None = None, *, least: float = -math.inf) -> float:
        """A parameter as a number, in the unit its name says.

        Args:
            name: the parameter, with its unit at the end.
            default: what it is when it is not given; None when it must be.
            least: its smallest physical value, in its unit.

        Raises:
            HilError: when it is missing and has no default, is not a finite number, or is below ``least``.
        """
        value = self.parameters.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            given = ", ".join(f"{key}={given!r}" for key, given in self.parameters.items()) or "no parameters"
            raise HilError(f"fault {self.kind!r} on {self.target} needs a number {name}=; given: {given}")
        if not (math.isfinite(value) and value >= least):
            span = "a finite number" if least == -math.inf else f"a finite number of at least {least:g}"
            raise HilError(f"fault {self.kind!r} on {self.target}: {name}={value} is not physical; give {span}")
        return float(value)


class Faultable(Protocol):
    """Anything a fault can be put on."""

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put the fault on now; the returned call takes it away. Unknown kinds raise, naming the known ones."""
        ...


class Injection:
    """A fault that is planned, present or past; a context manager that clears it at the end of the block.

    A block that ends by itself before its fault has begun is an error: it has tested nothing.
    """

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.began = False
        """Whether the fault is or was there."""
        self._undo: Callable[[], None] | None = None
        self._planned: list[Event] = []

    def __enter__(self) -> Injection:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.clear()
        if kind is None and not self.began:
            raise HilError(
                f"fault {self.fault.kind!r} on {self.fault.target} was to begin at {format_time(self.fault.onset_ns)}, "
                "and its block ended before; let rig time pass inside the block"
            )

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
            self.began = True

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
        stimulus: told of every onset and every end, so that the test's mark moves to it.
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

        An onset of 0 means now.

        Raises:
            HilError: for an unknown target, an onset that has passed, or an end that is not after the onset.
        """
        target = self._targets.get(fault.target)
        if target is None:
            raise HilError(f"no part of the rig is called {fault.target}; {nearest(fault.target, self.targets)}")
        if 0 != fault.onset_ns < self._clock.now and self._clock.pace == "virtual":
            raise HilError(
                f"fault {fault.kind!r} on {fault.target} begins at {format_time(fault.onset_ns)}, which has passed "
                f"(now {format_time(self._clock.now)}); leave the onset out for now, or add it to clock.now"
            )
        if fault.until_ns is not None and fault.until_ns <= max(fault.onset_ns, self._clock.now):
            raise HilError(
                f"fault {fault.kind!r} on {fault.target} ends at {format_time(fault.until_ns)}, "
                f"which is not after its onset at {format_time(max(fault.onset_ns, self._clock.now))}"
            )
        injection = Injection(fault)

        def begin() -> Callable[[], None]:
            self._stimulus("fault", f"{fault.target}: {fault.kind}")
            undo = target.apply(fault)

            def end() -> None:
                self._stimulus("fault", f"{fault.target}: {fault.kind} ends")
                undo()

            return end

        injection.plan(self._clock, begin)
        return injection
