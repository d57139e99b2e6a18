"""Watches a place of labgrid while its rig is used: somebody may release it by force, and acquire it.

One ``labgrid-client monitor`` tells of every change at the coordinator, and costs nothing in between. It does not say
when it has connected, nor what changed before; so whoever has the place is asked besides: soon, and ever more seldom.
The monitor ends with this process, however that ends.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Literal

from hil.errors import ToolMissingError
from hil.safety.errors import LeaseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.safety.labgrid_place import LabgridPlace

_CONNECTED_S = 5.0  # how long the monitor usually takes until it tells of changes; it does not say when it does
_ASKED_S = 60.0  # how long a change may stay unknown that came before a monitor which took longer
_AGAIN_S = 10.0  # until a coordinator that is gone is asked again
_WITH_US = '"$@" & exec >&-; read _; kill $!'  # the pipe at its standard input ends with this process


class PlaceWatch:
    """Tells once that a place is not this machine's any more, or that this machine cannot look.

    A coordinator that does not answer has taken nothing.

    Args:
        place: the place.
        lost: told, on a thread of the watch: the owner, "" for nobody or where that is not known, and what happened, in
            words.
        asked_s: when whoever has the place is asked first without news [s]; each time after, after twice the time, up
            to a minute.
    """

    def __init__(self, place: LabgridPlace, lost: Callable[[str, str], None], *, asked_s: float = _CONNECTED_S) -> None:
        self._place = place
        self._lost = lost
        self._asked_s = asked_s
        self._stopped, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"watch of place {place.place}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Watch no longer; a second call does nothing."""
        if self._stop >= 0:
            os.close(self._stop)
            self._stop = -1
            self._thread.join()
            os.close(self._stopped)

    def _run(self) -> None:
        try:
            self._watch_on()
        except (ToolMissingError, OSError) as problem:
            self._lost("", f"{self._place} cannot be watched: {problem}")

    def _watch_on(self) -> None:
        """Watch until the end, with one monitor after the other."""
        while True:
            with subprocess.Popen(
                ["/bin/sh", "-c", _WITH_US, "sh", *self._place.command("monitor")],
                env=self._place.environment | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as monitor:
                assert monitor.stdout is not None
                over = self._watch(monitor.stdout)
            if over or self._next(None, _AGAIN_S) == "end":
                return

    def _watch(self, monitor: IO[bytes]) -> bool:
        """Ask for the owner whenever something has changed, and now and then; whether the watch is over."""
        patience_s = self._asked_s
        while True:
            came = self._next(monitor, patience_s)
            told = os.read(monitor.fileno(), 1 << 16) if came == "news" else b""  # before it is asked: news wait then
            if came == "end" or self._was_taken():
                return True
            if came == "news" and not told:
                return False
            if came == "nothing":
                patience_s = min(2.0 * patience_s, _ASKED_S)

    def _next(self, monitor: IO[bytes] | None, patience_s: float | None) -> Literal["end", "news", "nothing"]:
        """What comes first: the end of the watch, or news (or the end) of the monitor."""
        sources = [self._stopped] if monitor is None else [self._stopped, monitor.fileno()]
        ready, _, _ = select.select(sources, [], [], patience_s)
        return "end" if self._stopped in ready else "news" if ready else "nothing"

    def _was_taken(self) -> bool:
        """Whether it was; then that was told."""
        with suppress(LeaseError):  # the coordinator does not answer
            owner = self._place.owner()
            if owner != self._place.me:
                self._lost(owner or "", self._place.taken_by(owner))
                return True
        return False
