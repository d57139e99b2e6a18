"""The lease of a rig and the way to a keeper; nothing is leased, and the keeper that is started has no instrument."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hil.clock import Stopwatch
from hil.doctor.finding import Finding
from hil.errors import HilError, ToolMissingError
from hil.rig.keeping import has_keeper, is_leased, keeper_plan
from hil.safety.labgrid_place import LabgridPlace
from hil.safety.launch import KeeperLink, exit_code_of, start_keeper
from hil.safety.lease import status
from hil.safety.lease_record import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.rig.model import RigFile
    from hil.safety.lease_status import LeaseStatus

_PERSISTENT = Path("/var/lib/hil")
_MADE = "install -d -m 1777 /var/lib/hil"
_FORGETFUL = ("tmpfs", "ramfs", "overlay")
_FAR = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")
_ROUND_TRIPS = 100
_SLOW_S = 0.02
_NO_HAZARD = "the rig has no hazardous instrument at an address: it has no keeper"


def why_not_talk(file: RigFile) -> str:
    """Why the instruments of a rig must not be talked to now; "" when they may be.

    A keeper that drives them, or a watchdog that shall switch them off, must not be disturbed; the watchdog of a rig
    that is UNSAFE may be about to.
    """
    if not is_leased(file):
        return ""
    try:
        found = status(file.rig.name)
    except HilError as problem:
        return f"nobody knows who drives them: {problem}"
    if found.state is State.FREE:
        return ""
    return f"{found}: messages would disturb its keeper, or feed a watchdog that shall switch off"


def lease(file: RigFile) -> Iterator[Finding]:
    """Whether the rig is free, and whether its lease is kept where everybody sees it and a restart leaves it."""
    if not is_leased(file):
        yield Finding("lease", "skip", "no part of the rig is outside of the test's own program: it is not leased")
        return
    try:
        found = status(file.rig.name)
    except HilError as problem:
        yield Finding("lease", "fail", str(problem), _MADE)
        return
    yield _holder(file, found)
    yield _folder(found.folder)
    if file.lab is not None:
        yield _place(file.lab.coordinator, file.lab.place)


def _place(coordinator: str, name: str) -> Finding:
    """Whether labgrid is there, and who has the rig's place."""
    try:
        place = LabgridPlace(name, coordinator)
        owner = place.owner()
    except ToolMissingError as missing:
        return Finding("place", "fail", str(missing), "pip install labgrid, and set HIL_LABGRID to its folder")
    except HilError as problem:
        return Finding("place", "fail", str(problem), "start the coordinator, or correct [lab] of the rig file")
    if owner is None:
        return Finding("place", "ok", f"{name} at {coordinator} is free")
    if owner == place.me:
        return Finding("place", "ok", f"{name} at {coordinator} is acquired by {owner}, from here")
    return Finding("place", "fail", f"{name} at {coordinator} is acquired by {owner}", "ask them to release it")


def keeper(file: RigFile) -> Iterator[Finding]:
    """Whether a keeper starts, and how long a word to it and back takes."""
    if not has_keeper(file):
        yield Finding("keeper", "skip", _NO_HAZARD)
        return
    try:
        plan = keeper_plan(file, who="hil doctor")
    except HilError as problem:
        yield Finding("keeper", "fail", str(problem), "correct the rig file")
        return
    with tempfile.TemporaryDirectory(prefix="hil-doctor-") as folder:
        nothing: dict[str, object] = {"outlets": [], "cards": [], "buses": [], "lease_folder": folder, "lab": None}
        alone = plan.model_copy(update=nothing)
        watch = Stopwatch()
        try:
            door = start_keeper(alone)
            start_s = watch.elapsed_s
            trips_s = _round_trips(KeeperLink(door))
            code = exit_code_of(door)
        except HilError as problem:
            yield Finding(
                "keeper", "fail", str(problem), f"run `{_by_hand()}` by hand: it says what this host does not let it do"
            )
            return
    median_s, worst_s = trips_s[len(trips_s) // 2], trips_s[-1]
    found = (
        f"starts in {start_s:.2f} s, a round trip takes {median_s * 1e6:.0f} us (worst of {len(trips_s)} "
        f"{worst_s * 1e3:.2f} ms)"
    )
    if code != 0:
        yield Finding("keeper", "fail", f"{found}; it ended with code {code}", "look at what else runs on this host")
    elif median_s > _SLOW_S:
        yield Finding("keeper", "warn", found, "end what else runs here: a keeper this slow is slow to make safe")
    else:
        yield Finding("keeper", "ok", found)


def _round_trips(link: KeeperLink) -> list[float]:
    """How long words to the keeper and back took, in order [s]; ends it."""
    found: list[float] = []
    for _ in range(_ROUND_TRIPS):
        watch = Stopwatch()
        link.enter("unpowered")
        found.append(watch.elapsed_s)
    link.end()
    return sorted(found)


def _by_hand() -> str:
    return "python -m hil.safety.process"


def _holder(file: RigFile, found: LeaseStatus) -> Finding:
    safe = f"hil safe {file.file.as_posix()}"
    if found.state is State.FREE:
        return Finding("lease", "ok", found.lines()[0])
    if found.state is State.UNSAFE:
        return Finding("lease", "fail", str(found), f"stay clear; {safe} makes it safe and confirms it")
    if found.alive and not found.expired:
        return Finding("lease", "fail", str(found), "wait for its end, or ask who holds it")
    return Finding("lease", "warn", f"{found}; the next holder has to make it safe first", safe)


def _folder(folder: Path) -> Finding:
    """All users share it, it survives a restart, and it is on this machine."""
    what, given = "lease folder", os.environ.get("HIL_LEASE_FOLDER")
    mode = stat.S_IMODE(folder.stat().st_mode)
    kind = _file_system(folder)
    if mode & 0o777 != 0o777:
        return Finding(
            what, "fail", f"{folder} has mode {mode:o}: another user cannot see who drives", f"chmod 1777 {folder}"
        )
    if kind in _FAR:
        return Finding(what, "fail", f"{folder} is on {kind}: leases are those of one machine", _MADE)
    if folder != _PERSISTENT and not given:
        return Finding(
            what, "warn", f"{folder} ({kind}) may be empty after a restart, and with it what was UNSAFE", _MADE
        )
    if kind in _FORGETFUL:
        return Finding(what, "warn", f"{folder} is on {kind}, which a restart empties", f"{_MADE}, on a real disk")
    if not mode & stat.S_ISVTX:
        return Finding(what, "warn", f"{folder} has mode {mode:o}: any user can remove a lease", f"chmod 1777 {folder}")
    return Finding(what, "ok", f"{folder} ({kind or 'unknown file system'})")


def _file_system(folder: Path) -> str:
    """The kind of the file system a folder is on; "" when it cannot be told."""
    found, longest = "", -1
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        _, place, kind, *_ = line.split()
        if folder.resolve().is_relative_to(place) and len(place) >= longest:
            found, longest = kind, len(place)
    return found
