"""A bench for the kill matrix: a supply as a program of its own, a pytest that somebody starts, who watches both."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hil.clock import Stopwatch, boot_ns
from hil.safety.lease import status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hil.safety.lease_record import State

VICTIMS = Path(__file__).with_name("kill_victims.py")
PATIENCE_S = 30.0
WATCHDOG_S = 1.0
SILENCE_S = 1.0
_RIG = """
[rig]
name = "kill"
pace = "wall"
max_lateness_ms = 10000.0

[safety]
silence_s = {silence_s}
lease_s = 3.0

[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
resource = "{resource}"
serial = "K1"
hazard = 1
limits = {{ voltage_max_v = 36.0 }}
safe = [
    {{ write = "OUTP OFF,(@1:4)", query = "OUTP? (@1:4)", expect = "0,0,0,0", within_ms = 300.0 }},
    {{ query = "MEAS:VOLT? (@1:4)", below_v = 1.0, within_ms = 500.0 }},
]
[instrument.psu.watchdog]
enable = "OUTP:PROT:WDOG:DEL 1;:OUTP:PROT:WDOG ON"
disable = "OUTP:PROT:WDOG OFF"
clear = "OUTP:PROT:CLE (@1:4)"
timeout_ms = 1000.0
"""


class Supply:
    """The supply's program; what crosses 1 V at its load is seen here, whatever its SCPI says.

    Args:
        within: command that runs a program where the supply is, for example in a network namespace.
    """

    def __init__(self, within: Sequence[str] = ()) -> None:
        twin = "hil.visa.keysight_n6700_twin:KeysightN6700Twin"
        command = [*within, sys.executable, "-m", "hil.sim.scpi_server", "--twin", twin, "--serial", "K1"]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._changed = threading.Condition()
        self._answers: list[str] = []
        self.sides: list[tuple[int, str]] = []
        """When the voltage at the load went above or below 1 V [ns since boot]."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = int(self._answer().removeprefix("listening "))
        self.resource = f"TCPIP0::127.0.0.1::{self.port}::SOCKET"
        self.tell("watch out1 1.0")

    def tell(self, line: str) -> str:
        """Give a control line and have its answer."""
        assert self.child.stdin is not None
        self.child.stdin.write(line + "\n")
        return self._answer()

    @property
    def is_on(self) -> bool:
        """Whether there is more than 1 V at the load."""
        return float(self.tell("volts out1").split()[2]) > 1.0

    def await_side(self, side: str, *, since_ns: int = 0, within_s: float = PATIENCE_S) -> int:
        """Wait for the load to be above or below 1 V; since when [ns since boot]."""
        with self._changed:
            self._changed.wait_for(lambda: self.sides[-1][1] == side and self.sides[-1][0] >= since_ns, within_s)
            assert self.sides[-1][1] == side, f"the load is {self.sides[-1][1]} 1 V after {within_s:g} s"
            return self.sides[-1][0]

    def close(self) -> None:
        """End it."""
        self.child.kill()
        self.child.wait()
        self._reader.join(PATIENCE_S)
        for end in (self.child.stdin, self.child.stdout):
            assert end is not None
            end.close()

    def _answer(self) -> str:
        with self._changed:
            assert self._changed.wait_for(lambda: self._answers, PATIENCE_S), "the supply's program says nothing"
            return self._answers.pop(0)

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            now_ns = boot_ns()
            with self._changed:
                words = line.split()
                if words[0] == "watch" and words[2] in ("above", "below"):
                    self.sides.append((now_ns, words[2]))
                else:
                    self._answers.append(line.strip())
                self._changed.notify_all()


@dataclass
class Bench:
    """One run on one supply, and all that is asked of it afterwards.

    Args:
        folder: everything is in here.
        supply: the supply.
        resource: VISA resource at which the run reaches it.
        within: command that runs a program where the run is.
    """

    folder: Path
    supply: Supply
    resource: str = ""
    within: Sequence[str] = ()
    run_folder: Path = field(init=False)
    child: subprocess.Popen[bytes] = field(init=False)
    pid: int = field(init=False, default=0)
    """The process that runs the test."""
    killed_ns: int = field(init=False, default=0)
    """When the end came [ns since boot]."""

    def __post_init__(self) -> None:
        self.run_folder = self.folder / "run"
        self.rig = self.folder / "bench.toml"
        self.allow_silence(SILENCE_S)
        (self.folder / "pytest.ini").write_text("[pytest]\n")
        self._victims = self.folder / VICTIMS.name
        self._victims.write_bytes(VICTIMS.read_bytes())
        self._mark = uuid.uuid4().hex
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.folder / "news"))
        self._listener.listen()
        self._listener.settimeout(PATIENCE_S)
        self._news: socket.socket | None = None
        self._text = ""
        self._environment = os.environ | {
            "HIL_LEASE_FOLDER": str(self.folder / "lease"),
            "HIL_KILL_NEWS": str(self.folder / "news"),
            "HIL_KILL_FILL": str(self.run_folder / "fill"),
            "HIL_KILL_MARK": self._mark,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }

    # -- the run ------------------------------------------------------------------------------------------

    def allow_silence(self, silence_s: float) -> None:
        """How long the test may stand still [s]."""
        resource = self.resource or self.supply.resource
        self.rig.write_text(_RIG.format(resource=resource, silence_s=silence_s))

    def ends_now(self) -> None:
        """What ends the run happens now."""
        self.killed_ns = boot_ns()

    def start(self, test: str, *, command: Sequence[str] | None = None, options: Sequence[str] = ()) -> None:
        """Start a run of one test, as a user does, and wait until the supply is on; ``dying`` follows."""
        nodeid = f"{self._victims}::{test}"
        if command is None:
            command = [sys.executable, "-m", "pytest", nodeid, f"--rig={self.rig}", f"--run-folder={self.run_folder}"]
        else:
            command = [*command, nodeid, "--rig", str(self.rig), "--run-folder", str(self.run_folder), "--"]
        self._begin([*command, "-p", "hil.pytest_plugin", "-p", "no:cacheprovider", "-p", "no:faulthandler", *options])
        self._news, _ = self._listener.accept()
        self._news.settimeout(PATIENCE_S)
        self.pid = int(self._told("energised"))
        self.supply.await_side("above")

    def start_through(self, program: str, test: str) -> None:
        """Start a run by a small program that is given the test, the rig file and the run folder."""
        arguments = [f"{self._victims}::{test}", str(self.rig), str(self.run_folder)]
        self._begin([sys.executable, "-c", program, *arguments])
        self._news, _ = self._listener.accept()
        self._news.settimeout(PATIENCE_S)
        self.pid = int(self._told("energised"))
        self.supply.await_side("above")

    def _begin(self, command: Sequence[str]) -> None:
        with (self.folder / "output").open("wb") as output:
            self.child = subprocess.Popen(
                [*self.within, *command],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def go(self) -> None:
        """Let the test go on; it says when its end comes."""
        assert self._news is not None
        self._news.sendall(b"go\n")

    def go_to_its_end(self) -> None:
        """Let the test go on to its own end."""
        self.go()
        self.killed_ns = int(self._told("dying"))

    def kill(self, pid: int, number: signal.Signals) -> None:
        """Send a signal and note when."""
        self.killed_ns = boot_ns()
        os.kill(pid, number)

    def await_exit(self) -> int:
        """The run's exit code; negative is the signal that ended it."""
        return self.child.wait(PATIENCE_S)

    def _told(self, what: str) -> str:
        assert self._news is not None
        while "\n" not in self._text:
            found = self._news.recv(4096)
            assert found, f"the test ended before it was {what}: {self.output}"
            self._text += found.decode()
        line, _, self._text = self._text.partition("\n")
        word, _, rest = line.partition(" ")
        assert word == what
        return rest

    # -- what is asked afterwards -------------------------------------------------------------------------

    @property
    def output(self) -> str:
        """What the run printed."""
        return (self.folder / "output").read_text(errors="replace")

    @property
    def record(self) -> list[dict[str, object]]:
        """The keeper's record."""
        lines = (self.run_folder / "keeper.jsonl").read_bytes().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    @property
    def keeper(self) -> int:
        """The keeper's process."""
        pid = self.record[0]["pid"]
        assert isinstance(pid, int)
        return pid

    @property
    def lease(self) -> State:
        """What the rig's lease says."""
        return status("kill", self.folder / "lease").state

    def await_keeper(self) -> None:
        """Wait for the end of the keeper's process."""
        self.await_gone([self.keeper])

    def make_safe_by_hand(self) -> int:
        """``hil safe``, and its exit code."""
        command = [*self.within, sys.executable, "-m", "hil.cli", "safe", str(self.rig)]
        return subprocess.run(command, env=self._environment, check=False, capture_output=True).returncode

    def rig_status(self) -> tuple[int, str]:
        """``hil rig status``: exit code and text."""
        command = [sys.executable, "-m", "hil.cli", "rig", "status", str(self.rig)]
        done = subprocess.run(command, env=self._environment, check=False, capture_output=True, text=True)
        return done.returncode, done.stdout

    def left_over(self) -> list[int]:
        """The processes of the run that still run."""
        mark, found = f"HIL_KILL_MARK={self._mark}".encode(), list[int]()
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):
                    if mark in (entry / "environ").read_bytes() and "\nState:\tZ" not in (entry / "status").read_text():
                        found.append(int(entry.name))
        return found

    def await_gone(self, pids: Sequence[int], within_s: float = PATIENCE_S) -> None:
        """Wait for the end of processes."""
        for pid in pids:
            try:
                pidfd = os.pidfd_open(pid)
            except OSError:
                continue
            with os.fdopen(pidfd) as file:
                assert wait_readable(file.fileno(), within_s), f"process {pid} still runs"

    def close(self) -> None:
        """End what is left."""
        for pid in self.left_over():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._listener.close()
        if self._news is not None:
            self._news.close()

    def times_ms(self) -> dict[str, float]:
        """How long each part of making safe took, after the end came [ms]; what did not happen is left out."""
        found: dict[str, float] = {}
        record = self.record
        begins = [index for index, line in enumerate(record) if line["what"] == "making safe"]
        after = [index for index in begins if _number(record[index], "boot_ns") >= self.killed_ns]
        if not after:
            return found
        detected_ns = _number(record[after[0]], "boot_ns")
        steps = [line for line in record[after[0] :] if line["what"] == "step"][:2]
        found["end to detected"] = (detected_ns - self.killed_ns) / 1e6
        if len(steps) < 2:
            return found
        sent, read = (_number(step, "detected_to_sent_ns") for step in steps)
        found["detected to sent"] = sent / 1e6
        found["end to sent"] = (detected_ns + sent - self.killed_ns) / 1e6
        if steps[0].get("acknowledged_ns") is not None:
            acknowledged = sent + _number(steps[0], "acknowledged_ns")
            found["sent to acknowledged"] = (acknowledged - sent) / 1e6
            if steps[1].get("discharged_ns") is not None:
                found["acknowledged to discharged"] = (read + _number(steps[1], "discharged_ns") - acknowledged) / 1e6
        return found


def wait_readable(descriptor: int, within_s: float) -> bool:
    """Wait for a file descriptor."""
    import select

    return bool(select.select([descriptor], [], [], within_s)[0])


def await_true(ready: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
    """Look every 20 ms whether something of another process has come."""
    watch, never = Stopwatch(), threading.Event()
    while not ready():
        if watch.elapsed_s > within_s:
            return False
        never.wait(0.02)
    return True


def _number(line: dict[str, object], key: str) -> int:
    found = line.get(key)
    assert isinstance(found, int), f"{line} has no {key}"
    return found
