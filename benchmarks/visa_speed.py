"""Instrument speed: the in-process VISA library beside pyvisa-sim and beside pyvisa-py over TCP, alternated rounds.

All three answer the same queries. The library in this process and the TCP server in another one stand on the same
SCPI engine, a complete supply with rig time, latency and outputs; pyvisa-sim looks answers up and knows no time.
The goal is at least 2.5 times the queries per second of pyvisa-sim.
"""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pyvisa

from hil.clock import VirtualClock
from hil.noise import Streams
from hil.visa.door import send_at_once
from hil.visa.keysight_n6700_twin import KeysightN6700Twin
from hil.visa.library import SimVisaLibrary
from hil.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from pyvisa.resources import MessageBasedResource

QUERIES = 5_000
TCP_QUERIES = 2_000
IDENTITY = "*IDN?"
SETTING = "VOLT? (@1)"
PYVISA_SIM = """spec: "1.1"
devices:
  psu:
    eom:
      TCPIP SOCKET: {q: "\\n", r: "\\n"}
    error: ERROR
    dialogues:
      - {q: "*IDN?", r: "Keysight Technologies,N6702C,MY00000001,E.02.07.3189"}
    properties:
      voltage:
        default: 0.0
        getter: {q: "VOLT? (@1)", r: "{:+.6E}"}
        setter: {q: "VOLT {:g},(@1)", r: OK}
        specs: {min: 0, max: 51, type: float}
resources:
  TCPIP0::psu::5025::SOCKET: {device: psu}
"""


def _open(manager: pyvisa.ResourceManager, address: str) -> MessageBasedResource:
    resource = cast("MessageBasedResource", manager.open_resource(address))
    resource.read_termination = resource.write_termination = "\n"
    resource.timeout = 5_000
    return resource


def _rate(resource: MessageBasedResource, query: str, count: int) -> float:
    """Queries per second."""
    start = time.perf_counter()
    for _ in range(count):
        resource.query(query)
    return count / (time.perf_counter() - start)


def _twin() -> tuple[VirtualClock, KeysightN6700Twin]:
    clock = VirtualClock()
    return clock, KeysightN6700Twin(name="psu", clock=clock, streams=Streams(1), wiring=Wiring(clock))


@contextmanager
def _simulated() -> Iterator[MessageBasedResource]:
    """The supply in this process, on rig time."""
    clock, twin = _twin()
    library = SimVisaLibrary(clock)
    library.attach("TCPIP0::psu::5025::SOCKET", twin)
    resource = _open(pyvisa.ResourceManager(library), "TCPIP0::psu::5025::SOCKET")
    yield resource
    resource.close()


@contextmanager
def _looked_up() -> Iterator[MessageBasedResource]:
    """The same answers out of pyvisa-sim."""
    with tempfile.TemporaryDirectory(prefix="hil-bench-") as scratch:
        file = Path(scratch) / "psu.yaml"
        file.write_text(PYVISA_SIM)
        resource = _open(pyvisa.ResourceManager(f"{file}@sim"), "TCPIP0::psu::5025::SOCKET")
        yield resource
        resource.close()


def _serve(parent: Connection) -> None:
    """The supply behind a TCP socket, in a process of its own; ends when its client does."""
    clock, twin = _twin()
    engine = twin.engine
    with socket.create_server(("127.0.0.1", 0)) as server:
        parent.send(server.getsockname()[1])
        connection, _ = server.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := connection.recv(65_536):
                engine.receive(data, end=False)
                while not engine.silent:
                    clock.wait(max(clock.now + 1, engine.ready_ns))
                    if engine.readable():
                        connection.sendall(engine.take(1 << 20)[0])


@contextmanager
def _over_tcp() -> Iterator[MessageBasedResource]:
    """The supply in another process, reached by pyvisa-py as a real one is."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    try:
        resource = _open(pyvisa.ResourceManager("@py"), f"TCPIP0::127.0.0.1::{ours.recv()}::SOCKET")
        send_at_once(resource)
        yield resource
        resource.close()
        server.join(5.0)
    finally:
        server.kill()
        server.join()


def measure(rounds: int) -> dict[str, float]:
    """Medians over ``rounds`` alternated rounds.

    ``hil_per_s``, ``sim_per_s``, ``tcp_per_s``: ``*IDN?`` queries [1/s] in this process, with pyvisa-sim, and with
    pyvisa-py over TCP to another process; ``ratio`` and ``tcp_ratio``: medians of hil / each of the others;
    ``setting_ratio``: hil / pyvisa-sim for the query of a setting.
    """
    taken: dict[str, list[float]] = {}
    with _simulated() as hil, _looked_up() as sim, _over_tcp() as tcp:
        for resource in (hil, sim, tcp):  # warm up
            _rate(resource, IDENTITY, 200)
        for _ in range(rounds):
            hil_rate, sim_rate = _rate(hil, IDENTITY, QUERIES), _rate(sim, IDENTITY, QUERIES)
            tcp_rate = _rate(tcp, IDENTITY, TCP_QUERIES)
            figures = {
                "hil_per_s": hil_rate,
                "sim_per_s": sim_rate,
                "tcp_per_s": tcp_rate,
                "ratio": hil_rate / sim_rate,
                "tcp_ratio": hil_rate / tcp_rate,
                "setting_ratio": _rate(hil, SETTING, QUERIES) / _rate(sim, SETTING, QUERIES),
            }
            for name, value in figures.items():
                taken.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in taken.items()}


def report(taken: dict[str, float]) -> list[tuple[str, float, str, str]]:
    """(what, value, unit, goal) per line."""
    return [
        ("VISA queries, in process on rig time", taken["hil_per_s"], "queries/s", ""),
        ("VISA queries, pyvisa-sim", taken["sim_per_s"], "queries/s", ""),
        ("VISA queries, pyvisa-py over TCP, same engine", taken["tcp_per_s"], "queries/s", ""),
        ("VISA queries, in process / pyvisa-sim", taken["ratio"], "", ">= 2.5"),
        ("VISA query of a setting, in process / pyvisa-sim", taken["setting_ratio"], "", ">= 2.5"),
        ("VISA queries, in process / TCP", taken["tcp_ratio"], "", ""),
    ]


def main() -> None:
    """Print the figures beside their goals."""
    for what, value, unit, goal in report(measure(rounds=7)):
        print(f"{what:50} {value:12.2f} {unit:12} {goal}")


if __name__ == "__main__":
    main()
