"""RTL in the loop: what an exchange costs, and the speed of lock-step against a bare cocotb test of the same design."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from hil.errors import ToolMissingError
from hil.rtl import tools
from hil.rtl.build import Built, Variant, build, parameters_of
from hil.rtl.launch import Run, SimulatorProcess
from hil.rtl.link import Link
from hil.rtl.spec import load_spec
from hil_launcher.models.fts.as_built import FtsAsBuilt

ROOT = Path(__file__).parents[1]
DESIGN = ROOT / "fixtures" / "hil_launcher" / "rtl" / "fts_receiver.toml"
AS_BUILT = ROOT / "fixtures" / "hil_launcher" / "as_built" / "fts_a.toml"
CYCLES = 1000  # of a step
STEPS = {"icarus": 60, "verilator": 400}
GOALS = {"icarus": ">= 150", "verilator": ">= 1500"}
EMPTY = 2000  # exchanges in which no time passes
FLIGHT = ("tests/launcher/test_flight_spectrum.py", "--rig", "rigs/rtl_flight.toml")
"""What of a campaign is the flight of 30 March 2025 with one receiver as RTL."""


def _bare(built: Built) -> dict[str, float]:
    """Wall times of the bare test [s]."""
    steps = STEPS[built.simulator.name]
    with tempfile.TemporaryDirectory(prefix="bench-rtl-") as folder:
        found = Path(folder) / "found.json"
        numbers = {"PERIOD_PS": built.spec.clock.period_ps, "STEPS": steps, "CYCLES": CYCLES, "FILE": found}
        environment = {f"BENCH_{name}": str(value) for name, value in numbers.items()} | {"PYTHONPATH": str(ROOT)}
        process = SimulatorProcess(Run(built, "benchmarks.rtl_bare", environment))
        if process.wait(120.0) != 0:
            raise RuntimeError(process.tail())
        process.close()
        return json.loads(found.read_text())


def _linked(built: Built) -> dict[str, float]:
    """Start, empty exchanges and steps over the grant protocol [s each]."""
    steps, step_ns = STEPS[built.simulator.name], CYCLES * built.spec.clock.period_ps // 1000
    start = time.perf_counter()
    link = Link(built, article="bench", seed=1, budget_s=600.0)
    started_s = time.perf_counter() - start
    now_ns = 100 * step_ns
    while link.reached_ps < (now_ns - step_ns) * 1000:
        link.grant(now_ns, [])
    start = time.perf_counter()
    for _ in range(EMPTY):
        link.grant(now_ns, [])
    empty_s = (time.perf_counter() - start) / EMPTY
    start = time.perf_counter()
    exchanges = 0
    for _ in range(steps):
        now_ns += step_ns
        while link.reached_ps < now_ns * 1000 - built.spec.clock.period_ps:
            link.grant(now_ns, [])
            exchanges += 1
    stepped_s = time.perf_counter() - start
    link.close()
    return {"start_s": started_s, "empty_s": empty_s, "stepped_s": stepped_s, "exchanges": exchanges}


def measure(rounds: int) -> dict[str, float]:
    """Medians over ``rounds`` alternated rounds, by simulator: the keys begin with its name."""
    spec = load_spec(DESIGN)
    as_built = FtsAsBuilt.model_validate(tomllib.loads(AS_BUILT.read_text()))
    parameters = parameters_of(spec, as_built)
    designs: list[Built] = []
    opened: Built | None = None
    for name in tools.SIMULATORS[:2]:
        try:
            simulator = tools.find(name)
        except ToolMissingError as missing:
            print(f"rtl: left out: {missing}")
            continue
        designs.append(build(spec, simulator, Variant(), parameters))
        if name == "verilator":
            opened = build(spec, simulator, Variant(upsets=True), parameters)
    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
        for built in designs:
            name, steps = built.simulator.name, STEPS[built.simulator.name]
            bare, linked = _bare(built), _linked(built)
            figures = {
                "start_s": linked["start_s"],
                "exchange_us": linked["empty_s"] * 1e6,
                "bare_mhz": steps * CYCLES / bare["free_s"] / 1e6,
                "steps": steps / linked["stepped_s"],
                "steps_ratio": bare["stepped_s"] / linked["stepped_s"],
                "speed_ratio": bare["free_s"] / linked["stepped_s"],
            }
            if opened is not None and name == "verilator":
                figures["opened_ratio"] = _bare(opened)["free_s"] / bare["free_s"]
            for key, value in figures.items():
                taken.setdefault(f"{name}_{key}", []).append(value)
    found = {name: statistics.median(values) for name, values in taken.items()}
    if "verilator_steps" in found:
        found["flight_min"] = _flight_min()
    return found


def _flight_min() -> float:
    """Wall time of a campaign of that one flight, its report and the start of everything included [min]; once.

    Raises:
        RuntimeError: when it does not pass.
    """
    with tempfile.TemporaryDirectory(prefix="bench-rtl-") as folder:
        command = [Path(sys.executable).with_name("hil"), "qualify", *FLIGHT, "--run-folder", f"{folder}/run"]
        start = time.perf_counter()
        ran = subprocess.run([*command, "--", "-q", "-k", "lost_attitude"], cwd=ROOT, capture_output=True, text=True)
        if ran.returncode != 0:
            raise RuntimeError(ran.stdout[-2000:] + ran.stderr[-2000:])
        return (time.perf_counter() - start) / 60


def report(taken: dict[str, float]) -> list[tuple[str, float, str, str]]:
    """(what, value, unit, goal) per line."""
    lines: list[tuple[str, float, str, str]] = []
    for name in GOALS:
        if f"{name}_steps" not in taken:
            continue
        lines += [
            (f"RTL on {name}, start with the build in cache", taken[f"{name}_start_s"], "s", "<= 2"),
            (f"RTL on {name}, one exchange", taken[f"{name}_exchange_us"], "us", "<= 100"),
            (f"RTL on {name}, receiver under bare cocotb", taken[f"{name}_bare_mhz"], "Mcycles/s", ""),
            (f"RTL on {name}, steps of 1000 cycles", taken[f"{name}_steps"], "1/s", GOALS[name]),
            (f"RTL on {name}, the same against bare cocotb in steps", taken[f"{name}_steps_ratio"], "", ""),
            (f"RTL on {name}, cycles/s against bare cocotb that runs free", taken[f"{name}_speed_ratio"], "", ""),
        ]
    if "verilator_opened_ratio" in taken:
        what = "RTL on verilator, time of a build that is open to upsets against one that is not"
        lines.append((what, taken["verilator_opened_ratio"], "", ""))
    if "flight_min" in taken:
        lines.append(("flight of 30 March 2025 with one receiver as RTL, wall", taken["flight_min"], "min", "<= 5"))
    return lines
