"""The flight section of an attempt: its notes, its event table, and its plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hil.errors import EvidenceError
from hil.evidence.exhibits import Plot, TrackPlot
from hil.report.channels import Channels
from hil.report.figures import seconds, t_plus
from hil.report.ground import GroundView, ground_view
from hil.report.plots import Frame, PlotView, plot_view
from hil.units import s

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hil.evidence.exhibits import EventRow, Exhibits, Table
    from hil.evidence.records import Attempt, Test

_SPANS: Final = (300, 240, 192, 150, 120, 96, 72)  # a curve has two points a span: 600 at most
_PATHS_MAX = 125_000  # characters of all paths of one flight, so that its section stays below 150 kB
_AGREES_S = 5e-7  # a difference below it is none


@dataclass(frozen=True, slots=True)
class MarkRow:
    """An event on the plots: its number, its time [s] on their axis, its name and its source."""

    number: int
    at_s: float
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class EventLine:
    """A row of the event table as printed."""

    event: str
    found: str
    published: str
    difference: str
    grade: str
    note: str


@dataclass(frozen=True, slots=True)
class FlightView:
    """What an attempt laid beside its measurements, as printed.

    Args:
        anchor: its id on the page.
        symbol: "T+", or "t" without an epoch.
        epoch: what T+ counts from.
        notes: what a reader must know first.
        lines: the event table.
        tables: anything else in rows and columns.
        marks: the events on the plots.
        plots: plots over time.
        grounds: ground tracks.
        frame: what all plots over time share.
        window: what is said of the time that is not shown.
    """

    anchor: str
    symbol: str
    epoch: str
    notes: tuple[str, ...]
    lines: tuple[EventLine, ...]
    tables: tuple[Table, ...]
    marks: tuple[MarkRow, ...]
    plots: tuple[PlotView, ...]
    grounds: tuple[GroundView, ...]
    frame: Frame
    window: str

    @property
    def curves(self) -> int:
        """How many curves its plots show."""
        return sum(len(plot.curves) for plot in self.plots)


def flight_view(run_dir: Path, test: Test, attempt: Attempt, anchor: str) -> FlightView | None:
    """The flight section of an attempt; None when it laid out no plot, event row, note or table.

    Args:
        run_dir: the run folder.
        test: the test.
        attempt: the attempt of it.
        anchor: the section's id on the page.
    """
    shown = attempt.exhibits
    if not (shown.plots or shown.rows or shown.notes or shown.tables):
        return None
    channels = Channels(run_dir, test, attempt)
    symbol = "T+" if shown.epoch else "t"
    marks = _marks(shown)
    begin, end = _ends(shown, channels, attempt.duration_ns)
    frame = Frame.of(begin, end, [(mark.at_s, mark.name) for mark in marks if begin <= mark.at_s <= end])
    grounds = tuple(
        ground_view(each, channels, frame.grid(_SPANS[0])) for each in shown.plots if isinstance(each, TrackPlot)
    )
    over_time = [each for each in shown.plots if isinstance(each, Plot)]
    plots = _fitting(over_time, channels, frame, _PATHS_MAX - sum(each.size for each in grounds))
    epoch = "the start of the test" if shown.epoch is None else f"{shown.epoch.name}, at {seconds(shown.epoch.t_ns)}"
    limited = shown.epoch is not None and (shown.epoch.from_s is not None or shown.epoch.to_s is not None)
    return FlightView(
        anchor=anchor,
        symbol=symbol,
        epoch=epoch,
        notes=shown.notes,
        lines=tuple(_line(row) for row in shown.rows),
        tables=shown.tables,
        marks=tuple(marks),
        plots=plots,
        grounds=grounds,
        frame=frame,
        window="; what lies before or after stands in signals/" if limited else "",
    )


def _marks(shown: Exhibits) -> list[MarkRow]:
    origin_ns = shown.epoch.t_ns if shown.epoch else 0
    marks = sorted(shown.marks, key=lambda mark: mark.t_ns)
    return [
        MarkRow(number, (mark.t_ns - origin_ns) / s, mark.name, mark.source) for number, mark in enumerate(marks, 1)
    ]


def _ends(shown: Exhibits, channels: Channels, duration_ns: int) -> tuple[float, float]:
    """The time that plots show [s]: what the epoch says, else all that their channels hold."""
    times: list[float] = []
    for name in (name for plot in shown.plots for name in _channels(plot)):
        try:
            found, _ = channels.samples(name)
        except EvidenceError:
            continue  # the plot says so itself
        times += [float(found[0]), float(found[-1])] if len(found) else []
    begin, end = (min(times), max(times)) if times else (0.0, duration_ns / s)
    if shown.epoch is not None:
        begin = begin if shown.epoch.from_s is None else shown.epoch.from_s
        end = end if shown.epoch.to_s is None else shown.epoch.to_s
    return (begin, end) if end > begin else (begin, begin + 1.0)


def _channels(plot: Plot | TrackPlot) -> list[str]:
    if isinstance(plot, Plot):
        return [curve.name for curve in plot.curves]
    return [name for track in plot.tracks for name in (track.x, track.y)]


def _fitting(plots: Sequence[Plot], channels: Channels, frame: Frame, room: int) -> tuple[PlotView, ...]:
    """All plots over time, the biggest ones thinned more until the page has room for them [characters]."""
    level = [0] * len(plots)
    found = [plot_view(plot, channels, frame, _SPANS[0]) for plot in plots]
    while sum(each.size for each in found) > room:
        biggest = max(range(len(found)), key=lambda k: found[k].size)
        if level[biggest] + 1 == len(_SPANS):
            break
        level[biggest] += 1
        found[biggest] = plot_view(plots[biggest], channels, frame, _SPANS[level[biggest]])
    return tuple(found)


def _line(row: EventRow) -> EventLine:
    published = row.published
    if isinstance(published, tuple):
        said = f"{t_plus(published[0])} to {t_plus(published[1])}"
    else:
        said = published if isinstance(published, str) else "–" if published is None else t_plus(published)
    found = "did not happen" if row.t_plus_s is None else t_plus(row.t_plus_s)
    return EventLine(row.event, found, said, _difference(row), row.grade, row.note)


def _difference(row: EventRow) -> str:
    """How far what was found is from what is said [s]; from an interval: from its nearer end."""
    found, said = row.t_plus_s, row.published
    if found is None or said is None or isinstance(said, str):
        return "–"
    low, high = said if isinstance(said, tuple) else (said, said)
    apart = found - high if found > high else min(found - low, 0.0)
    if abs(apart) < _AGREES_S:
        return "within" if low < high else "0 s"
    return f"{apart:+.4g} s"
