"""The pin that stands on an electrical net for everything another program has there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.nets import Pin

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import Clock


class FarPin(Pin):
    """What another program has on an electrical net; a fresh one is an open connector.

    Args:
        name: the pin.
        clock: the rig clock.
    """

    __slots__ = ("aside", "far_amps", "far_siemens", "on_solved")

    def __init__(self, name: str, clock: Clock) -> None:
        self.far_siemens = self.far_amps = 0.0
        self.aside = False
        """While it counts for nothing, because the net is looked at without it."""
        self.on_solved: Callable[[], None] = _nothing
        """Called whenever the net was solved."""
        super().__init__(name, clock)

    def show(self, siemens: float, amps: float) -> None:
        """Stand for a conductance [S] and a short-circuit current [A] from now on."""
        self.far_siemens, self.far_amps = siemens, amps
        self.net.solve()

    @property
    def is_watched(self) -> bool:
        """Always: the other program waits for changes, so no source on the net may follow a function."""
        return True

    def norton(self) -> tuple[float, float]:
        """(conductance [S], short-circuit current [A]) seen from the net."""
        return (0.0, 0.0) if self.aside else super().norton()

    def settle(self, net_v: float) -> bool:
        """Take over the solution of the net [V]; True when voltage or current changed."""
        changed = super().settle(net_v)
        self.on_solved()
        return changed

    def _own(self) -> tuple[float, float]:
        return self.far_siemens, self.far_amps


def _nothing() -> None:
    """No cable yet."""
