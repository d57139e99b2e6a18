"""Block tests of a small VHDL design: the same way of writing as for Verilog."""

import random

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge

BLOCK = "hold.toml"
SIMULATORS = ("ghdl",)
CLOCKS = 5


async def start(dut):
    """Release the reset; ends in the middle of a clock, where inputs may change and outputs are read."""
    await ClockCycles(dut.clk, 3)
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1


@cocotb.test()
async def test_an_input_counts_after_five_clocks(dut):
    """The output rises five clocks after the input and falls one clock after it."""
    await start(dut)
    dut.level_i.value = 1
    clocks = 0
    while not int(dut.held_o.value):
        await FallingEdge(dut.clk)
        clocks += 1
    assert clocks == CLOCKS
    dut.level_i.value = 0
    await FallingEdge(dut.clk)
    assert int(dut.held_o.value) == 0


@cocotb.test()
@cocotb.parametrize(longest=[3, 9])
async def test_any_input_is_followed_as_the_model_says(dut, longest):
    """Pulses and gaps of random length: the output is what a model in Python says, on every clock."""
    await start(dut)
    count = 0
    for _ in range(40):
        level = random.randrange(2)
        dut.level_i.value = level
        for _ in range(random.randint(1, longest)):
            await FallingEdge(dut.clk)
            count = min(count + 1, CLOCKS) if level else 0
            assert int(dut.held_o.value) == (count == CLOCKS)
