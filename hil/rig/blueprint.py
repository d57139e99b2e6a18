"""Blueprint: everything of a rig that is the same for every test, read and imported once.

Opening a world from a blueprint builds objects and touches no file, so that a fresh world per test is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar, cast

from pydantic import BaseModel, ValidationError

from hil.article import Article, AsBuilt
from hil.device import Device
from hil.errors import ConfigError
from hil.io.card import IoCard
from hil.rig.card_hazards import card_gate
from hil.rig.checks import resolve
from hil.rig.waveforms import allowed_waveforms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.can.database import Database
    from hil.can.gate import CanGate
    from hil.io.gate import CardGate
    from hil.noise import Streams
    from hil.rig.model import RigFile
    from hil.rig.plant_host import Plant
    from hil.rtl.design import Design
    from hil.visa.gate import Gate

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Blueprint:
    """A rig file with its classes imported, its databases loaded and its as-built data checked."""

    file: RigFile
    databases: Mapping[str, Database]
    """By bus name."""
    drivers: Mapping[str, type[object]]
    """Driver class by instrument name."""
    twins: Mapping[str, type[object]]
    """Class of the simulated instrument by instrument name."""
    clients: Mapping[str, type[Device]]
    """By article name."""
    models: Mapping[str, tuple[type[Article], AsBuilt]]
    """Class and as-built data of the simulated article by name; of RTL, of the board around it."""
    designs: Mapping[str, Design]
    """The RTL of an article by name."""
    gates: Mapping[str, Gate] = field(default_factory=dict["str", "Gate"])
    """What a hazardous instrument may be sent, by its name."""
    card_gates: Mapping[str, Callable[[], CardGate]] = field(default_factory=dict["str", "Callable[[], CardGate]"])
    """What may be done with the outputs of a hazardous I/O card, by its name: makes the gate of one world."""
    bus_gates: Mapping[str, CanGate] = field(default_factory=dict["str", "CanGate"])
    """What a test may send on a hazardous bus, by its name."""
    plant: tuple[PlantClass, BaseModel] | None = None
    """Class and vehicle of the plant, if the rig has one."""

    @classmethod
    def of(cls, file: RigFile) -> Blueprint:
        """Import and load what a rig file names.

        Raises:
            ConfigError: for a class that does not import or is of the wrong kind, a database that does not load,
                or as-built data that do not fit the article.
        """
        designs = {name: _design(file, name) for name, table in file.dut.items() if table.rtl}
        drivers = {name: resolve(file, "instrument", name, "driver") for name in file.instrument}
        databases = _databases(file)
        _require_loopbacks(file, databases)
        return cls(
            file=file,
            databases=databases,
            drivers=drivers,
            gates=_gates(file, drivers),
            card_gates={
                name: card_gate(file, name, drivers[name]) for name in file.instrument if _is_card(file, name, drivers)
            },
            bus_gates=_bus_gates(file, databases),
            twins={
                name: resolve(file, "instrument", name, "model")
                for name, table in file.instrument.items()
                if table.model
            },
            clients={
                name: _of_kind(file, Device, "dut", name, "client") for name, table in file.dut.items() if table.client
            },
            models={
                name: _model(file, name, designs.get(name)) for name, table in file.dut.items() if not table.serial
            },
            designs=designs,
            plant=None if file.plant is None else _plant(file),
        )


def _gates(file: RigFile, drivers: Mapping[str, type[object]]) -> dict[str, Gate]:
    from hil.rig.guards import why_not_guarded
    from hil.visa.driver import Driver
    from hil.visa.gate import Gate

    found: dict[str, Gate] = {}
    for name, table in file.instrument.items():
        driver = drivers[name]
        if not table.hazard or not issubclass(driver, Driver):
            continue
        if table.outputs:
            raise ConfigError(
                f"{file.where('instrument', name, 'outputs')}: instrument.{name}.outputs: {driver.__name__} is no I/O "
                "card; what its outputs may do stands in limits"
            )
        problems = list(why_not_guarded(file, name, driver))
        if problems:
            raise ConfigError("\n".join(problems))
        try:
            found[name] = Gate(
                name,
                driver,
                table.limits,
                allow=table.allow,
                sequences=allowed_waveforms(table.sequences),
                allow_modulation=table.allow_modulation,
            )
        except (ConfigError, ValueError) as problem:
            raise ConfigError(f"{file.where('instrument', name)}: {problem}") from problem
    return found


def _bus_gates(file: RigFile, databases: Mapping[str, Database]) -> dict[str, CanGate]:
    hazardous = [name for name, table in file.bus.items() if table.hazard]
    if not hazardous:
        return {}
    from hil.rig.bus_hazards import can_gate

    return {name: can_gate(file, name, databases[name]) for name in hazardous}


def _require_loopbacks(file: RigFile, databases: Mapping[str, Database]) -> None:
    if databases:
        from hil.rig.loopbacks import require_loopbacks

        require_loopbacks(file, databases)


def _is_card(file: RigFile, name: str, drivers: Mapping[str, type[object]]) -> bool:
    """Whether an instrument is a hazardous I/O card."""
    return bool(file.instrument[name].hazard) and issubclass(drivers[name], IoCard)


def _databases(file: RigFile) -> dict[str, Database]:
    if not file.bus:
        return {}
    from hil.can.database import Database

    loaded: dict[str, Database] = {}
    found: dict[str, Database] = {}
    for name, bus in file.bus.items():
        if bus.database is None:
            raise ConfigError(
                f"{file.where('bus', name)}: bus.{name} has no database; give the DBC file its messages stand in"
            )
        path = str(bus.database)
        if path not in loaded:
            loaded[path] = Database.load(bus.database)
        found[name] = loaded[path]
    return found


def _design(file: RigFile, name: str) -> Design:
    from hil.rtl.design import Design

    rtl = file.dut[name].rtl
    assert rtl is not None
    return Design(rtl, file.rtl.simulator, coverage=file.rtl.coverage, waves=file.rtl.waves, upsets=file.rtl.upsets)


def _model(file: RigFile, name: str, design: Design | None) -> tuple[type[Article], AsBuilt]:
    article = _of_kind(file, Article, "dut", name, "model") if design is None else design.board
    try:
        return article, article.AS_BUILT.model_validate(dict(file.as_built.get(name, {})))
    except ValidationError as problem:
        raise _refusal(file, problem, "dut", name, "as_built") from problem


class PlantClass(Protocol):
    """The class of a plant: the model of its vehicle file, and how one is made."""

    VEHICLE: ClassVar[type[BaseModel]]

    def __call__(self, vehicle: BaseModel, *, streams: Streams, step_ns: int, integrator: str) -> Plant:
        """Make one, standing on its pad."""
        ...


def _plant(file: RigFile) -> tuple[PlantClass, BaseModel]:
    found = resolve(file, "plant", "model")
    declared = getattr(found, "VEHICLE", None)
    if not (isinstance(declared, type) and issubclass(declared, BaseModel)):
        raise ConfigError(
            f"{file.where('plant', 'model')}: plant.model = {found.__name__} is no plant: it has no VEHICLE"
        )
    try:
        vehicle = declared.model_validate(dict(file.vehicle))
    except ValidationError as problem:
        raise _refusal(file, problem, "plant", "vehicle") from problem
    return cast("PlantClass", found), vehicle


def _refusal(file: RigFile, problem: ValidationError, *keys: str) -> ConfigError:
    """What is wrong with the data that a key of the rig file names, by file and line."""
    lines: list[str] = []
    for error in problem.errors():
        inner = (*keys, *map(str, error["loc"]))
        lines.append(f"{file.where(*inner)}: {'.'.join(inner)}: {error['msg']} (found {error['input']!r})")
    return ConfigError("\n".join(lines))


def _of_kind(file: RigFile, kind: type[Kind], *keys: str) -> type[Kind]:
    found = resolve(file, *keys)
    if not issubclass(found, kind):
        raise ConfigError(f"{file.where(*keys)}: {'.'.join(keys)} = {found.__name__} is no {kind.__name__}")
    return found
