"""The closed loop: simulated seconds of flight per CPU second, with every article of the rig, and where the time goes.

The launcher counts down on ``rigs/sim.toml`` and flies; from T+1 on the flight is timed. A sampling profiler (a sample
a millisecond of CPU time) then says which part of the product was at work; its shares divide the measured time. Growth
with articles is measured on the pad: engines and their hardware, powered a cluster at a time.
"""

from __future__ import annotations

import contextlib
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.rig.world import Sinks
from hil.units import ms, s
from hil.visa.classes import DCPower
from hil_launcher.clients.avionics import Avionics
from hil_launcher.clients.pad import Pad

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from hil.rig.world import Rig

RIG = Path(__file__).parents[1] / "rigs" / "sim.toml"
FLOWN_S = 10
GOAL = 5.0
STEPS_PER_S = 1_000
CYCLES_PER_S = 100
CLUSTERS = (("engine", "psu", 3), ("engines 2 to 4", "psu_2", 1), ("engines 5 to 7", "psu_2", 2))
_PARTS = (
    ("plant", ("hil/plant/", "hil/rig/plant_host")),
    ("bus", ("hil/can/", "hil/bus_port", "hil/device")),
    ("flight computer", ("models/flight_computer/",)),
    ("engines", ("models/engine/",)),
    ("gimbals, IMUs, other units", ("models/",)),
    ("wiring and ports", ("hil/nets", "hil/ports", "hil/wiring", "hil/quantities", "hil/article")),
    ("clock", ("hil/clock",)),
)  # fmt: skip
"""A part, and what stands in the path of its files; the innermost frame that fits counts, the first part that does."""


class Log:
    """Takes the frames of the rig as a run would: a line in a file each.

    Args:
        file: where to.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.open("w")
        self.frames = 0

    def line(self, _: str, text: str) -> None:
        """One frame."""
        self._file.write(text + "\n")
        self.frames += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Sampler:
    """Counts, once a millisecond of CPU time, which part is at work."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Sample within the block."""
        before = signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            signal.signal(signal.SIGPROF, before)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        while frame is not None:
            part = _part(frame.f_code.co_filename)
            if part is not None:
                self.counts[part] = self.counts.get(part, 0) + 1
                return
            frame = frame.f_back
        self.counts["rest"] = self.counts.get("rest", 0) + 1


def _part(file: str) -> str | None:
    return next((part for part, paths in _PARTS if any(path in file for path in paths)), None)


def _power(rig: Rig, supply: str, number: int) -> None:
    output = rig.instrument(supply, DCPower).output(number)
    output.voltage_v = 28.0
    output.current_limit_a = 8.0 if supply == "psu" else 17.0
    output.on()


def _lift_off(rig: Rig) -> None:
    for supply in ("psu", "psu_2", "psu_3"):
        for number in (1, 2, 3, 4):
            _power(rig, supply, number)
    rig.card("stand").switch("do_range_power", on=True)
    rig.device("pad", Pad).enable()
    rig.plant.start()
    rig.clock.sleep(3 * s)
    avionics = rig.device("fc", Avionics)
    avionics.count()
    avionics.mode.expect("FLIGHT", within=8 * s)
    rig.clock.sleep(1 * s)


def _flight(blueprint: Blueprint, log: Log) -> dict[str, float]:
    rig = open_rig(blueprint, sinks=Sinks(frame=log.line))
    try:
        _lift_off(rig)
        frames, begun = log.frames, time.process_time()
        rig.clock.sleep(FLOWN_S * s)
        cpu_s, frames = time.process_time() - begun, log.frames - frames
        sampler = Sampler()
        with sampler.running():
            rig.clock.sleep(FLOWN_S * s)
    finally:
        rig.close()
    seen = sum(sampler.counts.values())
    per_s = 1e3 * cpu_s / FLOWN_S
    shares = {f"{part}_ms": per_s * count / seen for part, count in sampler.counts.items()}
    return {"rate": FLOWN_S / cpu_s, "cpu_ms": per_s, "frames_per_s": frames / FLOWN_S, **shares}


def _growth(blueprint: Blueprint, log: Log) -> dict[str, float]:
    """CPU time of a simulated second [ms] with 0, 1, 4 and 7 engine controllers at work on the pad."""
    rig = open_rig(blueprint, sinks=Sinks(frame=log.line))
    taken: list[float] = []
    try:
        _power(rig, "psu", 4)
        _power(rig, "psu_2", 4)
        for powered in range(len(CLUSTERS) + 1):
            if powered:
                _power(rig, *CLUSTERS[powered - 1][1:])
            rig.clock.sleep(300 * ms)
            begun = time.process_time()
            rig.clock.sleep(4 * s)
            taken.append(1e3 * (time.process_time() - begun) / 4)
    finally:
        rig.close()
    first, last = (taken[2] - taken[1]) / 3, (taken[3] - taken[2]) / 3
    return {"engine_first_ms": first, "engine_last_ms": last, "growth": last / first}


def measure(rounds: int) -> dict[str, float]:
    """Medians over ``rounds``: simulated seconds per CPU second, CPU time per part, and growth with articles."""
    blueprint = Blueprint.of(load_rig(RIG))
    with tempfile.TemporaryDirectory(prefix="hil-bench-") as scratch:
        log = Log(Path(scratch) / "frames.log")
        found = [_flight(blueprint, log) | _growth(blueprint, log) for _ in range(max(1, (rounds + 1) // 2))]
        log.close()
    names = dict.fromkeys(name for taken in found for name in taken)
    return {name: statistics.median(taken.get(name, 0.0) for taken in found) for name in names}


def report(taken: dict[str, float]) -> list[tuple[str, float, str, str]]:
    """(what, value, unit, goal) per line."""
    lines = [
        ("closed loop, simulated s per CPU s", taken["rate"], "1", f">= {GOAL:g} (stretch 8)"),
        ("  frames over both buses", taken["frames_per_s"], "1/s", ">= 4000"),
        ("  CPU time of a simulated second", taken["cpu_ms"], "ms", "<= 200"),
    ]
    parts = [part for part, _ in _PARTS if f"{part}_ms" in taken]
    lines += [(f"  of it {part}", taken[f"{part}_ms"], "ms", "") for part in parts]
    lines += [
        ("  a plant step", 1e3 * taken["plant_ms"] / STEPS_PER_S, "us", ""),
        ("  a frame on the bus", 1e3 * taken["bus_ms"] / taken["frames_per_s"], "us", ""),
        ("  a cycle of the flight computer", 1e3 * taken["flight computer_ms"] / CYCLES_PER_S, "us", ""),
        ("  a cycle of an engine controller and its engine", 1e3 * taken["engines_ms"] / 10 / CYCLES_PER_S, "us", ""),
        ("one more engine controller, of few", taken["engine_first_ms"], "ms/s", ""),
        ("one more engine controller, of many", taken["engine_last_ms"], "ms/s", ""),
        ("  the later against the earlier (growth is linear at 1)", taken["growth"], "", "0.7 .. 1.3"),
    ]
    return lines


def main() -> None:
    """Print the figures beside their goals."""
    for what, value, unit, goal in report(measure(rounds=5)):
        print(f"{what:56} {value:12.2f} {unit:12} {goal}")


if __name__ == "__main__":
    main()
