"""Bus: named messages in physical units over the simulated bus."""

from __future__ import annotations

from pathlib import Path

import can
import pytest

from hil.can import facade
from hil.can.bus import SimBus
from hil.can.database import Database
from hil.can.facade import Bus
from hil.can.frame import Frame
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.errors import BusError, ClockError
from hil.faults import Fault
from hil.noise import Streams
from hil.units import ms, s

DATABASE = Database.load(Path(__file__).with_name("data") / "bench.dbc")
STATUS = {"State": "OFF", "ChamberPressure": 0.0, "Temperature": 0, "Speed": 0}


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def wire(clock):
    return CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"))


@pytest.fixture
def bus(clock, wire):
    opened = Bus("bus_a", clock, SimBus("bus_a"), DATABASE)
    yield opened
    opened.close()


@pytest.fixture
def engine(wire):
    return wire.attach("engine")


def test_a_subscriber_hears_the_messages_it_names(clock, bus, engine):
    named, everything = [], []
    bus.subscribe(lambda frame: named.append(frame.arbitration_id), ["EngineStatus", "Ground"])
    bus.subscribe(lambda frame: everything.append(frame.arbitration_id))
    for frame in (DATABASE.encode("EngineStatus", STATUS), DATABASE.encode("Ground", {"Wind": 1.0}), Frame(0x7FF)):
        engine.send(frame)

    clock.sleep(10 * ms)

    assert named == [0x100, 0x18FEF1FE]
    assert everything == [0x100, 0x18FEF1FE, 0x7FF]


def test_a_subscriber_cannot_name_a_message_there_is_none_of(bus):
    with pytest.raises(BusError, match="has no message 'EngineState'; did you mean EngineStatus"):
        bus.subscribe(lambda _: None, ["EngineState"])


def test_a_message_is_sent_by_name_with_its_counter(clock, bus, engine):
    heard = []
    engine.on_frame(heard.append)
    for _ in range(3):
        bus.send("ValveCommand", {"Valve": 1, "Position": 50.0})

    clock.sleep(10 * ms)

    assert [DATABASE.decode(frame) for frame in heard] == [
        {"Valve": 1, "Position": 50.0, "Count": count} for count in range(3)
    ]


def test_recv_gives_the_next_frame_in_whole_nanoseconds(clock, bus, engine):
    engine.send(Frame(0x123))
    frame = bus.recv(1 * s)
    assert frame is not None
    assert (frame.arbitration_id, frame.at_ns, frame.sender) == (0x123, clock.now, "engine")
    assert bus.recv(5 * ms) is None


def test_subscribers_are_called_until_they_stop(clock, bus, engine):
    seen = []
    stop = bus.subscribe(seen.append)
    engine.send(Frame(1))
    clock.sleep(1 * ms)
    stop()
    engine.send(Frame(2))
    clock.sleep(1 * ms)
    assert [frame.arbitration_id for frame in seen] == [1]


def test_the_bus_does_not_hear_itself(clock, bus, engine):
    bus.send_raw(Frame(1))
    assert bus.recv(10 * ms) is None


def test_a_periodic_message_runs_at_the_cycle_time_of_the_database(clock, bus, engine):
    heard = []
    engine.on_frame(heard.append)
    periodic = bus.send_periodic("EngineStatus", STATUS)
    clock.sleep(25 * ms)
    periodic.update({"Speed": 9})
    clock.sleep(10 * ms)
    periodic.stop()
    clock.sleep(1 * s)
    assert [frame.start_ns for frame in heard] == [0, 10 * ms, 20 * ms, 30 * ms]
    assert [DATABASE.decode(frame)["Alive"] for frame in heard] == [0, 1, 2, 3]
    assert DATABASE.decode(heard[-1])["Speed"] == 9


def test_a_periodic_message_with_a_wrong_value_is_refused_at_once_and_on_update(bus, engine):
    with pytest.raises(BusError, match="no signal 'Sped'"):
        bus.send_periodic("EngineStatus", {**STATUS, "Sped": 1})
    periodic = bus.send_periodic("EngineStatus", STATUS)
    with pytest.raises(BusError, match="60001"):
        periodic.update({"Speed": 60_001})
    assert repr(periodic) == "<EngineStatus every 10 ms on bus bus_a>"


def test_a_message_without_cycle_time_needs_a_period(bus):
    with pytest.raises(BusError, match=r"ValveCommand has no cycle time .*give period_ns="):
        bus.send_periodic("ValveCommand", {"Valve": 1, "Position": 0.0})


@pytest.mark.parametrize("period_ns", [0, -1])
def test_a_period_that_cannot_be_is_refused(bus, period_ns):
    with pytest.raises(ClockError, match=f"the period is {period_ns} ns; it must be at least 1 ns"):
        bus.send_periodic("EngineStatus", STATUS, period_ns=period_ns)


def test_a_periodic_message_counts_what_the_bus_refused_and_goes_on(clock, wire, bus, engine):
    periodic = bus.send_periodic("EngineStatus", STATUS, period_ns=1 * ms)
    clear = wire.apply(Fault("bus_a", "corrupt"))
    clock.wait(None, lambda: periodic.refused > 0)
    clear()
    before = engine.received
    clock.sleep(100 * ms)
    assert engine.received > before


def test_a_stream_is_checked_as_it_arrives(clock, wire, bus, engine):
    stream, sender = bus.check("EngineStatus"), DATABASE.sender("EngineStatus")
    wire.apply(Fault("bus_a", "drop", parameters={"count": 2, "id": 0x100}))
    for _ in range(6):
        engine.send(sender.frame(STATUS))
        engine.send(Frame(0x200, bytes(4)))
    clock.sleep(10 * ms)
    wire.apply(Fault("bus_a.engine", "garble"))
    engine.send(sender.frame(STATUS))
    clock.sleep(10 * ms)
    assert (stream.accepted, stream.crc_errors) == (4, 1)


def test_a_frame_that_is_refused_says_which_bus_and_why(bus):
    for _ in range(128):
        bus.send_raw(Frame(1))
    with pytest.raises(BusError, match=r"bus bus_a: send of 0x1 on .*transmit queue is full"):
        bus.send_raw(Frame(1))


def test_statistics_are_those_of_the_controller_and_the_wire(clock, bus, engine):
    engine.send(Frame(1))
    bus.send_raw(Frame(2))
    clock.sleep(1 * s)
    stats = bus.stats
    assert (stats.sent, stats.received, stats.error_frames, stats.tec, stats.rec) == (1, 1, 0, 0, 0)
    assert 0.0 < stats.load < 0.001
    assert stats.state == "error-active"


def test_frames_nobody_read_are_not_lost_in_silence(bus):
    stamped = Frame(1, at_ns=1)
    for _ in range(facade.UNREAD_MAX + 3):
        bus._arrived(stamped)
    with pytest.raises(BusError, match=r"3 frames were lost because \d+ waited unread"):
        bus.recv(0)
    assert bus.clear() == facade.UNREAD_MAX
    assert bus.recv(0) is None


def test_the_python_can_bus_is_there_and_is_closed_with_it(bus):
    assert isinstance(bus.raw, can.BusABC)
    periodic = bus.send_periodic("EngineStatus", STATUS)
    bus.close()
    bus.close()
    with pytest.raises(BusError, match="has been shut down"):
        bus.send_raw(Frame(1))
    assert not periodic.running
