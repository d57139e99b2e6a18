"""The watchdog of a simulated I/O card: it takes every output off when it is not fed in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import InstrumentError
from hil.io.card import kind_of
from hil.units import ms

if TYPE_CHECKING:
    from hil.clock import Clock, Event
    from hil.io.card import IoCard


class CardWatchdog:
    """Belongs to the card, not to a connection: it runs on when whoever set it is gone.

    Args:
        card: its outputs are opened and released.
        clock: the clock the card stands on.
    """

    def __init__(self, card: IoCard, clock: Clock) -> None:
        self._card = card
        self._clock = clock
        self._timeout_ns = 0
        self._event: Event | None = None
        self._ran_out = False

    def guard(self, timeout_ms: int) -> None:
        """Run from now on with this time [ms], and forget that it ran out; 0 stops it."""
        self._timeout_ns = max(0, timeout_ms) * ms
        self._ran_out = False
        self.feed()

    def feed(self) -> None:
        """Begin anew; a watchdog that ran out stays so."""
        self.stop()
        if self._timeout_ns and not self._ran_out:
            # when it runs out is no tick of what is simulated: repeated ticks need not be timed, single ones are
            self._event = self._clock.every(self._timeout_ns, self._run_out, offset_ns=self._timeout_ns, timed=False)

    def stop(self) -> None:
        """Let it run out no more."""
        if self._event is not None:
            self._event.cancel()
            self._event = None

    def demand(self) -> None:
        """Refuse to energise once it ran out.

        Raises:
            InstrumentError: when it did.
        """
        if self._ran_out:
            raise InstrumentError(
                f"{self._card.name}: its watchdog was not fed for {self._timeout_ns // ms} ms and took every output "
                "off; set it anew with a guard message"
            )

    def _run_out(self) -> None:
        self.stop()
        self._ran_out = True
        for port in self._card.ports:
            match kind_of(port):
                case "do":
                    self._card.switch(port, on=False)
                case "ao":
                    self._card.release(port)
                case _:
                    pass
