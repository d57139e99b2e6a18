"""Electrical and RF pins and nets: resistance, loads, current limits, path loss.

An electrical net is one node. Every pin on it is, seen from the net, a source behind a resistance, a load, or
nothing; the node voltage follows from Kirchhoff's current law and is solved whenever something changes:

    V = sum(J_i) / sum(g_i)      g_i conductance, J_i short-circuit current of pin i behind its own wire

A supply that reaches its current limit becomes a current source. A source may follow a function instead of being
driven (a fast sensor): its net is linear in it, so a reading costs one multiplication and no event. An RF net carries
an immutable value; every receiving pin sees it weaker by its path loss. Physical quantities and datagrams have nets of
their own (``hil.quantities``, ``hil.datagrams``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from hil.clock import Clock, Phase
from hil.errors import WiringError

if TYPE_CHECKING:
    from collections.abc import Callable

SAME_V = 1e-9
"""Smallest change of a voltage that is told [V]."""
SAME_A = 1e-12
"""Smallest change of a current that is told [A]."""
LEAK_S = 1e-9
"""Conductance of every node to ground [S]: a floating node reads 0 V."""


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
        "amps", "follows", "gain", "name", "net", "offset_v", "open_count", "series_ohm", "volts",
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
        self.follows: Callable[[], float] | None = None
        """What gives the open-circuit voltage of its source [V], for a source that is read, not driven."""
        self.gain = self.offset_v = 0.0
        """On a net with a following source: voltage here = offset + gain x the source's voltage [V]."""
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
        self._unfollow()
        self.net.solve()

    def follow(self, read_v: Callable[[], float], ohms: float) -> None:
        """Put a source on the pin whose voltage is asked for whenever the net is read: no event, no solution.

        Nobody is told of its changes, so nothing on the net may wait for them; :meth:`read` gives the voltage.

        Args:
            read_v: gives the open-circuit voltage now [V].
            ohms: source resistance [ohm].

        Raises:
            WiringError: for a resistance of zero or less, a second such source on the net, or a net somebody watches.
        """
        self.follows = read_v
        self.net.admit(self)
        self._source_v, self._ohms, self._limit_a = 0.0, ohms, None
        if not ohms > 0.0:
            raise WiringError(f"{self.name}: a source behind {ohms} ohm is not physical; ohms must be > 0")
        self.net.solve()

    def read(self) -> float:
        """The voltage at the pin now [V]; on a net with a following source it is worked out from that."""
        net = self.net
        if net.island is not None:
            return net.island.read(self)
        follower = net.follower
        if follower is None or follower.follows is None:
            return self.volts
        return self.offset_v + self.gain * follower.follows()

    @property
    def is_watched(self) -> bool:
        """Whether somebody waits for changes at this pin."""
        return bool(self._listeners)

    def pull(self) -> None:
        """Pull the pin's plug: it is on no net any more; what it drives, and the faults of its wire, stay."""
        before, self.net = self.net, Net("", self.net.clock)
        before.pins.remove(self)
        if before.follower is self:
            before.follower = None
        self.net.join(self)
        self.net.solve()

    def release(self) -> None:
        """Take the source off the pin: high impedance; a load stays."""
        self._source_v, self._ohms, self._limit_a = None, math.inf, None
        self._unfollow()
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
        if self.net.follower is not None:
            self.net.admit(self.net.follower)

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
            volts, amps = (j / (g + LEAK_S), 0.0)
        else:
            volts = (net_v + self.series_ohm * j) / (1.0 + self.series_ohm * g)
            amps = g * volts - j
        changed = abs(volts - self.volts) > SAME_V or abs(amps - self.amps) > SAME_A
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

    def take_source(self, volts: float) -> None:
        """The voltage of a following source for the next solution [V]."""
        self._source_v = volts

    def open_circuit_v(self) -> float:
        """The open-circuit voltage of a following source now [V]; 0 for any other."""
        return 0.0 if self.follows is None else self.follows()

    def pass_through(self, amps: float) -> None:
        """A closed contact takes a current from the net at this pin [A]."""
        self.amps += amps
        self.volts -= self.series_ohm * amps

    def _unfollow(self) -> None:
        if self.follows is not None:
            self.follows = None
            self.net.follower = None

    def _own(self) -> tuple[float, float]:
        if self._source_v is None:
            return self._load_s, 0.0
        if self._current_j is not None:
            return self._load_s, self._current_j
        return self._load_s + 1.0 / self._ohms, self._source_v / self._ohms

    def _source_amps(self) -> float:
        return 0.0 if self._source_v is None else (self.volts - self._source_v) / self._ohms


class Joined(Protocol):
    """Nets that closed contacts have joined, and that are solved together."""

    def solve(self) -> None:
        """Find the voltages of all of them."""
        ...

    def read(self, pin: Pin, /) -> float:
        """The voltage at a pin now [V]."""
        ...


class Net:
    """One electrical node and the pins on it."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.pins: list[Pin] = []
        self.volts = 0.0
        self.follower: Pin | None = None
        """The pin whose source follows a function, if there is one."""
        self.island: Joined | None = None
        """The nets this one is joined with by closed contacts, if it is."""
        self.clock = clock
        self._shorts: list[tuple[float, float]] = []

    @property
    def amps(self) -> float:
        """The current that flows in the net [A]: the sum of what its sources give."""
        return -sum(pin.amps for pin in self.pins if pin.amps < 0.0)

    def join(self, pin: Pin) -> None:
        """Put a pin on this node."""
        self.pins.append(pin)
        pin.net = self
        if pin.follows is not None:
            self.admit(pin)

    def admit(self, follower: Pin) -> None:
        """Take a pin as the net's one following source.

        Raises:
            WiringError: for a second one, or when somebody waits for changes on the net, which would never be told.
        """
        if self.follower is not None and self.follower is not follower:
            raise WiringError(f"{follower.name}: {self.follower.name} follows on the same net already; one source may")
        watched = [pin.name for pin in self.pins if pin.is_watched]
        if watched:
            raise WiringError(
                f"{follower.name} follows a function, and {', '.join(watched)} waits for changes on its net, which "
                "are not told; drive the source instead, or take the watching channel off the net"
            )
        self.follower = follower

    def solve(self) -> None:
        """Find the node voltage and tell every pin whose voltage or current changed."""
        if self.island is not None:
            self.island.solve()
            return
        follower = self.follower
        if follower is not None and follower.follows is not None:
            self._linearise(follower)
            follower.take_source(follower.follows())
        for pin in self.pins:
            pin.unlimit()
        changed = self._settle()
        while self._limit():
            changed |= self._settle()
        self.announce(changed)

    def announce(self, changed: set[Pin]) -> None:
        """Tell the listeners of those of the net's pins that have changed."""
        for pin in self.pins:
            if pin in changed:
                pin.announce(self.clock)

    def short(self, volts: float, ohms: float) -> Callable[[], None]:
        """Connect the node to ``volts`` [V] through ``ohms``; the returned call takes it away again."""
        entry = (1.0 / ohms, volts / ohms)
        self._shorts.append(entry)
        self.solve()

        def undo() -> None:
            self._shorts.remove(entry)
            self.solve()

        return undo

    def _linearise(self, follower: Pin) -> None:
        """Find what every pin's voltage is as a function of the following source's: offset and gain."""
        follower.take_source(0.0)
        self._settle()
        for pin in self.pins:
            pin.offset_v = pin.volts
        follower.take_source(1.0)
        self._settle()
        for pin in self.pins:
            pin.gain = pin.volts - pin.offset_v

    def _limit(self) -> bool:
        """Turn every source beyond its current limit into a current source; True when there was one."""
        return sum(pin.limit() for pin in self.pins) > 0

    def norton(self) -> tuple[float, float]:
        """(conductance [S], short-circuit current [A]) of everything on the node."""
        g_sum, j_sum = LEAK_S, 0.0
        for g, j in (*(pin.norton() for pin in self.pins), *self._shorts):
            g_sum += g
            j_sum += j
        return g_sum, j_sum

    def take(self, volts: float) -> set[Pin]:
        """Take over a solution [V]; the pins whose voltage or current changed."""
        self.volts = volts
        return {pin for pin in self.pins if pin.settle(volts)}

    def _settle(self) -> set[Pin]:
        g_sum, j_sum = self.norton()
        return self.take(j_sum / g_sum)


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

    def pull(self) -> None:
        """Pull the connector: it has no cable any more; what it radiates stays."""
        self.peers = []
        self.announce()

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
