"""A serial port that takes whatever has come at once and gives it out byte by byte.

python-can's slcan reads one byte at a time, two system calls each: at some thousand frames a second that alone is a
whole processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serial import Serial


class ReadAhead:
    """A serial port of pyserial with its input taken ahead; one thread reads.

    Args:
        port: the port, open.
    """

    def __init__(self, port: Serial) -> None:
        self._port = port
        self._taken = b""
        self._next = 0
        self.write = port.write
        """Send bytes."""
        self.flush = port.flush
        """Wait until everything was sent."""
        self.fileno = port.fileno
        """The port's file descriptor. It says nothing of bytes that were taken ahead."""
        self.close = port.close
        """Close the port."""

    @property
    def write_timeout(self) -> float | None:
        """Longest time a write may take [s]; None for any."""
        return self._port.write_timeout

    @write_timeout.setter
    def write_timeout(self, timeout_s: float | None) -> None:
        self._port.write_timeout = timeout_s

    @property
    def in_waiting(self) -> int:
        """Bytes that have come and were not read; more may have come while there are some."""
        return len(self._taken) - self._next or self._port.in_waiting

    def read(self, size: int = 1) -> bytes:
        """Up to so many bytes; fewer when there are no more, none when the port's time-out ends the wait for one."""
        begin = self._next
        if begin == len(self._taken):
            self._taken = self._port.read(self._port.in_waiting or 1)
            begin = 0
        self._next = min(begin + size, len(self._taken))
        return self._taken[begin : self._next]

    def reset_input_buffer(self) -> None:
        """Drop what has come and was not read."""
        self._taken, self._next = b"", 0
        self._port.reset_input_buffer()
