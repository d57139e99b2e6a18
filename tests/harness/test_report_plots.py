"""Plots of the report: honest curves, labels that do not lie on each other, and pages that stay small and whole."""

from __future__ import annotations

import hashlib
import re
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_flight import GROUND, NOTE, block, flight, plotted, record_of
from synthetic_run import IDENTITY, PASSING, Sketch, header, of, record, write_run

import hil.report
from hil.errors import EvidenceError
from hil.evidence.finalise import announce
from hil.evidence.identity import write_identity
from hil.evidence.raw import read_block
from hil.report.labels import LANES, lay
from hil.report.render import render
from hil.report.traces import SLOTS, STEPS, Grid, Trace, positions, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MINUTE = Grid(0.0, 60.0, 300)
T = np.arange(0.0, 60.0, 0.01)


def corners(d: str) -> list[list[tuple[int, int]]]:
    """The lines of a path, each a list of its corners."""
    lines: list[list[tuple[int, int]]] = []
    for part in d.split("M")[1:]:
        numbers = np.array([int(each) for each in re.findall(r"-?\d+", part)]).reshape(-1, 2)
        lines.append([(int(x), int(y)) for x, y in np.cumsum(numbers, axis=0)])
    return lines


def drawn(values: Sequence[float], times_s: Sequence[float] | None = None, **more: bool) -> Trace:
    """A curve of one minute; it has something to draw."""
    times = T[: len(values)] if times_s is None else np.array(times_s)
    found = trace(times, np.array(values, dtype=float), MINUTE, **more)
    assert found is not None
    return found


# -- curves -----------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 40))
def test_no_peak_is_lost_and_no_span_has_more_than_two_points(values: list[float], spans: int) -> None:
    times = np.linspace(0.0, 60.0, len(values))
    found = trace(times, np.array(values), Grid(0.0, 60.0, spans))
    assert found is not None
    points = [point for line in corners(found.d) for point in line]
    assert (found.low, found.high, found.samples, found.lost) == (min(values), max(values), len(values), 0)
    if found.high > found.low:
        assert {y for _, y in points} >= {0, STEPS}
    used = [x // SLOTS for line in corners(found.d) for x in sorted({x for x, _ in line})]
    assert max(used.count(span) for span in used) <= 2


@given(st.floats(-5.0, 5.0), st.floats(-100.0, 100.0))
def test_a_straight_line_stays_one(slope: float, start: float) -> None:
    found = drawn((start + slope * T).tolist())
    (line,) = corners(found.d)
    for x, y in line:
        value = found.low + (found.high - found.low) * y / STEPS
        assert value == pytest.approx(start + slope * (x + 0.5) / 40.0, abs=abs(slope) * 0.05 + 1e-4)


def test_a_curve_has_at_most_600_points_and_its_times_are_good_to_a_span() -> None:
    noise = np.random.Generator(np.random.PCG64(1)).normal(0.0, 1.0, len(T))
    noise[4321] = 50.0
    found = drawn(noise.tolist())
    (line,) = corners(found.d)
    assert len(line) <= 600
    (peak,) = [x for x, y in line if y == STEPS]
    assert (peak + 0.5) / SLOTS * 0.2 == pytest.approx(43.21, abs=0.05)


def test_a_span_without_a_finite_sample_breaks_the_line() -> None:
    values = np.sin(T)
    values[2000:2500] = np.nan
    values[100] = np.inf
    found = drawn(values.tolist())
    before, after = corners(found.d)
    assert found.lost == 501
    assert (before[-1][0] / 40.0, after[0][0] / 40.0) == (pytest.approx(20.0, abs=0.2), pytest.approx(25.0, abs=0.2))


def test_a_long_pause_breaks_the_line_unless_the_value_holds() -> None:
    times = [*np.arange(0.0, 10.0, 0.1), *np.arange(30.0, 40.0, 0.1)]
    values = [float(k) for k in range(len(times))]
    assert len(corners(drawn(values, times).d)) == 2
    assert len(corners(drawn(values, times, step=True).d)) == 1


def test_a_held_value_changes_at_once() -> None:
    (line,) = corners(drawn([1.0, 1.0, 3.0], [0.0, 10.0, 20.0], step=True).d)
    assert line == [(0, 0), (800, 0), (800, STEPS)]


def test_a_lone_sample_is_a_point_and_a_level_run_is_two() -> None:
    assert drawn([7.0], [30.0]).d == "M1200 0l0 0"
    assert len(corners(drawn([7.0] * 6000).d)[0]) == 2


def test_nothing_finite_in_the_time_shown_is_no_curve() -> None:
    assert trace(T, np.full(len(T), np.nan), MINUTE) is None
    assert trace(T + 100.0, T, MINUTE) is None


def test_a_position_is_held_until_the_next_one() -> None:
    found = positions(np.array([0.25, 0.3, 20.0]), np.array([1.0, 2.0, 3.0]), Grid(0.0, 30.0, 30))
    assert found[0] == 2.0
    assert (found[19], found[20], found[29]) == (2.0, 3.0, 3.0)


# -- labels -----------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(62.0, 988.0), st.text("abc", min_size=1, max_size=24)), max_size=40))
def test_labels_never_lie_on_each_other(marks: list[tuple[float, str]]) -> None:
    labels = lay(sorted(marks), 1000.0)
    boxes = []
    for label in labels:
        wide = 5.9 * len(label.text)
        boxes.append((label.lane, label.x - wide if label.left else label.x, label.x if label.left else label.x + wide))
    for k, (lane, begin, end) in enumerate(boxes):
        assert all(lane != other or end <= b or begin >= e for other, b, e in boxes[k + 1 :])


def test_in_a_crowd_the_closest_marks_show_numbers_and_the_others_their_names() -> None:
    close = [(500.0 + 9.0 * k, "a long name of an event") for k in range(8)]
    labels = lay([(100.0, "lift-off"), (440.0, "attitude lost"), *close], 1000.0)
    assert [label.text for label in labels[:3]] == ["lift-off", "attitude lost", "3"]
    assert max(label.lane for label in labels) < LANES


def test_marks_at_one_place_share_a_number() -> None:
    labels = lay([(500.0, "the same instant")] * 9, 1000.0)
    assert labels[0].text == "1–5"
    assert sorted(k for label in labels for k in label.marks) == list(range(9))
    assert max(label.lane for label in labels) < LANES


# -- pages ------------------------------------------------------------------------------------------------------


def page_of(path: Path, *sketches: Sketch) -> str:
    write_run(path, sketches)
    return render(path)


def test_a_flight_of_47_curves_is_a_small_section_of_a_page_that_fetches_nothing(tmp_path: Path) -> None:
    page = page_of(tmp_path / "run", PASSING, flight())
    section = page[page.index('<details class="flight" id="flight-2"') : page.index("</details>")]
    assert 80_000 < len(section.encode()) < 150_000
    assert section.count("<figure") == 11
    assert not re.search(r"<(?:link|img|iframe|script [^>]*src)", page)
    assert all(target.startswith("#") for target in re.findall(r'(?:href|src)="([^"]*)"', page))
    assert render(shutil.copytree(tmp_path / "run", tmp_path / "copy")) == page


def test_what_comes_from_a_model_says_so_and_how_curves_were_thinned_too(tmp_path: Path) -> None:
    page = page_of(tmp_path / "run", flight())
    altitude, rates = (re.search(rf"<figcaption><b>{name}</b>.*", page) for name in ("Altitude", "Body rates"))
    assert altitude is not None
    assert rates is not None
    assert "model input, not measured" in altitude[0]
    assert "model input" not in rates[0]
    assert "simulated" in rates[0]
    assert "least and greatest value of every 0.153 s; 4601 samples a curve" in altitude[0]
    assert "engine_3.chamber_pressure_bar: 20 of 461 samples are not finite" in page


def test_the_event_table_stands_beside_what_is_published(tmp_path: Path) -> None:
    text = re.sub(r"<[^>]+>", "|", page_of(tmp_path / "run", flight()))
    rows = [re.sub(r"\|+", "|", row) for row in text.splitlines() if row.startswith("|") and "T+" in row]
    table = next(row for row in rows if "oscillation" in row)
    assert "|oscillation seen|T+15.2 s|T+15 s to T+25 s|within|[S]|video|" in table
    assert "|flight terminated|T+29.1 s|T+30 s|-0.9 s|[P]|company, rounded|" in table
    assert "|second ignition|did not happen|–|–|" in table
    assert NOTE.replace("'", "&#39;") in text


def test_the_ground_track_shows_its_lines_and_says_what_lies_outside(tmp_path: Path) -> None:
    far = {"label": "far line", "style": "impact limit", "points": [[1e6, 0], [1e6, 1e6]]}
    sketch = flight()
    sketch.exhibits = record_of(track_plot=GROUND | {"polygons": [*GROUND["polygons"], far]})
    page = page_of(tmp_path / "run", sketch)
    assert "far line: lies outside of the picture" in page
    assert all(f'class="{style}"' in page for style in ("flight-limit", "impact-limit", "hazard-area", "footprint"))


NASTY = '<script>alert("x")</script>\'"&</style>]]>'


def test_everything_on_a_plot_is_escaped(tmp_path: Path) -> None:
    sketch = plotted(T, T)
    plot = {"title": NASTY, "unit": NASTY, "channels": [{"name": "box.volts", "label": NASTY, "scale": 2}]}
    plot["lines"] = [{"value": 1, "label": NASTY}]
    place = {"label": NASTY, "style": "footprint", "points": [[0, 0], [1, 1]]}
    sketch.exhibits = record_of(
        plot=plot, mark={"name": NASTY, "t_ns": 5, "source": NASTY}, epoch={"name": NASTY, "t_ns": 0},
        track_plot={"title": NASTY, "x": NASTY, "y": NASTY, "polygons": [place]}, note={"text": NASTY},
        event_row={"event": NASTY, "t_plus_s": 1, "published": NASTY, "note": NASTY},
    )  # fmt: skip
    page = page_of(tmp_path / "run", sketch)
    assert page.count("<script>") == page.count("</script>") == 1
    assert page.count("</style>") == 1


# -- what cannot be drawn ---------------------------------------------------------------------------------------


def _renamed(plot: dict[str, Any]) -> None:
    plot["channels"] = ["box.amps"]


def _in_kv(plot: dict[str, Any]) -> None:
    plot["unit"] = "kV"


@pytest.mark.parametrize(
    ("values", "change", "message"),
    [
        (T, _renamed, "box.amps: was not recorded"),
        (T, _in_kv, "box.volts: recorded in V, the plot is in kV; give the channel&#39;s scale"),
        (T * np.nan, None, "box.volts: no finite sample between 0 s and 59.99 s"),
    ],
)
def test_a_channel_that_cannot_be_drawn_is_named_at_its_plot(
    tmp_path: Path, values: np.ndarray, change: Callable[[dict[str, Any]], None] | None, message: str
) -> None:
    page = page_of(tmp_path / "run", plotted(values, T, change))
    assert message in page
    assert "nothing to draw" in page


def test_a_damaged_block_is_never_drawn(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [plotted(T, T)])
    path = tmp_path / "run" / "signals" / "box.volts.npy"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    page = render(tmp_path / "run")
    assert "EVIDENCE DAMAGED" in page
    assert "box.volts.npy, bytes 0 to 96128: are not those that were recorded" in page
    assert "nothing to draw" in page


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a numpy block"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "is not a numpy block"),
        (block(T, T)[:-1], r"holds \(6000,\) of .* in 95999 bytes"),
        (block(T[::-1], T), "time runs backwards"),
        (block(T, T).replace(b"value", b"velue"), "not one column of t_ns and one of value"),
    ],
)
def test_what_is_no_block_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(EvidenceError, match=message):
        read_block(tmp_path / "x.npy")


def test_an_unfinished_run_shows_its_plots_too(tmp_path: Path) -> None:
    write_identity(tmp_path, IDENTITY)
    announce(tmp_path, ["t::test_box", "t::never"], header())
    record(tmp_path, 0, plotted(T, T))
    page = render(tmp_path)
    assert "INCOMPLETE" in page
    assert "6000 samples a curve" in page


def test_a_plot_of_a_test_without_an_epoch_counts_from_its_start(tmp_path: Path) -> None:
    page = page_of(tmp_path / "run", plotted(T, T))
    assert "t counts from the start of the test" in page
    assert "Shown: t 0 s to t 59.99 s." in page


def test_a_second_attempt_has_a_section_of_its_own(tmp_path: Path) -> None:
    write_identity(tmp_path, IDENTITY)
    announce(tmp_path, ["t::test_box"], header())
    record(tmp_path, 0, plotted(T, T))
    record(tmp_path, 0, plotted(T, T + 1), attempt=2)
    assert re.findall(r'id="(flight-[\d-]+)"', render(tmp_path)) == ["flight-1", "flight-1-2"]


# -- what is vendored -------------------------------------------------------------------------------------------


def test_the_vendored_library_is_as_it_was_taken_and_its_licence_is_on_the_page(tmp_path: Path) -> None:
    folder = Path(hil.report.__file__).parent / "assets"
    known = tomllib.loads((folder / "provenance.toml").read_text())["uPlot"]
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in known["sha256"]}
    assert found == known["sha256"]
    assert {each.name for each in folder.iterdir()} == {*found, "provenance.toml"}
    page = page_of(tmp_path / "run", plotted(T, T))
    assert f"uPlot (v{known['version']})" in page
    assert "Copyright (c) 2022 Leon Sorokin" in page
    assert "The above copyright notice and this permission notice shall be included" in page


def test_a_run_without_plots_carries_no_library(tmp_path: Path) -> None:
    sketch = Sketch(
        nodeid="t::test_a",
        measurements=(of("av.valve_state", "CLOSED"),),
        exhibits=record_of(note={"text": "see below"}),
    )
    page = page_of(tmp_path / "run", sketch)
    assert "see below" in page
    assert "uPlot" not in page
