"""Drivers of other projects, unmodified, on the simulated instruments: PyMeasure through "@hil"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pymeasure.instruments.agilent import Agilent8257D
from pymeasure.instruments.keysight import KeysightE36312A

from hil.clock import VirtualClock
from hil.nets import RfValue
from hil.noise import Streams
from hil.units import ms
from hil.visa.keysight_n5182b_twin import KeysightN5182BTwin
from hil.visa.keysight_n6700_twin import KeysightN6700Twin
from hil.visa.library import SimVisaLibrary
from hil.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPPLY = "TCPIP0::psu::5025::SOCKET"
GENERATOR = "TCPIP0::siggen::inst0::INSTR"


class Rig:
    """Both simulated instruments, with a load and a receiver."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        wiring, streams = Wiring(self.clock), Streams(1)
        supply = KeysightN6700Twin(name="psu", clock=self.clock, streams=streams, wiring=wiring)
        generator = KeysightN5182BTwin(name="siggen", clock=self.clock, streams=streams, wiring=wiring)
        self.load, self.receiver = wiring.pin("dut.power"), wiring.rf_pin("rx.rf")
        self.load.load(10.0)
        wiring.net("power", ["psu.out1", "dut.power"])
        wiring.net("uplink", ["siggen.rf", "rx.rf"])
        self.library = SimVisaLibrary(self.clock)
        self.library.attach(SUPPLY, supply)
        self.library.attach(GENERATOR, generator)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    with rig.library.registered():
        yield rig


def test_a_pymeasure_supply_driver_powers_a_load(rig: Rig) -> None:
    supply = KeysightE36312A(SUPPLY, visa_library="@hil", read_termination="\n", write_termination="\n")
    supply.ch_1.voltage_setpoint = 5.0
    supply.ch_1.current_limit = 1.0
    supply.ch_1.output_enabled = True
    rig.clock.sleep(100 * ms)
    assert rig.load.volts == pytest.approx(5.0, abs=0.01)
    assert supply.ch_1.voltage == pytest.approx(5.0, abs=0.01)
    assert supply.ch_1.current == pytest.approx(0.5, abs=0.01)
    assert (supply.ch_1.output_enabled, supply.check_errors()) == (True, [])


@pytest.mark.filterwarnings("ignore:It is not known whether this device support SCPI:FutureWarning")  # PyMeasure's own
def test_a_pymeasure_generator_driver_radiates(rig: Rig) -> None:
    generator = Agilent8257D(GENERATOR, visa_library="@hil")
    generator.frequency = 421e6
    generator.power = -60.0
    generator.enable()
    rig.clock.sleep(50 * ms)
    assert rig.receiver.value == RfValue(421e6, -60.0)
    assert (generator.power, generator.frequency, generator.is_enabled) == (-60.0, 421e6, True)
    generator.shutdown()
    rig.clock.sleep(50 * ms)
    assert rig.receiver.value is None


def test_a_pymeasure_driver_costs_no_wall_time_waiting(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYVISA_LIBRARY", "@hil")
    supply = KeysightE36312A(SUPPLY, read_termination="\n", write_termination="\n", timeout=3_600_000)
    with pytest.raises(Exception, match="VI_ERROR_TMO"):
        supply.ask("NONSENSE?")
    assert rig.clock.now == 3_600_000 * ms
