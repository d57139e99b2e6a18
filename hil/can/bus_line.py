"""A simulated bus as a safe sequence talks to it: frames past the gate, and the frames that answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import can

from hil.can import step_words
from hil.errors import BusError

if TYPE_CHECKING:
    from hil.can.bus import SimBus
    from hil.can.facade import Bus
    from hil.can.frame import Frame
    from hil.clock import Clock


class SimulatedBusLine:
    """A simulated bus as the safe sequence talks to it, in rig time.

    Args:
        bus: the bus of the test, whose counters go on.
        link: the node behind it; its gate is passed by.
        clock: the rig clock.
    """

    def __init__(self, bus: Bus, link: SimBus, clock: Clock) -> None:
        self._bus = bus
        self._link = link
        self._clock = clock

    def send(self, text: str) -> None:
        """Send a frame.

        Raises:
            BusError: for a message the bus does not have, or when the bus does not take it.
        """
        name, values = step_words.command(text)
        frame = self._bus.sender(name).frame(values)
        try:
            self._link.send_ungated(frame)
        except can.CanOperationError as refused:
            raise BusError(f"bus {self._bus.name}: {refused}") from refused

    def ask(self, text: str, within_ns: int) -> str | None:
        """The value of a signal in the next frame that carries it.

        Raises:
            BusError: for a message the bus does not have.
        """
        name, signal = step_words.query(text)
        heard: list[Frame] = []
        stop = self._bus.subscribe(heard.append, [name])
        try:
            self._clock.wait(self._clock.now + within_ns, lambda: bool(heard), f"{name} on bus {self._bus.name}")
        finally:
            stop()
        return step_words.shown(self._bus.database.decode(heard[0])[signal]) if heard else None
