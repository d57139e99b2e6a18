"""Fault insertion: a switch that breaks and shorts the wires between an article and its load.

Each line has a relay in series, closed in operation, and crosspoints on the article's side of it to the rails:

    load ----- series relay -----+----- article
                                 |
              ground, supply, bus (between two lines)

The load is disconnected before a short: series relay open, its release time waited for, then the crosspoint closed.
The onset is the instant at which the last relay has operated; between the command and then it began somewhere, which
is its uncertainty. What undoes a fault is registered before anything moves, and at the end everything is open.

Relays are commanded over a bus, which takes rig time: faults are inserted by the test, never by an event on the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.closed import nearest
from hil.errors import HilError, InstrumentError
from hil.units import format_duration, format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.clock import Clock
    from hil.faults import Fault
    from hil.visa.classes import Switch

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "open": (),
    "short_to_ground": (),
    "short_to_supply": (),
    "short_to_pin": ("to",),
}


@dataclass(frozen=True, slots=True)
class Line:
    """The relays of one line, by channel of the switch; None for a crosspoint that is not wired.

    Args:
        series: the relay between load and article, closed in operation.
        ground: crosspoint from the article's side to ground.
        supply: crosspoint to the supply rail.
        bus: crosspoint to the node that joins two lines.
    """

    series: int
    ground: int | None = None
    supply: int | None = None
    bus: int | None = None

    @property
    def shunts(self) -> tuple[int, ...]:
        """Its crosspoints."""
        return tuple(channel for channel in (self.ground, self.supply, self.bus) if channel is not None)


@dataclass(frozen=True, slots=True)
class Insertion:
    """A fault that is there, and when it began."""

    kind: str
    lines: tuple[str, ...]
    began_ns: int
    """Rig time of the first command to a relay [ns]: before it nothing was disturbed."""
    at_ns: int
    """Onset [ns]: the last relay has operated."""
    uncertainty_ns: int
    """How much earlier the onset may have been [ns]."""


class FaultInsertion:
    """Open circuits and shorts on the lines of a switch; a context manager that connects the loads, and opens all.

    Args:
        switch: the switch; its other channels are left alone until everything is opened.
        lines: relays by the name of the line.
        clock: the rig clock.
        undo: takes what undoes an action before it is done; the rig's own.
        name: what the rig calls it; its faults are put on ``name.line``.

    Raises:
        InstrumentError: for a channel the switch does not have, or one that is named twice.
    """

    def __init__(
        self,
        switch: Switch,
        lines: Mapping[str, Line],
        *,
        clock: Clock,
        undo: Callable[[str, Callable[[], None]], None],
        name: str = "fault_insertion",
    ) -> None:
        self.name = name
        self._switch = switch
        self._lines = dict(lines)
        self._clock = clock
        self._register = undo
        self._present: dict[str, Insertion] = {}
        self._connected = False
        used = [channel for line in lines.values() for channel in (line.series, *line.shunts)]
        for channel in used:
            if channel not in switch.channels:
                near = nearest(str(channel), [str(known) for known in switch.channels])
                raise InstrumentError(f"{name}: {switch.name} has no channel {channel}; {near}")
            if used.count(channel) > 1:
                raise InstrumentError(
                    f"{name}: channel {channel} of {switch.name} is named twice; a relay has one duty"
                )

    @property
    def targets(self) -> list[str]:
        """The names faults can be put on, for the rig's fault injector."""
        return [f"{self.name}.{line}" for line in self._lines]

    @property
    def present(self) -> tuple[Insertion, ...]:
        """The faults that are there now."""
        return tuple({id(insertion): insertion for insertion in self._present.values()}.values())

    def __enter__(self) -> FaultInsertion:
        self.connect_loads()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect_all()

    def connect_loads(self) -> None:
        """Open every crosspoint, then close every series relay: as in operation.

        Raises:
            InstrumentError: when a relay does not read back.
        """
        self._register(f"loads of {self.name}", self.disconnect_all)
        shunts = [channel for line in self._lines.values() for channel in line.shunts]
        if shunts:
            self._switch.disconnect(*shunts)
        self._switch.connect(*(line.series for line in self._lines.values()))
        self._connected = True

    def disconnect_all(self) -> None:
        """Open everything, crosspoints first; harmless when it is.

        Raises:
            InstrumentError: when a relay does not read back; the series relays are opened all the same.
        """
        self._present.clear()
        self._connected = False
        try:
            shunts = [channel for line in self._lines.values() for channel in line.shunts]
            if shunts:
                self._switch.disconnect(*shunts)
        finally:
            self._switch.disconnect_all()

    def insertion(self, line: str) -> Insertion:
        """The fault on a line, with its onset.

        Raises:
            HilError: when there is none.
        """
        found = self._present.get(line)
        if found is None:
            raise HilError(f"{self.name}.{line}: no fault is there; faults are on {', '.join(self._present) or 'none'}")
        return found

    def cycle_counts(self) -> dict[int, int]:
        """How often each relay of the lines has been closed, by channel."""
        channels = [channel for line in self._lines.values() for channel in (line.series, *line.shunts)]
        return dict(zip(channels, self._switch.cycle_counts(*channels), strict=True))

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put a fault on a line now; the returned call takes it away, the load last.

        Kinds: ``open`` (the load is disconnected), ``short_to_ground``, ``short_to_supply``, ``short_to_pin`` (with
        the parameter ``to``: another line). :meth:`insertion` says when it began.

        Raises:
            HilError: for a line or kind it does not have, a line that has a fault already, loads that are not
                connected, or a fault that is to end by the clock.
            InstrumentError: when a relay does not read back; what was done is undone by what was registered.
            ClockError: in an event callback, before any relay has moved.
        """
        if fault.kind not in _PARAMETERS:
            raise HilError(f"{fault.target} has no fault {fault.kind!r}; {nearest(fault.kind, list(_PARAMETERS))}")
        fault.take_only(*_PARAMETERS[fault.kind])
        if fault.until_ns is not None:
            raise HilError(
                f"fault {fault.kind!r} on {fault.target} is to end at {format_time(fault.until_ns)}: relays are "
                "commanded over a bus, which takes time; clear it in the test, at the end of its block"
            )
        names = self._named(fault)
        shunts = self._shunts(fault.kind, names)
        self._clock.wait(self._clock.now, what=f"fault insertion on {fault.target}")  # not in an event callback
        restore = self._restore(names, shunts)
        self._register(f"{fault.kind} on {fault.target}", restore)
        self._insert(fault.kind, names, shunts)
        return restore

    # -- inside -------------------------------------------------------------------------------------------

    def _named(self, fault: Fault) -> tuple[str, ...]:
        """The lines a fault concerns, none of them with a fault."""
        names = [fault.target.removeprefix(f"{self.name}.")]
        if fault.kind == "short_to_pin":
            names.append(str(fault.parameters.get("to", "")))
        for name in names:
            if name not in self._lines:
                raise HilError(f"{self.name} has no line {name!r}; {nearest(name, list(self._lines))}")
            if name in self._present:
                raise HilError(f"{self.name}.{name} has fault {self._present[name].kind!r} already; clear that first")
        if len(set(names)) < len(names):
            raise HilError(f"{fault.target} cannot be shorted to itself; give another line, to=")
        if not self._connected:
            raise HilError(
                f"{self.name}: the loads are not connected; connect_loads() first, or use it in a with block"
            )
        return tuple(names)

    def _shunts(self, kind: str, names: tuple[str, ...]) -> tuple[int, ...]:
        """The crosspoints to close."""
        if kind == "open":
            return ()
        rail = {"short_to_ground": "ground", "short_to_supply": "supply", "short_to_pin": "bus"}[kind]
        if rail == "bus" and any(insertion.kind == kind for insertion in self._present.values()):
            raise HilError(
                f"{self.name}: two lines are shorted to one another already; the bus joins one pair at a time"
            )
        found: list[int] = []
        for name in names:
            channel = getattr(self._lines[name], rail)
            if channel is None:
                raise HilError(f"{self.name}.{name} has no crosspoint to {rail}; wire one, and name it in its Line")
            found.append(channel)
        return tuple(found)

    def _insert(self, kind: str, names: tuple[str, ...], shunts: tuple[int, ...]) -> None:
        series = tuple(self._lines[name].series for name in names)
        began_ns = self._clock.now
        after: list[int] = []

        def settled() -> None:
            after.append(self._clock.now)

        self._switch.disconnect(*series, settled=settled)
        before_ns, shortest_ns = began_ns, min(self._switch.times(channel).release_ns[0] for channel in series)
        if shunts:
            before_ns, shortest_ns = self._clock.now, min(self._switch.times(one).operate_ns[0] for one in shunts)
            self._switch.connect(*shunts, settled=settled)
        at_ns = after[-1]
        uncertainty_ns = max(0, at_ns - before_ns - shortest_ns)
        insertion = Insertion(kind, names, began_ns, at_ns, uncertainty_ns)
        self._present |= dict.fromkeys(names, insertion)

    def _restore(self, names: tuple[str, ...], shunts: tuple[int, ...]) -> Callable[[], None]:
        """What undoes a fault: crosspoints open, their release time waited for, then the loads connected."""
        done = False

        def restore() -> None:
            nonlocal done
            if done or not self._connected:
                return
            if shunts:
                self._switch.disconnect(*shunts)
            self._switch.connect(*(self._lines[name].series for name in names))
            done = True
            for name in names:
                self._present.pop(name, None)

        return restore


def describe(insertion: Insertion) -> str:
    """An insertion in words, for records.

    >>> describe(Insertion("open", ("pc",), 0, 12_000_000, 8_000_000))
    'open on pc at 0.012000000 s, up to 8 ms earlier'
    """
    return (
        f"{insertion.kind} on {' and '.join(insertion.lines)} at {format_time(insertion.at_ns)}, "
        f"up to {format_duration(insertion.uncertainty_ns)} earlier"
    )
