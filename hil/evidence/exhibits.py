"""Exhibits: what a test lays beside its measurements for the report to show: plots, marks, event rows, delay links.

``Trial.record`` writes them as ``event`` documents whose ``what`` is one of :data:`KINDS`; the same functions check
them when they are written and when they are read back. docs/evidence.md lists their fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hil.closed import nearest
from hil.errors import EvidenceError
from hil.evidence.documents import EVIDENCE_CLASSES, plain
from hil.evidence.fields import Fields
from hil.limits import GRADES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hil.evidence.documents import Document, Json

MODEL_INPUT: Final = "model input"
"""Evidence class of a link that a model was given and nobody measured."""

LINK_CLASSES: Final = (MODEL_INPUT, *EVIDENCE_CLASSES)
"""Evidence classes of a delay link, from the weakest to the strongest."""

STYLES: Final = ("flight limit", "impact limit", "hazard area", "footprint")
"""What an outline on a ground track may be; the two limits are lines, the two areas are closed."""

_LARGEST = 1e300  # beyond it a number is damage, not a quantity

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """One channel on a plot.

    Args:
        name: the channel.
        label: what the legend calls it.
        scale: factor from the channel's unit to the plot's.
        step: whether the value holds until the next sample, as a state or a command does.
    """

    name: str
    label: str
    scale: float = 1.0
    step: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line on a plot: a value [the plot's unit] and what it is."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Channels over time, all in one unit."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    levels: tuple[Level, ...] = ()


@dataclass(frozen=True, slots=True)
class Track:
    """One path over ground: its channels to the east and to the north [m], and what it is."""

    x: str
    y: str
    label: str


@dataclass(frozen=True, slots=True)
class Outline:
    """A limit line or an area on a ground track; ``style`` is one of :data:`STYLES`, points are (east, north) [m]."""

    label: str
    style: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """One named point on a ground track, east and north of the pad [m]."""

    label: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class TrackPlot:
    """A ground track: paths, limit lines, areas and places, east and north of the pad [m], with equal axes."""

    title: str
    tracks: tuple[Track, ...]
    outlines: tuple[Outline, ...] = ()
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """An event on every plot of its trial, at ``t_ns`` of virtual time; ``source`` says who saw it."""

    t_ns: int
    name: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The instant that T+ counts from [virtual ns], and the part of time that plots show [s from it]."""

    t_ns: int
    name: str
    from_s: float | None = None
    to_s: float | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """One row of the event table.

    Args:
        event: what happened.
        t_plus_s: when it was found [s from the epoch]; None when it did not happen.
        published: when it is said to have happened [s]: a number, an interval, or words.
        grade: grade of that source, a key of :data:`hil.limits.GRADES`, or "".
        note: anything a reader should know.
    """

    event: str
    t_plus_s: float | None
    published: float | Point | str | None = None
    grade: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of a chain of delays, as one trial found it.

    Args:
        chain: the chain it belongs to.
        order: its place in the chain.
        name: what passes between which two instants.
        value_ms: the delay [ms]; None when it was not found.
        clock: the clock that stamped both ends.
        uncertainty_ms: expanded uncertainty (k = 2) of one value [ms].
        evidence_class: one of :data:`LINK_CLASSES`.
        in_total: whether it adds to the chain's total; a skew or a parallel path does not.
        sample: tells several passes through the chain in one trial apart.
        measurement: the measurement whose limits stand beside it; its own name unless given.
    """

    chain: str
    order: int
    name: str
    value_ms: float | None
    clock: str
    uncertainty_ms: float
    evidence_class: str
    in_total: bool = True
    sample: int = 0
    measurement: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts: what it shows, its columns, and rows of as many cells."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Exhibit = Plot | TrackPlot | Mark | Epoch | EventRow | Link | Table | str


@dataclass(frozen=True, slots=True)
class Exhibits:
    """What one attempt laid beside its measurements, each kind in the order it was recorded.

    Args:
        plots: over time, or over ground.
        marks: events on all of its plots.
        epoch: what T+ counts from; None: the start of the test.
        rows: the event table.
        links: delay links.
        notes: what a reader must know before looking at a plot.
        tables: anything else in rows and columns.
    """

    plots: tuple[Plot | TrackPlot, ...] = ()
    marks: tuple[Mark, ...] = ()
    epoch: Epoch | None = None
    rows: tuple[EventRow, ...] = ()
    links: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


def checked(kind: str, fields: Mapping[str, object], *, now_ns: int) -> Document:
    """The fields of an exhibit's ``event`` document, checked as a reader will check them.

    Args:
        kind: what it is, one of :data:`KINDS`.
        fields: its fields.
        now_ns: virtual time of recording [ns]; a mark and an epoch give their own.

    Raises:
        EvidenceError: for an unknown kind or field, a missing one, or a value that has no sense there.
    """
    if kind not in KINDS:
        raise EvidenceError(f"record({kind!r}): this kind is not known; {nearest(kind, sorted(KINDS))}")
    if "what" in fields:
        raise EvidenceError(f"record({kind!r}): what is {fields['what']!r}, but the kind is given once, as {kind!r}")
    own_time = kind in ("mark", "epoch")
    if "t_ns" in fields and not own_time:
        raise EvidenceError(f"record({kind!r}): t_ns is not known; only a mark and an epoch have a time of their own")
    where = f"record({kind!r})"
    document = {key: plain(value, f"{where}: {key}") for key, value in fields.items()}
    document |= {"what": kind} if own_time else {"what": kind, "t_ns": now_ns}
    exhibit_of(Fields(document, where, "docs/evidence.md lists the fields"))
    return document


def exhibits_of(documents: Iterable[Fields]) -> Exhibits:
    """What an attempt's ``event`` documents lay out; documents of other kinds are passed over.

    Raises:
        EvidenceError: when a field of one has no sense, or there are two epochs.
    """
    found = [(each, exhibit_of(each)) for each in documents if each.text("what") in KINDS]
    epochs = [(each, exhibit) for each, exhibit in found if isinstance(exhibit, Epoch)]
    if len(epochs) > 1:
        raise EvidenceError(f"{epochs[1][0].where}: a second epoch; T+ counts from one instant, {epochs[0][0].where}")
    things = [exhibit for _, exhibit in found]
    return Exhibits(
        plots=tuple(each for each in things if isinstance(each, Plot | TrackPlot)),
        marks=tuple(each for each in things if isinstance(each, Mark)),
        epoch=epochs[0][1] if epochs else None,
        rows=tuple(each for each in things if isinstance(each, EventRow)),
        links=tuple(each for each in things if isinstance(each, Link)),
        notes=tuple(each for each in things if isinstance(each, str)),
        tables=tuple(each for each in things if isinstance(each, Table)),
    )


def exhibit_of(fields: Fields) -> Exhibit:
    """One exhibit from its document.

    Raises:
        EvidenceError: when a field is not known, is missing, or has no sense.
    """
    return KINDS[fields.text("what")](fields)


# -- one function a kind ----------------------------------------------------------------------------------------


def _plot(fields: Fields) -> Plot:
    _close(fields, "title", "unit", "channels", "lines")
    given = fields.document.get("channels")
    if not isinstance(given, list) or not given:
        return fields.refuse("channels", 'a list of channels such as {"name": "model.altitude_m", "label": "altitude"}')
    named: list[Json] = [{"name": each} if isinstance(each, str) else each for each in given]
    curves = Fields({"channels": named}, fields.where, fields.remedy).tables("channels")
    levels = fields.tables("lines")
    for each in levels:
        _close(each, "value", "label")
    return Plot(
        _name(fields, "title"),
        _name(fields, "unit"),
        tuple(_curve(each) for each in curves),
        tuple(Level(_number(each, "value"), _name(each, "label")) for each in levels),
    )


def _curve(fields: Fields) -> Curve:
    _close(fields, "name", "label", "scale", "step")
    name = _name(fields, "name")
    scale = 1.0 if "scale" not in fields.document else _number(fields, "scale")
    if not scale:
        fields.refuse("scale", "a factor from the channel's unit to the plot's")
    return Curve(name, fields.text("label", name), scale, fields.flag("step"))


def _track_plot(fields: Fields) -> TrackPlot:
    _close(fields, "title", "x", "y", "label", "tracks", "polygons", "points")
    more, places = fields.tables("tracks"), fields.tables("points")
    for each in more:
        _close(each, "x", "y", "label")
    for each in places:
        _close(each, "label", "x", "y")
    first = Track(_name(fields, "x"), _name(fields, "y"), fields.text("label", "ground track"))
    return TrackPlot(
        _name(fields, "title"),
        (first, *(Track(_name(each, "x"), _name(each, "y"), _name(each, "label")) for each in more)),
        tuple(_outline(each) for each in fields.tables("polygons")),
        tuple(Place(_name(each, "label"), _number(each, "x"), _number(each, "y")) for each in places),
    )


def _outline(fields: Fields) -> Outline:
    _close(fields, "label", "style", "points")
    style = fields.text("style")
    if style not in STYLES:
        fields.refuse("style", f"one of {', '.join(STYLES)}")
    given = fields.document.get("points")
    if not isinstance(given, list) or len(given) < 2:  # a line has two ends
        return fields.refuse("points", "a list of at least two [east_m, north_m]")
    return Outline(_name(fields, "label"), style, tuple(_point(fields, each) for each in given))


def _point(fields: Fields, value: Json) -> Point:
    one = Fields({"points": value}, fields.where, fields.remedy)
    if not isinstance(value, list) or len(value) != 2:
        return one.refuse("points", "[east_m, north_m]")
    x, y = (_number(Fields({"points": each}, fields.where, fields.remedy), "points") for each in value)
    return x, y


def _mark(fields: Fields) -> Mark:
    _close(fields, "name", "t_ns", "source")
    return Mark(_time(fields), _name(fields, "name"), fields.text("source", ""))


def _epoch(fields: Fields) -> Epoch:
    _close(fields, "name", "t_ns", "from_s", "to_s")
    begin, end = _optional(fields, "from_s"), _optional(fields, "to_s")
    if begin is not None and end is not None and begin >= end:
        fields.refuse("to_s", f"after from_s, {begin!r}")
    return Epoch(_time(fields), _name(fields, "name"), begin, end)


def _event_row(fields: Fields) -> EventRow:
    _close(fields, "event", "t_plus_s", "published", "grade", "note")
    if "t_plus_s" not in fields.document:
        fields.refuse("t_plus_s", "given; null says that the event did not happen")
    grade = fields.text("grade", "")
    if grade and grade not in GRADES:
        fields.refuse("grade", f"one of {', '.join(GRADES)}")
    note = fields.text("note", "")
    return EventRow(_name(fields, "event"), _optional(fields, "t_plus_s"), _published(fields), grade, note)


def _published(fields: Fields) -> float | Point | str | None:
    value = fields.document.get("published")
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list):
        return _number(fields, "published")
    ends = [_number(Fields({"published": each}, fields.where, fields.remedy), "published") for each in value]
    if len(ends) != 2 or ends[0] > ends[1]:
        return fields.refuse("published", "[from_s, to_s], one number [s], or words")
    return ends[0], ends[1]


def _link(fields: Fields) -> Link:
    _close(fields, "chain", "order", "name", "value_ms", "clock", "uncertainty_ms", "evidence_class", "in_total",
           "sample", "measurement")  # fmt: skip
    if "value_ms" not in fields.document:
        fields.refuse("value_ms", "given; null says that the delay was not found")
    evidence_class = fields.text("evidence_class")
    if evidence_class not in LINK_CLASSES:
        fields.refuse("evidence_class", f"one of {', '.join(LINK_CLASSES)}")
    uncertainty = _number(fields, "uncertainty_ms")
    if uncertainty < 0.0:
        fields.refuse("uncertainty_ms", "zero or more")
    lost = isinstance(fields.document["value_ms"], dict) and "nonfinite" in fields.document["value_ms"]
    return Link(
        chain=_name(fields, "chain"),
        order=fields.integer("order"),
        name=_name(fields, "name"),
        value_ms=None if lost else _optional(fields, "value_ms"),
        clock=_name(fields, "clock"),
        uncertainty_ms=uncertainty,
        evidence_class=evidence_class,
        in_total=fields.flag("in_total") if "in_total" in fields.document else True,
        sample=fields.integer("sample", 0),
        measurement=fields.text("measurement", ""),
    )


def _table(fields: Fields) -> Table:
    _close(fields, "title", "columns", "rows")
    columns = fields.texts("columns")
    given = fields.document.get("rows")
    if not columns or not isinstance(given, list):
        return fields.refuse("rows", "lists of texts, one for each of at least one column")
    rows: list[tuple[str, ...]] = []
    for row in given:
        cells = list(row) if isinstance(row, list) else []
        if len(cells) != len(columns) or not all(isinstance(cell, str) for cell in cells):
            return fields.refuse("rows", f"lists of {len(columns)} texts, one a column")
        rows.append(tuple(map(str, cells)))
    return Table(_name(fields, "title"), tuple(columns), tuple(rows))


def _note(fields: Fields) -> str:
    _close(fields, "text")
    return _name(fields, "text")


KINDS: Final[Mapping[str, Callable[[Fields], Exhibit]]] = {
    "plot": _plot,
    "track_plot": _track_plot,
    "mark": _mark,
    "epoch": _epoch,
    "event_row": _event_row,
    "link": _link,
    "note": _note,
    "table": _table,
}
"""The kinds of exhibits, and how each is read."""


# -- fields -----------------------------------------------------------------------------------------------------


def _close(fields: Fields, *known: str) -> None:
    """Refuse a field that a kind does not have."""
    for key in fields.rest("what", *(() if "t_ns" in known else ("t_ns",))):
        if key not in known:
            raise EvidenceError(f"{fields.where}: {key} is not known; {nearest(key, list(known))}")


def _name(fields: Fields, key: str) -> str:
    text = fields.text(key)
    return text if text.strip() else fields.refuse(key, "a text that says something")


def _optional(fields: Fields, key: str) -> float | None:
    return None if fields.document.get(key) is None else _number(fields, key)


def _number(fields: Fields, key: str) -> float:
    value = fields.number(key)
    if value is None or not -_LARGEST < value < _LARGEST:
        return fields.refuse(key, "a finite number")
    return float(value)


def _time(fields: Fields) -> int:
    value = fields.integer("t_ns")
    return value if value >= 0 else fields.refuse("t_ns", "a time in the test, from 0 [ns]")
