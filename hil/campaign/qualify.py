"""One qualification run: pytest as a child process, then the report, whatever the verdict."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.campaign.session import default_folder
from hil.errors import HilError
from hil.limits import Outcome
from hil.rig.loader import load_rig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Qualified:
    """What came of a run: its exit code, its folder, its report (None when it could not be written), and why."""

    code: int
    folder: Path
    report: Path | None
    trouble: str = ""


def qualify(
    tests: Sequence[str],
    rig: str,
    *,
    root: Path,
    sets: Sequence[str] = (),
    folder: Path | None = None,
    arguments: Sequence[str] = (),
) -> Qualified:
    """Run tests on a rig in a child process and write the report.

    Args:
        tests: files, folders or ids of tests.
        rig: the rig file.
        root: folder in which ``runs/`` is made.
        sets: ``KEY=VALUE`` changes to the rig file.
        folder: the run folder; ``runs/<utc>-<rig>`` below the root unless given.
        arguments: further arguments for pytest.

    Raises:
        ConfigError: when the rig file is wrong; then nothing was run.
    """
    file = load_rig(rig, sets)
    folder = default_folder(root, file) if folder is None else folder
    command = [sys.executable, "-m", "pytest", *tests, "--rig", rig, "--run-folder", str(folder)]
    for change in sets:
        command += ["--set", change]
    code = subprocess.run([*command, *arguments], check=False).returncode
    if code < 0:
        code = Outcome.INCOMPLETE.exit_code
    try:
        return Qualified(code, folder, _report(folder))
    except HilError as problem:
        return Qualified(code or Outcome.ERROR.exit_code, folder, None, str(problem))


def _report(folder: Path) -> Path:
    from hil.report.render import write_report

    return write_report(folder)
