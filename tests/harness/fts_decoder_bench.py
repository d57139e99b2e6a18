"""The decoder of receiver A as integers, and audio for it: what the tests of the decoder are made of."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

import numpy as np

from hil_launcher.models.fts.as_built import FtsAsBuilt
from hil_launcher.models.fts.bit_exact import CommandDecoder, DecoderNumbers, ToneFilterBank
from hil_launcher.models.fts.rtl_parameters import decoder_numbers

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
TONES_HZ = {1: 7500.0, 2: 8460.0, 3: 9540.0, 4: 10760.0, 5: 12140.0}
ARM, TERMINATE, OPTIONAL = 1, 2, 4
"""The commands in masks."""
RATE_HZ = 50e3
BLOCK = 100_000


def as_built(receiver: str = "a", **changes: object) -> FtsAsBuilt:
    """As-built data of a receiver, some of them changed."""
    tree = tomllib.loads((LAUNCHER / "as_built" / f"fts_{receiver}.toml").read_text())
    assert changes.keys() <= tree.keys()
    return FtsAsBuilt.model_validate(tree | changes)


@functools.cache
def numbers(receiver: str = "a") -> DecoderNumbers:
    """What the decoder of a receiver is made of, as built."""
    return decoder_numbers(as_built(receiver))


class Decoder:
    """Filters and command logic together, fed with audio as deviations.

    Args:
        made_of: what the decoder is made of.
        lsb_per_khz: gain of the demodulator.
        armed: whether an ARM was accepted before.
    """

    def __init__(self, made_of: DecoderNumbers, *, lsb_per_khz: float = 40.0, armed: bool = False) -> None:
        self._bank = ToneFilterBank(made_of)
        self._lsb_per_khz = lsb_per_khz
        self.hop = made_of.hop
        self.logic = CommandDecoder(made_of)
        self.logic.accepted = ARM if armed else 0
        self.decisions = 0

    def hear(self, khz: np.ndarray) -> list[tuple[int, int]]:
        """Take samples of deviation [kHz]; what was accepted: (decision counted from 0, mask of commands)."""
        lsb = np.clip(np.rint(khz * self._lsb_per_khz), -8192, 8191).astype(np.int32)
        powers = self._bank.powers(lsb)
        before = self.decisions
        self.decisions += len(powers)
        return [(before + index, accepted) for index, accepted in self.logic.run(powers)]

    def hear_noise(self, rng: np.random.Generator, decisions: int, *, khz: float) -> list[tuple[int, int]]:
        """Take white noise of an rms deviation [kHz]; as :meth:`hear`."""
        accepted: list[tuple[int, int]] = []
        for _ in range(-(-decisions * self.hop // BLOCK)):
            accepted += self.hear(khz * rng.standard_normal(BLOCK, dtype=np.float32))
        return accepted


def tones_khz(count: int, *tones: float, khz: float = 30.0, phases: object = 0.0) -> np.ndarray:
    """Samples of deviation [kHz] of tones [Hz], each with a peak deviation [kHz]."""
    time_s = np.arange(count)[:, np.newaxis] / RATE_HZ
    return khz * np.sin(2.0 * np.pi * (time_s * np.array(tones)[np.newaxis, :] + phases)).sum(axis=1)
