"""Block tests of the receivers' tone filters: every power is that of the bit-exact model."""

from __future__ import annotations

from pathlib import Path

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge
from fts_bench import TONES_HZ, Audio, as_built, clocks

from hil.noise import Streams
from hil.rtl.cover import cover
from hil_launcher.models.fts.bit_exact import ToneFilterBank
from hil_launcher.models.fts.rtl_parameters import decoder_numbers

BLOCK = "fts_filter.toml"
AS_BUILT = "../../../fixtures/hil_launcher/as_built/fts_a.toml"
SIMULATORS = ("icarus", "verilator")
REQUIREMENTS = ("FTS-R-22", "FTS-R-30", "FTS-R-37")

BUILT = as_built(Path(__file__).parent / AS_BUILT)
NUMBERS = decoder_numbers(BUILT)
TONES = len(NUMBERS.on)
WORK_CLOCKS = 2 * (TONES + 1) + NUMBERS.taps + 3
"""Clocks from one sample to the next that the filters need."""


async def started(dut) -> None:
    """Release the reset and wait until samples are taken."""
    await FallingEdge(dut.clk)
    dut.rst_n.value = 0
    await clocks(4)
    dut.rst_n.value = 1
    await clocks(600)


async def powers_of(dut, samples: list[int], pauses: list[int]) -> np.ndarray:
    """Give samples [LSB], each with the clocks until the next; the powers that come out, one row a hop."""
    found: list[int] = []

    async def take() -> None:
        while True:
            await dut.power_valid_o.rising_edge
            await FallingEdge(dut.clk)
            if int(dut.channel_o.value) < TONES:
                assert int(dut.channel_o.value) == len(found) % TONES, "the channels come out of order"
                found.append(int(dut.power_o.value))

    taking = cocotb.start_soon(take())
    for sample, pause in zip(samples, pauses, strict=True):
        dut.sample_i.value = sample & 0x3FFF
        dut.valid_i.value = 1
        await clocks(1)
        dut.valid_i.value = 0
        await clocks(pause - 1)
    taking.cancel()
    return np.array(found).reshape(-1, TONES)


def random_audio(rng: np.random.Generator, hops: int) -> list[int]:
    """Stretches of random tones in random noise, from nothing at all to far beyond full scale."""
    audio, samples = Audio(BUILT, rng), []
    while len(samples) < hops * NUMBERS.hop:
        numbers = rng.choice(list(TONES_HZ), size=rng.integers(4), replace=False)
        tones = {TONES_HZ[int(number)] * rng.uniform(0.95, 1.05): 10.0 ** rng.uniform(0.0, 2.0) for number in numbers}
        for deviation_khz in tones.values():
            cover("fts.deviation", float(deviation_khz))
        noise_khz = float(rng.choice([0.0, 2.0, 40.0, 300.0]))
        samples += audio.samples(int(rng.integers(1, 20 * NUMBERS.hop)), tones, noise_khz).tolist()
    return samples[: hops * NUMBERS.hop]


@cocotb.test()
async def test_every_power_is_that_of_the_model_to_the_last_bit(dut):
    """Random audio, samples at random distances: every power of every tone is the model's."""
    rng = Streams(cocotb.RANDOM_SEED).stream("tone_filter", "stimulus")
    samples = random_audio(rng, 300)
    pauses = [40 if regular else int(rng.integers(WORK_CLOCKS, 60)) for regular in rng.random(len(samples)) < 0.8]
    await started(dut)
    found = await powers_of(dut, samples, pauses)
    wanted = ToneFilterBank(NUMBERS).powers(samples)
    assert found[0].tolist() == [0] * TONES, "the filters remember something from before"
    assert found[1:].tolist() == wanted[: len(found) - 1].tolist()


@cocotb.test()
async def test_full_scale_does_not_overflow(dut):
    """The strongest audio there can be, in step with a tone, gives the model's powers: no sum wraps around."""
    await started(dut)
    for step in NUMBERS.steps:
        phase = np.arange(30 * NUMBERS.hop) * step >> 23 & 1
        samples = np.where(phase, -8192, 8191).tolist()
        found = await powers_of(dut, samples, [40] * len(samples))
        assert found.max() > 16 * max(NUMBERS.on)
        dut.rst_n.value = 0
        await clocks(4)
        dut.rst_n.value = 1
        await clocks(600)
        assert found[1:].tolist() == ToneFilterBank(NUMBERS).powers(samples)[: len(found) - 1].tolist()


@cocotb.test()
async def test_samples_are_lost_while_the_memory_is_cleared(dut):
    """After a reset nothing of what was heard before is left, and samples count from when the memory is clear."""
    rng = Streams(cocotb.RANDOM_SEED).stream("tone_filter", "stimulus")
    await started(dut)
    await powers_of(dut, random_audio(rng, 20), [40] * 20 * NUMBERS.hop)
    dut.rst_n.value = 0
    await clocks(4)
    dut.rst_n.value = 1
    early = random_audio(rng, 1)[:6]  # 240 clocks: the memory has 256 words
    assert len(await powers_of(dut, early, [40] * len(early))) == 0
    await clocks(40)
    samples = random_audio(rng, 30)
    found = await powers_of(dut, samples, [40] * len(samples))
    assert found[1:].tolist() == ToneFilterBank(NUMBERS).powers(samples)[: len(found) - 1].tolist()
