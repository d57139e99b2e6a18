"""What a controller says of an error, in SocketCAN's notation: error class, eight bytes of detail.

Source: linux/can/error.h. A controller sees an error from its side of it: where the sender finds a bit error or misses
the acknowledgement, a receiver finds six equal bits (the sender's error flag), a wrong form or a wrong CRC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from hil.can.bits import stuffed_bits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.can.frame import Frame

CONTROLLER = 0x004
PROTOCOL = 0x008
NO_ACK = 0x020
BUS_OFF = 0x040
BUS_ERROR = 0x080
RESTARTED = 0x100
COUNTERS = 0x200
"""Set when the last two bytes are TEC and REC."""
PROTOCOL_TX = 0x80
LOCATION_ACK = 0x19
_LOCATION_CRC = 0x08
_WARNING_FROM, _PASSIVE_FROM, _BUS_OFF_FROM = 96, 128, 256
_STUFF_RUN = 5

Cause: TypeAlias = Literal["bit", "ack", "form", "crc"]
"""Why a frame fails: a bit was flipped, nobody acknowledged, a classic node met CAN FD, all receivers read it wrong."""
Kind: TypeAlias = Literal["bit", "stuff", "form", "crc", "ack", "restarted"]
"""What a controller finds; ``restarted``: it takes part again after bus-off."""
Level: TypeAlias = Literal["active", "warning", "passive", "bus-off"]

_TYPES: dict[Kind, int] = {"bit": 0x01, "form": 0x02, "stuff": 0x04}
_RECEIVING: dict[Cause, Kind] = {"bit": "stuff", "ack": "form", "form": "stuff", "crc": "crc"}
_SENDING: dict[Cause, Kind] = {"bit": "bit", "ack": "ack", "form": "bit", "crc": "ack"}
_LEVELS: dict[Level, tuple[int, int]] = {"active": (0x40, 0x40), "warning": (0x08, 0x04), "passive": (0x20, 0x10)}
_FIELDS = {
    (False, False): ((1, 0x03), (8, 0x02), (3, 0x06), (1, 0x0C), (1, 0x05), (1, 0x09), (4, 0x0B)),
    (True, False): (
        (1, 0x03), (8, 0x02), (3, 0x06), (1, 0x04), (1, 0x05), (5, 0x07), (8, 0x0F), (5, 0x0E), (1, 0x0C), (1, 0x0D),
        (1, 0x09), (4, 0x0B),
    ),
    (False, True): ((1, 0x03), (8, 0x02), (3, 0x06), (1, 0x0C), (1, 0x05), (1, 0x0D), (1, 0x09), (2, 0x09), (4, 0x0B)),
    (True, True): (
        (1, 0x03), (8, 0x02), (3, 0x06), (1, 0x04), (1, 0x05), (5, 0x07), (8, 0x0F), (5, 0x0E), (1, 0x0C), (1, 0x0D),
        (1, 0x09), (2, 0x09), (4, 0x0B),
    ),
}  # fmt: skip
"""(bits, SocketCAN's location) of the fields up to the DLC, by (extended, FD)."""
_TAIL = ((1, 0x18), (1, LOCATION_ACK), (1, 0x1B), (7, 0x1A))  # CRC delimiter, ACK slot, ACK delimiter, end of frame


class ErrorSeen(NamedTuple):
    """One error as one controller sees it."""

    at_ns: int
    """End of the error frame [ns]."""
    kind: Kind
    sending: bool
    """Whether it was the sender of the frame."""
    location: int
    """Where in the frame, as SocketCAN counts (``CAN_ERR_PROT_LOC_*``); 0 when that is not known."""
    tec: int
    """Transmit error counter afterwards."""
    rec: int
    """Receive error counter afterwards."""
    reached: Level | None = None
    """What the counters have made of the controller, when that has changed."""

    @property
    def error_class(self) -> int:
        """SocketCAN's error class, without the flag that marks an error message."""
        found = COUNTERS
        if self.kind == "restarted":
            found |= RESTARTED
        else:
            found |= BUS_ERROR | PROTOCOL | (NO_ACK if self.kind == "ack" else 0)
        if self.reached == "bus-off":
            found |= BUS_OFF
        elif self.reached is not None:
            found |= CONTROLLER
        return found

    @property
    def detail(self) -> bytes:
        """SocketCAN's eight bytes: controller state in 1, kind in 2, location in 3, TEC in 6, REC in 7."""
        told = bytearray(8)
        if self.reached is not None and self.reached != "bus-off":
            by_sending, by_receiving = _LEVELS[self.reached]
            told[1] = by_sending if self.tec >= self.rec else by_receiving
        told[2] = _TYPES.get(self.kind, 0) | (PROTOCOL_TX if self.sending else 0)
        told[3] = self.location
        told[6], told[7] = min(self.tec, 255), min(self.rec, 255)
        return bytes(told)


def level_of(tec: int, rec: int) -> Level:
    """What the error counters make of a controller."""
    if tec >= _BUS_OFF_FROM:
        return "bus-off"
    worse = max(tec, rec)
    return "passive" if worse >= _PASSIVE_FROM else "warning" if worse >= _WARNING_FROM else "active"


def kind_seen(cause: Cause, *, sending: bool, classic: bool) -> Kind:
    """What a controller finds of a failed frame, as its sender or not; a classic one finds FD frames malformed."""
    if classic and cause == "form":
        return "form"
    return (_SENDING if sending else _RECEIVING)[cause]


def location_of(frame: Frame, cause: Cause, bit: int | None) -> int:
    """Where in a frame it failed, as SocketCAN counts it.

    Args:
        frame: the frame.
        cause: why it failed.
        bit: the bit on the wire, start of frame = 0, when it is known.
    """
    if cause == "ack":
        return LOCATION_ACK
    if cause == "crc":
        return _LOCATION_CRC
    if bit is None:
        return 0
    return next((place for index, place in enumerate(_locations(frame)) if index == bit), 0)


def _locations(frame: Frame) -> Iterator[int]:
    """The location of each bit on the wire; a stuff bit has that of the bit before it."""
    fields = _plain_locations(frame)
    run, last, place = 0, "", 0
    for bit in stuffed_bits(frame):
        if run == _STUFF_RUN:
            run = 0  # a stuff bit
        else:
            place = next(fields, _LOCATION_CRC)
        run = run + 1 if bit == last else 1
        last = bit
        yield place
    for width, place in _TAIL:
        yield from (place,) * width


def _plain_locations(frame: Frame) -> Iterator[int]:
    for width, place in (*_FIELDS[frame.extended, frame.fd], (8 * len(frame.data), 0x0A)):
        yield from (place,) * width
