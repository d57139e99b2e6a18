"""A run that is killed while it records loses nothing it has reported, and says INCOMPLETE.

``HIL_KILL_RECORDINGS=500`` kills so many.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from hil.cli import main
from hil.clock import Stopwatch
from hil.evidence.segments import segments_of
from hil.evidence.verify import verify
from hil.limits import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLS = int(os.environ.get("HIL_KILL_RECORDINGS", "25"))
PROGRAM = Path(__file__).with_name("kill_writers.py")
PATIENCE_S = 30.0


class Writers:
    """The program whose children record; ``killed`` starts one and kills it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._witness, end = os.pipe()
        self._child = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[end],
            env=os.environ | {"HIL_KILL_WITNESS": str(end), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            | {"PYTEST_PLUGINS": "hil.pytest_plugin"},
        )  # fmt: skip
        os.close(end)

    def killed(self, name: str, after_s: float, *, once_it_records: bool) -> int:
        """Kill a new run after a while; the number of the last event whose recording had returned, -1 without any."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(name + "\n")
        self._child.stdin.flush()
        pid = int(self._child.stdout.readline())
        pidfd = os.pidfd_open(pid)
        seen = b""
        if once_it_records:
            assert select.select([self._witness, pidfd], [], [], PATIENCE_S)[0] == [self._witness], "it never records"
        watch = Stopwatch()
        while (left_s := after_s - watch.elapsed_s) > 0.0:
            if select.select([self._witness], [], [], left_s)[0]:
                seen += os.read(self._witness, 1 << 16)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        assert select.select([pidfd], [], [], PATIENCE_S)[0]
        os.close(pidfd)
        os.set_blocking(self._witness, False)
        with suppress(BlockingIOError):
            while True:
                seen += os.read(self._witness, 1 << 16)
        os.set_blocking(self._witness, True)
        return int(seen.splitlines()[-1]) if seen else -1

    def close(self) -> None:
        """End the program."""
        self._child.communicate(timeout=PATIENCE_S)
        os.close(self._witness)


@pytest.fixture(scope="module")
def writers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writers]:
    opened = Writers(tmp_path_factory.mktemp("writers"))
    yield opened
    opened.close()


def recorded_in(folder: Path) -> list[int]:
    """The numbers of the events that stand in a run folder, in their order."""
    found: list[int] = []
    for segment in segments_of(folder):
        for _, line in segment.lines():
            match = re.search(rb'"text":"(\d+) |"name":"number".*?"value":(\d+)', line)
            if match:
                found.append(int(match[1] or match[2]))
    return found


def test_no_reported_event_is_lost_however_a_run_is_killed(writers: Writers) -> None:
    rng = np.random.default_rng(20)
    reported = 0
    for kill in range(KILLS):
        early = kill % 5 == 4
        after_s = float(rng.uniform(0.0, 0.3 if early else 0.05))
        last = writers.killed(f"run_{kill}", after_s, once_it_records=not early)
        run = writers.folder / f"run_{kill}"
        if early and not (run / "parts").is_dir():
            assert last == -1
            continue
        found = recorded_in(run)
        assert found[: last + 1] == list(range(last + 1)), f"kill {kill}: reported up to {last}, found {found[-3:]}"
        assert len(found) <= last + 2, "more than the one event that was being reported"
        findings = verify(run)
        assert findings, f"kill {kill}: intact"
        assert all(finding.incomplete for finding in findings), findings
        reported += last + 1
    print(f"{KILLS} kills, {reported} reported events, none lost")
    assert reported > KILLS


def test_verify_of_a_killed_run_says_incomplete(writers: Writers) -> None:
    writers.killed("run_told", 0.02, once_it_records=True)
    done = CliRunner().invoke(main, ["verify", str(writers.folder / "run_told")])
    assert done.exit_code == Outcome.INCOMPLETE.exit_code
    assert "INCOMPLETE" in done.output
