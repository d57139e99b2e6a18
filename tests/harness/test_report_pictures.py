"""The report in a browser: plots as pictures, zoom, cursor and print; no pixel is compared with another picture's."""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from chromium import PROGRAM, Looked, look
from synthetic_flight import flight, odd
from synthetic_run import PASSING, write_run

from hil.report.render import write_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VISIT = """
const section = document.querySelector("details.flight");
const found = { closed: document.querySelectorAll("canvas").length };
section.querySelector("summary").click();
await pause();
const plots = [...section.querySelectorAll("figure.plot")].map((figure) => figure.uplot);
const ground = section.querySelector("figure.ground").uplot;
const figures = [...section.querySelectorAll("figure.plot")];
const near = (a, b) => a.every((each, k) => Math.abs(each - b[k]) < 70);
const inked = (u) => {
  const wanted = u.series.at(-1).stroke().match(/\\d+/g).map(Number), { left, top, width, height } = u.bbox;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(u.ctx.canvas, -left, -top);
  const data = copy.getImageData(0, 0, width, height).data;
  let count = 0;
  for (let k = 0; k < data.length; k += 4) count += data[k + 3] > 200 && near([...data.slice(k, k + 3)], wanted);
  return count;
};
const mouse = (u, type, x, y) => {
  const { left, top } = u.over.getBoundingClientRect();
  u.over.dispatchEvent(new MouseEvent(type, { bubbles: true, clientX: left + x, clientY: top + y, movementX: 1 }));
};
const drag = async (u, from, to) => {
  mouse(u, "mousemove", ...from);
  mouse(u, "mousedown", ...from);
  mouse(u, "mousemove", ...to);
  await pause();
  mouse(u, "mouseup", ...to);
  await pause();
};
const ends = () => plots.map((u) => [u.scales.x.min, u.scales.x.max]);
const scale = () => (
  (ground.scales.x.max - ground.scales.x.min) / ground.bbox.width /
  ((ground.scales.y.max - ground.scales.y.min) / ground.bbox.height)
);
found.opened = section.querySelectorAll("canvas").length;
found.ink = plots.map(inked);
found.whole = ends();
const chamber = plots[7].data[3], t = plots[7].data[0];
found.gap = t.filter((each, k) => chamber[k] === null && each > 20 && each < 26);
await drag(plots[5], [300, 50], [450, 60]);
found.zoomed = ends();
const before = inked(plots[5]);
mouse(plots[0], "mousemove", 300, 30);
await pause();
found.values = figures.map((figure) => [...figure.querySelectorAll("output")].map((each) => each.value));
const name = [...figures[5].querySelectorAll(".curve")].at(-1);
name.click();
await pause();
found.hidden = [plots[5].series.at(-1).show, before - inked(plots[5])];
name.click();
mouse(plots[2], "dblclick", 300, 30);
await pause();
found.reset = ends();
found.scale = [scale()];
const reach = ground.scales.x.max - ground.scales.x.min;
await drag(ground, [150, 150], [250, 200]);
found.scale.push(scale());
found.closer = (ground.scales.x.max - ground.scales.x.min) / reach;
document.querySelector("#flight-3 summary").click();
await pause();
found.odd = [...document.querySelectorAll("#flight-3 figure")].map((figure) => Boolean(figure.uplot));
found.lone = document.querySelectorAll("#flight-3 figure")[1].uplot.data[1].filter((each) => each !== null);
found.state = [...new Set(document.querySelectorAll("#flight-3 figure")[2].uplot.data[1])];
document.querySelectorAll(".masthead, .outcome, .notice, h2, table, p").forEach((each) => each.remove());
section.querySelectorAll("figure").forEach((each) => { if (each.uplot !== plots[4]) each.remove(); });
scrollTo(0, 0);
return found;
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "run"
    write_run(folder, [PASSING, flight(), odd()])
    return write_report(folder)


@pytest.fixture(scope="module")
def visit(report: Path, tool: Callable[[str], str]) -> Looked:
    """One visit of the page: plots opened, zoomed, pointed at and put back by the mouse."""
    return look(report, script=VISIT, picture=report.with_suffix(".png"), size=(900, 560), program=tool(PROGRAM))


def pixels(picture: Path) -> set[tuple[int, int, int]]:
    """The colours of a PNG picture of 8 bits."""
    content = picture.read_bytes()
    wide, high, depth, kind = struct.unpack(">IIBB", content[16:26])
    assert (depth, kind in (2, 6)) == (8, True)
    size = 3 if kind == 2 else 4
    at, data = 8, b""
    while at < len(content):
        length, name = struct.unpack(">I4s", content[at : at + 8])
        data += content[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += 12 + length
    raw = bytearray(zlib.decompress(data))
    found: set[tuple[int, int, int]] = set()
    above = bytearray(size * wide)
    for row in range(high):
        begin = row * (size * wide + 1)
        line = _unfiltered(raw[begin], raw[begin + 1 : begin + 1 + size * wide], above, size)
        found.update(zip(line[::size], line[1::size], line[2::size], strict=True))
        above = line
    return found


def _unfiltered(kind: int, line: bytearray, above: bytearray, size: int) -> bytearray:
    if kind == 2:
        return bytearray((a + b) & 255 for a, b in zip(line, above, strict=True))
    for k in range(len(line) if kind else 0):
        left = line[k - size] if k >= size else 0
        corner = above[k - size] if k >= size else 0
        line[k] = (line[k] + _guess(kind, left, above[k], corner)) & 255
    return line


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    if kind != 4:
        return left if kind == 1 else (left + up) // 2
    base = left + up - corner
    return min((left, up, corner), key=lambda each: abs(base - each))


def test_plots_are_drawn_when_their_section_is_opened_and_the_console_stays_empty(visit: Looked) -> None:
    assert (visit.found["closed"], visit.found["opened"], visit.console) == (0, 11, ())


def test_every_plot_shows_the_curve_on_top(visit: Looked) -> None:
    ink = visit.found["ink"]
    assert len(ink) == 10
    assert min(ink) > 300


def test_a_gap_in_the_samples_is_a_gap_in_the_curve(visit: Looked) -> None:
    gap = visit.found["gap"]
    assert 21.8 < gap[0] < 22.3
    assert 23.7 < gap[-1] < 24.2


def test_a_drag_over_one_plot_zooms_all_and_a_double_click_puts_them_back(visit: Looked) -> None:
    low, high = visit.found["zoomed"][5]
    assert 10.0 < low < high < 30.0
    assert visit.found["zoomed"] == [[pytest.approx(low), pytest.approx(high)]] * 10
    assert visit.found["whole"] == visit.found["reset"] == [[-2, 44]] * 10


def test_the_cursor_shows_time_and_values_in_every_plot(visit: Looked) -> None:
    values = visit.found["values"]
    assert all(each and re.fullmatch(r"(T[+−][\d.]+ s|-?[\d.e-]+|no data)", each) for plot in values for each in plot)
    assert [len(plot) for plot in values] == [2, 2, 2, 2, 4, 19, 11, 10, 3, 2]


def test_a_click_on_a_name_hides_its_curve(visit: Looked) -> None:
    shown, less_ink = visit.found["hidden"]
    assert (shown, less_ink > 20) == (False, True)


def test_east_and_north_have_one_scale_before_and_after_a_zoom(visit: Looked) -> None:
    assert visit.found["scale"] == [pytest.approx(1.0, rel=1e-6)] * 2
    assert visit.found["closer"] < 0.5


def test_plots_of_almost_nothing_are_drawn_too(visit: Looked) -> None:
    assert (visit.found["odd"], visit.found["lone"], visit.found["state"]) == ([True] * 4, [3], [0, 2, 1])


def test_the_picture_shows_curves_marks_and_text_on_white(visit: Looked, report: Path) -> None:
    assert visit.found
    colours = pixels(report.with_suffix(".png"))
    hues = [(11, 92, 173), (193, 68, 14), (29, 122, 63)]
    assert all(any(all(abs(a - b) < 40 for a, b in zip(hue, each, strict=True)) for each in colours) for hue in hues)
    assert {(255, 255, 255), (22, 32, 42)} <= colours


def test_the_printed_page_holds_the_curves_of_a_closed_section(report: Path, tool: Callable[[str], str]) -> None:
    page = report.with_suffix(".pdf")
    look(report, pdf=page, program=tool(PROGRAM))
    streams = re.findall(rb"stream\r?\n(.*?)endstream", page.read_bytes(), re.DOTALL)
    lines = sum(zlib.decompressobj().decompress(each).count(b" l\n") for each in streams if each[:1] == b"x")
    assert lines > 10_000
