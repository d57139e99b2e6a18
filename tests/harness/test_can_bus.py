"""The simulated bus through python-can: the contract of can.BusABC, all of it on the rig clock."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import weakref

import can
import pytest

from hil.can.frame import Frame
from hil.can.wire import CanWire
from hil.clock import VirtualClock, WallClock, sleep_forbidden
from hil.errors import ClockError, DeadlockError
from hil.faults import Fault
from hil.noise import Streams
from hil.units import ms, s, us


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def wire(clock):
    return CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"))


@pytest.fixture
def open_bus(wire):
    buses = []

    def opened(**options):
        buses.append(can.Bus(interface="hil", channel="bus_a", ignore_config=True, **options))
        return buses[-1]

    yield opened
    for bus in buses:
        bus.shutdown()


@pytest.fixture
def pair(open_bus):
    return open_bus(), open_bus()


def message(identifier=0x123, data=b"\x11\x22", **options):
    return can.Message(arbitration_id=identifier, data=data, is_extended_id=False, **options)


# -- receiving ----------------------------------------------------------------------------------------------


def test_what_one_sends_the_other_receives_at_the_end_of_the_frame(pair):
    sender, receiver = pair
    sent = message()
    sender.send(sent)

    received = receiver.recv(1.0)

    assert received.equals(sent, timestamp_delta=None, check_channel=False)
    assert (received.timestamp, received.channel, received.is_rx) == (62 * 2e-6, "bus_a", True)


def test_recv_ends_at_exactly_its_timeout_under_traffic_that_is_filtered_out(clock, wire, open_bus):
    bus = open_bus(can_filters=[{"can_id": 0x700, "can_mask": 0x7FF}])
    engine = wire.attach("engine")
    clock.every(333 * us, lambda: engine.send(Frame(0x123, bytes(8))))

    assert bus.recv(timeout=1.0) is None
    assert clock.now == 1_000_000_000


def test_a_poll_lets_what_is_due_now_happen_and_no_more(clock, wire, open_bus):
    bus, engine = open_bus(), wire.attach("engine")
    engine.send(Frame(1))
    assert bus.recv(0) is None
    assert clock.now == 0
    clock.sleep(1 * ms)
    assert bus.recv(0).arbitration_id == 1


@pytest.mark.parametrize("timeout", [None, math.inf])
def test_recv_for_ever_without_anything_that_could_arrive_is_a_deadlock(pair, timeout):
    with pytest.raises(DeadlockError, match="waiting for a CAN frame without a deadline"):
        pair[0].recv(timeout)


def test_a_timeout_that_is_no_number_is_refused(pair):
    with pytest.raises(ValueError, match=r"recv on hil bus bus_a, .*: timeout = nan s is no time to wait"):
        pair[0].recv(math.nan)
    with pytest.raises(ValueError, match=r"send on hil bus bus_a, .*: timeout = inf s is no time to wait"):
        pair[0].send(message(), timeout=math.inf)


def test_iterating_gives_messages_and_ends_in_a_deadlock(pair):
    sender, receiver = pair
    sender.send(message(1))
    sender.send(message(2))
    received = []
    with pytest.raises(DeadlockError):
        received.extend(entry.arbitration_id for entry in receiver)
    assert received == [1, 2]


def test_every_receiver_has_a_message_of_its_own(open_bus):
    sender, one, other = open_bus(), open_bus(), open_bus()
    sender.send(message())
    first, second = one.recv(1.0), other.recv(1.0)
    assert first is not second
    first.data[0] = 0xFF
    assert second.data == b"\x11\x22"


def test_time_in_whole_nanoseconds_is_there(pair):
    sender, receiver = pair
    sender.send(message())
    frame = receiver.recv_frame(1 * s)
    assert (frame.start_ns, frame.at_ns) == (0, 62 * 2 * us)


def test_own_messages_come_back_at_the_end_of_the_frame_when_asked_for(clock, open_bus):
    sender, plain = open_bus(receive_own_messages=True), open_bus()
    sender.send(message())
    echo = sender.recv(1.0)
    assert (echo.is_rx, echo.timestamp) == (False, 62 * 2e-6)
    assert plain.recv(0).is_rx is True
    assert plain.recv(0.1) is None


@pytest.mark.parametrize(
    ("filters", "passed"),
    [
        (None, [0x100, 0x101, 0x200]),
        ([], [0x100, 0x101, 0x200]),
        ([{"can_id": 0x100, "can_mask": 0x7FE}], [0x100, 0x101]),
        ([{"can_id": 0x101, "can_mask": 0x7FF}, {"can_id": 0x200, "can_mask": 0x7FF}], [0x101, 0x200]),
        ([{"can_id": 0x100, "can_mask": 0x7FF, "extended": True}], []),
        ([{"can_id": 0x100, "can_mask": 0x7FF, "extended": False}], [0x100]),
    ],
)
def test_filters_are_those_of_python_can(clock, wire, open_bus, filters, passed):
    bus, engine = open_bus(), wire.attach("engine")
    bus.set_filters(filters)
    for identifier in (0x100, 0x101, 0x200):
        engine.send(Frame(identifier))
    clock.sleep(1 * ms)
    received = [bus.recv(0) for _ in range(4)]
    assert [entry.arbitration_id for entry in received if entry] == passed


def test_frames_nobody_read_are_not_lost_in_silence(clock, wire, open_bus):
    bus, engine = open_bus(rx_depth=2), wire.attach("engine")
    for identifier in (1, 2, 3):
        engine.send(Frame(identifier))
    clock.sleep(1 * ms)
    with pytest.raises(can.CanOperationError, match="1 frames were lost because 2 waited unread"):
        bus.recv(0)
    assert bus.recv(0).arbitration_id == 2


def test_listen_calls_back_on_the_rig_clock(clock, wire, open_bus):
    bus, engine, times = open_bus(), wire.attach("engine"), []
    stop = bus.listen(lambda frame: times.append((frame.at_ns, clock.now)))
    engine.send(Frame(1))
    clock.sleep(1 * ms)
    stop()
    engine.send(Frame(1))
    clock.sleep(1 * ms)
    assert len(times) == 1
    assert times[0][0] == times[0][1]


# -- sending ------------------------------------------------------------------------------------------------


def test_a_message_changed_after_send_is_sent_as_it_was(pair):
    sender, receiver = pair
    sent = message()
    sender.send(sent)
    sent.data[0] = 0xFF
    assert receiver.recv(1.0).data == b"\x11\x22"


@pytest.mark.parametrize(
    "sent",
    [
        can.Message(arbitration_id=0x12345678, data=bytes(8)),
        can.Message(arbitration_id=0x123, is_extended_id=False, is_remote_frame=True, dlc=5),
        can.Message(arbitration_id=0, is_extended_id=False),
    ],
)
def test_every_kind_of_classic_message_arrives_as_it_was(pair, sent):
    sender, receiver = pair
    sender.send(sent)
    assert receiver.recv(1.0).equals(sent, timestamp_delta=None, check_channel=False)


def test_a_full_queue_is_an_error_at_once_and_with_a_timeout_is_waited_for(clock, open_bus):
    sender, _ = open_bus(tx_depth=1), open_bus()
    sender.send(message())
    with pytest.raises(can.CanOperationError, match=r"transmit queue is full \(1 frames\)"):
        sender.send(message())
    sender.send(message(), timeout=1.0)
    assert clock.now == 62 * 2 * us


def test_a_queue_that_stays_full_is_an_error_exactly_at_the_timeout(clock, wire, open_bus):
    sender = open_bus(tx_depth=1)
    wire.apply(Fault("bus_a", "babble", parameters={"node": wire.attach("idiot").name}))
    sender.send(message())
    with pytest.raises(can.CanOperationError, match=r"transmit queue is full \(1 frames\)"):
        sender.send(message(), timeout=0.25)
    assert clock.now == 250 * ms


def test_a_send_on_a_bus_that_is_off_says_so(clock, wire, pair):
    sender, _ = pair
    wire.apply(Fault("bus_a", "corrupt"))
    sender.send(message())
    clock.wait(None, lambda: sender.state is can.BusState.ERROR)
    with pytest.raises(can.CanOperationError, match=r"python_can_1 is bus-off \(TEC 256"):
        sender.send(message())


def test_a_lone_bus_is_passive_after_a_while(clock, open_bus):
    bus = open_bus()
    assert bus.state is can.BusState.ACTIVE
    bus.send(message())
    clock.sleep(1 * s)
    assert bus.state is can.BusState.PASSIVE
    assert (bus.stats.tec, bus.stats.state) == (128, "error-passive")


NOT_CLASSIC = [
    (can.Message(is_fd=True), "is CAN FD, and here is classic CAN only"),
    (can.Message(is_error_frame=True), "an error frame cannot be sent"),
    (can.Message(arbitration_id=0x800, is_extended_id=False), "does not fit a standard frame"),
    (can.Message(dlc=4, data=b"1"), "dlc is 4 and data has 1 bytes"),
]


@pytest.mark.parametrize(("sent", "why"), NOT_CLASSIC)
def test_a_message_classic_can_does_not_have_is_refused(pair, sent, why):
    with pytest.raises(can.CanOperationError, match=why):
        pair[0].send(sent)


@pytest.mark.parametrize(("sent", "why"), NOT_CLASSIC)
def test_a_periodic_message_classic_can_does_not_have_is_refused_where_it_is_made(clock, pair, sent, why):
    with pytest.raises(can.CanOperationError, match=f"send_periodic on hil bus bus_a, .*{why}"):
        pair[0].send_periodic(sent, period=0.01)
    assert clock.idle


def test_flush_discards_what_is_not_on_the_wire_yet(clock, pair):
    sender, receiver = pair
    for identifier in (1, 2, 3):
        sender.send(message(identifier))
    clock.sleep(10 * us)
    sender.flush_tx_buffer()
    clock.sleep(1 * ms)
    assert receiver.recv(0).arbitration_id == 1
    assert receiver.recv(0) is None


# -- periodic -----------------------------------------------------------------------------------------------


def start_times(bus, count):
    return [bus.recv_frame(1 * s).start_ns for _ in range(count)]


def test_a_periodic_message_is_sent_on_the_rig_clock_without_drift(pair):
    sender, receiver = pair
    sender.send_periodic(message(), period=0.01)
    assert start_times(receiver, 5) == [0, 10 * ms, 20 * ms, 30 * ms, 40 * ms]


def test_a_periodic_message_ends_after_its_duration(clock, pair):
    sender, receiver = pair
    sender.send_periodic(message(), period=0.01, duration=0.03)
    assert start_times(receiver, 3) == [0, 10 * ms, 20 * ms]
    assert receiver.recv(1.0) is None
    assert clock.idle


def test_a_periodic_message_stops_starts_and_changes_its_data(clock, pair):
    sender, receiver = pair
    task = sender.send_periodic(message(data=b"\x01"), period=0.01)
    clock.sleep(15 * ms)
    task.modify_data(message(data=b"\x02"))
    clock.sleep(10 * ms)
    task.stop()
    clock.sleep(100 * ms)
    task.start()
    clock.sleep(1 * ms)
    received = [receiver.recv(0) for _ in range(5)]
    assert [bytes(entry.data) for entry in received if entry] == [b"\x01", b"\x01", b"\x02", b"\x02"]


def test_a_modifier_callback_changes_each_message_before_it_is_sent(pair):
    sender, receiver = pair

    def count(changed):
        changed.data[0] += 1

    sender.send_periodic(message(data=b"\x00"), period=0.01, modifier_callback=count)
    assert [receiver.recv(1.0).data[0] for _ in range(3)] == [1, 2, 3]


def test_several_messages_take_turns(pair):
    sender, receiver = pair
    sender.send_periodic([message(data=b"\x01"), message(data=b"\x02")], period=0.01)
    assert [receiver.recv(1.0).data[0] for _ in range(3)] == [1, 2, 1]


def test_a_periodic_message_not_started_at_once_waits_for_start(clock, pair):
    sender, receiver = pair
    task = sender.send_periodic(message(), period=0.01, autostart=False)
    assert receiver.recv(0.1) is None
    task.start()
    assert receiver.recv_frame(1 * s).start_ns == 100 * ms


def test_new_data_classic_can_does_not_have_leave_the_old_ones(clock, pair):
    sender, receiver = pair
    task = sender.send_periodic(message(data=b"\x01"), period=0.01)
    with pytest.raises(can.CanOperationError, match="has 9 bytes; a classic CAN frame has 0 to 8"):
        task.modify_data(message(data=bytes(9)))
    assert receiver.recv(1.0).data == b"\x01"


@pytest.mark.parametrize("store_task", [True, False])
def test_shutdown_ends_periodic_messages(clock, pair, store_task):
    pair[0].send_periodic(message(), period=0.01, store_task=store_task)
    pair[0].shutdown()
    clock.sleep(1 * s)
    assert clock.idle


def test_a_periodic_message_does_not_start_on_a_closed_bus(pair):
    task = pair[0].send_periodic(message(), period=0.01)
    pair[0].shutdown()
    for start in (task.start, lambda: pair[0].send_periodic(message(), period=0.01)):
        with pytest.raises(can.CanOperationError, match=r"send_periodic on .*: it has been shut down"):
            start()


def test_a_periodic_message_outlives_bus_off(clock, wire, pair):
    sender, receiver = pair
    sender.send_periodic(message(), period=0.001)
    clear = wire.apply(Fault("bus_a", "corrupt"))
    clock.wait(None, lambda: sender.state is can.BusState.ERROR)
    clear()
    clock.sleep(10 * ms)
    assert receiver.recv(0) is not None
    assert sender.stats.refused > 0


def test_a_periodic_message_with_other_identifiers_or_no_period_is_refused(pair):
    with pytest.raises(ValueError, match="Arbitration IDs should be the same"):
        pair[0].send_periodic([message(1), message(2)], period=0.01)
    with pytest.raises(ValueError, match="the period is 0"):
        pair[0].send_periodic(message(), period=0.0)
    with pytest.raises(ValueError, match="duration = nan s is no time"):
        pair[0].send_periodic(message(), period=0.01, duration=math.nan)


# -- opening and closing ------------------------------------------------------------------------------------


def test_an_unknown_channel_names_the_open_ones(wire):
    with pytest.raises(can.CanInitializationError, match=r"no simulated CAN bus 'bus_b' is open \(open: .*bus_a"):
        can.Bus(interface="hil", channel="bus_b", ignore_config=True)


def test_no_channel_at_all_names_the_open_ones_too(wire):
    with pytest.raises(can.CanInitializationError, match=r"no simulated CAN bus '' is open \(open: .*bus_a"):
        can.Bus(interface="hil", ignore_config=True)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"bitrate": 250_000}, "runs at 500000 bit/s, not at bitrate=250000"),
        ({"fd": True}, "is classic CAN 2.0; leave fd=True out"),
        ({"node": "engine"}, "has a node 'engine' already"),
        ({"rx_depth": 0}, "rx_depth=0 can hold no frame"),
        ({"tx_depth": 0}, "a transmit queue of 0 frames can send nothing"),
    ],
)
def test_a_bus_that_cannot_be_as_asked_is_refused(wire, open_bus, options, why):
    wire.attach("engine")
    with pytest.raises(can.CanInitializationError, match=why):
        open_bus(**options)


def test_options_of_other_interfaces_are_accepted(open_bus):
    assert open_bus(bitrate=500_000, single_handle=True, fd=False).channel_info == "hil bus bus_a, 500000 bit/s"


def test_what_was_sent_just_before_shutdown_still_goes_out(clock, wire, pair):
    sender, receiver = pair
    sender.send(message(1))
    sender.send(message(2))
    sender.shutdown()
    sender.shutdown()
    assert [receiver.recv(1.0).arbitration_id for _ in range(2)] == [1, 2]
    assert wire.nodes == ["python_can_2"]


def test_a_closed_bus_neither_sends_nor_receives(pair):
    pair[0].shutdown()
    with pytest.raises(can.CanOperationError, match=r"send on .* it has been shut down"):
        pair[0].send(message())
    with pytest.raises(can.CanOperationError, match=r"recv on .* it has been shut down"):
        pair[0].recv(0)


def test_a_bus_nobody_holds_leaves_the_wire(wire):
    bus = can.Bus(interface="hil", channel="bus_a", ignore_config=True)
    gone = weakref.ref(bus)
    del bus
    gc.collect()
    assert gone() is None
    assert wire.nodes == []


def test_open_wires_are_detected_by_python_can(wire):
    assert {"interface": "hil", "channel": "bus_a"} in can.detect_available_configs("hil")


# -- what waits in wall time is refused ---------------------------------------------------------------------


def notifier_threads():
    return [thread.name for thread in threading.enumerate() if "Notifier" in thread.name]


@pytest.mark.parametrize("clock", [VirtualClock(), WallClock()], ids=["virtual", "wall"])
def test_a_notifier_is_refused_where_it_is_made(open_bus):
    bus = open_bus()
    for _ in range(2):  # the second one must be told the same
        with pytest.raises(can.CanOperationError, match=r"can.Notifier on .*: refused.*bus.listen\(fn\)"):
            can.Notifier(bus, [print])
    assert notifier_threads() == []
    assert can.Notifier.find_instances(bus) == ()


def test_a_notifier_for_several_buses_is_refused_too_and_leaves_no_thread(open_bus):
    with can.Bus(interface="virtual", channel="x", ignore_config=True) as other:
        with pytest.raises(can.CanOperationError, match="refused"):
            can.Notifier([other, open_bus()], [print], timeout=0.01)
        assert notifier_threads() == []


def test_a_notifier_on_an_asyncio_loop_is_refused_too(open_bus):
    async def notified():
        can.Notifier(open_bus(), [can.AsyncBufferedReader()], loop=asyncio.get_running_loop())

    with pytest.raises(can.CanOperationError, match="refused"):
        asyncio.run(notified())


def test_a_thread_safe_bus_works_in_the_tests_thread_and_its_notifier_is_refused(pair):
    with can.ThreadSafeBus(interface="hil", channel="bus_a", ignore_config=True) as bus:
        bus.send(message())
        assert pair[0].recv(1.0).data == b"\x11\x22"
        with pytest.raises(can.CanOperationError, match="refused"):
            can.Notifier(bus, [print])
    assert notifier_threads() == []


def test_a_replay_that_paces_itself_in_wall_time_is_refused_in_a_virtual_test(clock):
    recorded = can.MessageSync([message(timestamp=at) for at in (0.0, 0.2)])
    with sleep_forbidden(clock), pytest.raises(ClockError, match=r"time.sleep\(0\.\d+\) in a test on a virtual clock"):
        list(recorded)


def test_anybody_else_who_asks_for_a_file_descriptor_is_told_as_python_can_prescribes(open_bus):
    with pytest.raises(NotImplementedError, match="has no file descriptor"):
        open_bus().fileno()


def test_recv_in_another_thread_is_refused_with_the_remedy(pair):
    problems = []

    def foreign():
        try:
            pair[0].recv(1.0)
        except ClockError as problem:
            problems.append(str(problem))

    thread = threading.Thread(target=foreign)
    thread.start()
    thread.join()
    assert "which this virtual clock does not manage" in problems[0]
    assert "clock.post(fn)" in problems[0]


def test_recv_in_a_callback_is_refused_with_the_remedy(clock, pair):
    clock.at(0, lambda: pair[0].recv(1.0))
    with pytest.raises(ClockError, match="a callback may not wait"):
        clock.sleep(1 * ms)


@pytest.mark.parametrize("clock", [WallClock(factor=100.0)])
def test_on_a_wall_clock_the_same_bus_runs_at_its_pace(clock, pair):
    sender, receiver = pair
    sender.send_periodic(message(), period=0.01)
    first, second = receiver.recv_frame(1 * s), receiver.recv_frame(1 * s)
    assert second.start_ns - first.start_ns == 10 * ms
    sender.stop_all_periodic_tasks()
    while receiver.recv(0.005) is not None:
        pass  # what ticks that were due already have sent on a slow machine
    before = clock.now
    assert receiver.recv(0.1) is None
    assert clock.now >= before + 100 * ms


def test_unmodified_clients_without_threads_work(tmp_path, pair):
    """A candump log is replayed through python-can's reader, and what arrives goes to its ASC writer."""
    sender, receiver = pair
    log, asc = tmp_path / "in.log", tmp_path / "out.asc"
    log.write_text("".join(f"(0.00{n}000) can0 00{n}#0{n}\n" for n in (1, 2, 3)))
    with can.LogReader(log) as recorded:
        for entry in recorded:
            sender.send(entry)
    with can.ASCWriter(asc) as writer:
        while (received := receiver.recv(0.01)) is not None:
            writer(received)
    with can.LogReader(asc) as read_back:
        assert [(entry.arbitration_id, bytes(entry.data)) for entry in read_back] == [
            (1, b"\x01"),
            (2, b"\x02"),
            (3, b"\x03"),
        ]
