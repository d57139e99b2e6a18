"""The pulses that retrigger a rig's hardware timer: given only while there is progress, so that it runs out without.

The timer's time must be several periods long: a pulse that is late, as one may be on a stock kernel, is no emergency.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from hil.clock import WallClock
from hil.errors import HilError
from hil.safety.interlock import card_class
from hil.signal import Timeline
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import Clock, Event
    from hil.io.card import IoCard
    from hil.safety.plan import InterlockPlan

PERIOD_NS = 50 * ms
"""From one pulse to the next [ns]."""
_HALF_NS = PERIOD_NS // 2
_LATE_NS = 3_600_000 * ms  # nothing is measured by the clock of the pulses


class PulseTrain:
    """Pulses of a simulated card, on the rig clock: while the test runs the world.

    Args:
        clock: the rig clock.
        card: the card; its timeline is not the test's, whose mark a pulse does not move.
        port: the output.
    """

    def __init__(self, clock: Clock, card: IoCard, port: str) -> None:
        self._card = card
        self._port = port
        self._high = False
        self._ticks: Event = clock.every(_HALF_NS, self._toggle, timed=False)

    def stop(self) -> None:
        """Give no more pulses."""
        self._ticks.cancel()

    def _toggle(self) -> None:
        self._high = not self._high
        self._card.switch(self._port, on=self._high)


class KeptPulses:
    """Pulses of a card at an address, from a thread of their own: a keeper that hangs gives none.

    Args:
        plan: card and output.
        may: whether there is progress; asked before every pulse.
        lost: called once when the card is lost, with why.
        switch: moves the output of a card that the keeper holds anyway; the card is opened unless it is given.
    """

    def __init__(
        self,
        plan: InterlockPlan,
        may: Callable[[], bool],
        lost: Callable[[str], None],
        *,
        switch: Callable[[bool], None] | None = None,
    ) -> None:
        self._plan = plan
        self._may = may
        self._lost = lost
        self._switch = switch
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulses", daemon=True)

    def start(self) -> None:
        """Begin; the card is opened in the thread."""
        self._thread.start()

    def end(self, within_s: float) -> None:
        """Give no more pulses, and wait for the thread."""
        self._ended.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        try:
            self._pulse()
        except (HilError, OSError, ImportError, AttributeError) as problem:
            self._lost(f"no pulses for the hardware timer: {problem}")

    def _pulse(self) -> None:
        plan, clock = self._plan, WallClock(max_lateness_ns=_LATE_NS)
        if self._switch is not None:
            self._give(clock, self._switch)
            return
        card = card_class(plan).at(plan.address, plan.name, timeline=Timeline(clock), ports=[plan.port])
        try:
            self._give(clock, partial(card.switch, plan.port))
        finally:
            card.close()

    def _give(self, clock: Clock, switch: Callable[[bool], None]) -> None:
        high = False
        while not self._ended.is_set():
            clock.sleep(_HALF_NS)
            wanted = self._may() and not high
            if wanted is not high:
                high = wanted
                switch(high)
