r"""slcan (LAWICEL) in bulk: all frames that wait at a serial port are read at once, all to be sent are written at once.

python-can's slcan reads one byte at a time and waits for the port after every frame: at some thousand frames a second
that alone is a whole processor. It still opens the port, sets the bit rate and closes it.

>>> encode_frame(Frame(0x123, bytes([1, 0xAB])))
b't123201AB\r'
>>> str(decode_frame(b"t123201AB"))
'123#01AB'
"""

from __future__ import annotations

import errno
import os
import select
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from hil.can.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from can.interfaces.slcan import slcanBus

_CHUNK = 1 << 16
_UNSENT_MAX = 1 << 15  # bytes that wait for the port at most: a quarter of a second of a full bus of 500 kbit/s
_DLC_MAX = 8
_ANSWERS = b"zZ\r"  # what a port says to frames that were sent, and nothing else: there is nobody to tell
_ENDS = (b"\r", b"\a")
_BELL_AS_END = bytes.maketrans(b"\a", b"\r")


@lru_cache(maxsize=4096)
def _head(arbitration_id: int, extended: bool, remote: bool, dlc: int) -> str:
    kind = "rR"[extended] if remote else "tT"[extended]
    return f"{kind}{arbitration_id:08X}{dlc}" if extended else f"{kind}{arbitration_id:03X}{dlc}"


def encode_frame(frame: Frame) -> bytes:
    """A classic frame as a command, with its end of line.

    Raises:
        ValueError: for CAN FD, which slcan does not have.
    """
    if frame.fd:
        raise ValueError(f"{frame} is CAN FD, and slcan has classic frames only; use another interface")
    head = _head(frame.arbitration_id, frame.extended, frame.remote, frame.dlc)
    return f"{head}{frame.data.hex().upper()}\r".encode()


def decode_frame(line: bytes) -> Frame | None:
    """The frame on a line (without its end); None for an answer, and for anything that is no frame."""
    kind = line[:1]
    digits = 8 if kind in b"TR" else 3
    try:
        arbitration_id, dlc = int(line[1 : 1 + digits], 16), int(line[1 + digits : 2 + digits])
        if not line or dlc > _DLC_MAX:
            return None
        if kind in b"tT":
            data = bytes.fromhex(line[2 + digits : 2 + digits + 2 * dlc].decode("ascii"))
            return Frame(arbitration_id, data, digits == 8) if len(data) == dlc else None
        return Frame(arbitration_id, b"", digits == 8, True, dlc) if kind in b"rR" else None
    except ValueError:  # not hexadecimal: an answer, or a line that was spoilt
        return None


class SlcanLane:
    """The port of a bus of python-can's slcan; from then on nobody else reads it or sends there.

    Args:
        bus: the bus, open.
    """

    def __init__(self, bus: slcanBus) -> None:
        self.sent = self.lost = 0
        self._descriptor = bus.fileno()
        self._readable = select.poll()
        self._readable.register(self._descriptor, select.POLLIN)
        self._partial = b""
        self._is_whole = True  # whether what was taken last ended with a line; of the reading thread
        self._waiting: list[Frame] = []
        self._unsent = b""

    def put(self, frame: Frame) -> None:
        """Have a frame sent at the next :meth:`flush`."""
        self._waiting.append(frame)

    def flush(self) -> bool:
        """Send what waits, without waiting for the port; whether it took everything.

        What would wait for longer than a quarter of a second is lost, and counted.

        Raises:
            OSError: when the port is gone.
            ValueError: for CAN FD.
        """
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            lines = [encode_frame(frame) for frame in waiting]
            fitting = _fitting(lines, _UNSENT_MAX - len(self._unsent))
            self._unsent += b"".join(lines[:fitting])
            self.sent += fitting
            self.lost += len(lines) - fitting
        if self._unsent:
            try:
                self._unsent = self._unsent[os.write(self._descriptor, self._unsent) :]
            except BlockingIOError:
                return False
        return not self._unsent

    def take(self, wait_s: float) -> Callable[[], list[Frame]] | None:
        """What has come, or comes within a time [s]; None when nothing does. See :class:`hil.can.lane.Lane`.

        Raises:
            OSError: when the port is gone.
        """
        if not self._readable.poll(wait_s * 1e3):
            return None
        try:
            taken = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return None
        if not taken:
            raise OSError(errno.EIO, "the serial port was hung up")
        was_whole, self._is_whole = self._is_whole, taken[-1:] in _ENDS
        return partial(self._frames, taken) if taken.strip(_ANSWERS) or not was_whole else None

    def close(self) -> None:
        """Nothing of its own to close: the port is the bus's."""

    def _frames(self, taken: bytes) -> list[Frame]:
        """The frames in what was taken, in order; a line that has not ended waits for the next time."""
        *lines, self._partial = (self._partial + taken).translate(_BELL_AS_END).split(b"\r")
        found = map(decode_frame, lines)
        return [frame for frame in found if frame is not None]


def _fitting(lines: Sequence[bytes], room: int) -> int:
    """How many of the lines, from the first, have room [bytes]."""
    for count, line in enumerate(lines):
        room -= len(line)
        if room < 0:
            return count
    return len(lines)
