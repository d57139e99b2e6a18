"""What can go wrong with the vehicle and its air: a closed list of faults."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, cast

from pydantic import ValidationError

from hil.closed import nearest
from hil.errors import HilError
from hil.plant.vehicle import ENGINES

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.faults import Fault
    from hil.plant.launcher import Launcher
    from hil.plant.vehicle import Vehicle

_READ_ONCE = ("site.", "body.oxidiser_kg", "body.fuel_kg")


class Override(NamedTuple):
    """One number of the vehicle changed: key, and ``factor * number + offset`` in the number's own unit."""

    name: str
    factor: float
    offset: float


def apply_to(plant: Launcher, fault: Fault) -> Callable[[], None]:
    """Put a fault on the plant; the returned call takes it away.

    Raises:
        HilError: for an unknown kind; names the nearest.
    """
    kind = KINDS.get(fault.kind)
    if kind is None:
        raise HilError(f"the plant knows no fault {fault.kind!r}; {nearest(fault.kind, list(KINDS))}")
    return kind(plant, fault)


def _engine(fault: Fault) -> int:
    """The engine a fault names, counted from 0.

    Raises:
        HilError: when there is no such engine.
    """
    engine = fault.number("engine")
    if engine not in range(1, ENGINES + 1):
        raise HilError(
            f"fault {fault.kind!r} on {fault.target}: there is no engine {engine:g}; they are 1 to {ENGINES}"
        )
    return int(engine) - 1


def _planes(fault: Fault) -> tuple[int, ...]:
    """The gimbal planes a fault names: pitch turns about y, yaw about z.

    Raises:
        HilError: for another axis.
    """
    axis = fault.parameters.get("axis", "all")
    planes = {"pitch": (0,), "yaw": (1,), "all": (0, 1)}.get(str(axis))
    if planes is None:
        raise HilError(f"fault {fault.kind!r} on {fault.target}: there is no axis {axis!r}; give pitch, yaw or all")
    return planes


def _engine_fails(plant: Launcher, fault: Fault) -> Callable[[], None]:
    fault.take_only("engine")
    engine, failed = _engine(fault), plant.stage.engines.failed
    failed.append(engine)
    return lambda: failed.remove(engine)


def _engine_thrust(plant: Launcher, fault: Fault) -> Callable[[], None]:
    fault.take_only("engine", "factor")
    engines, entry = plant.stage.engines, (_engine(fault), fault.number("factor", least=0.0))
    engines.thrust_factors.append(entry)
    engines.weigh()

    def undo() -> None:
        engines.thrust_factors.remove(entry)
        engines.weigh()

    return undo


def _freeze(plant: Launcher, axes: list[tuple[int, int]]) -> Callable[[], None]:
    gimbals = plant.stage.gimbals
    gimbals.frozen += axes
    gimbals.refresh()

    def undo() -> None:
        for axis in axes:
            gimbals.frozen.remove(axis)
        gimbals.refresh()

    return undo


def _gimbal_frozen(plant: Launcher, fault: Fault) -> Callable[[], None]:
    fault.take_only("engine", "axis")
    engine = _engine(fault)
    return _freeze(plant, [(plane, engine) for plane in _planes(fault)])


def _tvc_power_loss(plant: Launcher, fault: Fault) -> Callable[[], None]:
    fault.take_only("axis")
    return _freeze(plant, [(plane, engine) for plane in _planes(fault) for engine in range(ENGINES)])


def _gimbal_hard_over(plant: Launcher, fault: Fault) -> Callable[[], None]:
    fault.take_only("engine", "axis", "angle_deg")
    engine, aim_rad = _engine(fault), math.radians(fault.number("angle_deg"))
    gimbals = plant.stage.gimbals
    entries = [(plane, engine, aim_rad) for plane in _planes(fault)]
    gimbals.hard_over += entries
    gimbals.refresh()

    def undo() -> None:
        for entry in entries:
            gimbals.hard_over.remove(entry)
        gimbals.refresh()

    return undo


def _tvc_energy(plant: Launcher, fault: Fault) -> Callable[[], None]:
    fault.take_only("left_rad")
    gimbals = plant.stage.gimbals
    spent_rad = gimbals.energy_rad - fault.number("left_rad", least=0.0) - gimbals.travelled_rad
    gimbals.travelled_rad += spent_rad
    gimbals.refresh()

    def undo() -> None:
        gimbals.travelled_rad -= spent_rad
        gimbals.refresh()

    return undo


def _parameter(plant: Launcher, fault: Fault) -> Callable[[], None]:
    fault.take_only("name", "value", "factor")
    name = str(fault.parameters.get("name", ""))
    if ("value" in fault.parameters) == ("factor" in fault.parameters):
        raise HilError(f"fault 'parameter' on {fault.target}: give either value= or factor= for name={name!r}")
    return _override(plant, [Override(name, fault.number("factor", 0.0), fault.number("value", 0.0))])


def _wind(plant: Launcher, fault: Fault) -> Callable[[], None]:
    fault.take_only("speed_m_s", "factor", "from_deg", "gust_m_s")
    named = [name for name in ("speed_m_s", "from_deg", "gust_m_s") if name in fault.parameters]
    changes = [Override(f"wind.{name}", 0.0, fault.number(name)) for name in named]
    if "factor" in fault.parameters:
        changes.append(Override("wind.speed_m_s", fault.number("factor", least=0.0), 0.0))
    return _override(plant, changes)


def _override(plant: Launcher, changes: list[Override]) -> Callable[[], None]:
    for change in changes:
        if change.name.startswith(_READ_ONCE):
            raise HilError(
                f"{change.name} is read once, when the plant is made; set plant.vehicle.{change.name} instead"
            )
    wanted = plant.overrides + changes
    plant.use(overridden(plant.base, wanted))
    plant.overrides = wanted

    def undo() -> None:
        plant.overrides = [change for change in plant.overrides if not any(change is mine for mine in changes)]
        plant.use(overridden(plant.base, plant.overrides))

    return undo


def overridden(vehicle: Vehicle, changes: list[Override]) -> Vehicle:
    """The vehicle with numbers changed.

    Raises:
        HilError: for a key that is not there or no number, and for a number that its table refuses.
    """
    if not changes:
        return vehicle
    tables = cast("dict[str, object]", vehicle.model_dump())
    for change in changes:
        table, last = _table_of(tables, change.name), change.name.rpartition(".")[2]
        old = table[last]
        if isinstance(old, tuple):
            table[last] = tuple(change.factor * number + change.offset for number in cast("tuple[float, ...]", old))
        elif isinstance(old, float):
            table[last] = change.factor * old + change.offset
        else:
            raise HilError(f"{change.name} is no number but {old!r}; name a number of the vehicle")
    try:
        return type(vehicle).model_validate(tables)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(map(str, found["loc"]))
        raise HilError(f"vehicle: {where}: {found['msg']}; it would be {found['input']!r}") from error


def _table_of(tables: dict[str, object], name: str) -> dict[str, object]:
    """The table that holds a number.

    Raises:
        HilError: when no such key is there; names the nearest.
    """
    table, path = tables, ""
    for key in name.split("."):
        found = table.get(key)
        if found is None:
            known = [path + other for other in table]
            raise HilError(f"the vehicle has no number {name!r}; {nearest(path + key, known)}")
        if not isinstance(found, dict):
            break
        table, path = cast("dict[str, object]", found), f"{path}{key}."
    if path + name.rpartition(".")[2] != name:
        raise HilError(f"the vehicle has no number {name!r}; {path.rstrip('.')} is a table, name a number in it")
    return table


KINDS: dict[str, Callable[[Launcher, Fault], Callable[[], None]]] = {
    "parameter": _parameter,
    "engine_fails": _engine_fails,
    "engine_thrust": _engine_thrust,
    "gimbal_frozen": _gimbal_frozen,
    "gimbal_hard_over": _gimbal_hard_over,
    "tvc_power_loss": _tvc_power_loss,
    "tvc_energy": _tvc_energy,
    "wind": _wind,
}
"""The faults there are."""
