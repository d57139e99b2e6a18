"""The end of a cable that goes to where the other program listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import InstrumentError, WiringError
from hil.io import cable_words as words
from hil.io.line_link import LineLink
from hil.units import format_time, ms, s

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import Clock
    from hil.io.cable import Cable

_PLUG_NS = 2 * s  # how long it may take until both programs know what is on every net [ns]


class CableLink:
    """Plugs a cable in at ``tcp://host:port``.

    When the connection is lost every net is open at the far end, as with a pulled connector, and whoever waits is told.

    Args:
        cable: the cable.
        address: where the other program listens.
        clock: the rig clock.
        prepare: called first in the reader thread, for example to ask for its scheduling class.

    Raises:
        WiringError: when the program does not answer, or runs another rig file.
    """

    def __init__(
        self, cable: Cable, address: str, clock: Clock, *, prepare: Callable[[], object] | None = None
    ) -> None:
        self._cable = cable
        self._address = address
        self._clock = clock
        self._lost = ""
        try:
            self._link = LineLink(
                f"the cable to program {cable.far}",
                address,
                clock=clock,
                on_line=self._line,
                on_end=self._end,
                prepare=prepare,
            )
        except InstrumentError as problem:
            raise WiringError(f"{problem} Start `hil sim --program {cable.far}` first") from problem
        try:
            self._plug_in()
        except WiringError:
            self.close()
            raise

    def close(self) -> None:
        """Pull the connector; harmless when done before."""
        self._link.close()
        self._lost = self._lost or "closed"
        self._cable.unplug()

    def _plug_in(self) -> None:
        cable, clock = self._cable, self._clock
        cable.plug(self._link.send)
        clock.wait(clock.now + _PLUG_NS, self._is_there, f"program {cable.far} to say what is on every net")
        if not cable.plugged:
            raise WiringError(
                f"the cable to program {cable.far}: {self._address} did not say what is on every net within "
                f"{_PLUG_NS // ms} ms; is it `hil sim` of this release?"
            )

    def _is_there(self) -> bool:
        return self._cable.plugged

    def _line(self, line: bytes) -> None:
        if not self._lost:
            self._cable.receive(words.decode(line))

    def _end(self, why: str) -> None:
        if self._lost:
            return
        self._lost = why
        self._cable.unplug()
        raise WiringError(
            f"the cable to program {self._cable.far} at {self._address} was lost at {format_time(self._clock.now)}: "
            f"{why}; {', '.join(self._cable.nets)} are open there; start the program again and open the rig again"
        )
