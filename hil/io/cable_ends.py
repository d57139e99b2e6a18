"""The ends of a cable: on each shared net one pin that stands for everything another program has on it.

An electrical net is linear, so all pins of one program are exactly one source behind one conductance. A supply in its
current limit is a current source; which it is, its own program decides with the far load as it was told last.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from hil.clock import Phase
from hil.errors import WiringError
from hil.io.cable_words import Change, Datagram, Rf, Wire
from hil.io.far_pin import FarPin
from hil.nets import LEAK_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hil.clock import Clock
    from hil.datagrams import DatagramPin
    from hil.nets import RfPin, RfValue


class End(Protocol):
    """One net at one end of a cable."""

    @property
    def net(self) -> str:
        """Name of the net."""
        ...

    @property
    def kind(self) -> str:
        """What it carries: wire, rf or datagram."""
        ...

    def state(self) -> Change | None:
        """What this program has on the net now; None for what has no state."""
        ...

    def take(self, change: Change, offset_ns: int) -> None:
        """Something has changed in the other program, whose stamps are ``offset_ns`` behind this one's [ns]."""
        ...

    def open(self) -> None:
        """The connector was pulled."""
        ...


class WireEnd:
    """An electrical net.

    Args:
        net: its name.
        pin: the pin that stands for the other program.
        clock: the rig clock.
        tell: takes every change of what this program has on the net.
    """

    kind = "wire"

    def __init__(self, net: str, pin: FarPin, clock: Clock, tell: Callable[[Change], None]) -> None:
        self.net = net
        self._pin = pin
        self._clock = clock
        self._tell = tell
        self._due = False
        self._told: tuple[float, float] | None = None
        pin.on_solved = self._solved

    def state(self) -> Wire:
        """The equivalent of this program's pins now."""
        self._told = self._own()
        return Wire(self.net, *self._told, self._clock.now)

    def take(self, change: Change, offset_ns: int) -> None:  # noqa: ARG002  # a wire has no times in it
        """Show what the other program has on the net."""
        if isinstance(change, Wire):
            self._pin.show(change.siemens, change.amps)

    def open(self) -> None:
        """Show an open connector."""
        self._pin.show(0.0, 0.0)

    def _solved(self) -> None:
        """When everything at this instant is done, tell what has become of it."""
        if not self._due:
            self._due = True
            self._clock.at(self._clock.now, self._compare, Phase.OBSERVE)

    def _compare(self) -> None:
        self._due = False
        if self._own() != self._told:
            self._tell(self.state())

    def _own(self) -> tuple[float, float]:
        """(conductance [S], short-circuit current [A]) of this program's pins, as the other one sees them."""
        pin = self._pin
        if pin.net.island is not None:
            raise WiringError(
                f"net {self.net} is shared with another program, and a closed contact joins it with another net; "
                "let the switch and the parts on both its sides run in one program"
            )
        if pin.open_count:
            return 0.0, 0.0
        far = [other for other in pin.net.pins if isinstance(other, FarPin)]
        for other in far:
            other.aside = True
        siemens, amps = pin.net.norton()
        siemens -= LEAK_S  # of the node, which leaks in both programs
        for other in far:
            other.aside = False
        factor = 1.0 + pin.series_ohm * siemens
        return siemens / factor, amps / factor


class RfEnd:
    """An RF net: what arrives at a connector without loss is what this program puts on it.

    Args:
        net: its name.
        pin: the connector that stands for the other program.
        clock: the rig clock.
        tell: takes every change of what this program puts on the net.
    """

    kind = "rf"

    def __init__(self, net: str, pin: RfPin, clock: Clock, tell: Callable[[Change], None]) -> None:
        self.net = net
        self._pin = pin
        self._clock = clock
        self._tell = tell
        self._told: RfValue | None = None
        pin.on_change(self._compare)

    def state(self) -> Rf:
        """What is on the net now."""
        self._told = self._pin.value
        return Rf(self.net, self._told, self._clock.now)

    def take(self, change: Change, offset_ns: int) -> None:
        """Radiate what the other program puts on the net; its tones began when they began there."""
        if isinstance(change, Rf):
            self._pin.drive(None if change.value is None else _shifted(change.value, offset_ns))

    def open(self) -> None:
        """Nothing comes any more."""
        self._pin.drive(None)

    def _compare(self) -> None:
        if self._pin.value != self._told:
            self._tell(self.state())


class DatagramEnd:
    """A datagram net.

    Args:
        net: its name.
        pin: the pin that stands for the other program.
        clock: the rig clock.
        tell: takes every datagram of this program's pins.
    """

    kind = "datagram"

    def __init__(self, net: str, pin: DatagramPin, clock: Clock, tell: Callable[[Change], None]) -> None:
        self.net = net
        self._pin = pin
        self._clock = clock
        pin.on(lambda payload, sent_ns: tell(Datagram(net, payload.hex(), sent_ns)))

    def state(self) -> None:
        """A datagram is there once."""

    def take(self, change: Change, offset_ns: int) -> None:
        """Hand a datagram to everybody on the net, with the time it was sent.

        Raises:
            WiringError: for a payload that is not written in hexadecimal digits.
        """
        if not isinstance(change, Datagram) or self._pin.open_count:
            return
        try:
            payload = bytes.fromhex(change.payload)
        except ValueError as problem:
            raise WiringError(f"net {self.net}: the payload {change.payload!r} is no hexadecimal digits") from problem
        for peer in self._pin.peers:
            if not peer.open_count:
                peer.take(payload, change.at_ns + offset_ns)

    def open(self) -> None:
        """Nothing comes any more."""


def separate(pins: Sequence[RfPin] | Sequence[DatagramPin]) -> None:
    """Keep the ends of several cables on one net apart: each program tells every other what is its own."""
    for pin in pins:
        pin.peers = [peer for peer in pin.peers if peer not in pins]  # pyright: ignore[reportAttributeAccessIssue]  # of one kind


def _shifted(value: RfValue, offset_ns: int) -> RfValue:
    return replace(
        value,
        tones=tuple(replace(tone, start_ns=tone.start_ns + offset_ns) for tone in value.tones),
        interferers=tuple(_shifted(other, offset_ns) for other in value.interferers),
    )
