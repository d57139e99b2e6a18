"""What a rig file must say of a hazardous instrument because of what it is, which its driver's class tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.toml_lines import did_you_mean
from hil.visa.classes import DCPower
from hil.visa.declare import declared
from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.parser import parse
from hil.visa.scpi.tree import Command, Tree, short_header

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.rig.model import RigFile
    from hil.visa.driver import Driver
    from hil.visa.scpi.parser import Unit

_INJURES = 2  # the hazard from which what is only reported below is refused


def why_not_guarded(file: RigFile, name: str, driver: type[Driver]) -> Iterator[str]:
    """Every guard of an instrument that is missing, or is none; with file and line.

    Args:
        file: the rig file.
        name: the instrument, with a hazard.
        driver: its driver's class.
    """
    table, place = file.instrument[name], file.where("instrument", name)
    if driver.loads and table.sequences is None and not file.rig.is_virtual:
        yield (
            f"{place}: instrument.{name}.sequences is missing: a {driver.__name__} radiates what it is loaded with; "
            "name the files that list it (hil rig waveforms makes one from a simulated run), or write sequences = [] "
            "for none"
        )
    for kind in table.allow_modulation:
        if kind not in driver.modulations:
            yield (
                f"{file.where('instrument', name, 'allow_modulation')}: instrument.{name}.allow_modulation: a "
                f"{driver.__name__} makes no {kind} by itself{did_you_mean(kind, driver.modulations)}"
            )
    if table.hazard >= _INJURES:
        for header in _left_as_it_was(file, name, driver):
            yield (
                f"{file.where('instrument', name, 'safe')}: instrument.{name}.safe does not read {header}? back: what "
                "somebody has switched on before would be radiated; add a step that switches it off and reads it back, "
                "or name its kind in allow_modulation where it is meant or not fitted"
            )
    if table.hazard >= _INJURES and is_unmeasured(file, name, driver):
        yield (
            f"{file.where('instrument', name, 'safe')}: instrument.{name}.safe measures nothing, and its hazard is "
            f"{table.hazard}: a supply that says OFF may be on; add a step such as "
            '{ query = "MEAS:VOLT? (@1:4)", below_v = 1.0, within_ms = 500.0 }'
        )


def _left_as_it_was(file: RigFile, name: str, driver: type[Driver]) -> Iterator[str]:
    """What modulates or plays, by its header, and is read back by no step of the safe sequence."""
    table = file.instrument[name]
    wanted = [header for kind, header in driver.modulations.items() if kind not in table.allow_modulation]
    wanted += [entry.command for entry in declared(driver) if entry.name in driver.starts]
    units = [parse(step.query)[0] for step in table.safe if step.query is not None and step.expect is not None]
    for header in wanted:
        tree = Tree()
        tree.add(Command(f"{header}?", (), _nothing))
        if not any(len(asked) == 1 and _names(tree, asked[0]) for asked in units):
            yield short_header(header)


def _names(tree: Tree, unit: Unit) -> bool:
    try:
        tree.resolver().find(unit)
    except ScpiError:
        return False
    return True


def _nothing() -> str:
    return ""


def is_unmeasured(file: RigFile, name: str, driver: type[Driver]) -> bool:
    """Whether a hazardous supply is called safe for what it says of its outputs, and not for what is measured there."""
    table = file.instrument[name]
    return bool(table.hazard) and issubclass(driver, DCPower) and all(step.below_v is None for step in table.safe)
