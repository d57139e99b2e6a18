"""Block tests of the engine controller's FPGA core with votes and heartbeat watch switched off, scaled major cycle."""

from __future__ import annotations

from pathlib import Path

import cocotb
from engine_bench import Bench
from engine_scenarios import EVENTS, PHASES, flight

BLOCK = "../../../fixtures/hil_launcher/rtl/engine_core.toml"
AS_BUILT = "engine_simple.toml"
SIMULATORS = ("icarus", "verilator")
WALL_LIMIT_S = 300.0


@cocotb.test()
async def test_what_is_switched_off_does_nothing(dut):
    """Every event in its phases, with votes and watch switched off: outputs and messages are those of the reference."""
    bench = Bench(dut, Path(__file__).parent / AS_BUILT, cocotb.RANDOM_SEED)
    for scenario in EVENTS:
        await flight(bench, scenario, PHASES[scenario][-1])
