"""Block tests of the receivers' FPGA with flipped bits in its voted latches."""

from __future__ import annotations

from pathlib import Path

import cocotb
from fts_bench import Bench

BLOCK = "../../../fixtures/hil_launcher/rtl/fts_receiver.toml"
AS_BUILT = "../../../fixtures/hil_launcher/as_built/fts_a.toml"
SIMULATORS = ("icarus", "verilator")
UPSETS = True

BUILT = Path(__file__).parent / AS_BUILT
ARM, SHUTDOWN = 1, 4


@cocotb.test()
async def test_a_flipped_latch_is_voted_out_and_reported(dut):
    """Each bit of each copy is flipped in turn, armed: no output moves, the copies agree again, the report says so."""
    bench = Bench(dut, BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    await bench.command("ARM")
    latch = dut.dut.u_logic.u_latch
    copies = [getattr(latch, f"copy_{copy}_q") for copy in "abc"]
    held = int(copies[0].value)
    for copy in copies:
        for bit in range(len(copy)):
            copy.value = held ^ 1 << bit
            await bench.tones({}, 8)
            assert [int(each.value) for each in copies] == [held] * 3
            assert bench.on == ARM | SHUTDOWN
            assert bench.reports[-1].upset
            await bench.tones({}, 4)
    assert not bench.reports[0].upset
