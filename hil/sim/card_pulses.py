"""The pulses of an I/O card: timed by the card, and ended though the client that asked for one has gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import InstrumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import Clock, Event
    from hil.io import stream
    from hil.io.card import IoCard


class CardPulses:
    """Belong to the card, not to a connection.

    Args:
        card: its channels are driven and released.
        clock: the clock the card stands on.
    """

    def __init__(self, card: IoCard, clock: Clock) -> None:
        self._card = card
        self._clock = clock
        self._ends: dict[str, Event] = {}

    def begin(self, pulse: stream.Pulse, at_end: Callable[[Callable[[], None]], object]) -> None:
        """Drive channels, and call ``at_end`` with the call that takes them off their pins when it is time.

        Raises:
            InstrumentError: for a duration of nothing, or what the card refuses.
        """
        if pulse.for_ns < 1:
            raise InstrumentError(f"{self._card.name}: a pulse of {pulse.for_ns} ns; it lasts 1 ns at least")
        self._card.drive_all(pulse.volts)
        ends_ns = self._clock.now + pulse.for_ns
        end = self._clock.at(ends_ns, lambda: at_end(lambda: self._end(pulse, end)))
        self._ends.update(dict.fromkeys(pulse.volts, end))

    def overtaken(self, channel: str) -> None:
        """A command has acted on a channel: a pulse that runs on it does not end there any more."""
        self._ends.pop(channel, None)

    def _end(self, pulse: stream.Pulse, end: Event) -> None:
        mine = [channel for channel in pulse.volts if self._ends.get(channel) is end]
        for channel in mine:
            del self._ends[channel]
        self._card.release_all(mine)
        if others := pulse.volts.keys() - mine:
            raise InstrumentError(
                f"{self._card.name}: another command acted on {', '.join(sorted(others))} before the pulse there ended"
            )
