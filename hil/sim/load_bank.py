"""Resistive loads on the electrical pins of a simulated instrument, read independently of its SCPI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.closed import nearest
from hil.errors import WiringError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.nets import Pin
    from hil.wiring import Wiring

LOAD_OHM = 100.0
"""What an output feeds unless it is told otherwise [ohm]."""


class LoadBank:
    """One resistive load on each electrical pin of an instrument.

    Args:
        wiring: the wiring its pins stand on; no pin of it is on a net yet.
        instrument: the instrument's name.
        ohms: resistance of every load [ohm].
    """

    def __init__(self, wiring: Wiring, instrument: str, *, ohms: float = LOAD_OHM) -> None:
        self._loads: dict[str, Pin] = {}
        for name in list(wiring.targets):
            node, _, port = name.partition(".")
            if node != instrument:
                continue
            try:
                wiring.pin(name)
            except WiringError:  # an RF connector: nothing to load
                continue
            self._loads[port] = load = wiring.pin(f"load.{port}")
            load.load(ohms)
            wiring.net(port, [name, load.name])

    @property
    def ports(self) -> list[str]:
        """The instrument's electrical pins."""
        return list(self._loads)

    def volts(self, port: str) -> float:
        """The voltage at a load [V].

        Raises:
            WiringError: for a port the instrument does not have.
        """
        return self._load(port).volts

    def amps(self, port: str) -> float:
        """The current through a load [A].

        Raises:
            WiringError: for a port the instrument does not have.
        """
        return self._load(port).amps

    def change(self, port: str, ohms: float) -> None:
        """Give a load another resistance [ohm].

        Raises:
            WiringError: for a port the instrument does not have, or a resistance that is not above 0.
        """
        self._load(port).load(ohms)

    def watch(self, port: str, volts: float, say: Callable[[str], None]) -> None:
        """Call ``say`` with ``"above"`` or ``"below"`` now, and whenever the voltage crosses ``volts`` [V].

        Raises:
            WiringError: for a port the instrument does not have.
        """
        load = self._load(port)
        last = ""

        def look() -> None:
            nonlocal last
            side = "above" if load.volts > volts else "below"
            if side != last:
                last = side
                say(side)

        look()
        load.on_change(look)

    def _load(self, port: str) -> Pin:
        if port not in self._loads:
            raise WiringError(f"there is no electrical output {port}; {nearest(port, self.ports)}")
        return self._loads[port]
