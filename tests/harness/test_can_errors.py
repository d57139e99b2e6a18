"""Fault confinement: error frames, error counters, error-passive, bus-off, recovery. Bits at 500 kbit/s are 2 us."""

from __future__ import annotations

import pytest

from hil.can.bits import measure
from hil.can.frame import Frame
from hil.can.node import NodeState
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.faults import Fault
from hil.noise import Streams
from hil.units import ms, s, us

BIT_NS = 2 * us
FRAME = Frame(0x000, bytes(8))
FRAME_BITS = 124


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def lines():
    return []


@pytest.fixture
def wire(clock, lines):
    return CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"), log=lines.append)


def corrupt(wire, **parameters):
    return wire.apply(Fault("bus_a", "corrupt", parameters=parameters))


def test_a_corrupted_frame_is_flagged_at_once_and_sent_again(clock, wire):
    engine, fts, heard = wire.attach("engine"), wire.attach("fts"), []
    fts.on_frame(heard.append)
    corrupt(wire, bit=40, count=1)
    engine.send(FRAME)

    clock.sleep(1 * ms)

    error_frame = 41 + 6 + 6 + 8
    assert [frame.start_ns for frame in heard] == [(error_frame + 3) * BIT_NS]
    assert wire.stats.error_frames == 1


def test_an_error_costs_the_sender_eight_and_a_receiver_one_and_a_good_frame_gives_one_back(clock, wire):
    engine, fts = wire.attach("engine"), wire.attach("fts")
    corrupt(wire, bit=40, count=2)
    engine.send(FRAME)
    clock.sleep(3 * 61 * BIT_NS)
    assert (engine.tec, fts.rec) == (16, 2)

    clock.sleep(1 * ms)

    assert (engine.tec, fts.rec) == (15, 1)


def test_constant_bit_errors_lead_to_bus_off_after_exactly_32_error_frames(clock, wire, lines):
    engine = wire.attach("engine", auto_recover=False)
    wire.attach("fts")
    corrupt(wire, bit=40)
    engine.send(FRAME)

    clock.sleep(1 * s)

    assert engine.state is NodeState.BUS_OFF
    assert wire.stats.error_frames == len(lines) == 32
    assert lines[-1].split()[2].startswith("200000C8#")


def test_a_node_is_error_passive_after_16_error_frames_and_then_gives_way_by_eight_bits(clock, wire):
    engine = wire.attach("engine")
    wire.attach("fts")
    corrupt(wire, bit=40, count=17)
    engine.send(FRAME)
    error_frame = (41 + 6 + 6 + 8 + 3) * BIT_NS
    clock.sleep(16 * error_frame)
    assert engine.state is NodeState.ERROR_PASSIVE
    assert engine.tec == 128

    clock.sleep(8 * BIT_NS + error_frame - 3 * BIT_NS)

    assert engine.tec == 136


def test_a_passive_sender_lets_another_node_go_first(clock, wire):
    engine, fts, heard = wire.attach("engine"), wire.attach("fts"), []
    wire.attach("ear").on_frame(heard.append)
    corrupt(wire, bit=40, node="engine", count=16)
    engine.send(Frame(0x000))
    clock.sleep(15 * 64 * BIT_NS + 61 * BIT_NS)
    fts.send(Frame(0x7FF))

    clock.sleep(1 * ms)

    assert [frame.arbitration_id for frame in heard] == [0x7FF, 0x000]


def test_a_passive_node_is_active_again_when_both_counters_are_below_128(clock, wire):
    engine = wire.attach("engine")
    wire.attach("fts")
    corrupt(wire, bit=40, count=16)
    engine.send(FRAME)
    clock.sleep(10 * ms)
    assert (engine.tec, engine.state) == (127, NodeState.ERROR_ACTIVE)


def test_a_receiver_becomes_passive_too_and_falls_to_120_with_the_next_good_frame(clock, wire):
    for name in ("a", "b", "c", "d", "e"):
        wire.attach(name).send(FRAME._replace(arbitration_id=ord(name)))
    ear = wire.attach("ear")
    undo = corrupt(wire, bit=40)
    clock.wait(1 * s, lambda: ear.rec == 128)
    assert ear.state is NodeState.ERROR_PASSIVE
    undo()

    clock.wait(2 * s, lambda: wire.stats.frames == 1)

    assert ear.rec == 120


def test_bus_off_forgets_what_was_queued_and_refuses_more(clock, wire):
    engine = wire.attach("engine", auto_recover=False)
    wire.attach("fts")
    corrupt(wire, bit=40)
    for identifier in (1, 2, 3):
        engine.send(Frame(identifier))
    clock.sleep(1 * s)
    assert engine.discarded == 3
    assert engine.send(FRAME) is False


def test_a_node_that_goes_bus_off_while_it_leaves_is_gone(clock, wire):
    engine = wire.attach("engine")
    wire.attach("fts")
    corrupt(wire, bit=40)
    engine.send(FRAME)
    engine.detach()
    clock.sleep(1 * s)
    assert wire.nodes == ["fts"]


def bus_off(clock, wire, node):
    """Drive a node to bus-off; returns the instant at which the wire is idle after it."""
    undo = corrupt(wire, bit=40, node=node.name)
    node.send(FRAME)
    clock.wait(None, lambda: node.state is NodeState.BUS_OFF)
    undo()
    return clock.now + 3 * BIT_NS


def test_bus_off_ends_after_128_times_11_recessive_bits_on_an_idle_wire(clock, wire):
    engine = wire.attach("engine")
    wire.attach("fts")
    idle_ns = bus_off(clock, wire, engine)

    clock.wait(None, lambda: engine.state is NodeState.ERROR_ACTIVE)

    assert clock.now == idle_ns + 128 * 11 * BIT_NS
    assert (engine.tec, engine.rec) == (0, 0)


def test_on_a_busy_wire_each_frame_counts_as_one_of_the_128_sequences(clock, wire):
    engine, fts = wire.attach("engine"), wire.attach("fts", tx_depth=500)
    wire.attach("ear")
    idle_ns = bus_off(clock, wire, engine)
    for _ in range(200):
        fts.send(FRAME)

    clock.wait(None, lambda: engine.state is NodeState.ERROR_ACTIVE)

    assert clock.now == idle_ns + 128 * (FRAME_BITS + 3) * BIT_NS


def test_idle_time_between_frames_counts_too(clock, wire):
    engine, fts = wire.attach("engine"), wire.attach("fts")
    wire.attach("ear")
    idle_ns = bus_off(clock, wire, engine)
    clock.at(idle_ns + 100 * 11 * BIT_NS, lambda: fts.send(FRAME))

    clock.wait(None, lambda: engine.state is NodeState.ERROR_ACTIVE)

    assert clock.now == idle_ns + (127 * 11 + FRAME_BITS + 3) * BIT_NS


def test_without_auto_recovery_a_node_stays_off_until_it_is_told(clock, wire):
    engine = wire.attach("engine", auto_recover=False)
    wire.attach("fts")
    bus_off(clock, wire, engine)
    clock.sleep(1 * s)
    assert engine.state is NodeState.BUS_OFF
    engine.recover()

    clock.sleep(128 * 11 * BIT_NS)

    assert engine.state is NodeState.ERROR_ACTIVE


def test_a_node_whose_stub_opens_while_it_is_off_recovers_on_its_own_piece_of_wire(clock, wire):
    engine = wire.attach("engine")
    wire.attach("fts")
    bus_off(clock, wire, engine)
    opened_ns = clock.now + 100 * us
    clock.at(opened_ns, lambda: wire.apply(Fault("bus_a.engine", "open")))
    clock.wait(None, lambda: engine.state is NodeState.ERROR_ACTIVE)
    assert clock.now == opened_ns + 128 * 11 * BIT_NS


def test_a_lone_node_repeats_for_ever_becomes_passive_and_never_bus_off(clock, wire):
    engine = wire.attach("engine")
    engine.send(FRAME)
    clock.sleep(1 * s)
    assert (engine.tec, engine.state) == (128, NodeState.ERROR_PASSIVE)
    assert wire.stats.error_frames > 3000


def test_a_missing_acknowledgement_is_flagged_after_the_ack_slot(clock, wire, lines):
    wire.attach("engine").send(FRAME)
    error_bits = FRAME_BITS - 8 + 6 + 8  # all up to the ACK slot, the flag, its delimiter
    clock.sleep(error_bits * BIT_NS)
    assert lines == [f"(0000000000.{error_bits * 2:06d}) bus_a 200000A8#0000801900000800"]


def test_a_lone_node_that_is_passive_does_not_fill_the_log(clock, wire, lines):
    wire.attach("engine").send(FRAME)
    clock.sleep(1 * s)
    assert len(lines) == 16  # one for each value of the counter


def test_the_frame_of_a_lone_node_arrives_when_another_joins(clock, wire):
    heard = []
    wire.attach("engine").send(FRAME)
    clock.sleep(100 * ms)
    wire.attach("fts").on_frame(heard.append)
    clock.sleep(1 * ms)
    assert len(heard) == 1


def test_power_off_and_on_clears_the_counters(clock, wire):
    engine = wire.attach("engine")
    engine.send(FRAME)
    clock.sleep(1 * s)
    engine.power(False)
    assert engine.state is NodeState.UNPOWERED
    engine.power(True)
    assert (engine.tec, engine.state, len(engine.queue)) == (0, NodeState.ERROR_ACTIVE, 0)


def test_a_wait_for_an_answer_that_never_comes_ends_although_a_lone_node_keeps_trying(clock, wire):
    wire.attach("engine").send(FRAME)
    assert clock.wait(2 * s, lambda: False) is False
    assert clock.now == 2 * s


def test_frame_bits_of_this_file():
    assert measure(FRAME)[1] == FRAME_BITS
