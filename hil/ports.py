"""The ports of simulated articles: declared on the class, live behind the connector on an instance.

``power = PowerPin()`` on a class declares a port; ``self.power`` on an instance is the live one, bound to the
pin ``node.port`` of the rig's wiring or to a controller on a bus.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.can.database import Database
    from hil.can.node import CanNode
    from hil.datagrams import DatagramPin
    from hil.nets import Pin, RfPin, RfValue
    from hil.quantities import QuantityPin, Values
    from hil.wiring import Wiring

_OFF_OHM = 1e6  # input resistance of an article that is off [ohm]


class Bearer(Protocol):
    """What a live port asks of the article that bears it."""

    live_ports: dict[str, object]

    @property
    def powered(self) -> bool:
        """Whether it has power."""
        ...

    @property
    def running(self) -> bool:
        """Whether its software runs."""
        ...


@dataclass(frozen=True)
class BusAttachment:
    """Where an article's bus port meets a bus: its controller on the wire, the database, its message prefix."""

    node: CanNode
    database: Database
    prefix: str


@dataclass(frozen=True)
class Ports:
    """The way from an article's ports to the rig: its name, the wiring, and a bus attachment per bus port."""

    name: str
    wiring: Wiring
    buses: Mapping[str, BusAttachment] = field(default_factory=dict[str, BusAttachment])
    fpga: object | None = None
    """What runs the article's RTL, for an article that has one."""


Bound = TypeVar("Bound")


class Port(Generic[Bound]):
    """A port an article declares; read on an instance it is the live port behind the connector."""

    name: str

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, article: None, owner: type) -> Port[Bound]: ...
    @overload
    def __get__(self, article: Bearer, owner: type) -> Bound: ...
    def __get__(self, article: Bearer | None, owner: type) -> Port[Bound] | Bound:
        if article is None:
            return self
        bound: Bound = article.live_ports[self.name]  # type: ignore[assignment]  # made by this port's bind()
        return bound

    def bind(self, ports: Ports, article: Bearer) -> Bound:
        """Make the live port of one article.

        Raises:
            NotImplementedError: for a kind of port that does not say how.
        """
        raise NotImplementedError(f"{type(self).__name__} {self.name} cannot be bound for {ports.name} ({article})")


class PowerInput:
    """The supply pin of a live article: volts, and the load it puts on the supply."""

    def __init__(self, pin: Pin) -> None:
        self.pin = pin
        pin.load(_OFF_OHM)

    @property
    def volts(self) -> float:
        """Voltage at the article's supply pin [V]."""
        return self.pin.volts

    def draw(self, amps: float, at_volts: float) -> None:
        """Load the supply like a resistor that draws ``amps`` [A] at ``at_volts`` [V]; 0 A for switched off."""
        self.pin.load(at_volts / amps if amps > 0.0 else _OFF_OHM)


class AnalogInput:
    """An analog input of a live article with its converter: reads volts in steps of one LSB.

    Args:
        pin: the connector.
        ohms: input resistance [ohm].
        full_scale_v: highest voltage the converter gives [V].
        bits: its resolution.
    """

    def __init__(self, pin: Pin, ohms: float, full_scale_v: float, bits: int) -> None:
        self.pin = pin
        self.lsb_v = full_scale_v / (2**bits)
        self._top = 2**bits - 1
        pin.load(ohms)

    @property
    def volts(self) -> float:
        """The voltage as converted [V]."""
        return self.sample()

    def sample(self, noise_v: float = 0.0) -> float:
        """Convert once, with the noise of this sample [V] on top of the pin's voltage; the voltage as converted [V]."""
        return min(max(round((self.pin.read() + noise_v) / self.lsb_v), 0), self._top) * self.lsb_v


class AnalogOutput:
    """An analog output of a live article: a voltage behind its output resistance."""

    def __init__(self, pin: Pin, ohms: float) -> None:
        self.pin = pin
        self._ohms = ohms

    def set(self, volts: float) -> None:
        """Give a voltage [V]."""
        self.pin.drive(volts, self._ohms)

    def follow(self, read_v: Callable[[], float]) -> None:
        """Give what ``read_v()`` returns [V] at the moment somebody converts it: for fast sensors; no event.

        Raises:
            WiringError: when somebody on the net waits for changes, which would not be told.
        """
        self.pin.follow(read_v, self._ohms)

    def release(self) -> None:
        """Open the output."""
        self.pin.release()


class DigitalInput:
    """A discrete input of a live article: HIGH above its threshold.

    Args:
        pin: the connector.
        ohms: input resistance [ohm].
        threshold_v: switching voltage [V].
    """

    def __init__(self, pin: Pin, ohms: float, threshold_v: float) -> None:
        self.pin = pin
        self._threshold_v = threshold_v
        self._level = False
        self._listeners: list[Callable[[bool], None]] = []
        pin.load(ohms)
        pin.on_change(self._changed)

    @property
    def level(self) -> bool:
        """HIGH or LOW, now."""
        return self.pin.volts > self._threshold_v

    def on_edge(self, fn: Callable[[bool], None]) -> None:
        """Call ``fn(level)`` whenever the level has changed; hardware, it works with the CPU halted too."""
        self._listeners.append(fn)

    def _changed(self) -> None:
        if self.level != self._level:
            self._level = self.level
            for fn in self._listeners:
                fn(self._level)


class DigitalOutput:
    """A high-side switch of a live article: connects the output to a supply, or opens.

    Args:
        pin: the connector.
        ohms: on-resistance [ohm].
        leakage_a: current that leaks through the open switch [A].
    """

    def __init__(self, pin: Pin, ohms: float, leakage_a: float) -> None:
        self.pin = pin
        self._ohms = ohms
        self._leakage_a = leakage_a

    def fit(self, ohms: float, leakage_a: float) -> None:
        """Make it the switch that was built in: on-resistance [ohm] and leakage when open [A]."""
        self._ohms, self._leakage_a = ohms, leakage_a

    def on(self, volts: float) -> None:
        """Close the switch to a supply of ``volts`` [V]."""
        self.pin.drive(volts, self._ohms)

    def off(self, volts: float = 0.0) -> None:
        """Open the switch; with ``volts`` [V] behind it the leakage remains."""
        if self._leakage_a > 0.0 and volts > 0.0:
            self.pin.drive(volts, volts / self._leakage_a)
        else:
            self.pin.release()

    def set(self, on: bool, volts: float) -> None:
        """Close or open the switch to a supply of ``volts`` [V]."""
        if on:
            self.on(volts)
        else:
            self.off(volts)


class RfInput:
    """The antenna connector of a live article."""

    def __init__(self, pin: RfPin) -> None:
        self.pin = pin

    @property
    def value(self) -> RfValue | None:
        """What arrives; None for silence."""
        return self.pin.value

    def on_change(self, fn: Callable[[], None]) -> None:
        """Call ``fn`` whenever what arrives may have changed."""
        self.pin.on_change(fn)


class RfOutput:
    """A connector of a live article that radiates into a cable."""

    def __init__(self, pin: RfPin) -> None:
        self.pin = pin

    def drive(self, value: RfValue | None) -> None:
        """Radiate ``value``, or nothing."""
        self.pin.drive(value)


class PowerPin(Port[PowerInput]):
    """Declares the supply pin."""

    def bind(self, ports: Ports, article: Bearer) -> PowerInput:  # noqa: ARG002  # needs no article
        """The live supply pin of one article."""
        return PowerInput(ports.wiring.pin(f"{ports.name}.{self.name}"))


class AnalogIn(Port[AnalogInput]):
    """Declares an analog input: input resistance [ohm], full scale [V], resolution [bit]."""

    def __init__(self, *, ohms: float = 1e6, full_scale_v: float = 5.0, bits: int = 12) -> None:
        self._ohms, self._full_scale_v, self._bits = ohms, full_scale_v, bits

    def bind(self, ports: Ports, article: Bearer) -> AnalogInput:  # noqa: ARG002  # needs no article
        """The live input of one article."""
        pin = ports.wiring.pin(f"{ports.name}.{self.name}")
        return AnalogInput(pin, self._ohms, self._full_scale_v, self._bits)


class AnalogOut(Port[AnalogOutput]):
    """Declares an analog output with its output resistance [ohm]."""

    def __init__(self, *, ohms: float = 100.0) -> None:
        self._ohms = ohms

    def bind(self, ports: Ports, article: Bearer) -> AnalogOutput:  # noqa: ARG002  # needs no article
        """The live output of one article."""
        return AnalogOutput(ports.wiring.pin(f"{ports.name}.{self.name}"), self._ohms)


class DigitalIn(Port[DigitalInput]):
    """Declares a discrete input: input resistance [ohm] and switching voltage [V]."""

    def __init__(self, *, ohms: float = 10e3, threshold_v: float = 10.0) -> None:
        self._ohms, self._threshold_v = ohms, threshold_v

    def bind(self, ports: Ports, article: Bearer) -> DigitalInput:  # noqa: ARG002  # needs no article
        """The live input of one article."""
        return DigitalInput(ports.wiring.pin(f"{ports.name}.{self.name}"), self._ohms, self._threshold_v)


class DigitalOut(Port[DigitalOutput]):
    """Declares a high-side output: on-resistance [ohm] and leakage when open [A]."""

    def __init__(self, *, ohms: float = 0.1, leakage_a: float = 0.0) -> None:
        self._ohms, self._leakage_a = ohms, leakage_a

    def bind(self, ports: Ports, article: Bearer) -> DigitalOutput:  # noqa: ARG002  # needs no article
        """The live output of one article."""
        return DigitalOutput(ports.wiring.pin(f"{ports.name}.{self.name}"), self._ohms, self._leakage_a)


class RfOut(Port[RfOutput]):
    """Declares a connector that radiates into a cable."""

    def bind(self, ports: Ports, article: Bearer) -> RfOutput:  # noqa: ARG002  # needs no article
        """The live connector of one article."""
        return RfOutput(ports.wiring.rf_pin(f"{ports.name}.{self.name}"))


class QuantityIn(Port["QuantityPin"]):
    """Declares a physical quantity the article takes: how many values, and what they are while it is not connected."""

    def __init__(self, width: int, default: Values | None = None) -> None:
        self._width = width
        self._default = (0.0,) * width if default is None else default

    def bind(self, ports: Ports, article: Bearer) -> QuantityPin:  # noqa: ARG002  # needs no article
        """The live end of one article; ``values`` reads it, ``connected`` says whether a source is there."""
        return ports.wiring.quantity_pin(f"{ports.name}.{self.name}", self._width, self._default)


class QuantityOut(Port["QuantityPin"]):
    """Declares a physical quantity the article gives: how many values."""

    def __init__(self, width: int) -> None:
        self._width = width

    def bind(self, ports: Ports, article: Bearer) -> QuantityPin:  # noqa: ARG002  # needs no article
        """The live end of one article; ``set(*values)`` or ``give(read)`` says what it gives."""
        return ports.wiring.quantity_pin(f"{ports.name}.{self.name}", self._width)


class DatagramOut(Port["DatagramPin"]):
    """Declares a port that sends datagrams: ``send(payload)``."""

    def bind(self, ports: Ports, article: Bearer) -> DatagramPin:  # noqa: ARG002  # needs no article
        """The live end of one article."""
        return ports.wiring.datagram_pin(f"{ports.name}.{self.name}")


class DatagramIn(Port["DatagramPin"]):
    """Declares a port that hears datagrams: ``on(fn)``."""

    def bind(self, ports: Ports, article: Bearer) -> DatagramPin:  # noqa: ARG002  # needs no article
        """The live end of one article."""
        return ports.wiring.datagram_pin(f"{ports.name}.{self.name}")


class RfIn(Port[RfInput]):
    """Declares an antenna connector."""

    def bind(self, ports: Ports, article: Bearer) -> RfInput:  # noqa: ARG002  # needs no article
        """The live connector of one article."""
        return RfInput(ports.wiring.rf_pin(f"{ports.name}.{self.name}"))
