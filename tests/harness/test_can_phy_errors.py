"""Errors at bit level: detection, flags, overload frames, error counters, error-passive, bus-off; no simulator."""

from __future__ import annotations

import phy_world as world
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.can.phy.coding import TAIL_BITS, PhyFrame, encode
from hil.can.phy.confinement import Uncounted
from hil.can.phy.events import ErrorFound, ErrorOver, Overloaded, StandingChanged, Started

FRAME = PhyFrame(0x155, b"\x12\x34")
LENGTH = len(encode(FRAME)) + TAIL_BITS
BUSY = settings(max_examples=60, deadline=None)


def bit_of(index, *, width=1):
    """From when to when a bit lasts of a frame that starts at 50 us, start of frame = 0; or so many bits [ps]."""
    start = 50 * world.US + index * world.BIT
    return start + world.BIT // 32, start + width * world.BIT - world.BIT // 32


@BUSY
@given(world.classic_frames(), st.data())
def test_a_bit_flipped_for_all_is_found_and_the_frame_repeated(frame, data):
    index = data.draw(st.integers(0, len(encode(frame)) + TAIL_BITS - 2))
    line, nodes = world.line_of(0, 300, -300)
    line.send(nodes[0], frame)
    line.flip(*bit_of(index))
    line.run(2_000 * world.US)
    assert world.sent(line, nodes[0]) == [frame]
    for node in nodes[1:]:
        assert set(world.received(line, node)) == {frame}
    assert world.faults(line, nodes) != []


@BUSY
@given(world.classic_frames(), st.integers(0, 2), st.data())
def test_a_bit_flipped_for_one_is_found_or_harmless(frame, victim, data):
    index = data.draw(st.integers(0, len(encode(frame)) + TAIL_BITS + 2))
    line, nodes = world.line_of(0, 300, -300)
    line.send(nodes[0], frame)
    line.flip(*bit_of(index), node=nodes[victim])
    line.run(2_000 * world.US)
    assert set(world.sent(line, nodes[0])) == {frame}
    for node in nodes[1:]:
        assert set(world.received(line, node)) == {frame}


@BUSY
@given(world.fd_frames(), st.integers(3, 900))
def test_a_disturbance_of_an_fd_frame_is_found_or_harmless(frame, start_us):
    line, nodes = world.line_of(0, 300, -300, timing=world.FD)
    line.send(nodes[0], frame)
    line.flip((50 + start_us) * world.US, (51 + start_us) * world.US)
    line.run(5_000 * world.US)
    assert set(world.sent(line, nodes[0])) == {frame}
    for node in nodes[1:]:
        assert set(world.received(line, node)) == {frame}


def test_an_error_costs_the_sender_eight_and_a_receiver_one():
    line, nodes = world.line_of(0, 0, 0)
    line.send(nodes[0], FRAME)
    line.flip(*bit_of(25))
    line.run(130 * world.US)
    assert [world.counts(node) for node in nodes] == [(8, 0), (0, 1), (0, 1)]
    line.run(2_000 * world.US)
    assert [world.counts(node) for node in nodes] == [(7, 0), (0, 0), (0, 0)]


def test_the_first_to_flag_an_error_pays_nine():
    line, nodes = world.line_of(0, 0, 0)
    frame = PhyFrame(0x155, bytes(2))
    stuff_bit = next(index for index in range(20, 40) if encode(frame)[index])
    line.send(nodes[0], frame)
    line.flip(*bit_of(stuff_bit), node=nodes[1])  # it sees six dominant bits, and flags what nobody else has seen
    line.run((50 + 2 * (stuff_bit + 20)) * world.US)
    assert [world.counts(node) for node in nodes] == [(8, 0), (0, 9), (0, 1)]


def test_an_error_frame_is_as_long_as_the_flags_that_overlap():
    line, nodes = world.line_of(0, 0)
    line.send(nodes[0], FRAME)
    line.flip(*bit_of(25))
    line.run(300 * world.US)
    found = next(told for told in line.stamped(nodes[0]) if isinstance(told.event, ErrorFound))
    over = next(told for told in line.stamped(nodes[0]) if isinstance(told.event, ErrorOver))
    bits = (over.end_ps - found.end_ps) / world.BIT
    assert 6 + 8 <= bits <= 12 + 8 + 0.1


def test_nobody_acknowledges_and_the_sender_stays_on_the_bus_error_passive():
    line, nodes = world.line_of(0)
    line.send(nodes[0], FRAME)
    line.run(30_000 * world.US)
    assert world.counts(nodes[0]) == (128, 0)
    assert set(world.faults(line, nodes)) == {"ack"}
    assert [event.standing for event in line.told(nodes[0]) if isinstance(event, StandingChanged)] == ["error-passive"]


def test_an_error_passive_sender_leaves_eight_bits_to_the_others():
    line, nodes = world.line_of(0, 0)
    nodes[0].mac.counters.tec = 140
    for number in range(2):
        line.send(nodes[0], PhyFrame(0x100 + number))
    line.run(300 * world.US)
    first, second = (told for told in line.stamped(nodes[0]) if isinstance(told.event, Started))
    length = len(encode(PhyFrame(0x100))) + TAIL_BITS
    gap = round((second.start_ps - first.start_ps) / world.BIT) - length
    assert gap == 3 + 8


def test_a_passive_flag_is_recessive_and_disturbs_nobody():
    line, nodes = world.line_of(0, 0, 0)
    nodes[2].mac.counters.rec = 130
    line.send(nodes[0], FRAME)
    line.flip(*bit_of(25), node=nodes[2])
    line.run(400 * world.US)
    assert world.received(line, nodes[1]) == [FRAME]
    assert world.faults(line, nodes[:2]) == []
    assert world.faults(line, [nodes[2]]) != []


@pytest.mark.parametrize("level", [0, 1])
def test_a_shorted_or_broken_line_ends_in_bus_off_and_recovery_takes_128_sequences(level):
    line, (node,) = world.line_of(0)
    line.send(node, FRAME)
    line.force(110 * world.US, 5_000 * world.US, level)
    line.run(30_000 * world.US)
    off = next(told for told in line.stamped(node) if told.event == StandingChanged("bus-off"))
    assert not node.mac.queue
    back = next(told for told in line.stamped(node) if told.event == StandingChanged("error-active"))
    recessive_from = 5_000 * world.US if level == 0 else off.at_ps
    waited = (back.at_ps - recessive_from) / world.BIT
    assert 128 * 11 - 1 <= waited <= 128 * 11 + 2
    assert world.counts(node) == (0, 0)


def test_bus_off_can_be_left_by_hand_only_when_so_configured():
    line, (node,) = world.line_of(0, macs=[world.plain_mac(auto_recover=False)])
    line.send(node, FRAME)
    line.force(110 * world.US, 5_000 * world.US, 0)
    line.run(20_000 * world.US)
    assert node.mac.off
    node.mac.recover()
    line.run(23_000 * world.US)
    assert not node.mac.off


@pytest.mark.parametrize(("rec", "after"), [(0, 0), (1, 0), (127, 126), (128, 120), (200, 120)])
def test_a_good_frame_lowers_the_receive_counter(rec, after):
    line, nodes = world.line_of(0, 0)
    nodes[1].mac.counters.rec = rec
    line.send(nodes[0], FRAME)
    line.run(300 * world.US)
    assert world.counts(nodes[1]) == (0, after)


def test_eight_dominant_bits_behind_a_flag_count_again():
    line, nodes = world.line_of(0, 0)
    line.send(nodes[0], FRAME)
    line.force(*bit_of(25, width=1 + 6 + 8 * 3 + 1), 0)
    line.run(300 * world.US)
    assert world.counts(nodes[0])[0] in (8 + 3 * 8 - 1, 8 + 3 * 8)


def test_a_lost_stuff_bit_in_the_identifier_is_not_the_senders_fault():
    frame = PhyFrame(0x07F)  # five dominant bits from start of frame on, then a recessive stuff bit
    line, nodes = world.line_of(0, 0)
    line.send(nodes[0], frame)
    line.flip(*bit_of(5))
    line.run(90 * world.US)
    assert world.faults(line, [nodes[0]]) == ["stuff"]
    assert world.counts(nodes[0])[0] == 0


def test_a_dominant_last_bit_of_end_of_frame_is_an_overload_for_receivers_and_a_repetition_for_the_sender():
    line, nodes = world.line_of(0, 0)
    line.send(nodes[0], FRAME)
    line.flip(*bit_of(LENGTH - 1))
    line.run(1_000 * world.US)
    assert world.received(line, nodes[1]) == [FRAME, FRAME]
    assert world.sent(line, nodes[0]) == [FRAME]
    assert any(isinstance(event, Overloaded) for event in line.told(nodes[1]))
    assert world.counts(nodes[1])[1] <= 1


def test_two_overload_frames_put_the_next_frame_off():
    line, nodes = world.line_of(0, 0)
    nodes[1].mac.overloads = 2
    for number in range(2):
        line.send(nodes[0], PhyFrame(0x100 + number))
    line.run(600 * world.US)
    first, second = (told for told in line.stamped(nodes[0]) if isinstance(told.event, Started))
    length = len(encode(PhyFrame(0x100))) + TAIL_BITS
    gap = (second.start_ps - first.start_ps) / world.BIT - length
    assert 2 * (6 + 8) + 3 <= gap <= 2 * (7 + 8) + 3 + 1
    assert [world.counts(node) for node in nodes] == [(0, 0), (0, 0)]
    assert len(world.received(line, nodes[1])) == 2


def test_a_dominant_first_bit_of_intermission_is_an_overload():
    line, nodes = world.line_of(0, 0)
    line.send(nodes[0], FRAME)
    line.flip(*bit_of(LENGTH))
    line.run(600 * world.US)
    assert all(any(isinstance(event, Overloaded) for event in line.told(node)) for node in nodes)
    assert world.faults(line, nodes) == []
    assert world.received(line, nodes[1]) == [FRAME]


def test_a_spike_too_short_to_be_sampled_is_no_frame():
    line, nodes = world.line_of(0, 0)
    line.flip(60 * world.US, 61 * world.US)
    line.run(100 * world.US)
    assert [line.told(node) for node in nodes] == [[], []]
    assert [node.due for node in nodes] == [None, None]


def test_a_controller_that_is_switched_on_in_a_frame_waits_for_its_end():
    line, nodes = world.line_of(0, 0)
    line.send(nodes[0], FRAME)
    line.run(80 * world.US)
    late = line.attach(world.CLASSIC)
    line.send(late, PhyFrame(0x001))
    line.run(600 * world.US)
    assert world.sent(line, late) == [PhyFrame(0x001)]
    assert world.faults(line, [*nodes, late]) == []


def test_the_bit_to_be_disturbed_is_told_and_the_counters_of_a_group_stay():
    line, nodes = world.line_of(0, 0, macs=[world.plain_mac(counters=Uncounted(), retransmit=False), None])
    nodes[0].mac.disturb_at = 25
    line.send(nodes[0], FRAME)
    line.run(600 * world.US)
    assert world.faults(line, [nodes[0]]) == ["bit"]
    assert world.counts(nodes[0]) == (0, 0)
    assert world.sent(line, nodes[0]) == []
    assert not nodes[0].mac.queue


def test_what_is_abandoned_becomes_an_error_of_the_others():
    line, nodes = world.line_of(0, 0)
    line.send(nodes[0], FRAME)
    line.run(80 * world.US)
    nodes[0].mac.abandon()
    line.run(600 * world.US)
    assert world.faults(line, [nodes[1]]) == ["stuff"]
    assert world.received(line, nodes[1]) == []
