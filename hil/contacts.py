"""Contacts that join electrical nets at run time: relays, switch matrices.

Nets joined by closed contacts are an *island*, whose nodes are solved together (nodal analysis):

    sum over contacts k of net i:  (g_i + sum g_k) V_i - sum g_k V_other(k) = j_i

A net that no closed contact touches knows nothing of this and costs nothing. A contact's pin has no wire of its own
inside the switch: an open wire at the pin takes its contacts out of every path through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.clock import Phase
from hil.errors import WiringError
from hil.nets import SAME_A, SAME_V
from hil.units import ms

if TYPE_CHECKING:
    from hil.clock import Clock, Event
    from hil.nets import Net, Pin

POLL_NS = 1 * ms
"""How often an island is solved anew in which a source follows a function and somebody waits for changes [ns]."""


class Contact:
    """A switch between two pins, open when made; :meth:`Contacts.between` makes it.

    Args:
        one: a pin.
        other: another pin.
        ohms: resistance when closed [ohm].
        contacts: those of the same rig.

    Raises:
        WiringError: for a resistance of zero or less, or a pin joined with itself.
    """

    __slots__ = ("_contacts", "closed", "ohms", "one", "other")

    def __init__(self, one: Pin, other: Pin, ohms: float, contacts: Contacts) -> None:
        if not ohms > 0.0:
            raise WiringError(f"a contact of {ohms} ohm from {one.name} to {other.name} is not physical; give > 0")
        if one is other:
            raise WiringError(f"a contact from {one.name} to itself joins nothing; give two pins")
        self.one = one
        self.other = other
        self.ohms = ohms
        self.closed = False
        """Whether the pins are joined now."""
        self._contacts = contacts

    def close(self) -> None:
        """Join the pins; harmless when they are."""
        self._put(closed=True)

    def open(self) -> None:
        """Separate the pins; harmless when they are."""
        self._put(closed=False)

    def conductance_s(self) -> float:
        """Conductance between the two nets [S], the pins' wires included."""
        one, other = self.one, self.other
        if one.open_count or other.open_count:
            return 0.0
        return 1.0 / (self.ohms + one.series_ohm + other.series_ohm)

    def _put(self, *, closed: bool) -> None:
        if closed is not self.closed:
            self.closed = closed
            self._contacts.regroup()


class Contacts:
    """The contacts of one rig, and the islands that the closed ones make.

    Args:
        clock: the rig clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._contacts: list[Contact] = []
        self._islands: list[Island] = []

    def between(self, one: Pin, other: Pin, ohms: float) -> Contact:
        """A new contact, open.

        Args:
            one: a pin.
            other: another pin.
            ohms: resistance when closed [ohm].

        Raises:
            WiringError: for a resistance of zero or less, or a pin joined with itself.
        """
        contact = Contact(one, other, ohms, self)
        self._contacts.append(contact)
        return contact

    def regroup(self) -> None:
        """Find the islands of the contacts that are closed now, and solve what has changed."""
        left = [net for island in self._islands for net in island.dissolve()]
        groups: list[tuple[set[Net], list[Contact]]] = []
        for contact in self._contacts:
            if contact.closed:
                groups = _with(groups, contact)
        self._islands = [Island(self._clock, sorted(nets, key=_place), group) for nets, group in groups]
        for island in self._islands:
            island.solve()
        for net in left:
            if net.island is None:
                net.solve()


class Island:
    """Nets joined by closed contacts.

    Args:
        clock: the rig clock.
        nets: the nets.
        contacts: the contacts between them, closed.
    """

    def __init__(self, clock: Clock, nets: list[Net], contacts: list[Contact]) -> None:
        self._nets = nets
        self._contacts = contacts
        self._pins = [pin for net in nets for pin in net.pins]
        self._followers: list[Pin] = []
        self._offset_v: dict[Pin, float] = {}
        self._gains: dict[Pin, list[float]] = {}
        self._poll: Event | None = None
        self._clock = clock
        for net in nets:
            net.island = self

    def dissolve(self) -> list[Net]:
        """Let go of the nets, which are returned."""
        if self._poll is not None:
            self._poll.cancel()
        for net in self._nets:
            net.island = None
        return self._nets

    def solve(self) -> None:
        """Find the voltages of all nets and tell every pin whose voltage or current changed."""
        self._followers = [net.follower for net in self._nets if net.follower is not None]
        before = {pin: (pin.volts, pin.amps) for pin in self._pins}
        if self._followers:
            self._watch_over()
            self._linearise()
            for follower in self._followers:
                follower.take_source(follower.open_circuit_v())
        for pin in self._pins:
            pin.unlimit()
        self._settle()
        while sum(pin.limit() for pin in self._pins):
            self._settle()
        changed = {
            pin
            for pin, (volts, amps) in before.items()
            if abs(pin.volts - volts) > SAME_V or abs(pin.amps - amps) > SAME_A
        }
        for net in self._nets:
            net.announce(changed)

    def read(self, pin: Pin) -> float:
        """The voltage at a pin now [V], whatever the following sources are now."""
        if not self._followers:
            return pin.volts
        gains = zip(self._gains[pin], self._followers, strict=True)
        return self._offset_v[pin] + sum(gain * follower.open_circuit_v() for gain, follower in gains)

    def _watch_over(self) -> None:
        """Nobody tells when a source follows: solve again and again while somebody waits for changes."""
        if self._poll is None and any(pin.is_watched for pin in self._pins):
            self._poll = self._clock.every(POLL_NS, self.solve, Phase.DEVICE, POLL_NS, timed=False)

    def _linearise(self) -> None:
        """Find what every pin's voltage is as a function of the following sources': superposition."""
        for follower in self._followers:
            follower.take_source(0.0)
        self._settle()
        self._offset_v = {pin: pin.volts for pin in self._pins}
        self._gains = {pin: [] for pin in self._pins}
        for follower in self._followers:
            follower.take_source(1.0)
            self._settle()
            follower.take_source(0.0)
            for pin, gains in self._gains.items():
                gains.append(pin.volts - self._offset_v[pin])

    def _settle(self) -> None:
        places = {net: place for place, net in enumerate(self._nets)}
        rows = [[0.0] * len(self._nets) for _ in self._nets]
        amps = [0.0] * len(self._nets)
        for place, net in enumerate(self._nets):
            rows[place][place], amps[place] = net.norton()
        joints: list[tuple[Contact, float, int, int]] = []
        for contact in self._contacts:
            g, a, b = contact.conductance_s(), places[contact.one.net], places[contact.other.net]
            if a == b or not g:
                continue
            joints.append((contact, g, a, b))
            rows[a][a] += g
            rows[b][b] += g
            rows[a][b] -= g
            rows[b][a] -= g
        volts = _solved(rows, amps)
        for net, solved in zip(self._nets, volts, strict=True):
            net.take(solved)
        for contact, g, a, b in joints:
            through = g * (volts[a] - volts[b])
            contact.one.pass_through(through)
            contact.other.pass_through(-through)


def _with(groups: list[tuple[set[Net], list[Contact]]], contact: Contact) -> list[tuple[set[Net], list[Contact]]]:
    """The groups after one more contact, which may make one of several."""
    nets, contacts = {contact.one.net, contact.other.net}, [contact]
    apart: list[tuple[set[Net], list[Contact]]] = []
    for group, joints in groups:
        if group & nets:
            nets, contacts = group | nets, joints + contacts
        else:
            apart.append((group, joints))
    return [*apart, (nets, contacts)]


def _place(net: Net) -> str:
    """The order of nets in an island: the same in every run."""
    return net.pins[0].name


def _solved(rows: list[list[float]], right: list[float]) -> list[float]:
    """Solve a symmetric, diagonally dominant system of a few equations: Gauss, no pivoting needed."""
    size = len(right)
    for pivot in range(size):
        row, scale = rows[pivot], 1.0 / rows[pivot][pivot]
        for below in range(pivot + 1, size):
            factor = rows[below][pivot] * scale
            if factor:
                for column in range(pivot, size):
                    rows[below][column] -= factor * row[column]
                right[below] -= factor * right[pivot]
    for pivot in range(size - 1, -1, -1):
        known = sum(rows[pivot][column] * right[column] for column in range(pivot + 1, size))
        right[pivot] = (right[pivot] - known) / rows[pivot][pivot]
    return right
