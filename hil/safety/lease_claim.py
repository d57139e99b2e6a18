"""How a lease changes hands: see that the last holder never drives the rig again, then claim the next record."""

from __future__ import annotations

import os
import platform
import pwd
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from hil.clock import boot_ns, utc_now
from hil.safety.errors import LeaseError
from hil.safety.holder import Holder, boot_id
from hil.safety.lease_record import KEEPS_BYTES, KEPT_AT, Record, State
from hil.safety.lease_status import LeaseStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.safety.lease_file import Folder
    from hil.safety.lease_record import Opened


@dataclass(frozen=True, slots=True)
class Claimed:
    """A record that is now the newest of its rig.

    Args:
        opened: the record.
        previous: the lease before; None for the first of a rig.
    """

    opened: Opened
    previous: LeaseStatus | None


def claim(folder: Folder, ttl_ns: int, who: str, *, unsafe_too: bool, keeps: Sequence[str] | None = None) -> Claimed:
    """Become the holder of a rig, killing one who let its time run out.

    Args:
        folder: where the rig's records are.
        ttl_ns: time to live [ns].
        who: what it is for.
        unsafe_too: take over an UNSAFE rig also.
        keeps: what this holder keeps that is hazardous, ``NAME at ADDRESS``; none of it: nothing can be left unsafe;
            None does not say, and what it leaves is made safe by whoever keeps anything.

    Raises:
        LeaseError: when somebody holds the rig, it is UNSAFE, this holder does not keep all that the last one left, or
            the folder cannot be used.
    """
    said = _said(folder, keeps)
    while True:
        newest = folder.newest()
        if newest is None:
            opened = folder.claim(1, _record(_first_token(), State.HELD, ttl_ns, who, "", said))
            if opened is not None:
                return Claimed(opened, None)
            continue
        number, last = newest
        seen = LeaseStatus.of(folder, number, last)
        _demand_takeable(folder, last, seen, unsafe_too=unsafe_too)
        _demand_kept(seen, keeps)
        if seen.alive and last.holder != Holder.this():
            _kill(last, seen)
        if folder.newest() != newest:  # its last words: it can have marked the rig UNSAFE before it ended
            continue
        token = last.token + 1
        folder.supersede(number, token)
        if keeps is None and last.state != State.FREE:
            said = last.keeps or None
        opened = folder.claim(number + 1, _record(token, _state_after(last.state), ttl_ns, who, _reason(last), said))
        if opened is not None:
            return Claimed(opened, seen)


def _demand_takeable(folder: Folder, last: Record, seen: LeaseStatus, *, unsafe_too: bool) -> None:
    if last.state == State.FREE:
        return
    if last.holder.boot != boot_id() and last.host != platform.node():
        raise LeaseError(
            f"{seen}; {folder.path} was written on another machine. A lease holds on one machine; between machines use "
            f"labgrid. If {last.host} is this machine under an old name, make the rig safe and remove its files there"
        )
    if last.state == State.UNSAFE and not unsafe_too:
        raise LeaseError(f"{seen}; make it safe and confirm it: hil safe {folder.rig_name}")
    if seen.alive and not seen.expired:
        raise LeaseError(f"{seen}; wait until it is released, or ask its holder")


def _demand_kept(seen: LeaseStatus, keeps: Sequence[str] | None) -> None:
    """See that this holder can make safe all that the last one left."""
    if seen.state == State.FREE or seen.harmless or keeps is None:
        return
    found = {_address(part) for part in keeps}
    left = [part for part in seen.keeps if _address(part) not in found]
    if left or not found:
        what = f" of {', '.join(left)}, which this rig file does not keep" if left else ""
        raise LeaseError(
            f"{seen}; it was left by a keeper{what}: run `hil safe` with the rig file that has the hazards"
        )


def _address(part: str) -> str:
    """Where a kept part is; its name may be another in another rig file."""
    return part.partition(KEPT_AT)[2]


def _said(folder: Folder, keeps: Sequence[str] | None) -> str | None:
    said = None if keeps is None else "\n".join(keeps)
    if said is not None and len(said.encode()) >= KEEPS_BYTES:
        raise LeaseError(
            f"rig {folder.rig_name}: the names and addresses of its {len(keeps or ())} hazardous parts take "
            f"{len(said.encode())} bytes, and a lease holds {KEEPS_BYTES - 1}; split the rig"
        )
    return said


def _kill(last: Record, seen: LeaseStatus) -> None:
    try:
        last.holder.kill()
    except LeaseError as error:
        raise LeaseError(f"{seen}; its time has run out, but {error}") from error


def _state_after(state: State) -> State:
    match state:
        case State.FREE:
            return State.HELD
        case State.UNSAFE:
            return State.UNSAFE  # until its safe state is confirmed, whatever becomes of this process
        case _:
            return State.SAFING


def _reason(last: Record) -> str:
    if last.state == State.FREE:
        return ""
    return last.why or f"{last.user}, {last.who!r}, left it {last.state.name}"


def _record(token: int, state: State, ttl_ns: int, who: str, why: str, keeps: str | None) -> Record:
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # a number without a name, in a container
        user = f"user {uid}"
    return Record(
        token, state, Holder.this(), uid, boot_ns(), ttl_ns, user, platform.node(), utc_now(), who, why,
        keeps=keeps or "", harmless=keeps == "",
    )  # fmt: skip


def _first_token() -> int:
    """The wall clock's milliseconds: greater than any token before, should the folder of records be lost."""
    return int(datetime.fromisoformat(utc_now()).timestamp() * 1000)
