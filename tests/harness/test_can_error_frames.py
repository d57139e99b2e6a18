"""Error frames as python-can messages: SocketCAN's classes and detail, from both sides; bus-off and the way back."""

from __future__ import annotations

import can
import pytest

from hil.can.bits import stuffed_bits
from hil.can.bus import SimBus
from hil.can.error_frames import ErrorSeen, level_of, location_of
from hil.can.frame import Frame
from hil.can.node import NodeState
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.faults import Fault
from hil.noise import Streams
from hil.units import ms, us

BIT_NS = 2 * us
PROTOCOL, NO_ACK, BUS_OFF, BUS_ERROR, RESTARTED, COUNTERS = 0x008, 0x020, 0x040, 0x080, 0x100, 0x200  # CAN_ERR_*
BIT_ERROR, STUFF_ERROR, SENDING = 0x01, 0x04, 0x80  # CAN_ERR_PROT_*
IN_DATA, IN_CRC, IN_ACK = 0x0A, 0x08, 0x19  # CAN_ERR_PROT_LOC_*
PLAIN = Frame(0x555, b"\x55" * 8)  # without stuff bits before its CRC
MESSAGE = can.Message(arbitration_id=0x000, data=bytes(8), is_extended_id=False)


class Rig:
    """A wire at 500 kbit/s with two python-can buses that want error frames."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.wire = CanWire(self.clock, "bus", 500_000, Streams(1).stream("bus", "wire"))
        self.sender = SimBus("bus", node="sender", receive_error_frames=True, auto_recover=False)
        self.receiver = SimBus("bus", node="receiver", receive_error_frames=True)

    def fault(self, kind: str = "corrupt", **parameters: float | str) -> None:
        self.wire.apply(Fault("bus", kind, parameters=parameters))

    def send(self) -> None:
        self.sender.send(MESSAGE)
        self.clock.sleep(20 * ms)


@pytest.fixture
def rig():
    made = Rig()
    yield made
    made.sender.shutdown()
    made.receiver.shutdown()
    made.wire.close()


def errors(bus: SimBus) -> list[can.Message]:
    """The error messages that wait at a bus, frames left out."""
    found = []
    while (message := bus.recv(0)) is not None:
        if message.is_error_frame:
            found.append(message)
    return found


def test_a_flipped_bit_is_a_bit_error_to_its_sender_and_a_stuff_error_to_a_receiver(rig):
    rig.fault(bit=40, count=1)
    rig.send()
    (sent,), (heard,) = errors(rig.sender), errors(rig.receiver)

    assert sent.arbitration_id == PROTOCOL | BUS_ERROR | COUNTERS
    assert (sent.data[2], heard.data[2]) == (BIT_ERROR | SENDING, STUFF_ERROR)
    assert sent.data[3] == heard.data[3] == IN_DATA


def test_the_counters_stand_in_the_last_two_bytes(rig):
    rig.fault(bit=40, count=1)
    rig.send()

    assert [errors(bus)[0].data[6:] for bus in (rig.sender, rig.receiver)] == [b"\x08\x00", b"\x00\x01"]


def test_the_stamp_is_the_end_of_the_error_frame(rig):
    rig.fault(bit=40, count=1)
    rig.send()

    assert errors(rig.sender)[0].timestamp == pytest.approx((41 + 6 + 6 + 8) * BIT_NS / 1e9, abs=1e-9)


def test_a_missing_acknowledgement_is_told(rig):
    rig.receiver.node.power(False)
    rig.sender.send(MESSAGE)
    rig.clock.sleep(300 * us)
    (error,) = errors(rig.sender)

    assert error.arbitration_id & NO_ACK
    assert (error.data[2], error.data[3]) == (SENDING, IN_ACK)


def test_what_receivers_alone_read_wrongly_is_a_crc_error_to_them_and_no_acknowledgement_to_the_sender(rig):
    rig.fault(at="receivers", count=1)
    rig.send()
    (sent,), (heard,) = errors(rig.sender), errors(rig.receiver)

    assert sent.arbitration_id & NO_ACK
    assert not heard.arbitration_id & NO_ACK
    assert (heard.data[2], heard.data[3]) == (0, IN_CRC)
    assert rig.wire.stats.frames == 1


def test_a_wrong_place_of_a_corruption_is_refused(rig):
    with pytest.raises(Exception, match="at='sender'; it is 'wire'"):
        rig.fault(at="sender")


def test_warning_and_passive_and_bus_off_are_told_when_they_are_reached(rig):
    rig.fault()
    rig.send()
    told = errors(rig.sender)
    changes = [(index + 1, message) for index, message in enumerate(told) if message.arbitration_id & 0x44]

    assert [(count, message.data[1]) for count, message in changes] == [(12, 0x08), (16, 0x20), (32, 0)]
    assert changes[-1][1].arbitration_id & BUS_OFF
    assert len(told) == 32


def test_bus_off_is_left_on_request_only_and_after_128_times_11_bits(rig):
    rig.fault(count=32)
    rig.send()
    errors(rig.sender)
    assert rig.sender.node.state is NodeState.BUS_OFF

    rig.sender.recover()
    rig.clock.sleep(128 * 11 * BIT_NS - 1)
    assert rig.sender.node.state is NodeState.BUS_OFF
    rig.clock.sleep(1)
    (told,) = errors(rig.sender)

    assert told.arbitration_id & RESTARTED
    assert rig.sender.node.state is NodeState.ERROR_ACTIVE


def test_a_bus_that_did_not_ask_hears_no_error_frames(rig):
    with SimBus("bus") as other:
        rig.fault(bit=40, count=1)
        rig.send()
        messages = [other.recv(0), other.recv(0)]

    assert [message is not None and message.is_error_frame for message in messages] == [False, False]
    assert messages[1] is None


def test_frames_are_read_past_error_frames(rig):
    rig.fault(bit=40, count=1)
    rig.sender.send(MESSAGE)

    frame = rig.receiver.recv_frame(1 * ms)

    assert frame is not None
    assert frame.data == bytes(8)


def test_a_controller_that_left_says_no_more(rig):
    told: list[ErrorSeen] = []
    stop = rig.receiver.node.on_error(told.append)
    rig.fault(bit=40, count=2)
    rig.clock.at(41 * 2 * BIT_NS, stop)
    rig.send()

    assert len(told) == 1


def test_a_classic_node_finds_an_fd_frame_malformed():
    clock = VirtualClock()
    wire = CanWire(clock, "fd", 500_000, Streams(1).stream("fd", "wire"), data_bitrate_bps=2_000_000)
    told: dict[str, list[ErrorSeen]] = {"a": [], "b": [], "old": []}
    for name, seen in told.items():
        wire.attach(name, fd=name != "old").on_error(seen.append)
    wire.node("a").send(Frame(0x123, bytes(8), fd=True))
    clock.sleep(200 * us)
    wire.close()

    assert {name: seen[0].kind for name, seen in told.items()} == {"a": "bit", "b": "stuff", "old": "form"}
    assert {seen[0].location for seen in told.values()} == {0x0D}  # reserved bit 1, where CAN FD has FDF


@pytest.mark.parametrize(
    ("counters", "level"),
    [((95, 0), "active"), ((0, 96), "warning"), ((127, 0), "warning"), ((0, 128), "passive"), ((256, 0), "bus-off")],
)
def test_what_the_counters_make_of_a_controller(counters, level):
    assert level_of(*counters) == level


@pytest.mark.parametrize(
    ("frame", "bit", "location"),
    [
        (PLAIN, 0, 0x03),
        (PLAIN, 8, 0x02),
        (PLAIN, 11, 0x06),
        (PLAIN, 12, 0x0C),
        (PLAIN, 18, 0x0B),
        (PLAIN, 19, 0x0A),
        (PLAIN, 82, 0x0A),
        (PLAIN, 83, 0x08),
        (Frame(0x15555555, b"\x55", extended=True), 12, 0x04),
        (Frame(0x15555555, b"\x55", extended=True), 31, 0x0E),
        (Frame(0x000), 5, 0x02),
    ],
)
def test_the_location_of_a_bit_is_that_of_its_field(frame, bit, location):
    assert location_of(frame, "bit", bit) == location


def test_the_last_bits_are_the_end_of_frame():
    end = len(stuffed_bits(PLAIN))

    places = [location_of(PLAIN, "bit", end + place) for place in (0, 1, 2, 3, 9, 10)]
    assert places == [0x18, 0x19, 0x1B, 0x1A, 0x1A, 0]
