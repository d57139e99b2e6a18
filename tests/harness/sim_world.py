"""A simulated instrument on its TCP port, run by a clock in a thread of its own, for tests that talk to it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pyvisa

from hil.clock import WallClock
from hil.noise import Streams
from hil.sim.load_bank import LoadBank
from hil.sim.scpi_server import ScpiServer
from hil.visa.keysight_n6700_twin import KeysightN6700Twin
from hil.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    from pyvisa.resources import MessageBasedResource

_WAIT_S = 10.0


class Served:
    """A supply on a port; ``do`` runs a call on its clock's thread and gives what it returns."""

    def __init__(self, *, clients: Literal["one", "many"] = "many", latency_ns: int = 0, factor: float = 1.0) -> None:
        self.transcript: list[tuple[str, str]] = []
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._options: dict[str, Any] = {"clients": clients, "latency_ns": latency_ns}
        self._factor = factor
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(_WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.clock.post(lambda: None)
        self._thread.join(_WAIT_S)
        assert not self._thread.is_alive()

    def do(self, fn: Callable[[], Any]) -> Any:
        done, found = threading.Event(), []
        self.clock.post(lambda: (found.append(fn()), done.set()))
        assert done.wait(_WAIT_S)
        return found[0]

    def connect(self) -> socket.socket:
        """A plain connection to its port."""
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=_WAIT_S)

    def _run(self) -> None:
        self.clock = WallClock(factor=self._factor)
        wiring = Wiring(self.clock)
        self.twin = KeysightN6700Twin(name="psu", clock=self.clock, streams=Streams(1), wiring=wiring, serial="S1")
        self.loads = LoadBank(wiring, "psu")
        note = lambda direction, text: self.transcript.append((direction, text))  # noqa: E731
        self.server = ScpiServer(self.twin, note=note, **self._options)
        self._ready.set()
        self.clock.wait(None, self._ended.is_set, "the end of the test")
        self.server.close()


def open_socket(manager: pyvisa.ResourceManager, resource: str, *, timeout_ms: int = 2_000) -> MessageBasedResource:
    """Open a ``SOCKET`` resource as a bench does: line feeds both ways."""
    opened = manager.open_resource(resource, read_termination="\n", write_termination="\n", timeout=timeout_ms)
    assert isinstance(opened, pyvisa.resources.MessageBasedResource)
    return opened


class Program:
    """The program of one simulated instrument, with its control line."""

    def __init__(self, *arguments: str, twin: str = "hil.visa.keysight_n6700_twin:KeysightN6700Twin") -> None:
        command = [sys.executable, "-m", "hil.sim.scpi_server", "--twin", twin, "--serial", "S1", *arguments]
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.port = int(self.line().removeprefix("listening "))
        self.resource = f"TCPIP0::127.0.0.1::{self.port}::SOCKET"

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.communicate(timeout=_WAIT_S)

    def line(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline().rstrip("\n")

    def ask(self, command: str) -> str:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{command}\n")
        self.child.stdin.flush()
        return self.line()
