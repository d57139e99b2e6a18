"""Device: commands on redundant buses, telemetry with its protection, pins through the instruments that see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.can.bus import SimBus
from hil.can.database import Database
from hil.can.facade import Bus
from hil.can.frame import Frame
from hil.can.wire import CanWire
from hil.clock import Clock, VirtualClock, WallClock
from hil.device import Device, Level, Links, Numbers, States
from hil.errors import BusError, HilError, WiringError
from hil.faults import Fault
from hil.noise import Streams
from hil.signal import Timeline
from hil.units import ms, s

DATABASE = Database.load(Path(__file__).parents[2] / "fixtures" / "hil_launcher" / "launcher.dbc")
BUSES = ("bus_a", "bus_b")
START = {"COMMAND": "START"}
STATUS = {
    **dict.fromkeys(("ABORT_CAUSE", "OX_POSITION", "FUEL_POSITION", "PC_BAD", "TURBINE_TEMPERATURE_BAD"), 0),
    **dict.fromkeys(("PUMP_SPEED_BAD", "HEARTBEAT_LOST", "INTERRUPTED", "IGNITER", "PC"), 0),
    "STATE": "STANDBY",
}


class Engine(Device):
    """A client of an engine, with a lamp that no instrument of these worlds sees."""

    state = States("STATUS", "STATE")
    pc_mpa = Numbers("STATUS", "PC")
    lamp = Level("lamp")


class World:
    """Two buses with a tester and an engine on each; ``client`` is made on all or some of them."""

    def __init__(self, database: Database = DATABASE, clock: Clock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self.stimuli: list[str] = []
        self.timeline = Timeline(self.clock, lambda what, _: self.stimuli.append(what))
        streams = Streams(1)
        self.wires = {name: CanWire(self.clock, name, 500_000, streams.stream(name, "wire")) for name in BUSES}
        self.engines = {name: wire.attach("engine") for name, wire in self.wires.items()}
        self.buses = {name: Bus(name, self.clock, SimBus(name), database) for name in BUSES}
        self.heard: list[tuple[str, int]] = []
        for name, node in self.engines.items():
            node.on_frame(lambda frame, bus=name: self.heard.append((bus, frame.arbitration_id)))

    def links(self, *buses: str, node: str = "ENG1") -> Links:
        return Links(self.timeline, [self.buses[name] for name in buses], node, lambda _: [], lambda *_: None)

    def break_bus(self, name: str) -> None:
        """Destroy every frame of the tester on a bus, until its controller is bus-off."""
        bus = self.buses[name]
        self.wires[name].apply(Fault(name, "corrupt", parameters={"node": "python_can_1"}))
        bus.send("ENG1_COMMAND", START)
        self.clock.wait(self.clock.now + 20 * ms, lambda: bus.raw.node.state.value == "bus-off", "bus-off")


@pytest.fixture
def world():
    opened = World()
    yield opened
    for bus in opened.buses.values():
        bus.close()


def test_a_command_goes_out_on_every_bus(world):
    Engine("engine", world.links(*BUSES)).command("ENG1_COMMAND", START)
    world.clock.sleep(2 * ms)
    assert world.heard == [("bus_a", 272), ("bus_b", 272)]


@pytest.mark.parametrize("dead", BUSES)
def test_a_command_survives_a_bus_that_refuses_it_and_says_so(world, dead):
    engine = Engine("engine", world.links(*BUSES))
    world.break_bus(dead)
    engine.command("ENG1_COMMAND", START)
    world.clock.sleep(1 * ms)
    assert world.heard == [(bus, 272) for bus in BUSES if bus != dead]
    assert world.stimuli == ["engine: ENG1_COMMAND", "engine: ENG1_COMMAND not taken"]


def test_a_command_that_no_bus_takes_is_an_error_that_names_every_bus(world):
    engine = Engine("engine", world.links(*BUSES))
    for name in BUSES:
        world.buses[name].raw.shutdown()
    with pytest.raises(BusError, match=r"engine: no bus takes ENG1_COMMAND: bus bus_a: .* shut down; .* bus bus_b: "):
        engine.command("ENG1_COMMAND", START)


def test_a_command_the_database_does_not_know_is_refused_before_anything_acts(world):
    engine = Engine("engine", world.links(*BUSES))
    with pytest.raises(BusError, match="ENG1_COMAND"):
        engine.command("ENG1_COMAND", START)
    assert world.stimuli == []


def test_an_article_on_no_bus_takes_no_command(world):
    engine = Engine("engine", world.links())
    with pytest.raises(WiringError, match=r"engine is on no bus, so it cannot be sent ENG1_COMMAND"):
        engine.command("ENG1_COMMAND", START)


def test_a_pin_no_instrument_sees_is_refused_with_what_is_missing(world):
    with pytest.raises(WiringError, match=r"engine.lamp is observed by no di_ or dl_ channel \(on its net: no instr"):
        _ = Engine("engine", world.links("bus_a")).lamp


def test_telemetry_is_taken_from_every_bus_in_the_order_it_was_produced(world):
    engine = Engine("engine", world.links(*BUSES))
    sender = DATABASE.sender("ENG1_STATUS")
    for pc_mpa in (1.0, 2.0):
        frame = sender.frame({**STATUS, "PC": pc_mpa})
        for node in world.engines.values():
            node.send(frame)
        world.clock.sleep(5 * ms)
    assert [reading.value for reading in engine.pc_mpa.history()] == [1.0, 1.0, 2.0, 2.0]


def test_a_frame_with_a_wrong_crc_is_counted_and_not_taken(world):
    engine = Engine("engine", world.links("bus_a"))
    frame = DATABASE.sender("ENG1_STATUS").frame(STATUS)
    world.engines["bus_a"].send(Frame(frame.arbitration_id, frame.data[:-1] + bytes([frame.data[-1] ^ 1])))
    world.clock.sleep(2 * ms)
    assert engine.pc_mpa.last is None
    assert engine.rejected == {"ENG1_STATUS": 1}


def test_telemetry_the_database_does_not_know_is_refused_with_the_nearest(world):
    class Misspelt(Device):
        pc_mpa = Numbers("STATUS", "PCC")

    with pytest.raises(BusError, match=r"launcher\.dbc: message ENG1_STATUS has no signal 'PCC'; did you mean PC"):
        Misspelt("engine", world.links("bus_a"))
    with pytest.raises(BusError, match="has no message 'ENG11_STATUS'; did you mean ENG1_STATUS"):
        Engine("engine", world.links("bus_a", node="ENG11"))


def test_a_state_that_has_no_names_is_refused_where_it_is_declared(world):
    class Numbered(Device):
        pc = States("STATUS", "PC")

    with pytest.raises(
        WiringError, match=r"engine\.pc is declared as States, but .*ENG1_STATUS\.PC has no value table"
    ):
        Numbered("engine", world.links("bus_a"))


def test_a_state_the_database_does_not_name_is_refused_with_the_nearest(world):
    with pytest.raises(HilError, match="asked for = STANDBYE, which it never is; did you mean STANDBY"):
        Engine("engine", world.links("bus_a")).state.seen("STANDBYE", within=1 * ms)


MULTIPLEXED = """VERSION ""
BU_: ENG1 TESTER
BO_ 256 ENG1_PAGED: 2 ENG1
 SG_ PAGE M : 0|8@1+ (1,0) [0|1] "" TESTER
 SG_ PC m0 : 8|8@1+ (0.1,0) [0|25] "MPa" TESTER
 SG_ SPEED m1 : 8|8@1+ (100,0) [0|25000] "rpm" TESTER
"""


def test_a_multiplexed_message_tells_what_it_carries(tmp_path):
    class Paged(Device):
        pc_mpa = Numbers("PAGED", "PC")
        speed_rpm = Numbers("PAGED", "SPEED")

    (tmp_path / "paged.dbc").write_text(MULTIPLEXED)
    world = World(Database.load(tmp_path / "paged.dbc"))
    engine = Paged("engine", world.links("bus_a"))
    for data in (b"\x00\x0a", b"\x01\x0a"):
        world.engines["bus_a"].send(Frame(256, data))
    world.clock.sleep(2 * ms)
    assert (engine.pc_mpa.last.value, engine.speed_rpm.last.value) == (1.0, 1000.0)
    assert len(engine.pc_mpa.history()) == 1


@pytest.mark.parametrize(("clock", "most"), [(VirtualClock, 100), (WallClock, 32)])
def test_in_wall_time_frames_are_decoded_before_a_long_row_of_them_waits(clock, most):
    world = World(clock=clock())
    client = Engine("engine", world.links("bus_a"))
    sender = DATABASE.sender("ENG1_STATUS")
    for _ in range(100):
        world.engines["bus_a"].send(sender.frame(STATUS))
    world.clock.wait(world.clock.now + 5 * s, lambda: world.wires["bus_a"].stats.frames == 100)
    assert len(client._wanted["ENG1_STATUS"]._waiting) <= most
    assert len(client.state.history()) == 100
    for bus in world.buses.values():
        bus.close()
