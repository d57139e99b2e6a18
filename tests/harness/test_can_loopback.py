"""Loop-back requests on a simulated wire."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hil.can.frame import Frame
from hil.can.loopback import ANSWER_ID, REQUEST_ID, LoopbackNode
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.noise import Streams
from hil.units import ms

STEP_NS = 1 * ms


def answers_to(request: Frame, sent_ns: int) -> list[Frame]:
    clock = VirtualClock()
    wire = CanWire(clock, "bus_a", 1_000_000, Streams(1).stream("bus_a", "wire"))
    LoopbackNode(wire, period_ns=STEP_NS)
    tester = wire.attach("tester")
    heard: list[Frame] = []
    tester.on_frame(heard.append)
    clock.at(sent_ns, lambda: tester.send(request))
    clock.sleep(sent_ns + 5 * ms)
    wire.close()
    return heard


@given(st.integers(0, 3 * STEP_NS), st.binary(max_size=8))
def test_the_data_of_a_request_come_back_once_with_the_next_step(sent_ns: int, number: bytes) -> None:
    (answer,) = answers_to(Frame(REQUEST_ID, number), sent_ns)
    assert (answer.arbitration_id, answer.data) == (ANSWER_ID, number)
    waited_ns = answer.start_ns - sent_ns
    assert answer.start_ns % STEP_NS == 0
    assert 0 < waited_ns <= STEP_NS + 135_000  # the request is on the wire for at most 135 us at 1 Mbit/s


def test_other_messages_are_not_answered() -> None:
    assert answers_to(Frame(ANSWER_ID, b"\x01"), 0) == []
    assert answers_to(Frame(REQUEST_ID, b"\x01", extended=True), 0) == []
