"""How late a 100 Hz closed loop runs on the wall clock: ``python -m benchmarks.lateness [--minutes 10] [--json FILE]``.

The loop: every 10 ms the plant of the reference launcher makes ten steps on its pad and a frame with its attitude goes
to a controller in another process; the controller's frame comes back through a reader thread and is latched for the
next turn. Each of four cases is a process of its own: without and with load (two busy processes a processor), as any
program and with real-time scheduling asked for. Lateness is that of the loop's ticks, delay that of frame and answer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import select
import socket
import struct
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import can

from hil import realtime
from hil.can.frame import Frame
from hil.can.real import RealLink
from hil.clock import Phase, WallClock
from hil.noise import Streams
from hil.phase import Loopback
from hil.plant.launcher import Launcher
from hil.units import ms, s, us

if TYPE_CHECKING:
    from collections.abc import Iterator

VEHICLE = Path(__file__).parents[1] / "fixtures" / "hil_launcher" / "vehicle.toml"
PERIOD_NS = 10 * ms
STEP_NS = 1 * ms
MAX_LATENESS_NS = 1 * ms
SENSOR, COMMAND = 0x100, 0x200
PRIORITY = 80
CASES = tuple((load, asked) for load in (False, True) for asked in (False, True))
_FRAME = struct.Struct("<Id")
_BURN = "while True: pass"
_HEAD = (
    f"{'case':32} {'p50':>9} {'p99':>9} {'p99.9':>9} {'max':>9}  {'late':>7} {'in a row':>8}  "
    f"{'delay p50':>9} {'p99':>9}"
)


class Pipe(can.BusABC):
    """A bus of two nodes on a pair of sockets: a datagram a frame.

    Args:
        end: this node's end.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.channel_info = "pipe"
        super().__init__("pipe")

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        if not select.select([self._end], [], [], timeout)[0]:
            return None, False
        identifier, number = _FRAME.unpack(self._end.recv(_FRAME.size))
        return can.Message(arbitration_id=identifier, is_extended_id=False, data=struct.pack("<d", number)), False

    def send(self, msg: can.Message, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send a frame at once."""
        self._end.send(_FRAME.pack(msg.arbitration_id, *struct.unpack("<d", msg.data)))

    def shutdown(self) -> None:
        """Close this end."""
        super().shutdown()
        self._end.close()


def control(end: socket.socket) -> None:
    """The controller: answers every attitude [rad] with a gimbal angle [rad], until the other end is closed."""
    while packet := end.recv(_FRAME.size):
        _, angle_rad = _FRAME.unpack(packet)
        with contextlib.suppress(BrokenPipeError):
            end.send(_FRAME.pack(COMMAND, -0.3 * angle_rad))


class Loop:
    """The harness's side of the loop.

    Args:
        clock: the rig clock.
        link: the bus to the controller.
    """

    def __init__(self, clock: WallClock, link: RealLink) -> None:
        vehicle = Launcher.VEHICLE.model_validate(tomllib.loads(VEHICLE.read_text()))
        self._plant = Launcher(vehicle, streams=Streams(1), step_ns=STEP_NS, integrator="ab2")
        self._clock, self._link = clock, link
        self._gimbal_rad = 0.0
        self.loopback = Loopback()
        link.listen(self._came)

    def tick(self) -> None:
        """One turn."""
        given = dict(Launcher.defaults) | {"clamps": (1.0,), "umbilical": (1.0,)}
        given |= {f"gimbal_{k}": (self._gimbal_rad, -self._gimbal_rad, 1.0) for k in range(1, 10)}
        commands = list(given.values())
        for _ in range(PERIOD_NS // STEP_NS):
            self._plant.step(commands)
        angle_rad = 0.01 * len(self.loopback.samples_ns) % 0.02
        self.loopback.sent(self._clock.arrival().rig_ns)
        self._link.send_frame(Frame(SENSOR, struct.pack("<d", angle_rad)))

    def _came(self, frame: Frame) -> None:
        self.loopback.came(frame.at_ns)
        self._gimbal_rad = struct.unpack("<d", frame.data)[0]


def run_case(*, load: bool, asked: bool, duration_s: float) -> dict[str, object]:
    """One case in this process; figures in us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    arguments = [sys.executable, "-m", "benchmarks.lateness", "--control", str(theirs.fileno())]
    with _burners(2 * (os.cpu_count() or 1) if load else 0):
        other = subprocess.Popen([*arguments, "--realtime"] if asked else arguments, pass_fds=[theirs.fileno()])
        theirs.close()
        clock = WallClock(max_lateness_ns=MAX_LATENESS_NS)
        link = RealLink(
            "pipe", clock, Pipe(ours), prepare=(lambda: realtime.request_class(PRIORITY)) if asked else None
        )
        loop = Loop(clock, link)
        got = realtime.request(PRIORITY).lines() if asked else []
        loop.tick()
        clock.wait(clock.now + 30 * s, lambda: bool(loop.loopback.samples_ns))  # the other process is there
        loop.loopback = Loopback()
        event = clock.every(PERIOD_NS, loop.tick, Phase.PLANT, offset_ns=PERIOD_NS)
        clock.settle()
        clock.sleep(round(duration_s * s))
        event.cancel()
        link.shutdown()
        other.wait(10.0)
    found = clock.lateness.summary()
    return {
        "load": load, "realtime": asked, "granted": got, "ticks": found.ticks,
        "p50_us": found.p50_ns / us, "p99_us": found.p99_ns / us, "p999_us": found.p999_ns / us,
        "max_us": found.worst_ns / us, "late": found.late, "late_in_a_row": found.late_in_a_row,
        "delay_p50_us": loop.loopback.delay_ns(0.5) / us, "delay_p99_us": loop.loopback.delay_ns(0.99) / us,
        "unanswered": loop.loopback.unanswered,
    }  # fmt: skip


@contextlib.contextmanager
def _burners(number: int) -> Iterator[None]:
    """Busy processes within the block."""
    burning = [subprocess.Popen([sys.executable, "-c", _BURN]) for _ in range(number)]
    try:
        yield
    finally:
        for one in burning:
            one.kill()
            one.wait()


def in_own_process(*, load: bool, asked: bool, duration_s: float) -> dict[str, object]:
    """One case in a process of its own."""
    given = json.dumps({"load": load, "asked": asked, "duration_s": duration_s})
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.lateness", "--case", given], capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout)


def line(found: dict[str, object]) -> str:
    """A case in one line; times in us."""
    name = f"{'with' if found['load'] else 'without'} load, {'real-time' if found['realtime'] else 'as any program'}"
    times = "".join(f" {found[key]:9.0f}" for key in ("p50_us", "p99_us", "p999_us", "max_us"))
    delay = "".join(f" {found[key]:9.0f}" for key in ("delay_p50_us", "delay_p99_us"))
    return f"{name:32}{times}  {found['late']:7} {found['late_in_a_row']:8} {delay}"


def main() -> None:
    """Run the cases and print, or write, their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5 / 60, help="of each of the four cases; 5 s unless given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, too")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--control", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--realtime", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.control is not None:
        if options.realtime:
            realtime.request(PRIORITY)
        control(socket.socket(fileno=options.control))
        return
    if options.case is not None:
        print(json.dumps(run_case(**json.loads(options.case))))
        return
    print(f"100 Hz closed loop, {options.minutes * 60:g} s a case; lateness and delay in us, late is beyond 1 ms")
    print(_HEAD)
    cases = []
    for load, asked in CASES:
        cases.append(in_own_process(load=load, asked=asked, duration_s=options.minutes * 60))
        print(line(cases[-1]), flush=True)
    print("\n".join(cases[-1]["granted"]))
    if options.json is not None:
        machine = f"{platform.machine()}, {platform.system()} {platform.release()}, {os.cpu_count()} processors"
        options.json.write_text(json.dumps({"machine": machine, "cases": cases}, indent=2) + "\n")


if __name__ == "__main__":
    main()
