"""A rig as a place of labgrid: between machines, labgrid's coordinator says who has it.

The place keeps other machines out, and is acquired first; on its machine the rig is then held by its
:class:`~hil.safety.lease.Lease`. A place has no time to live: a machine that crashed keeps its place until the rig was
made safe there. The adapter runs ``labgrid-client``, whose abbreviated place names and forgiving release it does not
pass on.
"""

from __future__ import annotations

import os
import platform
import pwd
import re
import shutil
import subprocess

from hil.errors import ToolMissingError
from hil.safety.errors import LeaseError

FOLDER = "HIL_LABGRID"
"""The variable that names the folder of labgrid's programs, where they are not on the path."""
_PATIENCE_S = 30.0  # for one command of labgrid-client, which answers in about 1 s
_NAME = re.compile(r"^Place '(.*)':$", re.MULTILINE)
_OWNER = re.compile(r"^ *acquired: (.*)$", re.MULTILINE)


class LabgridPlace:
    """One place at a coordinator.

    Args:
        place: its whole name; the rig's.
        coordinator: ``HOST:PORT`` of the coordinator.
        host: name of this machine, as labgrid shows it.
        client: the program.

    Raises:
        ToolMissingError: when there is no ``labgrid-client``.
    """

    def __init__(self, place: str, coordinator: str, *, host: str = "", client: str = "labgrid-client") -> None:
        found = shutil.which(client, path=os.pathsep.join([os.environ.get(FOLDER, ""), os.environ.get("PATH", "")]))
        if found is None:
            raise ToolMissingError(
                f"there is no {client}, and place {place} is at {coordinator}; pip install labgrid, in an environment "
                f"of its own where versions clash, and name its folder of programs in {FOLDER}"
            )
        self.place, self.coordinator = place, coordinator
        self._client = found
        self._host = host or platform.node()
        self._user = pwd.getpwuid(os.getuid()).pw_name
        self._keep = False
        self._fresh = False

    def __str__(self) -> str:
        return f"place {self.place} at {self.coordinator}"

    @property
    def me(self) -> str:
        """This machine and user, as labgrid writes them."""
        return f"{self._host}/{self._user}"

    def owner(self) -> str | None:
        """Who has the place, as ``HOST/USER``; None when nobody has.

        Raises:
            LeaseError: when the coordinator does not answer, or has no place of exactly this name.
        """
        said = self._run("show")
        name, owner = _NAME.search(said), _OWNER.search(said)
        if name is None or name[1] != self.place:
            other = f", only {name[1]}" if name else ""
            raise LeaseError(
                f"labgrid at {self.coordinator} has no place {self.place}{other}; make it: "
                f"labgrid-client -p {self.place} create"
            )
        if owner is None:
            raise LeaseError(f"labgrid-client did not say who has {self.place}, but: {said!r}; is its version known?")
        return None if owner[1] == "None" else owner[1]

    def acquire(self, *, left_behind: bool) -> None:
        """Have the place for this machine.

        Args:
            left_behind: whether a holder of this machine died (the lease is a take-over), so that the place is that
                one's and is given back at the end. Otherwise a place that this user has already was reserved by hand,
                and stays reserved.

        Raises:
            LeaseError: when another machine or user has it, or it cannot be had.
        """
        owner = self.owner()
        if owner is None:
            self._run("acquire")
            self._fresh = True
            owner = self.owner()
        else:
            self._keep = owner == self.me and not left_behind
        if owner != self.me:
            raise LeaseError(
                f"place {self.place} at {self.coordinator} is acquired by {owner}, not by {self.me}; ask them to "
                "release it"
            )

    def give_back(self) -> None:
        """Leave the place as it was found: nothing was done with the rig.

        Raises:
            LeaseError: when it is not this machine's any more, or the coordinator does not answer.
        """
        if self._fresh:
            self.release()

    def demand_mine(self) -> None:
        """See that nobody kicked this machine out; takes about a second.

        Raises:
            LeaseError: when somebody did, or the coordinator does not answer.
        """
        owner = self.owner()
        if owner != self.me:
            raise LeaseError(self.taken_by(owner))

    def taken_by(self, owner: str | None) -> str:
        """That it is not this machine's any more, in words.

        Args:
            owner: who has it instead; None for nobody.
        """
        return f"{self} was taken from {self.me}; {owner or 'nobody'} has it"

    def release(self) -> None:
        """Give the place back, after the rig was confirmed safe; never that of somebody else.

        Raises:
            LeaseError: when it is not this machine's any more, or the coordinator does not answer.
        """
        self.demand_mine()
        if self._keep:
            return
        self._run("release-from", self.me)
        if self.owner() == self.me:
            raise LeaseError(f"place {self.place} at {self.coordinator} was not released; release it by hand")

    def command(self, *words: str) -> list[str]:
        """The command line of ``labgrid-client`` for this place."""
        return [self._client, "-x", self.coordinator, "-p", self.place, *words]

    @property
    def environment(self) -> dict[str, str]:
        """What it runs in: this machine and user under the names that labgrid shows."""
        return os.environ | {"LG_HOSTNAME": self._host, "LG_USERNAME": self._user}

    def _run(self, *words: str) -> str:
        try:
            done = subprocess.run(
                self.command(*words),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                text=True,
                timeout=_PATIENCE_S,
            )
        except subprocess.TimeoutExpired as error:
            raise LeaseError(
                f"labgrid at {self.coordinator} did not answer {words[0]!r} within {_PATIENCE_S:g} s; is it running?"
            ) from error
        except OSError as error:
            raise ToolMissingError(f"labgrid-client cannot be run: {error}; was labgrid removed, or moved?") from error
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
            raise LeaseError(f"labgrid at {self.coordinator}: {words[0]} {self.place} was refused: {said}")
        return done.stdout
