"""The table of a bus by which its transport delay is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from hil.rig.values import Name, Table

if TYPE_CHECKING:
    from typing import Self

DEVICE = "device"
"""What answers loop-back requests when it is no program of the rig: a flight computer in its test mode, a gateway."""
_SHORT_MAX = 0x7FF
_LONG_MAX = 0x1FFF_FFFF


class LoopbackTable(Table):
    """``[bus.NAME.loopback]``: how the transport delay of a bus is measured, see wall-clock.md."""

    request: int = Field(
        default=0x7F0, ge=0, le=_LONG_MAX, description="identifier of a request; no message of the bus has it (0x7F0)"
    )
    answer: int = Field(
        default=0x7F1,
        ge=0,
        le=_LONG_MAX,
        description="identifier under which the same data come back; no message of the bus has it (0x7F1)",
    )
    extended: bool = Field(default=False, description="whether both have 29 bits")
    by: Name | None = Field(
        default=None,
        description='what answers: a program that `hil sim` starts, or "device" for something real. Unless given the '
        "program of the plant, else the first program on the bus, else a device",
    )

    @model_validator(mode="after")
    def _two_identifiers(self) -> Self:
        if self.request == self.answer:
            raise ValueError(f"request and answer are both {self.request:#x}: nobody could tell one from the other")
        largest = max(self.request, self.answer)
        if largest > _SHORT_MAX and not self.extended:
            raise ValueError(f"identifier {largest:#x} has more than 11 bits: give one up to 0x7ff, or extended = true")
        return self
