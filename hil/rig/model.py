"""A rig file that was read: its tables as plain values, and where each key was given.

The tables are closed pydantic models, units in the keys, nothing silently accepted (:mod:`hil.rig.tables`). Reading,
layering and checking are :mod:`hil.rig.loader` and :mod:`hil.rig.checks`; the reference for people,
``docs/rig-file.md``, is generated from the descriptions in the tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hil.rig.values import HERE
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hil.rig.bench_tables import LabTable, RigTable, RtlTable, SafetyTable
    from hil.rig.part_tables import BusTable, DutTable, InstrumentTable, PlantTable
    from hil.rig.tables import Tables
    from hil.rig.values import EvidenceClass
    from hil.rig.wire_tables import NetTable, PathTable, SecretTable


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key was given: a file and its line, or the command line."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file the rig is made of: its name relative to the rig file's folder, where it is, its SHA-256."""

    name: str
    file: Path
    sha256: str


@dataclass(frozen=True)
class RigFile:
    """A rig file that was read and checked: the merged tables and where they came from.

    Opening it is another matter; nothing here has imported a driver or touched a bus.
    """

    file: Path
    tables: Tables
    as_built: Mapping[str, Mapping[str, object]]
    """What each simulated article is, by its name; ``--set dut.NAME.as_built.KEY=VALUE`` included."""
    sources: tuple[SourceFile, ...]
    sets: tuple[str, ...] = ()
    """The ``--set`` arguments, as given."""
    vehicle: Mapping[str, object] = field(default_factory=dict[str, object])
    """What the plant's vehicle file says; ``--set plant.vehicle.KEY=VALUE`` included."""
    places: Mapping[tuple[str, ...], Place] = field(default_factory=dict["tuple[str, ...]", Place])

    @property
    def rig(self) -> RigTable:
        """Name, pace, lateness and seed."""
        return self.tables.rig

    @property
    def bus(self) -> Mapping[str, BusTable]:
        """The buses by name."""
        return self.tables.bus

    @property
    def instrument(self) -> Mapping[str, InstrumentTable]:
        """The instruments by name."""
        return self.tables.instrument

    @property
    def dut(self) -> Mapping[str, DutTable]:
        """The articles by name."""
        return self.tables.dut

    @property
    def plant(self) -> PlantTable | None:
        """The plant, if the rig has one."""
        return self.tables.plant

    @property
    def rtl(self) -> RtlTable:
        """How HDL simulators are run."""
        return self.tables.rtl

    @property
    def safety(self) -> SafetyTable:
        """What the keeper allows."""
        return self.tables.safety

    @property
    def lab(self) -> LabTable | None:
        """The rig's place at a coordinator of labgrid, if it has one."""
        return self.tables.lab

    def program_of(self, kind: Literal["instrument", "dut", "plant"], name: str = "") -> str:
        """The program that a part belongs to: "test", or the one that runs its model."""
        table: InstrumentTable | DutTable | PlantTable | None = self.plant
        if kind != "plant":
            table = self.instrument[name] if kind == "instrument" else self.dut[name]
        if table is None or table.model is None:
            return HERE
        return table.process or self.rig.process

    def simulated_by(self, node: str) -> str | None:
        """The program that simulates a node of the wiring; None for a real part."""
        if node == "plant":
            return self.program_of("plant")
        if node in self.instrument:
            return None if self.instrument[node].model is None else self.program_of("instrument", node)
        return None if self.dut[node].serial is not None else self.program_of("dut", node)

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs beside the test's own that run models of this rig."""
        found = [self.program_of("instrument", name) for name in self.instrument]
        found += [self.program_of("dut", name) for name in self.dut]
        found += [self.program_of("plant")] if self.plant is not None else []
        return tuple(sorted({program for program in found if program != HERE}))

    @property
    def net(self) -> Mapping[str, NetTable]:
        """The nets by name, those of harnesses included."""
        return self.tables.wires

    @property
    def path(self) -> Mapping[str, PathTable]:
        """The calibrated paths by name."""
        return self.tables.path

    @property
    def secret(self) -> Mapping[str, SecretTable]:
        """Where the secrets are, by name."""
        return self.tables.secret

    @property
    def development(self) -> bool:
        """Whether something was changed from outside the files: such a run qualifies nothing."""
        return bool(self.sets)

    @property
    def evidence_class(self) -> EvidenceClass:
        """What a result of this rig is worth at most.

        "hardware" only when every article under test and every instrument is real; otherwise "rtl" when some
        article runs as RTL; otherwise "sim". An article under test is one with a client; parts that are only
        wired (valves, loads) do not count.
        """
        articles = [dut for dut in self.dut.values() if dut.client is not None] or list(self.dut.values())
        classes = {dut.evidence_class for dut in articles}
        simulated = any(instrument.model is not None for instrument in self.instrument.values())
        simulated = simulated or any(bus.interface in {"hil", "virtual"} for bus in self.bus.values())
        if classes == {"hardware"} and not simulated:
            return "hardware"
        return "rtl" if "rtl" in classes else "sim"

    @property
    def flight_lateness_ns(self) -> int:
        """The allowed lateness of a program while it flies the plant [ns]."""
        given_ms = None if self.plant is None else self.plant.max_lateness_ms
        return self.rig.max_lateness_ns if given_ms is None else round(given_ms * ms)

    def where(self, *keys: str) -> Place:
        """Where a key was given, or the nearest table around it."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.places:
                return self.places[keys[:length]]
        return Place(self.file.as_posix())
