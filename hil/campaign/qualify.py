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
    code = subprocess.run(pytest_command(tests, rig, folder, sets), check=False).returncode
    return Qualified(Outcome.INCOMPLETE.exit_code if code < 0 else code, folder)


def pytest_command(tests: Sequence[str], rig: str, folder: Path, sets: Sequence[str]) -> list[str]:
    """The command that runs tests on a rig.

    Options and values are one word each: pytest looks for its ini file near every word that is an existing path.

    Args:
        tests: files, folders or ids of tests, and further arguments for pytest.
        rig: the rig file.
        folder: the run folder.
        sets: ``KEY=VALUE`` changes to the rig file.
    """
    options = [f"--rig={rig}", f"--run-folder={folder}", *(f"--set={change}" for change in sets)]
    return [sys.executable, "-m", "pytest", *tests, *options]
