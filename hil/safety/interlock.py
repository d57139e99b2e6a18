"""Interlocks: channels of an I/O card that must read back before an output is energised, read by the keeper itself."""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING, Protocol

from hil.errors import HilError, InstrumentError
from hil.io.card import CardAtAddress
from hil.signal import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hil.clock import WallClock
    from hil.safety.plan import InterlockPlan, Level


class LevelReader(Protocol):
    """A card that the keeper holds anyway: it is asked, and not opened a second time."""

    def level(self, port: str) -> bool | None:
        """What a discrete channel read last; None when it was never told; raises HilError when it cannot be known."""
        ...

    def times(self, port: str, *, high: bool) -> int:
        """How often a discrete channel was told to be at a level."""
        ...


class Interlocks:
    """The interlocks of all instruments.

    Args:
        clock: the keeper's clock, on which the cards' samples arrive.
        plans: the interlocks of every instrument, by its name.
        readable: those that a grant may name, by that name.
    """

    def __init__(
        self,
        clock: WallClock,
        plans: Mapping[str, Sequence[InterlockPlan]],
        readable: Mapping[str, InterlockPlan],
    ) -> None:
        self._timeline = Timeline(clock)
        self._plans = plans
        self._readable = readable
        self._cards: dict[str, CardAtAddress] = {}
        self._kept: Mapping[str, LevelReader] = {}
        self._seen: dict[tuple[str, int], int] = {}
        """How often each interlock of each instrument had been open when it was looked at."""

    def open(self, kept: Mapping[str, LevelReader] | None = None) -> None:
        """Open the cards.

        Args:
            kept: cards that the keeper holds already, by address: they have one owner.

        Raises:
            InstrumentError: when one cannot be opened, or does not have a channel.
        """
        self._kept = kept or {}
        every = [*(plan for plans in self._plans.values() for plan in plans), *self._readable.values()]
        for plan in every:
            if plan.address not in self._cards and plan.address not in self._kept:
                ports = sorted({other.port for other in every if other.address == plan.address})
                self._cards[plan.address] = card_class(plan).at(
                    plan.address, plan.name, timeline=self._timeline, ports=ports
                )

    def why_not(self, outlet: str) -> str:
        """Why an output must stay off: an interlock that does not read back; "" when all do. Any thread may call."""
        return next((why for plan in self._plans.get(outlet, ()) if (why := self._why_open(plan))), "")

    def why_opened(self, outlet: str) -> str:
        """Which interlock has opened since this was asked last, were it for a moment; "" when none has."""
        plans = self._plans.get(outlet, ())
        opened = [plan for number, plan in enumerate(plans) if self._has_opened((outlet, number), plan)]
        return f"interlock {opened[0]} was open for a moment" if opened else ""

    def _has_opened(self, asking: tuple[str, int], plan: InterlockPlan) -> bool:
        try:
            times = self._times_open(plan)
        except HilError:  # why_not says it
            return False
        before, self._seen[asking] = self._seen.get(asking, 0), times
        return times > before

    def _times_open(self, plan: InterlockPlan) -> int:
        """How often it was told to be at the level that does not permit."""
        wrong, kept = plan.level == "low", self._kept.get(plan.address)
        if kept is not None:
            return kept.times(plan.port, high=wrong)
        card = self._cards.get(plan.address)
        return 0 if card is None else [bool(level) for level in card.level(plan.port).samples()[1]].count(wrong)

    def why_open(self, name: str) -> str:
        """Why an interlock that a grant names does not read back; "" when it does. Any thread may call."""
        plan = self._readable.get(name)
        if plan is None:
            return f"the rig has no interlock {name}; it has {', '.join(self._readable) or 'none'}"
        return self._why_open(plan)

    def _why_open(self, plan: InterlockPlan) -> str:
        return why_open(plan, plan.level, partial(self._level, plan))

    def _level(self, plan: InterlockPlan) -> bool | None:
        kept = self._kept.get(plan.address)
        if kept is not None:
            return kept.level(plan.port)
        card = self._cards.get(plan.address)
        last = None if card is None else card.level(plan.port).last
        return None if last is None else bool(last.value)

    def close(self) -> None:
        """Close the cards."""
        for card in self._cards.values():
            card.close()


def why_open(shown: object, level: Level, read: Callable[[], bool | None]) -> str:
    """Why an interlock does not permit energising; "" when it does. On a bench and in simulation the same.

    Args:
        shown: the interlock, for the text.
        level: the level that permits.
        read: its level, None when it was never told; it may raise a HilError.
    """
    try:
        found = read()
    except HilError as problem:  # what a card said before its connection was lost proves nothing
        return f"interlock {shown} cannot be read: {problem}"
    if found is not None and found is (level == "high"):
        return ""
    return f"interlock {shown} reads {'nothing yet' if found is None else 'high' if found else 'low'}"


def card_class(plan: InterlockPlan) -> type[CardAtAddress]:
    """The class of a card.

    Raises:
        InstrumentError: when it is none that has an address.
    """
    module, _, name = plan.card.partition(":")
    kind: object = getattr(importlib.import_module(module), name)
    if not (isinstance(kind, type) and issubclass(kind, CardAtAddress)):
        raise InstrumentError(f"{plan.name}: {plan.card} cannot be opened by the keeper; name a card with an address")
    return kind
