"""The transport delay of a paced rig whose plant another program runs, and what it does to the bending modes.

Measured when a test starts the plant: a request goes out on a bus as a command of the flight computer would, and comes
back as a sensor's frame does after the plant's next step. Bus, bridge, the other program's clock and its step are in
it; the sampling of the articles is not, as they have that in flight too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hil.can.frame import Frame
from hil.can.loopback import ANSWER_ID, REQUEST_ID
from hil.io.far_world import FarPlant
from hil.phase import Loopback, judge, measure_loopback
from hil.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.can.facade import Bus
    from hil.clock import Clock
    from hil.phase import ModePhase
    from hil.rig.world import Rig

TRIES = 60
"""Requests on each bus."""
ENOUGH = 50
"""Answers without which the delay counts as unknown."""
_WORST = 1.0  # the fraction of all samples that the judged delay covers
_COLUMNS = ("bus", "samples", "median", "worst", "mode", "frequency", "lag", "budget")


@dataclass(frozen=True)
class Transport:
    """What was measured: by bus its delays; the frequency of each bending mode [Hz], the budget of the rig [deg]."""

    loops: Mapping[str, Loopback]
    modes_hz: Mapping[str, float]
    budget_deg: float

    @property
    def doubt(self) -> str:
        """Why closed-loop verdicts are INCONCLUSIVE, with the figures; empty when they are not."""
        found: list[str] = []
        for bus, loop in self.loops.items():
            if len(loop.samples_ns) < ENOUGH:
                found.append(
                    f"bus {bus}: the transport delay of the rig is not known: {len(loop.samples_ns)} of {TRIES} "
                    f"loop-back requests were answered, {ENOUGH} are needed; does the program of the plant answer "
                    f"{REQUEST_ID:#x} with {ANSWER_ID:#x}, and is the bus free of losses?"
                )
                continue
            reason = judge(self._phases(loop), self.budget_deg)
            if reason:
                found.append(f"bus {bus}: {reason} (loop-back: {loop.describe()})")
        return "; ".join(found)

    @property
    def table(self) -> dict[str, object]:
        """The fields of a table of the evidence: a row for each bus and mode."""
        rows = [
            [*self._row(bus, loop), *_mode(phase)] for bus, loop in self.loops.items() for phase in self._lags(loop)
        ]
        return {
            "title": "Transport delay of the rig: phase at the bending modes",
            "columns": list(_COLUMNS),
            "rows": [[*row, f"{self.budget_deg:g} deg"] for row in rows],
        }

    def _phases(self, loop: Loopback) -> list[ModePhase]:
        return loop.phases(self.modes_hz, _WORST)

    def _lags(self, loop: Loopback) -> list[ModePhase | None]:
        """The lag of every mode; one row without any where nothing was answered or the vehicle names no mode."""
        return list(self._phases(loop)) or [None] if loop.samples_ns else [None]

    @staticmethod
    def _row(bus: str, loop: Loopback) -> list[str]:
        if not loop.samples_ns:
            return [bus, f"0 of {TRIES}", "", ""]
        median, worst = (format_duration(loop.delay_ns(part)) for part in (0.5, _WORST))
        return [bus, f"{len(loop.samples_ns)} of {TRIES}", median, worst]


@runtime_checkable
class Bending(Protocol):
    """A vehicle that bends."""

    @property
    def modes_hz(self) -> Mapping[str, float]:
        """Natural frequency of every bending mode by its name [Hz]."""
        ...


def on_flight(rig: Rig, vehicle: object, fn: Callable[[Transport], object]) -> None:
    """When a test starts a plant that another program runs, measure the delay and hand it to ``fn``.

    Args:
        rig: the rig, open.
        vehicle: the vehicle that flies; one that is no :class:`Bending` has no modes.
        fn: takes what was measured, before the plant's start returns.
    """
    if isinstance(rig.plant_host, FarPlant):
        modes_hz: Mapping[str, float] = vehicle.modes_hz if isinstance(vehicle, Bending) else {}
        rig.plant_host.on_start(lambda: fn(measure_transport(rig, modes_hz)))


def measure_transport(rig: Rig, modes_hz: Mapping[str, float]) -> Transport:
    """Measure the delay on every bus of the program that runs the plant; takes about a second.

    Args:
        rig: the rig, open.
        modes_hz: frequency of each bending mode by its name [Hz].

    Raises:
        BusError: when a bus does not take a request.
        ClockError: in an event callback, where nothing can be waited for.
    """
    file = rig.file
    program = file.program_of("plant")
    buses = {bus for name, dut in file.dut.items() if file.program_of("dut", name) == program for bus in dut.bus}
    period_ns = 1 if file.plant is None else file.plant.period_ns
    loops = {name: _measure(rig.clock, bus, period_ns) for name, bus in rig.buses.items() if name in buses}
    return Transport(loops, modes_hz, file.rig.phase_budget_deg)


def _measure(clock: Clock, bus: Bus, period_ns: int) -> Loopback:
    answers: dict[int, int] = {}

    def came(frame: Frame) -> None:
        if frame.arbitration_id == ANSWER_ID and not frame.extended:
            answers.setdefault(int.from_bytes(frame.data, "big"), frame.at_ns)

    first = clock.now  # numbers go on from run to run, so that no answer to another measurement is taken for one

    def ask(number: int) -> None:
        bus.put_on(Frame(REQUEST_ID, (first + number).to_bytes(8, "big")))

    stop = bus.subscribe(came)
    try:
        return measure_loopback(
            clock, ask, lambda number: answers.get(first + number), period_ns=period_ns, tries=TRIES
        )
    finally:
        stop()


def _mode(phase: ModePhase | None) -> list[str]:
    return ["", "", ""] if phase is None else [phase.mode, f"{phase.frequency_hz:g} Hz", f"{phase.lag_deg:.1f} deg"]
