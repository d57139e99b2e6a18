"""The transport delay of a paced rig, and what it does to the bending modes.

Measured when a test starts the plant, on every bus over which the loop leaves the program that runs it
(:mod:`hil.rig.loopbacks`). A request goes out and its data come back. Where another program runs the plant, request and
answer are its command and its sensor's frame, with its next step between them. Where the test's own does, the request
goes out as a sensor's frame does, the answer comes in as a command, and the next step of the plant ends the turn. Bus,
bridges, clocks and the step are in it; the sampling of the articles is not, as they have that in flight too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hil.clock import Phase, WallClock
from hil.io.far_world import FarPlant
from hil.phase import Loopback, judge, measure_loopback
from hil.rig.loopbacks import crossings, no_crossing, out_of_reach, why_not_measured
from hil.units import format_duration, ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hil.can.facade import Bus
    from hil.can.frame import Frame
    from hil.can.loopback import LoopbackFrames
    from hil.phase import ModePhase
    from hil.rig.world import Rig

TRIES = 100
"""Requests on each bus."""
ENOUGH = 80
"""Answers without which the delay counts as unknown."""
JUDGED = 0.95
"""The fraction of all turns that the judged delay covers: a turn now and then that takes longer is no phase."""
_STAMP_MS = 0.002  # how far off the stamps of both ends may be, by the reading of the clock [ms]
_COLUMNS = ("bus", "samples", "median", f"{JUDGED:.0%} within", "worst", "mode", "frequency", "lag", "budget")


@dataclass(frozen=True)
class Transport:
    """What was measured: by bus its delays; the frequency of each bending mode [Hz], the budget of the rig [deg].

    Args:
        loops: the delays by bus.
        modes_hz: frequency of each bending mode by its name [Hz].
        budget_deg: what the delay may take at each [deg].
        asked: who was asked on each bus, and by which identifiers.
        unknown: by bus, and by article that is on no such bus, why nothing could be asked there.
        note: why there was nothing to measure.
    """

    loops: Mapping[str, Loopback]
    modes_hz: Mapping[str, float]
    budget_deg: float
    asked: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown: Mapping[str, str] = field(default_factory=dict[str, str])
    note: str = ""

    @property
    def doubt(self) -> str:
        """Why closed-loop verdicts are INCONCLUSIVE, with the figures; empty when they are not."""
        found = list(self.unknown.values())
        for bus, loop in self.loops.items():
            if len(loop.samples_ns) < ENOUGH:
                found.append(
                    f"bus {bus}: the transport delay of the rig is not known: {len(loop.samples_ns)} of {TRIES} "
                    f"loop-back requests were answered, {ENOUGH} are needed; does {self.asked.get(bus, 'anything')} "
                    "answer, and is the bus free of losses?"
                )
                continue
            reason = judge(self._phases(loop), self.budget_deg)
            if reason:
                found.append(f"bus {bus}: {reason} (loop-back: {loop.describe(_judged(loop))})")
        return "; ".join(found)

    @property
    def table(self) -> dict[str, object]:
        """The fields of a table of the evidence: a row for each bus and mode."""
        rows = [
            [*self._row(bus, loop), *_mode(phase)] for bus, loop in self.loops.items() for phase in self._lags(loop)
        ]
        rows += [[bus, "not measured", *[""] * (len(_COLUMNS) - 3)] for bus in self.unknown]
        return {
            "title": "Transport delay of the rig: phase at the bending modes",
            "columns": list(_COLUMNS),
            "rows": [[*row, f"{self.budget_deg:g} deg"] for row in rows],
        }

    def links(self, evidence_class: str) -> Iterator[dict[str, object]]:
        """The fields of a link of the evidence for every request: the report joins those of all flights of a run."""
        for bus, loop in [*self.loops.items(), *((bus, None) for bus in self.unknown)]:
            values = [None] if loop is None else [*loop.samples_ns, *[None] * loop.unanswered]
            for sample, delay_ns in enumerate(values):
                yield {
                    "chain": f"transport delay of the rig, {bus}",
                    "order": 1,
                    "name": "command in to sensor out, by loop-back",
                    "value_ms": None if delay_ns is None else delay_ns / ms,
                    "clock": "rig clock",
                    "uncertainty_ms": _STAMP_MS,
                    "evidence_class": evidence_class,
                    "sample": sample,
                }

    def _phases(self, loop: Loopback) -> list[ModePhase]:
        return loop.phases(self.modes_hz, _judged(loop))

    def _lags(self, loop: Loopback) -> list[ModePhase | None]:
        """The lag of every mode; one row without any where nothing was answered or the vehicle names no mode."""
        return list(self._phases(loop)) or [None] if loop.samples_ns else [None]

    @staticmethod
    def _row(bus: str, loop: Loopback) -> list[str]:
        if not loop.samples_ns:
            return [bus, f"0 of {TRIES}", "", "", ""]
        delays = (format_duration(loop.delay_ns(part)) for part in (0.5, _judged(loop), 1.0))
        return [bus, f"{len(loop.samples_ns)} of {TRIES}", *delays]


def _judged(loop: Loopback) -> float:
    """The fraction of the answers within which the judged delay of all turns lies: one unanswered is the longest."""
    return min(1.0, JUDGED * (len(loop.samples_ns) + loop.unanswered) / max(1, len(loop.samples_ns)))


@runtime_checkable
class Bending(Protocol):
    """A vehicle that bends."""

    @property
    def modes_hz(self) -> Mapping[str, float]:
        """Natural frequency of every bending mode by its name [Hz]."""
        ...


def on_flight(rig: Rig, vehicle: object, fn: Callable[[Transport], object]) -> None:
    """When a test starts the plant of a paced rig, measure the delay and hand it to ``fn``.

    Args:
        rig: the rig, open.
        vehicle: the vehicle that flies; one that is no :class:`Bending` has no modes.
        fn: takes what was measured, before the plant's start returns.
    """
    if rig.plant_host is not None and isinstance(rig.clock, WallClock):
        modes_hz: Mapping[str, float] = vehicle.modes_hz if isinstance(vehicle, Bending) else {}
        rig.plant_host.on_start(lambda: fn(measure_transport(rig, modes_hz)))


def measure_transport(rig: Rig, modes_hz: Mapping[str, float]) -> Transport:
    """Measure the delay on every bus over which the loop leaves the plant's program; takes about a second.

    Args:
        rig: the rig, open, with a plant that steps.
        modes_hz: frequency of each bending mode by its name [Hz].

    Raises:
        BusError: when a bus does not take a request.
        ClockError: in an event callback, where nothing can be waited for.
    """
    file, host = rig.file, rig.plant_host
    found, unreached = crossings(file), out_of_reach(file)
    period_ns = 1 if file.plant is None else file.plant.period_ns
    step_after = None if host is None or isinstance(host, FarPlant) else host.step_after
    loops: dict[str, Loopback] = {}
    for bus in (each for each in found if each.by is not None):
        turn = _Turn(rig, rig.buses[bus.bus], bus.frames, step_after)
        loops[bus.bus] = turn.measured(period_ns)
    return Transport(
        loops,
        modes_hz,
        file.rig.phase_budget_deg,
        asked={each.bus: f"{each.by} (request {each.frames})" for each in found},
        unknown={each.bus: why_not_measured(file, each) for each in found if each.by is None} | unreached,
        note="" if found or unreached else no_crossing(file),
    )


class _Turn:
    """One turn of the loop over a bus, again and again."""

    def __init__(self, rig: Rig, bus: Bus, frames: LoopbackFrames, step_after: Callable[[int], int] | None) -> None:
        self._clock = rig.clock
        self._bus = bus
        self._frames = frames
        self._step_after = step_after
        self._first = rig.clock.now  # numbers go on from run to run: no answer to another measurement is taken for one
        self._answered: dict[int, int] = {}

    def measured(self, period_ns: int) -> Loopback:
        stop = self._bus.subscribe(self._came)
        try:
            return measure_loopback(
                self._clock,
                self._ask,
                lambda number: self._answered.get(self._first + number),
                period_ns=period_ns,
                tries=TRIES,
                enough=ENOUGH,
            )
        finally:
            stop()

    def _ask(self, number: int) -> None:
        self._bus.put_on(self._frames.request((self._first + number).to_bytes(8, "big")))

    def _came(self, frame: Frame) -> None:
        if not self._frames.is_answer(frame):
            return
        number = int.from_bytes(frame.data, "big")
        if self._step_after is None:
            self._answered.setdefault(number, frame.at_ns)
        else:
            self._clock.at(self._step_after(self._clock.now), lambda: self._stepped(number), Phase.OBSERVE)

    def _stepped(self, number: int) -> None:
        """The plant has made the step that takes the command in: what its sensors say now goes out."""
        at_ns = self._clock.elapsed if isinstance(self._clock, WallClock) else self._clock.now
        self._answered.setdefault(number, at_ns)


def _mode(phase: ModePhase | None) -> list[str]:
    return ["", "", ""] if phase is None else [phase.mode, f"{phase.frequency_hz:g} Hz", f"{phase.lag_deg:.1f} deg"]
