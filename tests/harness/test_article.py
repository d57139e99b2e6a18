"""Articles: ports, supply and brown-out, timers, faults, closed attributes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from hil.article import Article, AsBuilt
from hil.bus_port import BusPort
from hil.can.database import Database
from hil.can.frame import Frame
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.errors import BusError, ConfigError, HilError, WiringError
from hil.faults import Fault
from hil.noise import Streams
from hil.ports import AnalogIn, AnalogOut, BusAttachment, DigitalIn, DigitalOut, Ports, PowerPin
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


@pytest.mark.parametrize("wrong", [{"supply_on_v": float("nan")}, {"hold_up_ms": float("inf")}, {"supply_v": 28.0}])
def test_as_built_data_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=r"finite number|Extra inputs are not permitted"):
        AsBuilt(**BUILT.model_dump() | wrong)


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


def test_a_supply_that_is_back_within_the_hold_up_time_leaves_no_trace(
    lamp: Lamp, wiring: Wiring, clock: VirtualClock
) -> None:
    supply(wiring, 28.0)
    clock.sleep(5 * ms)
    supply(wiring, 0.0)
    clock.sleep(49 * ms)
    supply(wiring, 28.0)
    clock.sleep(1000 * ms)
    assert lamp.powered
    assert lamp.blinks == 105


def test_a_reset_starts_the_software_again(lamp: Lamp, wiring: Wiring, clock: VirtualClock) -> None:
    supply(wiring, 28.0)
    clock.sleep(15 * ms)
    lamp.reset()
    clock.sleep(9 * ms)
    assert lamp.blinks == 1  # the tick due at 20 ms is that of the old software
    assert lamp.running


def test_a_reset_without_supply_wakes_nothing(lamp: Lamp, wiring: Wiring, clock: VirtualClock) -> None:
    lamp.reset()
    clock.sleep(100 * ms)
    assert (lamp.blinks, wiring.pin("lamp.lamp").volts) == (0, 0.0)


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


def test_a_cpu_halted_twice_runs_when_both_faults_have_ended(lamp: Lamp) -> None:
    first, second = lamp.apply(Fault("lamp", "cpu_halt")), lamp.apply(Fault("lamp", "cpu_halt"))
    first()
    assert lamp.halted
    second()
    assert not lamp.halted


def test_a_fault_of_an_article_takes_no_parameters(lamp: Lamp) -> None:
    with pytest.raises(HilError, match="fault 'dead' on lamp has no parameter after_ms"):
        lamp.apply(Fault("lamp", "dead", parameters={"after_ms": 5.0}))


def test_as_built_data_of_another_class_are_refused(lamp: Lamp) -> None:
    class LampAsBuilt(AsBuilt):
        colour: str

    with pytest.raises(ConfigError, match="lamp: its as-built data are AsBuilt, not LampAsBuilt"):
        lamp.built_as(LampAsBuilt)


def test_an_unknown_fault_names_the_known_ones(lamp: Lamp) -> None:
    with pytest.raises(HilError, match="lamp has no fault 'cpu_hlt'; did you mean cpu_halt"):
        lamp.apply(Fault("lamp", "cpu_hlt"))


def test_an_analog_input_reads_in_steps_of_one_lsb(lamp: Lamp, wiring: Wiring) -> None:
    wiring.pin("lamp.level").drive(1.2345, 1.0)
    lsb = 5.0 / 4096
    assert lamp.level.volts == pytest.approx(round(1.2345 / lsb) * lsb)
    assert lamp.level.volts % lsb == pytest.approx(0.0, abs=1e-9)


def test_an_analog_output_gives_its_voltage_through_its_resistance(lamp: Lamp, wiring: Wiring) -> None:
    lamp.mirror.set(2.0)
    wiring.pin("lamp.mirror").load(100.0)
    assert wiring.pin("lamp.mirror").volts == pytest.approx(1.0)
    lamp.mirror.release()
    assert wiring.pin("lamp.mirror").volts == 0.0


def test_an_open_switch_leaks_what_it_was_built_to_leak(lamp: Lamp, wiring: Wiring) -> None:
    wiring.pin("stand.load").load(1.0)
    wiring.net("lamp", ["lamp.lamp", "stand.load"])
    lamp.lamp.fit(0.1, leakage_a=1e-3)
    lamp.lamp.set(False, 28.0)
    assert wiring.pin("stand.load").amps == pytest.approx(1e-3, rel=1e-3)


def test_an_attribute_that_is_not_declared_cannot_be_set(lamp: Lamp) -> None:
    with pytest.raises(AttributeError, match="Lamp has no attribute 'blnks' to set; did you mean blinks"):
        lamp.blnks = 3  # type: ignore[attr-defined]


def test_a_bus_port_needs_a_bus(clock: VirtualClock, wiring: Wiring) -> None:
    with pytest.raises(WiringError, match="node: no bus is given for its port can"):
        Node(clock, Streams(1), Ports("node", wiring), BUILT)


class Node(Article):
    """Repeats the position of every valve command as ground wind."""

    power = PowerPin()
    can = BusPort()

    def build(self) -> None:
        self.can.on("ValveCommand", lambda signals: self.can.send("Ground", {"Wind": abs(float(signals["Position"]))}))


class OnBus:
    """A node on a supply and on a wire with a tester."""

    def __init__(self, database: Database) -> None:
        self.clock = VirtualClock()
        self.wiring = Wiring(self.clock)
        self.command = database.encode("ValveCommand", {"Valve": 1, "Position": 12.5, "Count": 7})
        wire = CanWire(self.clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"))
        self.tester, self.heard = wire.attach("tester"), []
        self.tester.on_frame(lambda frame: self.heard.append(database.decode(frame)))
        attachment = BusAttachment(wire.attach("node"), database, "NODE")
        self.node = Node(self.clock, Streams(1), Ports("node", self.wiring, {"can": attachment}), BUILT)
        self.wiring.pin("psu.out1").drive(28.0, 0.1)
        self.wiring.net("power", ["psu.out1", "node.power"])
        self.clock.sleep(1 * ms)

    def ask(self) -> None:
        self.tester.send(self.command)
        self.clock.sleep(5 * ms)


@pytest.fixture
def on_bus(tmp_path: Path) -> OnBus:
    bench = Path(__file__).with_name("data") / "bench.dbc"
    (tmp_path / "node.dbc").write_text(bench.read_text().replace("Ground", "NODE_Ground"))
    return OnBus(Database.load(tmp_path / "node.dbc"))


def test_an_article_answers_on_its_bus(on_bus: OnBus) -> None:
    on_bus.ask()
    assert on_bus.heard == [{"Wind": 12.5}]


def test_an_article_that_browned_out_neither_sends_nor_acknowledges(on_bus: OnBus) -> None:
    supply(on_bus.wiring, 10.0)
    on_bus.clock.sleep(60 * ms)
    on_bus.ask()
    on_bus.node.can.send("Ground", {"Wind": 1.0})
    on_bus.clock.sleep(5 * ms)
    assert on_bus.heard == []
    assert on_bus.tester.tec > 0


def test_an_article_whose_software_stands_still_acknowledges_and_does_nothing(on_bus: OnBus) -> None:
    on_bus.node.apply(Fault("node", "cpu_halt"))
    on_bus.ask()
    assert (on_bus.heard, on_bus.tester.tec) == ([], 0)


class Pair(Article):
    """An article on two buses."""

    power = PowerPin()
    can_a = BusPort()
    can_b = BusPort()


class OnTwoBuses:
    """A pair on two wires, each with a tester; its two databases are those given."""

    def __init__(self, *databases: Database) -> None:
        self.clock = VirtualClock()
        self.heard: dict[str, list[Frame]] = {}
        attachments: dict[str, BusAttachment] = {}
        for port, database in zip(("can_a", "can_b"), databases, strict=True):
            wire = CanWire(self.clock, port, 500_000, Streams(1).stream(port, "wire"))
            self.heard[port] = []
            wire.attach("tester").on_frame(self.heard[port].append)
            attachments[port] = BusAttachment(wire.attach("node"), database, "PAIR")
        wiring = Wiring(self.clock)
        self.pair = Pair(self.clock, Streams(1), Ports("pair", wiring, attachments), BUILT)
        wiring.pin("psu.out1").drive(28.0, 0.1)
        wiring.net("power", ["psu.out1", "pair.power"])
        self.clock.sleep(1 * ms)


STATUS = {"State": "OFF", "ChamberPressure": 1.0, "Temperature": 20, "Speed": 0}


@pytest.fixture
def database() -> Database:
    return Database.load(Path(__file__).with_name("data") / "bench.dbc")


def test_a_broadcast_is_one_frame_on_every_bus_and_each_receiver_sees_its_counter_step(database: Database) -> None:
    world = OnTwoBuses(database, database)
    for _ in range(20):
        world.pair.broadcast("EngineStatus", STATUS)
        world.clock.sleep(5 * ms)
    a, b = ([frame.data for frame in frames] for frames in world.heard.values())
    assert a == b
    for frames in world.heard.values():
        receiver = database.receiver("EngineStatus")
        assert [receiver.check(frame) for frame in frames] == [None] * 20
        assert (receiver.accepted, receiver.lost) == (20, 0)


def test_a_broadcast_goes_out_on_the_bus_that_is_left(database: Database) -> None:
    world = OnTwoBuses(database, database)
    world.pair.can_a.node.power(False)
    world.pair.broadcast("EngineStatus", STATUS)
    world.clock.sleep(5 * ms)
    assert [len(frames) for frames in world.heard.values()] == [0, 1]


def test_a_message_without_the_prefix_of_its_article_is_broadcast_by_its_full_name(database: Database) -> None:
    world = OnTwoBuses(database, database)
    world.pair.broadcast("ValveCommand", {"Valve": 1, "Position": 0.0})
    world.pair.can_b.send("Ground", {"Wind": 1.0})
    world.clock.sleep(5 * ms)
    found = [[frame.arbitration_id for frame in frames] for frames in world.heard.values()]
    assert found == [[0x200], [0x200, 0x18FEF1FE]]


def test_a_message_there_is_none_of_is_not_broadcast(database: Database) -> None:
    world = OnTwoBuses(database, database)
    with pytest.raises(BusError, match=r"bench\.dbc has no message 'PAIR_Statos'; "):
        world.pair.broadcast("Statos", STATUS)


def test_a_broadcast_over_buses_of_different_databases_is_refused(database: Database, tmp_path: Path) -> None:
    (tmp_path / "other.dbc").write_text(database.path.read_text())
    world = OnTwoBuses(database, Database.load(tmp_path / "other.dbc"))
    with pytest.raises(WiringError, match=r"different databases, .*bench\.dbc and .*other\.dbc: .* by itself"):
        world.pair.broadcast("EngineStatus", STATUS)


def test_an_article_without_a_bus_cannot_broadcast(lamp: Lamp, wiring: Wiring, clock: VirtualClock) -> None:
    supply(wiring, 28.0)
    clock.sleep(1 * ms)
    with pytest.raises(WiringError, match="lamp has no bus port, so it cannot broadcast Status"):
        lamp.broadcast("Status", {})


def test_an_article_without_power_broadcasts_nothing(lamp: Lamp) -> None:
    lamp.broadcast("Status", {})


def test_an_article_takes_what_it_asked_for_and_nothing_else(on_bus: OnBus) -> None:
    on_bus.tester.send(Frame(0x7FF))
    on_bus.clock.sleep(5 * ms)
    assert on_bus.node.can.node.received == 0
    on_bus.ask()
    assert on_bus.node.can.node.received == 1


def test_an_article_ignores_a_frame_whose_counter_did_not_step(on_bus: OnBus) -> None:
    on_bus.ask()
    on_bus.ask()
    assert len(on_bus.heard) == 1
