"""A controller at bit level on the frame-level bus: the segment, the bridge and the rest of the bus, no simulator."""

from __future__ import annotations

import can
import pytest
from can_pins import Board, world
from hypothesis import given, settings
from hypothesis import strategies as st
from phy_world import classic_frames

from hil.can.bits import measure
from hil.can.frame import Frame
from hil.can.phy.coding import PhyFrame, from_frame, to_frame
from hil.can.phy.events import ErrorFound, Received, Sent
from hil.errors import BusError, HilError, RtlError
from hil.faults import Fault
from hil.rtl.can.bridge import CanBridge
from hil.units import ms, us

BIT = 2 * us


def plain(frame):
    """A frame without times and sender."""
    return frame._replace(start_ns=0, at_ns=0, sender="")


def fault(target, kind, **parameters):
    return Fault(target, kind, 0, None, parameters)


@settings(max_examples=40, deadline=None)
@given(classic_frames(), st.integers(-9000, 9000), st.integers(0, 5_000))
def test_a_frame_of_a_node_reaches_the_design_and_is_acknowledged_by_it(frame, error_ppm, wait_ns):
    here = world("a", error_ppm=error_ppm)
    here.run(wait_ns)
    start = here.clock.now
    assert here["a"].send(to_frame(frame))
    here.run()
    assert [event.frame for event in here.told(Received)] == [frame]
    assert (here["a"].sent, here["a"].tec, here.wire.stats.frames) == (1, 0, 1)
    took = here.clock.now  # of the frame itself, see the log
    assert took > start


@settings(max_examples=40, deadline=None)
@given(classic_frames(), st.integers(-9000, 9000))
def test_a_frame_of_the_design_reaches_every_node_at_its_end(frame, error_ppm):
    here = world("a", "b", error_ppm=error_ppm)
    start = here.clock.now
    here.give(frame)
    here.run()
    assert here.told(Sent) == [Sent(frame)]
    (arrived,) = here.heard["a"]
    assert here.heard["b"] == [arrived]
    assert (plain(arrived), arrived.sender) == (to_frame(frame), "box")
    assert abs(arrived.start_ns - start) <= BIT // 16
    length = measure(to_frame(frame))[1] * BIT
    assert abs(arrived.at_ns - arrived.start_ns - length) <= length // 100 + BIT // 4


def test_the_log_and_the_load_have_frames_of_both():
    here = world("a", "b")
    here["a"].send(Frame(0x123, b"\x11"))
    here.run(1 * ms)
    here.give(PhyFrame(0x456, b"\x22"))
    here.run(1 * ms)
    assert [line.split()[-1] for line in here.log] == ["123#11", "456#22"]
    bits = sum(measure(Frame(ident, b"\x11"))[1] + 3 for ident in (0x123, 0x456))
    assert here.wire.stats.mean_load == pytest.approx(bits * BIT / here.clock.now, rel=0.02)


def test_the_end_of_a_played_frame_is_that_of_the_frame_level_bus():
    here = world("a", "b")
    frame, start = Frame(0x2A5, b"payload"), here.clock.now
    here["a"].send(frame)
    here.run(1 * ms)
    (arrived,) = here.heard["b"]
    assert arrived.start_ns == start
    # the sender follows the design's acknowledgement, which comes within a quantum
    assert 0 <= arrived.at_ns - start - measure(frame)[1] * BIT <= BIT // 8


@settings(max_examples=30, deadline=None)
@given(st.lists(classic_frames(), min_size=3, max_size=3, unique_by=lambda frame: measure(to_frame(frame))[0]))
def test_after_a_busy_bus_the_lowest_identifier_goes_first_whoever_has_it(frames):
    here = world("a", "b")
    here["a"].send(Frame(0, bytes(8)))
    here.run(20 * us)
    here.give(frames[0])
    here["a"].send(to_frame(frames[1]))
    here["b"].send(to_frame(frames[2]))
    here.run(3 * ms)
    order = sorted(frames, key=lambda frame: measure(to_frame(frame))[0])
    assert [from_frame(plain(frame))[:3] for frame in here.heard["b"] if frame.sender != "b"] == [
        from_frame(plain(frame))[:3]
        for frame in (Frame(0, bytes(8)), *map(to_frame, order))
        if plain(frame) != to_frame(frames[2])
    ]
    assert (here["a"].sent, here["b"].sent, len(here.told(Sent))) == (2, 1, 1)
    assert here.wire.stats.error_frames == 0


@pytest.mark.parametrize("offset_ns", [0, 100, 500, 1000, 1300, 1700, 2100, 5000])
@pytest.mark.parametrize("mine", [0x100, 0x300])
def test_a_frame_queued_around_the_designs_start_of_frame_arbitrates_or_waits(offset_ns, mine):
    here = world("a", "b")
    here.give(PhyFrame(0x200, b"design"))
    here.run(offset_ns)
    here["a"].send(Frame(mine, b"node"))
    here.run(2 * ms)
    assert sorted(frame.arbitration_id for frame in here.heard["b"]) == sorted([0x200, mine])
    joined = offset_ns <= 1300
    assert (here.heard["b"][0].arbitration_id == mine) == (joined and mine < 0x200)
    assert here.wire.stats.error_frames == 0


def test_nobody_acknowledges_the_design_while_it_is_alone():
    here = world()
    here.give(PhyFrame(0x100))
    here.run(1 * ms)
    assert here.told(Sent) == []
    assert {event.fault for event in here.told(ErrorFound)} == {"ack"}
    assert 8 <= here["box"].tec <= here.design.mac.counters.tec <= here["box"].tec + 8  # one may be under way
    node = here.wire.attach("late")
    here.run(1 * ms)
    assert here.told(Sent) == [Sent(PhyFrame(0x100))]
    assert node.received == 1


def test_a_passive_design_that_nobody_acknowledges_repeats_its_frame_for_ever():
    here = world()
    here.give(PhyFrame(0x100))
    here.run(30 * ms)
    assert here.design.mac.counters.tec == 128
    before = here.wire.stats.error_frames
    here.run(5 * ms)
    assert here.wire.stats.error_frames - before == len(here.told(ErrorFound)) - before
    assert here.wire.stats.frames == 0


def test_without_the_design_a_lone_node_is_not_acknowledged():
    here = world("a", on=False)
    here["a"].send(Frame(0x100))
    here.run(1 * ms)
    assert here["a"].tec >= 8
    here["box"].power(True)
    here.box.power(True)
    here.run(1 * ms)
    assert here["a"].sent == 1
    assert [event.frame for event in here.told(Received)] == [PhyFrame(0x100)]


def test_a_corrupted_frame_of_a_node_is_an_error_for_the_design_too():
    here = world("a", "b")
    here.wire.apply(fault("bus_a", "corrupt", id=0x123, bit=30, count=1))
    here["a"].send(Frame(0x123, b"data"))
    here.run()
    assert here.told(ErrorFound)[0].index >= 30
    assert (here.wire.stats.error_frames, here.wire.stats.frames) == (1, 1)
    assert here.design.mac.counters.rec == 0  # 1 or more for the error, less for the repetition
    assert [event.frame.data for event in here.told(Received)] == [b"data"]


@pytest.mark.parametrize("parameters", [{}, {"bit": 40}, {"id": 0x123}])
def test_a_corrupted_frame_of_the_design_is_repeated(parameters):
    here = world("a", "b")
    here.wire.apply(fault("bus_a.box", "corrupt", count=1, **parameters))
    here.give(PhyFrame(0x123, b"12345678"))
    here.run()
    assert len(here.told(ErrorFound)) == 1
    assert [plain(frame) for frame in here.heard["a"]] == [Frame(0x123, b"12345678")]
    assert (here.wire.stats.error_frames, here.design.mac.counters.tec) == (1, 7)
    assert here["box"].tec == 7


@pytest.mark.parametrize("data", [b"", bytes(8), b"\xff" * 7, bytes(range(8))])
def test_with_every_frame_destroyed_none_of_the_design_gets_through(data):
    """Runs of equal bits behind the header too: the flip is asked for while nobody looks at the bus."""
    here = world("a", "b")
    here.wire.apply(fault("bus_a", "corrupt"))
    for number in range(6):
        here.give(PhyFrame(0x2A0 + number, data))
        here.run(6 * ms)  # until it is bus-off, and back
    assert len(here.told(ErrorFound)) >= 6 * 16
    assert (here.wire.stats.frames, here.heard["a"], here.heard["b"], here.told(Sent)) == (0, [], [], [])


@pytest.mark.parametrize("bit", range(19, 27))
def test_a_bit_right_behind_the_header_of_the_design_is_flipped_in_time(bit):
    here = world("a")
    here.wire.apply(fault("bus_a.box", "corrupt", bit=bit, count=1))
    here.give(PhyFrame(0x2A0, bytes(8)))
    here.run(1 * ms)
    assert [event.index - max(bit, 20) in range(6) for event in here.told(ErrorFound)] == [True]
    assert (here.wire.stats.error_frames, len(here.heard["a"])) == (1, 1)


def test_a_fault_of_another_identifier_leaves_the_design_alone():
    here = world("a")
    here.wire.apply(fault("bus_a", "corrupt", id=0x124))
    here.give(PhyFrame(0x123, b"12345678"))
    here.run()
    assert here.wire.stats.error_frames == 0


def test_an_open_stub_separates_the_design_and_closing_it_joins_it_again():
    here = world("a", "b")
    close = here.wire.apply(fault("bus_a.box", "open"))
    here["a"].send(Frame(0x100))
    here.give(PhyFrame(0x200))
    here.run(1 * ms)
    assert [frame.arbitration_id for frame in here.heard["b"]] == [0x100]
    assert (here.told(Received), here.told(Sent)) == ([], [])
    close()
    here.run(1 * ms)
    assert here.told(Sent) == [Sent(PhyFrame(0x200))]
    assert [frame.arbitration_id for frame in here.heard["b"]] == [0x100, 0x200]


def test_the_stub_opens_in_a_frame_that_is_played_and_the_others_go_on():
    here = world("a", "b")
    here["a"].send(Frame(0x100, b"12345678"))
    here.run(100 * us)
    here.wire.apply(fault("bus_a.box", "open"))
    here.run(1 * ms)
    assert [frame.data for frame in here.heard["b"]] == [b"12345678"]
    assert here.wire.stats.error_frames == 0
    assert here.told(ErrorFound) != []


def test_power_lost_in_a_frame_of_the_design_is_an_error_frame():
    here = world("a", "b")
    here.give(PhyFrame(0x100, b"12345678"))
    here.run(100 * us)
    here.box.power(False)
    here["box"].power(False)
    here.run(1 * ms)
    assert here.heard["a"] == []
    assert here.wire.stats.error_frames == 1
    here["a"].send(Frame(0x101))
    here.run(1 * ms)
    assert len(here.heard["b"]) == 1


def test_power_lost_in_a_frame_of_a_node_leaves_that_frame_whole():
    here = world("a", "b")
    here["a"].send(Frame(0x100, b"12345678"))
    here.run(100 * us)
    here.box.power(False)
    here["box"].power(False)
    here.run(1 * ms)
    assert [frame.data for frame in here.heard["b"]] == [b"12345678"]
    assert here.wire.stats.error_frames == 0


@pytest.mark.parametrize("into_us", [1, 50, 150, 200])
def test_power_that_comes_in_a_frame_finds_the_rest_of_it(into_us):
    here = world("a", "b", on=False)
    here["a"].send(Frame(0x100, b"12345678"))
    here.run(into_us * us)
    here["box"].power(True)
    here.box.power(True)
    here.run(1 * ms)
    assert [frame.data for frame in here.heard["b"]] == [b"12345678"]
    assert (here.told(Received), here.told(ErrorFound), here.wire.stats.error_frames) == ([], [], 0)
    here["a"].send(Frame(0x101))
    here.run(1 * ms)
    assert [event.frame for event in here.told(Received)] == [PhyFrame(0x101)]


def test_a_sender_that_goes_in_its_frame_leaves_an_error():
    here = world("a", "b")
    here["a"].send(Frame(0x100, b"12345678"))
    here.run(100 * us)
    here["a"].power(False)
    here.run(1 * ms)
    assert [event.fault for event in here.told(ErrorFound)] == ["stuff"]
    assert (here.heard["b"], here.wire.stats.error_frames) == ([], 1)
    here["b"].send(Frame(0x101))
    here.run(1 * ms)
    assert [event.frame for event in here.told(Received)] == [PhyFrame(0x101)]


def test_a_node_that_joins_in_a_frame_of_the_design_does_not_acknowledge_it():
    here = world()
    here.give(PhyFrame(0x100, b"12345678"))
    here.run(50 * us)
    here.wire.attach("late")
    here.run(160 * us)
    assert here.told(Sent) == []
    here.run(1 * ms)
    assert here.told(Sent) == [Sent(PhyFrame(0x100, b"12345678"))]


def test_overload_frames_of_the_design_put_the_next_frame_off():
    here = world("a", "b")
    here.design.mac.overloads = 2
    for number in range(2):
        here["a"].send(Frame(0x100 + number))
    here.run(2 * ms)
    first, second = here.heard["b"]
    assert second.start_ns - first.at_ns >= (2 * 14 + 3) * BIT
    assert here.wire.stats.error_frames == 0


def test_a_design_whose_every_frame_is_destroyed_goes_bus_off_and_comes_back():
    here = world("a", "b")
    clear = here.wire.apply(fault("bus_a.box", "corrupt", bit=30))
    here.give(PhyFrame(0x100, b"12345678"))
    here.run(10 * ms)
    assert here.design.mac.off or here.design.mac.counters.tec == 0
    assert here["box"].state.value == "bus-off"
    clear()
    here.give(PhyFrame(0x101))
    here.run(10 * ms)
    assert [frame.arbitration_id for frame in here.heard["a"]] == [0x101]
    assert here["box"].state.value == "error-active"


def test_unchanged_python_can_code_talks_to_the_design():
    here = world()
    with can.Bus(interface="hil", channel="bus_a", bitrate=500_000) as bus:
        bus.send(can.Message(arbitration_id=0x123, data=b"ping", is_extended_id=False))
        here.run(500 * us)
        here.give(PhyFrame(0x1ABCDEF0, b"pong", extended=True))
        message = bus.recv(0.001)
    assert [event.frame for event in here.told(Received)] == [PhyFrame(0x123, b"ping")]
    assert (message.arbitration_id, bytes(message.data), message.is_extended_id) == (0x1ABCDEF0, b"pong", True)


def test_a_second_controller_at_bit_level_is_refused():
    here = world("a")
    with pytest.raises(BusError, match="box takes part at bit level already, so a cannot"):
        CanBridge(here["a"], Board(here.clock), "can")


def test_what_cannot_be_played_is_refused():
    here = world("a", on=False)
    node = here.wire.attach("other")
    with pytest.raises(RtlError, match=r"no CAN controller \[bind.lamp\]; CAN bindings: can"):
        CanBridge(node, Board(here.clock), "lamp")
    with pytest.raises(RtlError, match=r"lookahead_us = 5.0 with a CAN controller"):
        CanBridge(node, Board(here.clock, lookahead_us=5.0), "can")


def test_frames_of_the_node_come_from_the_design_alone():
    here = world("a")
    with pytest.raises(BusError, match="its frames come from its own logic"):
        here["box"].send(Frame(0x100))


@pytest.mark.parametrize("kind", ["drop", "delay", "duplicate", "garble", "babble", "silent"])
def test_a_fault_that_needs_the_nodes_queue_is_refused(kind):
    here = world("a")
    with pytest.raises(HilError, match=f"fault '{kind}' on bus_a.box: node box is a controller in RTL"):
        here.wire.apply(fault("bus_a.box", kind))


def test_a_bit_rate_that_cannot_be_played_is_refused_before_anything_runs():
    here = world("a", on=False)
    here.wire.close()
    from hil.can.wire import CanWire

    wire = CanWire(here.clock, "odd", 83_333, here.wire.rng)
    with pytest.raises(BusError, match="83333 bit/s: a sixteenth"):
        CanBridge(wire.attach("box"), Board(here.clock), "can")
