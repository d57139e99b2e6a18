"""slcan in bulk over a pseudo-terminal: frames cut anywhere arrive whole; nothing waits for a port that is not read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.can.frame import Frame
from hil.can.slcan import SlcanLane, decode_frame, encode_frame
from hil.sim.serial_port import Port, open_port

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = st.tuples(st.integers(0, 0x7FF), st.binary(max_size=8)).map(lambda given: Frame(*given))
EXTENDED = st.tuples(st.integers(0, 0x1FFFFFFF), st.binary(max_size=8)).map(lambda given: Frame(*given, extended=True))
REMOTE = st.tuples(st.integers(0, 0x7FF), st.integers(0, 8)).map(lambda g: Frame(g[0], remote=True, requested=g[1]))
FRAMES = st.one_of(DATA, EXTENDED, REMOTE)
FRAME = Frame(0x123, bytes(range(8)))


class Opened:
    """A serial port that a bus has opened."""

    def __init__(self, port: Port) -> None:
        os.set_blocking(port.slave, False)
        self.port = port

    def fileno(self) -> int:
        return self.port.slave


@pytest.fixture
def port() -> Iterator[Port]:
    port = open_port()
    yield port
    os.close(port.master)
    os.close(port.slave)


@pytest.fixture
def lane(port: Port) -> SlcanLane:
    return SlcanLane(Opened(port))  # type: ignore[arg-type]  # all that it uses of a bus


def taken(lane: SlcanLane) -> list[Frame]:
    found: list[Frame] = []
    while (frames := lane.take(0.0)) is not None:
        found += frames()
    return found


@given(FRAMES)
def test_a_frame_is_the_same_after_its_line(frame: Frame) -> None:
    line = encode_frame(frame)
    assert line.endswith(b"\r")
    assert decode_frame(line[:-1]) == frame


@given(st.binary(max_size=30))
def test_no_line_whatsoever_is_an_error(line: bytes) -> None:
    found = decode_frame(line)
    assert found is None or found.dlc <= 8


@pytest.mark.parametrize("line", [b"", b"z", b"Z", b"V1013", b"t123", b"t1232AA", b"t1239" + b"00" * 9, b"r1239"])
def test_what_is_no_whole_frame_is_none(line: bytes) -> None:
    assert decode_frame(line) is None


@settings(max_examples=50)
@given(st.lists(st.one_of(FRAMES, st.sampled_from([b"z\r", b"\r", b"\a"])), max_size=12), st.data())
def test_frames_are_found_wherever_the_stream_is_cut(said: list[Frame | bytes], data: st.DataObject) -> None:
    port = open_port()
    lane = SlcanLane(Opened(port))  # type: ignore[arg-type]
    stream = b"".join(part if isinstance(part, bytes) else encode_frame(part) for part in said)
    found: list[Frame] = []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        os.write(port.master, stream[:cut])
        stream = stream[cut:]
        found += taken(lane)
    os.close(port.master)
    os.close(port.slave)
    assert found == [part for part in said if isinstance(part, Frame)]


def test_what_is_put_leaves_together_at_the_flush(port: Port, lane: SlcanLane) -> None:
    for _ in range(3):
        lane.put(FRAME)
    with pytest.raises(BlockingIOError):
        os.read(port.master, 1)
    assert lane.flush()
    assert os.read(port.master, 1 << 12) == 3 * encode_frame(FRAME)
    assert (lane.sent, lane.lost) == (3, 0)


def test_a_port_that_is_not_read_keeps_nobody_waiting_and_what_is_lost_is_counted(port: Port, lane: SlcanLane) -> None:
    for _ in range(8_000):
        lane.put(FRAME)
    assert not lane.flush()
    assert lane.lost > 0
    assert lane.sent + lane.lost == 8_000
    read = b""
    while not lane.flush():
        read += os.read(port.master, 1 << 16)
    while len(read) < lane.sent * len(encode_frame(FRAME)):
        read += os.read(port.master, 1 << 16)
    assert read == lane.sent * encode_frame(FRAME)


def test_a_frame_of_can_fd_is_refused(lane: SlcanLane) -> None:
    lane.put(Frame(1, bytes(12), fd=True))
    with pytest.raises(ValueError, match="CAN FD"):
        lane.flush()
