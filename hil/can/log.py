"""The frame log: one line of candump text (``candump -L``) per frame; can-utils, python-can and cantools read it.

Stamps have microseconds because can-utils reads the digits after the point as a count of microseconds; a stamp is
rounded down. Error frames are written as SocketCAN error messages. Source: linux/can.h and linux/can/error.h.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hil.can.error_frames import BUS_ERROR, BUS_OFF, CONTROLLER, LOCATION_ACK, NO_ACK, PROTOCOL, PROTOCOL_TX
from hil.can.frame import describe, describe_fd

if TYPE_CHECKING:
    from hil.can.frame import Frame

_ERR_FLAG = 0x20000000
_CONTROLLER_TX_PASSIVE = 0x20
_PROTOCOL_BIT = 0x01
_STAMP_FILL = 10**16  # gives a count of microseconds 16 digits with their leading zeros, behind a 1


class WireError(NamedTuple):
    """An error frame, seen from the transmitter whose frame it destroyed."""

    at_ns: int
    """End of the error delimiter [ns]."""
    kind: str
    """``"bit"`` (the wire differed from what was sent) or ``"ack"`` (nobody acknowledged)."""
    tec: int
    rec: int
    passive: bool
    bus_off: bool


def frame_line(frame: Frame, bus: str) -> str:
    """A frame as a line of candump text, without the end of line.

    >>> from hil.can.frame import Frame
    >>> frame_line(Frame(0x123, bytes([0x11, 0x22]), at_ns=1_000_258_000), "bus_a")
    '(0000000001.000258) bus_a 123#1122'
    """
    identifier, data, extended, remote, _, _, at_ns, _, fd, _, _ = frame
    digits = str(_STAMP_FILL + at_ns // 1000)
    if remote:
        text = f"{bus} {describe(identifier, data, extended=extended, remote=True, dlc=frame.dlc)}"
    elif fd:
        text = f"{bus} {describe_fd(frame)}"
    else:
        text = f"{_head(bus, identifier, extended)}{data.hex().upper()}"
    return f"({digits[1:11]}.{digits[11:]}) {text}"


@lru_cache(maxsize=1024)
def _head(bus: str, arbitration_id: int, extended: bool) -> str:
    return f"{bus} {describe(arbitration_id, b'', extended=extended, remote=False, dlc=0)}"


def error_line(error: WireError, bus: str) -> str:
    """An error frame as a line of candump text, without the end of line.

    >>> error_line(WireError(2_000, "ack", 8, 0, False, False), "bus_a")
    '(0000000000.000002) bus_a 200000A8#0000801900000800'
    """
    flags = _ERR_FLAG | BUS_ERROR | PROTOCOL  # python-can knows an error frame by BUS_ERROR
    data = bytearray(8)
    data[2] = PROTOCOL_TX
    if error.kind == "ack":
        flags |= NO_ACK
        data[3] = LOCATION_ACK
    else:
        data[2] |= _PROTOCOL_BIT
    if error.bus_off:
        flags |= BUS_OFF
    elif error.passive:
        flags |= CONTROLLER
        data[1] = _CONTROLLER_TX_PASSIVE
    data[6], data[7] = min(error.tec, 255), min(error.rec, 255)
    digits = str(_STAMP_FILL + error.at_ns // 1000)
    return f"({digits[1:11]}.{digits[11:]}) {bus} {flags:08X}#{data.hex().upper()}"
