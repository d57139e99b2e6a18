"""Finalising: segments become one chain in plan order, and the same bytes however they were recorded."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_run import CAN, IDENTITY, PASSING, SKETCHES, Sketch, header, record, write_run

from hil.errors import EvidenceError
from hil.evidence.finalise import announce, finalise
from hil.evidence.folder import segment_file
from hil.evidence.identity import collect_identity, read_identity, write_identity
from hil.evidence.index import read_run
from hil.evidence.recorder import SegmentFile, SegmentRecorder
from hil.evidence.verify import verify
from hil.limits import Outcome, Verdict

PLAN = [sketch.nodeid for sketch in SKETCHES]


def test_a_run_is_counted_and_intact(tmp_path: Path) -> None:
    done = write_run(tmp_path / "run", SKETCHES)
    assert (done.tally.planned, done.tally.judged, done.tally.outcome) == (9, 9, Outcome.ERROR)
    assert done.tally.verdicts["PASS"] == 3
    assert verify(tmp_path / "run") == []
    assert not (tmp_path / "run" / "parts").exists()


def test_only_passing_tests_make_a_pass(tmp_path: Path) -> None:
    assert write_run(tmp_path / "run", [PASSING]).tally.outcome is Outcome.PASS
    assert write_run(tmp_path / "none", []).tally.outcome is Outcome.NOT_RUN


def test_a_planned_test_without_a_record_makes_the_run_incomplete(tmp_path: Path) -> None:
    done = write_run(tmp_path / "run", [PASSING], extra=["t::lost"])
    run = read_run(tmp_path / "run")
    assert (done.tally.judged, done.tally.planned, done.tally.outcome) == (1, 2, Outcome.INCOMPLETE)
    assert run.tests[1].verdict is Verdict.NOT_RUN
    assert run.tests[1].requirements == ("SAF-R-02",)


def test_a_record_that_breaks_off_is_kept_and_makes_the_run_incomplete(tmp_path: Path) -> None:
    write_identity(tmp_path, IDENTITY)
    path = segment_file(tmp_path, "main")
    with SegmentRecorder(SegmentFile(path), nodeid="t::a", index=0) as recorder:
        recorder.write("start", seed=1, rig="sim", evidence_class="sim")
    with path.open("ab") as file:
        file.write(b'{"doc":"ev')
    done = finalise(tmp_path, ["t::a"], header())
    test = read_run(tmp_path).tests[0]
    assert (done.tally.judged, done.tally.outcome, test.attempts[0].torn) == (0, Outcome.INCOMPLETE, True)
    assert b'"torn":"{\\"doc\\":\\"ev"' in (tmp_path / "events.jsonl").read_bytes()
    assert verify(tmp_path) == []


def test_every_attempt_stays_and_the_worst_counts(tmp_path: Path) -> None:
    write_identity(tmp_path, IDENTITY)
    record(tmp_path, 0, Sketch(nodeid="t::a", verdict=Verdict.FAIL))
    record(tmp_path, 0, Sketch(nodeid="t::a", verdict=Verdict.PASS), attempt=2)
    done = finalise(tmp_path, ["t::a"], header())
    test = read_run(tmp_path).tests[0]
    assert [attempt.verdict for attempt in test.attempts] == [Verdict.FAIL, Verdict.PASS]
    assert (test.verdict, done.tally.outcome, done.tally.judged) == (Verdict.FAIL, Outcome.FAIL, 1)


def test_a_test_that_nobody_planned_is_kept_and_makes_the_run_incomplete(tmp_path: Path) -> None:
    write_identity(tmp_path, IDENTITY)
    record(tmp_path, 0, PASSING)
    record(tmp_path, 1, Sketch(nodeid="t::stray", verdict=Verdict.PASS))
    done = finalise(tmp_path, [PASSING.nodeid], header())
    assert (done.tally.unplanned, done.tally.outcome) == (1, Outcome.INCOMPLETE)
    assert read_run(tmp_path).tests[1].nodeid == "t::stray"
    assert verify(tmp_path) == []


def test_an_unsafe_output_is_the_worst_outcome(tmp_path: Path) -> None:
    write_identity(tmp_path, IDENTITY)
    record(tmp_path, 0, PASSING)
    done = finalise(tmp_path, [PASSING.nodeid], header(), unsafe="psu.out1 did not read back OFF")
    assert done.tally.outcome is Outcome.UNSAFE
    assert read_run(tmp_path).unsafe == "psu.out1 did not read back OFF"


def test_logs_are_joined_in_plan_order_and_attached_by_range(tmp_path: Path) -> None:
    write_run(tmp_path / "run", SKETCHES)
    run = read_run(tmp_path / "run")
    first, second = (run.tests[place].attempts[0].attachments for place in (0, 1))
    assert (tmp_path / "run/can/bus_a.log").read_bytes() == CAN + CAN
    assert [(each.path, each.offset) for each in first] == [("can/bus_a.log", 0), ("scpi/siggen.log", 0)]
    assert [(each.path, each.offset) for each in second] == [
        ("can/bus_a.log", len(CAN)),
        ("signals/fts.out.npy", 0),
    ]


RECORD = """
import sys; sys.path.insert(0, sys.argv[1])
from pathlib import Path
from synthetic_run import SKETCHES, record
for index in map(int, sys.argv[3:]):
    record(Path(sys.argv[2]), index, SKETCHES[index], sync=True, worker="gw" + sys.argv[3])
"""


def _record_apart(run_dir: Path, indices: list[int], seed: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONHASHSEED": str(seed)}
    here = str(Path(__file__).parent)
    return subprocess.Popen([sys.executable, "-c", RECORD, here, run_dir, *map(str, indices)], env=environment)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_events_are_the_same_bytes_for_every_hash_seed_and_number_of_workers(tmp_path: Path, workers: int) -> None:
    write_run(tmp_path / "reference", SKETCHES)
    indices = list(range(len(SKETCHES)))[::-1]
    for seed in range(1, 6):
        run_dir = tmp_path / str(seed)
        write_identity(run_dir, IDENTITY)
        children = [_record_apart(run_dir, indices[n::workers], seed) for n in range(workers)]
        assert [child.wait() for child in children] == [0] * workers
        finalise(run_dir, PLAN, header(), requirements={each.nodeid: each.requirements for each in SKETCHES})
        for name in ("events.jsonl", "can/bus_a.log"):
            assert (run_dir / name).read_bytes() == (tmp_path / "reference" / name).read_bytes()


def test_a_full_disk_while_finalising_loses_nothing(tmp_path: Path) -> None:
    write_identity(tmp_path, IDENTITY)
    for index, sketch in enumerate(SKETCHES):
        record(tmp_path, index, sketch)
    before = {path: path.read_bytes() for path in (tmp_path / "parts").rglob("*") if path.is_file()}
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, old[1]))
    try:
        with pytest.raises(EvidenceError, match=r"cannot be finalised: .*everything recorded stands in parts/"):
            finalise(tmp_path, PLAN, header())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert {path: path.read_bytes() for path in before} == before
    assert finalise(tmp_path, PLAN, header()).tally.judged == len(PLAN)
    assert verify(tmp_path) == []


def test_a_run_is_finalised_once_and_has_an_identity(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="write_identity comes before finalise"):
        finalise(tmp_path, [], header())
    write_run(tmp_path / "run", [PASSING])
    with pytest.raises(EvidenceError, match="finalised once"):
        finalise(tmp_path / "run", [], header())


def test_a_killed_run_tells_what_was_planned(tmp_path: Path) -> None:
    write_identity(tmp_path, IDENTITY)
    announce(tmp_path, PLAN, header(), requirements={PLAN[1]: ["FTS-R-05"]})
    record(tmp_path, 0, SKETCHES[0])
    run = read_run(tmp_path)
    assert (run.finished, run.tally.planned, run.tally.judged, run.tally.outcome.exit_code) == (False, 9, 1, 12)
    assert run.tests[0].verdict is Verdict.PASS
    assert run.tests[1].requirements == ("FTS-R-05",)


def test_the_identity_holds_what_differs_from_run_to_run(tmp_path: Path) -> None:
    (tmp_path / "sim.toml").write_text("[rig]\n")
    found = collect_identity(rig_file=tmp_path / "sim.toml", rig={"name": "sim"})
    write_identity(tmp_path / "run", found)
    write_identity(tmp_path / "run", {"finished_utc": "later"})
    identity = read_identity(tmp_path / "run")
    assert {"started_utc", "host", "python", "versions", "command", "git", "rig", "finished_utc"} <= identity.keys()
    assert identity["run"] == "run"
    assert len(identity["rig"]["sha256"]) == 64
