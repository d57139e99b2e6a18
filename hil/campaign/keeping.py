"""A run's keeper: started before anything is energised, told of every test, ended with a confirmed safe state."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hil.errors import EvidenceError, HilError
from hil.rig.keeping import keeper_plan, kept_resources
from hil.safety.address_guard import AddressGuard
from hil.safety.errors import KeeperError, UnsafeError
from hil.safety.launch import KeeperDoor, KeeperLink, exit_code_of, start_keeper
from hil.safety.record import RECORD, read_record
from hil.units import ms

if TYPE_CHECKING:
    from pathlib import Path

    from hil.clock import Clock
    from hil.rig.model import RigFile
    from hil.rig.world import Rig

_PROGRESS_NS = 200 * ms
_STATE_SAFE = "SAFE-CONFIRMED"


class Keeping:
    """This process's connection to the keeper of its run.

    Args:
        door: where the keeper is.
        folder: the run folder, in the process that started it.
        file: the rig file: the real addresses of what is kept are refused to this process.
    """

    def __init__(self, door: KeeperDoor, folder: Path | None, file: RigFile) -> None:
        self.keeper = door
        self._folder = folder
        self._link = KeeperLink(door)
        self._guard = AddressGuard(kept_resources(file), door.doors)
        self._guard.begin()
        self.kept_on: tuple[str, ...] = ()
        """What the keeper left on at the end."""

    @classmethod
    def start(cls, file: RigFile, folder: Path) -> Keeping:
        """Start the keeper of a rig and wait until the rig is confirmed safe.

        Raises:
            KeeperError: when it could not begin.
            UnsafeError: when the rig is not safe.
        """
        return cls(start_keeper(keeper_plan(file, who=f"run {folder.name}", record=folder / RECORD)), folder, file)

    @classmethod
    def join(cls, door: str, file: RigFile) -> Keeping:
        """Take part in a run of a rig whose keeper another process started.

        Raises:
            KeeperError: when it is gone.
        """
        return cls(KeeperDoor.load(door), None, file)

    @property
    def door(self) -> str:
        """Where the keeper is, as text for another process of the run."""
        return self.keeper.dump()

    def begin(self, test: str, deadline_s: float | None = None) -> None:
        """A test begins.

        Args:
            test: its name.
            deadline_s: what it may take [s]; what the rig file says unless given.

        Raises:
            KeeperError: when the keeper does not allow it.
        """
        self._link.take_overs()  # those of the test before are that one's
        self._link.begin(test, deadline_s)

    def watch(self, rig: Rig) -> None:
        """Tell the keeper of progress while the world of a test runs, and have the rig made safe when it is closed."""
        rig.keeper = self._link
        rig.clock.every(_PROGRESS_NS, lambda: self._progress(rig.clock), timed=False)
        rig.closing.callback(self._link.make_safe)

    def _progress(self, clock: Clock) -> None:
        """Tell of progress, unless the world runs only because an instrument has not answered yet."""
        if not clock.is_held_up:
            self._link.progress()

    def take_overs(self) -> list[tuple[str, str]]:
        """Who has taken the rig over from the test that runs, and what for."""
        return [(str(news["by"]), str(news["why"])) for news in self._link.take_overs()]

    def give_up(self) -> None:
        """A world could not be opened: have the rig made safe.

        Raises:
            HilError: when it is not confirmed safe.
        """
        self._link.make_safe()

    def interrupted(self) -> None:
        """Somebody has interrupted the run: have the rig made safe at once, before anything is described or closed."""
        with suppress(HilError):  # the end of the run says it
            self._link.make_safe(at_once=True)

    def end(self) -> str:
        """The run is over; which output could not be confirmed safe, "" when all are."""
        self._guard.end()
        if self._folder is None:
            with suppress(HilError):
                self._link.leave()
            return ""
        problem = ""
        try:
            with suppress(KeeperError):  # it has ended by itself, or stands still
                self.kept_on = tuple(self._link.end())
        except UnsafeError as unsafe:
            problem = str(unsafe)
        if exit_code_of(self.keeper, self.keeper.answer_s + self.keeper.leaving_s) == 0:
            return ""
        return unsafe_in(self._folder) or problem or "UNSAFE: the keeper did not end in order; run `hil safe`"


def unsafe_in(folder: Path) -> str:
    """What the record of a run's keeper says is not safe; "" when it ended with a confirmed safe state."""
    path = folder / RECORD
    if not path.exists():
        return ""
    try:
        lines = read_record(path)
    except EvidenceError as problem:
        return f"UNSAFE: the keeper's record cannot be read: {problem}"
    if lines and lines[-1]["what"] == "refused":
        return ""
    last = lines[-1] if lines else {}
    if last.get("what") == "ended" and last.get("state") == _STATE_SAFE:
        return ""
    if last.get("what") == "ended":
        return f"UNSAFE: {last.get('why')}"
    return "UNSAFE: the keeper did not confirm a safe state: it died, or stands still; run `hil safe` with the rig file"
