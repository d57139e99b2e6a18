"""Interlocks: channels of an I/O card that must read back before an output is energised, read by the keeper itself."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from hil.errors import HilError, InstrumentError
from hil.io.card import CardAtAddress
from hil.signal import Timeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.clock import WallClock
    from hil.safety.plan import InterlockPlan


class Interlocks:
    """The interlocks of all instruments.

    Args:
        clock: the keeper's clock, on which the cards' samples arrive.
        plans: the interlocks of every instrument, by its name.
    """

    def __init__(self, clock: WallClock, plans: Mapping[str, Sequence[InterlockPlan]]) -> None:
        self._timeline = Timeline(clock)
        self._plans = plans
        self._cards: dict[str, CardAtAddress] = {}

    def open(self) -> None:
        """Open the cards.

        Raises:
            InstrumentError: when one cannot be opened, or does not have a channel.
        """
        every = [plan for plans in self._plans.values() for plan in plans]
        for plan in every:
            if plan.address not in self._cards:
                ports = sorted({other.port for other in every if other.address == plan.address})
                self._cards[plan.address] = _card_class(plan).at(
                    plan.address, plan.name, timeline=self._timeline, ports=ports
                )

    def why_not(self, outlet: str) -> str:
        """Why an output must stay off: an interlock that does not read back; "" when all do. Any thread may call."""
        for plan in self._plans.get(outlet, ()):
            card = self._cards.get(plan.address)
            try:
                last = None if card is None else card.level(plan.port).last
            except HilError as problem:  # what a card said before its connection was lost proves nothing
                return f"interlock {plan} cannot be read: {problem}"
            if last is None or bool(last.value) is not (plan.level == "high"):
                found = "nothing yet" if last is None else "high" if last.value else "low"
                return f"interlock {plan} reads {found}"
        return ""

    def close(self) -> None:
        """Close the cards."""
        for card in self._cards.values():
            card.close()


def _card_class(plan: InterlockPlan) -> type[CardAtAddress]:
    module, _, name = plan.card.partition(":")
    kind: object = getattr(importlib.import_module(module), name)
    if not (isinstance(kind, type) and issubclass(kind, CardAtAddress)):
        raise InstrumentError(f"{plan.name}: {plan.card} cannot be opened by the keeper; name a card with an address")
    return kind
