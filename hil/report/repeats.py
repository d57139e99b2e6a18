"""Statistics over repeated trials of one test: what every measurement of it comes to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.report.delays import Spread, spread

if TYPE_CHECKING:
    from hil.evidence.index import Run

REPEATED = 5
"""From this number of trials on, a test has statistics."""


@dataclass(frozen=True, slots=True)
class RepeatRow:
    """One measurement over the trials; numbers in ``unit``.

    Args:
        name: the measurement.
        unit: its unit.
        spread: what its values come to.
        missing: trials of the test that have no finite value of it.
    """

    name: str
    unit: str
    spread: Spread
    missing: int


@dataclass(frozen=True, slots=True)
class RepeatView:
    """One test over its trials: its id without parameters, the number of trials, and its measurements."""

    nodeid: str
    trials: int
    rows: tuple[RepeatRow, ...]


def repeat_views(run: Run) -> list[RepeatView]:
    """Every test that was tried often enough and measured numbers, in plan order."""
    trials: dict[str, int] = defaultdict(int)
    values: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    having: dict[tuple[str, str, str], int] = defaultdict(int)
    for test in run.tests:
        nodeid = test.nodeid.partition("[")[0]
        for attempt in test.attempts:
            trials[nodeid] += 1
            numbers: dict[tuple[str, str], list[float]] = defaultdict(list)
            for measured in attempt.measurements:
                if not isinstance(measured.value, bool | str):
                    numbers[measured.name, measured.unit] += [] if measured.value is None else [measured.value]
            for key, found in numbers.items():
                values[nodeid][key] += found
                having[nodeid, *key] += bool(found)
    return [
        RepeatView(
            nodeid,
            trials[nodeid],
            tuple(
                RepeatRow(name, unit, spread(found), trials[nodeid] - having[nodeid, name, unit])
                for (name, unit), found in measured.items()
            ),
        )
        for nodeid, measured in values.items()
        if trials[nodeid] >= REPEATED and measured
    ]
