"""A lease that another process of the run holds, seen by one that runs tests: a worker of pytest-xdist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hil.errors import HilError
from hil.safety.lease import status

if TYPE_CHECKING:
    from pathlib import Path


class RunLease(Protocol):
    """The lease of a run without a keeper, as one of its tests asks for it."""

    @property
    def lost(self) -> str:
        """Why it is not held any more; "" while it is."""
        ...


class LeaseSeen:
    """Looks at the record of a lease, each time it is asked.

    Args:
        rig_name: name of the rig.
        token: the lease's fencing token.
        folder: the folder of leases; None for the machine's.
    """

    def __init__(self, rig_name: str, token: int, folder: Path | None = None) -> None:
        self._rig_name, self._token, self._folder = rig_name, token, folder

    @property
    def lost(self) -> str:
        """Why the run does not hold it any more, or why that cannot be told; "" while it does."""
        try:
            found = status(self._rig_name, self._folder)
        except HilError as problem:
            return str(problem)
        if found.token != self._token:
            return f"lease {self._token} of rig {self._rig_name} was taken over: {found.held_by}"
        return found.why
