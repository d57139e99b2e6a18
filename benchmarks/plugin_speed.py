"""What the pytest plugin costs: CPU per test over plain pytest, start-up without a rig, a one-test rig session."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ONE_TEST = "tests/launcher/test_engine_sequence.py::test_commanded_shutdown_closes_the_oxidiser_first"
# what other plugins of this environment cost is not counted (hypothesis imports itself at the end of every session)
WITHOUT = [word for name in ("cacheprovider", "xdist", "hypothesispytest") for word in ("-p", f"no:{name}")]
RIG = """[rig]
name = "empty"
"""
TEST = '''"""{count} tests that measure one number each."""
import pytest


@pytest.mark.parametrize("n", range({count}))
def test_number(n, {fixture}):
    {body}
'''
PLAIN = ("request", "assert n < 10**9")
ON_RIG = ("rig, measure", 'measure("bench.number", float(n), "1")')
BARE = ("pytestconfig", "pass")
STARTS = 5  # sessions per round of which the start-up is compared: a difference of two noisy numbers
PROFILE = """[profile]
name = "benchmark"
edition = "1"
status = "benchmark only"

[limit."bench.number"]
unit = "1"
clause = "none"
low = 0.0
high = 1e9
source = "benchmark"
grade = "D"
"""


def _cpu_s(folder: Path, arguments: list[str]) -> tuple[float, float]:
    """(CPU, wall) of one pytest process [s, s]."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        command = [sys.executable, "-m", "pytest", "-q", *WITHOUT, *arguments]
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"pytest {arguments} ended with {process.returncode}:\n{said.read().decode()}")
    return used.ru_utime + used.ru_stime, wall


def _folder(root: Path, count: int, kind: tuple[str, str]) -> Path:
    folder = root / f"{kind[0][:3].strip()}-{count}"
    if not folder.exists():
        folder.mkdir()
        (folder / "test_numbers.py").write_text(TEST.format(count=count, fixture=kind[0], body=kind[1]))
        (folder / "rig.toml").write_text(RIG)
        (folder / "limits.toml").write_text(PROFILE)
        profiles = "" if kind is BARE else "hil_profiles = limits.toml\n"
        (folder / "pytest.ini").write_text(f"[pytest]\n{profiles}")
    return folder


def _on_rig(root: Path, count: int) -> tuple[float, float]:
    run = tempfile.mkdtemp(dir=root, prefix="run-")
    return _cpu_s(_folder(root, count, ON_RIG), ["--rig=rig.toml", f"--run-folder={run}"])


def measure(rounds: int) -> dict[str, float]:
    """Medians over ``rounds`` alternated rounds.

    ``ms_per_test_N``: CPU per test beyond plain pytest, of N tests [ms]; ``start_ms``: what the plugin adds to a
    session without a rig [ms]; ``one_test_s``: wall time of a session of one test on the reference
    launcher's rig [s].
    """
    taken: dict[str, list[float]] = {}
    (ROOT / "build").mkdir(exist_ok=True)  # evidence is written where runs are: on the checkout's file system
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "build") as scratch:
        root = Path(scratch)
        for number in range(rounds):
            counts = (1000, 10_000) if number == 0 else (1000,)
            start_rig, start_plain = _on_rig(root, 1)[0], _cpu_s(_folder(root, 1, PLAIN), [])[0]
            for count in counts:
                plain = _cpu_s(_folder(root, count, PLAIN), [])[0] - start_plain
                rig = _on_rig(root, count)[0] - start_rig
                taken.setdefault(f"ms_per_test_{count}", []).append((rig - plain) / (count - 1) * 1e3)
            for _ in range(STARTS):
                bare = _cpu_s(_folder(root, 1, BARE), ["-p", "no:hil"])[0]
                taken.setdefault("start_ms", []).append((_cpu_s(_folder(root, 1, BARE), [])[0] - bare) * 1e3)
            run = tempfile.mkdtemp(dir=root, prefix="run-")
            one = _cpu_s(ROOT, [ONE_TEST, "--rig=rigs/sim.toml", f"--run-folder={run}"])
            taken.setdefault("one_test_s", []).append(one[1])
    return {name: statistics.median(values) for name, values in taken.items()}


def report(taken: dict[str, float]) -> list[tuple[str, float, str, str]]:
    """(what, value, unit, goal) per line."""
    return [
        ("plugin, CPU per test over plain pytest, 1 000 tests", taken["ms_per_test_1000"], "ms", "<= 1"),
        ("plugin, CPU per test over plain pytest, 10 000 tests", taken["ms_per_test_10000"], "ms", "<= 1"),
        ("plugin without --rig, start-up", taken["start_ms"], "ms", "<= 50"),
        ("session of one test on the reference launcher's rig, wall", taken["one_test_s"], "s", "<= 1.5"),
    ]
