"""One qualification run: pytest as a child process, so that it ends in a verdict however the child dies.

Where the rig has a keeper, the run is over when that has ended: it says whether the rig is safe, and a child that hangs
although the rig was made safe is ended.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.campaign.keeping import unsafe_in
from hil.campaign.session import default_folder
from hil.campaign.watching import KeeperSeen, end_all
from hil.clock import Stopwatch
from hil.evidence.folder import MANIFEST
from hil.limits import Outcome
from hil.rig.keeping import has_keeper, keeper_plan
from hil.rig.loader import load_rig
from hil.safety.launch import leaving_s

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hil.rig.model import RigFile
    from hil.safety.plan import KeeperPlan

_LOOK_S = 0.2  # how often the keeper's record is looked at
_GRACE_S = 10.0  # how long pytest may take to end once the keeper has, and the keeper once pytest has
_KILL_S = 3.0  # and after SIGTERM
_OWN_CODES = (2, 3, 4, Outcome.UNSAFE.exit_code)  # pytest's (interrupted, internal error, usage), and what stands above


@dataclass(frozen=True)
class Qualified:
    """What came of a run: its exit code, its folder, and what pytest itself could not say any more."""

    code: int
    folder: Path
    trouble: str = ""


def qualify(
    tests: Sequence[str],
    rig: str,
    *,
    root: Path,
    sets: Sequence[str] = (),
    folder: Path | None = None,
    grace_s: float = _GRACE_S,
) -> Qualified:
    """Run tests on a rig in a child process.

    Args:
        tests: files, folders or ids of tests, and further arguments for pytest.
        rig: the rig file.
        root: folder in which ``runs/`` is made.
        sets: ``KEY=VALUE`` changes to the rig file.
        folder: the run folder; ``runs/<utc>-<rig>`` below the root unless given.
        grace_s: how long pytest may take to end once the keeper has ended, and the keeper beyond its own times [s].

    Raises:
        ConfigError: when the rig file is wrong; then nothing was run.
    """
    file = load_rig(rig, sets)
    folder = default_folder(root, file) if folder is None else folder
    command = pytest_command(tests, rig, folder, sets)
    if not has_keeper(file):
        return _judged(subprocess.run(command, check=False).returncode, folder, "")
    return _kept(command, file, folder, grace_s)


def _kept(command: Sequence[str], file: RigFile, folder: Path, grace_s: float) -> Qualified:
    """Run tests on a rig that has a keeper, and await both."""
    child = subprocess.Popen(command)
    try:
        hung = _await_child(child, folder, grace_s)
    except BaseException:
        end_all(child.pid, by=signal.SIGTERM)
        raise
    keeper = KeeperSeen.of(folder)
    if keeper is None:
        unreadable = unsafe_in(folder)
        if unreadable:
            print(unreadable, file=sys.stderr)
            return Qualified(Outcome.UNSAFE.exit_code, folder, unreadable)
        return _judged(child.returncode, folder, "")
    within_s = patience_s(keeper_plan(file, who=""), grace_s)
    if not _await_end(keeper.pid, within_s):
        print(f"the keeper (process {keeper.pid}) has not ended within {within_s:g} s", file=sys.stderr)
    unsafe = keeper.unsafe(folder)
    if unsafe:
        print(unsafe, file=sys.stderr)
        return Qualified(Outcome.UNSAFE.exit_code, folder, unsafe)
    return _judged(child.returncode, folder, hung)


def patience_s(plan: KeeperPlan, grace_s: float) -> float:
    """How long a keeper may take to end once its run is over [s].

    It may notice that only by the silence, and be in the middle of a sequence, which the last one follows.

    Args:
        plan: what it keeps.
        grace_s: beyond its own times [s].
    """
    return plan.silence_s + 2 * plan.longest_safe_s + leaving_s(plan) + grace_s


def _judged(code: int, folder: Path, hung: str) -> Qualified:
    """The run's exit code; one that pytest did not come to is INCOMPLETE, whatever its process returned."""
    if code in _OWN_CODES or (code >= 0 and not hung and (folder / MANIFEST).is_file()):
        return Qualified(code, folder)
    how = hung or (f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}")
    trouble = f"INCOMPLETE: pytest {how} before the run was closed; what was recorded stands in {folder}"
    print(trouble, file=sys.stderr)
    return Qualified(Outcome.INCOMPLETE.exit_code, folder, trouble)


def _await_child(child: subprocess.Popen[bytes], folder: Path, grace_s: float) -> str:
    """Wait for pytest; what had to be done to end it, "" when it ended by itself."""
    over: Stopwatch | None = None
    hung = ""
    while True:
        try:
            child.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            pass
        except KeyboardInterrupt:  # pytest got it too, closes the run and ends; a second one does not end this wait
            continue
        else:
            return hung
        if over is None:
            seen = KeeperSeen.of(folder)
            over = Stopwatch() if seen is not None and (seen.ended or not _runs(seen.pid)) else None
        elif over.elapsed_s > grace_s + _KILL_S:
            end_all(child.pid, by=signal.SIGKILL)
        elif over.elapsed_s > grace_s and not hung:
            hung = f"did not end within {grace_s:g} s after its keeper, and was killed"
            end_all(child.pid, by=signal.SIGTERM)


def _runs(pid: int) -> bool:
    return not _await_end(pid, 0.0)


def _await_end(pid: int, patience_s: float) -> bool:
    """Wait until a process has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        with suppress(KeyboardInterrupt):
            return bool(select.select([pidfd], [], [], patience_s)[0])
        return False
    finally:
        os.close(pidfd)


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
