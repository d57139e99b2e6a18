"""Articles: ports, supply and brown-out, timers, faults, closed attributes."""

from __future__ import annotations

import pytest

from hil.article import Article, AsBuilt
from hil.clock import VirtualClock
from hil.errors import HilError, WiringError
from hil.faults import Fault
from hil.noise import Streams
from hil.ports import AnalogIn, AnalogOut, BusPort, DigitalIn, DigitalOut, Ports, PowerPin
from hil.units import ms
from hil.wiring import Wiring

BUILT = AsBuilt(supply_on_v=20.0, supply_off_v=18.0, hold_up_ms=50.0, nominal_v=28.0, idle_a=0.5)


class Lamp(Article):
    """Blinks every 10 ms while it has power; its key opens the lamp in hardware."""

    power = PowerPin()
    key = DigitalIn()
    lamp = DigitalOut()
    level = AnalogIn(full_scale_v=5.0, bits=12)
    mirror = AnalogOut()
    blinks: int

    def build(self) -> None:
        self.blinks = 0
        self.key.on_edge(lambda high: self.lamp.set(not high and self.powered, self.supply_v))

    def power_up(self) -> None:
        self.lamp.on(self.supply_v)
        self.every(10 * ms, self.blink, offset_ns=10 * ms)

    def power_down(self) -> None:
        self.lamp.off()

    def blink(self) -> None:
        self.blinks += 1


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def wiring(clock: VirtualClock) -> Wiring:
    return Wiring(clock)


@pytest.fixture
def lamp(clock: VirtualClock, wiring: Wiring) -> Lamp:
    lamp = Lamp(clock, Streams(1), Ports("lamp", wiring), BUILT)
    wiring.pin("psu.out1").drive(0.0, 0.1)
    wiring.net("power", ["psu.out1", "lamp.power"])
    return lamp


def supply(wiring: Wiring, volts: float) -> None:
    wiring.pin("psu.out1").drive(volts, 0.1)


def test_an_article_wakes_when_its_supply_is_there(lamp: Lamp, wiring: Wiring, clock: VirtualClock) -> None:
    supply(wiring, 28.0)
    clock.sleep(1 * ms)
    assert lamp.powered
    assert wiring.pin("lamp.lamp").volts == pytest.approx(28.0, abs=0.1)
    assert wiring.pin("lamp.power").amps == pytest.approx(0.5, rel=0.01)


def test_below_its_start_voltage_it_sleeps(lamp: Lamp, wiring: Wiring, clock: VirtualClock) -> None:
    supply(wiring, 19.0)
    clock.sleep(1 * ms)
    assert not lamp.powered


@pytest.mark.parametrize(("dropout_ms", "lives"), [(49, True), (51, False)])
def test_it_lives_through_a_dropout_as_long_as_its_hold_up(
    lamp: Lamp, wiring: Wiring, clock: VirtualClock, dropout_ms: int, lives: bool
) -> None:
    supply(wiring, 28.0)
    clock.sleep(5 * ms)
    supply(wiring, 0.0)
    clock.sleep(dropout_ms * ms)
    assert lamp.powered == lives
    assert (wiring.pin("lamp.lamp").volts > 20.0) == lives


def test_timers_stop_with_the_supply(lamp: Lamp, wiring: Wiring, clock: VirtualClock) -> None:
    supply(wiring, 28.0)
    clock.sleep(35 * ms)
    supply(wiring, 0.0)
    clock.sleep(1000 * ms)
    assert lamp.blinks == 8  # 3 with supply, 5 on the hold-up


def test_a_halted_cpu_stops_software_and_not_hardware(lamp: Lamp, wiring: Wiring, clock: VirtualClock) -> None:
    supply(wiring, 28.0)
    clock.sleep(15 * ms)
    undo = lamp.apply(Fault("lamp", "cpu_halt"))
    clock.sleep(100 * ms)
    assert lamp.blinks == 1
    wiring.pin("lamp.key").drive(28.0, 1.0)
    clock.sleep(1 * ms)
    assert wiring.pin("lamp.lamp").volts == 0.0
    undo()
    clock.sleep(10 * ms)
    assert lamp.blinks == 2


def test_a_dead_article_has_no_power_inside(lamp: Lamp, wiring: Wiring, clock: VirtualClock) -> None:
    supply(wiring, 28.0)
    clock.sleep(5 * ms)
    undo = lamp.apply(Fault("lamp", "dead"))
    clock.sleep(60 * ms)
    assert not lamp.powered
    undo()
    clock.sleep(1 * ms)
    assert lamp.powered


def test_an_unknown_fault_names_the_known_ones(lamp: Lamp) -> None:
    with pytest.raises(HilError, match="lamp has no fault 'cpu_hlt'; did you mean cpu_halt"):
        lamp.apply(Fault("lamp", "cpu_hlt"))


def test_an_analog_input_reads_in_steps_of_one_lsb(lamp: Lamp, wiring: Wiring) -> None:
    wiring.pin("lamp.level").drive(1.2345, 1.0)
    lsb = 5.0 / 4096
    assert lamp.level.volts == pytest.approx(round(1.2345 / lsb) * lsb)
    assert lamp.level.volts % lsb == pytest.approx(0.0, abs=1e-9)


def test_an_attribute_that_is_not_declared_cannot_be_set(lamp: Lamp) -> None:
    with pytest.raises(AttributeError, match="Lamp has no attribute 'blnks' to set; did you mean blinks"):
        lamp.blnks = 3  # type: ignore[attr-defined]


def test_a_bus_port_needs_a_bus(clock: VirtualClock, wiring: Wiring) -> None:
    class Node(Article):
        power = PowerPin()
        can = BusPort()

    with pytest.raises(WiringError, match="node: no bus is given for its port can"):
        Node(clock, Streams(1), Ports("node", wiring), BUILT)
