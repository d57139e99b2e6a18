"""Closed-loop flights over several programs in wall time: ``python -m benchmarks.flight [--flights 3] [--rig FILE]``.

Each flight is run as ``.ci/bench`` runs it: a hub for each bus, ``hil sim``, ``hil qualify`` with its keeper. A bench
needs a quiet machine: what else runs there makes clocks late. All flights are of one ``hil sim``.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hil.clock import Stopwatch
from hil.evidence.index import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.evidence.records import Attempt

ROOT = Path(__file__).parents[1]
FLIGHT = "tests/launcher/test_flight_spectrum.py"
BUSES = ("bus_a", "bus_b")
_PYTHON = ROOT / ".venv" / "bin"
_HUB = re.compile(r"received (\d+) lost (\d+)")
_BRIDGE = re.compile(r"to_bus=(\d+), from_bus=\d+, lost_to_bus=(\d+)")


class Cost(NamedTuple):
    """Processor time [s] and wall time [s] of a program."""

    cpu_s: float
    wall_s: float

    def __str__(self) -> str:
        return f"{100.0 * self.cpu_s / self.wall_s:.0f} %"


class Program:
    """A program of the bench that runs until it is ended; ready when it says so."""

    def __init__(self, *command: str) -> None:
        self._watch = Stopwatch()
        self._child = subprocess.Popen(
            [str(_PYTHON / command[0]), *command[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if line.strip() == "ready":
                return
        raise SystemExit(f"{' '.join(command)} ended with {self._child.wait()}")

    def end(self) -> tuple[list[str], Cost]:
        """End it; what it said since it was ready, and its cost."""
        assert self._child.stdout is not None
        self._child.send_signal(signal.SIGTERM)
        said = self._child.stdout.read().splitlines()
        _, _, used = os.wait4(self._child.pid, 0)
        self._child.returncode = 0
        return said, Cost(used.ru_utime + used.ru_stime, self._watch.elapsed_s)


def flown(rig: Path, which: str, folder: Path) -> tuple[Attempt, Cost]:
    """Fly once; what came of it, and the cost of the test with its keeper."""
    command = [_PYTHON / "hil", "qualify", FLIGHT, "--rig", rig, "--run-folder", folder, "--", "-q", "-k", which]
    watch = Stopwatch()
    child = subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=subprocess.DEVNULL)
    _, _, used = os.wait4(child.pid, 0)
    child.returncode = 0
    cost = Cost(used.ru_utime + used.ru_stime, watch.elapsed_s)
    return read_run(folder).tests[0].attempts[-1], cost


def _ms(delay: object) -> str:
    """A duration of a table in ms, in three digits; "-" where there is none."""
    number, _, unit = str(delay).partition(" ")
    if not unit:
        return "-"
    return f"{float(number) * {'ns': 1e-6, 'us': 1e-3, 'ms': 1.0, 's': 1e3}[unit]:.3g}"


def row(number: int, attempt: Attempt, cost: Cost) -> str:
    """A flight as a row of the table."""
    late = next(event.fields for event in attempt.events if event.what == "lateness")
    table = next(table for table in attempt.exhibits.tables if table.title.startswith("Transport delay"))
    delays = [f"{cells[0]} {_ms(cells[2])}, {_ms(cells[3])}, {_ms(cells[4])}" for cells in table.rows]
    lags = [float(str(cells[7]).split()[0]) for cells in table.rows if cells[7]]
    beyond = [taken.name for taken in attempt.measurements if str(taken.verdict) == "FAIL"]
    delay = "; ".join(dict.fromkeys(delays))
    return (
        f"| {number} | {attempt.verdict} | {', '.join(beyond) or 'none'} | {late['late']} | {delay} | "
        f"{max(lags, default=0.0):.1f} | {cost} |"
    )


def bench(rig: Path, which: str, flights: int, runs: Path) -> Iterator[str]:
    """Fly, and say what is to be said, line by line."""
    hubs = [
        Program("python", "-m", "hil.sim.slcan_hub", "--link", f"build/bench/{bus}_", "--priority", "50")
        for bus in BUSES
    ]
    simulation = Program("hil", "sim", str(rig))
    columns = (
        "flight",
        "verdict",
        "values beyond their limits",
        "late spans",
        "transport delay [ms]: median, 95 %, worst",
    )
    yield f"| {' | '.join((*columns, 'lag [deg]', 'one core: test, keeper'))} |"
    yield "|---|---|---|---|---|---|---|"
    for number in range(1, flights + 1):
        yield row(number, *flown(rig, which, runs / str(number)))
    said, cost = simulation.end()
    carried = [match for line in said if (match := _BRIDGE.search(line))]
    yield ""
    yield next(line for line in said if line.startswith("lateness"))
    yield f"`hil sim`: {cost} of one core; frames to the test {sum(int(each[1]) for each in carried)}, "
    yield f"lost by the bridge {sum(int(each[2]) for each in carried)}"
    for bus, hub in zip(BUSES, hubs, strict=True):
        lines, cost = hub.end()
        lost = sum(int(match[2]) for line in lines if (match := _HUB.search(line)))
        yield f"hub of {bus}: {cost} of one core; lost {lost}"


def main() -> None:
    """Fly and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flight", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--flights", type=int, default=3, help="how many, one after the other")
    parser.add_argument("--rig", type=Path, default=ROOT / "rigs" / "processes.toml", help="rig file")
    parser.add_argument("-k", dest="which", default="lost_attitude", help="which flight")
    parser.add_argument("--runs", type=Path, required=True, help="new folder for the evidence")
    options = parser.parse_args()
    (ROOT / "build" / "bench").mkdir(parents=True, exist_ok=True)
    options.runs.mkdir(parents=True)
    for line in bench(options.rig.resolve(), options.which, options.flights, options.runs.resolve()):
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
