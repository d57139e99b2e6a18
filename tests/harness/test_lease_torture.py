"""Whoever is killed or stopped when: never two drivers, never stuck longer than the time to live."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import numpy as np
from lease_worker import LINE

from hil.clock import Stopwatch

CYCLES = int(os.environ.get("HIL_TORTURE_CYCLES", "30"))
SEED = 5
TTL_S = 0.1
WORKER = Path(__file__).with_name("lease_worker.py")
STUCK_S = TTL_S + 2.0  # the kill, and a loaded machine that has to start workers


def drives(witness: Path, first: int = 0) -> list[tuple[int, int]]:
    """Token and process of each write to the rig, in their order, from a line on (as an index)."""
    if not witness.exists():
        return []
    with witness.open("rb") as file:
        lines = file.seek(0, os.SEEK_END) // LINE
        file.seek(max(first + lines * (first < 0), 0) * LINE)
        content = file.read()
    found = (content[at : at + LINE].split() for at in range(0, len(content) // LINE * LINE, LINE))
    return [(int(token), int(pid)) for token, pid in found]


def pause(duration_s: float) -> None:
    select.select([], [], [], duration_s)


def next_driver(witness: Path, after: int) -> tuple[int, int, float]:
    """The first write with a token above ``after``, and how long it took to come [s]."""
    watch = Stopwatch()
    while watch.elapsed_s < 10 * STUCK_S:
        last = drives(witness, -1)[-1:]
        if last and last[0][0] > after:
            return *last[0], watch.elapsed_s
        pause(0.002)
    raise AssertionError(f"nobody drives after token {after}")


def test_holders_killed_and_stopped_at_random_never_drive_together_and_never_block_the_rig(tmp_path, capsys):
    rng = np.random.default_rng(SEED)
    witness = tmp_path / "witness"
    waits = []
    arguments = [sys.executable, str(WORKER), str(tmp_path), str(TTL_S), "0.05", "3"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None
        token = 0
        for _ in range(CYCLES):
            token, pid, _ = next_driver(witness, token)
            pause(rng.uniform(0.0, 0.04))
            nursery.stdin.write(f"{rng.choice(['kill', 'stop', 'nap'])} {pid} {rng.uniform(0.0, 2 * TTL_S)}\n")
            nursery.stdin.flush()
            token, _, waited_s = next_driver(witness, token)
            waits.append(waited_s)
        nursery.stdin.write("end\n")
    tokens = [token for token, _ in drives(witness)]

    assert tokens == sorted(tokens), "an older token drove after a newer one"
    assert len(dict(drives(witness))) == len(set(drives(witness))), "one token, two processes"
    assert max(waits) < STUCK_S
    with capsys.disabled():
        print(f" [{CYCLES} cycles, {len(set(tokens))} leases, next driver after at most {1e3 * max(waits):.0f} ms]")
