"""The right to a rig: its place at labgrid's coordinator, where it has one, and then its lease on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import HilError
from hil.safety.labgrid_place import LabgridPlace
from hil.safety.lease import Lease, Takeover, status
from hil.safety.lease_record import State
from hil.safety.place_watch import PlaceWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hil.safety.plan import LabPlan


class Tenancy:
    """A rig that this process may drive, or has to make safe first; :meth:`acquire` gives it.

    Args:
        lease: its lease.
        place: its place; None where it has none.
    """

    def __init__(self, lease: Lease | Takeover, place: LabgridPlace | None) -> None:
        self.lease = lease
        self.place = place
        self._watch: PlaceWatch | None = None

    @classmethod
    def acquire(
        cls,
        rig_name: str,
        *,
        ttl_s: float,
        who: str,
        keeps: Sequence[str],
        folder: Path | None = None,
        unsafe_too: bool = False,
        lab: LabPlan | None = None,
    ) -> Tenancy:
        """Get a rig, or the duty to make it safe first.

        Args:
            rig_name: its name.
            ttl_s: how long the lease lasts without a renewal [s].
            who: what it is for, shown to those who are refused.
            keeps: what this holder keeps that is hazardous, each ``NAME at ADDRESS``; all that a last holder left must
                be among it.
            folder: the folder of leases; None for the machine's.
            unsafe_too: take over an UNSAFE rig also, to confirm that it is safe.
            lab: its place at a coordinator of labgrid; None where it has none.

        Raises:
            LeaseError: when another machine, user or process has it, it is UNSAFE, or this holder does not keep all
                that the last one left.
            ToolMissingError: when it has a place and there is no labgrid.
        """
        place = None
        if lab is not None:
            last = status(rig_name, folder)
            place = LabgridPlace(lab.place, lab.coordinator)
            place.acquire(left_behind=last.state is not State.FREE and not last.alive)
        try:
            lease = Lease.acquire(rig_name, ttl_s=ttl_s, who=who, folder=folder, unsafe_too=unsafe_too, keeps=keeps)
            return cls(lease, place)
        except HilError:
            if place is not None:
                place.give_back()
            raise

    def confirmed_safe(self) -> Lease:
        """Hold the rig: what its last holder left was made safe, where there was anything.

        Raises:
            LeaseError: when somebody took over.
        """
        if isinstance(self.lease, Takeover):
            self.lease = self.lease.confirmed_safe()
        return self.lease

    def watch(self, lost: Callable[[str, str], None]) -> None:
        """Have it told when the place is taken away, until the rig is given back; nothing where it has none.

        Args:
            lost: told on another thread: the new owner, "" for nobody, and what happened, in words.
        """
        if self.place is not None:
            self._watch = PlaceWatch(self.place, lost)

    def refuse(self) -> None:
        """Leave the rig as it was found: nothing was done with it.

        Raises:
            LeaseError: when somebody took over, or the place cannot be given back.
        """
        self._end_watch()
        if isinstance(self.lease, Takeover):
            self.lease.decline()
        else:
            self.lease.release()
        if self.place is not None:
            self.place.give_back()

    def release(self, *, safe: bool) -> None:
        """Give the rig back; one that is not confirmed safe keeps its place, so that no other machine gets it.

        Args:
            safe: whether its safe state is confirmed.

        Raises:
            LeaseError: when somebody took over, or the place cannot be given back.
        """
        self._end_watch()
        self.lease.release(safe=safe)
        if safe and self.place is not None:
            self.place.release()

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.end()
