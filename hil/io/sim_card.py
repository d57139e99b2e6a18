"""The simulated I/O card: its channels are pins on the simulated wiring."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from hil.closed import nearest
from hil.errors import InstrumentError
from hil.io.card import QUANTITIES, UNITS, Accuracy, IoCard, Quantity, kind_of
from hil.signal import Signal, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hil.clock import Clock
    from hil.jitter import LateChannel
    from hil.nets import Pin
    from hil.signal import Timeline
    from hil.wiring import Wiring

_AO_OHM = 1.0  # output resistance of an analog output [ohm]
_AO_MAX_V = 10.0  # range of an analog output [V]
_DI_OHM = 100e3  # input resistance of a discrete input [ohm]
_THRESHOLDS_V = {"di": 10.0, "dl": 1.65}  # switching voltage of the discrete inputs [V]
_AI_OHM = 10e6  # input resistance of an analog input [ohm]
_DO_V = 28.0  # what a discrete output closes to [V]
_DO_OHM = 1.0  # on-resistance of a discrete output [ohm]
_LSB_V = 1.25e-3  # 16 bit over 82 V [V]
_LSB_A = 0.5e-3  # 16 bit over 32 A [A]


class SimIoCard(IoCard):
    """A simulated I/O card.

    Args:
        name: the instrument's name; its pins are ``name.port``.
        wiring: the rig's wiring.
        timeline: clock and mark of the test.
        ports: its channels, by prefixed name.
        ohms: resistance of each ``load_`` channel [ohm].
        late: what holds up samples, stamped as they are, on their way to the test; nothing unless given.
    """

    def __init__(
        self,
        name: str,
        wiring: Wiring,
        *,
        timeline: Timeline,
        ports: Iterable[str],
        ohms: Mapping[str, float],
        late: LateChannel | None = None,
    ) -> None:
        self.name = name
        self._put_changed = _put_changed if late is None else _LateSamples(late, timeline.clock).put_changed
        self.ports = tuple(ports)
        self.accuracy = Accuracy(volts=2 * _LSB_V, amps=2 * _LSB_A, stamp_ns=1_000)
        self._timeline = timeline
        self._pins: dict[str, Pin] = {port: wiring.pin(f"{name}.{port}") for port in self.ports}
        self._levels: dict[str, Signal[bool]] = {}
        self._numbers: dict[tuple[str, Quantity], Signal[float]] = {}
        for port, pin in self._pins.items():
            self._open(port, pin, ohms)

    def level(self, port: str) -> Signal[bool]:
        """The logic level of a ``di_`` channel, HIGH above 10 V, or of a ``dl_`` channel, HIGH above 1.65 V.

        Raises:
            InstrumentError: for a channel that does not observe a level.
        """
        self._check(port, "level")
        return self._levels[port]

    def volts(self, port: str) -> Signal[float]:
        """The voltage of an ``ai_`` or ``load_`` channel [V].

        Raises:
            InstrumentError: for a channel that does not observe a voltage.
        """
        self._check(port, "volts")
        return self._numbers[port, "volts"]

    def amps(self, port: str) -> Signal[float]:
        """The current through a ``load_`` or ``ci_`` channel [A].

        Raises:
            InstrumentError: for a channel that does not observe a current.
        """
        self._check(port, "amps")
        return self._numbers[port, "amps"]

    def drive(self, port: str, volts: float) -> None:
        """Make an ``ao_`` channel give a voltage, -10 V to 10 V.

        Raises:
            InstrumentError: for another kind of channel, or a voltage beyond the range; nothing is clipped.
        """
        self.drive_all({port: volts})

    def drive_all(self, volts: Mapping[str, float]) -> None:
        """Make several ``ao_`` channels give voltages at one instant.

        Raises:
            InstrumentError: as :meth:`drive`; then none of them was driven.
        """
        pins = {port: self._output(port, "ao") for port in volts}
        for port, level_v in volts.items():
            if not abs(level_v) <= _AO_MAX_V:
                raise InstrumentError(
                    f"{self.name}.{port}: {level_v} V is beyond its range of +-{_AO_MAX_V} V; nothing was driven"
                )
        self._tell({port: f"{level_v:.6g} V" for port, level_v in volts.items()})
        for port, pin in pins.items():
            pin.drive(volts[port], _AO_OHM)

    def release(self, port: str) -> None:
        """Take an ``ao_`` channel off its pin.

        Raises:
            InstrumentError: for another kind of channel.
        """
        self.release_all((port,))

    def release_all(self, ports: Iterable[str]) -> None:
        """Take several ``ao_`` channels off their pins at one instant.

        Raises:
            InstrumentError: as :meth:`release`.
        """
        pins = {port: self._output(port, "ao") for port in ports}
        self._tell(dict.fromkeys(pins, "released"))
        for pin in pins.values():
            pin.release()

    def drive_for(self, volts: Mapping[str, float], duration_ns: int, clock: Clock) -> int:
        """Make ``ao_`` channels give voltages for a time [ns] that the card keeps, and wait for its end.

        Returns:
            When it began [ns rig time].

        Raises:
            InstrumentError: as :meth:`drive`.
        """
        self.drive_all(volts)
        began_ns = clock.now
        clock.at(began_ns + duration_ns, lambda: self.release_all(volts))
        clock.wait(began_ns + duration_ns, what=f"the end of what {self.name} drives")
        return began_ns

    def switch(self, port: str, on: bool) -> None:
        """Close a ``do_`` channel to 28 V, or open it.

        Raises:
            InstrumentError: for another kind of channel.
        """
        pin = self._output(port, "do")
        self._timeline.stimulus(f"{self.name}.{port}", "closed" if on else "open")
        if on:
            pin.drive(_DO_V, _DO_OHM)
        else:
            pin.release()

    def _tell(self, done: Mapping[str, str]) -> None:
        """What is about to be done to each channel, all of it at one instant."""
        tell = self._timeline.stimulus
        for port, what in done.items():
            tell(f"{self.name}.{port}", what)
            tell = self._timeline.happens

    def _open(self, port: str, pin: Pin, ohms: Mapping[str, float]) -> None:
        kind = kind_of(port)
        if kind == "load":
            if port not in ohms:
                raise InstrumentError(f"{self.name}.{port} is a load without resistance; give ohms for it in its net")
            pin.load(ohms[port])
        elif kind in _THRESHOLDS_V or kind == "ai":
            pin.load(_AI_OHM if kind == "ai" else _DI_OHM)
        for quantity in QUANTITIES[kind]:
            pin.on_change(self._follow(port, pin, quantity))

    def _follow(self, port: str, pin: Pin, quantity: Quantity) -> Callable[[], None]:
        """Make the channel's signal, and the call that puts a sample when the reading has changed."""
        put = self._put_changed
        name = f"{self.name}.{port}" if quantity == "level" else f"{self.name}.{port}.{quantity}"
        if quantity == "level":
            level = self._levels[port] = Signal(name, "", self._timeline, held=True)
            level.put(False)
            threshold_v = _THRESHOLDS_V[kind_of(port)]
            return lambda: put(level, pin.volts > threshold_v)
        number = self._numbers[port, quantity] = Signal(name, UNITS[quantity], self._timeline, held=True)
        number.put(0.0)
        if quantity == "volts":
            return lambda: put(number, _quantised(pin.volts, _LSB_V))
        if kind_of(port) == "ci":
            return lambda: put(number, _quantised(pin.net.amps, _LSB_A))
        return lambda: put(number, _quantised(pin.amps, _LSB_A))

    def _check(self, port: str, quantity: Quantity) -> None:
        self._known(port)
        if quantity not in QUANTITIES[kind_of(port)]:
            offered = ", ".join(QUANTITIES[kind_of(port)]) or "nothing"
            raise InstrumentError(f"{self.name}.{port} observes {offered}, not {quantity}")

    def _output(self, port: str, kind: str) -> Pin:
        self._known(port)
        if kind_of(port) != kind:
            raise InstrumentError(f"{self.name}.{port} is a channel of kind {kind_of(port)}_, not {kind}_")
        return self._pins[port]

    def _known(self, port: str) -> None:
        if port not in self._pins:
            raise InstrumentError(f"{self.name} has no channel {port}; {nearest(port, list(self.ports))}")


class _LateSamples:
    """Samples that arrive after they were taken, with the time at which they were."""

    def __init__(self, late: LateChannel, clock: Clock) -> None:
        self._late, self._clock = late, clock
        self._taken: dict[str, bool | float | str] = {}

    def put_changed(self, signal: Signal[Value], value: Value) -> None:
        last = signal.last
        if self._taken.get(signal.name, None if last is None else last.value) != value:
            self._taken[signal.name] = value
            self._late.post(partial(signal.put, value, self._clock.now))


def _put_changed(signal: Signal[Value], value: Value) -> None:
    last = signal.last
    if last is None or last.value != value:
        signal.put(value)


def _quantised(value: float, lsb: float) -> float:
    return math.floor(value / lsb + 0.5) * lsb
