"""The folder of a keeper: its control socket, and where it is reached; in the machine's folder of temporary files.

A keeper that is killed leaves its folder; the next keeper of the same user removes it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.safety.errors import KeeperError
from hil.safety.holder import Holder
from hil.safety.launch import KeeperDoor

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "hil-keeper-"
_CONTROL = "control"
_DOOR = "door.json"


class KeeperFolder:
    """The folder of the calling process, which is a keeper; no other user may read it."""

    def __init__(self) -> None:
        remove_left()
        self._path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.control = self._path / _CONTROL
        """Where its control socket is made."""

    def announce(self, door: KeeperDoor) -> None:
        """Say where this keeper is reached, for an operator.

        Args:
            door: where.
        """
        unfinished = self._path / f".{_DOOR}"
        unfinished.write_text(json.dumps({"holder": asdict(Holder.this()), "door": asdict(door)}))
        unfinished.rename(self._path / _DOOR)

    def remove(self) -> None:
        """Remove it."""
        shutil.rmtree(self._path, ignore_errors=True)


def door_of(pid: int) -> KeeperDoor:
    """Where a keeper of this user is reached.

    Args:
        pid: its process.

    Raises:
        KeeperError: when it cannot be found from here.
    """
    for _, holder, door in _announced():
        if holder.pid == pid and holder.is_near() and holder.is_alive():
            return KeeperDoor(**door)
    raise KeeperError(
        f"keeper {pid} has no control socket in {tempfile.gettempdir()} that this user may use; ask as the user of the "
        "run, with the same TMPDIR"
    )


def remove_left() -> None:
    """Remove what killed keepers of this user left."""
    for folder, holder, _ in _announced():
        if not holder.is_alive():
            shutil.rmtree(folder, ignore_errors=True)


def _announced() -> Iterator[tuple[Path, Holder, dict[str, Any]]]:
    """The folders of this user's keepers: their process, and where it is reached."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_DOOR}"):
        with suppress(OSError, ValueError, TypeError, KeyError):
            if path.parent.stat().st_uid == os.getuid():
                said = json.loads(path.read_text())
                yield path.parent, Holder(**said["holder"]), said["door"]
