"""What a rig file must say of a hazardous instrument because of what it is, which its driver's class tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.toml_lines import did_you_mean
from hil.visa.classes import DCPower

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.rig.model import RigFile
    from hil.visa.driver import Driver

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
    if table.hazard >= _INJURES and is_unmeasured(file, name, driver):
        yield (
            f"{file.where('instrument', name, 'safe')}: instrument.{name}.safe measures nothing, and its hazard is "
            f"{table.hazard}: a supply that says OFF may be on; add a step such as "
            '{ query = "MEAS:VOLT? (@1:4)", below_v = 1.0, within_ms = 500.0 }'
        )


def is_unmeasured(file: RigFile, name: str, driver: type[Driver]) -> bool:
    """Whether a hazardous supply is called safe for what it says of its outputs, and not for what is measured there."""
    table = file.instrument[name]
    return bool(table.hazard) and issubclass(driver, DCPower) and all(step.below_v is None for step in table.safe)
