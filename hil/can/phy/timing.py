"""The segments of a bit, and how far two oscillators may be apart for them.

A bit is 1 quantum of synchronisation, then the propagation and the first phase segment, the sample point, and the
second phase segment. Source: Bosch CAN Specification 2.0 (1991), part B, sections 9 and 10; ISO 11898-1:2015, 11.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from hil.errors import BusError

_PPM = 1_000_000
_PS_PER_S = 1_000_000_000_000
_RESYNC_BITS = 10  # the longest way between two edges that synchronise, in a frame that is stuffed
_FLAG_BITS = 13  # from the last such edge to the bit after an error flag that must be sampled right


@dataclass(frozen=True, slots=True)
class BitTiming:
    """The segments of one bit, in quanta.

    Args:
        prop: propagation segment.
        phase1: first phase segment; the sample point lies at its end.
        phase2: second phase segment.
        sjw: by how much a bit may be made longer or shorter to follow the others.
        prescaler: clock periods in one quantum.

    Raises:
        BusError: when the segments do not make a bit.
    """

    prop: int
    phase1: int
    phase2: int
    sjw: int
    prescaler: int = 1

    def __post_init__(self) -> None:
        if self.prop < 0 or self.phase1 < 1 or self.phase2 < 1 or self.prescaler < 1:
            raise BusError(f"{self} is no bit timing; phase1, phase2 and prescaler are 1 or more, prop is 0 or more")
        if not 1 <= self.sjw <= min(self.phase1, self.phase2):
            raise BusError(f"{self}: sjw={self.sjw} is outside 1 to {min(self.phase1, self.phase2)}, the shorter phase")

    @property
    def quanta(self) -> int:
        """Length of a bit [quanta]."""
        return 1 + self.prop + self.phase1 + self.phase2

    @property
    def clocks(self) -> int:
        """Length of a bit [clock periods]."""
        return self.quanta * self.prescaler

    @property
    def sample_clocks(self) -> int:
        """From the start of a bit to its sample point [clock periods]."""
        return (1 + self.prop + self.phase1) * self.prescaler

    @property
    def sample_point(self) -> float:
        """Where in a bit it is sampled (0 to 1)."""
        return 1.0 - self.phase2 / self.quanta

    @property
    def tolerance(self) -> Fraction:
        """How far an oscillator may be from its nominal frequency when another is as far off the other way (1 = 100 %).

        The smaller of two bounds: what resynchronisation can follow over ten bits, and what still samples right in the
        bit after an error flag.

        >>> round(float(BitTiming(prop=7, phase1=4, phase2=4, sjw=4).tolerance), 6)
        0.009804
        """
        by_jump = Fraction(self.sjw, 2 * _RESYNC_BITS * self.quanta)
        by_phase = Fraction(min(self.phase1, self.phase2), 2 * (_FLAG_BITS * self.quanta - self.phase2))
        return min(by_jump, by_phase)


@dataclass(frozen=True, slots=True)
class PhyTiming:
    """The bit timing of a controller: of arbitration, of the data phase of CAN FD when it has one, and its clock.

    Args:
        clock_ps: period of the controller's clock [ps].
        nominal: timing of arbitration, and of classic frames as a whole.
        data: timing of the data phase of an FD frame that switches; None for a controller that cannot.
    """

    clock_ps: int
    nominal: BitTiming
    data: BitTiming | None = None

    def __post_init__(self) -> None:
        if self.clock_ps < 1:
            raise BusError(f"a clock period of {self.clock_ps} ps is none; give at least 1 ps")

    @property
    def bit_ps(self) -> int:
        """Length of a bit in arbitration [ps]."""
        return self.nominal.clocks * self.clock_ps

    @property
    def tolerance_ppm(self) -> int:
        """How far each oscillator may be off, from all bounds that apply; rounded down [ppm].

        Sources: as :attr:`BitTiming.tolerance`; for CAN FD the bounds of the data phase and of the change of rate
        published with CiA 601-1.
        """
        bounds = [self.nominal.tolerance]
        if self.data is not None:
            nominal, data = self.nominal, self.data
            ratio = Fraction(nominal.prescaler, data.prescaler)
            bounds.append(Fraction(data.sjw, 2 * _RESYNC_BITS * data.quanta))
            bounds.append(
                Fraction(min(nominal.phase1, nominal.phase2))
                / (2 * ((6 * data.quanta - data.phase2) / ratio + 7 * nominal.quanta))
            )
            bounds.append(
                (data.sjw - max(Fraction(0), ratio - 1))
                / (2 * ((2 * nominal.quanta - nominal.phase2) * ratio + data.phase2 + 4 * data.quanta))
            )
        return max(0, int(min(bounds) * _PPM))


def timing_for(bitrate_bps: int) -> PhyTiming:
    """A usual timing of a bit rate: 16 quanta, sampled at 75 %, with the widest jump.

    Raises:
        BusError: for a bit rate whose quantum is not a whole number of picoseconds.
    """
    bit = BitTiming(prop=7, phase1=4, phase2=4, sjw=4)
    quantum_ps, rest = divmod(_PS_PER_S, bit.quanta * bitrate_bps)
    if rest:
        raise BusError(
            f"{bitrate_bps} bit/s: a sixteenth of a bit is not a whole number of picoseconds, so bits cannot be played "
            "exactly; take a usual rate, such as 125 000, 250 000, 500 000 or 1 000 000 bit/s"
        )
    return PhyTiming(1, replace(bit, prescaler=quantum_ps))


class Oscillator:
    """A clock with an error and a phase of its own: counts ticks, exactly.

    Args:
        period_ps: nominal period [ps].
        error_ppm: by how much it is fast [ppm].
        origin_ps: when tick 0 was [ps].
    """

    def __init__(self, period_ps: int, error_ppm: int = 0, origin_ps: int = 0) -> None:
        self._span = period_ps * _PPM
        self._rate = _PPM + error_ppm
        self._origin_ps = origin_ps

    def time_of(self, tick: int) -> int:
        """When a tick is [ps]."""
        return self._origin_ps + tick * self._span // self._rate

    def tick_at(self, time_ps: int) -> int:
        """The last tick not after a time [ps]."""
        return ((time_ps - self._origin_ps + 1) * self._rate - 1) // self._span
