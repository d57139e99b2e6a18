"""Plots over time: what the page draws, as coordinates of a still picture that its script brings to life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hil.errors import EvidenceError
from hil.report.axes import Axis, Tick, around
from hil.report.channels import MODEL
from hil.report.figures import figure
from hil.report.labels import Label, lay
from hil.report.traces import STEPS, Grid, Trace, trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.evidence.exhibits import Curve, Level, Plot
    from hil.report.channels import Channels

WIDTH: Final = 1000
"""Width of a still picture [px of its own]."""

HUES: Final = 9
"""Colours of curves; a plot with more repeats them with another dash."""

MODEL_TAG: Final = "model input, not measured"

_LEFT, _RIGHT, _HEIGHT, _FOOT, _LANE = 62, 12, 168, 30, 12  # px around and of the plot's field


@dataclass(frozen=True, slots=True)
class Frame:
    """What all plots of one flight share: time, events, and their place in the picture [px].

    Args:
        x: the time axis [s].
        ticks: of the time axis.
        marks: labels of the events.
        field: the field of every plot: left, top, width, height.
        height: height of every picture.
    """

    x: Axis
    ticks: tuple[Tick, ...]
    marks: tuple[Label, ...]
    field: tuple[int, int, int, int]
    height: int

    @classmethod
    def of(cls, from_s: float, to_s: float, marks: Sequence[tuple[float, str]]) -> Frame:
        """The frame of plots from one time to another [s], with time and name of every event in between."""
        x = Axis(from_s, to_s, _LEFT, WIDTH - _RIGHT)
        labels = lay([(x.at(at_s), name) for at_s, name in marks], WIDTH)
        top = 6 + _LANE * max([1, min(3, len(labels)), *(label.lane + 1 for label in labels)])
        field = (_LEFT, top, WIDTH - _LEFT - _RIGHT, _HEIGHT)
        return cls(x, tuple(x.ticks(14)), tuple(labels), field, top + _HEIGHT + _FOOT)

    def grid(self, spans: int) -> Grid:
        """Its time in that many spans."""
        return Grid(self.x.low, self.x.high, spans)


@dataclass(frozen=True, slots=True)
class CurveView:
    """One curve: its label, its colour and dash as a class, its path, and the transform that puts it into the field."""

    label: str
    style: str
    step: bool
    trace: Trace
    transform: str


@dataclass(frozen=True, slots=True)
class PlotView:
    """One plot as printed; coordinates in px of the still picture.

    Args:
        title: what it shows.
        unit: unit of its vertical axis.
        tag: where its curves come from, when all come from a model; else "".
        curves: what is drawn.
        levels: horizontal lines: y, value, what it is.
        y_ticks: of the vertical axis.
        ends: the vertical axis' ends, in the unit.
        slots: instants that a curve's points can stand at.
        thinned: how its curves were thinned.
        troubles: what could not be drawn, and why.
    """

    title: str
    unit: str
    tag: str
    curves: tuple[CurveView, ...]
    levels: tuple[tuple[str, Level], ...]
    y_ticks: tuple[Tick, ...]
    ends: tuple[float, float]
    slots: int
    thinned: str
    troubles: tuple[str, ...]

    @property
    def size(self) -> int:
        """Characters of its paths."""
        return sum(len(each.trace.d) for each in self.curves)


def plot_view(plot: Plot, channels: Channels, frame: Frame, spans: int) -> PlotView:
    """A plot as the page draws it; a channel that cannot be drawn stands under its troubles."""
    grid = frame.grid(spans)
    traces: list[tuple[int, Curve, Trace]] = []
    troubles: list[str] = []
    for number, curve in enumerate(plot.curves):
        try:
            found = _trace(plot, curve, channels, grid)
        except EvidenceError as error:
            troubles.append(str(error))
            continue
        if found is None:
            troubles.append(f"{curve.name}: no finite sample between {figure(grid.from_s)} s and {figure(grid.to_s)} s")
        else:
            traces.append((number, curve, found))
    values = [value for _, _, each in traces for value in (each.low, each.high)] + [each.value for each in plot.levels]
    low, high = around(min(values), max(values)) if values else (0.0, 1.0)
    y = Axis(low, high, frame.field[1] + _HEIGHT, frame.field[1])
    of_model = [curve.name.startswith(MODEL) for _, curve, _ in traces]
    return PlotView(
        title=plot.title,
        unit=plot.unit,
        tag=MODEL_TAG if of_model and all(of_model) else "",
        curves=tuple(
            _curve(*each, said=all(of_model), transform=_transform(each[2], frame.x, y, grid.slots)) for each in traces
        ),
        levels=tuple((f"{y.at(each.value):.1f}", each) for each in plot.levels),
        y_ticks=tuple(y.ticks(5)),
        ends=(low, high),
        slots=grid.slots,
        thinned=_thinned([each for _, _, each in traces], grid),
        troubles=tuple(troubles + [_lost(curve, each) for _, curve, each in traces if each.lost]),
    )


def in_unit(channels: Channels, name: str, unit: str) -> None:
    """Refuse a channel that was recorded in another unit.

    Raises:
        EvidenceError: when it was, or was not recorded at all.
    """
    found = channels.unit(name)
    if found != unit:
        raise EvidenceError(f"{name}: recorded in {found}, the plot is in {unit}; give the channel's scale")


def _trace(plot: Plot, curve: Curve, channels: Channels, grid: Grid) -> Trace | None:
    if curve.scale == 1.0:
        in_unit(channels, curve.name, plot.unit)
    times_s, values = channels.samples(curve.name)
    return trace(times_s, values * curve.scale, grid, step=curve.step)


def _curve(number: int, curve: Curve, found: Trace, *, said: bool, transform: str) -> CurveView:
    label = curve.label if said or not curve.name.startswith(MODEL) else f"{curve.label} ({MODEL_TAG})"
    return CurveView(label, f"c{number % HUES} d{number // HUES % 3}", curve.step, found, transform)


def _transform(found: Trace, x: Axis, y: Axis, slots: int) -> str:
    """What puts slots and steps of a curve into the field of its plot."""
    slot = (x.end - x.start) / slots
    step = (found.high - found.low) * y.slope / STEPS
    return f"matrix({slot:.6g} 0 0 {step:.6g} {x.start + slot / 2:.2f} {y.at(found.low):.2f})"


def _thinned(traces: Sequence[Trace], grid: Grid) -> str:
    """How the curves of a plot were thinned, in a line."""
    if not traces:
        return "nothing to draw"
    fewest, most = min(each.samples for each in traces), max(each.samples for each in traces)
    samples = f"{most}" if fewest == most else f"{fewest} to {most}"
    word = "sample" if most == 1 else "samples"
    return f"least and greatest value of every {grid.span_s:.3g} s; {samples} {word} a curve"


def _lost(curve: Curve, found: Trace) -> str:
    return f"{curve.name}: {found.lost} of {found.samples} samples are not finite"
