"""However the process that owns a simulator ends, the simulator is gone with it, and so is its folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rtl_bench import family, on_icarus, running

OWNER = """
import sys
from pathlib import Path

sys.path.insert(0, {harness!r})
from rtl_bench import bench

folder, simulator, state = sys.argv[1:]
with bench(Path(folder), "faulty", simulator, more="silence_s = 100.0") as box:
    box.clock.sleep(100_000)
    if state == "loop":
        box.fpga.drive("mode_i", 5)
    print(box.simulator_pid(), flush=True)
    if state == "idle":
        sys.stdin.read()
    box.clock.sleep(3600 * 10**9)
"""


class Owner:
    """A process that owns a simulator, which is idle, in a long grant, or in a loop without time."""

    def __init__(self, folder: Path, simulator: str, state: str) -> None:
        self.scratch = folder / "t"
        self.scratch.mkdir()
        script = OWNER.format(harness=str(Path(__file__).parent))
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder), simulator, state],
            env=os.environ | {"TMPDIR": str(self.scratch)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read() if self.process.stderr else ""
        self.processes = family(os.getpgid(int(line)))

    def end(self, number: int) -> tuple[list[int], list[Path]]:
        """End it by a signal; what is still there of its simulator 2 s later, and of its folder."""
        self.process.send_signal(number)
        self.process.wait(20.0)
        return running(self.processes), list(self.scratch.iterdir())

    def close(self) -> None:
        """Whatever happened, leave nothing of it."""
        self.process.kill()
        self.process.communicate()
        for pid in running(self.processes, within_s=0.0):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def owner(tmp_path, simulator):
    owners = []

    def start(state):
        owners.append(Owner(tmp_path, simulator, state))
        return owners[-1]

    yield start
    for each in owners:
        each.close()


@pytest.mark.parametrize("state", ["idle", "busy", "loop"])
def test_a_simulator_is_gone_within_2_s_when_its_owner_is_killed(owner, state):
    started = owner(state)
    assert len(started.processes) == 2
    assert started.end(signal.SIGKILL) == ([], [])


@on_icarus
@pytest.mark.parametrize("state", ["idle", "busy"])
def test_a_simulator_is_gone_within_2_s_when_its_owner_is_terminated(owner, state):
    assert owner(state).end(signal.SIGTERM) == ([], [])


@on_icarus
def test_ctrl_c_ends_owner_and_simulator(owner):
    started = owner("busy")
    assert started.end(signal.SIGINT) == ([], [])
    assert started.process.returncode in (-signal.SIGINT, 130)


@on_icarus
def test_ctrl_c_at_the_terminal_does_not_reach_the_simulator_itself(owner):
    started = owner("idle")
    assert os.getpgid(started.processes[0]) != os.getpgid(started.process.pid)
    assert os.getsid(started.processes[0]) == started.processes[0]
