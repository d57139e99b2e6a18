"""Pins and nets: what connects instruments and articles, with resistance, loads, path loss and wire faults.

An electrical net is one node. Every pin on it is, seen from the net, a source behind a resistance, a load, or
nothing; the node voltage follows from Kirchhoff's current law and is solved whenever something changes:

    V = sum(J_i) / sum(g_i)      g_i conductance, J_i short-circuit current of pin i behind its own wire

A supply that reaches its current limit becomes a current source. An RF net carries an immutable value; every
receiving pin sees it weaker by its path loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hil.clock import Clock, Phase
from hil.closed import nearest
from hil.errors import WiringError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hil.faults import Fault

_LEAK_S = 1e-9  # conductance of every node to ground [S]: a floating node reads 0 V
_SHORT_OHM = 0.05  # resistance of a short unless the fault says otherwise [ohm]
_SHORT_MIN_OHM = 1e-6  # a short of no resistance at all has no solution [ohm]
_WIRE_KINDS: dict[str, tuple[str, ...]] = {
    "open": (),
    "short_to_ground": ("ohms",),
    "short_to_supply": ("volts", "ohms"),
    "series_resistance": ("ohms",),
}
_RF_KINDS: dict[str, tuple[str, ...]] = {"open": (), "attenuation": ("loss_db",)}


@dataclass(frozen=True, slots=True)
class Tone:
    """One tone on an FM carrier: frequency [Hz], peak deviation [Hz], rig time at which it began [ns]."""

    frequency_hz: float
    deviation_hz: float
    start_ns: int


@dataclass(frozen=True, slots=True)
class RfValue:
    """What a generator radiates into a cable, or what a receiver finds at its connector.

    Carrier [Hz], level [dBm], the tones on it, the noise power in the receiver's band [dBm] and weaker signals.
    """

    carrier_hz: float
    level_dbm: float
    tones: tuple[Tone, ...] = ()
    noise_dbm: float | None = None
    interferers: tuple[RfValue, ...] = ()

    def weaker(self, loss_db: float) -> RfValue:
        """The same signal after a loss [dB]; what comes with it, noise and weaker signals, loses as much."""
        if not loss_db:
            return self
        return replace(
            self,
            level_dbm=self.level_dbm - loss_db,
            noise_dbm=None if self.noise_dbm is None else self.noise_dbm - loss_db,
            interferers=tuple(other.weaker(loss_db) for other in self.interferers),
        )


class Pin:
    """One electrical pin of an instrument or article. A fresh pin has high impedance."""

    __slots__ = (
        "_announce_due", "_current_j", "_limit_a", "_listeners", "_load_s", "_ohms", "_source_v",
        "amps", "name", "net", "open_count", "series_ohm", "volts",
    )  # fmt: skip

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.volts = 0.0
        """Voltage at the pin against ground [V], behind its own wire."""
        self.amps = 0.0
        """Current from the net into the device [A]; negative when the device sources."""
        self.series_ohm = 0.0
        self.open_count = 0
        self._source_v: float | None = None
        self._ohms = math.inf
        self._limit_a: float | None = None
        self._current_j: float | None = None
        self._load_s = 0.0
        self._listeners: list[Callable[[], None]] = []
        self._announce_due = False
        self.net = Net("", clock)
        self.net.join(self)

    def __repr__(self) -> str:
        return f"<pin {self.name} {self.volts:.3f} V>"

    def drive(self, volts: float, ohms: float, limit_a: float | None = None) -> None:
        """Put a source of ``volts`` [V] behind ``ohms`` on the pin; ``limit_a`` [A] makes it go constant-current.

        Raises:
            WiringError: for a resistance of zero or less, which no source has, a current limit below zero, or a
                value that is not finite.
        """
        if not (ohms > 0.0 and math.isfinite(volts)):
            raise WiringError(f"{self.name}: a source of {volts} V behind {ohms} ohm is not physical; ohms must be > 0")
        if limit_a is not None and not limit_a >= 0.0:
            raise WiringError(f"{self.name}: a current limit of {limit_a} A is not physical; it must be 0 or more")
        self._source_v, self._ohms, self._limit_a = volts, ohms, limit_a
        self.net.solve()

    def release(self) -> None:
        """Take the source off the pin: high impedance; a load stays."""
        self._source_v, self._ohms, self._limit_a = None, math.inf, None
        self.net.solve()

    def load(self, ohms: float) -> None:
        """Put a resistor of ``ohms`` to ground on the pin; ``math.inf`` takes it off.

        Raises:
            WiringError: for a resistance of zero or less.
        """
        if not ohms > 0.0:
            raise WiringError(f"{self.name}: a load of {ohms} ohm is not physical; it must be > 0")
        self._load_s = 1.0 / ohms
        self.net.solve()

    def wire(self, ohms: float) -> None:
        """Give the pin's own wire to the net a resistance of ``ohms``.

        Raises:
            WiringError: for a resistance below zero.
        """
        if not ohms >= 0.0:
            raise WiringError(f"{self.name}: a wire of {ohms} ohm is not physical; it must be 0 or more")
        self.series_ohm = ohms
        self.net.solve()

    def on_change(self, fn: Callable[[], None]) -> None:
        """Call ``fn`` at the same instant, device phase, whenever voltage or current at the pin has changed."""
        self._listeners.append(fn)

    @property
    def in_limit(self) -> bool:
        """Whether the source on this pin is in current limit."""
        return self._current_j is not None

    # -- for the net --------------------------------------------------------------------------------------

    def norton(self) -> tuple[float, float]:
        """(conductance [S], short-circuit current [A]) of the pin seen from the net, its wire included."""
        if self.open_count:
            return 0.0, 0.0
        g, j = self._own()
        factor = 1.0 + self.series_ohm * g
        return g / factor, j / factor

    def limit(self) -> bool:
        """Turn into a current source when the current limit is exceeded; True when that changed something."""
        if self._limit_a is None or self._source_v is None:
            return False
        if self._current_j is None and -self._source_amps() > self._limit_a * (1 + 1e-9):
            self._current_j = self._limit_a
            return True
        return False

    def unlimit(self) -> None:
        """Forget the current limit state, before a new solution."""
        self._current_j = None

    def settle(self, net_v: float) -> bool:
        """Take over the solution of the net [V]; True when voltage or current changed."""
        g, j = self._own()
        if self.open_count:
            volts, amps = (j / (g + _LEAK_S), 0.0)
        else:
            volts = (net_v + self.series_ohm * j) / (1.0 + self.series_ohm * g)
            amps = g * volts - j
        changed = abs(volts - self.volts) > 1e-9 or abs(amps - self.amps) > 1e-12
        self.volts, self.amps = volts, amps
        return changed

    def announce(self, clock: Clock) -> None:
        """Tell the listeners at this instant, once however often the net was solved."""
        if self._listeners and not self._announce_due:
            self._announce_due = True
            clock.at(clock.now, self._tell, Phase.DEVICE)

    def _tell(self) -> None:
        self._announce_due = False
        for fn in self._listeners:
            fn()

    def _own(self) -> tuple[float, float]:
        if self._source_v is None:
            return self._load_s, 0.0
        if self._current_j is not None:
            return self._load_s, self._current_j
        return self._load_s + 1.0 / self._ohms, self._source_v / self._ohms

    def _source_amps(self) -> float:
        return 0.0 if self._source_v is None else (self.volts - self._source_v) / self._ohms


class Net:
    """One electrical node and the pins on it."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.pins: list[Pin] = []
        self.volts = 0.0
        self._clock = clock
        self._shorts: list[tuple[float, float]] = []

    @property
    def amps(self) -> float:
        """The current that flows in the net [A]: the sum of what its sources give."""
        return -sum(pin.amps for pin in self.pins if pin.amps < 0.0)

    def join(self, pin: Pin) -> None:
        """Put a pin on this node."""
        self.pins.append(pin)
        pin.net = self

    def solve(self) -> None:
        """Find the node voltage and tell every pin whose voltage or current changed."""
        for pin in self.pins:
            pin.unlimit()
        changed = self._settle()
        while self._limit():
            changed |= self._settle()
        for pin in self.pins:
            if pin in changed:
                pin.announce(self._clock)

    def short(self, volts: float, ohms: float) -> Callable[[], None]:
        """Connect the node to ``volts`` [V] through ``ohms``; the returned call takes it away again."""
        entry = (1.0 / ohms, volts / ohms)
        self._shorts.append(entry)
        self.solve()

        def undo() -> None:
            self._shorts.remove(entry)
            self.solve()

        return undo

    def _limit(self) -> bool:
        """Turn every source beyond its current limit into a current source; True when there was one."""
        return sum(pin.limit() for pin in self.pins) > 0

    def _settle(self) -> set[Pin]:
        g_sum, j_sum = _LEAK_S, 0.0
        for g, j in (*(pin.norton() for pin in self.pins), *self._shorts):
            g_sum += g
            j_sum += j
        self.volts = j_sum / g_sum
        return {pin for pin in self.pins if pin.settle(self.volts)}


class RfPin:
    """One RF connector of an instrument or article."""

    __slots__ = ("_driven", "_listeners", "clock", "loss_db", "name", "open_count", "peers")

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.loss_db = 0.0
        self.open_count = 0
        self.peers: list[RfPin] = []
        self._driven: RfValue | None = None
        self._listeners: list[Callable[[], None]] = []

    def drive(self, value: RfValue | None) -> None:
        """Radiate ``value`` into the net, or nothing."""
        if value == self._driven:
            return
        self._driven = value
        for peer in self.peers:
            peer.announce()

    @property
    def driven(self) -> RfValue | None:
        """What this pin radiates itself, at its connector."""
        return None if self.open_count else self._driven

    @property
    def value(self) -> RfValue | None:
        """What arrives at this connector: the strongest signal, the others as its interferers; None for silence."""
        if self.open_count:
            return None
        arriving = [peer.driven.weaker(peer.loss_db + self.loss_db) for peer in self.peers if peer.driven is not None]
        arriving.sort(key=lambda value: -value.level_dbm)
        if not arriving:
            return None
        strongest, *others = arriving
        return replace(strongest, interferers=strongest.interferers + tuple(others)) if others else strongest

    def on_change(self, fn: Callable[[], None]) -> None:
        """Call ``fn`` at the same instant, device phase, whenever what arrives may have changed."""
        self._listeners.append(fn)

    def announce(self) -> None:
        """Tell the listeners at this instant."""
        for fn in self._listeners:
            self.clock.at(self.clock.now, fn, Phase.DEVICE)


class Wiring:
    """All pins and nets of one rig.

    Args:
        clock: the rig clock, on which changes are announced.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pins: dict[str, Pin] = {}
        self._rf_pins: dict[str, RfPin] = {}
        self._nets: dict[str, Net | list[RfPin]] = {}

    def pin(self, name: str) -> Pin:
        """The electrical pin ``node.port``, made at its first use.

        Raises:
            WiringError: when the name is that of an RF connector.
        """
        if name in self._rf_pins:
            raise WiringError(f"{name} is an RF connector, not an electrical pin; use rf_pin()")
        return self._pins.setdefault(name, Pin(name, self._clock)) if name not in self._pins else self._pins[name]

    def rf_pin(self, name: str) -> RfPin:
        """The RF connector ``node.port``, made at its first use.

        Raises:
            WiringError: when the name is that of an electrical pin.
        """
        if name in self._pins:
            raise WiringError(f"{name} is an electrical pin, not an RF connector; use pin()")
        if name not in self._rf_pins:
            self._rf_pins[name] = RfPin(name, self._clock)
        return self._rf_pins[name]

    def net(self, name: str, pins: Iterable[str], loss_db: Mapping[str, float] | None = None) -> None:
        """Connect existing pins; ``loss_db`` [dB] is the as-built path loss of RF connectors.

        Raises:
            WiringError: for an unknown pin, a pin on two nets, a mix of RF and electrical pins, or a loss
                on an electrical pin.
        """
        names = list(pins)
        for pin in (*names, *(loss_db or {})):
            if pin not in self._pins and pin not in self._rf_pins:
                known = [*self._pins, *self._rf_pins]
                raise WiringError(f"net {name}: there is no pin {pin}; {nearest(pin, known)}")
        rf = [self._rf_pins[pin] for pin in names if pin in self._rf_pins]
        if rf and len(rf) != len(names):
            mixed = ", ".join(pin for pin in names if pin not in self._rf_pins)
            raise WiringError(f"net {name}: {mixed} is electrical and {rf[0].name} is RF; they cannot be one net")
        if rf:
            self._join_rf(name, rf, loss_db or {})
        else:
            self._join(name, [self._pins[pin] for pin in names], loss_db or {})

    def peers(self, pin: str) -> list[str]:
        """The other pins on the net of an electrical pin, by name.

        Raises:
            WiringError: when there is no such pin.
        """
        if pin not in self._pins:
            raise WiringError(f"there is no pin {pin}; {nearest(pin, list(self._pins))}")
        return [other.name for other in self._pins[pin].net.pins if other.name != pin]

    @property
    def targets(self) -> list[str]:
        """Every name a wire fault may be put on: nets and pins."""
        return [*self._nets, *self._pins, *self._rf_pins]

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put an electrical or RF fault on a named net or pin; the returned call undoes it.

        Kinds: ``open``; ``short_to_ground`` (ohms); ``short_to_supply`` (volts, ohms); ``series_resistance``
        (ohms); on RF ``open`` and ``attenuation`` (loss_db).

        Raises:
            WiringError: for an unknown wire or kind.
            HilError: for an unknown parameter, a missing one, or one that is not physical.
        """
        name = fault.target
        rf = self._rf_pins.get(name)
        entry = self._nets.get(name)
        if rf is not None:
            return _rf_fault([rf], fault)
        if isinstance(entry, list):
            return _rf_fault(entry, fault)
        if name in self._pins:
            return _wire_fault(self._pins[name].net, [self._pins[name]], fault)
        if entry is not None:
            return _wire_fault(entry, entry.pins, fault)
        raise WiringError(f"no wire is called {name}; {nearest(name, self.targets)}")

    def _join(self, name: str, pins: list[Pin], loss_db: Mapping[str, float]) -> None:
        if loss_db:
            raise WiringError(f"net {name}: loss_db belongs to RF connectors; {', '.join(loss_db)} is electrical")
        net = Net(name, self._clock)
        for pin in pins:
            if pin.net.name:
                raise WiringError(f"net {name}: {pin.name} is on net {pin.net.name} already; a pin has one wire")
            net.join(pin)
        self._nets[name] = net
        net.solve()

    def _join_rf(self, name: str, pins: list[RfPin], loss_db: Mapping[str, float]) -> None:
        for pin in pins:
            if pin.peers:
                raise WiringError(f"net {name}: {pin.name} is on another RF net already; a connector has one cable")
            pin.peers = [other for other in pins if other is not pin]
            pin.loss_db = loss_db.get(pin.name, 0.0)
        self._nets[name] = pins


def _wire_fault(net: Net, pins: list[Pin], fault: Fault) -> Callable[[], None]:
    if fault.kind not in _WIRE_KINDS:
        raise WiringError(
            f"a wire has no fault {fault.kind!r} (on {fault.target}); {nearest(fault.kind, list(_WIRE_KINDS))}"
        )
    fault.take_only(*_WIRE_KINDS[fault.kind])
    if fault.kind in ("short_to_ground", "short_to_supply"):
        volts = fault.number("volts") if fault.kind == "short_to_supply" else 0.0
        return net.short(volts, fault.number("ohms", _SHORT_OHM, least=_SHORT_MIN_OHM))
    ohms = fault.number("ohms", least=0.0) if fault.kind == "series_resistance" else 0.0
    is_open = 1 if fault.kind == "open" else 0

    def change(sign: int) -> None:
        for pin in pins:
            pin.open_count += sign * is_open
            pin.series_ohm += sign * ohms
        net.solve()

    change(1)
    return lambda: change(-1)


def _rf_fault(pins: list[RfPin], fault: Fault) -> Callable[[], None]:
    if fault.kind not in _RF_KINDS:
        raise WiringError(
            f"an RF path has no fault {fault.kind!r} (on {fault.target}); {nearest(fault.kind, list(_RF_KINDS))}"
        )
    fault.take_only(*_RF_KINDS[fault.kind])
    ends = 2 if len(pins) > 1 else 1  # a fault on the whole net counts at both ends of every path
    loss_db = fault.number("loss_db", least=0.0) / ends if fault.kind == "attenuation" else 0.0
    is_open = 1 if fault.kind == "open" else 0

    def change(sign: int) -> None:
        for pin in pins:
            pin.open_count += sign * is_open
            pin.loss_db += sign * loss_db
            for peer in (pin, *pin.peers):
                peer.announce()

    change(1)
    return lambda: change(-1)
