"""FPGA designs in a report: what ran on which simulator, and where simulation departs from the hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.report.figures import flat
from hil.report.view import IdentityTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hil.evidence.documents import Json
    from hil.evidence.index import Run

_COLUMNS = ("name", "design", "simulator", "version", "sha256", "cocotb", "python", "build")
_HASHES = {"sha256", "build"}
_HASH_SHOWN = 16


def designs_seen(run: Run) -> IdentityTable:
    """Every design that tests ran, and the simulator that ran it: a tool that nobody has qualified."""
    found: dict[tuple[str, ...], int] = {}
    for fields in _designs(run):
        row = tuple(_shown(key, fields) for key in _COLUMNS)
        found[row] = found.get(row, 0) + 1
    rows = tuple((*row, str(count)) for row, count in sorted(found.items()))
    return IdentityTable("FPGA designs and their simulators, which are unqualified tools", (*_COLUMNS, "tests"), rows)


def deviations_seen(run: Run) -> IdentityTable:
    """Every parameter that simulation gave another value than the hardware has."""
    rows: set[tuple[str, ...]] = set()
    for fields in _designs(run):
        scaled = fields.get("scaled")
        for name, table in scaled.items() if isinstance(scaled, dict) else ():
            if isinstance(table, dict):
                rows.add((flat(fields["name"]), name, *(flat(table[key]) for key in ("value", "hardware", "reason"))))
    columns = ("name", "parameter", "in simulation", "in hardware", "reason")
    return IdentityTable("deviations: parameters scaled for simulation", columns, tuple(sorted(rows)))


def _designs(run: Run) -> Iterator[Mapping[str, Json]]:
    for test in run.tests:
        for attempt in test.attempts:
            for event in attempt.events:
                if event.what == "design":
                    yield event.fields


def _shown(key: str, fields: Mapping[str, Json]) -> str:
    text = flat(fields.get(key, ""))
    return text[:_HASH_SHOWN] if key in _HASHES else text
