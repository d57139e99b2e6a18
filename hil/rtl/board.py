"""Boards: simulated articles whose logic is RTL. What surrounds the FPGA is a model; what is inside it is not.

:class:`FpgaBoard` is the base of boards that a team writes. :class:`RtlArticle` needs no code: its ports are the
bindings of the RTL file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from hil.article import Article
from hil.bus_port import BusPort
from hil.ports import AnalogIn, AnalogOut, DatagramIn, DatagramOut, DigitalIn, DigitalOut, PowerPin
from hil.rtl import faults
from hil.rtl.can.bridge import CanBridge
from hil.rtl.faults import FpgaFaults
from hil.rtl.peer_words import measured_pwm
from hil.rtl.port import Fpga
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.bus_port import BusConnection
    from hil.datagrams import DatagramPin
    from hil.faults import Fault
    from hil.ports import AnalogInput, AnalogOutput, DigitalInput, DigitalOutput, Port
    from hil.rtl.spec import Binding, DiscreteIn, DiscreteOut, PwmOut, RtlSpec, Samples, SpiAdc

_CONVERT_NS = 1 * ms  # how often a converter's input is looked at, where a sensor does not tell of its changes


class FpgaBoard(Article):
    """A simulated board with one FPGA: give it power in ``power_up``, take it in ``power_down``."""

    power = PowerPin()
    fpga = Fpga()

    _fpga_faults: FpgaFaults

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put a fault on the board: those of any article, and those inside the FPGA, see :mod:`hil.rtl.faults`.

        Raises:
            HilError: for a kind or parameter that is unknown.
            RtlError: when the FPGA has no power, or the fault did not take.
        """
        if fault.kind in faults.KINDS:
            return self.upsets.apply(fault)
        return super().apply(fault)

    @property
    def upsets(self) -> FpgaFaults:
        """The faults inside the FPGA, and every bit that was flipped."""
        if not hasattr(self, "_fpga_faults"):
            self._fpga_faults = FpgaFaults(self.clock, self.fpga, self.noise("seu"))
        return self._fpga_faults

    def power_up(self) -> None:
        """The FPGA starts with the board."""
        self.fpga.power(True)

    def power_down(self) -> None:
        """The FPGA keeps nothing."""
        self.fpga.power(False)


class RtlArticle(FpgaBoard):
    """An article that is its RTL and the plainest board around it: one pin of the rig per binding.

    Discrete and PWM outputs, discrete inputs, analogue inputs (sampled, or through an SPI converter), serial lines
    (as datagrams of bytes) and CAN controllers each meet the pin that is named like the binding.
    """

    SPEC: ClassVar[RtlSpec]

    _looks: tuple[Callable[[], None], ...] = ()
    _feeds: tuple[Callable[[], None], ...] = ()

    def build(self) -> None:
        """Connect every binding with its pin."""
        for name, bind in self.SPEC.bind.items():
            connect = _CONNECT.get(bind.kind)
            if connect is not None:
                connect(self, name, bind)

    def look(self, fn: Callable[[], None]) -> None:
        """Look at an analogue input now and then while there is power: a sensor may not tell of its changes."""
        self._looks = (*self._looks, fn)

    def feed(self, fn: Callable[[], None]) -> None:
        """Set an output anew whenever the supply changes, comes or goes."""
        self.power.pin.on_change(fn)
        self._feeds = (*self._feeds, fn)

    def power_up(self) -> None:
        """The FPGA starts; converters begin to look at their pins."""
        super().power_up()
        for fn in self._looks:
            fn()
            self.every(_CONVERT_NS, fn, offset_ns=_CONVERT_NS, hardware=True)

    def power_down(self) -> None:
        """The FPGA keeps nothing; every output opens."""
        super().power_down()
        for fn in self._feeds:
            fn()


def article_class(spec: RtlSpec) -> type[RtlArticle]:
    """The class of an article that is described by its RTL file alone."""
    ports: dict[str, object] = {}
    for name, bind in spec.bind.items():
        ports |= {port.name: port for port in _named(_ports(name, bind))}
    return type(f"Rtl_{spec.name}", (RtlArticle,), {**ports, "SPEC": spec, "__doc__": RtlArticle.__doc__})


def _named(ports: dict[str, Port[object]]) -> list[Port[object]]:
    for name, port in ports.items():
        port.name = name
    return list(ports.values())


def _ports(name: str, bind: Binding) -> dict[str, Port[object]]:
    """The pins of the rig that a binding needs, by name."""
    found: dict[str, object] = {}
    match bind.kind:
        case "discrete_in":
            found[name] = DigitalIn(ohms=bind.ohms, threshold_v=bind.threshold_v)
        case "discrete_out":
            found[name] = DigitalOut(ohms=bind.ohms, leakage_a=bind.leakage_a)
        case "samples":
            if bind.lsb_per_v is not None:
                found[name] = AnalogIn(ohms=bind.ohms)
        case "spi_adc":
            for channel in bind.channels:
                found[channel] = AnalogIn(ohms=bind.ohms, full_scale_v=bind.full_scale_v, bits=bind.bits)
        case "can":
            found[name] = BusPort()
        case "uart":
            found |= {f"{name}_out": DatagramOut(), f"{name}_in": DatagramIn()}
        case "pwm_out":
            found[name] = AnalogOut()
    return cast("dict[str, Port[object]]", found)


def _discrete_in(article: RtlArticle, name: str, bind: Binding) -> None:
    pin, port = cast("DigitalInput", article.live_ports[name]), cast("DiscreteIn", bind).port
    pin.on_edge(lambda level: article.fpga.drive(port, int(level)))


def _discrete_out(article: RtlArticle, name: str, bind: Binding) -> None:
    switch, port = cast("DigitalOutput", article.live_ports[name]), cast("DiscreteOut", bind).port

    told = [0]

    def feed() -> None:
        on = article.powered and article.fpga.powered and told[0] != 0
        switch.set(on, article.supply_v if article.powered else 0.0)

    def heard(level: int) -> None:
        told[0] = level
        feed()

    article.fpga.on_output(port, heard)
    article.fpga.on_power(lambda _on: told.__setitem__(0, 0))
    article.feed(feed)


def _samples(article: RtlArticle, name: str, bind: Binding) -> None:
    sampled = cast("Samples", bind)
    if sampled.lsb_per_v is None:
        return
    pin, scale = cast("AnalogInput", article.live_ports[name]), sampled.lsb_per_v
    told = [float("nan")]

    def look() -> None:
        volts = pin.pin.read()
        if volts != told[0]:
            told[0] = volts
            article.fpga.level(name, volts * scale)

    pin.pin.on_change(look)
    article.look(look)


def _spi_adc(article: RtlArticle, name: str, bind: Binding) -> None:
    channels = [cast("AnalogInput", article.live_ports[channel]) for channel in cast("SpiAdc", bind).channels]
    told: list[list[int]] = [[]]

    def look() -> None:
        codes = [round(channel.volts / channel.lsb_v) for channel in channels]
        if codes != told[0]:
            told[0] = codes
            article.fpga.codes(name, codes)

    for channel in channels:
        channel.pin.on_change(look)
    article.look(look)


def _can(article: RtlArticle, name: str, bind: Binding) -> None:
    del bind
    CanBridge(cast("BusConnection", article.live_ports[name]).node, article.fpga, name)


def _uart(article: RtlArticle, name: str, bind: Binding) -> None:
    del bind
    out = cast("DatagramPin", article.live_ports[f"{name}_out"])
    article.fpga.on_event(name, lambda byte: out.send(byte) if byte else None)  # a framing error is no datagram
    heard = cast("DatagramPin", article.live_ports[f"{name}_in"])
    heard.on(lambda payload, _sent_ns: article.fpga.command(name, payload))


def _pwm(article: RtlArticle, name: str, bind: Binding) -> None:
    out = cast("AnalogOutput", article.live_ports[name])
    volts = cast("PwmOut", bind).volts
    article.fpga.on_event(name, lambda payload: out.set(measured_pwm(payload)[0] * volts))


_CONNECT: dict[str, Callable[[RtlArticle, str, Binding], None]] = {
    "discrete_in": _discrete_in, "discrete_out": _discrete_out, "samples": _samples, "spi_adc": _spi_adc,
    "can": _can, "uart": _uart, "pwm_out": _pwm,
}  # fmt: skip
