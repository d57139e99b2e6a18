"""A simulated instrument on its TCP port, run by a clock in a thread of its own, for tests that talk to it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pyvisa

from hil.clock import WallClock
from hil.io.sim_card import SimIoCard
from hil.noise import Streams
from hil.signal import Timeline
from hil.sim.card_server import CardServer
from hil.sim.load_bank import LoadBank
from hil.sim.scpi_port import ScpiServer
from hil.visa.keysight_n6700_twin import KeysightN6700Twin
from hil.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, Self

    from pyvisa.resources import MessageBasedResource

_WAIT_S = 10.0


class OnClock:
    """Something on a wall clock in a thread of its own; ``do`` runs a call there and gives what it returns."""

    def __init__(self, factor: float = 1.0) -> None:
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._factor = factor
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
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

    def build(self) -> Callable[[], None]:
        """Make what stands on the clock; returns what closes it."""
        raise NotImplementedError

    def _run(self) -> None:
        self.clock = WallClock(factor=self._factor)
        self.wiring = Wiring(self.clock)
        close = self.build()
        self._ready.set()
        self.clock.wait(None, self._ended.is_set, "the end of the test")
        close()


class Served(OnClock):
    """A supply on a port."""

    def __init__(self, *, clients: Literal["one", "many"] = "many", latency_ns: int = 0, factor: float = 1.0) -> None:
        super().__init__(factor)
        self.transcript: list[tuple[str, str]] = []
        self._options: dict[str, Any] = {"clients": clients, "latency_ns": latency_ns}

    def build(self) -> Callable[[], None]:
        self.twin = KeysightN6700Twin(name="psu", clock=self.clock, streams=Streams(1), wiring=self.wiring, serial="S1")
        self.loads = LoadBank(self.wiring, "psu")
        note = lambda direction, text: self.transcript.append((direction, text))  # noqa: E731
        self.server = ScpiServer(self.twin, note=note, **self._options)
        return self.server.close

    def connect(self) -> socket.socket:
        """A plain connection to its port."""
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=_WAIT_S)


class ServedCard(OnClock):
    """A simulated I/O card on a port, wired to a box with an output, a sensor input and a key."""

    PORTS = ("load_out", "di_out", "ao_sense", "ai_sense", "do_key", "di_key")

    def build(self) -> Callable[[], None]:
        self.box = {name: self.wiring.pin(f"box.{name}") for name in ("out", "sense", "key")}
        self.box["key"].load(10e3)
        timeline = Timeline(self.clock)
        card = SimIoCard("stand", self.wiring, timeline=timeline, ports=self.PORTS, ohms={"load_out": 5.0})
        self.wiring.net("out", ["box.out", "stand.load_out", "stand.di_out"])
        self.wiring.net("sense", ["box.sense", "stand.ao_sense", "stand.ai_sense"])
        self.wiring.net("key", ["box.key", "stand.do_key", "stand.di_key"])
        self.server = CardServer(card, self.clock)
        return self.server.close


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
