"""A serial port with its input taken ahead: the same bytes, in fewer reads."""

from __future__ import annotations

import os
import tty
from typing import TYPE_CHECKING

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from hil.can.read_ahead import ReadAhead

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal:
    """A pseudo-terminal, and a serial port on it."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = serial.Serial(os.ttyname(self._slave), timeout=0.001)
        self.ahead = ReadAhead(self.port)

    def close(self) -> None:
        self.ahead.close()
        os.close(self._slave)
        os.close(self.master)


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


@given(chunks=st.lists(st.binary(max_size=200), max_size=8), size=st.integers(1, 30))
def test_every_byte_comes_out_once_and_in_order(terminal: Terminal, chunks: list[bytes], size: int) -> None:
    came = b""
    for chunk in chunks:
        os.write(terminal.master, chunk)
        came += terminal.ahead.read(size)
    while found := terminal.ahead.read(size):
        came += found
    assert came == b"".join(chunks)


def test_what_was_taken_ahead_counts_as_waiting_and_is_dropped_with_the_rest(terminal: Terminal) -> None:
    os.write(terminal.master, b"t1230\r")
    assert [terminal.ahead.read(1) for _ in range(2)] == [b"t", b"1"]
    assert terminal.ahead.in_waiting == 4
    terminal.ahead.reset_input_buffer()
    assert terminal.ahead.read(1) == b""


def test_what_is_sent_and_how_long_that_may_take_is_the_port_s_own(terminal: Terminal) -> None:
    terminal.ahead.write_timeout = 0.5
    terminal.ahead.write(b"O\r")
    terminal.ahead.flush()
    assert (terminal.port.write_timeout, os.read(terminal.master, 10)) == (0.5, b"O\r")
