"""I/Q samples of an FM carrier: made from tones, and taken apart again. Pure functions on numpy arrays.

    phi(t) = phi_0 + sum_k  (D_k / f_k) (1 - cos 2 pi f_k t)        D_k peak deviation, f_k frequency of tone k

so that the instantaneous frequency is sum_k D_k sin 2 pi f_k t.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Samples: TypeAlias = "NDArray[np.complex128]"
"""complex128[n]  [full scale]: I + jQ."""
Real: TypeAlias = "NDArray[np.float64]"

AMPLITUDE = 0.7
"""Amplitude of a synthesised carrier [full scale]; the rest is head-room of the interpolation filter."""
_FULL_SCALE = 32_767
_WINDOW_MIN = 8_192  # samples analysed at least, when there are so many
_WINDOW_S = 0.01  # time analysed at least [s]: ten cycles of the beat of two neighbouring IRIG tones
_STATIONARY = 0.25  # relative change of the rms frequency from window to window that is still one signal
_TONES_MAX = 16
_THRESHOLD_HZ = 20.0  # deviation below which nothing is called a tone
_RELATIVE = 1e-3  # part of the strongest tone below which nothing is called a tone
_PADDING = 4  # zero padding of the spectrum, for a good first guess
_ROUNDS = 12  # Gauss-Newton rounds at most
_CONVERGED = 1e-7  # relative change of a frequency at which the fit has converged
_SILENCE = 1e-3  # amplitude below which there is no carrier [full scale]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a stretch of samples is: carrier offset [Hz], rms amplitude [full scale], (f [Hz], deviation [Hz])."""

    offset_hz: float
    amplitude: float
    tones: tuple[tuple[float, float], ...]
    residual_hz: float
    """What the tones do not explain: rms of the instantaneous frequency that is left [Hz]."""

    @property
    def silent(self) -> bool:
        """Whether there is no carrier at all."""
        return self.amplitude < _SILENCE


def synthesise(
    tones: Sequence[tuple[float, float]], count: int, sample_rate_hz: float, start_rad: float = 0.0
) -> tuple[Samples, float]:
    """Samples of an FM carrier.

    Args:
        tones: (frequency [Hz], peak deviation [Hz]) of each.
        count: number of samples.
        sample_rate_hz: sample clock [Hz].
        start_rad: phase at the first sample [rad].

    Returns:
        The samples, which may not be written to, and the phase at which the next stretch must start [rad].
    """
    return _synthesised(tuple(tones), count, sample_rate_hz, start_rad)


@functools.lru_cache(maxsize=64)  # a sweep alternates a few commands; pure, and what it returns is read-only
def _synthesised(
    tones: tuple[tuple[float, float], ...], count: int, sample_rate_hz: float, start_rad: float
) -> tuple[Samples, float]:
    t = np.arange(count + 1) / sample_rate_hz
    phase = np.full(count + 1, start_rad)
    for frequency_hz, deviation_hz in tones:
        phase += deviation_hz / frequency_hz * (1.0 - np.cos(2.0 * np.pi * frequency_hz * t))
    samples: Samples = (AMPLITUDE * np.exp(1j * phase[:-1])).astype(np.complex128)
    samples.flags.writeable = False
    return samples, float(phase[-1] % (2.0 * np.pi))


def encode(samples: Samples) -> bytes:
    """Samples as a generator takes them: 16-bit signed, most significant byte first, I and Q in turn."""
    interleaved = np.empty(2 * len(samples), dtype=">i2")
    interleaved[0::2] = np.rint(samples.real * _FULL_SCALE)
    interleaved[1::2] = np.rint(samples.imag * _FULL_SCALE)
    return interleaved.tobytes()


def decode(data: bytes) -> Samples:
    """The inverse of :func:`encode`."""
    interleaved = np.frombuffer(data, dtype=">i2").astype(np.float64) / _FULL_SCALE
    return interleaved[0::2] + 1j * interleaved[1::2]


def analyse(samples: Samples, sample_rate_hz: float) -> Analysis:
    """Find carrier offset, amplitude and tones of a stationary stretch of samples.

    The phase is unwrapped; tones are found in the spectrum of its derivative, strongest first, and refined
    together by least squares on the phase until nothing above the threshold is left.
    """
    window = samples[: _window(sample_rate_hz)]
    amplitude = float(np.sqrt(np.mean(np.abs(window) ** 2))) if len(window) else 0.0
    if amplitude < _SILENCE or len(window) < 2:
        return Analysis(0.0, amplitude, (), 0.0)
    steps = np.angle(window[1:] * np.conj(window[:-1]))
    phase = np.concatenate(([0.0], np.cumsum(steps)))
    t = np.arange(len(phase)) / sample_rate_hz
    fit = _Fit(t, phase)
    while len(fit.tones_hz) < _TONES_MAX:
        guess = _strongest(np.diff(fit.residual) * sample_rate_hz / (2.0 * np.pi), sample_rate_hz)
        strongest_hz = max((deviation for _, deviation in fit.tones()), default=0.0)
        if guess is None or guess[1] < max(_THRESHOLD_HZ, _RELATIVE * strongest_hz):
            break
        fit.add(guess[0])
    left = np.diff(fit.residual) * sample_rate_hz / (2.0 * np.pi)
    tones = tuple(sorted(tone for tone in fit.tones() if tone[1] >= _THRESHOLD_HZ))
    return Analysis(fit.offset_hz, amplitude, tones, float(np.sqrt(np.mean(left**2))))


def is_stationary(samples: Samples, sample_rate_hz: float) -> bool:
    """Whether a stretch is one signal all through: amplitude and rms frequency do not change between windows."""
    size = _window(sample_rate_hz)
    windows = [samples[start : start + size] for start in range(0, len(samples) - size + 1, size)]
    if len(windows) < 2:
        return True
    amplitudes = [float(np.sqrt(np.mean(np.abs(window) ** 2))) for window in windows]
    steps = [np.angle(window[1:] * np.conj(window[:-1])) for window in windows]
    spreads = [float(np.sqrt(np.mean(step**2))) * sample_rate_hz / (2.0 * np.pi) for step in steps]
    return _alike(amplitudes, _SILENCE) and (max(amplitudes) < _SILENCE or _alike(spreads, _THRESHOLD_HZ))


def _alike(values: Sequence[float], negligible: float) -> bool:
    return max(values) - min(values) <= max(_STATIONARY * max(values), negligible)


def _window(sample_rate_hz: float) -> int:
    return max(_WINDOW_MIN, round(_WINDOW_S * sample_rate_hz))


class _Fit:
    """Least squares of phase = c0 + c1 t + sum a_k cos w_k t + b_k sin w_k t, frequencies included."""

    def __init__(self, t: Real, phase: Real) -> None:
        self._t = t
        self._phase = phase
        self.tones_hz: Real = np.zeros(0)
        self._values: Real = np.zeros(2)
        self.residual: Real = phase
        self._solve()

    @property
    def offset_hz(self) -> float:
        """Offset of the carrier [Hz]."""
        return float(self._values[1] / (2.0 * np.pi))

    def tones(self) -> list[tuple[float, float]]:
        """(frequency [Hz], peak deviation [Hz]) of the tones found so far."""
        a, b = self._values[2::2], self._values[3::2]
        deviations = np.hypot(a, b) * self.tones_hz
        return [(float(f), float(d)) for f, d in zip(self.tones_hz, deviations, strict=True)]

    def add(self, frequency_hz: float) -> None:
        """Add a tone near ``frequency_hz`` and fit all of them again."""
        self.tones_hz = np.append(self.tones_hz, frequency_hz)
        self._solve()
        for _ in range(_ROUNDS):
            if self._refine() < _CONVERGED:
                break

    def _basis(self) -> Real:
        w = 2.0 * np.pi * np.outer(self._t, self.tones_hz)
        columns = np.empty((len(self._t), 2 + 2 * len(self.tones_hz)))
        columns[:, 0], columns[:, 1] = 1.0, self._t
        columns[:, 2::2], columns[:, 3::2] = np.cos(w), np.sin(w)
        return columns

    def _solve(self) -> None:
        basis = self._basis()
        self._values = _least_squares(basis, self._phase)
        self.residual = self._phase - basis @ self._values

    def _refine(self) -> float:
        """One Gauss-Newton round on the frequencies; the largest relative change."""
        basis = self._basis()
        a, b = self._values[2::2], self._values[3::2]
        slopes = 2.0 * np.pi * self._t[:, None] * (b * basis[:, 2::2] - a * basis[:, 3::2])
        change = _least_squares(np.hstack((basis, slopes)), self.residual)[basis.shape[1] :]
        limit = 1.0 / (self._t[-1] + self._t[1])  # never further than one bin of the spectrum
        change = np.clip(change, -limit, limit)
        self.tones_hz = np.abs(self.tones_hz + change)
        self._solve()
        return float(np.max(np.abs(change) / self.tones_hz))


def _least_squares(basis: Real, target: Real) -> Real:
    """Solution by the normal equations of the scaled basis: as good as QR here and much faster on long columns."""
    scale = np.sqrt(np.sum(basis**2, axis=0))
    scale[scale == 0.0] = 1.0
    scaled = basis / scale
    return cast("Real", np.linalg.lstsq(scaled.T @ scaled, scaled.T @ target, rcond=None)[0]) / scale


def _strongest(frequency_hz: Real, sample_rate_hz: float) -> tuple[float, float] | None:
    """(frequency [Hz], amplitude [Hz]) of the strongest line in an instantaneous frequency; None for none."""
    count = len(frequency_hz)
    window = np.hanning(count)
    gain = np.sum(window)
    if gain == 0.0:
        return None
    spectrum = 2.0 * np.abs(np.fft.rfft(frequency_hz * window, _PADDING * count)) / gain
    spectrum[:_PADDING] = 0.0  # the carrier's own offset is not a tone
    peak = int(np.argmax(spectrum))
    return peak * sample_rate_hz / (_PADDING * count), float(spectrum[peak])
