"""What a rig file says to the keeper: its hazards, where their interlocks are read, what a test is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import ConfigError
from hil.rig.waveforms import load_waveforms
from hil.safety.plan import InterlockPlan, KeeperPlan, OutletPlan, SafeStepPlan, WatchdogPlan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hil.rig.model import InstrumentTable, RigFile, SafeStep, Watchdog
    from hil.safety.plan import Level


_FEED_S = 0.5  # how long an instrument may take to answer what feeds its watchdog


def has_keeper(file: RigFile) -> bool:
    """Whether a rig needs a keeper: it is paced, and has a hazardous instrument that is reached over an address."""
    return not file.rig.is_virtual and any(_is_kept(table) for table in file.instrument.values())


def keeper_plan(file: RigFile, *, who: str, record: Path | None = None, safe_only: bool = False) -> KeeperPlan:
    """What the keeper of a rig is told.

    Args:
        file: the rig file.
        who: what the rig is held for, for those who are refused it.
        record: the file of the keeper's own record.
        safe_only: make the rig safe, whoever left it how, and end.

    Raises:
        ConfigError: when an interlock cannot be read by the keeper, or a list of waveforms is wrong.
    """
    kept = {name: table for name, table in file.instrument.items() if _is_kept(table)}
    return KeeperPlan(
        rig=file.rig.name,
        outlets=[_outlet(file, name, table) for name, table in kept.items()],
        silence_s=file.safety.silence_s,
        deadline_s=file.safety.deadline_s,
        hold_s=file.safety.hold_s,
        lease_s=file.safety.lease_s,
        who=who,
        record=None if record is None else str(record.absolute()),
        safe_only=safe_only,
    )


def _is_kept(table: InstrumentTable) -> bool:
    return bool(table.hazard) and table.resource is not None


def _outlet(file: RigFile, name: str, table: InstrumentTable) -> OutletPlan:
    assert table.resource is not None
    watchdog = table.watchdog
    return OutletPlan(
        name=name,
        driver=table.driver,
        resource=table.resource,
        hazard=table.hazard,
        serial=table.serial,
        limits=dict(table.limits),
        allow=list(table.allow),
        sequences=None if table.sequences is None else list(load_waveforms(table.sequences)),
        safe=_steps(table.safe, file.rig.slowness),
        safe_in={phase: _steps(steps, file.rig.slowness) for phase, steps in table.safe_in.items()},
        feed_s=_FEED_S * file.rig.slowness,
        keep_on=list(table.keep_on),
        watchdog=None if watchdog is None else _watchdog(watchdog, file.rig.slowness),
        interlocks=list(_interlocks(file, name, table)),
    )


def _steps(steps: Sequence[SafeStep], slowness: float) -> list[SafeStepPlan]:
    """The steps, with their times in wall time."""
    plans = [SafeStepPlan(**step.model_dump()) for step in steps]
    return [plan.model_copy(update={"within_ms": plan.within_ms * slowness}) for plan in plans]


def _watchdog(watchdog: Watchdog, slowness: float) -> WatchdogPlan:
    plan = WatchdogPlan(**watchdog.model_dump())
    return plan.model_copy(update={"timeout_ms": plan.timeout_ms * slowness})


def _interlocks(file: RigFile, name: str, table: InstrumentTable) -> Iterator[InterlockPlan]:
    """The interlock of an instrument; for hazard 3 also what shows that the hardware would act by itself."""
    wanted: list[tuple[str, Level]] = []
    if table.interlock is not None:
        wanted.append((table.interlock.pin, table.interlock.level))
    if table.hazard == 3:
        chain = (file.safety.contactor, file.safety.emergency_stop, file.safety.arming_plug)
        for pin in chain:
            if pin is not None:
                wanted.append((pin, "high"))  # noqa: PERF401  # a list of a narrower kind
    for pin, level in wanted:
        node, _, port = pin.partition(".")
        card = file.instrument.get(node)
        if card is None or card.resource is None:
            raise ConfigError(
                f"{file.where('instrument', name, 'interlock')}: instrument.{name}: the keeper has to read {pin} "
                f"itself; give instrument.{node} a driver with an address and its resource"
            )
        yield InterlockPlan(card=card.driver, address=card.resource, name=node, port=port, level=level)
