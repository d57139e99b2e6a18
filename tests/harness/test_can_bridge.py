"""A simulated wire joined to a python-can bus, frames both ways, none sent back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import can
import pytest

from hil.can.bridge import DEPTH, Bridge
from hil.can.frame import Frame
from hil.can.wire import CanWire
from hil.clock import VirtualClock, WallClock
from hil.errors import BusError
from hil.noise import Streams
from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Iterator


class Joined:
    """A wire with one article, a bridge, and a program on the other side of a python-can bus."""

    def __init__(self, *, echo: bool = False, data_bitrate_bps: int | None = None) -> None:
        self.clock = WallClock()
        rng = Streams(1).stream("bus_a", "wire")
        self.wire = CanWire(self.clock, "bus_a", 500_000, rng, data_bitrate_bps=data_bitrate_bps)
        self.article = self.wire.attach("article")
        self.heard: list[Frame] = []
        self.article.on_frame(self.heard.append)
        self.bus = can.Bus(interface="virtual", channel="test_can_bridge", receive_own_messages=echo)
        self.other = can.Bus(interface="virtual", channel="test_can_bridge")
        self.bridge = Bridge(self.wire, self.bus, self.clock, echo=echo)

    def run(self, for_ns: int = 1 * s, until_heard: int | None = None) -> None:
        ready = None if until_heard is None else lambda: len(self.heard) >= until_heard
        self.clock.wait(self.clock.now + for_ns, ready)

    def close(self) -> None:
        self.bridge.close()
        self.other.shutdown()
        self.wire.close()


@pytest.fixture(params=[False, True], ids=["silent", "echoing"])
def joined(request: pytest.FixtureRequest) -> Iterator[Joined]:
    joined = Joined(echo=request.param)
    yield joined
    joined.close()


FRAMES = [
    Frame(0x123, b"\x01\x02"),
    Frame(0x7FF, b""),
    Frame(0x1ABCDEF0, bytes(range(8)), extended=True),
    Frame(0x55, b"", remote=True, requested=4),
]


def _bare(frame: Frame) -> Frame:
    return frame._replace(start_ns=0, at_ns=0, sender="")


def test_what_an_article_sends_is_on_the_bus_in_order(joined: Joined) -> None:
    for frame in FRAMES:
        joined.article.send(frame)
    joined.run(20 * ms)
    got = [joined.other.recv(1.0) for _ in FRAMES]
    assert [(m.arbitration_id, m.is_extended_id, m.is_remote_frame, m.dlc, bytes(m.data)) for m in got if m] == [
        (f.arbitration_id, f.extended, f.remote, f.dlc, f.data) for f in FRAMES
    ]


def test_what_comes_from_the_bus_reaches_the_articles(joined: Joined) -> None:
    for frame in FRAMES:
        data = None if frame.remote else frame.data
        joined.other.send(can.Message(0, frame.arbitration_id, frame.extended, frame.remote, dlc=frame.dlc, data=data))
    joined.run(until_heard=len(FRAMES))
    assert [_bare(frame) for frame in joined.heard] == FRAMES


def test_nothing_goes_back_where_it_came_from(joined: Joined) -> None:
    joined.article.send(FRAMES[0])
    joined.other.send(can.Message(arbitration_id=0x200, is_extended_id=False, data=b"\x05"))
    joined.run(100 * ms)
    assert [frame.arbitration_id for frame in joined.heard] == [0x200]
    assert [message.arbitration_id for message in iter(lambda: joined.other.recv(0.02), None)] == [0x123]
    stats = joined.bridge.stats
    assert (stats.to_bus, stats.from_bus, stats.lost_to_bus, stats.lost_from_bus) == (1, 1, 0, 0)


def test_how_late_a_frame_got_to_the_wire_is_known() -> None:
    joined = Joined()
    joined.other.send(can.Message(arbitration_id=0x200, is_extended_id=False, data=b""))
    threading.Event().wait(0.1)  # a test that computes: nobody runs the clock
    joined.run(until_heard=1)
    assert 50 * ms < joined.bridge.stats.worst_delay_ns <= joined.heard[0].start_ns
    joined.close()


def test_frames_that_find_the_queue_full_are_lost_and_counted() -> None:
    class Slow(can.BusABC):
        """A bus whose driver holds a frame until it is let go."""

        def __init__(self) -> None:
            super().__init__("slow")
            self.go = threading.Event()

        def send(self, msg: can.Message, timeout: float | None = None) -> None:  # noqa: ARG002
            self.go.wait(10.0)

        def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
            self.go.wait(timeout)
            return None, False

    clock = WallClock(factor=0.01)
    wire = CanWire(clock, "bus_a", 1_000_000, Streams(1).stream("bus_a", "wire"))
    bus = Slow()
    bridge = Bridge(wire, bus, clock)
    for _ in range(DEPTH + 6):
        bridge._lane.put(FRAMES[0])
    assert 4 <= bridge.stats.lost_to_bus <= 6  # one or none is at the driver
    bus.go.set()
    bridge.close()
    wire.close()


def test_a_frame_of_can_fd_is_lost_and_counted_on_a_wire_of_classic_can() -> None:
    joined = Joined()
    joined.other.send(can.Message(arbitration_id=1, is_extended_id=False, is_fd=True, data=bytes(12)))
    joined.other.send(can.Message(arbitration_id=2, is_extended_id=False, data=b""))
    joined.run(until_heard=1)
    assert joined.bridge.stats.lost_from_bus == 1
    joined.close()


def test_a_frame_of_can_fd_crosses_both_ways_on_a_wire_that_has_it() -> None:
    joined = Joined(data_bitrate_bps=2_000_000)
    joined.other.send(
        can.Message(arbitration_id=1, is_extended_id=False, is_fd=True, bitrate_switch=True, data=bytes(64))
    )
    joined.article.send(Frame(2, bytes(12), fd=True))
    joined.run(until_heard=1)
    joined.run(20 * ms)
    assert (joined.heard[0].fd, joined.heard[0].brs, joined.heard[0].dlc) == (True, True, 64)
    message = joined.other.recv(1.0)
    assert message is not None
    assert (message.is_fd, message.bitrate_switch, message.dlc) == (True, False, 12)
    joined.close()


def test_a_virtual_clock_is_not_joined_to_a_real_bus() -> None:
    clock = VirtualClock()
    wire = CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"))
    with can.Bus(interface="virtual", channel="test_can_bridge") as bus, pytest.raises(BusError, match="rig's pace"):
        Bridge(wire, bus, clock)
    wire.close()
