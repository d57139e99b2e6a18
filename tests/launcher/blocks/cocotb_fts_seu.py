"""Block tests of what single flipped bits do in the receivers' FPGA: nothing at TERMINATE, and nothing that stays."""

from __future__ import annotations

import tomllib
from pathlib import Path

import cocotb
from fts_bench import COMMANDS, TONES_HZ, Bench, clocks

BLOCK = "../../../fixtures/hil_launcher/rtl/fts_receiver.toml"
AS_BUILT = "../../../fixtures/hil_launcher/as_built/fts_a.toml"
REQUIREMENTS = ("FTS-R-32", "FTS-R-33")

FOLDER = Path(__file__).parent
ARM, SHUTDOWN, ALL = 1, 4, 7
REGISTERS = sorted(tomllib.loads((FOLDER / BLOCK).read_text())["upsets"]["registers"])


def register(dut, name: str):
    """A register by its name below the top."""
    handle = dut.dut
    for part in name.split("."):
        bare, _, index = part.partition("[")
        handle = getattr(handle, bare)
        handle = handle[int(index.rstrip("]"))] if index else handle
    return handle


async def flip(bench: Bench, name: str) -> str:
    """Flip any bit of a register, at any clock of a sample's time; says which."""
    await clocks(int(bench.rng.integers(1, 40)))
    handle = register(bench.dut, name)
    bit = int(bench.rng.integers(len(handle)))
    handle.value = int(handle.value) ^ 1 << bit
    await clocks(1)
    return f"{name} bit {bit}"


@cocotb.test()
@cocotb.parametrize(heard=["silence", "half", "arm"])
async def test_no_flipped_bit_makes_terminate(dut, heard):
    """An armed receiver that hears nothing, half of a TERMINATE, or ARM: single upsets every 4 ms never terminate."""
    numbers = {"silence": (), "half": (1,), "arm": COMMANDS["ARM"]}[heard]
    bench = Bench(dut, FOLDER / AS_BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    await bench.command("ARM")
    bench.judges = False
    for _ in range(40):
        flipped = await flip(bench, str(bench.rng.choice(REGISTERS)))
        await bench.tones({TONES_HZ[number]: 30.0 for number in numbers}, 10)
        assert bench.on == ARM | SHUTDOWN, flipped
    await bench.tones({}, 40)
    await bench.command("TERMINATE")
    assert bench.on == ALL


@cocotb.test()
async def test_a_decoder_full_of_wrong_bits_is_right_again_by_itself(dut):
    """After a flip in every register but the latches, and silence for 50 ms, commands are decoded as ever."""
    bench = Bench(dut, FOLDER / AS_BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    await bench.tones({}, 2)
    bench.judges = False
    for name in REGISTERS:
        if "u_latch" not in name:
            await flip(bench, name)
    await bench.tones({}, 125)
    assert bench.on == 0
    await bench.command("ARM")
    await bench.command("TERMINATE")
    assert bench.on == ALL
    count = len(bench.reports)
    await bench.tones({}, 130)
    assert len(bench.reports) > count
