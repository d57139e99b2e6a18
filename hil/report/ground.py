"""Ground tracks: paths over ground with limit lines, areas and places, east and north, one scale for both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from hil.errors import EvidenceError
from hil.report.axes import Axis, Tick
from hil.report.channels import MODEL
from hil.report.plots import HUES, MODEL_TAG, in_unit
from hil.report.traces import path, positions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hil.evidence.exhibits import Outline, Point, Track, TrackPlot
    from hil.report.channels import Channels
    from hil.report.traces import Grid

WIDTH: Final = 640
"""Width of a still picture [px of its own]."""

HEIGHT: Final = 520
"""Height of a still picture [px of its own]."""

_LEFT, _TOP, _RIGHT, _FOOT = 62, 8, 12, 34
_STEPS = 20_000  # of the longer side of the picture
_REACH = 4.0  # areas are followed this many times as far as the flight went
_FAR = 40.0  # the next point of a limit line is shown up to this many times as far
_LEAST_M = 10.0
_PIECES = 200  # of one line of an outline
_CLOSED = ("hazard area", "footprint")


@dataclass(frozen=True, slots=True)
class Shape:
    """A path or an area: its label, its class, its path in steps of the picture, and the span of its first point."""

    label: str
    style: str
    d: str
    first: int = 0


@dataclass(frozen=True, slots=True)
class Spot:
    """A single point: its label, where it is in steps, and where in the still picture [px]."""

    label: str
    x: int
    y: int
    at: str


@dataclass(frozen=True, slots=True)
class GroundView:
    """A ground track as printed; coordinates in px of the still picture.

    Args:
        title: what it shows.
        tag: where its paths come from, when all come from a model; else "".
        outlines: limit lines and areas.
        tracks: paths; one point for every span of time.
        places: single points.
        origin: east and north of the steps' zero [m].
        step_m: length of a step [m].
        transform: puts steps into the field.
        x_ticks: to the east.
        y_ticks: to the north.
        spans: points that a path can have.
        field: the picture's field: left, top, width, height.
        box: what it shows: west, south, east, north [m].
        troubles: what could not be drawn, and why.
    """

    title: str
    tag: str
    outlines: tuple[Shape, ...]
    tracks: tuple[Shape, ...]
    places: tuple[Spot, ...]
    origin: Point
    step_m: float
    transform: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    spans: int
    field: tuple[int, int, int, int]
    box: tuple[float, float, float, float]
    troubles: tuple[str, ...]

    @property
    def size(self) -> int:
        """Characters of its paths."""
        return sum(len(each.d) for each in (*self.outlines, *self.tracks))


def ground_view(plot: TrackPlot, channels: Channels, grid: Grid) -> GroundView:
    """A ground track as the page draws it; a path that cannot be drawn stands under its troubles."""
    paths: list[tuple[Track, list[Point | None]]] = []
    troubles: list[str] = []
    for track in plot.tracks:
        try:
            paths.append((track, _points(track, channels, grid)))
            troubles += [text for name in (track.x, track.y) for text in _lost(name, channels)]
        except EvidenceError as error:
            troubles.append(str(error))
    west, south, east, north = _box(plot, [point for _, points in paths for point in points if point is not None])
    x, y = Axis(west, east, _LEFT, WIDTH - _RIGHT), Axis(south, north, HEIGHT - _FOOT, _TOP)
    step_m = max(east - west, north - south) / _STEPS
    scale = _Scale(west, south, step_m)
    of_model = [track.x.startswith(MODEL) for track, _ in paths]
    said = bool(of_model) and all(of_model)
    outside = [
        each.label
        for each in plot.outlines
        if not any(_inside(point, (west, south, east, north)) for point in _along(each))
    ]
    return GroundView(
        title=plot.title,
        tag=MODEL_TAG if said else "",
        outlines=tuple(_outline(each, scale) for each in plot.outlines),
        tracks=tuple(_shape(number, *each, scale=scale, said=said) for number, each in enumerate(paths)),
        places=tuple(
            Spot(each.label, *scale.of((each.x, each.y)), at=f"{x.at(each.x):.1f} {y.at(each.y):.1f}")
            for each in plot.places
        ),
        origin=(west, south),
        step_m=step_m,
        transform=f"matrix({x.slope * step_m:.6g} 0 0 {y.slope * step_m:.6g} {x.start} {y.start})",
        x_ticks=tuple(x.ticks(6)),
        y_ticks=tuple(y.ticks(6)),
        spans=grid.spans,
        field=(_LEFT, _TOP, WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _FOOT),
        box=(west, south, east, north),
        troubles=(*troubles, *(f"{label}: lies outside of the picture" for label in outside)),
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """Metres as steps of the picture."""

    west: float
    south: float
    step_m: float

    def of(self, point: Point) -> tuple[int, int]:
        return round((point[0] - self.west) / self.step_m), round((point[1] - self.south) / self.step_m)


def _points(track: Track, channels: Channels, grid: Grid) -> list[Point | None]:
    """One point for every span; None before the first one."""
    for name in (track.x, track.y):
        in_unit(channels, name, "m")
    x = positions(*channels.samples(track.x), grid).tolist()
    y = positions(*channels.samples(track.y), grid).tolist()
    points = [
        None if math.isnan(east) or math.isnan(north) else (east, north) for east, north in zip(x, y, strict=True)
    ]
    if not any(points):
        raise EvidenceError(f"{track.x}, {track.y}: no finite sample in the time that is shown")
    return points


def _lost(name: str, channels: Channels) -> list[str]:
    _, values = channels.samples(name)
    lost = int(len(values) - np.isfinite(values).sum())
    return [f"{name}: {lost} of {len(values)} samples are not finite; the path runs straight there"] if lost else []


def _shape(number: int, track: Track, points: list[Point | None], *, scale: _Scale, said: bool) -> Shape:
    of_model = track.x.startswith(MODEL) and not said
    found = [None if point is None else scale.of(point) for point in points]
    first = next(k for k, point in enumerate(found) if point is not None)
    label = f"{track.label} ({MODEL_TAG})" if of_model else track.label
    return Shape(label, f"c{number % HUES} d{number // HUES % 3}", path(found[first:]), first)


def _outline(outline: Outline, scale: _Scale) -> Shape:
    closed = outline.points + outline.points[:1] if outline.style in _CLOSED else outline.points
    return Shape(outline.label, outline.style.replace(" ", "-"), path([scale.of(point) for point in closed]))


def _box(plot: TrackPlot, flown: Sequence[Point]) -> tuple[float, float, float, float]:
    """West, south, east, north [m] of a picture: the flight, the next point of every limit line, areas near it."""
    near = [*flown, *((each.x, each.y) for each in plot.places)]
    near += [point for each in plot.outlines if each.style == "footprint" for point in each.points]
    near = near or [point for each in plot.outlines for point in each.points] or [(0.0, 0.0)]
    west, south, east, north = _around(near)
    size = max(east - west, north - south, _LEAST_M) / 2.0
    x, y = (west + east) / 2.0, (south + north) / 2.0
    within = [(x - part * size, y - part * size, x + part * size, y + part * size) for part in (_REACH, _FAR)]
    near += [point for each in plot.outlines for point in _along(each) if _inside(point, within[0])]
    lines = [_along(each) for each in plot.outlines if each.style not in _CLOSED]
    next_ones = [min(points, key=lambda point: math.hypot(point[0] - x, point[1] - y)) for points in lines]
    near += [point for point in next_ones if _inside(point, within[1])]
    west, south, east, north = _around(near)
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _FOOT
    m_per_px = 1.1 * max((east - west) / wide, (north - south) / high, _LEAST_M / high)
    x, y = (west + east) / 2.0, (south + north) / 2.0
    return x - m_per_px * wide / 2, y - m_per_px * high / 2, x + m_per_px * wide / 2, y + m_per_px * high / 2


def _around(points: Iterable[Point]) -> tuple[float, float, float, float]:
    x, y = zip(*points, strict=True)
    return min(x), min(y), max(x), max(y)


def _along(outline: Outline) -> list[Point]:
    """Points along an outline, near enough to each other to tell what of it a picture shows."""
    corners = outline.points + (outline.points[:1] if outline.style in _CLOSED else ())
    return [
        (a[0] + (b[0] - a[0]) * k / _PIECES, a[1] + (b[1] - a[1]) * k / _PIECES)
        for a, b in pairwise(corners)
        for k in range(_PIECES + 1)
    ]


def _inside(point: Point, box: tuple[float, float, float, float]) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]
