"""A bench for the receivers' FPGA: audio made of tones and noise, its lines, and the reference model beside it.

It works in the middle of clocks: inputs change and outputs are read at falling edges. Time is counted in hops; the
decision on a hop is out by the ninth sample of the next one, and is judged there.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, Timer

from hil.noise import Streams
from hil.rtl.cover import cover
from hil_launcher.models.fts.as_built import FtsAsBuilt
from hil_launcher.models.fts.bit_exact import CommandDecoder, ToneFilterBank
from hil_launcher.models.fts.fpga_report import FpgaReport, FpgaReportReader
from hil_launcher.models.fts.rtl_parameters import decoder_numbers

if TYPE_CHECKING:
    from pathlib import Path

PERIOD_NS = 500
SAMPLE_CLOCKS = 40
SAMPLE_HZ = 50e3
JUDGED = 8
"""Sample of a hop with which the decision on the hop before is out."""
UNLATCHED = 11
"""Sample of the third hop in which a reset line held from the first one on clears the latches."""
TONES_HZ = {1: 7500.0, 2: 8460.0, 3: 9540.0, 4: 10760.0, 5: 12140.0}
COMMANDS = {"ARM": (1, 5), "TERMINATE": (1, 2), "OPTIONAL": (2, 5), "CHECK": (4,)}
LINES = ("arm_o", "terminate_o", "shutdown_o")
BIT_NS = 8000


def as_built(file: Path, **changes: object) -> FtsAsBuilt:
    """As-built data from a file, some of them changed."""
    return FtsAsBuilt.model_validate(tomllib.loads(file.read_text()) | changes)


class Audio:
    """Samples of tones and noise, as the demodulator gives them.

    Args:
        built: the receiver.
        rng: where the noise comes from.
    """

    def __init__(self, built: FtsAsBuilt, rng: np.random.Generator) -> None:
        self._lsb_per_khz = built.demodulator.audio_lsb_per_khz
        self._rng = rng
        self._taken = 0

    def samples(self, count: int, tones: dict[float, float], noise_khz: float) -> np.ndarray:
        """The next samples [LSB] of tones (frequency [Hz]: deviation [kHz]) in noise (rms deviation [kHz])."""
        time_s = (self._taken + np.arange(count)) / SAMPLE_HZ
        self._taken += count
        khz = noise_khz * self._rng.standard_normal(count)
        for hz, deviation_khz in tones.items():
            khz += deviation_khz * np.sin(2.0 * np.pi * hz * time_s)
        return np.clip(np.rint(khz * self._lsb_per_khz), -8192, 8191).astype(int)


class Bench:
    """The whole FPGA, its reference and what is around it.

    Args:
        dut: cocotb's handle of the wrapper.
        file: as-built data of the receiver.
        seed: of the stimulus.
    """

    def __init__(self, dut, file: Path, seed: int) -> None:
        self.dut = dut
        self.built = as_built(file)
        self.numbers = decoder_numbers(self.built)
        self.names = list(self.built.commands)
        self.rng = Streams(seed).stream("fts_fpga", "stimulus")
        self.audio = Audio(self.built, self.rng)
        self.reports: list[FpgaReport] = []
        self.judges = True
        """Whether tones and outputs must be those of the reference, and the serial line without errors."""
        self.played = 0
        """Hops so far."""

    async def reset(self) -> None:
        """Start over, FPGA and reference; ends when the FPGA takes samples."""
        self.reference = CommandDecoder(self.numbers)
        self._bank = ToneFilterBank(self.numbers)
        self._unheard = np.zeros((0, len(self.numbers.on)), dtype=np.int64)
        dut = self.dut
        await FallingEdge(dut.clk)
        dut.rst_n.value = 0
        for name in ("unlatch_i", "self_test_i", "audio_valid_i"):
            getattr(dut, name).value = 0
        dut.latch_good_i.value = 1
        await clocks(16)
        listening = cocotb.start_soon(self._listen())
        dut.rst_n.value = 1
        await clocks(600)
        assert not listening.done()

    # -- audio -----------------------------------------------------------------------------------------------

    async def tones(self, tones: dict[float, float], hops: int, *, noise_khz: float = 2.0) -> None:
        """Play tones (frequency [Hz]: deviation [kHz]) for some hops, and judge every decision."""
        for _ in range(hops):
            await self._hop(self.audio.samples(self.numbers.hop, tones, noise_khz))

    async def command(self, name: str, *, hops: int = 60, khz: float = 30.0) -> None:
        """Play a command, then silence until its tones are gone."""
        await self.tones({TONES_HZ[number]: khz for number in COMMANDS[name]}, hops)
        await self.tones({}, 15)

    async def _hop(self, samples: np.ndarray) -> None:
        for index, sample in enumerate(samples.tolist()):
            await self.sample(sample)
            if index == JUDGED and len(self._unheard):
                self._judge()
        self._unheard = self._bank.powers(samples)
        self.played += 1

    async def sample(self, value: int) -> None:
        """Give one sample [LSB], and its time."""
        self.dut.audio_i.value = value & 0x3FFF
        self.dut.audio_valid_i.value = 1
        await clocks(1)
        self.dut.audio_valid_i.value = 0
        await clocks(SAMPLE_CLOCKS - 1)

    # -- judgement -------------------------------------------------------------------------------------------

    @property
    def on(self) -> int:
        """Mask of the outputs that are high: 1 ARM, 2 TERMINATE, 4 shutdown."""
        return sum(int(getattr(self.dut, name).value) << bit for bit, name in enumerate(LINES))

    def _judge(self) -> None:
        reference = self.reference
        accepted = reference.decide(self._unheard[0])
        if not int(self.dut.latch_good_i.value):
            reference.clear()
        heard, told = int(self.dut.tones_o.value), self.on
        if self.judges:
            where = f"hop {self.played}"
            assert heard == reference.present, f"{where}: hears {heard:04b} instead of {reference.present:04b}"
            assert told == reference.outputs, f"{where}: outputs {told:03b} instead of {reference.outputs:03b}"
        self._cover(heard, accepted)

    def _cover(self, heard: int, accepted: int) -> None:
        numbers = [str(number) for bit, number in enumerate(self.built.tones_hz) if heard >> bit & 1]
        cover("fts.tones", "+".join(numbers) or "none")
        for bit, name in enumerate(self.names):
            if accepted >> bit & 1:
                cover("fts.command", name)
            elif self.reference.refused >> bit & 1:
                cover("fts.refused", name)

    # -- lines -----------------------------------------------------------------------------------------------

    async def unlatch(self, tones: dict[float, float] | None = None) -> None:
        """Hold the reset line from the beginning of a hop, for long enough; the latches are cleared in the third."""
        self.dut.unlatch_i.value = 1
        await self.tones(tones or {}, 2)
        samples = self.audio.samples(self.numbers.hop, tones or {}, 2.0)
        if self.reference.accepted:
            cover("fts.cleared", "reset line")
        for index, sample in enumerate(samples.tolist()):
            await self.sample(sample)
            if index == JUDGED:
                self._judge()
            if index == UNLATCHED:
                self.reference.clear()
                assert self.on == 0
        self._unheard = self._bank.powers(samples)
        self.played += 1
        self.dut.unlatch_i.value = 0
        await self.tones(tones or {}, 1)

    async def drop_latch_supply(self, tones: dict[float, float], hops: int) -> None:
        """The supply of the latches fails for some hops."""
        if self.reference.accepted:
            cover("fts.cleared", "latch supply")
        self.dut.latch_good_i.value = 0
        await self.tones(tones, hops)
        assert self.on == 0
        self.dut.latch_good_i.value = 1

    async def _listen(self) -> None:
        """Take the messages of the serial line."""
        line, reader = self.dut.status_tx_o, FpgaReportReader()
        while True:
            await line.falling_edge
            await Timer(BIT_NS // 2, "ns")
            byte = 0
            for bit in range(8):
                await Timer(BIT_NS, "ns")
                byte |= int(line.value) << bit
            await Timer(BIT_NS, "ns")
            assert int(line.value) == 1 or not self.judges, "a byte without its stop bit"
            self.reports += reader.take(bytes([byte]))


async def clocks(count: int) -> None:
    """Let clocks pass."""
    await Timer(count * PERIOD_NS, "ns")
