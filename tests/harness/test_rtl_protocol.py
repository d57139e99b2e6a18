"""The protocol between host and peer: every packet comes back as it was packed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hil.rtl import protocol
from hil.rtl.protocol import Item, Reply

TIMES = st.integers(0, 2**63)
ITEMS = st.lists(st.builds(Item, TIMES, st.integers(0, 0xFFFF), st.binary(max_size=300)), max_size=20)
BITS = st.text("01XZ", max_size=300)


@given(until_ns=TIMES, inputs=ITEMS)
def test_a_grant_comes_back_as_it_was_packed(until_ns, inputs):
    packet = protocol.pack_grant(until_ns, inputs)
    assert packet[:1] == protocol.GRANT
    assert protocol.unpack_grant(packet) == (until_ns, inputs)


@given(reached_ps=TIMES, outputs=BITS, events=ITEMS)
def test_a_reply_comes_back_as_it_was_packed(reached_ps, outputs, events):
    packet = protocol.pack_reply(reached_ps, outputs, events)
    assert packet[:1] == protocol.REPLY
    assert protocol.unpack_reply(packet) == Reply(reached_ps, outputs, tuple(events))


@given(reached_ps=TIMES)
def test_a_sign_of_life_comes_back_as_it_was_packed(reached_ps):
    packet = protocol.pack_progress(reached_ps)
    assert packet[:1] == protocol.PROGRESS
    assert protocol.unpack_progress(packet) == reached_ps


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())))
def test_a_question_comes_back_as_it_was_packed(question):
    packet = protocol.pack_json(question)
    assert packet[:1] == protocol.JSON
    assert protocol.unpack_json(packet) == question


def test_the_kinds_of_packets_differ_in_their_first_byte():
    assert len({protocol.GRANT, protocol.REPLY, protocol.PROGRESS, protocol.JSON}) == 4
