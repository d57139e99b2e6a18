"""A rig whose parts are programs of their own, with ports and buses that no other run on this machine has."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hil.evidence.index import read_run
from hil.limits import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from hil.evidence.index import Run
    from hil.evidence.records import Test

ROOT = Path(__file__).parents[2]
BUSES = ("bus_a", "bus_b")
_END_S = 10.0


def free_ports(count: int) -> list[int]:
    """TCP ports that nobody listens on now."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class PacedBench:
    """Hubs for the buses, and the program that runs models; a context manager.

    Args:
        folder: where the rig file of this bench is written, and its runs.
        base: the rig file it extends, of ``rigs/``.
        program: its program of models.
        rig: further lines of its ``[rig]`` table.
        resources: by instrument, what its resource is, with ``{port}`` in it.
    """

    def __init__(
        self,
        folder: Path,
        base: str,
        program: str,
        *,
        rig: Iterable[str] = (),
        resources: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.file = folder / "bench.toml"
        self._rig = tuple(rig)
        resources = resources or {}
        ports = iter(free_ports(len(resources) + len(self._rig)))
        lines = [f'extends = "{ROOT}/rigs/{base}"', "[rig]", f'name = "{Path(base).stem}_{os.getpid()}"']
        lines += [line.replace("{port}", f"{next(ports)}") for line in self._rig]
        for bus in BUSES:
            lines += [f"[bus.{bus}]", f'channel = "{folder}/{bus}_0"']
            lines += [f'channels = {{ {program} = "{folder}/{bus}_1" }}']
        for name, resource in resources.items():
            lines += [f"[instrument.{name}]", f'process = "{program}"']
            lines += [f'resource = "{resource.replace("{port}", str(next(ports)))}"']
        self.file.write_text("\n".join(lines) + "\n")
        self._closing = ExitStack()
        self.said = ""

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            hubs = [
                self._program(opening, "-m", "hil.sim.slcan_hub", "--ports=2", f"--link={self.folder}/{bus}_")
                for bus in BUSES
            ]
            for hub in hubs:
                _await_ready(hub)
            self._sim = self._program(opening, "-c", "from hil.sim.commands import sim; sim()", str(self.file))
            _await_ready(self._sim)
            self._closing = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._sim.send_signal(signal.SIGTERM)
        self.said = self._sim.communicate(timeout=_END_S)[0]
        self._closing.close()

    def qualify(self, *tests: str, rig: Path | None = None, folder: str = "run") -> Run:
        """Run qualification tests with ``hil qualify``, on this bench unless another rig file is given."""
        run = self.folder / folder
        command = [sys.executable, "-c", "from hil.cli import main; main()", "qualify", *tests]
        command += ["--rig", str(rig or self.file), "--run-folder", str(run), "--", "-q", "-p", "no:cacheprovider"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert (run / "manifest.json").is_file(), done.stdout + done.stderr
        return read_run(run)

    @staticmethod
    def _program(opening: ExitStack, *arguments: str) -> subprocess.Popen[str]:
        child = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        opening.callback(child.communicate, timeout=_END_S)
        opening.callback(child.kill)
        return child


def _await_ready(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == "ready":
            return
    raise AssertionError(f"{child.args} ended with {child.wait(_END_S)} before it was ready")


def was_late(test: Test) -> bool:
    """Whether the clock of a test was late beyond what its rig allows: then nothing it says of times is proved."""
    return any(event.what == "lateness" and event.fields["late"] for event in test.attempts[-1].events)


def verdict(test: Test) -> Verdict:
    """The verdict of a test; a FAIL of a test whose clock was late proves as little as its PASS would."""
    found = test.attempts[-1].verdict or Verdict.ERROR
    return Verdict.INCONCLUSIVE if found is Verdict.FAIL and was_late(test) else found
