"""Checks of a rig file's hazards that look at more than one table: what guards them, and who may loosen that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.rig.part_tables import BusTable
from hil.rig.values import TIMER
from hil.toml_lines import did_you_mean, dotted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from hil.rig.model import Place
    from hil.rig.part_tables import InstrumentTable
    from hil.rig.tables import Tables

Keys = tuple[str, ...]
Finding = tuple[Keys, str]

_INJURES = 2  # the hazard from which hardware must act without the keeper


def hazards(tables: Tables) -> Iterator[Finding]:
    """Everything that is wrong with the guards of hazards: (keys of the place, sentence)."""
    yield from _safety(tables)
    yield from _cuts(tables)
    yield from _closed_paths(tables)


def _safety(tables: Tables) -> Iterator[Finding]:
    """Hazard 3 needs hardware that acts by itself, and reads back."""
    deadliest = [name for name, part in tables.instrument.items() if part.hazard == 3]
    needed = ("timer", "contactor", "emergency_stop", "arming_plug", "authority")
    missing = [key for key in needed if getattr(tables.safety, key) is None]
    if deadliest and missing:
        yield (
            ("instrument", deadliest[0], "hazard"),
            f"instrument.{deadliest[0]}.hazard = 3 needs a hardware timer with contactor, emergency stop and arming "
            f"plug, all read back, and an authority: [safety] lacks {', '.join(missing)}",
        )
    pins = {pin for net in tables.wires.values() for pin in net.pins}
    for key in needed[:-1]:
        pin = getattr(tables.safety, key)
        if pin is not None and pin not in pins:
            yield ("safety", key), f"safety.{key} = {pin!r} is on no net{did_you_mean(pin, list(pins))}"


def _cuts(tables: Tables) -> Iterator[Finding]:
    """What can injure goes off when the keeper is dead, by hardware that needs nobody."""
    guards = [name for name, part in tables.instrument.items() if part.hazard and part.watchdog is not None]
    for kind, name, part in _parts(tables):
        if not part.hazard:
            continue
        if part.cut_by is None:
            if part.hazard >= _INJURES and (isinstance(part, BusTable) or part.watchdog is None):
                yield (
                    (kind, name, "hazard"),
                    f"{kind}.{name}.hazard = {part.hazard} without a watchdog stays on when the keeper is dead: "
                    'give cut_by the instrument whose watchdog cuts it, or "timer" for the hardware timer of [safety]',
                )
        elif part.cut_by == TIMER:
            if tables.safety.timer is None:
                yield (kind, name, "cut_by"), f"{kind}.{name}.cut_by = {TIMER!r}: [safety] has no timer"
        elif part.cut_by not in guards or part.cut_by == name:
            yield (
                (kind, name, "cut_by"),
                f"{kind}.{name}.cut_by = {part.cut_by!r} is no other instrument with a hazard and a watchdog"
                f"{did_you_mean(part.cut_by, [guard for guard in guards if guard != name])}",
            )


def _parts(tables: Tables) -> Iterator[tuple[str, str, InstrumentTable | BusTable]]:
    """Everything that can have a hazard: kind, name and table."""
    yield from (("instrument", name, part) for name, part in tables.instrument.items())
    yield from (("bus", name, part) for name, part in tables.bus.items())


def _closed_paths(tables: Tables) -> Iterator[Finding]:
    """What radiates goes into a path that reads back as closed, each of its paths."""
    paths = list(tables.path)
    for name, path in tables.path.items():
        source = path.from_.partition(".")[0]
        part = tables.instrument.get(source)
        if part is None or part.hazard < _INJURES or name in [each.path for each in part.interlock]:
            continue
        yield (
            ("instrument", source, "interlock"),
            f"instrument.{source}.interlock: path.{name} begins here, hazard {part.hazard}, and nothing shows that it "
            f'is closed: give a pin that reads it back, with path = "{name}"',
        )
    for name, part in tables.instrument.items():
        for proven in (each.path for each in part.interlock if each.path is not None and each.path not in paths):
            yield (
                ("instrument", name, "interlock"),
                f"instrument.{name}.interlock.path: there is no path {proven}{did_you_mean(proven, paths)}",
            )


_GUARDS = frozenset(
    {
        "hazard", "safe", "safe_in", "keep_on", "watchdog", "interlock", "limits", "allow", "outputs",
        "sequences", "allow_modulation", "cut_by", "action", "send", "energising", "loopback",
    }
)  # fmt: skip
"""Keys of an instrument or a bus that guard what it can do."""


def loosened(tables: Tables, places: Mapping[Keys, Place], lowered: Collection[Keys]) -> Iterator[Finding]:
    """What guards real hardware is changed in files that somebody reviews, and a hazard is never called smaller.

    Args:
        tables: the merged rig.
        places: where every key was given.
        lowered: hazards that a later layer calls smaller.
    """
    if tables.rig.is_virtual:
        return
    real = {
        name: part
        for _, name, part in _parts(tables)
        if (part.is_real if isinstance(part, BusTable) else part.model is None)
    }
    hazardous = any(part.hazard for part in real.values())
    for keys, place in places.items():
        if not place.file.startswith("--set"):
            continue
        part = keys[0] in ("instrument", "bus") and keys[1:2] and keys[1] in real
        guards = part and not _GUARDS.isdisjoint(keys[2:3])
        if guards or (hazardous and (keys[:1] in (("safety",), ("lab",)) or keys[:2] == ("rig", "name"))):
            yield keys, f"{dotted(keys)} guards real hardware: it is changed in the rig file, not on the command line"
    for keys in lowered:
        if keys[1] in real:
            yield keys, f"{dotted(keys)} is smaller than in the file this one extends: a hazard does not get smaller"
