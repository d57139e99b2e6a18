"""What a rig file says to the keeper: its hazards, where their interlocks are read, what a test is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import ConfigError
from hil.rig.hazards import action_of, interlocks_for, readable_interlocks
from hil.rig.loopbacks import loopback_of
from hil.rig.values import HERE
from hil.rig.waveforms import allowed_waveforms
from hil.safety.plan import (
    BusPlan,
    CardPlan,
    InterlockPlan,
    KeeperPlan,
    LabPlan,
    OutletPlan,
    OutputPlan,
    SafeStepPlan,
    WatchdogPlan,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hil.rig.hazard_tables import SafeStep, Watchdog
    from hil.rig.model import RigFile
    from hil.rig.part_tables import BusTable, InstrumentTable
    from hil.rig.values import Phase
    from hil.safety.plan import Level


_SIMULATED = "hil"  # interface of the wire in the test's program
_FEED_S = 0.5  # how long an instrument may take to answer what feeds its watchdog
_SILENT_S = 3.0  # how long an I/O card may take to say what its clock says


def has_keeper(file: RigFile) -> bool:
    """Whether a rig needs a keeper: it is paced, and something hazardous is reached over an address or an interface."""
    hazards = [_is_kept(table) for table in file.instrument.values()] + [_is_gateway(bus) for bus in file.bus.values()]
    return not file.rig.is_virtual and any(hazards)


def kept_resources(file: RigFile) -> dict[str, str]:
    """VISA resource, or address, of all that the keeper of a rig holds, by name; of a bus ``interface:channel``."""
    found = {name: str(table.resource) for name, table in file.instrument.items() if _is_kept(table)}
    return found | {name: f"{bus.interface}:{bus.channel}" for name, bus in file.bus.items() if _is_gateway(bus)}


def is_leased(file: RigFile) -> bool:
    """Whether a rig has one holder at a time: it has a keeper, or a part of it is outside of the test's program."""
    return has_keeper(file) or (not file.rig.is_virtual and _reaches_out(file))


def _reaches_out(file: RigFile) -> bool:
    parts = [file.rig.process, *(part.process for part in (*file.instrument.values(), *file.dut.values()))]
    return (
        any(process not in (None, HERE) for process in parts)
        or any(bus.interface != _SIMULATED for bus in file.bus.values())
        or any(instrument.resource is not None for instrument in file.instrument.values())
        or any(article.serial is not None for article in file.dut.values())
    )


def lab_plan(file: RigFile) -> LabPlan | None:
    """The place of a rig at a coordinator of labgrid; None where it has none."""
    return None if file.lab is None else LabPlan(coordinator=file.lab.coordinator, place=file.lab.place)


def keeper_plan(
    file: RigFile, *, who: str, record: Path | None = None, safe_only: bool = False, phase: Phase = "unpowered"
) -> KeeperPlan:
    """What the keeper of a rig is told.

    Args:
        file: the rig file.
        who: what the rig is held for, for those who are refused it.
        record: the file of the keeper's own record.
        safe_only: make the rig safe, whoever left it how, and end.
        phase: the phase whose safe sequences make it safe to begin with.

    Raises:
        ConfigError: when an interlock cannot be read by the keeper, or a list of waveforms is wrong.
    """
    kept = {name: table for name, table in file.instrument.items() if _is_kept(table)}
    return KeeperPlan(
        rig=file.rig.name,
        outlets=[_outlet(file, name, table) for name, table in kept.items() if not table.outputs],
        cards=[_card(file, name, table) for name, table in kept.items() if table.outputs],
        buses=[_gateway(file, name, bus) for name, bus in file.bus.items() if _is_gateway(bus)],
        silence_s=file.safety.silence_s,
        deadline_s=file.safety.deadline_s,
        deadline_max_s=file.safety.longest_deadline_s,
        phase_deadline_s={**file.safety.phase_deadline_s},
        hold_s=file.safety.hold_s,
        hold_sum_s=file.safety.longest_holds_s,
        lease_s=file.safety.lease_s,
        lab=lab_plan(file),
        authority=None if file.safety.authority is None else str(file.safety.authority.absolute()),
        readable=_readable(file),
        timer=_timer(file),
        who=who,
        record=None if record is None else str(record.absolute()),
        safe_only=safe_only,
        phase=phase,
    )


def _is_kept(table: InstrumentTable) -> bool:
    return bool(table.hazard) and table.resource is not None


def _is_gateway(table: BusTable) -> bool:
    return bool(table.hazard) and table.is_real


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
        sequences=allowed_waveforms(table.sequences),
        allow_modulation=list(table.allow_modulation),
        safe=_steps(table.safe, file.rig.slowness),
        safe_in={phase: _steps(steps, file.rig.slowness) for phase, steps in table.safe_in.items()},
        feed_s=_FEED_S * file.rig.slowness,
        keep_on=list(table.keep_on),
        watchdog=None if watchdog is None else _watchdog(watchdog, file.rig.slowness),
        action=action_of(file, name),
        interlocks=[_read_at(file, pin, level, name) for pin, level in interlocks_for(file, name)],
    )


def _card(file: RigFile, name: str, table: InstrumentTable) -> CardPlan:
    assert table.resource is not None
    watchdog = table.watchdog
    node, _, timer = (file.safety.timer or "").partition(".")
    return CardPlan(
        name=name,
        driver=table.driver,
        address=table.resource,
        hazard=table.hazard,
        outputs={port: OutputPlan(**output.model_dump()) for port, output in table.outputs.items()},
        reserved=[timer] if node == name else [],
        silent_s=_SILENT_S * file.rig.slowness,
        safe=_steps(table.safe, file.rig.slowness),
        safe_in={phase: _steps(steps, file.rig.slowness) for phase, steps in table.safe_in.items()},
        keep_on=list(table.keep_on),
        watchdog=None if watchdog is None else _watchdog(watchdog, file.rig.slowness),
        action=action_of(file, name),
        interlocks=[_read_at(file, pin, level, name) for pin, level in interlocks_for(file, name)],
    )


def _gateway(file: RigFile, name: str, table: BusTable) -> BusPlan:
    if table.database is None:
        raise ConfigError(f"{file.where('bus', name)}: bus.{name} has no database; what may be sent stands there")
    return BusPlan(
        name=name,
        hazard=table.hazard,
        interface=table.interface,
        channel=table.channel,
        bitrate_bps=table.bitrate_bps,
        database=str(table.database.absolute()),
        send=list(table.send),
        energising={message: dict(when) for message, when in table.energising.items()},
        loopback=loopback_of(file, name),
        safe=_steps(table.safe, file.rig.slowness),
        safe_in={phase: _steps(steps, file.rig.slowness) for phase, steps in table.safe_in.items()},
        keep_on=list(table.keep_on),
        action=action_of(file, name),
        interlocks=[_read_at(file, pin, level, name) for pin, level in interlocks_for(file, name)],
    )


def _steps(steps: Sequence[SafeStep], slowness: float) -> list[SafeStepPlan]:
    """The steps, with their times in wall time."""
    plans = [SafeStepPlan(**step.model_dump()) for step in steps]
    return [plan.model_copy(update={"within_ms": plan.within_ms * slowness}) for plan in plans]


def _watchdog(watchdog: Watchdog, slowness: float) -> WatchdogPlan:
    plan = WatchdogPlan(**watchdog.model_dump())
    return plan.model_copy(update={"timeout_ms": plan.timeout_ms * slowness})


def _read_at(file: RigFile, pin: str, level: Level, name: str) -> InterlockPlan:
    """How the keeper reads a pin itself.

    Raises:
        ConfigError: when it cannot, because no card with an address reads it.
    """
    node, _, port = pin.partition(".")
    card = file.instrument.get(node)
    if card is None or card.resource is None:
        kind = "bus" if name in file.bus else "instrument"
        raise ConfigError(
            f"{file.where(kind, name, 'interlock')}: {kind}.{name}: the keeper has to reach {pin} "
            f"itself; give instrument.{node} a driver with an address and its resource"
        )
    return InterlockPlan(card=card.driver, address=card.resource, name=node, port=port, level=level)


def _readable(file: RigFile) -> dict[str, InterlockPlan]:
    """What a grant may name; nothing where no grant is ever asked for."""
    asking = next((name for name in (*file.instrument, *file.bus) if action_of(file, name)), None)
    if asking is None and file.safety.authority is None:
        return {}
    return {
        name: _read_at(file, pin, level, asking or pin.partition(".")[0])
        for name, (pin, level) in readable_interlocks(file).items()
    }


def _timer(file: RigFile) -> InterlockPlan | None:
    pin = file.safety.timer
    return None if pin is None else _read_at(file, pin, "high", pin.partition(".")[0])
