"""All tables of a rig file together: which there are, and which of their keys an overlay may fill."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import Field

from hil.rig.bench_tables import LabTable, RigTable, RtlTable, SafetyTable
from hil.rig.hazard_tables import Interlock, Output, SafeStep, Watchdog
from hil.rig.loopback_table import LoopbackTable
from hil.rig.part_tables import BusTable, Calibration, DutTable, InstrumentTable, PlantTable
from hil.rig.values import Name, Table
from hil.rig.wire_tables import HarnessTable, InvariantTable, NetTable, PathTable, SecretTable

if TYPE_CHECKING:
    from collections.abc import Mapping


class Tables(Table):
    """A whole rig, all layers merged."""

    rig: RigTable
    bus: dict[Name, BusTable] = Field(default_factory=dict)
    instrument: dict[Name, InstrumentTable] = Field(default_factory=dict)
    dut: dict[Name, DutTable] = Field(default_factory=dict)
    plant: PlantTable | None = None
    rtl: RtlTable = RtlTable()
    safety: SafetyTable = SafetyTable()
    lab: LabTable | None = None
    net: dict[Name, NetTable] = Field(default_factory=dict)
    harness: dict[Name, HarnessTable] = Field(default_factory=dict)
    path: dict[Name, PathTable] = Field(default_factory=dict)
    invariant: dict[Name, InvariantTable] = Field(default_factory=dict)
    secret: dict[Name, SecretTable] = Field(default_factory=dict)

    @cached_property
    def wires(self) -> dict[str, NetTable]:
        """Every net by name, those of the harnesses included."""
        nets = dict(self.net)
        for name, cable in self.harness.items():
            nets |= cable.nets(name)
        return nets


TABLES: Mapping[str, type[Table]] = {
    "rig": RigTable, "bus": BusTable, "instrument": InstrumentTable, "dut": DutTable,
    "plant": PlantTable, "rtl": RtlTable, "safety": SafetyTable, "lab": LabTable, "net": NetTable,
    "harness": HarnessTable, "path": PathTable, "invariant": InvariantTable, "secret": SecretTable,
}  # fmt: skip
"""The tables of a rig file by their first key, in the order of the documentation."""

NAMED_TABLES = frozenset({"bus", "instrument", "dut", "net", "harness", "path", "invariant", "secret"})
"""Tables that hold one sub-table per name."""

NAMES_IN_BASE = NAMED_TABLES - {"invariant"}
"""Those whose names stand in the base, once."""

SUB_TABLES: Mapping[str, type[Table]] = {
    "loopback": LoopbackTable,
    "safe": SafeStep, "watchdog": Watchdog, "interlock": Interlock, "outputs": Output, "calibration": Calibration,
}  # fmt: skip
"""Tables inside ``[instrument.NAME]`` and ``[bus.NAME]``."""

OVERLAY_KEYS: Mapping[str, frozenset[str]] = {
    "rig": frozenset(RigTable.model_fields),
    "bus": frozenset(BusTable.model_fields) - {"bitrate_bps", "database"},
    "instrument": frozenset(InstrumentTable.model_fields),
    "dut": frozenset({"model", "rtl", "serial", "as_built", "process"}),
    "plant": frozenset(PlantTable.model_fields),
    "rtl": frozenset(RtlTable.model_fields),
    "safety": frozenset(SafetyTable.model_fields),
    "lab": frozenset(LabTable.model_fields),
    "net": frozenset(),
    "harness": frozenset(),
    "path": frozenset({"loss_db", "uncertainty_db", "date", "certificate", "due"}),
    "invariant": frozenset(InvariantTable.model_fields),
    "secret": frozenset(SecretTable.model_fields),
}
"""The transport keys: what a file that extends another may fill. Names, nets and the ICD stand in the base."""

PATH_KEYS: Mapping[str, frozenset[str]] = {
    "bus": frozenset({"database"}), "dut": frozenset({"as_built", "rtl"}), "plant": frozenset({"vehicle"}),
    "rtl": frozenset({"block_designs"}), "instrument": frozenset({"sequences"}), "safety": frozenset({"authority"}),
}  # fmt: skip
"""Keys that hold a path, or a list of them, relative to the file they stand in."""

ALTERNATIVES: Mapping[str, frozenset[str]] = {
    "instrument": frozenset({"resource", "model"}), "dut": frozenset({"model", "rtl", "serial"}),
    "secret": frozenset({"file", "env"}),
}  # fmt: skip
"""Keys of which one is given; a later layer that gives one takes the place of the others."""
