"""A sampled input: words at a fixed rate, made here of tones, noise and a level, so that no sample crosses the socket.

The wrapper plays a block of samples; this refills it. What the host says acts from the next sample on; the phase of a
tone counts from power-up, so that the same tones give the same samples whenever they are switched.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cocotb
import numpy as np

from hil.rtl.wrapper import SAMPLES_BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Samples:
    """The source of one sampled input; see :class:`hil.rtl.peer.server.Peripheral`.

    A command is JSON: ``{"tones": [[hz, amplitude_lsb], ...], "noise_lsb": rms, "level_lsb": mean}``; with
    ``"anew": true`` the next sample is the first one again, of tones and of noise.
    """

    def __init__(self, top: Any, binding: dict[str, Any], post: Callable[[bytes], None], period_ps: int) -> None:
        del post
        port = binding["port"]
        self._block, self._left = getattr(top, f"{port}_block"), getattr(top, f"{port}_left")
        self._empty = getattr(top, f"{port}_empty")
        self._bits = len(getattr(top, port))
        clocks = round(1e12 / binding["rate_hz"] / period_ps)
        self._interval_s = clocks * period_ps * 1e-12
        self._seed = int(binding.get("seed", 0))
        self._rng = np.random.Generator(np.random.PCG64(self._seed))
        self._tones: list[tuple[float, float]] = []
        self._noise_lsb = self._level_lsb = 0.0
        self._end = 0  # number of the first sample after the block
        self._noise: NDArray[np.float64] = np.zeros(SAMPLES_BLOCK)
        self._index = np.arange(SAMPLES_BLOCK)

    def start(self) -> None:
        """Fill the first block."""
        self._refill()
        cocotb.start_soon(self._run())

    def command(self, payload: bytes) -> None:
        """Change tones, noise and level from the next sample on; what is not named stays."""
        told = json.loads(payload)
        self._tones = [(float(hz), float(amplitude)) for hz, amplitude in told.get("tones", self._tones)]
        self._noise_lsb = float(told.get("noise_lsb", self._noise_lsb))
        self._level_lsb = float(told.get("level_lsb", self._level_lsb))
        played = SAMPLES_BLOCK - int(self._left.value)
        if told.get("anew"):
            self._begin_anew(played)
        self._write(played)

    def _begin_anew(self, played: int) -> None:
        """Number ``played`` of the block becomes the first sample of all."""
        self._end = SAMPLES_BLOCK - played
        self._rng = np.random.Generator(np.random.PCG64(self._seed))
        self._noise = np.concatenate([np.zeros(played), self._rng.standard_normal(SAMPLES_BLOCK - played)])

    async def _run(self) -> None:
        while True:
            await self._empty.value_change
            self._refill()

    def _refill(self) -> None:
        self._end += SAMPLES_BLOCK
        self._noise = self._rng.standard_normal(SAMPLES_BLOCK)
        self._write(0)

    def _write(self, played: int) -> None:
        """Compute the block's samples from number ``played`` on and hand them to the wrapper."""
        count = SAMPLES_BLOCK - played
        values = self._level_lsb + self._noise_lsb * self._noise[played:]
        if self._tones:
            time_s = (self._end - SAMPLES_BLOCK + self._index[played:]) * self._interval_s
            for hz, amplitude in self._tones:
                values = values + amplitude * np.sin(2.0 * np.pi * np.mod(hz * time_s, 1.0))
        top = (1 << self._bits - 1) - 1
        words = np.clip(np.rint(values), -top - 1, top).astype(np.int64) & ((1 << self._bits) - 1)
        packed = 0
        for word in words[::-1].tolist():
            packed = packed << self._bits | word
        self._block.value = packed
        self._left.value = count
