"""Loop-back requests on a simulated wire."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hil.can.frame import Frame
from hil.can.loopback import LoopbackFrames, LoopbackNode
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.noise import Streams
from hil.units import ms

STEP_NS = 1 * ms
SHORT = LoopbackFrames(0x700, 0x701)
LONG = LoopbackFrames(0x700, 0x701, extended=True)


def answers_to(request: Frame, sent_ns: int, frames: LoopbackFrames = SHORT, *, steps: bool = True) -> list[Frame]:
    clock = VirtualClock()
    wire = CanWire(clock, "bus_a", 1_000_000, Streams(1).stream("bus_a", "wire"))
    LoopbackNode(wire, frames, step_after=(lambda at_ns: at_ns + -at_ns % STEP_NS) if steps else None)
    tester = wire.attach("tester")
    heard: list[Frame] = []
    tester.on_frame(heard.append)
    clock.at(sent_ns, lambda: tester.send(request))
    clock.sleep(sent_ns + 5 * ms)
    wire.close()
    return heard


@given(st.integers(0, 3 * STEP_NS), st.binary(max_size=8), st.sampled_from([SHORT, LONG]))
def test_the_data_of_a_request_come_back_once_with_the_next_step(
    sent_ns: int, number: bytes, frames: LoopbackFrames
) -> None:
    (answer,) = answers_to(frames.request(number), sent_ns, frames)
    assert (answer.arbitration_id, answer.data, answer.extended) == (0x701, number, frames.extended)
    waited_ns = answer.start_ns - sent_ns
    assert answer.start_ns % STEP_NS <= 3_000  # the bus may have to be idle for 3 bits first
    assert 0 < waited_ns <= STEP_NS + 160_000  # the request is on the wire for at most 160 us at 1 Mbit/s


@given(st.integers(0, 3 * STEP_NS))
def test_without_a_plant_they_come_back_at_once(sent_ns: int) -> None:
    (answer,) = answers_to(SHORT.request(b"12345678"), sent_ns, steps=False)
    assert answer.start_ns - sent_ns < 150_000


def test_other_messages_are_not_answered() -> None:
    assert answers_to(Frame(0x701, b"\x01"), 0) == []
    assert answers_to(Frame(0x700, b"\x01", extended=True), 0) == []
    assert answers_to(Frame(0x700, remote=True, requested=1), 0) == []
