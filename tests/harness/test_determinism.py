"""Same seed, same bytes: bus logs, instrument transcripts and events do not depend on the machine's mood."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parents[2]
TESTS = [
    "tests/launcher/test_engine_sequence.py",
    "tests/launcher/test_engine_heartbeat.py",
    "tests/launcher/test_fts_outputs.py",
]
FLIGHT = ["tests/launcher/test_flight_units.py", "-k", "test_heartbeat_lost_on_either_bus_alone"]
RECEIVER = ["tests/launcher/test_fts_logic.py", "-k", "reset and fts_a"]
STOPPED_S = 5


def start(
    folder: Path, *arguments: str, tests: Sequence[str] = TESTS, rig: str = "rigs/sim.toml", **environment: str
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", *tests, "--rig", rig, "--run-folder", str(folder)]
    return subprocess.Popen(
        [*command, "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def recorded(folder: Path, run: subprocess.Popen[str]) -> dict[str, bytes]:
    """What a finished run recorded in virtual time: everything but identity, manifest and report."""
    text, _ = run.communicate()
    assert run.returncode == 0, text
    names = [
        "events.jsonl",
        *(f"{kind}/{file.name}" for kind in ("can", "scpi", "signals") for file in (folder / kind).iterdir()),
    ]
    return {name: (folder / name).read_bytes() for name in sorted(names)}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("reference") / "run"
    return recorded(folder, start(folder, PYTHONHASHSEED="0"))


def test_a_run_records_frames_dialogues_and_events(reference: dict[str, bytes]) -> None:
    assert {"can/bus_a.log", "can/bus_b.log", "events.jsonl", "scpi/psu.log", "scpi/siggen.log"} <= reference.keys()
    assert all(reference.values())


@pytest.mark.parametrize("hash_seed", [1, 2])
def test_hash_seed_and_workers_change_no_byte(tmp_path: Path, reference: dict[str, bytes], hash_seed: int) -> None:
    workers = "2" if hash_seed % 2 else "0"
    run = start(tmp_path / "run", "-n", workers, PYTHONHASHSEED=str(hash_seed))
    assert recorded(tmp_path / "run", run) == reference


def test_a_flight_is_the_same_to_the_last_byte(tmp_path: Path) -> None:
    runs = {seed: start(tmp_path / seed, tests=FLIGHT, PYTHONHASHSEED=seed) for seed in ("0", "7")}
    first, second = (recorded(tmp_path / seed, run) for seed, run in runs.items())
    assert {"can/bus_a.log", "can/bus_b.log", "signals/model.tilt_deg.npy"} <= first.keys()
    assert first == second


def test_a_receiver_as_rtl_is_the_same_to_the_last_byte(tmp_path: Path, hdl: Callable[[str], str]) -> None:
    hdl("verilator")
    runs = {
        seed: start(tmp_path / seed, tests=RECEIVER, rig="rigs/rtl_flight.toml", PYTHONHASHSEED=seed)
        for seed in ("0", "7")
    }
    first, second = (recorded(tmp_path / seed, run) for seed, run in runs.items())
    assert b'"evidence_class":"rtl"' in first["events.jsonl"].replace(b" ", b"")
    assert first == second


def test_load_on_every_core_changes_no_byte(tmp_path: Path, reference: dict[str, bytes]) -> None:
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(burner.wait)
            stack.callback(burner.kill)
        assert recorded(tmp_path / "run", start(tmp_path / "run")) == reference


def test_a_process_that_stands_still_for_seconds_changes_no_byte(tmp_path: Path, reference: dict[str, bytes]) -> None:
    run = start(tmp_path / "run")
    parts = tmp_path / "run" / "parts"
    while run.poll() is None and not (parts / "0001").exists():
        os.sched_yield()
    run.send_signal(signal.SIGSTOP)
    subprocess.run(["sleep", str(STOPPED_S)], check=True)
    run.send_signal(signal.SIGCONT)
    assert recorded(tmp_path / "run", run) == reference


def test_another_seed_gives_other_bytes(tmp_path: Path, reference: dict[str, bytes]) -> None:
    other = recorded(tmp_path / "run", start(tmp_path / "run", "--rig-seed", "2"))
    assert other["events.jsonl"] != reference["events.jsonl"]
