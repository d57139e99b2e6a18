"""The report: one self-contained, escaped HTML file, a pure function of a copied run folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from synthetic_run import IDENTITY, PASSING, SKETCHES, Sketch, header, of, record, write_run

from hil.cli import main
from hil.errors import EvidenceError
from hil.evidence.finalise import announce
from hil.evidence.identity import write_identity
from hil.evidence.verify import verify
from hil.limits import Limit, Outcome, Verdict, take
from hil.report.render import render, write_report

if TYPE_CHECKING:
    from pathlib import Path


class Page(HTMLParser):
    """What a page holds: its tags, its attributes that name something to fetch, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        if tag == "wbr":
            self.text = self.text.removesuffix(" ")
        else:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += f"{data} "


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "20260301T120000Z-launcher-sim"
    write_run(path, SKETCHES, extra=["tests/launcher/test_safety.py::test_interlock"])
    return path


@pytest.fixture(scope="module")
def page(run_dir: Path) -> Page:
    return Page(render(run_dir))


def passing(path: Path, **changes: object) -> str:
    write_run(path, [PASSING], **changes)
    return Page(render(path)).text


def test_the_verdict_comes_first(page: Page) -> None:
    assert page.text.index("ERROR") < page.text.index("What is not PASS") < page.text.index("Requirement ×")
    assert "9 of 10 planned tests have a verdict" in page.text
    assert "1 of 10 planned tests have no verdict" in page.text


def test_every_measurement_has_its_limits_source_margin_and_rule(page: Page) -> None:
    assert "fts.response_time 24.96 ± 0.1 ms – 25 +0.04 +0.16 % INCONCLUSIVE" in page.text
    assert "Limit ≤ 25 ms: FTR procurement specification, 3.2.4 [D]" in page.text
    assert "Limit ≤ 30 ms: 14 CFR 417, A417.21(c)(3) [P]" in page.text
    assert "guard band 0.1 ms" in page.text
    assert "ILAC-G8:09/2019" in page.text


def test_every_requirement_stands_with_its_tests_and_verdicts(page: Page) -> None:
    matrix = page.text[page.text.index("Requirement × test") : page.text.index("3 Measurements")]
    rows = re.findall(r"FTS-R-05 (\S+\[24V\]) PASS INCONCLUSIVE open (\S+\[36V\]) INCONCLUSIVE", matrix)
    assert len(rows) == 1
    assert "SAF-R-02 test_safety.py::test_interlock NOT RUN NOT RUN open" in matrix


def test_simulated_evidence_closes_nothing_and_says_so(page: Page) -> None:
    assert "SIMULATED" in page.text
    assert "closes no flight requirement" in page.text
    assert "FTS-R-40 test_fts_rf.py::test_response_time[24V] PASS PASS open (simulated evidence)" in page.text


def test_rig_identity_profiles_and_chain_are_in_it(page: Page, run_dir: Path) -> None:
    for text in (
        "HIL,PSU-TWIN,SN0002,1.0",
        "DKD-4711",
        "revision 2",
        "legacy / tailoring baseline",
        "0123456789abcdef",
    ):
        assert text in page.text
    head = write_run(run_dir.with_name("again"), SKETCHES, extra=["tests/launcher/test_safety.py::test_interlock"]).head
    assert head in page.text


def test_the_purpose_and_the_duration_of_each_test_are_in_it(page: Page) -> None:
    assert "TERMINATE without ARM leaves every output low." in page.text
    assert "Verifies FTS-R-32 · rig time 3.003 s" in page.text
    assert "expect fts.arm_output HIGH within 100 ms HIGH 0.015 s 0.010 s PASS" in page.text


def test_invariants_that_were_kept_share_a_line_and_a_broken_one_has_its_own(tmp_path: Path) -> None:
    counts = [
        take(f"invariant.{read}", value, "1", [Limit(name=f"invariant.{read}", unit="1", high=0.0, source="rig")])
        for read, value in (("bus_a.error_frames", 0), ("bus_a.lost", 0), ("bus_b.lost", 3))
    ]
    told = take("invariant.psu.out1.measured_current_a", 2.125, "A", None)
    write_run(tmp_path / "run", [Sketch(nodeid="test_a.py::test_b", measurements=(*counts, told))])
    found = Page(render(tmp_path / "run")).text
    assert "Invariants kept (PASS): bus_a.error_frames 0 (≤ 0); bus_a.lost 0 (≤ 0)." in found
    assert "Invariants for information: psu.out1.measured_current_a 2.125 A." in found
    assert "invariant.bus_b.lost 3" in found
    assert "FAIL" in found


def test_every_instrument_stands_as_it_answered(page: Page) -> None:
    assert "name manufacturer model serial firmware opened psu HIL PSU-TWIN SN0007 1.0 " in page.text
    assert "instrument: " not in page.text


def test_what_judged_stands_with_its_status_before_the_results(page: Page) -> None:
    head = page.text[: page.text.index("What is not PASS")]
    assert "Judged by FTS receiver specification, revision 2 (in force)" in head
    assert "legacy / tailoring baseline" in head


def test_a_long_name_may_break_between_its_parts(run_dir: Path) -> None:
    assert "test_<wbr>fts_<wbr>rf.<wbr>py::<wbr>test_<wbr>response_<wbr>time<wbr>[24V]" in render(run_dir)


def test_it_holds_no_script_and_fetches_nothing(page: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert all(target.startswith("#test-") for target in page.fetched)


def test_what_recorded_nothing_to_plot_has_no_section_for_it(page: Page) -> None:
    assert "Delays" not in page.text
    assert "details" not in page.tags


NASTY = '<script>alert("x")</script>\'"&{{ 7*7 }}</style><img src=x>'


def test_everything_recorded_is_escaped(tmp_path: Path) -> None:
    sketch = Sketch(
        nodeid=f"t::{NASTY}",
        title=NASTY,
        requirements=(NASTY,),
        verdict=Verdict.FAIL,
        message=NASTY,
        measurements=(of("av.valve_state", NASTY),),
        checks=(("expect", NASTY, NASTY, False, {NASTY: [NASTY]}),),
    )
    write_run(tmp_path / "run", [sketch], title=NASTY, rig=NASTY, development=(NASTY,))
    text = render(tmp_path / "run")
    assert not {"script", "img"} & set(Page(text).tags)
    assert text.count("</style>") == 1
    assert "{{ 7*7 }}" in text


def test_the_same_folder_gives_the_same_bytes_under_any_name(run_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_dir, tmp_path / "elsewhere")
    assert render(copy) == render(run_dir)
    assert write_report(copy).read_bytes() == write_report(copy, tmp_path / "out.html").read_bytes()
    assert verify(copy) == []


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"hil_launcher", "can", "cantools", "pyvisa", "pytest", "_pytest"} or name.startswith(
            ("hil.rig", "hil.can", "hil.visa", "hil.safety", "hil.pytest_plugin")
        ):
            raise ImportError(f"{name} must not be imported by a report")
sys.meta_path.insert(0, Blocker())
from hil.cli import main
main()
"""


def test_a_copy_alone_is_enough_where_rig_and_buses_cannot_be_imported(run_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_dir, tmp_path / "copy")
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, "report", "copy"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "copy/report.html\n", "")
    assert (copy / "report.html").read_text() == render(run_dir)


def test_a_development_run_is_loud(tmp_path: Path) -> None:
    text = passing(tmp_path / "run", development=("dut.fts.model=late",), evidence_class="hardware")
    assert "--set dut.fts.model=late" in text
    assert "SIMULATED · DEVELOPMENT" in text


def test_one_simulated_measurement_makes_a_simulated_report(tmp_path: Path) -> None:
    assert "SIMULATED" in passing(tmp_path / "run", evidence_class="hardware")


def test_edited_evidence_never_shows_its_verdict(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [PASSING])
    path = tmp_path / "run" / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b"-115.75", b"-118.75"))
    text = Page(render(tmp_path / "run")).text
    assert "EVIDENCE DAMAGED" in text[:400]
    assert "prev is" in text


@pytest.mark.parametrize(("late", "outcome"), [(5, Outcome.PASS), (6, Outcome.INCONCLUSIVE)])
def test_a_run_whose_clocks_were_late_too_often_is_inconclusive_whatever_its_tests_say(
    tmp_path: Path, late: int, outcome: Outcome
) -> None:
    sketches = [replace(PASSING, late=3), replace(PASSING, nodeid="tests/launcher/test_b.py::test_c", late=late)]
    finalised = write_run(tmp_path / "run", sketches, late_max=8)
    assert finalised.tally.outcome is outcome
    assert not verify(tmp_path / "run")
    said = "The clocks of this run were late 9 times, it may be 8" in Page(render(tmp_path / "run")).text
    assert said == (outcome is Outcome.INCONCLUSIVE)


def test_an_unfinished_run_has_a_report_that_says_so(tmp_path: Path) -> None:
    write_identity(tmp_path, IDENTITY)
    announce(tmp_path, [PASSING.nodeid, "t::never"], header())
    record(tmp_path, 0, PASSING)
    text = Page(render(tmp_path)).text
    assert "INCOMPLETE" in text[:400]
    assert "The run was not finished" in text
    assert "t::never" in text


def test_a_run_without_tests_and_one_that_passes_render(tmp_path: Path) -> None:
    write_run(tmp_path / "none", [])
    assert "NOT RUN" in Page(render(tmp_path / "none")).text[:300]
    assert "Every planned test is PASS." in passing(tmp_path / "run")


def test_an_edited_report_is_found_by_verify(run_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_dir, tmp_path / "copy")
    path = write_report(copy)
    assert CliRunner().invoke(main, ["verify", str(copy)]).exit_code == 0
    path.write_text(path.read_text().replace("INCONCLUSIVE", "PASS"))
    result = CliRunner().invoke(main, ["verify", str(copy)])
    assert (result.exit_code, "report.html: was edited" in result.output) == (1, True)


def test_a_report_of_another_version_is_not_compared(run_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_dir, tmp_path / "copy")
    path = write_report(copy)
    path.write_text(re.sub(r'content="hil [^"]*"', 'content="hil 0.0.1, report 0"', path.read_text()))
    result = CliRunner().invoke(main, ["verify", str(copy)])
    assert (result.exit_code, "was made by hil 0.0.1" in result.output) == (0, True)


@pytest.mark.parametrize("name", ["gone", "."])
def test_a_path_that_is_no_run_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["report", name])
    assert (result.exit_code, "Error: " in result.output) == (2, True)
    with pytest.raises(EvidenceError, match=r"is not a (run )?folder"):
        render(tmp_path / name)
