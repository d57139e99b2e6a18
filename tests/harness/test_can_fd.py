"""CAN FD on the simulated wire: exact lengths in two bit rates, who understands it, python-can messages."""

from __future__ import annotations

import io

import can
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phy_world import FD, US, fd_frames, line_of

from hil.can import fd
from hil.can.bits import first_difference
from hil.can.bus import SimBus
from hil.can.database import Database
from hil.can.frame import Frame
from hil.can.node import NodeState
from hil.can.phy.coding import encode, from_frame
from hil.can.phy.events import Sent
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.errors import BusError
from hil.faults import Fault
from hil.noise import Streams
from hil.units import ms, us

SLOW_BPS, FAST_BPS = 1_000_000, 4_000_000
SLOW_NS, FAST_NS = 1 * us, 250
QUANTUM_NS = FD.clock_ps / 1000  # a bit-level controller sees edges and ends of bits at whole quanta
FULL = Frame(0x123, bytes(range(64)), fd=True, brs=True)

frames = fd_frames().map(
    lambda phy: Frame(phy.arbitration_id, phy.data, phy.extended, fd=True, brs=phy.brs, esi=phy.esi)
)


class Rig:
    """A wire at 1 and 4 Mbit/s with two nodes; what ``b`` hears, and the log."""

    def __init__(self, data_bitrate_bps: int | None = FAST_BPS) -> None:
        self.clock = VirtualClock()
        self.lines: list[str] = []
        rng = Streams(1).stream("bus", "wire")
        self.wire = CanWire(self.clock, "bus", SLOW_BPS, rng, log=self.lines.append, data_bitrate_bps=data_bitrate_bps)
        self.a, self.b = self.wire.attach("a"), self.wire.attach("b")
        self.heard: list[Frame] = []
        self.b.on_frame(self.heard.append)

    def send(self, frame: Frame) -> None:
        assert self.a.send(frame)
        self.clock.sleep(10 * ms)


@pytest.fixture
def rig():
    made = Rig()
    yield made
    made.wire.close()


def bits_up_to_brs(frame: Frame) -> int:
    """Counted bit by bit in what the bit-level controller sends: SOF to BRS with its stuff bits."""
    plain = (35 if frame.extended else 16) + 1
    run, last, seen = 0, -1, 0
    for count, bit in enumerate(encode(from_frame(frame))):
        stuffed = run == 5
        run, last = (run + 1, bit) if bit == last and not stuffed else (1, bit)
        seen += not stuffed
        if seen == plain:
            return count + 1
    raise AssertionError(frame)


@given(frames)
def test_length_is_that_of_the_bits_a_bit_level_controller_sends(frame):
    assert fd.layout(frame).total == len(encode(from_frame(frame))) + 10


@given(frames)
def test_the_slow_part_ends_with_brs(frame):
    assert fd.layout(frame).slow == bits_up_to_brs(frame)


@given(frames, st.integers(0, 800))
def test_the_code_of_a_part_of_a_frame_has_as_many_bits(frame, bits):
    total = fd.layout(frame).total

    assert fd.total_bits(fd.code(frame, min(bits, total))) == min(bits, total)


@settings(max_examples=25, deadline=None)
@given(frames)
def test_duration_is_that_of_bit_level_controllers_on_a_line(frame):
    line, nodes = line_of(0, 0, timing=FD)
    line.send(nodes[0], from_frame(frame))
    line.run(2_000 * US)
    (told,) = [told for told in line.stamped(nodes[0]) if isinstance(told.event, Sent)]
    rig = Rig()
    rig.a.send(frame)
    rig.clock.sleep(10 * ms)
    rig.wire.close()

    duration_ns = (told.end_ps - told.start_ps) / 1000
    assert rig.heard[0].at_ns - rig.heard[0].start_ns == pytest.approx(duration_ns, abs=QUANTUM_NS)


def test_a_frame_arrives_with_all_its_flags(rig):
    rig.send(FULL)

    assert [frame._replace(start_ns=0, at_ns=0, sender="") for frame in rig.heard] == [FULL]


@pytest.mark.parametrize("brs", [False, True])
def test_the_rate_switch_shortens_the_data_phase_only(rig, brs):
    frame = FULL._replace(brs=brs)
    rig.send(frame)

    parts = fd.layout(frame)
    fast_ns = FAST_NS if brs else SLOW_NS
    assert rig.heard[0].at_ns - rig.heard[0].start_ns == (parts.slow + 9) * SLOW_NS + parts.fast * fast_ns


def test_classic_frames_last_as_long_on_a_wire_with_fd(rig):
    classic = Frame(0x123, bytes(8))
    plain = Rig(None)
    plain.send(classic)
    rig.send(classic)

    assert rig.heard == plain.heard


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (Frame(1, bytes(9), fd=True), "bytes of 9 bytes; an FD frame is a data frame of bytes, 0, 1"),
        (Frame(1, b"", remote=True, fd=True), "CAN FD with a remote frame"),
        (Frame(0x800, b"", fd=True), "0x800 does not fit a standard frame"),
        (Frame(1, b"", brs=True), "classic CAN with a rate switch"),
        (Frame(1, bytes(12)), "12 bytes; a classic CAN frame has 0 to 8"),
    ],
)
def test_a_frame_can_fd_does_not_have_is_refused(rig, frame, why):
    with pytest.raises(BusError, match=why):
        rig.a.send(frame)


def test_a_classic_wire_refuses_an_fd_frame_and_says_what_to_do():
    with pytest.raises(BusError, match="is CAN FD, and here is classic CAN only; give the wire data_bitrate_bps"):
        Rig(None).a.send(FULL)


def test_a_classic_wire_refuses_an_fd_node():
    with pytest.raises(BusError, match="bus bus is classic CAN; give the wire data_bitrate_bps"):
        Rig(None).wire.attach("c", fd=True)


@pytest.mark.parametrize("rate", [500_000, 8_000_001])
def test_a_data_bit_rate_outside_the_range_is_refused(rate):
    with pytest.raises(BusError, match=f"a data bit rate of {rate} bit/s is outside 1000000"):
        Rig(rate)


def test_a_classic_node_answers_an_fd_frame_with_error_frames_until_the_sender_is_off(rig):
    rig.wire.attach("old", fd=False)
    off: list[int] = []
    rig.a.auto_recover = False
    rig.send(FULL)

    assert rig.heard == []
    assert rig.wire.stats.error_frames == 32
    assert rig.a.state is NodeState.BUS_OFF
    assert off == []


def test_the_error_frame_of_a_classic_node_follows_the_fdf_bit(rig):
    old = rig.wire.attach("old", fd=False)
    rig.clock.at(1 * us * (fd.layout(FULL).fdf + 1 + 20) + 1, lambda: old.power(False))  # after the first error frame
    rig.send(FULL)

    assert rig.wire.stats.error_frames == 1
    assert rig.heard[0].start_ns == (fd.layout(FULL).fdf + 1 + 12 + 8 + 3) * SLOW_NS


def test_a_classic_node_that_is_error_passive_destroys_nothing_and_hears_nothing(rig):
    old = rig.wire.attach("old", fd=False)
    heard: list[Frame] = []
    old.on_frame(heard.append)
    old.rec = 130
    rig.send(FULL)
    rig.send(Frame(0x123, b"ab"))

    assert (len(rig.heard), rig.wire.stats.error_frames) == (2, 0)
    assert [frame.data for frame in heard] == [b"ab"]


def test_an_fd_frame_that_only_a_classic_node_could_acknowledge_is_not_acknowledged(rig):
    old = rig.wire.attach("old", fd=False)
    old.rec = 130
    rig.b.power(False)
    rig.send(FULL)

    assert rig.a.sent == 0
    assert rig.wire.stats.error_frames > 1


def test_classic_frames_pass_between_all_nodes_of_a_mixed_wire(rig):
    old = rig.wire.attach("old", fd=False)
    old.send(Frame(0x100, b"xy"))
    rig.clock.sleep(1 * ms)

    assert [frame.data for frame in rig.heard] == [b"xy"]
    with pytest.raises(BusError, match="here is classic CAN only"):
        old.send(FULL)


def test_an_error_passive_sender_says_so_in_its_frame(rig):
    rig.a.tec = 140
    rig.send(FULL)

    assert rig.heard[0].esi
    assert rig.a.sent == 1


def test_a_corrupted_fd_frame_is_repeated_after_the_bits_sent_so_far(rig):
    parts = fd.layout(FULL)
    bit = parts.slow + 40
    clear = rig.wire.apply(Fault("bus", "corrupt", parameters={"bit": bit, "count": 1}))
    rig.send(FULL)
    clear()

    assert rig.heard[0].start_ns == (parts.slow + 12 + 8 + 3) * SLOW_NS + 41 * FAST_NS


@given(st.integers(0, 0x7FF), st.binary(min_size=8, max_size=8))
def test_an_fd_and_a_classic_frame_of_one_identifier_differ_first_in_fdf(identifier, data):
    frame = Frame(identifier, data, fd=True)

    assert first_difference(frame, Frame(identifier, data)) == fd.layout(frame).fdf


def test_a_controller_at_bit_level_is_refused_on_a_wire_with_fd(rig):
    with pytest.raises(BusError, match="a takes part at bit level, which is classic CAN only"):
        rig.a.segment.seat.take("a")


# -- python-can ---------------------------------------------------------------------------------------------------


def test_python_can_sends_and_receives_fd_messages(rig):
    message = can.Message(arbitration_id=0x123, data=bytes(48), is_fd=True, bitrate_switch=True, is_extended_id=False)
    with can.Bus("bus", "hil", fd=True, data_bitrate=FAST_BPS) as sender, can.Bus("bus", "hil") as receiver:
        sender.send(message)
        received = receiver.recv(0.1)

    assert sender.protocol is can.CanProtocol.CAN_FD
    assert received is not None
    assert received.equals(message, timestamp_delta=None, check_channel=False, check_direction=False)


def test_a_bus_opened_without_fd_hears_and_sends_classic_messages_only(rig):
    with SimBus("bus", fd=False) as bus:
        rig.send(FULL)
        rig.send(Frame(0x124, b"a"))
        assert bus.recv(0).arbitration_id == 0x124
        with pytest.raises(can.CanOperationError, match="opened with fd=False"):
            bus.send(can.Message(is_fd=True))
    assert rig.wire.stats.error_frames == 0


def test_another_data_bit_rate_is_refused(rig):
    with pytest.raises(can.CanInitializationError, match="a data bit rate of 4000000 bit/s, not data_bitrate=2000000"):
        SimBus("bus", data_bitrate=2_000_000)


def test_periodic_fd_messages_are_sent(rig):
    with SimBus("bus") as bus:
        task = bus.send_periodic(can.Message(arbitration_id=1, data=bytes(12), is_fd=True, is_extended_id=False), 0.001)
        rig.clock.sleep(3 * ms - 1)
        task.stop()

    assert [len(frame.data) for frame in rig.heard] == [12] * 3


def test_the_frame_log_is_read_back_by_python_can(rig, tmp_path):
    rig.send(FULL._replace(esi=True, data=bytes(12)))
    rig.send(Frame(0x1ABCDEF0, bytes(8), extended=True, fd=True))
    (tmp_path / "bus.log").write_text("\n".join(rig.lines) + "\n")
    with can.CanutilsLogReader(io.StringIO((tmp_path / "bus.log").read_text())) as reader:
        read = list(reader)

    assert [(message.is_fd, message.bitrate_switch, message.error_state_indicator) for message in read] == [
        (True, True, True),
        (True, False, False),
    ]
    assert [bytes(message.data) for message in read] == [bytes(12), bytes(8)]


def test_a_message_the_database_calls_fd_is_sent_as_fd(rig, tmp_path):
    (tmp_path / "fd.dbc").write_text(
        'VERSION ""\nNS_ :\nBS_:\nBU_: A\nBO_ 256 Wide: 12 A\n SG_ Last : 88|8@1+ (1,0) [0|255] "" A\n'
        'BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","StandardCAN_FD","ExtendedCAN_FD";\n'
        'BA_DEF_DEF_ "VFrameFormat" "StandardCAN";\nBA_ "VFrameFormat" BO_ 256 2;\n'
    )
    database = Database.load(tmp_path / "fd.dbc")
    rig.send(database.encode("Wide", {"Last": 7}))
    rig.send(database.sender("Wide").frame({"Last": 8}))

    assert [(frame.fd, frame.brs, frame.data[-1]) for frame in rig.heard] == [(True, True, 7), (True, True, 8)]
