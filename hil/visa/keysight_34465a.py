"""Keysight 34465A digital multimeter: declarations and driver.

Sources: Keysight Truevolt Series Operating and Service Guide for commands, presets of MEASure and CONFigure, and
9.9E+37 for overload. Accuracy is the one-year specification at calibration temperature +-5 degC; 0.0030 % of the
reading on the 10 V range is the data sheet's figure, the other figures were not verified.

An overload is never a value: whatever reads one raises. Measurement times follow from NPLC at 50 Hz.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from hil.errors import InstrumentError
from hil.visa.classes import Dmm, Measured
from hil.visa.declare import Action, Measurement, Setting
from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.parameters import Boolean, Choice, Integer, Number, Numbers, wrong_kind
from hil.visa.scpi.parser import Kind, Token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LINE_HZ = 50.0
"""Mains frequency that the integration time is counted in [Hz]."""
NPLC_DEFAULT = 10.0
"""Power line cycles of a reading after MEASure and CONFigure."""
MEASURING = 16
"""Operation condition bit: readings are being taken."""
WAITING = 32
"""Operation condition bit: a trigger is awaited."""
OVER_RANGE = 1.2
"""Part of a range up to which it reads; of the largest ranges 1.05, which are not told apart here."""
MEMORY_READINGS = 50_000
"""Readings the memory holds."""
ACCURACY: Mapping[str, Mapping[float, tuple[float, float]]] = {
    "VOLT": {
        0.1: (50e-6, 35e-6),
        1.0: (35e-6, 6e-6),
        10.0: (30e-6, 4e-6),
        100.0: (40e-6, 6e-6),
        1000.0: (40e-6, 6e-6),
    },
    "CURR": {1e-3: (500e-6, 50e-6), 10e-3: (500e-6, 200e-6), 0.1: (500e-6, 50e-6), 1.0: (800e-6, 100e-6),
             3.0: (2000e-6, 200e-6)},
    "RES": {100.0: (80e-6, 40e-6), 1e3: (80e-6, 10e-6), 10e3: (80e-6, 10e-6), 100e3: (80e-6, 10e-6),
            1e6: (100e-6, 10e-6), 10e6: (400e-6, 10e-6)},
}  # fmt: skip
"""By function and range: deviation as a fraction of the reading, and of the range. 1 uA to 100 uA and 100 Mohm are not
declared here."""
UNITS = {"VOLT": "V", "CURR": "A", "RES": "ohm"}
_NPLC = Number("PLC", 0.02, 100.0)
_POLLS_MAX = 200_000  # status queries until an acquisition must have ended; on a bench each takes 0.1 ms or more


class Function:
    """What is measured: ``"VOLT"``, ``"CURR"`` or ``"RES"``, with their long forms and ``:DC``, as a string."""

    unit = ""
    span = '"VOLT", "CURR", "RES"'
    _known: ClassVar[dict[str, str]] = {
        f"{word}{dc}": short
        for short, words in {"VOLT": ("VOLT", "VOLTAGE"), "CURR": ("CURR", "CURRENT")}.items()
        for word in words
        for dc in ("", ":DC")
    } | {"RES": "RES", "RESISTANCE": "RES"}

    def accepts(self, token: Token) -> bool:
        """Strings."""
        return token.kind is Kind.STRING

    def parse(self, token: Token) -> str:
        """The short form.

        Raises:
            ScpiError: -158 for anything but a string, -224 for another function.
        """
        if token.kind is not Kind.STRING:
            raise wrong_kind(token)
        found = self._known.get(token.text.upper())
        if found is None:
            raise ScpiError(-224, token.text)
        return found

    def format(self, value: str) -> str:
        """In double quotes."""
        return f'"{value}"'

    def read(self, text: str) -> str:
        """The short form of the answer."""
        return self._known[text.strip().strip('"').upper()]

    def check(self, value: str) -> str:
        """The short form of a known function.

        Raises:
            ValueError: otherwise.
        """
        found = self._known.get(value.upper())
        if found is None:
            raise ValueError(f"must be one of {self.span}")
        return found


class Keysight34465A(Dmm):
    """A Keysight 34465A, 6 1/2 digits; its pins are ``hi`` and ``lo``, and ``i`` for currents."""

    manufacturers: ClassVar[tuple[str, ...]] = ("Keysight Technologies", "Agilent Technologies")
    models: ClassVar[tuple[str, ...]] = ("34465A",)

    function: Setting[str] = Setting("[SENSe:]FUNCtion[:ON]", Function(), reset="VOLT", doc="What is measured.")
    voltage_range_v = Setting(
        "[SENSe:]VOLTage[:DC]:RANGe[:UPPer]",
        Number("V", 0.0, 1000.0),
        reset=10.0,
        doc="Largest voltage expected; the next larger range is taken, and the choice of it by itself switched off.",
    )
    voltage_autorange = Setting(
        "[SENSe:]VOLTage[:DC]:RANGe:AUTO", Boolean(), reset=True, doc="Whether it chooses the range by itself."
    )
    voltage_nplc: Setting[float] = Setting(
        "[SENSe:]VOLTage[:DC]:NPLC", _NPLC, reset=NPLC_DEFAULT, doc="Integration time in power line cycles."
    )
    voltage_autozero = Setting(
        "[SENSe:]VOLTage[:DC]:ZERO:AUTO",
        Boolean(),
        reset=True,
        doc="Whether each reading is followed by one of its own zero, which takes as long again.",
    )
    voltage_high_impedance = Setting(
        "[SENSe:]VOLTage[:DC]:IMPedance:AUTO",
        Boolean(),
        reset=False,
        doc="Whether ranges up to 10 V have more than 10 Gohm instead of 10 Mohm.",
    )
    current_range_a = Setting(
        "[SENSe:]CURRent[:DC]:RANGe[:UPPer]", Number("A", 0.0, 3.0), reset=1.0, doc="As voltage_range_v."
    )
    current_autorange = Setting("[SENSe:]CURRent[:DC]:RANGe:AUTO", Boolean(), reset=True, doc="As voltage_autorange.")
    current_nplc: Setting[float] = Setting(
        "[SENSe:]CURRent[:DC]:NPLC", _NPLC, reset=NPLC_DEFAULT, doc="As voltage_nplc."
    )
    current_autozero = Setting("[SENSe:]CURRent[:DC]:ZERO:AUTO", Boolean(), reset=True, doc="As voltage_autozero.")
    resistance_range_ohm = Setting(
        "[SENSe:]RESistance:RANGe[:UPPer]", Number("ohm", 0.0, 10e6), reset=1e3, doc="As voltage_range_v."
    )
    resistance_autorange = Setting("[SENSe:]RESistance:RANGe:AUTO", Boolean(), reset=True, doc="As voltage_autorange.")
    resistance_nplc: Setting[float] = Setting(
        "[SENSe:]RESistance:NPLC", _NPLC, reset=NPLC_DEFAULT, doc="As voltage_nplc."
    )
    resistance_autozero = Setting("[SENSe:]RESistance:ZERO:AUTO", Boolean(), reset=True, doc="As voltage_autozero.")
    sample_count: Setting[int] = Setting(
        "SAMPle:COUNt", Integer(1, MEMORY_READINGS), reset=1, doc="Readings after each trigger."
    )
    trigger_source: Setting[str] = Setting(
        "TRIGger:SOURce",
        Choice("IMMediate", "BUS"),
        reset="IMM",
        doc="What starts the readings: INITiate itself, or *TRG. EXTernal and INTernal are not declared here.",
    )
    configure_dc_voltage = Action(
        "CONFigure:VOLTage[:DC]", doc="Preset for DC voltage; a range may follow. See configure_voltage()."
    )
    configure_dc_current = Action("CONFigure:CURRent[:DC]", doc="Preset for DC current; a range may follow.")
    configure_resistance = Action("CONFigure:RESistance", doc="Preset for resistance, two-wire; a range may follow.")
    initiate = Action("INITiate[:IMMediate]", doc="Forget the readings and begin new ones.")
    abort = Action("ABORt", doc="Take no further readings.")
    readings: Measurement[tuple[float, ...]] = Measurement(
        "FETCh", Numbers(Number("", -math.inf, math.inf), MEMORY_READINGS), doc="The readings, when all are taken."
    )
    new_readings: Measurement[tuple[float, ...]] = Measurement(
        "READ", Numbers(Number("", -math.inf, math.inf), MEMORY_READINGS), doc="initiate, then readings."
    )
    measured_voltage_v = Measurement(
        "MEASure:VOLTage[:DC]", Number("V", -1050.0, 1050.0), doc="Preset for DC voltage, then one reading."
    )
    measured_current_a = Measurement(
        "MEASure:CURRent[:DC]", Number("A", -3.15, 3.15), doc="Preset for DC current, then one reading."
    )
    measured_resistance_ohm = Measurement(
        "MEASure:RESistance", Number("ohm", 0.0, 12e6), doc="Preset for resistance, two-wire, then one reading."
    )
    operation_condition = Measurement(
        "STATus:OPERation:CONDition", Integer(0, 0x7FFF), doc="Measuring 16, waiting for trigger 32."
    )
    line_frequency_hz = Measurement("SYSTem:LFRequency", Integer(50, 60, "Hz"), doc="Mains frequency it has found.")

    def measure_voltage(self, range_v: float | None = None) -> Measured:
        """DC voltage between ``hi`` and ``lo`` [V], with the one-year uncertainty.

        Raises:
            InstrumentError: for a range it does not have, an overload, or no answer.
        """
        return self._measure("VOLT", type(self).measured_voltage_v, range_v)

    def measure_current(self, range_a: float | None = None) -> Measured:
        """DC current from ``i`` to ``lo`` [A], with the one-year uncertainty.

        Raises:
            InstrumentError: for a range it does not have, an overload, or no answer.
        """
        return self._measure("CURR", type(self).measured_current_a, range_a)

    def measure_resistance(self, range_ohm: float | None = None) -> Measured:
        """Resistance between ``hi`` and ``lo``, two-wire, leads included [ohm], with the one-year uncertainty.

        Raises:
            InstrumentError: for a range it does not have, an overload, or no answer.
        """
        return self._measure("RES", type(self).measured_resistance_ohm, range_ohm)

    def configure_voltage(self, *, range_v: float | None = None, nplc: float = NPLC_DEFAULT, samples: int = 1) -> None:
        """Prepare a series of DC voltage readings; nothing is measured yet.

        Args:
            range_v: largest voltage expected [V]; None lets it choose.
            nplc: integration time of each in power line cycles of 20 ms.
            samples: how many.

        Raises:
            InstrumentError: for a value it does not have.
        """
        with self.group():
            chosen = "" if range_v is None else f" {range_for('VOLT', range_v, self.name):g}"
            self.write(type(self).configure_dc_voltage.header + chosen)
            self.voltage_nplc = nplc
            self.sample_count = samples

    def acquire(self) -> tuple[float, ...]:
        """Take the readings that are configured, and wait for them, however long that takes.

        Returns:
            The readings in the unit of the function [V, A or ohm].

        Raises:
            InstrumentError: for an overload, or when it never ends.
        """
        self.initiate()
        if self.trigger_source == "BUS":
            self.write("*TRG")
        for _ in range(_POLLS_MAX):
            if not self.operation_condition & (MEASURING | WAITING):
                return self._finite(self.readings)
        raise InstrumentError(f"{self.name}: INIT was sent, and it still measures; abort() it and look at its trigger")

    def _measure(self, function: str, declared: Measurement[float], asked: float | None) -> Measured:
        chosen = None if asked is None else range_for(function, asked, self.name)
        answer = self.query(f"{declared.header}?" if chosen is None else f"{declared.header}? {chosen:g}")
        (value,) = self._finite((declared.value.read(answer),))
        return Measured(value, UNITS[function], self.name, uncertainty(function, value, chosen))

    def _finite(self, values: Sequence[float]) -> tuple[float, ...]:
        wrong = [place for place, value in enumerate(values) if not math.isfinite(value)]
        if wrong:
            raise InstrumentError(
                f"{self.name}: reading {wrong[0] + 1} of {len(values)} is an overload (9.9E+37), which is no value; "
                "choose a larger range, or find what is connected to its input"
            )
        return tuple(values)


def range_for(function: str, largest: float, where: str) -> float:
    """The smallest range that holds a value [V, A or ohm].

    Raises:
        InstrumentError: when none does.
    """
    for upper in ACCURACY[function]:
        if abs(largest) <= upper:
            return upper
    raise InstrumentError(
        f"{where}: a range for {largest:g} {UNITS[function]} was asked for; the largest is "
        f"{max(ACCURACY[function]):g} {UNITS[function]}"
    )


def uncertainty(function: str, value: float, chosen: float | None = None) -> float:
    """Largest deviation of a reading by the one-year specification [V, A or ohm].

    Args:
        function: ``"VOLT"``, ``"CURR"`` or ``"RES"``.
        value: the reading.
        chosen: the range; None for the one it chooses by itself.
    """
    ranges = ACCURACY[function]
    upper = chosen
    if upper is None:
        upper = next((each for each in ranges if abs(value) <= OVER_RANGE * each), max(ranges))
    of_reading, of_range = ranges[upper]
    return of_reading * abs(value) + of_range * upper
