"""Article: the base of simulated articles under test, and the ports they declare.

A simulated article is a closed class that declares its ports and implements ``power_up``, ``power_down`` and
``reset``. It gets clock, noise, ports and as-built data, and nothing else: what it must be, it cannot know. Its
supply is real to it: below the brown-out voltage for longer than its hold-up it goes down, its timers stop, its
outputs open and it falls silent on the bus.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict

from hil.bus_port import BusConnection
from hil.clock import Phase
from hil.closed import Closed, nearest
from hil.errors import ConfigError, HilError, WiringError
from hil.ports import Port, Ports, PowerInput
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.random import Generator

    from hil.can.protection import Sender
    from hil.clock import Clock, Event
    from hil.faults import Fault
    from hil.noise import Streams


class AsBuiltPart(BaseModel):
    """A closed table within as-built data: unknown keys and numbers that are not finite are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AsBuilt(AsBuiltPart):
    """What an article is: numbers with their unit in the key. Unknown keys are errors; nothing here is a limit.

    supply_on_v, supply_off_v: voltage at which it starts, and below which it browns out [V];
    hold_up_ms: how long it lives without supply [ms]; idle_a: current it draws at ``nominal_v`` [A, V].
    """

    supply_on_v: float
    supply_off_v: float
    hold_up_ms: float
    nominal_v: float
    idle_a: float


Built = TypeVar("Built", bound=AsBuilt)


class Article(Closed):
    """A simulated article under test.

    Args:
        clock: the rig clock.
        streams: the world's random streams.
        ports: where its ports meet the rig.
        as_built: what it is, checked against its class's ``AsBuilt``.
    """

    AS_BUILT: ClassVar[type[AsBuilt]] = AsBuilt
    POWER: ClassVar[str] = "power"
    """Name of the port that feeds it."""

    name: str
    clock: Clock
    as_built: AsBuilt
    live_ports: dict[str, object]
    powered: bool
    halted: bool
    _buses: tuple[BusConnection, ...]
    _broadcasts: dict[str, Sender]
    _streams: Streams
    _timers: list[Event]
    _hold_up: Event | None
    _dead: int
    _halts: int

    def __init__(self, clock: Clock, streams: Streams, ports: Ports, as_built: AsBuilt) -> None:
        self.name = ports.name
        self.clock = clock
        self.as_built = as_built
        self.powered = self.halted = False
        self._streams = streams
        self._timers = []
        self._hold_up = None
        self._dead = self._halts = 0
        self.live_ports = {}
        for name, port in self.declared_ports().items():
            self.live_ports[name] = port.bind(ports, self)
        self._buses = tuple(port for port in self.live_ports.values() if isinstance(port, BusConnection))
        self._broadcasts = {}
        self.build()
        ports.wiring.pin(f"{self.name}.{self.POWER}").on_change(self._supply_changed)

    @classmethod
    def declared_ports(cls) -> dict[str, Port[object]]:
        """The ports the class declares, by name, base classes first."""
        found: dict[str, Port[object]] = {}
        for base in reversed(cls.__mro__):
            found |= {name: port for name, port in vars(base).items() if isinstance(port, Port)}
        return found

    # -- for the subclass ---------------------------------------------------------------------------------

    def build(self) -> None:
        """Set up the hardware once: state that lives without power, edges that need no software."""

    def power_up(self) -> None:
        """The supply has come up: boot."""

    def power_down(self) -> None:
        """The supply is gone: open the outputs, forget what is not in non-volatile memory."""

    def reset(self) -> None:
        """Back to the state after power-up; an article without power stays as it is."""
        if not self.powered:
            return
        self._stop_timers()
        self.power_down()
        self.power_up()

    def built_as(self, kind: type[Built]) -> Built:
        """Its as-built data, as the class that declares them.

        Raises:
            ConfigError: when they are of another class.
        """
        if not isinstance(self.as_built, kind):
            raise ConfigError(f"{self.name}: its as-built data are {type(self.as_built).__name__}, not {kind.__name__}")
        return self.as_built

    @property
    def running(self) -> bool:
        """Whether its software runs: powered and not halted."""
        return self.powered and not self.halted

    @property
    def supply_v(self) -> float:
        """Voltage at its supply pin [V]."""
        return self._power.volts

    def noise(self, source: str) -> Generator:
        """The random stream of one of its noise sources."""
        return self._streams.stream(self.name, source)

    def broadcast(self, message: str, signals: Mapping[str, float | int | str]) -> None:
        """Send one frame on every bus the article is on: the same data and the same counter on each.

        A message that is broadcast has one stream for all buses; what one bus does not take, the others still carry.
        An article without power sends nothing.

        Args:
            message: its name without the article's prefix, or in full.
            signals: physical values, or names of a value table.

        Raises:
            WiringError: for an article without a bus, or with buses of different databases.
            BusError: for an unknown message or signal, a missing one, or a value out of range.
        """
        if not self.powered:
            return
        sender = self._broadcasts.get(message)
        if sender is None:
            sender = self._broadcasts[message] = self._broadcast_sender(message)
        frame = sender.frame(signals)
        for port in self._buses:
            port.node.send(frame)

    def _broadcast_sender(self, message: str) -> Sender:
        if not self._buses:
            raise WiringError(f"{self.name} has no bus port, so it cannot broadcast {message}")
        first, *others = self._buses
        name = first.full_name(message)
        for other in others:
            if other.database.path != first.database.path or other.full_name(message) != name:
                raise WiringError(
                    f"{self.name}: its buses have different databases, {first.database.path} and "
                    f"{other.database.path}: one frame of {name} does not fit both; send it on each bus by itself"
                )
        return first.database.sender(name)

    def after(self, delay_ns: int, fn: Callable[[], None], *, hardware: bool = False) -> Event:
        """Call ``fn`` after a delay [ns], unless power goes first; software timers also need a running CPU."""
        return self._keep(self.clock.at(self.clock.now + delay_ns, self._guarded(fn, hardware), Phase.DEVICE))

    def every(self, period_ns: int, fn: Callable[[], None], *, offset_ns: int = 0, hardware: bool = False) -> Event:
        """Call ``fn`` every period [ns] while powered; software timers also need a running CPU."""
        return self._keep(self.clock.every(period_ns, self._guarded(fn, hardware), Phase.DEVICE, offset_ns))

    # -- faults -------------------------------------------------------------------------------------------

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put a fault on the article: ``cpu_halt`` stops its software, ``dead`` takes its power away inside.

        Raises:
            HilError: for a kind the article does not know, or a parameter: these kinds have none.
        """
        if fault.kind not in ("cpu_halt", "dead"):
            raise HilError(f"{self.name} has no fault {fault.kind!r}; {nearest(fault.kind, ['cpu_halt', 'dead'])}")
        fault.take_only()
        if fault.kind == "cpu_halt":
            self._halts += 1
            self.halted = True
            return self._resume
        self._dead += 1
        self._supply_changed()
        return self._revive

    def _resume(self) -> None:
        self._halts -= 1
        self.halted = self._halts > 0

    def _revive(self) -> None:
        self._dead -= 1
        self._supply_changed()

    # -- supply -------------------------------------------------------------------------------------------

    @property
    def _power(self) -> PowerInput:
        power = self.live_ports[self.POWER]
        if not isinstance(power, PowerInput):
            raise WiringError(f"{self.name}: its port {self.POWER} feeds it and must be a PowerPin, not {power!r}")
        return power

    def _supply_changed(self) -> None:
        volts = 0.0 if self._dead else self._power.volts
        if not self.powered:
            if volts >= self.as_built.supply_on_v:
                self._go_up()
        elif volts < self.as_built.supply_off_v:
            if self._hold_up is None:
                hold_up_ns = round(self.as_built.hold_up_ms * ms)
                self._hold_up = self.clock.at(self.clock.now + hold_up_ns, self._go_down)
        elif self._hold_up is not None:
            self._hold_up.cancel()
            self._hold_up = None

    def _go_up(self) -> None:
        self.powered = True
        self._power.draw(self.as_built.idle_a, self.as_built.nominal_v)
        for port in self._buses:
            port.node.power(True)
        self.power_up()

    def _go_down(self) -> None:
        self._hold_up = None
        self.powered = False
        self._stop_timers()
        self.power_down()
        for port in self._buses:
            port.node.power(False)
        self._power.draw(0.0, self.as_built.nominal_v)
        self._supply_changed()

    def _stop_timers(self) -> None:
        for event in self._timers:
            event.cancel()
        self._timers = []

    def _keep(self, event: Event) -> Event:
        if len(self._timers) > 64:
            self._timers = [timer for timer in self._timers if timer.active]
        self._timers.append(event)
        return event

    def _guarded(self, fn: Callable[[], None], hardware: bool) -> Callable[[], None]:
        return fn if hardware else functools.partial(self._run_software, fn)

    def _run_software(self, fn: Callable[[], None]) -> None:
        if not self.halted:
            fn()
