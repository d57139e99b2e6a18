"""python-can's buffered readers on a virtual rig: what is there is read, a wait in wall time is refused."""

from __future__ import annotations

import asyncio

import can
import pytest

from hil.can.readers import wall_readers_refused
from hil.clock import VirtualClock, WallClock
from hil.errors import ClockError

MESSAGE = can.Message(arbitration_id=0x123)


def test_a_buffered_reader_that_would_wait_in_wall_time_is_refused_with_the_remedy():
    reader = can.BufferedReader()
    with (
        wall_readers_refused(VirtualClock()),
        pytest.raises(ClockError, match=r"BufferedReader.get_message on a virtual clock.*use bus\.recv\(timeout\)"),
    ):
        reader.get_message(timeout=5.0)


def test_what_is_in_the_buffer_is_read():
    reader = can.BufferedReader()
    reader(MESSAGE)
    with wall_readers_refused(VirtualClock()):
        assert reader.get_message() is MESSAGE


def test_a_stopped_reader_says_that_it_is_empty():
    reader = can.BufferedReader()
    reader.stop()
    with wall_readers_refused(VirtualClock()):
        assert reader.get_message() is None


@pytest.mark.parametrize("read", [can.AsyncBufferedReader.get_message, can.AsyncBufferedReader.__anext__])
def test_an_asyncio_reader_that_would_wait_for_ever_is_refused(read):
    async def waits():
        await getattr(can.AsyncBufferedReader(), read.__name__)()

    with wall_readers_refused(VirtualClock()), pytest.raises(ClockError, match="AsyncBufferedReader"):
        asyncio.run(waits())


def test_on_a_wall_clock_readers_wait_as_they_always_did():
    with wall_readers_refused(WallClock()):
        assert can.BufferedReader().get_message(timeout=0.001) is None


def test_a_closed_rig_leaves_python_can_as_it_was():
    original = can.BufferedReader.get_message
    with wall_readers_refused(VirtualClock()):
        pass
    assert can.BufferedReader.get_message is original


def test_rigs_may_be_closed_in_any_order():
    first, second = wall_readers_refused(VirtualClock()), wall_readers_refused(VirtualClock())
    for rig in (first, second):
        rig.__enter__()
    for rig in (first, second):
        rig.__exit__(None, None, None)
    assert can.BufferedReader().get_message(timeout=0.001) is None
