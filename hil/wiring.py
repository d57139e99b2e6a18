"""The wiring of a rig: its pins by name, its nets, and the faults that may be put on them.

A net connects pins of one kind: electrical, RF (both in ``hil.nets``), physical quantities (``hil.quantities``) or
datagrams (``hil.datagrams``). The kind follows from the pins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeAlias, TypeVar

from hil import datagrams, quantities
from hil.closed import nearest
from hil.contacts import Contact, Contacts
from hil.datagrams import DatagramPin
from hil.errors import WiringError
from hil.nets import Net, Pin, RfPin
from hil.quantities import QuantityPin

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from hil.clock import Clock
    from hil.faults import Fault
    from hil.quantities import Values

_SHORT_OHM = 0.05  # resistance of a short unless the fault says otherwise [ohm]
_SHORT_MIN_OHM = 1e-6  # a short of no resistance at all has no solution [ohm]
_WIRE_KINDS: dict[str, tuple[str, ...]] = {
    "open": (),
    "short_to_ground": ("ohms",),
    "short_to_supply": ("volts", "ohms"),
    "series_resistance": ("ohms",),
}
_RF_KINDS: dict[str, tuple[str, ...]] = {"open": (), "attenuation": ("loss_db",)}

AnyPin: TypeAlias = "Pin | RfPin | QuantityPin | DatagramPin"
OnClock = TypeVar("OnClock", Pin, RfPin, DatagramPin)
_KINDS: dict[type[object], str] = {
    Pin: "electrical", RfPin: "RF", QuantityPin: "a physical quantity", DatagramPin: "a datagram end",
}  # fmt: skip


class Wiring:
    """All pins and nets of one rig.

    Args:
        clock: the rig clock, on which changes are announced.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._contacts = Contacts(clock)
        self._pins: dict[str, AnyPin] = {}
        self._nets: dict[str, Net | list[RfPin] | list[DatagramPin] | list[QuantityPin]] = {}

    def pin(self, name: str) -> Pin:
        """The electrical pin ``node.port``, made at its first use.

        Raises:
            WiringError: when the name is that of another kind of pin.
        """
        return self._made(name, Pin, "an electrical pin")

    def end(self, name: str) -> AnyPin:
        """The pin ``node.port`` that was made before, whatever its kind.

        Raises:
            WiringError: when there is none.
        """
        found = self._pins.get(name)
        if found is None:
            raise WiringError(f"there is no pin {name}; {nearest(name, list(self._pins))}")
        return found

    def adopt(self, pin: Pin) -> None:
        """Take an electrical pin that was made elsewhere, under its own name.

        Raises:
            WiringError: when there is a pin of that name.
        """
        if pin.name in self._pins:
            raise WiringError(f"there is a pin {pin.name} already; give the other one another name")
        self._pins[pin.name] = pin

    def contact(self, one: str, other: str, ohms: float) -> Contact:
        """A switch between two electrical pins, open; the pins are made at their first use.

        Args:
            one: a pin ``node.port``.
            other: another pin.
            ohms: resistance when closed [ohm].

        Raises:
            WiringError: when a name is that of another kind of pin, or for a resistance of zero or less.
        """
        return self._contacts.between(self.pin(one), self.pin(other), ohms)

    def rf_pin(self, name: str) -> RfPin:
        """The RF connector ``node.port``, made at its first use.

        Raises:
            WiringError: when the name is that of another kind of pin.
        """
        return self._made(name, RfPin, "an RF connector")

    def datagram_pin(self, name: str) -> DatagramPin:
        """The datagram end ``node.port``, made at its first use.

        Raises:
            WiringError: when the name is that of another kind of pin.
        """
        return self._made(name, DatagramPin, "a datagram pin")

    def quantity_pin(self, name: str, width: int, default: Values | None = None) -> QuantityPin:
        """The end ``node.port`` of a physical quantity, made at its first use.

        Args:
            name: the pin.
            width: how many values it carries.
            default: what a sink takes while it is not connected; None for a source.

        Raises:
            WiringError: when the name is that of another kind of pin, or of an end that is not the same.
        """
        found = self._pins.get(name)
        if found is None:
            found = self._pins[name] = QuantityPin(name, width, default)
        if not isinstance(found, QuantityPin):
            return self._refuse_kind(found, "a physical quantity")
        if found.width != width or found.is_source is not (default is None):
            raise WiringError(f"{name} carries {found.width} values already; it was asked for with {width}")
        return found

    def net(self, name: str, pins: Iterable[str], loss_db: Mapping[str, float] | None = None) -> None:
        """Connect existing pins of one kind; ``loss_db`` [dB] is the as-built path loss of RF connectors.

        Raises:
            WiringError: for an unknown pin, a pin on two nets, pins of several kinds, or a loss on one that is not RF.
        """
        names = list(pins)
        for pin in (*names, *(loss_db or {})):
            if pin not in self._pins:
                raise WiringError(f"net {name}: there is no pin {pin}; {nearest(pin, list(self._pins))}")
        ends = [self._pins[pin] for pin in names]
        rf = [pin for pin in ends if isinstance(pin, RfPin)]
        electrical = [pin for pin in ends if isinstance(pin, Pin)]
        physical = [pin for pin in ends if isinstance(pin, QuantityPin)]
        streams = [pin for pin in ends if isinstance(pin, DatagramPin)]
        if len(ends) not in (len(rf), len(electrical), len(physical), len(streams)):
            found = ", ".join(f"{pin.name} is {_KINDS[type(pin)]}" for pin in ends)
            raise WiringError(f"net {name}: {found}; pins of several kinds cannot be one net")
        if loss_db and not rf:
            raise WiringError(
                f"net {name}: loss_db belongs to RF connectors; {', '.join(loss_db)} is {_KINDS[type(ends[0])]}"
            )
        if rf:
            self._join_rf(name, rf, loss_db or {})
        elif physical:
            quantities.join(name, physical)
            self._nets[name] = physical
        elif streams:
            datagrams.join(name, streams)
            self._nets[name] = streams
        else:
            self._join(name, electrical)

    def strip(self, nodes: Container[str]) -> None:
        """Pull every plug: no net is left, and no pin of these nodes. What they drive stays within them.

        Args:
            nodes: those that are taken out of the rig, as ``node`` in ``node.port``.
        """
        self._nets.clear()
        for pin in self._pins.values():
            match pin:
                case Pin():
                    pin.pull()
                case RfPin():
                    pin.pull()
                case QuantityPin():
                    pin.source = pin if pin.is_source else None
                case DatagramPin():
                    pin.peers = []
        self._pins = {name: pin for name, pin in self._pins.items() if name.partition(".")[0] not in nodes}
        self._contacts.regroup()

    def peers(self, pin: str) -> list[str]:
        """The other pins on the net of an electrical pin, by name.

        Raises:
            WiringError: when there is no such electrical pin.
        """
        found = self._pins.get(pin)
        if not isinstance(found, Pin):
            raise WiringError(f"there is no electrical pin {pin}; {nearest(pin, list(self._pins))}")
        return [other.name for other in found.net.pins if other.name != pin]

    @property
    def targets(self) -> list[str]:
        """Every name a wire fault may be put on: nets and pins."""
        return [*self._nets, *self._pins]

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put an electrical or RF fault on a named net or pin; the returned call undoes it.

        Kinds: ``open``; ``short_to_ground`` (ohms); ``short_to_supply`` (volts, ohms); ``series_resistance``
        (ohms); on RF ``open`` and ``attenuation`` (loss_db).

        Raises:
            WiringError: for an unknown wire or kind.
            HilError: for an unknown parameter, a missing one, or one that is not physical.
        """
        name = fault.target
        pin, entry = self._pins.get(name), self._nets.get(name)
        match pin if pin is not None else entry:
            case RfPin() as connector:
                return _rf_fault([connector], fault)
            case Pin() as wire:
                return _wire_fault(wire.net, [wire], fault)
            case DatagramPin() as end:
                return _stream_fault([end], fault)
            case Net() as net:
                return _wire_fault(net, net.pins, fault)
            case list() as ends if ends and isinstance(ends[0], RfPin):
                return _rf_fault([end for end in ends if isinstance(end, RfPin)], fault)
            case list() as ends if ends and isinstance(ends[0], DatagramPin):
                return _stream_fault([end for end in ends if isinstance(end, DatagramPin)], fault)
            case None:
                raise WiringError(f"no wire is called {name}; {nearest(name, self.targets)}")
            case _:
                raise WiringError(
                    f"{name} is a physical quantity, not a wire; put the fault on the plant or an article"
                )

    def _made(self, name: str, kind: type[OnClock], wanted: str) -> OnClock:
        found = self._pins.get(name)
        if found is None:
            found = self._pins[name] = kind(name, self._clock)
        return found if isinstance(found, kind) else self._refuse_kind(found, wanted)

    def _refuse_kind(self, found: AnyPin, wanted: str) -> NoReturn:
        raise WiringError(f"{found.name} is {_KINDS[type(found)]}, not {wanted}")

    def _join(self, name: str, pins: list[Pin]) -> None:
        net = Net(name, self._clock)
        is_joined = any(pin.net.island is not None for pin in pins)
        for pin in pins:
            if pin.net.name:
                raise WiringError(f"net {name}: {pin.name} is on net {pin.net.name} already; a pin has one wire")
            net.join(pin)
        self._nets[name] = net
        if is_joined:
            self._contacts.regroup()
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


def _stream_fault(ends: list[DatagramPin], fault: Fault) -> Callable[[], None]:
    if fault.kind != "open":
        raise WiringError(f"a datagram cable has no fault {fault.kind!r} (on {fault.target}); it may be open")
    fault.take_only()

    def change(sign: int) -> None:
        for end in ends:
            end.open_count += sign

    change(1)
    return lambda: change(-1)
