"""Transport delay of a closed loop, measured by loop-back, as phase at each bending mode.

What destabilises a loop is not a late tick now and then but the delay of every turn: from a command going in to the
sensor's answer coming out. A constant delay tau turns a mode at f by 360 f tau degrees and changes no amplitude.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.errors import HilError
from hil.units import format_duration, ms, s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hil.clock import Clock

_FRACTION = 0.99


def phase_deg(delay_ns: float, frequency_hz: float) -> float:
    """The phase lag [deg] of a delay [ns] at a frequency [Hz].

    >>> phase_deg(10_000_000, 2.5)
    9.0
    """
    return 360.0 * frequency_hz * delay_ns / s


@dataclass(frozen=True, slots=True)
class ModePhase:
    """What a delay does to one bending mode."""

    mode: str
    frequency_hz: float
    lag_deg: float


class Loopback:
    """The delays of one loop-back measurement: pairs of a command going in and its answer coming out, in order.

    An answer belongs to the oldest command that has none yet. Give commands that can be told apart from one another,
    or send the next when the last was answered.

    Args:
        samples_ns: delays [ns] measured before.

    Raises:
        HilError: for a delay below zero.
    """

    def __init__(self, samples_ns: Iterable[int] = ()) -> None:
        self.samples_ns: list[int] = []
        self._open: list[int] = []
        self._given_up = 0
        for delay_ns in samples_ns:
            self._take(delay_ns)

    def sent(self, at_ns: int) -> None:
        """A command went in at a rig time [ns]."""
        self._open.append(at_ns)

    def came(self, at_ns: int) -> None:
        """An answer came out at a rig time [ns].

        Raises:
            HilError: when no command waits for one, or it came before its command.
        """
        if not self._open:
            raise HilError(
                f"loop-back: an answer came at {format_duration(at_ns)} and no command waits for one; look whether "
                "something else drives the sensor"
            )
        self._take(at_ns - self._open.pop(0))

    def gave_up(self) -> None:
        """No answer will come to the oldest command that has none yet."""
        del self._open[:1]
        self._given_up += 1

    @property
    def unanswered(self) -> int:
        """Commands without an answer."""
        return len(self._open) + self._given_up

    def delay_ns(self, fraction: float = _FRACTION) -> int:
        """The delay [ns] that this fraction (0 to 1) of all samples stayed within; of fewer than 100 that is the worst.

        Raises:
            HilError: when there is no sample.
        """
        if not self.samples_ns:
            raise HilError("loop-back: no answer came, so that the transport delay is not known; look at the cabling")
        ordered = sorted(self.samples_ns)
        return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]

    def phases(self, modes_hz: Mapping[str, float], fraction: float = _FRACTION) -> list[ModePhase]:
        """The lag at each bending mode.

        Args:
            modes_hz: frequency of each mode by its name [Hz].
            fraction: as :meth:`delay_ns`.

        Raises:
            HilError: when there is no sample.
        """
        delay_ns = self.delay_ns(fraction)
        return [ModePhase(mode, frequency, phase_deg(delay_ns, frequency)) for mode, frequency in modes_hz.items()]

    def describe(self, fraction: float = _FRACTION) -> str:
        """In one line for people: how many samples, their median, the delay that is judged and the worst.

        Args:
            fraction: as :meth:`delay_ns`.
        """
        if not self.samples_ns:
            return f"no sample, {self.unanswered} commands unanswered"
        median, judged, worst = map(
            format_duration, (self.delay_ns(0.5), self.delay_ns(fraction), max(self.samples_ns))
        )
        return (
            f"{len(self.samples_ns)} samples, median {median}, {fraction:.0%} within {judged}, worst {worst}, "
            f"{self.unanswered} unanswered"
        )

    def _take(self, delay_ns: int) -> None:
        if delay_ns < 0:
            raise HilError(
                f"loop-back: an answer came {-delay_ns} ns before its command; the two stamps are of different clocks, "
                "or an older answer was taken for it"
            )
        self.samples_ns.append(delay_ns)


def measure_loopback(
    clock: Clock,
    command: Callable[[int], object],
    answered_ns: Callable[[int], int | None],
    *,
    period_ns: int,
    tries: int = 100,
    within_ns: int = 500 * ms,
    enough: int = 0,
) -> Loopback:
    """Send commands one after another, each when the last was answered, and take the delay of each.

    Args:
        clock: the rig clock.
        command: sends the command of this number, counted from 0; it must change what the sensor says.
        answered_ns: the rig time [ns] at which the sensor first answered the command of this number; None until then.
        period_ns: period of the loop [ns]; commands are spread evenly over it, as its sampling is part of the delay.
        tries: how many.
        within_ns: how long to wait for an answer [ns].
        enough: how many answers are needed: once they are out of reach, it ends.
    """
    loopback = Loopback()
    for number in range(tries):
        if tries - loopback.unanswered < enough:
            break
        clock.sleep(period_ns + number * period_ns // tries - clock.now % period_ns)
        loopback.sent(clock.now)
        command(number)
        clock.wait(clock.now + within_ns, lambda number=number: answered_ns(number) is not None, "a loop-back answer")
        at_ns = answered_ns(number)
        if at_ns is None:
            loopback.gave_up()
        else:
            loopback.came(at_ns)
    return loopback


def judge(phases: Sequence[ModePhase], budget_deg: float) -> str:
    """Why closed-loop verdicts are INCONCLUSIVE: the modes that lag more than the rig's budget; empty when none does.

    Args:
        phases: the lag at each mode; one that is no number is over any budget.
        budget_deg: what the rig may add to a mode [deg].
    """
    over = [found for found in phases if not found.lag_deg <= budget_deg]
    if not over:
        return ""
    named = ", ".join(f"{found.mode} ({found.frequency_hz:g} Hz) by {found.lag_deg:.1f} deg" for found in over)
    return (
        f"the transport delay of the rig turns {named}, its phase budget is {budget_deg:g} deg; closed-loop verdicts "
        "show nothing: shorten the delay, or take the loop to a real-time target"
    )
