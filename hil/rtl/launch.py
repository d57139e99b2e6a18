"""The simulator's OS process: started in a session of its own, watched from outside, and gone when it should be."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hil.awake import Awake
from hil.clock import Stopwatch
from hil.errors import DesignError, RtlError
from hil.rtl import protocol
from hil.rtl.ending import complaints, how_it_ended, told
from hil.rtl.peer_words import RTL_JOB
from hil.rtl.simulator_log import log_excerpt
from hil.rtl.wrapper import told_outputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.rtl.build import Built

GRACE_S = 1.0
"""How long a simulator may take to end after goodbye before it is killed [s of wall time]."""
START_TIMEOUT_S = 12.0
"""How long a simulator may take to connect and to greet [s of wall time]."""
WRITING_S = 30.0
"""How long one may write its coverage or waveform after goodbye before it is killed [s of wall time]."""
_PEER = "hil.rtl.peer.server"
_LOG_LINES = 25
_ADDRESS_MAX = 107  # characters of the path of a socket


@dataclass(frozen=True)
class Run:
    """What one simulator process runs.

    Args:
        built: the design.
        module: the cocotb test module.
        environment: variables on top of this process's.
        seed: seed of the simulator's randomness and cocotb's.
        filter: regular expression of the cocotb tests to run; all of them unless given.
        plusargs: arguments for the design and the simulator.
    """

    built: Built
    module: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    seed: int = 1
    filter: str | None = None
    plusargs: Sequence[str] = ()


class SimulatorProcess:
    """One simulator in its own session; a context manager that leaves nothing behind.

    Args:
        run: what to run.
        folder: an empty folder for its log and results; one of its own when not given.

    Raises:
        RtlError: when it cannot be started.
    """

    def __init__(self, run: Run, folder: Path | None = None) -> None:
        built = run.built
        self.folder = folder or Path(tempfile.mkdtemp(prefix="hil-rtl-"))
        self._own_folder = folder is None
        self.log = self.folder / "simulator.log"
        self.results = self.folder / "results.xml"
        self._read = 0
        self.results.unlink(missing_ok=True)
        job = {
            "simulator": built.simulator.name, "build_dir": str(built.folder / "model"), "top": built.hdl_top,
            "language": built.spec.language, "module": run.module, "test_dir": str(self.folder),
            "results": str(self.results), "test_args": _test_args(built),
            "plusargs": [*_power_up(built, run.seed), *_generics(built), *run.plusargs],
            "environment": dict(run.environment), "seed": run.seed, "waves": built.variant.waves, "filter": run.filter,
        }  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        environment["PYTHONUNBUFFERED"] = "1"
        with self.log.open("w") as out:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "hil.rtl.runner", "run", json.dumps(job)],
                    stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment,
                    cwd=self.folder, start_new_session=True,
                )  # fmt: skip
            except OSError as problem:
                raise RtlError(f"the simulator of {built.spec.name} could not be started: {problem}") from problem

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end; its exit code, or None when it still runs after ``timeout_s`` [s of wall time]."""
        if self._process.poll() is None:  # Popen.wait(timeout) polls with time.sleep, which a virtual test forbids
            ended = os.pidfd_open(self._process.pid)
            try:
                select.select([ended], [], [], timeout_s)
            finally:
                os.close(ended)
        return self._process.poll()

    def kill(self) -> None:
        """Kill it and everything it started, at once; what it started dies with it when it has ended by itself."""
        if self._process.returncode is None:  # else its number may be another's by now
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        """Kill it if it still runs, and remove its folder when it is its own."""
        self.kill()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def text(self) -> str:
        """Its log."""
        try:
            return self.log.read_text(errors="replace")
        except OSError as problem:
            return f"(no log: {problem})"

    def tail(self) -> str:
        """The end of its log, without what every log says."""
        return log_excerpt(self.text(), lines=_LOG_LINES)

    def complaints(self) -> list[str]:
        """Lines of the log in which the design itself complains, see :func:`hil.rtl.ending.complaints`."""
        return complaints(self.text())

    def news(self) -> str:
        """The lines of the log that are new since the last call; costs next to nothing when there are none."""
        try:
            if os.stat(self.log).st_size == self._read:  # noqa: PTH116  # asked after every exchange
                return ""
            with self.log.open("rb") as log:
                log.seek(self._read)
                new = log.read()
        except OSError:
            return ""
        new = new[: new.rfind(b"\n") + 1]
        self._read += len(new)
        return new.decode(errors="replace")


def _test_args(built: Built) -> list[str]:
    """GHDL runs from its library."""
    if built.simulator.name != "ghdl":
        return []
    return ["--std=08", f"--workdir={built.folder / 'model'}"]


def _generics(built: Built) -> list[str]:
    """GHDL sets the generics of its top when it runs, not when it is built."""
    return [f"-g{name}={value}" for name, value in built.parameters.items()] if built.simulator.name == "ghdl" else []


def _power_up(built: Built, seed: int) -> list[str]:
    """Verilator has two states: what has no reset comes up random, by the seed."""
    if built.simulator.name != "verilator":
        return []
    return ["+verilator+rand+reset+2", f"+verilator+seed+{seed % (2**31 - 1) + 1}"]


class PeerProcess:
    """A simulator with the peer in it, connected and greeted.

    Args:
        built: the design, built to be served.
        seed: its seed.
        coverage_file: where it writes its coverage at the end, if it was built with coverage.
        module: the cocotb test module.

    Raises:
        RtlError: when it does not greet in time; with the end of its log.
    """

    def __init__(self, built: Built, *, seed: int, coverage_file: Path | None = None, module: str = _PEER) -> None:
        spec, top = built.spec, built.top
        self.input_names = drivable(built)
        self.output_names = [port.name for port in told_outputs(spec, top)]
        bits = [port.name for port in top.outputs if port.name in spec.bit_ports]
        bindings = [
            {**bind.model_dump(), "seed": seed + 7919 * (index + 1)} for index, bind in enumerate(spec.bind.values())
        ]
        job: dict[str, object] = {
            "socket": "s", "period_ps": spec.clock.period_ps, "clock": spec.clock.port,
            "reset": spec.reset.model_dump(), "wrapped": spec.language == "verilog", "inputs": self.input_names,
            "outputs": self.output_names, "bits": bits, "bindings": bindings,
            "ports": [port.name for port in top.ports],
        }  # fmt: skip
        plusargs = [f"+verilator+coverage+file+{coverage_file}"] if coverage_file is not None else []
        run = Run(built, module, {RTL_JOB: json.dumps(job)}, seed=seed, plusargs=plusargs)
        self._link: socket.socket | None = None
        self._awake: Awake | None = None
        self._writes = built.variant.coverage or built.variant.waves
        with contextlib.ExitStack() as undo:
            self.folder = _short_folder()
            undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
            listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            listener.bind(str(self.folder / "s"))
            listener.listen(1)
            self.process = SimulatorProcess(run, self.folder)
            undo.callback(self.close)
            self.hello = self._greeted(listener, spec.name)
            undo.pop_all()
            listener.close()
        self.widths = cast("dict[str, int]", self.hello["widths"])

    def _greeted(self, listener: socket.socket, design: str) -> dict[str, object]:
        """What the peer says of itself when it connects.

        Raises:
            RtlError: when it does not in time.
        """
        watch = Stopwatch()
        try:
            self._link = self._accept(listener, watch)
            self._awake = Awake(self._link)
            return protocol.unpack_json(self.receive(max(START_TIMEOUT_S - watch.elapsed_s, GRACE_S)))
        except (OSError, RtlError, ValueError) as problem:
            code = self.process.wait(GRACE_S)
            log = self.process.text()
            how = problem if code is None else how_it_ended(log, code)
            found = complaints(log)
            if found:
                raise DesignError(
                    f"{design}: the design complained as soon as it had power:\n{told(found)}"
                ) from problem
            raise RtlError(
                f"the simulator of {design} did not greet: {how}; the end of its log:\n{self.process.tail()}"
            ) from problem

    def _accept(self, listener: socket.socket, watch: Stopwatch) -> socket.socket:
        """Wait for the peer to connect, as long as its process lives.

        Raises:
            RtlError: when the process ends, or the time is up.
        """
        listener.settimeout(0.05)
        while watch.elapsed_s < START_TIMEOUT_S:
            try:
                return listener.accept()[0]
            except TimeoutError:
                if self.process.code is not None:
                    raise RtlError(f"its process ended with code {self.process.code}") from None
        raise RtlError(f"nothing connected within {START_TIMEOUT_S:.0f} s of wall time")

    def send(self, packet: bytes) -> None:
        """Send one packet.

        Raises:
            OSError: when the peer is gone.
        """
        self._connected.send(packet)

    def receive(self, timeout_s: float) -> bytes:
        """The next packet; empty when the peer is gone.

        Raises:
            TimeoutError: when none came in time [s of wall time].
            OSError: when the link broke.
        """
        link = self._connected
        if self._awake is not None:
            self._awake.look()
        link.settimeout(timeout_s)
        return link.recv(protocol.PACKET_MAX)

    @property
    def _connected(self) -> socket.socket:
        if self._link is None:
            raise OSError(errno.ENOTCONN, "the simulator has not connected")
        return self._link

    def goodbye(self) -> None:
        """Ask it to end; one that has coverage or a waveform to write is given a moment for that."""
        with contextlib.suppress(OSError):
            self.send(protocol.pack_json({"ask": "bye"}))
            self.receive(GRACE_S)
        if self._writes:
            self.process.wait(WRITING_S)

    def close(self) -> None:
        """End it however it is, and remove its folder."""
        if self._link is not None:
            self._link.close()
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def drivable(built: Built) -> list[str]:
    """Input ports that the board drives itself: not the clock, not the reset, not what a peripheral drives."""
    spec = built.spec
    own = {spec.clock.port, spec.reset.port}
    discrete = {bind.port for bind in spec.bind.values() if bind.kind == "discrete_in"}
    own |= {each.port for each in spec.uses if each.direction == "in" and each.port not in discrete}
    return [port.name for port in built.top.inputs if port.name not in own]


def _short_folder() -> Path:
    """A folder of its own for a socket, whose path must be short; ``TMPDIR`` need not be."""
    usual = Path(tempfile.gettempdir())
    fits = len(str(usual / "hil-rtl-12345678" / "s")) <= _ADDRESS_MAX
    return Path(tempfile.mkdtemp(prefix="hil-rtl-", dir=usual if fits else "/tmp"))  # noqa: S108  # a folder of 0700
