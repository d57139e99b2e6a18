"""What a bit-level controller does and finds, with times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from hil.can.phy.coding import PhyFrame
    from hil.can.phy.parse import Fault

Standing: TypeAlias = Literal["error-active", "error-passive", "bus-off"]
"""What a controller may do on the bus."""


@dataclass(frozen=True, slots=True)
class Started:
    """A frame has begun.

    ``own`` when this controller sent the start of frame, ``sending`` when its own frame takes part.
    """

    own: bool
    sending: bool


@dataclass(frozen=True, slots=True)
class HeaderRead:
    """Identifier and length of the frame on the bus are known; its data are not yet."""

    frame: PhyFrame
    size: int
    """Bytes of data that follow."""


@dataclass(frozen=True, slots=True)
class Received:
    """A frame of another controller has ended well."""

    frame: PhyFrame
    acknowledged: bool
    """Whether the acknowledge slot was dominant; a receiver does not mind."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame of this controller has ended well and was acknowledged."""

    frame: PhyFrame


@dataclass(frozen=True, slots=True)
class ArbitrationLost:
    """Another frame is more important; this one waits."""

    frame: PhyFrame


@dataclass(frozen=True, slots=True)
class ErrorFound:
    """Something is wrong with the frame on the bus; an error flag begins with the next bit."""

    fault: Fault
    sending: bool
    index: int
    """The bit at which it was found, start of frame = 0; -1 outside a frame."""


@dataclass(frozen=True, slots=True)
class ErrorOver:
    """The delimiter of an error frame has ended."""


@dataclass(frozen=True, slots=True)
class Overloaded:
    """An overload frame begins with the next bit."""


@dataclass(frozen=True, slots=True)
class StandingChanged:
    """The error counters have made the controller error-active, error-passive or bus-off."""

    standing: Standing


Event: TypeAlias = (
    Started | HeaderRead | Received | Sent | ArbitrationLost | ErrorFound | ErrorOver | Overloaded | StandingChanged
)


class Drive(NamedTuple):
    """The controller drives another level from a time on [ps]: 0 dominant, 1 recessive."""

    at_ps: int
    level: int


class Disturb(NamedTuple):
    """The bit that begins at a time [ps] is the one to be disturbed (``on``), or is no longer."""

    at_ps: int
    on: bool


class Told(NamedTuple):
    """An event, at a sample point."""

    at_ps: int
    event: Event
    start_ps: int
    """Start of the frame now or last on the bus [ps]."""
    end_ps: int
    """End of the present bit [ps]."""


Action: TypeAlias = Drive | Disturb | Told
"""What comes of an input."""
