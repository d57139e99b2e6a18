"""Block tests of the engine controller's FPGA core with every as-built number another one, on a scaled major cycle."""

from __future__ import annotations

from pathlib import Path

import cocotb
from engine_bench import Bench
from engine_scenarios import EVENTS, PHASES, flight

from hil_launcher.models.engine.states import State

BLOCK = "../../../fixtures/hil_launcher/rtl/engine_core.toml"
AS_BUILT = "engine_variant.toml"
SIMULATORS = ("icarus", "verilator")
WALL_LIMIT_S = 300.0


@cocotb.test()
async def test_every_parameter_means_what_the_reference_takes_it_for(dut):
    """Every event in its phases, with the numbers of the variant: outputs and messages are those of the reference."""
    bench = Bench(dut, Path(__file__).parent / AS_BUILT, cocotb.RANDOM_SEED)
    for scenario in EVENTS:
        await flight(bench, scenario, PHASES[scenario][-1])
    for scenario, phase in (("pc high", "standby"), ("fast", "checkout")):  # where only these numbers arm a redline
        await flight(bench, scenario, phase)


@cocotb.test()
async def test_a_start_forgets_what_the_redlines_have_counted(dut):
    """A redline armed in standby and in ignition, beyond its limit in both: the count begins anew with the start."""
    bench = Bench(dut, Path(__file__).parent / AS_BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    for _ in range(16):
        await bench.cycle()
    assert bench.state is State.STANDBY
    bench.engine.quantities["fast"] = 1.02 * bench.as_built.redline.pump_speed_high_rpm
    await bench.cycle()
    await bench.cycle(*bench.command("START"))
    assert bench.state is State.IGNITION
    await bench.cycle()
    assert bench.state is State.SAFE
