"""The safe state of a rig whose hazardous instruments are simulated in the test's own program.

What a keeper does on a bench is done here in rig time, with the same sequences and the same read-back, so that a safe
sequence that does not make safe is found in CI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from hil.errors import ConfigError
from hil.rig.values import Phase
from hil.safety.sequence import run_sequence
from hil.toml_lines import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from hil.clock import Clock
    from hil.rig.part_tables import BusTable, InstrumentTable
    from hil.safety.sequence import Line
    from hil.visa.driver import Driver

    Ungated = Callable[[], AbstractContextManager[None]]

PHASES: tuple[Phase, ...] = get_args(Phase)
"""The phases that articles can be in."""


class SafeState:
    """Runs the safe sequence of every hazardous part, and says what is not safe.

    Args:
        clock: the rig clock.
    """

    def __init__(self, clock: Clock) -> None:
        self.phase: Phase = "powered"
        self._clock = clock
        self._outputs: dict[str, tuple[InstrumentTable | BusTable, Line]] = {}

    def add(self, name: str, table: InstrumentTable | BusTable, line: Line) -> None:
        """Make a part safe at the end, over this line to it."""
        self._outputs[name] = (table, line)

    def enter(self, phase: str) -> None:
        """The articles are in another phase: another safe sequence holds.

        Raises:
            ConfigError: for a phase there is not.
        """
        for known in PHASES:
            if known == phase:
                self.phase = known
                return
        raise ConfigError(f"there is no phase {phase!r}{did_you_mean(phase, PHASES)}")

    def reach(self) -> list[str]:
        """Run all sequences, once; what is not safe, one sentence for each step that failed."""
        troubles: list[str] = []
        outputs, self._outputs = self._outputs, {}
        for name, (table, line) in outputs.items():
            steps = table.safe_in.get(self.phase, table.safe)
            if not steps:
                troubles.append(f"UNSAFE: {name}: held as it is in phase {self.phase}; call the test lead")
            results = run_sequence(steps, line, lambda: self._clock.now)
            troubles += [f"UNSAFE: {name}: {result.trouble}" for result in results if result.trouble]
        return troubles


class DriverLine:
    """An instrument through its driver's session.

    Args:
        driver: the driver.
        ungated: lets it be sent what a test may not send; a context manager.
    """

    def __init__(self, driver: Driver, ungated: Ungated) -> None:
        self._driver = driver
        self._ungated = ungated

    def send(self, text: str) -> None:
        """Send a command; its error queue is not asked, what reads back decides."""
        with self._ungated():
            self._driver.say(text)

    def ask(self, text: str, within_ns: int) -> str | None:
        """Send a query; it waits for its own time-out."""
        del within_ns
        with self._ungated():
            return self._driver.query(text)
