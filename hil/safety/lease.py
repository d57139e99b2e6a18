"""The lease of a rig: one holder at a time on a machine, across processes and users.

A lease lasts for its time to live and is renewed while the holder makes progress. Every write to hardware is guarded
by :meth:`Lease.still_mine`. A holder that died leaves a rig nobody knows the state of: the next one gets a
:class:`Takeover`, and holds the rig only after it confirmed that it is safe. A holder that let its time run out is
killed for certain first. An UNSAFE rig stays so until somebody confirms that it is safe.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hil.clock import boot_ns
from hil.safety.errors import LeaseError
from hil.safety.lease_claim import claim
from hil.safety.lease_file import find_folder
from hil.safety.lease_record import State, Word
from hil.safety.lease_status import LeaseStatus
from hil.units import s

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

    from hil.safety.lease_claim import Claimed
    from hil.safety.lease_file import Folder

_TTL_MAX_S = 3600.0


class _Holding:
    """A record this process wrote; what a lease and a take-over have in common.

    Args:
        folder: where the rig's records are.
        claimed: the record, and the lease before it.
    """

    def __init__(self, folder: Folder, claimed: Claimed) -> None:
        self._folder, self._claimed = folder, claimed
        self._opened = claimed.opened
        self._words = claimed.opened.words
        self._pid = os.getpid()
        self._ttl_ns = self._words[Word.TTL]
        self._until_ns = self._words[Word.RENEWED] + self._ttl_ns
        self._open = True
        self.token = self._words[Word.TOKEN]
        self.previous = claimed.previous

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what was not released: the next holder has to make the rig safe."""
        if self._open and os.getpid() == self._pid:
            if self._words[Word.SUPERSEDED]:
                self._close()
            else:
                self.release(safe=False)

    @property
    def rig_name(self) -> str:
        """Name of the rig."""
        return self._folder.rig_name

    @property
    def state(self) -> State:
        """What the record says of the rig."""
        self._demand_open()
        return State(self._words[Word.STATE])

    @property
    def remaining_s(self) -> float:
        """How long the lease lasts without a renewal [s]; 0 or less when its time has run out."""
        return (self._until_ns - boot_ns()) / s

    def still_mine(self) -> bool:
        """Whether this process may write to the rig now; costs less than a microsecond.

        False once the time to live ran out, somebody took over, it was released, or in a forked child.
        """
        return (
            self._open and boot_ns() < self._until_ns and not self._words[Word.SUPERSEDED] and os.getpid() == self._pid
        )

    def renew(self) -> None:
        """Let the time to live begin again.

        Raises:
            LeaseError: when somebody took over; names the new holder.
        """
        self._demand_mine()
        now_ns = boot_ns()
        self._words[Word.RENEWED] = now_ns
        if self._words[Word.SUPERSEDED]:
            self._demand_mine()
        self._until_ns = now_ns + self._ttl_ns

    def disclose(self, why: str) -> None:
        """Say that this holder has the rig no longer to itself, to all who ask for its status; it stays the holder.

        Args:
            why: what happened.

        Raises:
            LeaseError: when somebody took over.
        """
        self._demand_mine()
        self._opened.explain(why)

    def mark_unsafe(self, why: str) -> None:
        """Say that the rig is UNSAFE; only a confirmed safe state takes that back, however this process ends.

        Args:
            why: what was not confirmed, for the person who comes to look.

        Raises:
            LeaseError: when somebody took over.
        """
        self._demand_mine()
        self._opened.explain(why)
        self._words[Word.STATE] = State.UNSAFE
        self._opened.to_disk()

    def release(self, *, safe: bool = True) -> None:
        """Give the rig back.

        Args:
            safe: whether its safe state is confirmed. If it is not, the next holder has to make it safe; an UNSAFE rig
                stays so.

        Raises:
            LeaseError: when somebody took over, or it was released before.
        """
        self._demand_mine()
        if safe:
            self._opened.explain("")
            self._words[Word.STATE] = State.FREE
        else:
            if self.state != State.UNSAFE:
                self._opened.explain("released without a confirmed safe state")
                self._words[Word.STATE] = State.SAFING
            self._words[Word.PID] = 0
        self._opened.to_disk()
        self._close()

    def _close(self) -> None:
        self._open = False
        self._opened.close()

    def _demand_open(self) -> None:
        if not self._open:
            raise LeaseError(f"lease {self.token} of rig {self.rig_name} was released; acquire the rig again")

    def _demand_mine(self) -> None:
        self._demand_open()
        if os.getpid() != self._pid:
            raise LeaseError(
                f"lease {self.token} of rig {self.rig_name} is held by process {self._pid}, not by its child "
                f"{os.getpid()}; acquire it in the process that drives the rig"
            )
        if self._words[Word.SUPERSEDED]:
            newest = self._folder.newest()
            holder = LeaseStatus.of(self._folder, *newest).held_by if newest else "somebody"
            raise LeaseError(f"lease {self.token} of rig {self.rig_name} was taken over: {holder}")


class Lease(_Holding):
    """The right to drive a rig; :meth:`acquire` gives it."""

    @classmethod
    def acquire(
        cls,
        rig_name: str,
        *,
        ttl_s: float,
        who: str,
        folder: Path | None = None,
        unsafe_too: bool = False,
        keeps: Sequence[str] | None = None,
    ) -> Lease | Takeover:
        """Get the lease of a rig, or the duty to make it safe first.

        Args:
            rig_name: name of the rig.
            ttl_s: how long the lease lasts without a renewal [s].
            who: what it is for, shown to those who are refused.
            folder: the folder of leases; None for the machine's.
            unsafe_too: take over an UNSAFE rig also, to confirm that it is safe.
            keeps: what this holder keeps that is hazardous, each ``NAME at ADDRESS``: all that a last holder left must
                be among it. None of it says that this holder leaves nothing unsafe; None says nothing.

        Returns:
            A lease, or a take-over when the last holder left the rig without a confirmed safe state.

        Raises:
            LeaseError: when somebody holds the rig, it is UNSAFE, this holder does not keep all that the last one left,
                or the folder cannot be used.
        """
        if not 0.0 < ttl_s <= _TTL_MAX_S:
            raise LeaseError(f"rig {rig_name}: a time to live of {ttl_s:g} s was asked for; give 0 to {_TTL_MAX_S:g} s")
        found = find_folder(rig_name, folder)
        claimed = claim(found, round(ttl_s * s), who, unsafe_too=unsafe_too, keeps=keeps)
        kind = cls if claimed.opened.words[Word.STATE] == State.HELD else Takeover
        return kind(found, claimed)


class Takeover(_Holding):
    """The duty to make a rig safe whose last holder did not; nothing else may be done with it."""

    def confirmed_safe(self) -> Lease:
        """Hold the rig: its safe state was read back.

        Raises:
            LeaseError: when somebody took over, or it was released before.
        """
        self._demand_mine()
        self._opened.explain("")
        self._words[Word.STATE] = State.HELD
        self.renew()
        self._open = False
        return Lease(self._folder, self._claimed)

    def decline(self) -> None:
        """Give the rig back as it was found: what was left of it is what the last holder left.

        Raises:
            LeaseError: when somebody took over, or it was released before.
        """
        self._demand_mine()
        left = self.previous
        assert left is not None  # there is no take-over of a rig that was never leased
        self._opened.hand_on(left.keeps, harmless=left.harmless)
        self._words[Word.PID] = 0
        self._opened.to_disk()
        self._close()


def status(rig_name: str, folder: Path | None = None) -> LeaseStatus:
    """Who holds a rig, and in which state it is; takes nothing.

    Args:
        rig_name: name of the rig.
        folder: the folder of leases; None for the machine's.

    Raises:
        LeaseError: when the folder cannot be used.
    """
    found = find_folder(rig_name, folder)
    newest = found.newest()
    return LeaseStatus.never(found) if newest is None else LeaseStatus.of(found, *newest)
