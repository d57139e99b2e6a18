"""One CAN frame, classic or FD, immutable, so that every node of a bus may share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable


class Frame(NamedTuple):
    """A CAN 2.0A/B data or remote frame, or a CAN FD frame; what a node sends and what every other node is handed.

    Times are rig time in ns and are 0 until the frame has been on the wire.
    """

    arbitration_id: int
    """11 bits, or 29 bits when ``extended``."""
    data: bytes = b""
    """0 to 8 bytes, with CAN FD also 12, 16, 20, 24, 32, 48 or 64; empty for a remote frame."""
    extended: bool = False
    remote: bool = False
    requested: int = 0
    """The number of bytes a remote frame asks for (its DLC)."""
    start_ns: int = 0
    """Start of frame [ns]."""
    at_ns: int = 0
    """End of frame [ns]: the instant at which receivers have it."""
    sender: str = ""
    """The name of the node that sent it; empty when that is not known (a real bus)."""
    fd: bool = False
    """Whether it is CAN FD."""
    brs: bool = False
    """Whether its data phase has the faster bit rate (FD only)."""
    esi: bool = False
    """Whether its sender is error-passive (FD only); the sender's controller sets it by itself."""

    @property
    def dlc(self) -> int:
        """The number of bytes of data, or asked for [bytes]; up to 8 it is the data length code."""
        return self.requested if self.remote else len(self.data)

    def __str__(self) -> str:
        if self.fd:
            return describe_fd(self)
        return describe(self.arbitration_id, self.data, extended=self.extended, remote=self.remote, dlc=self.dlc)


new_frame = cast("Callable[[type[Frame], tuple[object, ...]], Frame]", vars(tuple)["__new__"])
"""``new_frame(Frame, fields)``: a frame from all its fields in order, without the call that ``Frame(...)`` costs."""


def describe(arbitration_id: int, data: bytes, *, extended: bool, remote: bool, dlc: int) -> str:
    """A frame in the notation of can-utils.

    >>> describe(0x123, bytes([1, 0xAB]), extended=False, remote=False, dlc=2)
    '123#01AB'
    >>> describe(0x123, b"", extended=True, remote=True, dlc=4)
    '00000123#R4'
    """
    name = f"{arbitration_id:08X}" if extended else f"{arbitration_id:03X}"
    return f"{name}#R{dlc or ''}" if remote else f"{name}#{data.hex().upper()}"


def describe_fd(frame: Frame) -> str:
    """A CAN FD frame in the notation of can-utils: flags are 1 for the rate switch and 2 for the error state.

    >>> describe_fd(Frame(0x123, bytes([1, 0xAB]), fd=True, brs=True))
    '123##101AB'
    """
    name = f"{frame.arbitration_id:08X}" if frame.extended else f"{frame.arbitration_id:03X}"
    return f"{name}##{frame.brs | frame.esi << 1:X}{frame.data.hex().upper()}"
