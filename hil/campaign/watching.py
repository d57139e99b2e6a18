"""A run watched from outside: its processes, and whether its keeper has left the rig safe."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hil.campaign.keeping import unsafe_in
from hil.errors import EvidenceError, HilError
from hil.safety.lease import status
from hil.safety.lease_record import State
from hil.safety.record import RECORD, read_record

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator


@dataclass(frozen=True)
class KeeperSeen:
    """A run's keeper, as its record tells.

    Args:
        pid: its process.
        token: of its lease.
        rig: name of the rig.
        ended: whether it has come to an end.
    """

    pid: int
    token: int
    rig: str
    ended: bool

    @classmethod
    def of(cls, folder: Path) -> KeeperSeen | None:
        """The keeper of the run in a folder; None when it has none, or its record cannot be read."""
        try:
            lines = read_record(folder / RECORD)
        except EvidenceError:
            return None  # unsafe_in says so
        if not lines:
            return None
        pid, token = lines[0].get("pid"), lines[0].get("token")
        if not (isinstance(pid, int) and isinstance(token, int)):
            return None
        return cls(pid, token, str(lines[0].get("rig")), lines[-1].get("what") in ("ended", "refused"))

    def unsafe(self, folder: Path) -> str:
        """What is not safe, "" when all is; the lease knows where the disk took no more of the record."""
        found = unsafe_in(folder)
        if found:
            with suppress(HilError):
                lease = status(self.rig)
                if lease.state == State.FREE and lease.token == self.token:
                    return ""
        return found


def end_all(pid: int, *, by: signal.Signals) -> None:
    """Signal a process and all its descendants in its session; a keeper is in a session of its own."""
    for found in [*_descendants(pid, _session_of(pid)), pid]:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(found, by)


def _descendants(pid: int, session: int) -> Iterator[int]:
    for child in _children(pid):
        yield from _descendants(child, session)
        if _session_of(child) == session:
            yield child


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in tasks.read_text().split()]
    return found


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1
