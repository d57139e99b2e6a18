"""The simulated wire: frame times, arbitration, delivery, load."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.can.bits import measure
from hil.can.frame import Frame
from hil.can.wire import CanWire, find_wire, open_channels
from hil.clock import Phase, VirtualClock
from hil.errors import BusError, ClockError
from hil.faults import Fault
from hil.noise import Streams
from hil.units import ms, s, us

BIT_NS = 2 * us  # 500 kbit/s


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def lines():
    return []


@pytest.fixture
def wire(clock, lines):
    return CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"), log=lines.append)


@pytest.fixture
def heard(wire):
    """What the node ``ear`` has received; it never sends."""
    frames = []
    wire.attach("ear").on_frame(frames.append)
    return frames


def bits(frame):
    return measure(frame)[1]


def test_a_frame_arrives_at_its_end_of_frame_to_the_bit(clock, wire, heard):
    wire.attach("engine").send(Frame(0x000, bytes(8)))

    clock.sleep(1 * ms)

    assert heard == [Frame(0x000, bytes(8), start_ns=0, at_ns=124 * BIT_NS, sender="engine")]


def test_the_next_frame_starts_after_an_intermission_of_three_bits(clock, wire, heard):
    engine = wire.attach("engine")
    engine.send(Frame(0x100))
    engine.send(Frame(0x101))

    clock.sleep(1 * ms)

    assert heard[1].start_ns == heard[0].at_ns + 3 * BIT_NS


def test_a_bit_rate_that_is_no_whole_number_of_ns_is_rounded_per_frame(clock):
    wire = CanWire(clock, "slow", 83_333, Streams(1).stream("slow", "wire"))
    heard = []
    wire.attach("ear").on_frame(heard.append)
    wire.attach("engine").send(Frame(0x000, bytes(8)))

    clock.sleep(2 * ms)

    assert heard[0].at_ns == round(124e9 / 83_333)


def test_all_frames_queued_in_one_instant_are_arbitrated_whoever_came_first(clock, wire, heard):
    low, high = wire.attach("low"), wire.attach("high")
    low.send(Frame(0x200))
    clock.at(0, lambda: high.send(Frame(0x100)), Phase.OBSERVE)

    clock.sleep(1 * ms)

    assert [frame.arbitration_id for frame in heard] == [0x100, 0x200]


def test_a_frame_that_has_started_is_not_interrupted(clock, wire, heard):
    low, high = wire.attach("low"), wire.attach("high")
    low.send(Frame(0x200))
    clock.at(1, lambda: high.send(Frame(0x100)))

    clock.sleep(1 * ms)

    assert [frame.arbitration_id for frame in heard] == [0x200, 0x100]


def test_a_frame_queued_during_the_intermission_takes_part_in_the_arbitration_after_it(clock, wire, heard):
    low, high = wire.attach("low"), wire.attach("high")
    low.send(Frame(0x200))
    low.send(Frame(0x201))
    clock.at((bits(Frame(0x200)) + 3) * BIT_NS, lambda: high.send(Frame(0x100)), Phase.OBSERVE)

    clock.sleep(1 * ms)

    assert [frame.arbitration_id for frame in heard] == [0x200, 0x100, 0x201]


@given(st.lists(st.tuples(st.integers(0, 0x7FF), st.booleans()), min_size=2, max_size=12, unique=True))
def test_frames_pending_at_once_go_in_wire_order(identifiers):
    clock, heard = VirtualClock(), []
    wire = CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"))
    wire.attach("ear").on_frame(heard.append)
    for index, (identifier, extended) in enumerate(identifiers):
        wire.attach(f"node_{index}").send(Frame(identifier << (18 if extended else 0), b"", extended))

    clock.sleep(10 * ms)

    expected = sorted(identifiers)  # at equal base identifiers the standard frame wins: its IDE bit is dominant
    assert [(frame.arbitration_id >> (18 if frame.extended else 0), frame.extended) for frame in heard] == expected


def reference_order(requests):
    """The identifiers and starts [bit] a bus of FIFO nodes gives, by asking every node whenever the wire is idle."""
    waiting = {node: [entry for entry in sorted(requests) if entry[1] == node] for _, node, _ in requests}
    bit, order = 0, []
    while any(waiting.values()):
        heads = [queue[0] for queue in waiting.values() if queue]
        bit = max(bit, min(when for when, _, _ in heads))
        _, node, identifier = min((head for head in heads if head[0] <= bit), key=lambda head: head[2])
        waiting[node].pop(0)
        order.append((identifier, bit))
        bit += bits(Frame(identifier)) + 3
    return order


@given(
    st.lists(
        st.tuples(st.integers(0, 600), st.integers(0, 4), st.integers(0, 0x7FF)), max_size=20, unique_by=lambda e: e[2]
    )
)
def test_any_traffic_goes_as_an_independent_simulation_of_the_bus_says(requests):
    clock, heard = VirtualClock(), []
    wire = CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"))
    wire.attach("ear").on_frame(heard.append)
    nodes = [wire.attach(f"node_{number}") for number in range(5)]
    for when, node, identifier in sorted(requests):
        clock.at(when * BIT_NS, lambda node=node, identifier=identifier: nodes[node].send(Frame(identifier)))

    clock.sleep(100 * ms)

    assert [(frame.arbitration_id, frame.start_ns // BIT_NS) for frame in heard] == reference_order(requests)


@pytest.mark.parametrize(("policy", "order"), [("fifo", [0x300, 0x100, 0x200]), ("priority", [0x100, 0x200, 0x300])])
def test_a_node_sends_in_the_order_of_its_policy(clock, wire, heard, policy, order):
    engine = wire.attach("engine", tx_policy=policy)
    for identifier in (0x300, 0x100, 0x200):
        engine.send(Frame(identifier))

    clock.sleep(1 * ms)

    assert [frame.arbitration_id for frame in heard] == order


def test_a_priority_queue_keeps_the_frame_on_the_wire(clock, wire, heard):
    engine = wire.attach("engine", tx_policy="priority")
    engine.send(Frame(0x300))
    clock.sleep(10 * us)
    engine.send(Frame(0x100))

    clock.sleep(1 * ms)

    assert [frame.arbitration_id for frame in heard] == [0x300, 0x100]


def test_a_full_queue_refuses_and_counts(wire):
    engine = wire.attach("engine", tx_depth=2)
    assert [engine.send(Frame(identifier)) for identifier in (1, 2, 3)] == [True, True, False]
    assert engine.refused == 1


def test_every_node_but_the_sender_hears_a_frame_and_the_sender_is_told(clock, wire):
    nodes, log = {name: wire.attach(name) for name in "abc"}, []
    for name, node in nodes.items():
        node.on_frame(lambda _, name=name: log.append((name, "heard")))
        node.on_sent(lambda _, name=name: log.append((name, "sent")))
    nodes["b"].send(Frame(1))

    clock.sleep(1 * ms)

    assert sorted(log) == [("a", "heard"), ("b", "sent"), ("c", "heard")]


def test_a_node_takes_the_identifiers_it_accepts_and_acknowledges_all(clock, wire):
    frames, ear, engine = [], wire.attach("ear"), wire.attach("engine")
    ear.on_frame(frames.append, accept=[(0x10, False), (0x11, True)])
    sent = [Frame(0x10), Frame(0x10, extended=True), Frame(0x11), Frame(0x11, extended=True), Frame(0x10, remote=True)]
    for frame in sent:
        engine.send(frame)

    clock.sleep(10 * ms)

    assert [(frame.arbitration_id, frame.extended, frame.remote) for frame in frames] == [
        (0x10, False, False),
        (0x11, True, False),
    ]
    assert (ear.received, engine.sent, engine.tec) == (2, 5, 0)


def test_two_listeners_of_a_node_each_take_what_they_accept(clock, wire):
    log, ear, engine = [], wire.attach("ear"), wire.attach("engine")
    stop = ear.on_frame(lambda frame: log.append(("ten", frame.arbitration_id)), accept=[(10, False)])
    ear.on_frame(lambda frame: log.append(("all", frame.arbitration_id)))
    engine.send(Frame(10))
    engine.send(Frame(11))
    clock.sleep(1 * ms)
    stop()
    engine.send(Frame(10))

    clock.sleep(1 * ms)

    assert log == [("ten", 10), ("all", 10), ("all", 11), ("all", 10)]


def test_a_node_without_a_listener_has_no_filter(clock, wire):
    ear, engine = wire.attach("ear"), wire.attach("engine")
    engine.send(Frame(10))
    clock.sleep(1 * ms)
    assert ear.received == 1


def test_a_node_counts_error_free_frames_down_whether_it_accepts_them_or_not(clock, wire):
    ear, engine = wire.attach("ear"), wire.attach("engine")
    ear.on_frame(lambda _: None, accept=[(10, False)])
    clear = wire.apply(Fault("bus_a", "corrupt", parameters={"count": 3}))
    engine.send(Frame(20))
    clock.sleep(10 * ms)
    clear()
    assert ear.rec == 2  # three errors up, one good frame down
    engine.send(Frame(20))
    engine.send(Frame(20))
    clock.sleep(10 * ms)
    assert (ear.rec, ear.received) == (0, 0)


def test_a_frame_that_nobody_accepts_is_not_lost_to_an_overrun(clock, wire):
    ear, engine = wire.attach("ear"), wire.attach("engine")
    ear.on_frame(lambda _: None, accept=[(10, False)])
    wire.apply(Fault("bus_a", "drop"))
    for identifier in (10, 20):
        engine.send(Frame(identifier))
    clock.sleep(1 * ms)
    assert (ear.overruns, ear.received) == (1, 0)


def test_a_filter_goes_with_its_node_to_a_cut_off_part_of_the_bus(clock, wire):
    frames = []
    ear, engine = wire.attach("ear"), wire.attach("engine")
    ear.on_frame(frames.append, accept=[(10, False)])
    mend = wire.apply(Fault("bus_a", "open", parameters={"beyond": "ear, engine"}))
    engine.send(Frame(10))
    clock.sleep(1 * ms)
    mend()
    engine.send(Frame(10))
    engine.send(Frame(11))
    clock.sleep(1 * ms)
    assert [frame.arbitration_id for frame in frames] == [10, 10]


def test_more_identifiers_than_are_remembered_reach_their_readers(clock, wire):
    frames, ear, engine = [], wire.attach("ear"), wire.attach("engine", tx_depth=10_000)
    ear.on_frame(frames.append, accept=[(number, True) for number in range(0, 10_000, 100)])
    for _ in range(2):
        for number in range(5_000):
            engine.send(Frame(number, extended=True))
        clock.sleep(2 * s)
    assert [frame.arbitration_id for frame in frames] == [*range(0, 5_000, 100)] * 2


def test_a_listener_that_was_stopped_hears_no_more(clock, wire):
    frames, ear, engine = [], wire.attach("ear"), wire.attach("engine")
    stop = ear.on_frame(frames.append)
    engine.send(Frame(1))
    clock.sleep(1 * ms)
    stop()
    engine.send(Frame(2))

    clock.sleep(1 * ms)

    assert [frame.arbitration_id for frame in frames] == [1]


def test_one_call_registered_twice_ends_once_at_a_time(clock, wire):
    frames, ear, engine = [], wire.attach("ear"), wire.attach("engine")
    stop = ear.on_frame(frames.append)
    ear.on_frame(frames.append)
    stop()
    stop()
    engine.send(Frame(1))
    clock.sleep(1 * ms)
    assert len(frames) == 1


def test_a_node_may_answer_from_its_callback(clock, wire, heard):
    fts = wire.attach("fts")
    fts.on_frame(lambda frame: frame.arbitration_id == 0x10 and fts.send(Frame(0x11)))
    wire.attach("tester").send(Frame(0x10))

    clock.sleep(1 * ms)

    assert heard[1].start_ns == heard[0].at_ns + 3 * BIT_NS


def test_an_unpowered_node_neither_sends_nor_hears(clock, wire, heard):
    fts, engine = wire.attach("fts"), wire.attach("engine")
    fts.on_frame(lambda _: pytest.fail("it has no power"))
    fts.power(False)

    assert fts.send(Frame(1)) is False
    engine.send(Frame(2))
    clock.sleep(1 * ms)
    assert [frame.arbitration_id for frame in heard] == [2]


def test_losing_power_in_the_middle_of_a_frame_cuts_it_and_the_others_see_an_error(clock, wire, heard):
    engine, fts = wire.attach("engine"), wire.attach("fts")
    engine.send(Frame(0x100, bytes(8)))
    clock.sleep(50 * us)
    engine.power(False)
    fts.send(Frame(0x200))

    clock.sleep(1 * ms)

    assert [frame.arbitration_id for frame in heard] == [0x200]
    assert heard[0].start_ns == 50 * us + (6 + 6 + 8 + 3) * BIT_NS
    assert wire.stats.error_frames == 1


def test_a_node_attached_in_the_middle_of_a_frame_hears_only_the_next(clock, wire, heard):
    engine, late = wire.attach("engine"), []
    engine.send(Frame(1, bytes(8)))
    engine.send(Frame(2))
    clock.sleep(50 * us)
    wire.attach("late").on_frame(late.append)

    clock.sleep(1 * ms)

    assert [frame.arbitration_id for frame in late] == [2]


def test_a_node_leaves_when_its_queue_is_sent(clock, wire, heard):
    engine = wire.attach("engine")
    engine.send(Frame(1))
    engine.send(Frame(2))
    engine.detach()
    assert engine.send(Frame(3)) is True

    clock.sleep(1 * ms)

    assert len(heard) == 3
    assert wire.nodes == ["ear"]


def test_a_leaving_node_that_loses_power_or_its_queue_is_gone_at_once(clock, wire, heard):
    engine, fts = wire.attach("engine"), wire.attach("fts")
    for node in (engine, fts):
        node.send(Frame(1))
        node.detach()
    engine.power(False)
    fts.flush()
    assert wire.nodes == ["ear"]
    with pytest.raises(BusError, match="'engine' has been detached from its bus; attach it again"):
        engine.power(True)


def test_a_closed_wire_has_no_nodes_and_nothing_to_do(clock, wire, heard):
    wire.attach("engine").send(Frame(1))
    wire.close()
    wire.close()
    assert wire.nodes == []
    clock.sleep(1 * ms)
    assert heard == []
    assert clock.idle


def test_names_on_a_wire_are_unique_until_the_node_is_detached(wire):
    engine = wire.attach("engine")
    with pytest.raises(BusError, match="bus bus_a has a node 'engine' already"):
        wire.attach("engine")
    engine.detach()
    assert wire.attach("engine").state.value == "error-active"


def test_an_unknown_node_is_named_with_the_nearest(wire):
    wire.attach("engine")
    with pytest.raises(BusError, match="no node 'engin'; did you mean engine"):
        wire.node("engin")


def test_load_counts_frames_with_stuff_bits_and_intermissions(clock, wire, heard):
    engine = wire.attach("engine")
    clock.every(1 * ms, lambda: engine.send(Frame(0x000, bytes(8))))

    clock.sleep(2 * s)

    assert wire.load(1 * s) == pytest.approx(127 * BIT_NS / ms, abs=1e-3)
    assert wire.stats.mean_load == pytest.approx(127 * BIT_NS / ms, abs=1e-3)
    assert wire.stats.frames == 2_001 - 1  # the last one is still on the wire


def test_load_of_a_window_shorter_than_a_frame_is_all(clock, wire, heard):
    wire.attach("engine").send(Frame(0x000, bytes(8)))
    clock.sleep(100 * us)
    assert wire.load(10 * us) == 1.0


def test_load_of_back_to_back_frames_is_one(clock, wire, heard):
    engine = wire.attach("engine", tx_depth=1000)
    for _ in range(1000):
        engine.send(Frame(0x123, bytes(8)))
    clock.sleep(100 * ms)
    assert wire.load(50 * ms) == 1.0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12 * s)), min_size=1, max_size=25), st.integers(1, 10 * s))
def test_load_is_the_time_of_all_frames_in_the_window(gaps, window_ns):
    clock, frames = VirtualClock(), []
    wire = CanWire(clock, "bus_l", 500_000, Streams(1).stream("bus_l", "wire"))
    engine = wire.attach("engine")
    wire.attach("ear").on_frame(frames.append)
    for count, gap_ns in gaps:
        for _ in range(count):
            engine.send(Frame(0x123, bytes(8)))
        clock.sleep(gap_ns)
    clock.sleep(30 * ms)  # every frame has been on the wire
    begin = max(0, clock.now - window_ns)
    ends = [(frame.start_ns, frame.at_ns + 3 * BIT_NS) for frame in frames]
    busy_ns = sum(max(0, min(end, clock.now) - max(start, begin)) for start, end in ends)
    assert wire.load(window_ns) == pytest.approx(busy_ns / (clock.now - begin), abs=1e-12)


def test_load_of_more_than_the_history_is_refused(wire):
    with pytest.raises(BusError, match="a load window of 20 s is outside 1 ns to 10 s"):
        wire.load(20 * s)


def test_two_nodes_with_the_same_frame_at_once_both_succeed(clock, wire, heard):
    left, right = wire.attach("left"), wire.attach("right")
    left.send(Frame(0x100, b"\x01"))
    right.send(Frame(0x100, b"\x01"))

    clock.sleep(1 * ms)

    assert len(heard) == 1
    assert (left.sent, right.sent) == (1, 1)


def test_two_nodes_with_one_identifier_and_other_data_destroy_each_other_until_bus_off(clock, wire, heard):
    left, right = wire.attach("left", auto_recover=False), wire.attach("right", auto_recover=False)
    left.send(Frame(0x100, b"\x01"))
    right.send(Frame(0x100, b"\x02"))

    clock.sleep(50 * ms)

    assert heard == []
    assert left.state.value == right.state.value == "bus-off"


def test_a_send_from_another_thread_is_refused_with_the_remedy(clock, wire):
    engine, problems = wire.attach("engine"), []
    engine.send(Frame(1))

    def foreign():
        try:
            engine.send(Frame(2))
        except ClockError as problem:
            problems.append(str(problem))

    thread = threading.Thread(target=foreign)
    thread.start()
    thread.join()
    assert "clock.post(fn)" in problems[0]
    assert len(engine.queue) == 1


def test_the_newest_open_wire_of_a_name_is_found_until_it_is_closed(clock, wire):
    assert find_wire("bus_a") is wire
    newer = CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"))
    assert find_wire("bus_a") is newer
    newer.close()
    assert "bus_a" not in open_channels()


def test_the_registry_keeps_no_wire_alive(clock):
    CanWire(clock, "forgotten", 500_000, Streams(1).stream("bus_a", "wire"))
    assert find_wire("forgotten") is None


@pytest.mark.parametrize(
    ("name", "bitrate_bps", "why"),
    [
        ("bus a", 500_000, "does not fit a frame log"),
        ("0", 500_000, "a letter"),
        ("a", 2_000_000, "outside 1 to 1 000 000"),
    ],
)
def test_a_wire_that_cannot_be_is_refused(clock, name, bitrate_bps, why):
    with pytest.raises(BusError, match=why):
        CanWire(clock, name, bitrate_bps, Streams(1).stream("bus_a", "wire"))
