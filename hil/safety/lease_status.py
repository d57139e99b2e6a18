"""What a lease looks like from outside: for `hil rig status`, and for whoever is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.clock import boot_ns
from hil.safety.lease_record import State
from hil.units import s

if TYPE_CHECKING:
    from pathlib import Path

    from hil.safety.lease_file import Folder
    from hil.safety.lease_record import Record


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """The state of one rig's lease.

    Args:
        rig_name: name of the rig.
        folder: where its records are.
        state: of the rig.
        token: fencing token of the newest lease; 0 when there was none.
        pid: process of the holder; 0 when it left.
        alive: whether that process may still run.
        user: its user.
        host: its machine.
        who: what it said it is for.
        since_utc: since when.
        renewed_s: time since the last renewal [s].
        ttl_s: time to live [s].
        why: why the rig is SAFING or UNSAFE.
        keeps: what its keeper holds that is hazardous, ``NAME at ADDRESS``.
        harmless: whether the holder had no keeper, and can have left nothing that is unsafe.
    """

    rig_name: str
    folder: Path
    state: State = State.FREE
    token: int = 0
    pid: int = 0
    alive: bool = False
    user: str = ""
    host: str = ""
    who: str = ""
    since_utc: str = ""
    renewed_s: float = 0.0
    ttl_s: float = 0.0
    why: str = ""
    keeps: tuple[str, ...] = ()
    harmless: bool = False

    @classmethod
    def never(cls, folder: Folder) -> LeaseStatus:
        """Of a rig that was never leased."""
        return cls(folder.rig_name, folder.path)

    @classmethod
    def of(cls, folder: Folder, number: int, record: Record) -> LeaseStatus:
        """As a record says, and as its process is now."""
        alive = record.state != State.FREE and record.holder.is_alive()
        return cls(
            folder.rig_name,
            folder.path,
            record.state,
            record.token,
            record.holder.pid,
            alive and (record.holder.is_near() or folder.is_locked(number)),
            record.user,
            record.host,
            record.who,
            record.since_utc,
            (boot_ns() - record.renewed_ns) / s,
            record.ttl_ns / s,
            record.why,
            tuple(record.keeps.splitlines()),
            record.harmless,
        )

    @property
    def expired(self) -> bool:
        """Whether the holder let its time to live run out."""
        return self.state != State.FREE and not 0.0 <= self.renewed_s < self.ttl_s

    @property
    def held_by(self) -> str:
        """The holder in words."""
        left = "" if self.alive else " (released)" if self.state == State.FREE else " (gone)"
        return f"{self.user}, process {self.pid}{left} on {self.host}, {self.who!r}, since {self.since_utc}"

    def __str__(self) -> str:
        if self.state == State.FREE:
            return f"rig {self.rig_name} is FREE"
        why = f" ({self.why})" if self.why else ""
        return f"rig {self.rig_name} is {self.state.name}{why}: {self.held_by}"

    def lines(self) -> list[str]:
        """The status as lines of text."""
        if not self.token:
            return [f"rig {self.rig_name} is FREE, it was never leased ({self.folder})"]
        rows = [str(self)]
        if self.state != State.FREE:
            rows.append(f"renewed {self.renewed_s:.3f} s ago, lasts {self.ttl_s:g} s{', EXPIRED' * self.expired}")
        if self.state != State.FREE:
            rows += [f"hazardous: {part}" for part in self.keeps]
        rows.append(f"lease {self.token} in {self.folder}")
        match self.state:
            case State.UNSAFE:
                rows.append(f"make it safe and confirm it: hil safe {self.rig_name}")
            case State.HELD | State.SAFING if not self.alive or self.expired:
                rows.append("the next holder takes it over and has to make it safe first")
            case _:
                pass
        return rows
