"""What the rig file alone says: its mistakes, the calibration of its instruments and of its paths, loop-back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.doctor.finding import Finding
from hil.rig.checks import resolve
from hil.rig.guards import is_unmeasured
from hil.rig.loopbacks import crossings, out_of_reach, what_to_declare, what_to_say_of
from hil.rig.preflight import check_rig
from hil.rig.values import HERE
from hil.visa.driver import Driver

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator

    from hil.rig.model import RigFile

SOON_DAYS = 30
"""A calibration that ends within so many days is told of [day]."""


def rig_file(file: RigFile) -> Iterator[Finding]:
    """Whether opening the rig would trip over what its file names; nothing is opened."""
    problems = check_rig(file)
    for problem in problems:
        yield Finding("rig file", "fail", problem, f"correct it; hil rig check {file.file.as_posix()} looks again")
    if not problems:
        yield Finding("rig file", "ok", f"{file.file.as_posix()}, {len(file.sources)} files, all it names is there")


def calibrations(file: RigFile, today: datetime.date) -> Iterator[Finding]:
    """Whether every instrument is within its calibration."""
    for name, table in file.instrument.items():
        what = f"{name} calibration"
        if table.calibration is not None:
            found = f"certificate {table.calibration.certificate}, due {table.calibration.due}"
            where = file.where("instrument", name, "calibration", "due")
            yield _due(what, found, table.calibration.due, today, f"have {name} calibrated, and correct {where}")
        elif table.model is not None:
            yield Finding(what, "skip", "it is simulated")
        else:
            yield Finding(
                what, "skip", "the rig file gives none", f"give instrument.{name}.calibration a certificate and due"
            )


def paths(file: RigFile, today: datetime.date) -> Iterator[Finding]:
    """Whether the loss of every path is still calibrated."""
    for name, table in file.path.items():
        what, where = f"path {name} calibration", file.where("path", name)
        certificate = f"certificate {table.certificate}" if table.certificate else "no certificate"
        found = f"{table.loss_db:g} dB measured {table.date}, {certificate}"
        if table.date > today:
            yield Finding(what, "fail", f"{found}: that day is to come", f"correct the date at {where}")
        elif table.due is None:
            yield Finding(what, "skip", f"{found}, no due date", f"give path.{name}.due the last day it is valid")
        else:
            remedy = f"measure the path again, and correct loss_db, date and due at {where}"
            yield _due(what, f"{found}, due {table.due}", table.due, today, remedy)


def guards(file: RigFile) -> Iterator[Finding]:
    """What a rig file may leave out while the hazard is small, and what that costs."""
    for name, table in file.instrument.items():
        driver = resolve(file, "instrument", name, "driver")
        if table.hazard and table.watchdog is None and table.cut_by is None:
            yield Finding(
                f"{name} cut",
                "warn",
                f"it has no watchdog and nothing cuts it: hazard {table.hazard} stays on when the keeper is dead",
                f"give instrument.{name} a watchdog, or cut_by what drops its supply or opens its path",
            )
        if issubclass(driver, Driver) and is_unmeasured(file, name, driver):
            yield Finding(
                f"{name} safe",
                "warn",
                "its safe sequence measures nothing: an output that says OFF and stays on is called safe",
                f"give instrument.{name}.safe a step with below_v, for example on MEAS:VOLT?",
            )


def simulated(file: RigFile, name: str) -> str:
    """Why there is nothing real to look at under an instrument's address; "" when there is."""
    table = file.instrument[name]
    if table.model is not None and file.program_of("instrument", name) == HERE:
        return "it is simulated in the test's own program"
    return "" if table.resource else "it has no resource"


def _due(what: str, found: str, due: datetime.date, today: datetime.date, remedy: str) -> Finding:
    """A due date is the last day of validity."""
    left = (due - today).days
    if left < 0:
        return Finding(what, "fail", f"{found}: expired {-left} days ago", remedy)
    if left <= SOON_DAYS:
        return Finding(what, "warn", f"{found}: {left} days left", remedy)
    return Finding(what, "ok", found)


def loopbacks(file: RigFile) -> Iterator[Finding]:
    """What answers where the transport delay of a flight is measured; nothing is sent."""
    for crossing in crossings(file):
        name = f"{crossing.bus} loop-back"
        if crossing.by is None:
            found = f"the plant's loop may be closed over {', '.join(crossing.outside)}: a flight is INCONCLUSIVE"
            yield Finding(name, "warn", found, what_to_declare(file, crossing))
        else:
            yield Finding(name, "ok", f"{crossing.frames}, by {crossing.by}")
    for key in out_of_reach(file):
        article = key.removeprefix("dut.")
        found = f"the plant's loop may be closed over {article}, past every bus: a flight is INCONCLUSIVE"
        yield Finding(f"{article} loop-back", "warn", found, what_to_say_of(file, article))
