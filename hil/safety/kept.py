"""What the keeper and a part it keeps are to each other: what each asks, and the order to make safe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hil.safety.plan import KeptPlan, SafeStepPlan
    from hil.safety.sequence import StepResult


class Bench(Protocol):
    """What a kept part asks of the keeper; every call may come from the part's thread."""

    def touched(self) -> None:
        """The test said something: it makes progress."""
        ...

    def progressing(self) -> bool:
        """Whether anything but the safe sequence may be sent."""
        ...

    def may_write(self) -> bool:
        """Whether this keeper still holds the rig."""
        ...

    def why_not_energise(self, outlet: str) -> str:
        """Why an output must stay off now; "" when it may go on."""
        ...

    def quiet(self, outlet: str) -> None:
        """The test switched the only output of an instrument off."""
        ...

    def note(self, what: str, **fields: object) -> None:
        """Put something into the keeper's record."""
        ...

    def lost(self, outlet: str, why: str) -> None:
        """The instrument does not answer any more."""
        ...

    def now(self) -> int:
        """The keeper's clock [ns]."""
        ...


@dataclass
class SafeOrder:
    """The order to make an output safe, and what came of it."""

    steps: Sequence[SafeStepPlan]
    last: bool
    """Whether the test gets no more access afterwards."""
    done: Callable[[str, SafeOrder], None]
    results: list[StepResult] = field(default_factory=list["StepResult"])

    @property
    def trouble(self) -> str:
        """Why the output is not known to be safe; "" when it is."""
        return "; ".join(result.trouble for result in self.results if result.trouble)


class Kept(Protocol):
    """One hazardous part as the keeper orders it about: an instrument, an I/O card, a bus."""

    @property
    def plan(self) -> KeptPlan:
        """What the rig file says of it."""
        ...

    @property
    def door(self) -> str:
        """Where the test reaches it, as it opens such a part."""
        ...

    def start(self) -> None:
        """Serve from now on."""
        ...

    def order(self, order: SafeOrder | None) -> None:
        """Have it made safe, before anything else; None ends it. Any thread may call."""
        ...

    def join(self, within_s: float) -> bool:
        """Wait for the end; False when it still hangs."""
        ...

    def lend(self) -> str:
        """Listen to the test no more; where an operator reaches it. Any thread may call."""
        ...

    def take_back(self) -> None:
        """Listen to the test again. Any thread may call."""
        ...
