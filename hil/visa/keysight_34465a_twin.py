"""A simulated Keysight 34465A: it reads the voltage of the net at ``name.hi`` against that at ``name.lo``.

Physics: 10 Mohm from ``hi`` to ground (nets are referred to ground), integration over the aperture, a test current for
resistance, a shunt from ``name.i`` to ``name.lo`` while current is measured, seeded noise, and a deviation of its own
that is within the specification. A ``lo`` that is not wired is ground.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from hil.units import ms, s
from hil.visa.keysight_34465a import (
    ACCURACY,
    LINE_HZ,
    MEASURING,
    OVER_RANGE,
    UNITS,
    WAITING,
    Keysight34465A,
    uncertainty,
)
from hil.visa.panel import Panel
from hil.visa.scpi.arguments import Optional
from hil.visa.scpi.common import add_status
from hil.visa.scpi.engine import Later
from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.parameters import INFINITY, Number
from hil.visa.scpi.tree import Command
from hil.visa.twin import Twin

if TYPE_CHECKING:
    from hil.clock import Clock, Event
    from hil.noise import Streams
    from hil.visa.declare import Setting
    from hil.visa.scpi.engine import Result
    from hil.wiring import Wiring

INPUT_OHM = 10e6
"""Input resistance [ohm]; "10 Mohm or > 10 Gohm"."""
_HIGH_OHM = 1e10
_HIGH_UP_TO_V = 10.0
_SHUNT_OHM = 0.1  # burden of the current input [ohm]; design value
_TEST_A = {100.0: 1e-3, 1e3: 1e-3, 10e3: 100e-6, 100e3: 10e-6, 1e6: 5e-6, 10e6: 500e-9}  # by range [A]; not verified
_COMPLIANCE_V = 12.0  # open-circuit voltage of the test current's source [V]; "< 13 V", not verified
_SOURCE_OHM = 1e-3
_NOISE = 2e-7  # rms noise at 10 PLC, as a fraction of the range; design value
_SAMPLE_NS = 1 * ms  # how finely an aperture is integrated [ns] ...
_SAMPLES_MAX = 16  # ... at most
_OWN_ERROR = 0.5  # its own deviation, at most this part of the specification

_SETTINGS: dict[str, tuple[Setting[float], Setting[bool], Setting[float], Setting[bool]]] = {
    "VOLT": (
        Keysight34465A.voltage_range_v,
        Keysight34465A.voltage_autorange,
        Keysight34465A.voltage_nplc,
        Keysight34465A.voltage_autozero,
    ),
    "CURR": (
        Keysight34465A.current_range_a,
        Keysight34465A.current_autorange,
        Keysight34465A.current_nplc,
        Keysight34465A.current_autozero,
    ),
    "RES": (
        Keysight34465A.resistance_range_ohm,
        Keysight34465A.resistance_autorange,
        Keysight34465A.resistance_nplc,
        Keysight34465A.resistance_autozero,
    ),
}
"""Range, choice of the range, NPLC and automatic zero of each function."""


class Keysight34465ATwin(Twin):
    """A simulated 34465A.

    Args:
        name: what the rig calls it; its pins are ``name.hi``, ``name.lo`` and ``name.i``.
        clock: the rig clock.
        streams: random streams of the world.
        wiring: the rig's wiring.
        serial: its serial number.
    """

    model: ClassVar[str] = "34465A"
    firmware: ClassVar[str] = "A.03.02-02.40-03.02-00.52-03-03"

    def __init__(
        self, *, name: str, clock: Clock, streams: Streams, wiring: Wiring, serial: str = "MY00000001"
    ) -> None:
        super().__init__(name=name, clock=clock, streams=streams, wiring=wiring, serial=serial)
        add_status(self.engine, 1, listed=False)
        self.panel = Panel(self.engine, Keysight34465A, channels=None, number="+.8E")
        self._noise = streams.stream(name, "noise")
        self._own = float(streams.stream(name, "deviation").uniform(-_OWN_ERROR, _OWN_ERROR))
        self._hi, self._lo, self._i = (wiring.pin(f"{name}.{port}") for port in ("hi", "lo", "i"))
        self._shunt = wiring.contact(f"{name}.i", f"{name}.lo", _SHUNT_OHM)
        self._readings: list[float] = []
        self._left = 0
        self._test_a = 0.0
        self._next: Event | None = None
        self._declare()
        self.engine.trigger = self._trigger
        self._arrange()

    def reset(self) -> None:
        """``*RST``: DC voltage, every setting as delivered."""
        self._abort()
        self.panel.restore()
        self._readings = []
        self._arrange()

    # -- commands -----------------------------------------------------------------------------------------

    def _declare(self) -> None:
        panel, tree = self.panel, self.engine.tree
        panel.react(Keysight34465A.function, lambda _: self._arrange())
        panel.react(Keysight34465A.voltage_high_impedance, lambda _: self._arrange())
        for function, (span, auto, _, _) in _SETTINGS.items():
            panel.react(span, lambda _, function=function: self._set_range(function))
            panel.react(auto, lambda _: self._arrange())
        panel.do(Keysight34465A.initiate, lambda _: self._initiate())
        panel.do(Keysight34465A.abort, lambda _: self._abort())
        panel.answer(Keysight34465A.line_frequency_hz, lambda _: int(LINE_HZ))
        presets = {
            "VOLT": (Keysight34465A.measured_voltage_v, Keysight34465A.configure_dc_voltage),
            "CURR": (Keysight34465A.measured_current_a, Keysight34465A.configure_dc_current),
            "RES": (Keysight34465A.measured_resistance_ohm, Keysight34465A.configure_resistance),
        }
        panel.answered_elsewhere(
            Keysight34465A.operation_condition, Keysight34465A.readings, Keysight34465A.new_readings
        )
        for declarations in presets.values():
            panel.answered_elsewhere(*declarations)
        panel.bind()
        tree.add(Command(f"{Keysight34465A.readings.command}?", (), self._fetch))
        tree.add(Command(f"{Keysight34465A.new_readings.command}?", (), self._read))
        for function, (measured, configured) in presets.items():
            span = (Optional(Number(UNITS[function], 0.0, max(ACCURACY[function]))),)

            def preset(largest: float | None, function: str = function) -> None:
                self._preset(function, largest)

            def measure(largest: float | None, function: str = function) -> Result:
                self._preset(function, largest)
                return self._read()

            tree.add(Command(f"{measured.command}?", span, measure))
            tree.add(Command(configured.command, span, preset))

    def _preset(self, function: str, largest: float | None) -> None:
        """What MEASure and CONFigure set: function, range, 10 PLC, one reading, triggered at once."""
        self._abort()
        panel = self.panel
        span, auto, nplc, zero = _SETTINGS[function]
        panel.put(nplc, nplc.reset)
        panel.put(Keysight34465A.sample_count, 1)
        panel.put(zero, True)
        panel.put(Keysight34465A.trigger_source, "IMM")
        panel.put(Keysight34465A.function, function)
        panel.put(auto, largest is None)
        if largest is not None:
            panel.put(span, _next_range(function, largest))
        self._readings = []
        self._arrange()

    def _set_range(self, function: str) -> None:
        span, auto, _, _ = _SETTINGS[function]
        self.panel.put(span, _next_range(function, self.panel.get(span)))
        self.panel.put(auto, False)
        self._arrange()

    def _read(self) -> Result:
        self._initiate()
        return Later(None, self._text)

    def _fetch(self) -> Result:
        if self._left:
            return Later(None, self._text)
        if not self._readings:
            raise ScpiError(-230, "no readings")
        return self._text()

    def _text(self) -> str:
        return ",".join(format(reading, "+.8E") for reading in self._readings)

    # -- acquisition --------------------------------------------------------------------------------------

    def _initiate(self) -> None:
        if self._left:
            raise ScpiError(-213)
        self._readings = []
        self._left = self.panel.get(Keysight34465A.sample_count)
        self.engine.begin()
        if self.panel.get(Keysight34465A.trigger_source) == "BUS":
            self._condition(WAITING)
        else:
            self._start()

    def _trigger(self) -> None:
        if not self._left or self._next is not None:
            raise ScpiError(-211, "it is not waiting for one")
        self._start()

    def _start(self) -> None:
        self._condition(MEASURING)
        if self.panel.get(Keysight34465A.function) == "RES" and not self._test_a:
            self._source()
        aperture_ns = round(self.panel.get(self._nplc) / LINE_HZ * s)
        count = max(1, min(_SAMPLES_MAX, aperture_ns // _SAMPLE_NS))
        self._sample(self.clock.now, aperture_ns, [], count)

    def _sample(self, start_ns: int, aperture_ns: int, taken: list[float], count: int) -> None:
        """Wait for the next of ``count`` samples, in the middle of its part of the aperture."""
        due_ns = start_ns + (2 * len(taken) + 1) * aperture_ns // (2 * count)

        def take() -> None:
            taken.append(self._input())
            if len(taken) < count:
                self._sample(start_ns, aperture_ns, taken, count)
            else:
                zero = self.panel.get(_SETTINGS[self.panel.get(Keysight34465A.function)][3])
                end_ns = start_ns + aperture_ns * (2 if zero else 1)
                self._next = self.clock.at(end_ns, lambda: self._finish(math.fsum(taken) / count))

        self._next = self.clock.at(due_ns, take)

    def _finish(self, exact: float) -> None:
        self._next = None
        self._readings.append(self._reading(exact))
        self._left -= 1
        if self._left:
            self._start()
            return
        self._release()
        self._condition(0)
        self.engine.finish()

    def _abort(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._left:
            self._left = 0
            self._release()
            self._condition(0)
            self.engine.finish()

    def _reading(self, exact: float) -> float:
        """What it says of a value at its input: deviation, noise, overload."""
        function = self.panel.get(Keysight34465A.function)
        span = self._range_of(function, exact)
        if abs(exact) > OVER_RANGE * span:
            return math.copysign(INFINITY, exact)
        noise = _NOISE * span * math.sqrt(10.0 / self.panel.get(self._nplc)) * float(self._noise.standard_normal())
        return exact + self._own * uncertainty(function, exact, span) + noise

    def _range_of(self, function: str, value: float) -> float:
        span, auto, _, _ = _SETTINGS[function]
        if not self.panel.get(auto):
            return self.panel.get(span)
        fitting = (each for each in ACCURACY[function] if abs(value) <= OVER_RANGE * each)
        return next(fitting, max(ACCURACY[function]))

    # -- input --------------------------------------------------------------------------------------------

    @property
    def _nplc(self) -> Setting[float]:
        return _SETTINGS[self.panel.get(Keysight34465A.function)][2]

    def _input(self) -> float:
        """The measured quantity at the pins now [V, A or ohm]."""
        function = self.panel.get(Keysight34465A.function)
        if function == "CURR":
            self._i.read()
            return self._i.amps
        volts = self._hi.read() - self._lo.read()
        if function == "VOLT":
            return volts
        return volts / self._test_a if volts < 0.99 * _COMPLIANCE_V else math.inf

    def _source(self) -> None:
        """Send the test current of a resistance measurement through the input, of the smallest range that fits."""
        span, auto, _, _ = _SETTINGS["RES"]
        self._hi.load(math.inf)
        for upper in _TEST_A if self.panel.get(auto) else (self.panel.get(span),):
            self._test_a = _TEST_A[upper]
            self._hi.drive(_COMPLIANCE_V, _SOURCE_OHM, self._test_a)
            if self._input() <= OVER_RANGE * upper:
                return

    def _release(self) -> None:
        """Take the test current off."""
        if self._test_a:
            self._test_a = 0.0
            self._hi.release()
            self._arrange()

    def _arrange(self) -> None:
        """Connect the input as the function and its range want it."""
        function = self.panel.get(Keysight34465A.function)
        high = self.panel.get(Keysight34465A.voltage_high_impedance) and (
            self.panel.get(Keysight34465A.voltage_autorange)
            or self.panel.get(Keysight34465A.voltage_range_v) <= _HIGH_UP_TO_V
        )
        self._hi.load(_HIGH_OHM if high else INPUT_OHM)
        if function == "CURR":
            self._shunt.close()
        else:
            self._shunt.open()

    def _condition(self, bits: int) -> None:
        group = self.engine.status.operation[0]
        group.set_condition(group.condition & ~(MEASURING | WAITING) | bits)


def _next_range(function: str, largest: float) -> float:
    """The smallest range that holds a value."""
    return next(each for each in ACCURACY[function] if largest <= each)
