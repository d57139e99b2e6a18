"""The narrow part of a CAN bus that :class:`hil.can.facade.Bus` stands on, whichever bus it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import can

    from hil.can.frame import Frame


@dataclass(frozen=True, slots=True)
class BusStats:
    """What is known of a bus and of the harness's own controller on it; None where the interface cannot tell."""

    sent: int
    received: int
    refused: int
    """Frames the controller did not take: queue full, bus-off."""
    error_frames: int | None
    load: float | None
    """Fraction (0 to 1) of the last second in which the wire was not idle."""
    tec: int | None
    """Transmit error counter."""
    rec: int | None
    """Receive error counter."""
    state: str
    """``error-active``, ``error-passive``, ``bus-off``, ``unpowered`` or ``detached``."""
    lost: int | None = None
    """Frames that came and nobody took in time: overruns of the controller, sockets without room."""


class Link(Protocol):
    """Frames in, frames out, counters."""

    @property
    def raw(self) -> can.BusABC:
        """The python-can bus."""
        ...

    @property
    def stats(self) -> BusStats:
        """Counters so far."""
        ...

    def send_frame(self, frame: Frame) -> None:
        """Queue a frame; raises ``can.CanOperationError`` when it is not taken."""
        ...

    def listen(
        self, fn: Callable[[Frame], object], accept: Iterable[tuple[int, bool]] | None = None
    ) -> Callable[[], None]:
        """Call ``fn`` on the rig clock with every frame received; the returned call ends it.

        ``accept`` narrows that to data frames with these (identifier, extended).
        """
        ...

    def shutdown(self) -> None:
        """Leave the bus; harmless when done before."""
        ...


class Cyclic(Protocol):
    """Frames that somebody else than the rig clock sends in turn, one a period."""

    def update(self, frames: Sequence[Frame]) -> None:
        """Send these instead, as many as before, at the same times and at the same place in the turn.

        Raises:
            can.CanOperationError: when they are not taken; the old ones go on.
        """
        ...

    def stop(self) -> None:
        """Send no more; harmless when stopped."""
        ...


@runtime_checkable
class Scheduler(Protocol):
    """A link that can have frames sent cyclically by the kernel or the interface."""

    def cyclic(self, frames: Sequence[Frame], period_ns: int) -> Cyclic | None:
        """Send the first frame now, the next one a period [ns] later, and after the last the first again.

        Returns:
            What changes and ends it; None when this bus cannot do that with these frames: the rig clock sends them.

        Raises:
            can.CanOperationError: when it could and does not.
        """
        ...
