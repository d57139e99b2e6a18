"""Sequences of tones on an FM carrier, as a range-safety command is: what to play, without how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.errors import InstrumentError
from hil.units import format_duration, s

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE_RATE_HZ = 1_000_000.0
"""Sample clock of sequences unless they say otherwise [Hz]: room for +-400 kHz."""
TONES_MAX = 12
"""Simultaneous tones a burst may have."""
TONE_MIN_HZ = 20.0
"""Lowest tone frequency [Hz]."""
CYCLES_MIN = 3.0
"""Cycles of each tone a burst must hold, so that what is played has that tone at all."""
_USED_BAND = 0.8  # part of the sample clock a generator's reconstruction filter passes
_CYCLE_TOLERANCE = 1e-6  # deviation from a whole number of cycles that still counts as whole


@dataclass(frozen=True, slots=True)
class Burst:
    """Tones that are on the carrier together for a time; no tones is the bare carrier.

    Args:
        tones: (frequency [Hz], peak deviation [Hz]) of each.
        duration_ns: how long [ns]; a whole number of samples.
        repeats: times the burst is played in a row. More than one needs a whole number of cycles of every
            tone, so that the phase runs on.
        carrier: False for silence instead of a carrier.
    """

    tones: tuple[tuple[float, float], ...]
    duration_ns: int
    repeats: int = 1
    carrier: bool = True

    def __str__(self) -> str:
        tones = " + ".join(f"{frequency_hz:g} Hz" for frequency_hz, _ in self.tones)
        times = f"{self.repeats} times " if self.repeats > 1 else ""
        return f"{times}{format_duration(self.duration_ns)} {tones or ('carrier' if self.carrier else 'silence')}"


def gap(duration_ns: int) -> Burst:
    """The bare carrier for a time [ns]."""
    return Burst((), duration_ns)


@dataclass(frozen=True, slots=True)
class ToneSequence:
    """Bursts played one after the other without a break.

    Args:
        bursts: in the order they are played.
        sample_rate_hz: sample clock [Hz].
        marked: indices of the bursts at whose start the marker rises; the first of them is the sequence's t0.
    """

    bursts: tuple[Burst, ...]
    sample_rate_hz: float = SAMPLE_RATE_HZ
    marked: tuple[int, ...] = (0,)

    def __str__(self) -> str:
        return ", ".join(map(str, self.bursts))

    @property
    def duration_ns(self) -> int:
        """Duration of the whole sequence [ns]."""
        return sum(burst.duration_ns * burst.repeats for burst in self.bursts)

    @property
    def marker_ns(self) -> int:
        """Time from the start of the sequence to the marker's first edge [ns]."""
        return self.start_ns(min(self.marked))

    def start_ns(self, index: int) -> int:
        """Time from the start of the sequence to the start of one of its bursts [ns]."""
        return sum(burst.duration_ns * burst.repeats for burst in self.bursts[:index])

    def samples(self, burst: Burst) -> int:
        """Number of samples of one burst, played once."""
        return round(burst.duration_ns * self.sample_rate_hz / s)


@dataclass(frozen=True, slots=True)
class Playback:
    """What is being played: its duration [ns] and when, from its start, the marker first rises [ns]."""

    duration_ns: int
    marker_ns: int


def sequence(*bursts: Burst, sample_rate_hz: float = SAMPLE_RATE_HZ, marked: int | tuple[int, ...] = 0) -> ToneSequence:
    """A tone sequence from its bursts; ``marked`` is the index of the burst the marker rises with, or several."""
    return ToneSequence(tuple(bursts), sample_rate_hz, (marked,) if isinstance(marked, int) else marked)


def check(tones: ToneSequence, where: str) -> None:
    """Refuse what cannot be played as it is meant.

    Raises:
        InstrumentError: for a duration that is not a whole number of samples, tones outside the band, doubled
            tones, a burst too short for its tones, or a repeated burst that is not periodic.
    """
    if not tones.bursts:
        raise InstrumentError(f"{where}: a sequence without bursts plays nothing; give at least one")
    if not tones.marked:
        raise InstrumentError(f"{where}: no burst is marked; the marker's edge is the t0 of what is played")
    for marked in tones.marked:
        if not 0 <= marked < len(tones.bursts):
            raise InstrumentError(f"{where}: marked = {marked}, but the bursts are 0 to {len(tones.bursts) - 1}")
    for index, burst in enumerate(tones.bursts):
        try:
            _check_burst(burst, tones.sample_rate_hz)
        except ValueError as error:
            raise InstrumentError(f"{where}: burst {index} is refused: {error}") from error


def _check_burst(burst: Burst, sample_rate_hz: float) -> None:
    exact = burst.duration_ns * sample_rate_hz / s
    if burst.duration_ns <= 0 or abs(exact - round(exact)) > _CYCLE_TOLERANCE:
        raise ValueError(
            f"{format_duration(burst.duration_ns)} is not a whole number of samples at {sample_rate_hz:g} Hz"
        )
    if burst.repeats < 1:
        raise ValueError(f"repeats = {burst.repeats}; at least 1")
    _check_tones(burst.tones, sample_rate_hz)
    if burst.tones and not burst.carrier:
        raise ValueError("it has tones but no carrier to put them on")
    duration_s = burst.duration_ns / s
    for frequency_hz, _ in burst.tones:
        cycles = frequency_hz * duration_s
        if cycles * burst.repeats < CYCLES_MIN:
            raise ValueError(f"{frequency_hz:g} Hz has {cycles:.2f} cycles in it; at least {CYCLES_MIN:g}")
        if burst.repeats > 1 and abs(cycles - round(cycles)) > _CYCLE_TOLERANCE:
            raise ValueError(
                f"repeated {burst.repeats} times, {frequency_hz:g} Hz makes {cycles:.6f} cycles in "
                f"{format_duration(burst.duration_ns)}: not periodic, the phase would jump; choose a duration with "
                "whole cycles"
            )


def _check_tones(tones: Sequence[tuple[float, float]], sample_rate_hz: float) -> None:
    if len(tones) > TONES_MAX:
        raise ValueError(f"{len(tones)} tones; at most {TONES_MAX}")
    if len({frequency_hz for frequency_hz, _ in tones}) < len(tones):
        raise ValueError(f"a tone is there twice: {', '.join(f'{frequency_hz:g} Hz' for frequency_hz, _ in tones)}")
    edge_hz = sample_rate_hz * _USED_BAND / 2.0
    for frequency_hz, deviation_hz in tones:
        if not TONE_MIN_HZ <= frequency_hz <= edge_hz / 2.0:
            raise ValueError(f"tone {frequency_hz:g} Hz is not within {TONE_MIN_HZ:g} to {edge_hz / 2.0:g} Hz")
        if not deviation_hz > 0.0:
            raise ValueError(f"deviation {deviation_hz:g} Hz of tone {frequency_hz:g} Hz; it must be above 0")
    occupied_hz = sum(deviation_hz for _, deviation_hz in tones) + max((tone for tone, _ in tones), default=0.0)
    if occupied_hz > edge_hz:  # Carson's rule, one side
        raise ValueError(
            f"deviation and highest tone add up to {occupied_hz:g} Hz, the generator's band at "
            f"{sample_rate_hz:g} Hz ends at {edge_hz:g} Hz; raise sample_rate_hz"
        )
