"""The simulated rig of the reference launcher: wired as the interface document says, from command to plant motion."""

from __future__ import annotations

import tomllib
from functools import partial
from typing import TYPE_CHECKING

import pytest
from unit_world import LAUNCHER

from hil.can.database import Database
from hil.errors import InstrumentError
from hil.plant.launcher import Launcher
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.signal import HIGH, LOW
from hil.units import ms, s
from hil.visa.classes import DCPower
from hil_launcher.clients.avionics import Avionics
from hil_launcher.clients.gimbals import Gimbal, command_frames
from hil_launcher.clients.pad import Pad, Switches
from hil_launcher.clients.tank import Vent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.can.frame import Frame
    from hil.rig.world import Rig

AVIONICS, TVC, VEHICLE, GROUND = 1, 2, 3, 4  # outputs of psu_3
# line: from, to; typed from docs/icd.md
DISCRETES = {
    "switches.liftoff_1": "fc.liftoff_1",
    "switches.liftoff_2": "fc.liftoff_2",
    "switches.umbilical": "fc.umbilical",
    "vent_valve.vent_closed": "fc.vent_closed",
    "fc.vent_close": "vent_valve.close",
    "stand.do_vent_open": "vent_valve.open",
    "fc.release": "pad.release",
    "stand.do_pad_enable": "pad.enable",
    "range_safety.key": "siggen.trigger",
}
NOT_WIRED = {"tank"}  # outputs of the plant no article of this rig takes


@pytest.fixture(scope="module")
def blueprint() -> Blueprint:
    return Blueprint.of(load_rig(LAUNCHER.parents[1] / "rigs" / "sim.toml"))


@pytest.fixture
def rig(blueprint: Blueprint) -> Iterator[Rig]:
    opened = open_rig(blueprint)
    yield opened
    opened.close()


def feed(rig: Rig, *outputs: int) -> None:
    for number in outputs:
        output = rig.instrument("psu_3", DCPower).output(number)
        output.voltage_v, output.current_limit_a = 28.0, 12.0 if number == TVC else 3.0
        output.on()
    rig.clock.sleep(300 * ms)


def test_every_node_of_the_database_stands_on_the_rig(blueprint):
    database = Database.load(LAUNCHER / "launcher.dbc")
    nodes = {table.node for table in blueprint.file.dut.values() if table.node}
    senders = {sender for name in database.names for sender in database.message(name).senders}
    assert senders - nodes == {"GSE"}


@pytest.mark.parametrize(("source", "sink"), DISCRETES.items())
def test_discrete_lines_go_where_the_interface_document_says(blueprint, source, sink):
    assert any({source, sink} <= set(net.pins) for net in blueprint.file.net.values())


@pytest.mark.parametrize("side", ["a", "b"])
def test_each_receiver_shuts_every_engine_down(blueprint, side):
    pins = set(blueprint.file.net[f"fts_{side}_shutdown"].pins)
    engines = ["engine", *(f"engine_{number}" for number in range(2, 11))]
    assert {f"{engine}.fts_shutdown_{side}" for engine in engines} < pins


def test_everything_the_vehicle_takes_and_gives_is_connected(blueprint):
    wired = {pin.removeprefix("plant.") for net in blueprint.file.net.values() for pin in net.pins}
    assert {*Launcher.inputs, *Launcher.outputs} - wired == NOT_WIRED


def test_the_weather_station_measures_at_the_heights_of_the_wind(blueprint):
    wind = tomllib.loads((LAUNCHER / "vehicle.toml").read_text())["wind"]
    assert blueprint.file.as_built["met"]["levels_m"] == wind["height_m"]


def test_every_axis_of_every_engine_goes_where_it_is_commanded_and_says_so(rig):
    commanded = {engine: (0.3 * engine - 1.6, 1.2 - 0.25 * engine) for engine in range(1, 10)}
    feed(rig, TVC)
    rig.plant.start()
    rig.clock.every(50 * ms, lambda: rig.bus("bus_a").send("FC_HEARTBEAT", {"PHASE": "PAD"}))
    for message, signals in command_frames(commanded).items():
        rig.clock.every(10 * ms, lambda m=message, v=signals: rig.bus("bus_a").send(m, v))
    rig.clock.sleep(2 * s)
    for engine, expected_deg in commanded.items():
        gimbal = rig.device(f"gimbal_{engine}", Gimbal)
        true_deg = [rig.plant.model.read(f"gimbal_{engine}_{axis}_deg") for axis in "yz"]
        reported_deg = [signal.last.value for signal in (gimbal.y_deg, gimbal.z_deg) if signal.last]
        assert true_deg == pytest.approx(expected_deg, abs=0.01)
        assert reported_deg == pytest.approx(expected_deg, abs=0.05)


def test_a_vehicle_on_its_pad_with_supply_closes_its_contacts(rig):
    switches = rig.device("switches", Switches)
    assert switches.liftoff_1.last.value is LOW
    feed(rig, VEHICLE)
    assert [line.last.value for line in (switches.liftoff_1, switches.liftoff_2, switches.umbilical)] == [HIGH] * 3


def test_the_grounds_lines_are_undone_when_the_world_closes(rig):
    feed(rig, VEHICLE, GROUND)
    rig.device("vent_valve", Vent).ask_open()
    rig.device("pad", Pad).enable()
    rig.clock.sleep(1 * ms)
    lines = [rig.wiring.pin(pin) for pin in ("vent_valve.open", "pad.enable")]
    assert all(line.volts > 20.0 for line in lines)
    rig.close()
    assert all(line.volts < 1.0 for line in lines)


def test_an_output_of_500_w_feeds_three_controllers_with_their_valves_and_one_of_100_w_does_not(rig):
    supply = rig.instrument("psu_2", DCPower)
    for number, pin in ((1, "stand.ai_engines_2_4_power"), (4, "engine_2_hardware.power")):
        output = supply.output(number)
        output.voltage_v, output.current_limit_a = 28.0, 16.0
        rig.wiring.pin(pin).load(2.0)
        output.on()
    rig.clock.sleep(100 * ms)
    assert supply.output(1).measured_voltage_v == pytest.approx(28.0, abs=0.3)
    assert supply.output(4).measured_voltage_v < 10.0


def test_the_limits_of_a_supply_are_those_of_its_modules_and_of_the_rig(rig):
    with pytest.raises(InstrumentError, match="17"):
        rig.instrument("psu_2", DCPower).output(1).current_limit_a = 17.2
    with pytest.raises(InstrumentError, match="8"):
        rig.instrument("psu", DCPower).output(1).current_limit_a = 8.5


@pytest.mark.parametrize("order", ["count", "hold", "resume", "abort", "recycle", "safe"])
def test_an_order_reaches_the_flight_computer_on_both_buses(rig, order):
    heard: list[tuple[str, object]] = []
    for name in ("can_a", "can_b"):
        port = rig.models["fc"].live_ports[name]
        keep = partial(_keep, heard, name, port.database)
        port.node.on_frame(keep, accept=[port.database.identifier("GSE_COMMAND")])
    feed(rig, AVIONICS)
    sent_ns = getattr(rig.device("fc", Avionics), order)()
    assert sent_ns == rig.clock.now
    rig.clock.sleep(1 * ms)
    assert sorted(heard) == [("can_a", order.upper()), ("can_b", order.upper())]


def _keep(heard: list[tuple[str, object]], port: str, database: Database, frame: Frame) -> None:
    heard.append((port, database.decode(frame)["COMMAND"]))
