"""One qualification run: pytest as a child process, so that it ends in a verdict however the child dies."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.campaign.session import default_folder
from hil.limits import Outcome
from hil.rig.loader import load_rig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Qualified:
    """What came of a run: its exit code and its folder."""

    code: int
    folder: Path


def qualify(
    tests: Sequence[str], rig: str, *, root: Path, sets: Sequence[str] = (), folder: Path | None = None
) -> Qualified:
    """Run tests on a rig in a child process.

    Args:
        tests: files, folders or ids of tests, and further arguments for pytest.
        rig: the rig file.
        root: folder in which ``runs/`` is made.
        sets: ``KEY=VALUE`` changes to the rig file.
        folder: the run folder; ``runs/<utc>-<rig>`` below the root unless given.

    Raises:
        ConfigError: when the rig file is wrong; then nothing was run.
    """
    file = load_rig(rig, sets)
    folder = default_folder(root, file) if folder is None else folder
    changes = [argument for change in sets for argument in ("--set", change)]
    command = [sys.executable, "-m", "pytest", *tests, "--rig", rig, "--run-folder", str(folder), *changes]
    code = subprocess.run(command, check=False).returncode
    return Qualified(Outcome.INCOMPLETE.exit_code if code < 0 else code, folder)
