"""Bit-level controllers on a line: traffic, arbitration, oscillators, delays; no simulator."""

from __future__ import annotations

import phy_world as world
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hil.can.bits import arbitration_key
from hil.can.phy.coding import TAIL_BITS, PhyFrame, encode
from hil.can.phy.events import ArbitrationLost, Received, Sent
from hil.can.phy.mac import Mac
from hil.can.phy.node import Node
from hil.can.phy.timing import BitTiming, Oscillator, PhyTiming, timing_for
from hil.errors import BusError

TOLERANCE = world.CLASSIC.tolerance_ppm
BUSY = settings(max_examples=40, deadline=None)
# the longest way between falling edges: five dominant, five recessive, again and again
LONG_RUNS = PhyFrame(0x078, bytes([0x3C] * 8))


def key(frame):
    return arbitration_key(frame.arbitration_id, frame.extended, frame.remote)


@BUSY
@given(st.lists(world.classic_frames(), min_size=1, max_size=4), st.integers(0, 3))
def test_every_frame_reaches_every_other_node(frames, sender):
    line, nodes = world.line_of(0, 3000, -4000, 700, macs=[world.plain_mac() for _ in range(4)])
    for frame in frames:
        line.send(nodes[sender], frame)
    line.run(2_000 * world.US)
    assert world.sent(line, nodes[sender]) == frames
    assert all(world.received(line, node) == frames for node in nodes if node is not nodes[sender])
    assert world.faults(line, nodes) == []


@BUSY
@given(st.lists(st.one_of(world.fd_frames(), world.classic_frames()), min_size=1, max_size=3))
def test_fd_and_classic_frames_share_a_bus(frames):
    line, nodes = world.line_of(0, 500, -500, timing=world.FD)
    for frame in frames:
        line.send(nodes[1], frame)
    line.run(4_000 * world.US)
    assert world.sent(line, nodes[1]) == frames
    assert world.received(line, nodes[0]) == world.received(line, nodes[2]) == frames
    assert world.faults(line, nodes) == []


@BUSY
@given(st.lists(world.classic_frames(), min_size=2, max_size=5, unique_by=key))
def test_the_lowest_key_wins_and_the_losers_follow_in_order(frames):
    line, (watch, *nodes) = world.line_of(0, *range(-2000, 3000, 1000))
    for node, frame in zip(nodes, frames, strict=False):
        line.send(node, frame)
    line.run(3_000 * world.US)
    order = sorted(frames, key=key)
    assert world.received(line, watch) == order
    assert world.faults(line, [watch, *nodes]) == []
    losers = [node for node, frame in zip(nodes, frames, strict=False) if frame is not order[0]]
    assert all(any(isinstance(event, ArbitrationLost) for event in line.told(node)) for node in losers)


@pytest.mark.parametrize("frame", [PhyFrame(0x2A5, b"data"), PhyFrame(0x1234567, b"\0\0\0", extended=True)])
def test_a_frame_takes_its_bits_and_no_more(frame):
    line, (one, _) = world.line_of(0, 0)
    line.send(one, frame)
    line.run(500 * world.US)
    told = next(told for told in line.stamped(one) if isinstance(told.event, Sent))
    assert told.start_ps == 50 * world.US
    # the other's acknowledgement is its own edge, at most a quantum late, which the sender follows
    late = told.end_ps - told.start_ps - (len(encode(frame)) + TAIL_BITS) * world.BIT
    assert 0 <= late < 2 * world.BIT // 16


def test_frames_back_to_back_have_three_bits_between():
    line, (one, _) = world.line_of(0, 0)
    line.send(one, PhyFrame(0x100))
    line.send(one, PhyFrame(0x101))
    line.run(400 * world.US)
    first, second = (told for told in line.stamped(one) if isinstance(told.event, Sent))
    assert second.start_ps - first.end_ps == 3 * world.BIT


@BUSY
@given(st.lists(world.classic_frames(), min_size=1, max_size=3), st.integers(-TOLERANCE, TOLERANCE), st.booleans())
def test_oscillators_within_the_tolerance_never_cause_an_error(frames, error_ppm, opposed):
    line, nodes = world.line_of(error_ppm, -error_ppm if opposed else 0)
    for frame in [*frames, LONG_RUNS]:
        line.send(nodes[0], frame)
    line.run(2_000 * world.US)
    assert world.sent(line, nodes[0]) == [*frames, LONG_RUNS]
    assert world.faults(line, nodes) == []


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([BitTiming(1, 7, 7, 2), BitTiming(7, 4, 4, 4), BitTiming(3, 2, 2, 1)]), st.booleans())
def test_oscillators_far_outside_the_tolerance_do(bit, fast):
    timing = PhyTiming(2 * world.US // bit.quanta, bit)
    outside = timing.tolerance_ppm * (3 if fast else -3)
    line, nodes = world.line_of(outside, -outside, timing=timing)
    line.send(nodes[0], LONG_RUNS)
    line.run(2_000 * world.US)
    assert world.faults(line, nodes) != []
    line, nodes = world.line_of(outside // 3, -outside // 3, timing=timing)
    line.send(nodes[0], LONG_RUNS)
    line.run(2_000 * world.US)
    assert world.faults(line, nodes) == []


def test_fd_oscillators_within_the_tolerance_never_cause_an_error():
    far = world.FD.tolerance_ppm
    line, nodes = world.line_of(far, -far, timing=world.FD)
    frames = [PhyFrame(0x078, bytes([0x3C] * 64), fd=True, brs=brs) for brs in (True, False)]
    for frame in frames:
        line.send(nodes[0], frame)
    line.run(4_000 * world.US)
    assert world.received(line, nodes[1]) == frames
    assert world.faults(line, nodes) == []


@BUSY
@given(st.lists(world.classic_frames(), min_size=3, max_size=3, unique_by=key), st.integers(0, 300))
def test_arbitration_works_over_the_delay_the_propagation_segment_covers(frames, delay_ns):
    line, nodes = world.line_of(0, 0, 0, delays_ps=[0, 1000 * delay_ns // 2, 1000 * delay_ns // 2])
    for node, frame in zip(nodes, frames, strict=True):
        line.send(node, frame)
    line.run(2_000 * world.US)
    assert world.faults(line, nodes) == []
    assert [len(world.sent(line, node)) for node in nodes] == [1, 1, 1]


def test_a_line_longer_than_the_propagation_segment_fails():
    line, nodes = world.line_of(0, 0, delays_ps=[0, 1_000_000])  # there and back: two bits of 1 Mbit/s
    line.send(nodes[0], PhyFrame(0x100))
    line.run(300 * world.US)
    assert world.faults(line, nodes) != []


class Eager(Mac):
    """A controller that looks at every bit."""

    def patience(self, level):  # noqa: ARG002  # whatever is on the bus
        return 0, 0


@BUSY
@given(st.lists(world.classic_frames(), min_size=2, max_size=3, unique_by=key), st.integers(30, 250), st.booleans())
def test_looking_only_where_something_may_come_of_it_changes_nothing(frames, flip_us, short):
    def run(kind):
        line, nodes = world.line_of(0, 4000, -4000, macs=[kind(fd=False) for _ in range(3)])
        for node, frame in zip(nodes, frames, strict=False):
            line.send(node, frame)
        start = (50 + flip_us) * world.US
        line.flip(start, start + (world.BIT // 3 if short else 2 * world.BIT))
        line.run(4_000 * world.US)
        return [line.stamped(node) for node in nodes], [world.counts(node) for node in nodes]

    assert run(Mac) == run(Eager)


def test_an_idle_line_needs_no_attention():
    line, nodes = world.line_of(0, 100)
    assert [node.due for node in nodes] == [None, None]
    line.send(nodes[0], PhyFrame(0x100))
    assert nodes[0].due is not None


def test_a_frame_that_began_before_is_joined_in_its_middle():
    frame = PhyFrame(0x123, b"late")
    line, (one, two) = world.line_of(0, 0)
    line.send(one, frame)
    line.run(100 * world.US)
    double = Node(world.CLASSIC, world.plain_mac())
    double.mac.acknowledges_itself = True
    drives = [action for action in double.resume(100 * world.US, frame, 50 * world.US) if hasattr(action, "level")]
    level = drives[-1].level if drives else 1
    assert level == line.level
    while double.due is not None and not world.sent(line, one):
        for action in double.wake(double.due):
            level = getattr(action, "level", level)
        line.run(double.due or line.now_ps + 1)
    assert world.received(line, two) == [frame]


@given(st.integers(1, 10**6), st.integers(-20_000, 20_000), st.integers(0, 10**6), st.integers(0, 10**13))
def test_an_oscillator_counts_its_own_ticks(period_ps, error_ppm, origin_ps, time_ps):
    assume(time_ps >= origin_ps)
    oscillator = Oscillator(period_ps, error_ppm, origin_ps)
    tick = oscillator.tick_at(time_ps)
    assert oscillator.time_of(tick) <= time_ps < oscillator.time_of(tick + 1)


def test_a_node_that_listens_only_never_drives():
    line, (one, quiet) = world.line_of(0, 0)
    quiet.mac.listen_only = True
    line.send(one, PhyFrame(0x100))
    line.run(200 * world.US)
    assert world.faults(line, [one])[0] == "ack"
    assert world.counts(quiet) == (0, 0)


def test_the_usual_timing_of_a_bit_rate_has_its_length_and_sample_point():
    timing = timing_for(250_000)
    assert (timing.bit_ps, timing.nominal.sample_point) == (4_000_000, 0.75)
    with pytest.raises(BusError, match="cannot be played exactly"):
        timing_for(83_333)


@pytest.mark.parametrize("segments", [(7, 4, 4, 5), (7, 0, 4, 1), (7, 4, 4, 0), (-1, 4, 4, 1)])
def test_segments_that_make_no_bit_are_refused(segments):
    with pytest.raises(BusError, match=r"sjw|no bit timing"):
        BitTiming(*segments)


def test_a_frame_of_the_sender_alone_is_received_by_nobody_else():
    line, (one, two) = world.line_of(0, 0)
    line.send(one, PhyFrame(0x100))
    line.run(200 * world.US)
    assert not any(isinstance(event, Received) for event in line.told(one))
    assert world.received(line, two) == [PhyFrame(0x100)]
