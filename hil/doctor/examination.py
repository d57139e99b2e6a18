"""All checks in their order. Nothing is energised, leased or set; instruments are asked queries and nothing else."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from hil.clock import utc_now
from hil.doctor.authority import authority
from hil.doctor.buses import buses
from hil.doctor.cards import cards
from hil.doctor.finding import Finding
from hil.doctor.host import clocks, disk, processors, versions
from hil.doctor.instruments import instruments
from hil.doctor.keeping import keeper, lease, why_not_talk
from hil.doctor.tables import calibrations, guards, loopbacks, paths, rig_file
from hil.errors import HilError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from hil.rig.model import RigFile


def examine(file: RigFile, runs: Path) -> Iterator[Finding]:
    """Look at everything that a run on a rig needs.

    Args:
        file: the rig file, read and checked.
        runs: the folder in which run folders are made.

    Yields:
        Each finding as soon as it is there.
    """
    today = datetime.date.fromisoformat(utc_now()[:10])
    sound = True
    for finding in rig_file(file):
        sound = sound and finding.state != "fail"
        yield finding
    yield from calibrations(file, today)
    yield from paths(file, today)
    yield from loopbacks(file)
    yield from _all("register", lambda: authority(file))
    yield from _all("lease", lambda: lease(file))
    if sound:
        yield from guards(file)
        yield from _all("instruments", lambda: instruments(file, lambda: why_not_talk(file)))
        yield from _all("cards", lambda: cards(file, lambda: why_not_talk(file)))
    else:
        yield Finding("instruments", "skip", "the rig file has mistakes", "correct it first")
    yield from _all("buses", lambda: buses(file))
    yield from _all("keeper", lambda: keeper(file))
    yield from _all("clocks", lambda: clocks(file))
    yield from _all("disk", lambda: disk(runs))
    yield from _all("processor governor", lambda: [processors()])
    yield from _all("versions", lambda: versions(file))


def _all(what: str, checks: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Some checks; one that cannot go on is no finding of the rig, and the others are still made."""
    try:
        yield from checks()
    except (HilError, OSError) as problem:
        yield Finding(what, "skip", f"the check could not go on: {problem}", "look at the message; run it again")
