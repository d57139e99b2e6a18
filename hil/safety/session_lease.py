"""The lease of a rig without a keeper: nothing of the rig is hazardous, and it has one holder all the same."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from hil.errors import HilError
from hil.safety.tenancy import Tenancy

if TYPE_CHECKING:
    from hil.safety.plan import LabPlan

_RENEWALS = 5  # within the time to live


class SessionLease:
    """Holds a rig while this process lives; a thread renews it.

    Args:
        rig_name: name of the rig.
        ttl_s: how long the lease lasts without a renewal [s].
        who: what it is for, shown to those who are refused.
        lab: its place at a coordinator of labgrid; None where it has none.

    Raises:
        LeaseError: when somebody else has the rig, or a keeper left it without a confirmed safe state.
        ToolMissingError: when it has a place and there is no labgrid.
    """

    def __init__(self, rig_name: str, *, ttl_s: float, who: str, lab: LabPlan | None = None) -> None:
        self._tenancy = Tenancy.acquire(rig_name, ttl_s=ttl_s, who=who, keeps=(), lab=lab)
        self._lease = self._tenancy.confirmed_safe()  # nothing of it can be unsafe
        self._period_s = ttl_s / _RENEWALS
        self._lost = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease of {rig_name}", daemon=True)
        self._thread.start()
        self._tenancy.watch(self._kicked)

    @property
    def token(self) -> int:
        """Its fencing token, by which another process of the run knows it."""
        return self._lease.token

    @property
    def lost(self) -> str:
        """Why it is not held any more; "" while it is."""
        return self._lost

    def release(self) -> str:
        """Give it back; why it was not held to the end, "" when it was."""
        self._over.set()
        self._thread.join()
        try:
            self._tenancy.release(safe=True)
        except HilError as problem:
            return str(problem)
        return self._lost

    def _kicked(self, owner: str, why: str) -> None:
        """Somebody took the place: tell the tests of this process, and by the lease those of others."""
        del owner
        self._lost = why
        with suppress(HilError):  # taken over on this machine too
            self._lease.disclose(why)

    def _renew(self) -> None:
        while not self._over.wait(self._period_s):
            try:
                self._lease.renew()
            except HilError as problem:
                self._lost = str(problem)
                return
