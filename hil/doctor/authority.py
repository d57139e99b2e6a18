"""Who may change the register of those who may grant: on a bench nobody but root, for whoever can may arm."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from hil.doctor.finding import Finding
from hil.errors import HilError
from hil.rig.keeping import has_keeper
from hil.safety.register import Register

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hil.rig.model import RigFile

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def authority(file: RigFile) -> Iterator[Finding]:
    """Whether the register and its list of revocations can be read, and who may change them."""
    path = file.safety.authority
    if path is None:
        yield Finding("register", "skip", "the rig asks for no grants: [safety] names no authority")
        return
    try:
        register = Register(path)
        register.revoked()
    except HilError as problem:
        yield Finding(
            "register", "fail", str(problem), "see docs/authority.md: nothing is granted until it can be read"
        )
        return
    for what, each in (("register", path), ("revocations", register.revocations)):
        found = why_not_trusted(each)
        if not found:
            yield Finding(what, "ok", f"{each.as_posix()}: only root may change it")
        elif has_keeper(file):
            yield Finding(
                what, "fail", found, f"keep it root's: chown root {each} && chmod 0644 {each}, and its folder"
            )
        else:
            yield Finding(what, "skip", f"{found}; nothing real is armed by it on this rig")


def why_not_trusted(path: Path) -> str:
    """Who but root may change a file, or put another one in its place; "" when nobody may.

    Args:
        path: the file.
    """
    for place in (path.resolve(), path.resolve().parent):
        found = place.stat()
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_uid != 0:
            return f"{place}: belongs to user {found.st_uid}, who may change it and so arm"
        if found.st_mode & _OTHERS and not sticky:
            return f"{place}: has mode {stat.S_IMODE(found.st_mode):o}: others than root may change it and so arm"
    return ""
