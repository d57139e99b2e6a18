"""One classic CAN frame, immutable, so that every node of a bus may share it."""

from __future__ import annotations

from typing import NamedTuple


class Frame(NamedTuple):
    """A classic CAN 2.0A/B data or remote frame; what a node sends and what every other node is handed.

    Times are rig time in ns and are 0 until the frame has been on the wire.
    """

    arbitration_id: int
    """11 bits, or 29 bits when ``extended``."""
    data: bytes = b""
    """0 to 8 bytes; empty for a remote frame."""
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

    @property
    def dlc(self) -> int:
        """The data length code [bytes]."""
        return self.requested if self.remote else len(self.data)

    def __str__(self) -> str:
        return describe(self.arbitration_id, self.data, extended=self.extended, remote=self.remote, dlc=self.dlc)


def describe(arbitration_id: int, data: bytes, *, extended: bool, remote: bool, dlc: int) -> str:
    """A frame in the notation of can-utils.

    >>> describe(0x123, bytes([1, 0xAB]), extended=False, remote=False, dlc=2)
    '123#01AB'
    >>> describe(0x123, b"", extended=True, remote=True, dlc=4)
    '00000123#R4'
    """
    name = f"{arbitration_id:08X}" if extended else f"{arbitration_id:03X}"
    return f"{name}#R{dlc or ''}" if remote else f"{name}#{data.hex().upper()}"
