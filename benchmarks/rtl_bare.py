"""A bare cocotb test of a design behind its wrapper: what RTL costs without any exchange with another process."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import cocotb
from cocotb.triggers import Timer


@cocotb.test()
async def run(top: object) -> None:
    """Let the design run freely, then in steps with one output read after each; leaves both wall times."""
    period_ps, steps, cycles = (int(os.environ[f"BENCH_{name}"]) for name in ("PERIOD_PS", "STEPS", "CYCLES"))
    await Timer(100 * period_ps, "ps")
    start = time.perf_counter()
    await Timer(steps * cycles * period_ps, "ps")
    free_s = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(steps):
        await Timer(cycles * period_ps, "ps")
        str(top.hil_out.value)  # type: ignore[attr-defined]  # the wrapper's, which pyright cannot know
    stepped_s = time.perf_counter() - start
    Path(os.environ["BENCH_FILE"]).write_text(json.dumps({"free_s": free_s, "stepped_s": stepped_s}))
