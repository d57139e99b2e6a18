"""Error messages of SocketCAN: what a controller saw go wrong, its state and its counters.

Not every one stands for an error frame on the wire: a change of state or a restart is told in the same way.
Source: linux/can/error.h.
"""

from __future__ import annotations

from typing import NamedTuple

TX_TIMEOUT = 0x001
LOST_ARBITRATION = 0x002
CONTROLLER = 0x004
PROTOCOL = 0x008
TRANSCEIVER = 0x010
ACK = 0x020
BUS_OFF = 0x040
BUS_ERROR = 0x080
RESTARTED = 0x100
COUNTERS = 0x200
LOST = 0x10000000
"""Of no controller: a keeper says so how many frames are missing, in the bits below; none of the above is set then."""
ERR_FLAG = 0x20000000
"""What marks the identifier of an error message in a frame log."""

_CONTROLLER_BITS = (
    (0x01, "receive overrun"),
    (0x02, "transmit overrun"),
    (0x04, "receive warning"),
    (0x08, "transmit warning"),
    (0x10, "receive passive"),
    (0x20, "transmit passive"),
    (0x40, "active again"),
)
_PROTOCOL_BITS = (
    (0x01, "bit error"),
    (0x02, "form error"),
    (0x04, "stuff error"),
    (0x08, "dominant bit not sent"),
    (0x10, "recessive bit not sent"),
    (0x20, "overload"),
)
_CLASSES = (
    (TX_TIMEOUT, "transmit timeout"),
    (LOST_ARBITRATION, "arbitration lost"),
    (TRANSCEIVER, "transceiver"),
    (ACK, "no acknowledge"),
    (BUS_OFF, "bus-off"),
    (RESTARTED, "restarted"),
)
_OVERRUN = 0x01
_PASSIVE = 0x30
_BACK = 0x4C  # warning levels and active again: in all three the controller is error-active
_PASSIVE_FROM = 128
_SIZE = 8


class ErrorMessage(NamedTuple):
    """One error message, decoded."""

    kinds: tuple[str, ...]
    """What went wrong, in words."""
    on_wire: bool
    """Whether it stands for an error frame on the wire."""
    state: str | None
    """The state the controller is in now: as :attr:`hil.can.link.BusStats.state`; None when it is not told."""
    tec: int | None
    """Transmit error counter; None when it is not told."""
    rec: int | None
    """Receive error counter; None when it is not told."""
    lost: int
    """Frames that nobody took in time: 1 for an overrun of the controller, which does not tell how many."""


def decode(classes: int, payload: bytes) -> ErrorMessage:
    """An error message by its identifier without flags (the error classes) and its data.

    >>> decode(0x0A8, bytes([0, 0, 0x80, 0x19, 0, 0, 8, 0])).kinds
    ('no acknowledge',)
    """
    if classes & LOST:
        count = classes & LOST - 1
        return ErrorMessage((f"{count} frames lost",), on_wire=False, state=None, tec=None, rec=None, lost=count)
    told = payload.ljust(_SIZE, b"\0")
    kinds = [name for bit, name in _CLASSES if classes & bit]
    if classes & CONTROLLER:
        kinds += [name for bit, name in _CONTROLLER_BITS if told[1] & bit]
    if classes & PROTOCOL:
        kinds += [name for bit, name in _PROTOCOL_BITS if told[2] & bit]
    tec, rec = _counters(classes, told)
    return ErrorMessage(
        kinds=tuple(kinds),
        on_wire=bool(classes & (PROTOCOL | ACK | BUS_ERROR)),
        state=_state(classes, told, tec, rec),
        tec=tec,
        rec=rec,
        lost=int(bool(classes & CONTROLLER and told[1] & _OVERRUN)),
    )


def message_line(classes: int, payload: bytes, at_ns: int, bus: str) -> str:
    """An error message as a line of candump text, without the end of line; the stamp [ns] is rounded down.

    >>> message_line(0x040, bytes(8), 2_000, "can0")
    '(0000000000.000002) can0 20000040#0000000000000000'
    """
    seconds, microseconds = divmod(max(0, at_ns) // 1_000, 1_000_000)
    return f"({seconds:010d}.{microseconds:06d}) {bus} {classes | ERR_FLAG:08X}#{payload.hex().upper()}"


def _counters(classes: int, told: bytes) -> tuple[int | None, int | None]:
    """TEC and REC: told by a flag of their own, before Linux 6.0 with every controller or protocol error instead."""
    tec, rec = told[6], told[7]
    known = classes & COUNTERS or (classes & (CONTROLLER | PROTOCOL) and (tec or rec))
    return (tec, rec) if known else (None, None)


def _state(classes: int, told: bytes, tec: int | None, rec: int | None) -> str | None:
    if classes & BUS_OFF:
        return "bus-off"
    if classes & RESTARTED:
        return "error-active"
    if classes & CONTROLLER:
        if told[1] & _PASSIVE:
            return "error-passive"
        if told[1] & _BACK:
            return "error-active"
    if tec is not None and rec is not None and max(tec, rec) >= _PASSIVE_FROM:
        return "error-passive"
    return None
