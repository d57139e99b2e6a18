"""The Keysight 34465A: dialogue, measurement times, overload, what it does to the net, deviation and noise."""

from __future__ import annotations

import pytest
import pyvisa
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.clock import VirtualClock
from hil.errors import InstrumentError
from hil.noise import Streams
from hil.units import ms, s
from hil.visa.declare import describe
from hil.visa.gate import Gate
from hil.visa.keysight_34465a import ACCURACY, Keysight34465A, range_for, uncertainty
from hil.visa.keysight_34465a_twin import Keysight34465ATwin
from hil.visa.library import SimVisaLibrary
from hil.wiring import Wiring

ADDRESS = "TCPIP0::dmm::5025::SOCKET"
READING_NS = 400 * ms  # 10 power line cycles at 50 Hz, and as long for its zero


class Bench:
    """A multimeter at a source of 5 V behind 1 ohm."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = VirtualClock()
        self.wiring = Wiring(self.clock)
        self.twin = Keysight34465ATwin(name="dmm", clock=self.clock, streams=Streams(seed), wiring=self.wiring)
        self.source = self.wiring.pin("box.out")
        self.source.drive(5.0, 1.0)
        self.wiring.net("signal", ["box.out", "dmm.hi"])
        library = SimVisaLibrary(self.clock)
        library.attach(ADDRESS, self.twin)
        self.said: list[tuple[str, str]] = []
        self.dmm = Keysight34465A.open(
            pyvisa.ResourceManager(library),
            ADDRESS,
            name="dmm",
            transcript=lambda direction, text: self.said.append((direction, text)),
        )
        self.said.clear()

    def written(self) -> list[str]:
        """What was sent, without the error queue."""
        return [text for direction, text in self.said if direction == "write" and text != "SYST:ERR?"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_dialogue_of_a_voltage(bench: Bench) -> None:
    bench.dmm.measure_voltage()
    bench.dmm.measure_voltage(range_v=7.0)

    assert bench.written() == ["MEAS:VOLT?", "MEAS:VOLT? 10"]
    assert bench.said[1][1].startswith(("+4.99", "+5.00"))
    assert len(bench.said[1][1]) == len("+5.00000000E+00")


def test_the_dialogue_of_a_series(bench: Bench) -> None:
    bench.dmm.configure_voltage(range_v=10.0, nplc=1.0, samples=5)
    bench.dmm.acquire()

    assert bench.written()[:5] == ["CONF:VOLT 10", "VOLT:NPLC 1", "SAMP:COUN 5", "INIT", "TRIG:SOUR?"]
    assert bench.written()[-1] == "FETC?"


def test_a_voltage_comes_with_unit_instrument_and_uncertainty(bench: Bench) -> None:
    measured = bench.dmm.measure_voltage()

    assert (measured.unit, measured.instrument) == ("V", "dmm")
    assert measured.uncertainty == pytest.approx(30e-6 * 5.0 + 4e-6 * 10.0, rel=1e-3)
    assert abs(measured.value - bench.source.volts) <= measured.uncertainty


@settings(max_examples=40, deadline=None)
@given(st.floats(-1000.0, 1000.0), st.integers(0, 10_000))
def test_what_it_reads_is_within_its_uncertainty(volts, seed):
    bench = Bench(seed)
    bench.source.drive(volts, 1e-3)
    measured = bench.dmm.measure_voltage()

    assert measured.uncertainty is not None
    assert abs(measured.value - bench.source.volts) <= measured.uncertainty


@pytest.mark.parametrize(("nplc", "zero", "took_ns"), [(10.0, True, 400 * ms), (1.0, False, 20 * ms)])
def test_a_reading_takes_its_power_line_cycles(bench: Bench, nplc: float, zero: bool, took_ns: int) -> None:
    bench.dmm.voltage_nplc = nplc
    bench.dmm.voltage_autozero = zero
    start = bench.clock.now
    bench.dmm.query("READ?")

    assert took_ns <= bench.clock.now - start <= took_ns + 3 * ms


def test_a_series_longer_than_the_time_out_is_waited_for(bench: Bench) -> None:
    bench.dmm.configure_voltage(range_v=10.0, samples=10)
    start = bench.clock.now

    assert len(bench.dmm.acquire()) == 10
    assert bench.clock.now - start >= 10 * READING_NS > 2 * s


def test_a_reading_is_the_mean_over_its_aperture(bench: Bench) -> None:
    bench.clock.at(bench.clock.now + 100 * ms, lambda: bench.source.drive(3.0, 1.0))

    assert bench.dmm.measure_voltage().value == pytest.approx(4.0, abs=2.0 / 16)


def test_an_overload_is_never_a_value(bench: Bench) -> None:
    bench.dmm.configure_voltage(range_v=1.0, samples=2, nplc=0.02)
    with pytest.raises(InstrumentError, match=r"reading 1 of 2 is an overload \(9.9E\+37\), which is no value"):
        bench.dmm.acquire()
    assert bench.dmm.query("FETC?") == "+9.90000000E+37,+9.90000000E+37"


def test_a_negative_overload_keeps_its_sign(bench: Bench) -> None:
    bench.source.drive(-5.0, 1.0)
    bench.dmm.configure_voltage(range_v=1.0)

    assert bench.dmm.query("READ?") == "-9.90000000E+37"


def test_a_range_reads_up_to_twelve_tenths_of_it(bench: Bench) -> None:
    bench.source.drive(1.19, 1e-3)

    assert bench.dmm.measure_voltage(range_v=1.0).value == pytest.approx(1.19, rel=1e-3)


def test_it_loads_the_net_with_ten_megohm(bench: Bench) -> None:
    bench.source.drive(5.0, 10e6)
    assert bench.dmm.measure_voltage().value == pytest.approx(2.5, rel=0.01)

    bench.dmm.voltage_high_impedance = True
    assert float(bench.dmm.query("READ?")) == pytest.approx(5.0, rel=0.02)


def test_it_measures_against_its_lo(bench: Bench) -> None:
    bench.wiring.pin("rail.out").drive(2.0, 1.0)
    bench.wiring.net("low", ["dmm.lo", "rail.out"])

    assert bench.dmm.measure_voltage().value == pytest.approx(3.0, abs=1e-3)


def test_it_reads_a_source_that_follows_a_function(bench: Bench) -> None:
    volts = [1.0]
    bench.source.follow(lambda: volts[0], 1.0)
    volts[0] = 2.0

    assert bench.dmm.measure_voltage().value == pytest.approx(2.0, abs=1e-3)


def test_it_measures_a_current_through_its_shunt(bench: Bench) -> None:
    bench.wiring.pin("supply.out").drive(10.0, 1e-3)
    bench.wiring.pin("lamp.in").load(19.9)
    bench.wiring.net("feed", ["supply.out", "dmm.i"])
    bench.wiring.net("load", ["dmm.lo", "lamp.in"])
    measured = bench.dmm.measure_current()

    assert measured.unit == "A"
    assert measured.value == pytest.approx(0.5, rel=2e-3)


@pytest.mark.parametrize("ohms", [47.0, 820.0, 15e3, 330e3])
def test_it_measures_resistance_with_a_range_of_its_own_choice(bench: Bench, ohms: float) -> None:
    bench.source.release()
    bench.source.load(ohms)
    measured = bench.dmm.measure_resistance()

    assert measured.unit == "ohm"
    assert measured.value == pytest.approx(ohms, rel=1e-3)
    assert bench.source.volts == pytest.approx(0.0, abs=1e-9)  # the test current is gone


def test_an_open_circuit_is_no_resistance(bench: Bench) -> None:
    bench.source.release()
    with pytest.raises(InstrumentError, match="is an overload"):
        bench.dmm.measure_resistance()


def test_a_bus_trigger_starts_the_readings(bench: Bench) -> None:
    bench.dmm.configure_voltage(nplc=1.0)
    bench.dmm.trigger_source = "BUS"
    bench.dmm.initiate()
    bench.clock.sleep(1 * s)
    assert bench.dmm.operation_condition == 32

    bench.dmm.write("*TRG")
    assert bench.dmm.operation_condition == 16
    assert len(bench.dmm.readings) == 1


def test_an_armed_series_is_triggered_by_acquire(bench: Bench) -> None:
    bench.dmm.configure_voltage(nplc=1.0, samples=3)
    bench.dmm.trigger_source = "BUS"

    assert len(bench.dmm.acquire()) == 3


def test_abort_ends_a_series(bench: Bench) -> None:
    bench.dmm.configure_voltage(samples=100)
    bench.dmm.initiate()
    bench.clock.sleep(1 * s)
    bench.dmm.abort()

    assert bench.dmm.operation_condition == 0
    assert len(bench.dmm.readings) == 2


@pytest.mark.parametrize(
    ("command", "error"), [("FETC?", "-230"), ("*TRG", "-211"), ("VOLT:RANG 2000", "-222"), ('FUNC "FREQ"', "-224")]
)
def test_the_instrument_reports_what_it_cannot_do(bench: Bench, command: str, error: str) -> None:
    bench.dmm._session.write(command)  # without the driver's own checks

    assert [entry.split(",")[0] for entry in bench.dmm.errors()] == [error]


def test_readings_that_are_being_taken_are_not_begun_again(bench: Bench) -> None:
    bench.dmm.initiate()
    with pytest.raises(InstrumentError, match="-213"):
        bench.dmm.initiate()


@pytest.mark.parametrize(("asked", "found"), [(0.05, 0.1), (7.0, 10.0), (1000.0, 1000.0)])
def test_a_range_is_rounded_up(bench: Bench, asked: float, found: float) -> None:
    bench.dmm.voltage_range_v = asked

    assert bench.dmm.voltage_range_v == found
    assert bench.dmm.voltage_autorange is False


def test_a_range_it_does_not_have_is_refused_before_anything_is_written(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match="a range for 2000 V was asked for; the largest is 1000 V"):
        bench.dmm.measure_voltage(range_v=2000.0)
    assert bench.written() == []


def test_the_function_is_a_string_as_the_manual_has_it(bench: Bench) -> None:
    bench.dmm.function = "VOLT:DC"
    assert bench.dmm.query("FUNC?") == '"VOLT"'
    bench.dmm.function = "CURR"
    assert bench.dmm.function == "CURR"


def test_reset_restores_voltage_and_choice_of_range(bench: Bench) -> None:
    bench.dmm.function = "RES"
    bench.dmm.voltage_range_v = 100.0
    bench.dmm.write("*RST")

    assert (bench.dmm.function, bench.dmm.voltage_autorange, bench.dmm.voltage_range_v) == ("VOLT", True, 10.0)


def test_readings_are_the_same_for_one_seed_and_differ_between_seeds() -> None:
    values = [Bench(seed).dmm.measure_voltage().value for seed in (1, 1, 2)]

    assert values[0] == values[1] != values[2]


def test_longer_integration_has_less_noise(bench: Bench) -> None:
    def spread(nplc: float) -> float:
        bench.dmm.configure_voltage(range_v=10.0, nplc=nplc, samples=50)
        taken = bench.dmm.acquire()
        return max(taken) - min(taken)

    assert spread(10.0) < spread(0.02) / 5


@given(st.sampled_from(["VOLT", "CURR", "RES"]), st.floats(1e-3, 1.0))
def test_the_uncertainty_of_a_larger_range_is_not_smaller(function, part):
    ranges = list(ACCURACY[function])
    value = part * ranges[0]

    assert uncertainty(function, value, ranges[0]) < uncertainty(function, value, ranges[-1])
    assert range_for(function, value, "dmm") == ranges[0]


def test_long_forms_with_and_without_dc_are_understood(bench: Bench) -> None:
    answers = [float(bench.dmm.query(text)) for text in ("MEASURE:VOLTAGE:DC?", "meas:volt? 10", "MEAS:VOLT:DC? 10V")]

    assert answers == [pytest.approx(5.0, rel=1e-3)] * 3


def test_all_that_the_driver_sends_passes_a_gate_of_its_declarations(bench: Bench) -> None:
    bench.dmm.configure_voltage(range_v=10.0)
    bench.dmm.acquire()
    bench.dmm.measure_voltage(range_v=10.0)
    gate = Gate("dmm", Keysight34465A, {})

    assert [text for text in bench.written() if gate.rule(text.encode()).refusal] == []


def test_the_declarations_are_documented() -> None:
    assert "| `voltage_nplc` | `[SENSe:]VOLTage[:DC]:NPLC` | PLC | 0.02 to 100 | 10 |" in describe(Keysight34465A)
