"""Exhibits: what a test lays beside its measurements, checked when it is recorded and when it is read back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from suite import Suite

from hil.errors import EvidenceError
from hil.evidence.documents import decode, encode
from hil.evidence.exhibits import Curve, Epoch, EventRow, Link, Plot, Table, TrackPlot, checked, exhibit_of, exhibits_of
from hil.evidence.fields import Fields
from hil.evidence.index import read_run

if TYPE_CHECKING:
    from pathlib import Path

LINK = {
    "chain": "termination",
    "order": 1,
    "name": "decision to marker",
    "value_ms": 12.5,
    "clock": "rig",
    "uncertainty_ms": 0.1,
    "evidence_class": "sim",
}


def read(kind: str, **fields: object) -> object:
    """An exhibit recorded, written and read back."""
    line = encode(checked(kind, fields, now_ns=5))
    return exhibit_of(Fields(decode(line), "events.jsonl:1"))


def test_a_plot_comes_back_as_it_was_recorded() -> None:
    plot = read(
        "plot",
        title="Rates",
        unit="deg/s",
        channels=[{"name": "imu.p", "label": "roll", "scale": 0.5}, "imu.q"],
        lines=[{"value": np.float64(10.0), "label": "limit"}],
    )
    assert isinstance(plot, Plot)
    assert plot.curves == (Curve("imu.p", "roll", 0.5), Curve("imu.q", "imu.q"))
    assert (plot.levels[0].value, plot.levels[0].label) == (10.0, "limit")


def test_a_ground_track_comes_back_as_it_was_recorded() -> None:
    track = read(
        "track_plot",
        title="Ground track",
        x="model.east_m",
        y="model.north_m",
        tracks=[{"x": "model.iip_east_m", "y": "model.iip_north_m", "label": "impact point"}],
        polygons=[{"label": "flight limit", "style": "flight limit", "points": [[0, 0], (1000, -5.5)]}],
        points=[{"label": "pad", "x": 0, "y": 0}],
    )
    assert isinstance(track, TrackPlot)
    assert [each.label for each in track.tracks] == ["ground track", "impact point"]
    assert track.outlines[0].points == ((0.0, 0.0), (1000.0, -5.5))


def test_a_mark_and_an_epoch_stand_at_their_own_time_and_the_rest_at_the_time_of_recording() -> None:
    assert checked("mark", {"name": "release", "t_ns": np.int64(7), "source": "clamp"}, now_ns=5)["t_ns"] == 7
    assert read("epoch", name="lift-off", t_ns=7, from_s=-2) == Epoch(7, "lift-off", -2.0)
    assert checked("note", {"text": "a hypothesis"}, now_ns=5)["t_ns"] == 5


@pytest.mark.parametrize("published", [None, 30.0, (26.0, 31.0), "about T+30"])
def test_what_was_published_is_a_number_an_interval_or_words(published: object) -> None:
    found = read("event_row", event="cut", t_plus_s=29.6, published=published, grade="S")
    assert found == EventRow("cut", 29.6, published, "S")  # type: ignore[arg-type]  # the four kinds above


@given(st.none() | st.floats(-1e299, 1e299) | st.sampled_from([math.nan, math.inf]))
def test_a_delay_that_is_no_number_is_a_delay_that_was_not_found(value: float | None) -> None:
    found = read("link", **LINK | {"value_ms": value})
    assert isinstance(found, Link)
    assert found.value_ms == (value if value is not None and math.isfinite(value) else None)


ROW = {"event": "cut", "t_plus_s": 1.0}
PLOT = {"title": "t", "unit": "m", "channels": ["a"]}
TRACK = {"title": "t", "x": "a", "y": "b"}


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("plott", {}, "this kind is not known; did you mean plot?"),
        ("plot", PLOT | {"unti": "m"}, "unti is not known; did you mean unit?"),
        ("plot", PLOT | {"channels": []}, "channels is .*not a list of channels such as"),
        ("plot", PLOT | {"channels": [{"name": "a", "lable": "x"}]}, "lable is not known; did you mean label?"),
        ("plot", PLOT | {"channels": [{"name": "a", "scale": 0}]}, "scale is 0, not a factor"),
        ("plot", PLOT | {"channels": [3]}, "channels is .*not a list of mappings"),
        ("plot", PLOT | {"lines": [{"value": math.nan, "label": "x"}]}, "value is .*NaN.*not a number"),
        ("plot", PLOT | {"t_ns": 3}, "only a mark and an epoch have a time of their own"),
        ("plot", PLOT | {"unit": " "}, "unit is ' ', not a text that says something"),
        ("plot", {"title": "t", "unit": "m"}, "channels is None"),
        ("track_plot", TRACK | {"polygons": [{"label": "l", "style": "flight limits", "points": [[0, 0], [1, 1]]}]},
         "style is 'flight limits', not one of flight limit, impact limit"),
        ("track_plot", TRACK | {"polygons": [{"label": "l", "style": "footprint", "points": [[0, 0], [1]]}]},
         r"points is \[1\], not \[east_m, north_m\]"),
        ("track_plot", TRACK | {"points": [{"label": "pad", "x": math.inf, "y": 0}]}, "x is .*Infinity"),
        ("mark", {"name": "cut", "t_ns": 1.5}, "t_ns is 1.5, not an integer"),
        ("mark", {"name": "cut", "t_ns": -1}, "t_ns is -1, not a time in the test"),
        ("epoch", {"name": "lift-off", "t_ns": 0, "from_s": 3, "to_s": 3}, "to_s is 3, not after from_s, 3.0"),
        ("event_row", ROW | {"grade": "X"}, "grade is 'X', not one of P, S, M, D, C"),
        ("event_row", {"event": "cut"}, "t_plus_s is None, not given; null says that the event did not happen"),
        ("event_row", ROW | {"t_plus_s": math.nan}, "t_plus_s is .*NaN"),
        ("event_row", ROW | {"published": [31, 26]}, r"published is \[31, 26\], not \[from_s, to_s\]"),
        ("link", LINK | {"evidence_class": "simulated"}, "'simulated', not one of model input, sim, rtl, hardware"),
        ("link", LINK | {"uncertainty_ms": -1}, "uncertainty_ms is -1, not zero or more"),
        ("link", {key: LINK[key] for key in LINK if key != "value_ms"}, "null says that the delay was not found"),
        ("note", {"text": ["x"]}, "text is .*not a text"),
        ("note", {"text": "x", "what": "mark"}, "the kind is given once"),
        ("note", {"text": object()}, "record a number, a text, a bool"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_the_remedy(kind: str, fields: dict[str, object], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        checked(kind, fields, now_ns=0)


def test_two_epochs_in_one_attempt_are_damage() -> None:
    documents = [
        Fields(checked("epoch", {"name": "lift-off", "t_ns": t}, now_ns=0), f"events.jsonl:{t}") for t in (1, 2)
    ]
    with pytest.raises(EvidenceError, match=r"events.jsonl:2: a second epoch"):
        exhibits_of(documents)


TESTS = """
def test_flight(rig, measure, record):
    measure("box.volts", 28.0, "V")
    record("epoch", name="lift-off", t_ns=0)
    record("mark", name="cut", t_ns=3, source="valve driver")
    record("note", text="a hypothesis")

def test_misspelt(rig, record):
    record("mark", nam="cut", t_ns=3)

def test_second_epoch(rig, record):
    record("epoch", name="lift-off", t_ns=0)
    record("epoch", name="ignition", t_ns=0)
"""


def test_a_test_records_exhibits_through_its_fixture(tmp_path: Path) -> None:
    ran = Suite(tmp_path, TESTS).run()
    flight = read_run(ran.folder).tests[0].attempts[0].exhibits
    assert (flight.marks[0].name, flight.notes, flight.epoch) == ("cut", ("a hypothesis",), Epoch(0, "lift-off"))
    assert [ran.verdict(name) for name in ("test_flight", "test_misspelt", "test_second_epoch")] == [
        "PASS",
        "ERROR",
        "ERROR",
    ]
    assert "nam is not known; did you mean name?" in ran.text
    assert "T+ counts from 'lift-off' already: record it as a mark" in ran.text


def test_a_table_comes_back_as_it_was_recorded() -> None:
    table = read("table", title="Upsets", columns=["register", "flips"], rows=[["count_q", "32"], ["all", "32"]])
    assert table == Table("Upsets", ("register", "flips"), (("count_q", "32"), ("all", "32")))


@pytest.mark.parametrize(
    ("columns", "rows"), [([], []), (["a"], "b"), (["a"], [["b", "c"]]), (["a"], [[1]]), ("a", [["b"]])]
)
def test_a_table_whose_rows_do_not_fit_its_columns_is_refused(columns: object, rows: object) -> None:
    with pytest.raises(EvidenceError, match=r"columns|rows"):
        checked("table", {"title": "Upsets", "columns": columns, "rows": rows}, now_ns=0)
