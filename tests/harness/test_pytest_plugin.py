"""The pytest plugin: verdicts, exit codes, evidence, workers; inert without a rig."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from suite import Ran, Suite

from hil.evidence.index import read_run

if TYPE_CHECKING:
    from pathlib import Path

EVERY_VERDICT = '''
import numpy as np
import pytest


@pytest.mark.requirement("BOX-R-01")
def test_good(rig, measure):
    """The supply is within its range."""
    measure("box.volts", 28.0, "V")

def test_beyond(rig, measure):
    measure("box.volts", np.float64(50.0), "V")

def test_in_the_guard_band(rig, measure):
    measure("box.volts", 35.95, "V")

def test_out_of_family(rig, measure):
    measure("box.volts", 25.0, "V")

def test_measures_nothing(rig):
    pass

def test_assertion(rig, measure):
    measure("box.volts", 28.0, "V")
    assert rig is None

def test_broken(rig):
    raise KeyError("x")

def test_skipped(rig):
    pytest.skip("no chamber")

@pytest.mark.measures("box.volts")
def test_never_taken(rig):
    pass

def test_not_a_number(rig, measure):
    measure("box.volts", float("nan"), "V")

def test_wrong_unit(rig, measure):
    measure("box.volts", 28000.0, "mV")

def test_unknown_name(rig, measure):
    measure("box.vlots", 28.0, "V")

def test_numpy_property(rig, measure, record_property):
    record_property("level", np.float64(3.5))
    measure("box.volts", 50.0, "V")

def test_undo_fails(rig, measure):
    measure("box.volts", 28.0, "V")
    rig.undo("nothing", lambda: (_ for _ in ()).throw(OSError("relay stuck")))

def test_sleeps(rig):
    import time
    time.sleep(0.1)
'''
VERDICTS = {
    "test_good": "PASS",
    "test_beyond": "FAIL",
    "test_in_the_guard_band": "INCONCLUSIVE",
    "test_out_of_family": "OUT_OF_FAMILY",
    "test_measures_nothing": "INCONCLUSIVE",
    "test_assertion": "FAIL",
    "test_broken": "ERROR",
    "test_skipped": "NOT_RUN",
    "test_never_taken": "FAIL",
    "test_not_a_number": "FAIL",
    "test_wrong_unit": "ERROR",
    "test_unknown_name": "ERROR",
    "test_numpy_property": "FAIL",
    "test_undo_fails": "ERROR",
    "test_sleeps": "ERROR",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Suite(tmp_path_factory.mktemp("suite"), EVERY_VERDICT).run()


@pytest.fixture(scope="module")
def ran_by_workers(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Suite(tmp_path_factory.mktemp("suite"), EVERY_VERDICT).run("-n", "2", PYTHONHASHSEED="3")


@pytest.mark.parametrize(("test", "verdict"), VERDICTS.items())
def test_every_ending_of_a_test_has_its_verdict(ran: Ran, test: str, verdict: str) -> None:
    assert ran.verdict(test) == verdict


def test_only_pass_is_passed(ran: Ran) -> None:
    assert "8 failed, 2 passed, 1 skipped, 5 errors" in ran.text  # the body of test_undo_fails passes, its undo errs


def test_the_exit_code_is_the_worst_verdict(ran: Ran) -> None:
    assert ran.code == 13


def test_the_terminal_shows_measurements_with_limits_and_margin(ran: Ran) -> None:
    lines = ran.text.splitlines()
    place = next(number for number, line in enumerate(lines) if line.split() == ["FAIL", "test_box.py::test_beyond"])
    assert lines[place + 1].split() == ["box.volts", "50", "V", "24", "..", "36", "-14", "FAIL"]


def test_a_test_that_measures_nothing_says_so(ran: Ran) -> None:
    assert "INCONCLUSIVE: no check record: nothing was measured, expected or watched" in ran.text


def test_a_wrong_unit_is_told_with_the_conversion(ran: Ran) -> None:
    assert "box.volts was measured in 'mV'" in ran.text
    assert "1 mV = 1e-3 V: convert the value" in ran.text


def test_an_unknown_name_is_told_with_the_nearest(ran: Ran) -> None:
    assert "box.vlots has no limit in box.toml; did you mean box.volts?" in ran.text


def test_an_undo_that_fails_is_an_error_of_the_rig(ran: Ran) -> None:
    assert "the rig was not left as it was found: undo of nothing: relay stuck" in ran.text


def test_two_workers_write_the_same_bytes(ran: Ran, ran_by_workers: Ran) -> None:
    assert ran_by_workers.code == ran.code
    assert (ran_by_workers.folder / "events.jsonl").read_bytes() == (ran.folder / "events.jsonl").read_bytes()


def test_a_numpy_scalar_as_a_property_survives_a_worker(ran_by_workers: Ran) -> None:
    assert ran_by_workers.verdict("test_numpy_property") == "FAIL"
    assert f"{len(VERDICTS)} of {len(VERDICTS)} planned tests judged" in ran_by_workers.text


def suite(tmp_path: Path, *lines: str) -> Suite:
    return Suite(tmp_path, "import os, pytest\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["def test_a(rig, measure): measure('box.volts', 28.0, 'V')"], 0),
        (["def test_a(rig, measure): measure('box.volts', 50.0, 'V')"], 1),
        (["def test_a(rig): pass"], 10),
        (["def test_a(rig, measure): measure('box.volts', 25.0, 'V')"], 11),
        (["def test_a(rig): raise RuntimeError('no answer')"], 13),
        (["def test_a(rig): pytest.skip('later')"], 5),
        ([], 5),
    ],
)
def test_exit_codes(tmp_path: Path, lines: list[str], code: int) -> None:
    assert suite(tmp_path, *lines).run().code == code


def test_a_run_that_dies_has_no_manifest_and_keeps_what_it_recorded(tmp_path: Path) -> None:
    good = "def test_a(rig, measure): measure('box.volts', 28.0, 'V')"
    ran = suite(tmp_path, good, "def test_b(rig): os._exit(9)").run()
    assert ran.code == 9
    assert not (ran.folder / "manifest.json").exists()
    assert '"verdict":"PASS"' in (ran.folder / "parts" / "main.jsonl").read_text()


def test_a_run_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    made = suite(tmp_path, "def test_a(rig, measure): measure('box.volts', 28.0, 'V')")
    assert made.run().code == 0
    again = made.run()
    assert again.code == 4
    assert "holds something already; evidence is never overwritten" in again.text


def test_a_misspelt_key_of_the_rig_file_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    made = Suite(tmp_path, "def test_a(rig): pass\n", rig='[rig]\nname = "x"\npase = "virtual"\n')
    ran = made.run()
    assert ran.code == 4
    assert "rig.toml:3: rig.pase is not known; did you mean pace?" in ran.text


def test_a_development_run_says_so_loudly(tmp_path: Path) -> None:
    ran = suite(tmp_path, "def test_a(rig, measure): measure('box.volts', 28.0, 'V')").run("--set", "rig.seed=7")
    assert "DEVELOPMENT RUN, qualifies nothing: rig.seed=7" in ran.text


def test_without_a_rig_a_test_that_needs_one_is_not_run_and_names_the_remedy(tmp_path: Path) -> None:
    ran = suite(tmp_path, "def test_a(rig): pass").run("-rs", rig=False)
    assert ran.code == 5
    assert "NOT_RUN: no rig is open; run with --rig FILE" in ran.text
    assert not ran.folder.exists()


def test_without_a_rig_other_tests_are_plain_pytest(tmp_path: Path) -> None:
    ran = suite(tmp_path, "def test_a(): pass", "def test_b(rig): pass").run(rig=False)
    assert ran.code == 0
    assert "1 passed, 1 skipped" in ran.text


def test_a_worker_that_dies_leaves_the_run_incomplete(tmp_path: Path) -> None:
    good = "def test_a(rig, measure): measure('box.volts', 28.0, 'V')"
    ran = suite(tmp_path, good, "def test_b(rig): os._exit(9)").run("-n", "2")
    assert ran.code == 12
    assert "INCOMPLETE: 1 of 2 planned tests judged" in ran.text
    assert ran.verdict("test_a") == "PASS"


def test_a_disk_that_is_full_while_recording_is_an_error_and_loses_nothing_recorded(tmp_path: Path) -> None:
    fill = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))"
    good = "def test_a(rig, measure): measure('box.volts', 28.0, 'V')"
    full = f"def test_b(rig, measure):\n    {fill}\n    for n in range(9): measure('box.volts', 28.0, 'V')"
    ran = suite(tmp_path, good, full).run()
    assert ran.code == 13
    assert "recording failed" in ran.text
    assert "free space or check the disk" in ran.text
    assert '"verdict":"PASS"' in (ran.folder / "parts" / "main.jsonl").read_text()
    assert (ran.folder / "parts" / "main.jsonl").read_text().endswith("\n")


def test_a_limit_in_the_call_judges_with_the_profiles_and_the_stricter_wins(tmp_path: Path) -> None:
    stricter = "def test_a(rig, measure): measure('box.volts', 35.0, 'V', limit=(None, 30.0))"
    wider = "def test_b(rig, measure): measure('box.volts', 37.0, 'V', limit=(0.0, 99.0))"
    alone = "def test_c(rig, measure): measure('box.amps', 1.0, 'A', limit=(0.5, 1.5))"
    ran = suite(tmp_path, stricter, wider, alone).run()
    assert [ran.verdict(test) for test in ("test_a", "test_b", "test_c")] == ["FAIL", "FAIL", "PASS"]
    assert '"origin":"call"' in (ran.folder / "events.jsonl").read_text()


WATCHED = """
from hil.signal import HIGH, LOW, Signal

def test_a(rig, always):
    pin = Signal("box.out", "", rig.timeline, held=True)
    pin.put(LOW)
    always(pin, LOW)
    rig.clock.at(5_000_000, lambda: pin.put(LEVEL))
    rig.clock.sleep(10_000_000)
"""


@pytest.mark.parametrize(("level", "code"), [("LOW", 0), ("HIGH", 1)])
def test_what_always_watches_decides_although_the_test_body_asks_nothing(tmp_path: Path, level: str, code: int) -> None:
    ran = Suite(tmp_path, WATCHED.replace("LEVEL", level)).run()
    assert ran.code == code
    assert ("box.out always = LOW: HIGH at 0.005000000 s" in ran.text) == (level == "HIGH")


LATE = """
def test_a(rig, measure):
    due = rig.clock.now + 1_000_000
    rig.clock.at(due, lambda: None)
    while rig.clock.now < due + 20_000_000:  # a test that keeps the processor
        pass
    rig.clock.sleep(1)
    measure("box.volts", 28.0, "V")
"""


def test_a_measurement_on_a_clock_that_was_late_is_inconclusive(tmp_path: Path) -> None:
    paced = '[rig]\nname = "paced"\npace = "wall"\nmax_lateness_ms = 5.0\n'
    ran = Suite(tmp_path, LATE, rig=paced).run()
    assert ran.verdict("test_a") == "INCONCLUSIVE"
    assert "ms late, beyond the rig's max_lateness" in ran.text


COUNTED = """
import pytest
from hil.signal import Signal

@pytest.mark.parametrize("case", ["counted", "for information", "not looked at", "since given"])
def test_a(rig, measure, case):
    level, wrong = Signal("box.level", "V", rig.timeline, held=True), 0
    for late in (True, False, False):
        rig.timeline.stimulus("a lamp")
        since = rig.clock.now
        if late:
            rig.clock.at(rig.clock.now + 1, lambda: [n for n in range(10**6)])
            rig.clock.at(rig.clock.now + 2, lambda: None)
        if case == "not looked at":
            rig.clock.sleep(10**6)
        else:
            wrong += level.seen(above=5.0, within=10**6)
        if case == "for information":
            measure("box.volts", 1.0, "V", info=True)
        rig.clock.sleep(10**8)
    measure("box.volts", 28.0, "V", since=since if case == "since given" else None)
"""


def test_a_measurement_answers_for_the_looks_of_every_stimulus_since_the_one_before(tmp_path: Path) -> None:
    ran = Suite(tmp_path, COUNTED, rig='[rig]\nname = "paced"\npace = "wall"\nmax_lateness_ms = 5.0\n').run()
    cases = ("counted", "for information", "not looked at", "since given")
    found = [ran.verdict(f"test_a[{case}]") for case in cases]
    assert found == ["INCONCLUSIVE", "INCONCLUSIVE", "PASS", "PASS"]


def test_on_a_late_wall_clock_a_good_check_shows_nothing(tmp_path: Path) -> None:
    late = """
def test_a(rig, always):
    from hil.signal import Signal
    level = Signal("box.level", "V", rig.timeline, held=True)
    level.put(1.0)
    rig.clock.at(rig.clock.now + 1, lambda: [n for n in range(10**6)])
    rig.clock.at(rig.clock.now + 2, lambda: None)
    assert level.stays(above=0.5, for_=10**8)
"""
    ran = Suite(tmp_path, late, rig='[rig]\nname = "paced"\npace = "wall"\nmax_lateness_ms = 0.5\n').run()
    assert ran.verdict("test_a") == "INCONCLUSIVE"
    assert "ms late, beyond the rig's max_lateness" in ran.text
    assert ran.code == 10


LATE_THEN = """
import pytest

@pytest.mark.measures("box.volts")
def test_a(rig, measure, always):
    from hil.signal import Signal
    level = Signal("box.level", "V", rig.timeline, held=True)
    level.put(1.0)
    always(level, lambda value: value < 2.0)
    rig.clock.at(rig.clock.now + 1, lambda: [n for n in range(10**6)])
    rig.clock.at(rig.clock.now + 2, lambda: None)
    {then}
    measure("box.volts", 28.0, "V")
"""
LATER = "rig.clock.sleep(10**9); rig.timeline.stimulus('a lamp')"


@pytest.mark.parametrize(
    ("then", "verdict"),
    [
        ("level.expect(above=5.0, within=10**7)", "INCONCLUSIVE"),
        ("assert level.stays(above=5.0, for_=10**7)", "INCONCLUSIVE"),
        ("rig.clock.sleep(10**7); assert level.last.value == 5.0", "INCONCLUSIVE"),
        (f"{LATER}; level.expect(above=5.0, within=10**7)", "FAIL"),
        (f"{LATER}; level.expect(above=5.0, within=10**7, since=0)", "INCONCLUSIVE"),
        (f"level.stays(above=5.0, for_=10**7); {LATER}; assert level.last.value == 5.0", "FAIL"),
    ],
)
def test_what_did_not_come_true_on_a_late_clock_is_inconclusive_and_otherwise_a_failure(
    tmp_path: Path, then: str, verdict: str
) -> None:
    paced = '[rig]\nname = "paced"\npace = "wall"\nmax_lateness_ms = 5.0\n'
    ran = Suite(tmp_path, LATE_THEN.format(then=then), rig=paced).run()
    assert ran.verdict("test_a") == verdict
    assert verdict == "FAIL" or "ms late, beyond the rig's max_lateness" in ran.text


def test_the_samples_of_a_signal_that_tests_asked_about_are_kept_a_block_per_test(tmp_path: Path) -> None:
    asks = """
import pytest

@pytest.mark.parametrize("level", [1.0, 2.0])
def test_a(rig, level):
    from hil.signal import Signal
    signal = Signal("box.level", "V", rig.timeline)
    rig.clock.at(10, lambda: signal.put(level))
    signal.expect(level, within=100)
"""
    ran = suite(tmp_path, asks).run("-n", "2")
    with (ran.folder / "signals" / "box.level.npy").open("rb") as file:
        blocks = [np.load(file).tolist() for _ in range(2)]
    assert blocks == [[(10, 1.0)], [(10, 2.0)]]


def test_trials_alike_differ_by_the_seed_of_their_streams_alone(tmp_path: Path) -> None:
    body = """
import pytest

@pytest.mark.parametrize("number", [pytest.param(n, marks=pytest.mark.draw(n)) for n in (0, 1)])
def test_draw(rig, measure, number):
    measure("box.volts", 24.0 + float(rig.streams.stream("box", "noise").random()), "V")
"""
    ran = suite(tmp_path, body).run()
    trials = read_run(ran.folder).tests
    first, second = (trial.attempts[-1].seed for trial in trials)
    assert second == first + 1
    assert trials[0].measurements[0].value != trials[1].measurements[0].value


LATE_RUN = """
from threading import Event

import pytest

from hil.units import ms


@pytest.mark.parametrize("time", range(2))
def test_passes(rig, measure, time):
    for tick in range(3):
        rig.clock.at(rig.clock.now + tick * ms, lambda: None)
    Event().wait(0.2)
    rig.clock.sleep(5 * ms)
    rig.timeline.stimulus("nothing is late from here on")
    measure("box.volts", 28.0, "V")
"""
SLOW_HOST = """
[rig]
name = "slow"
pace = "wall"
max_lateness_ms = 100.0
run_late_ticks_max = 5
"""


def test_a_run_whose_clocks_were_late_too_often_is_inconclusive_though_all_its_tests_pass(tmp_path):
    ran = Suite(tmp_path, LATE_RUN, SLOW_HOST).run()
    assert [ran.verdict(f"test_passes[{time}]") for time in range(2)] == ["PASS", "PASS"], ran.text
    assert ran.code == 10, ran.text
    assert "INCONCLUSIVE: 2 of 2 planned tests judged (2 PASS)" in ran.text
    assert "the clocks of this run were late 6 times, it may be 5: the host is too slow" in ran.text
