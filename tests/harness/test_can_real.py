"""A real python-can bus on the wall clock: stamps, own and foreign frames, error messages, cyclic sends, its end."""

from __future__ import annotations

import itertools
import os
import queue
import threading
from pathlib import Path

import can
import pytest
from can.broadcastmanager import ModifiableCyclicTaskABC
from can.interfaces.socketcan.socketcan import BcmMsgHead, build_bcm_transmit_header
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.can import real
from hil.can.database import Database
from hil.can.error_message import LOST, decode
from hil.can.facade import Bus
from hil.can.frame import Frame
from hil.can.kernel_cycle import hand_over
from hil.can.observed import Observed
from hil.can.opening import open_bus
from hil.can.real import RealLink, interface_of, open_real
from hil.can.stamps import Stamper, StampSource
from hil.clock import Arrival, WallClock
from hil.errors import BusError
from hil.units import ms, s, us

DATABASE = Database.load(Path(__file__).with_name("data") / "bench.dbc")
STATUS = {"State": "OFF", "ChamberPressure": 0.0, "Temperature": 0, "Speed": 0}
FRAME = Frame(0x123, bytes([0x11, 0x22]))
NO_ACK = (0x0A8, bytes([0, 0, 0x80, 0x19, 0, 0, 8, 0]))
PASSIVE = (0x204, bytes([0, 0x20, 0, 0, 0, 0, 136, 0]))
BUS_OFF = (0x040, bytes(8))
RESTARTED = (0x100, bytes(8))
_CHANNELS = itertools.count()


class Task(ModifiableCyclicTaskABC):
    """A cyclic send that only the interface knows of."""

    stopped = 0

    def stop(self) -> None:
        """End it; a second time is an error, as for the kernel's."""
        assert not self.stopped
        self.stopped += 1


class Adapter(can.BusABC):
    """A CAN adapter whose driver is a queue: what it receives is put in, what it sends is kept."""

    def __init__(self) -> None:
        self.came: queue.Queue[can.Message | Exception] = queue.Queue()
        self.sent: list[can.Message] = []
        self.fault: Exception | None = None
        self.channel_info = "adapter"
        super().__init__("adapter")

    def _recv_internal(self, timeout):
        try:
            message = self.came.get(timeout=timeout)
        except queue.Empty:
            return None, False
        if isinstance(message, Exception):
            raise message
        return message, False

    def send(self, msg, *_) -> None:
        """Keep it."""
        if self.fault is not None:
            raise self.fault
        self.sent.append(msg)


class Scheduling(Adapter):
    """An adapter that sends cyclic frames by itself."""

    tasks: list[Task]

    def __init__(self) -> None:
        self.tasks = []
        super().__init__()

    def _send_periodic_internal(self, msgs, period, *_):
        self.tasks.append(Task(msgs, period))
        return self.tasks[-1]


@pytest.fixture
def clock():
    return WallClock()


@pytest.fixture
def lines():
    return []


@pytest.fixture
def pair(clock, lines):
    """A link and another node on python-can's own virtual interface."""
    channel = f"wall_{next(_CHANNELS)}"
    link = open_real("bus_a", clock, interface="virtual", channel=channel, bitrate_bps=500_000, log=lines.append)
    with can.Bus(interface="virtual", channel=channel, ignore_config=True, preserve_timestamps=False) as other:
        yield link, other
    link.shutdown()


@pytest.fixture
def adapter():
    return Adapter()


@pytest.fixture
def link(clock, adapter, lines):
    opened = RealLink("bus_a", clock, adapter, log=lines.append)
    yield opened
    opened.shutdown()


def message(frame=FRAME, **more):
    return can.Message(
        arbitration_id=frame.arbitration_id, is_extended_id=frame.extended, data=frame.data, **more
    )  # fmt: skip


def told(error):
    return can.Message(arbitration_id=error[0], data=error[1], is_error_frame=True, is_extended_id=False)


def wait(clock, condition):
    assert clock.wait(clock.now + 5 * s, condition), "the awaited did not come"


def test_a_frame_of_another_node_is_handed_out_on_the_clocks_thread(clock, pair):
    link, other = pair
    heard = []
    link.listen(lambda frame: heard.append((frame, threading.current_thread())))
    before_ns = clock.now
    other.send(message())
    wait(clock, lambda: heard)
    frame, thread = heard[0]
    assert (frame.arbitration_id, frame.data, frame.extended, frame.remote) == (0x123, b"\x11\x22", False, False)
    assert before_ns - link.stamper.uncertainty_ns <= frame.at_ns <= clock.now
    assert frame.at_ns - frame.start_ns <= 140 * us
    assert thread is threading.current_thread()


def test_a_frame_has_the_time_of_its_stamp_and_not_of_its_reading(clock, adapter):
    link = RealLink("bus_a", clock, adapter, stamps=StampSource.KERNEL)
    heard = []
    link.listen(heard.append)
    clock.sleep(30 * ms)
    now = clock.arrival()
    adapter.came.put(message(timestamp=(now.unix_ns - 20 * ms) / 1e9))
    wait(clock, lambda: heard)
    link.shutdown()
    assert heard[0].at_ns == pytest.approx(now.rig_ns - 20 * ms, abs=link.stamper.uncertainty_ns + now.uncertainty_ns)


def test_a_stamp_of_an_unknown_epoch_is_not_used(clock, link, adapter):
    heard = []
    link.listen(heard.append)
    before_ns = clock.now
    adapter.came.put(message(timestamp=12.5))
    wait(clock, lambda: heard)
    assert link.stamper.source is StampSource.ARRIVAL
    assert heard[0].at_ns >= before_ns


def test_stamps_of_one_bus_never_go_backwards(clock, adapter):
    link = RealLink("bus_a", clock, adapter, stamps=StampSource.KERNEL)
    heard = []
    link.listen(heard.append)
    clock.sleep(30 * ms)
    now_s = clock.arrival().unix_ns / 1e9
    for age_s in (0.002, 0.020, 0.001):
        adapter.came.put(message(timestamp=now_s - age_s))
    wait(clock, lambda: len(heard) == 3)
    link.shutdown()
    assert [frame.at_ns for frame in heard] == sorted(frame.at_ns for frame in heard)
    assert [frame.start_ns for frame in heard] == sorted(frame.start_ns for frame in heard)


arrivals = st.builds(
    Arrival,
    rig_ns=st.integers(2 * s, 10**6 * s),
    unix_ns=st.integers(1_700_000_000 * s, 2_000_000_000 * s),
    uncertainty_ns=st.integers(0, 50_000),
)


@given(arrivals, st.integers(0, 1 * s - 1_000), st.sampled_from([0.5, 1.0, 20.0]))
def test_a_stamp_is_converted_within_its_uncertainty(arrival, age_ns, factor):
    stamper = Stamper(StampSource.KERNEL, factor)
    found_ns = stamper.rig_ns((arrival.unix_ns - age_ns) / 10**9, arrival)
    assert abs(found_ns - (arrival.rig_ns - age_ns * factor)) <= 240 * factor + 1
    assert found_ns <= arrival.rig_ns
    assert stamper.uncertainty_ns == arrival.uncertainty_ns + 120


@given(arrivals, st.one_of(st.integers(-(10**9) * s, -1 * ms), st.integers(1 * s + 1_000, 10**9 * s)))
def test_a_stamp_that_cannot_be_is_counted_and_the_arrival_stands(arrival, age_ns):
    stamper = Stamper(StampSource.KERNEL)
    assert stamper.rig_ns((arrival.unix_ns - age_ns) / 10**9, arrival) == arrival.rig_ns
    assert (stamper.refused, stamper.uncertainty_ns) == (1, None)


def test_a_listener_hears_the_data_frames_it_names_until_it_stops(clock, link, adapter):
    named, everything = [], []
    stop = link.listen(named.append, [(0x123, False)])
    link.listen(everything.append)
    remote = can.Message(arbitration_id=0x123, is_extended_id=False, is_remote_frame=True, dlc=4)
    for came in (message(), message(Frame(0x123, extended=True)), remote):
        adapter.came.put(came)
    wait(clock, lambda: len(everything) == 3)
    stop()
    stop()
    adapter.came.put(message())
    wait(clock, lambda: len(everything) == 4)
    assert [str(frame) for frame in named] == ["123#1122"]
    assert str(everything[2]) == "123#R4"
    assert link.stats.received == 4


def test_a_sent_frame_is_on_the_other_side_and_is_not_heard_back(clock, pair):
    link, other = pair
    heard = []
    link.listen(heard.append)
    link.send_frame(FRAME)
    came = other.recv(5.0)
    assert (came.arbitration_id, bytes(came.data)) == (0x123, b"\x11\x22")
    wait(clock, lambda: link.stats.sent == 1)
    assert heard == []


def test_a_sent_frame_counts_when_the_interface_gives_it_back(clock, adapter, lines):
    link = RealLink("bus_a", clock, adapter, log=lines.append, echo=True)
    link.send_frame(FRAME)
    assert (link.stats.sent, lines) == (0, [])
    adapter.came.put(message(is_rx=False))
    wait(clock, lambda: link.stats.sent == 1)
    link.shutdown()
    assert len(lines) == 1
    assert link.stats.received == 0


def test_a_frame_of_another_program_on_this_host_is_received(clock, adapter):
    link = RealLink("bus_a", clock, adapter, echo=True)
    heard = []
    link.listen(heard.append)
    link.send_frame(FRAME)
    adapter.came.put(message(Frame(0x124), is_rx=False))
    adapter.came.put(message(is_rx=False))
    adapter.came.put(message(is_rx=False))
    wait(clock, lambda: len(heard) == 2)
    link.shutdown()
    assert [frame.arbitration_id for frame in heard] == [0x124, 0x123]
    assert link.stats.sent == 1


def test_the_frame_log_is_candump_text_that_python_can_reads(clock, pair, lines, tmp_path):
    link, other = pair
    other.send(message())
    other.send(message(Frame(0x18FEF1FE, b"\x01", extended=True)))
    link.send_frame(Frame(0x7FF))
    wait(clock, lambda: len(lines) == 3)
    (tmp_path / "bus_a.log").write_text("\n".join(lines) + "\n")
    with can.CanutilsLogReader(tmp_path / "bus_a.log") as reader:
        read = [(found.arbitration_id, bytes(found.data), found.channel) for found in reader]
    assert read == [(0x123, b"\x11\x22", "bus_a"), (0x18FEF1FE, b"\x01", "bus_a"), (0x7FF, b"", "bus_a")]


def test_load_is_that_of_the_frames_with_their_stuff_bits(clock, link, adapter):
    clock.sleep(1 * ms)
    for _ in range(10):
        adapter.came.put(message(Frame(0x555, b"\x55" * 8)))
    wait(clock, lambda: link.stats.received == 10)
    busy_ns = 10 * (111 + 3) * 2 * us  # bits of a frame without stuff bits but in its CRC, intermission
    assert link.stats.load == pytest.approx(busy_ns / clock.now, rel=0.25)


def test_error_messages_give_state_counters_and_a_line_each_time_they_change(clock, link, adapter, lines):
    for error in (NO_ACK, NO_ACK, PASSIVE):
        adapter.came.put(told(error))
    wait(clock, lambda: link.stats.state == "error-passive")
    stats = link.stats
    assert (stats.error_frames, stats.tec, stats.rec, stats.received) == (2, 136, 0, 0)
    assert [line.split(" ", 2)[2] for line in lines] == ["200000A8#0000801900000800", "20000204#0020000000008800"]


def test_nothing_is_sent_in_bus_off_until_the_controller_has_restarted(clock, link, adapter):
    adapter.came.put(told(BUS_OFF))
    wait(clock, lambda: link.stats.state == "bus-off")
    with pytest.raises(can.CanOperationError, match=r"send of 0x123 on bus_a .* bus-off .*ip link set .* restart"):
        link.send_frame(FRAME)
    adapter.came.put(told(RESTARTED))
    wait(clock, lambda: link.stats.state == "error-active")
    link.send_frame(FRAME)
    assert (link.stats.sent, link.stats.refused) == (1, 1)


@given(st.integers(0, 0x3FF), st.binary(max_size=8))
def test_any_error_message_is_decoded(classes, payload):
    found = decode(classes, payload)
    assert found.state in (None, "error-active", "error-passive", "bus-off")
    assert (found.state == "bus-off") == bool(classes & 0x040)
    assert found.tec is None or found.tec == (*payload, *bytes(8))[6]


@pytest.mark.parametrize(
    ("classes", "payload", "kinds", "state"),
    [
        (0x004, b"\0\x01", ("receive overrun",), None),
        (0x004, b"\0\x08", ("transmit warning",), "error-active"),
        (0x004, b"\0\x10", ("receive passive",), "error-passive"),
        (0x204, b"\0\x40", ("active again",), "error-active"),
        (0x088, b"\0\0\x04", ("stuff error",), None),
        (0x088, bytes([0, 0, 2, 0, 0, 0, 0, 200]), ("form error",), "error-passive"),
        (0x002, b"\x05", ("arbitration lost",), None),
        (0x001, b"", ("transmit timeout",), None),
        (LOST | 0x1FF, b"\0", ("511 frames lost",), None),
    ],
)
def test_what_went_wrong_is_told_in_words(classes, payload, kinds, state):
    found = decode(classes, payload)
    assert (found.kinds, found.state) == (kinds, state)


def test_lost_frames_that_the_controller_tells_of_are_counted(clock, link, adapter):
    adapter.came.put(told((0x004, bytes([0, 1, 0, 0, 0, 0, 0, 0]))))
    wait(clock, lambda: link.observed.lost == 1)
    assert link.stats.error_frames == 0


@pytest.mark.parametrize("fault", [can.CanOperationError("Transmit buffer full"), OSError(105, "No buffer space")])
def test_a_frame_that_is_not_taken_is_refused_in_one_way(link, adapter, fault):
    adapter.fault = fault
    with pytest.raises(can.CanOperationError, match=r"send of 0x123 on bus_a \(adapter\): .*[Bb]uffer"):
        link.send_frame(FRAME)
    assert (link.stats.sent, link.stats.refused) == (0, 1)


def test_a_frame_classic_can_does_not_have_is_refused(link, adapter):
    with pytest.raises(can.CanOperationError, match="0x800 does not fit a standard frame"):
        link.send_frame(Frame(0x800))
    assert adapter.sent == []


def test_a_listen_only_link_sends_nothing(clock, adapter):
    link = RealLink("bus_a", clock, adapter, listen_only=True)
    with pytest.raises(can.CanOperationError, match="the bus is listen-only"):
        link.send_frame(FRAME)
    link.shutdown()
    assert adapter.sent == []


def test_a_bus_that_cannot_be_read_is_detached_until_a_frame_comes(clock, link, adapter):
    adapter.came.put(can.CanOperationError("Network is down"))
    wait(clock, lambda: link.stats.state == "detached")
    clock.sleep(70 * ms)  # more than one turn of the reader, in which nothing comes
    assert (link.stats.state, link.trouble) == ("detached", "Network is down")
    adapter.came.put(message())
    wait(clock, lambda: link.stats.state == "error-active")


def test_a_bus_that_cannot_be_read_is_detached_until_a_frame_is_taken(clock, link, adapter):
    adapter.came.put(OSError(100, "Network is down"))
    wait(clock, lambda: link.stats.state == "detached")
    link.send_frame(FRAME)
    assert link.stats.state == "error-active"


def test_a_controller_in_bus_off_that_was_taken_down_and_up_starts_anew(clock, link, adapter):
    adapter.came.put(told(PASSIVE))
    adapter.came.put(told(BUS_OFF))
    adapter.came.put(can.CanOperationError("Network is down"))
    wait(clock, lambda: link.stats.state == "detached")
    link.send_frame(FRAME)
    assert (link.stats.state, link.stats.tec) == ("error-active", None)


def test_a_controller_that_hears_others_is_not_in_bus_off_any_more(clock, link, adapter):
    adapter.came.put(told(BUS_OFF))
    adapter.came.put(message())
    wait(clock, lambda: link.stats.received == 1)
    assert link.stats.state == "error-active"


def test_a_can_fd_frame_is_counted_and_not_handed_out(clock, link, adapter):
    adapter.came.put(can.Message(arbitration_id=1, is_fd=True, data=bytes(12)))
    wait(clock, lambda: link.ignored == 1)
    assert link.stats.received == 0


def test_a_link_that_is_shut_down_has_no_thread_and_sends_nothing(clock, adapter):
    link = RealLink("bus_a", clock, adapter)
    link.shutdown()
    link.shutdown()
    assert "can bus_a" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(can.CanOperationError, match="it has been shut down"):
        link.send_frame(FRAME)
    assert link.stats.state == "detached"


def test_a_driver_that_does_not_come_back_is_told_of(clock, adapter, monkeypatch):
    let_go = threading.Event()
    monkeypatch.setattr(real, "_END_S", 0.05)
    monkeypatch.setattr(adapter, "recv", lambda _: let_go.wait(10.0) and None)
    link = RealLink("bus_a", clock, adapter)
    with pytest.raises(BusError, match=r"its driver does not come back from a read of 0\.05 s"):
        link.shutdown()
    let_go.set()


def test_the_reader_thread_is_prepared_first(clock, adapter):
    prepared = []
    link = RealLink("bus_a", clock, adapter, prepare=lambda: prepared.append(threading.current_thread().name))
    link.shutdown()
    assert prepared == ["can bus_a"]


# -- as a Bus ---------------------------------------------------------------------------------------------


def test_messages_go_by_name_over_a_real_bus_in_both_directions(clock, pair):
    link, other = pair
    bus = Bus("bus_a", clock, link, DATABASE)
    bus.send("ValveCommand", {"Valve": 1, "Position": 50.0})
    sent = other.recv(5.0)
    assert DATABASE.decode(Frame(0x200, bytes(sent.data))) == {"Valve": 1, "Position": 50.0, "Count": 0}
    other.send(message(DATABASE.encode("EngineStatus", {**STATUS, "Speed": 9})))
    frame = bus.recv(5 * s)
    assert DATABASE.decode(frame)["Speed"] == 9
    bus.close()


def test_where_nobody_else_sends_cyclically_the_rig_clock_does(clock, pair):
    link, other = pair
    bus = Bus("bus_a", clock, link, DATABASE)
    periodic = bus.send_periodic("EngineStatus", STATUS)
    clock.sleep(25 * ms)
    assert not periodic.by_scheduler
    assert [DATABASE.decode(Frame(0x100, bytes(other.recv(5.0).data)))["Alive"] for _ in range(3)] == [0, 1, 2]
    bus.close()
    assert not periodic.running


def test_a_scheduler_is_given_a_whole_turn_of_the_counter_with_its_crc(clock):
    adapter = Scheduling()
    bus = Bus("bus_a", clock, RealLink("bus_a", clock, adapter), DATABASE)
    check = DATABASE.receiver("EngineStatus")
    periodic = bus.send_periodic("EngineStatus", STATUS)
    (task,) = adapter.tasks
    turn = [Frame(sent.arbitration_id, bytes(sent.data)) for sent in task.messages]
    bus.close()
    assert periodic.by_scheduler
    assert [DATABASE.decode(frame)["Alive"] for frame in turn] == list(range(15))
    assert [check.check(frame) for frame in turn + turn] == [None] * 30
    assert adapter.sent == []
    assert task.stopped == 1


def test_an_update_changes_the_frames_of_a_scheduler_and_not_their_order(clock):
    adapter = Scheduling()
    bus = Bus("bus_a", clock, RealLink("bus_a", clock, adapter), DATABASE)
    periodic = bus.send_periodic("EngineStatus", STATUS)
    periodic.update({"Speed": 7})
    with pytest.raises(BusError, match="60001"):
        periodic.update({"Speed": 60_001})
    turn = [DATABASE.decode(Frame(0x100, bytes(sent.data))) for sent in adapter.tasks[0].messages]
    bus.close()
    assert len(adapter.tasks) == 1
    assert [(values["Alive"], values["Speed"]) for values in turn] == [(count, 7) for count in range(15)]


def test_frames_of_the_scheduler_are_the_harness_own(clock):
    adapter = Scheduling()
    link = RealLink("bus_a", clock, adapter)
    bus = Bus("bus_a", clock, link, DATABASE)
    periodic = bus.send_periodic("EngineStatus", STATUS)
    old = DATABASE.encode("EngineStatus", STATUS, counter=3)
    periodic.update({"Speed": 7})
    for frame in (old, DATABASE.encode("EngineStatus", {**STATUS, "Speed": 7}, counter=4)):
        adapter.came.put(message(frame, is_rx=False))
    wait(clock, lambda: link.stats.sent == 2)
    assert bus.recv(0) is None
    bus.close()


@pytest.mark.parametrize(("factor", "period_ns"), [(2.0, 10 * ms), (1.0, 10 * ms + 1), (1.0, 0)])
def test_what_a_scheduler_cannot_time_is_left_to_the_rig_clock(factor, period_ns):
    adapter = Scheduling()
    link = RealLink("bus_a", WallClock(factor=factor), adapter)
    assert link.cyclic([FRAME], period_ns) is None
    link.shutdown()
    assert adapter.tasks == []


def test_a_scheduler_for_single_frames_is_not_used_for_a_counter():
    class One(Scheduling):
        def _send_periodic_internal(self, *_):
            raise ValueError("periodic transmission of 1 element only")

    assert hand_over(One(), [FRAME, FRAME], 10 * ms) is None


@settings(deadline=None)  # opens a bus each time
@given(st.integers(1, 60_000_000))
def test_the_kernel_is_given_the_period_to_the_microsecond(period_us):
    class Period(Scheduling):
        def _send_periodic_internal(self, msgs, period, *_):
            head = BcmMsgHead.from_buffer_copy(build_bcm_transmit_header(1, 0, 0.0, period, 0))
            self.given_us = head.ival2_tv_sec * 1_000_000 + head.ival2_tv_usec
            return super()._send_periodic_internal(msgs, period)

    adapter = Period()
    hand_over(adapter, [FRAME], period_us * us)
    adapter.shutdown()
    assert adapter.given_us == period_us


# -- opening ----------------------------------------------------------------------------------------------


def test_an_unknown_interface_is_refused_with_the_nearest_one():
    with pytest.raises(
        BusError, match="python-can has no interface 'socketcn' for channel 'can0'; did you mean socketc"
    ):
        open_bus("socketcn", "can0", 500_000)


def test_a_channel_that_is_not_there_is_refused_with_the_remedy():
    with pytest.raises(
        BusError, match=r"cannot open socketcan channel 'can97': .*(ip link set can97|modprobe can_raw)"
    ):
        open_bus("socketcan", "can97", 500_000)


def test_a_network_interface_that_is_down_is_refused_with_its_bit_rate(tmp_path, monkeypatch):
    (tmp_path / "can7").mkdir()
    (tmp_path / "can7" / "flags").write_text("0x80\n")
    monkeypatch.setattr("hil.can.opening._LINKS", tmp_path)
    with pytest.raises(BusError, match="'can7' is down; bring it up with: ip link set can7 up type can bitrate 250000"):
        open_bus("socketcan", "can7", 250_000)


def test_the_interface_of_a_bus_is_known_by_its_class(adapter, pair):
    assert interface_of(pair[0].raw) == "virtual"
    assert interface_of(adapter) == ""


def test_a_serial_line_adapter_is_a_real_bus(clock):
    """LAWICEL protocol on a pseudo-terminal; the other end is played by this test."""
    master, slave = os.openpty()
    said = bytearray()

    def play() -> None:
        while not said.endswith(b"t12321122\r"):
            said.extend(os.read(master, 64))
        os.write(master, b"t4561AB\r")

    player = threading.Thread(target=play, daemon=True)
    player.start()
    link = open_real(
        "bus_a",
        clock,
        interface="slcan",
        channel=os.ttyname(slave),
        bitrate_bps=500_000,
        options={"sleep_after_open": 0.0},
    )
    heard = []
    link.listen(heard.append)
    link.send_frame(FRAME)
    wait(clock, lambda: heard)
    player.join(5.0)
    link.shutdown()
    os.close(slave)
    os.close(master)
    assert str(heard[0]) == "456#AB"
    assert b"S6\r" in said


def test_frames_that_were_read_at_once_are_put_one_after_the_other_as_a_bus_carries_them():
    observed = Observed("bus_a", 500_000, None)
    frames = [Frame(0x123, bytes(range(8)))] * 100
    stamped = observed.spread(frames, 1 * s)
    assert stamped[-1].at_ns == 1 * s
    assert all(one.at_ns < other.start_ns for one, other in itertools.pairwise(stamped))


def test_the_load_is_the_same_however_frames_were_bunched_on_their_way():
    frame = Frame(0x123, bytes(range(8)))
    loads = []
    for bunch in (1, 10, 100):
        observed = Observed("bus_a", 500_000, None)
        for index in range(2_000 // bunch):  # one frame a millisecond for two seconds
            observed.carried_all(observed.spread([frame] * bunch, (index + 1) * bunch * ms))
        loads.append(observed.load(2 * s))
    assert loads[0] == pytest.approx(observed.duration_ns(frame) / ms + 3 / 500, rel=0.01)
    assert loads[1:] == pytest.approx(loads[:1] * 2, rel=0.01)


def test_starts_and_ends_of_one_bus_never_go_backwards():
    observed = Observed("bus_a", 500_000, None)
    frames = [Frame(0x123, bytes(8))] * 20
    stamped = [*observed.spread(frames, 5 * ms), *observed.spread(frames, 6 * ms)]
    assert stamped == sorted(stamped, key=lambda frame: (frame.start_ns, frame.at_ns))
