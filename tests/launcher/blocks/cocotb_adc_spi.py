"""Block tests of the converter's master: timing on its four wires, and that every code arrives where it belongs."""

from __future__ import annotations

from itertools import pairwise

import cocotb
from cocotb.triggers import FallingEdge, First, Timer
from cocotb.utils import get_sim_time

from hil.noise import Streams

BLOCK = "../../../fixtures/hil_launcher/rtl/adc_spi.toml"
SIMULATORS = ("icarus", "verilator")

PERIOD_NS = 125
CHANNELS, HALF_CLOCKS = 11, 4
SCAN_CLOCKS = 1600
"""What the core allows for a scan (SCAN_CLOCKS of engine_core.sv)."""


class Converter:
    """A converter after the data sheets of its kind: it takes bits at rising edges, changes its own at falling ones.

    Args:
        dut: cocotb's handle of the wrapper.
        codes: what it converts, by channel.
    """

    def __init__(self, dut, codes: list[int]) -> None:
        self.dut = dut
        self.codes = codes
        self.asked: list[int] = []
        """The channels it was asked for, frame by frame."""
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, clock, channel = self.dut, 0, 0
        sclk_rises, sclk_falls, selected = dut.sclk_o.rising_edge, dut.sclk_o.falling_edge, dut.cs_n_o.falling_edge
        while True:
            edge = await First(sclk_rises, sclk_falls, selected)
            if edge is selected:
                clock = channel = 0
            elif edge is sclk_rises and clock < 4:
                channel = channel << 1 | int(dut.mosi_o.value)
            elif edge is sclk_falls:
                clock += 1
                if 4 <= clock < 16:
                    dut.miso_i.value = self.codes[channel] >> (15 - clock) & 1
                elif clock == 16:
                    self.asked.append(channel)


async def start(dut) -> None:
    """Out of the reset; ends in the middle of a clock."""
    await Timer(4 * PERIOD_NS, "ns")
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1


async def scan(dut, clocks: int = SCAN_CLOCKS) -> None:
    """Ask for a scan, and wait."""
    dut.scan_i.value = 1
    await Timer(PERIOD_NS, "ns")
    dut.scan_i.value = 0
    await Timer((clocks - 1) * PERIOD_NS, "ns")


def codes_of(dut) -> list[int]:
    """What the master has heard, by channel."""
    heard = int(dut.codes_o.value)
    return [heard >> 12 * channel & 0xFFF for channel in range(CHANNELS)]


@cocotb.test()
async def test_every_channel_is_converted_once_and_heard_right(dut):
    """Random codes of all channels arrive in their places within the time the core allows, scan after scan."""
    rng = Streams(cocotb.RANDOM_SEED).stream("adc_spi", "codes")
    await start(dut)
    converter = Converter(dut, [])
    for _ in range(20):
        converter.codes, converter.asked = [int(code) for code in rng.integers(0, 4096, 16)], []
        await scan(dut)
        assert converter.asked == list(range(CHANNELS))
        assert codes_of(dut) == converter.codes[:CHANNELS]
        assert int(dut.cs_n_o.value) == 1


@cocotb.test()
async def test_the_four_wires_keep_their_times(dut):
    """SCLK is 1 MHz, low outside frames; MOSI stands still while SCLK is high; CS_N frames 16 clocks, with a pause."""
    await start(dut)
    Converter(dut, [0xA5A] * 16)
    edges = {"cs_n_o": [], "sclk_o": [], "mosi_o": []}

    async def watch(name):
        pin = getattr(dut, name)
        while True:
            await pin.value_change
            edges[name].append((round(get_sim_time("ns") / PERIOD_NS, 1), int(pin.value)))

    for name in edges:
        cocotb.start_soon(watch(name))
    await scan(dut)
    falls, rises = ([at for at, level in edges["cs_n_o"] if level == wanted] for wanted in (0, 1))
    assert len(falls) == len(rises) == CHANNELS
    assert {rise - fall for fall, rise in zip(falls, rises, strict=True)} == {33 * HALF_CLOCKS}
    assert {fall - rise for fall, rise in zip(falls[1:], rises, strict=False)} == {3 * HALF_CLOCKS}
    ups = [at for at, level in edges["sclk_o"] if level]
    assert len(ups) == 16 * CHANNELS
    assert [ups[16 * frame] - falls[frame] for frame in range(CHANNELS)] == [HALF_CLOCKS] * CHANNELS
    assert {after - before for before, after in pairwise(ups)} == {8, 8 + 4 * HALF_CLOCKS}
    assert all(not up <= at < up + HALF_CLOCKS for at, _ in edges["mosi_o"] for up in ups)


@cocotb.test()
async def test_a_scan_given_up_does_not_spoil_the_next(dut):
    """A new scan begins at any time during one, and hears every channel right."""
    rng = Streams(cocotb.RANDOM_SEED).stream("adc_spi", "again")
    await start(dut)
    converter = Converter(dut, [0] * 16)
    for clocks in rng.integers(2, SCAN_CLOCKS - 4, 30):
        converter.codes = [int(code) for code in rng.integers(0, 4096, 16)]
        await scan(dut, int(clocks))
        await scan(dut)
        assert converter.asked[-CHANNELS:] == list(range(CHANNELS))
        assert codes_of(dut) == converter.codes[:CHANNELS]
