"""The recorder: documents become chained lines, and a full disk loses nothing that stood."""

from __future__ import annotations

import json
import math
import resource
from contextlib import closing
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import EvidenceError
from hil.evidence.chain import GENESIS, line_hash
from hil.evidence.documents import RunHeader, decode, encode, measurement_fields, plain
from hil.evidence.recorder import SegmentFile, SegmentRecorder
from hil.limits import Limit, take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text() | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


class Mode(Enum):
    ARMED = 2


class Level(IntEnum):
    HIGH = 1


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[SegmentRecorder]:
    with closing(SegmentFile(tmp_path / "parts" / "main.jsonl")) as file:
        yield SegmentRecorder(file, nodeid="t::a", index=0)


@pytest.fixture
def full_at() -> Iterator[object]:
    """``full_at(size)``: from now on no file of this process grows beyond that many bytes."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_each_line_holds_the_hash_of_the_line_before(recorder: SegmentRecorder, tmp_path: Path) -> None:
    recorder.write("start", seed=1, rig="sim", evidence_class="sim")
    recorder.write("event", t_ns=5, what="stimulus")
    recorder.write("stop", verdict="PASS")
    lines = (tmp_path / "parts/main.jsonl").read_bytes().splitlines(keepends=True)
    assert [decode(line)["prev"] for line in lines] == [GENESIS, line_hash(lines[0]), line_hash(lines[1])]
    assert recorder.head == line_hash(lines[2])


def test_a_start_names_its_test_and_attempt(recorder: SegmentRecorder, tmp_path: Path) -> None:
    recorder.write("start", seed=1, rig="sim", evidence_class="sim")
    document = json.loads((tmp_path / "parts/main.jsonl").read_text())
    assert (document["nodeid"], document["index"], document["attempt"]) == ("t::a", 0, 1)


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        (np.float64(1.5), 1.5), (np.int32(7), 7), (np.bool_(True), True),
        (math.nan, {"value": None, "nonfinite": "NaN"}),
        ([np.float32("inf")], [{"value": None, "nonfinite": "Infinity"}]), (Mode.ARMED, "ARMED"), (Level.HIGH, "HIGH"),
        ({"b", "a"}, ["a", "b"]), (b"\x01\xff", "01ff"), ({10: 1, 2: 2}, {"10": 1, "2": 2}), ((1, (2,)), [1, [2]]),
    ],
)  # fmt: skip
def test_values_become_what_they_mean(value: object, recorded: object) -> None:
    assert plain(value) == recorded


def test_what_has_no_meaning_is_refused_by_name_and_breaks_nothing(recorder: SegmentRecorder) -> None:
    with pytest.raises(EvidenceError, match=r"event\.seen is a builtins\.object; record a number"):
        recorder.write("event", t_ns=0, what="x", seen=object())
    recorder.write("event", t_ns=0, what="x", seen=1)


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        ("evnt", {}, "'evnt' is not known; it is one of start"),
        ("event", {"t_ns": 1}, "lacks what"),
        ("event", {"t_ns": 1, "what": "check"}, "lacks condition, form, passed, signal"),
        ("event", {"t_ns": 1, "what": "x", "prev": "0"}, "rename"),
    ],
)
def test_a_document_that_no_reader_could_use_is_refused(
    recorder: SegmentRecorder, kind: str, fields: dict[str, object], text: str
) -> None:
    with pytest.raises(EvidenceError, match=text):
        recorder.write(kind, **fields)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_any_document_reads_back_and_encodes_to_the_same_bytes(fields: dict[str, object]) -> None:
    line = encode({key: plain(value) for key, value in fields.items()})
    assert line.count(b"\n") == 1
    assert encode(decode(line)) == line


@pytest.mark.parametrize("line", [b"[1]\n", b'{"a":NaN}\n', b"\xff\n", b"{\n", b"[" * 100_000])
def test_what_is_no_document_does_not_decode(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(line)


def test_a_full_disk_is_said_and_what_stood_stands(tmp_path: Path, full_at: object) -> None:
    path = tmp_path / "main.jsonl"
    recorder = SegmentRecorder(SegmentFile(path), nodeid="t::a", index=0)
    recorder.write("start", seed=1, rig="sim", evidence_class="sim")
    before = path.read_bytes()
    full_at(len(before) + 20)
    with pytest.raises(EvidenceError, match=r"main\.jsonl: File too large .* after 1 documents, which stand; free"):
        recorder.write("event", t_ns=1, what="stimulus")
    assert path.read_bytes() == before


def test_a_broken_recorder_stays_broken(tmp_path: Path, full_at: object) -> None:
    file = SegmentFile(tmp_path / "main.jsonl")
    recorder = SegmentRecorder(file, nodeid="t::a", index=0)
    full_at(0)
    with pytest.raises(EvidenceError, match="recording failed"):
        recorder.write("stop", verdict="PASS")
    full_at(1 << 20)
    with pytest.raises(EvidenceError, match="recording failed"):
        recorder.write("stop", verdict="PASS")


def test_the_next_test_is_recorded_as_soon_as_the_disk_takes_it(recorder: SegmentRecorder, full_at: object) -> None:
    file = recorder.file
    full_at(10)
    for number in (1, 2):
        broken = SegmentRecorder(file, nodeid="t::b", index=number)
        with pytest.raises(EvidenceError, match="recording failed"):
            broken.write("start", seed=1, rig="sim", evidence_class="sim")
    full_at(1 << 20)
    SegmentRecorder(file, nodeid="t::c", index=3).write("start", seed=1, rig="sim", evidence_class="sim")
    assert [decode(line)["nodeid"] for line in file.path.read_bytes().splitlines()] == ["t::c"]


def test_each_segment_of_a_file_is_a_chain_of_its_own(recorder: SegmentRecorder) -> None:
    recorder.write("stop", verdict="PASS")
    SegmentRecorder(recorder.file, nodeid="t::b", index=1).write("start", seed=1, rig="sim", evidence_class="sim")
    lines = recorder.file.path.read_bytes().splitlines()
    assert [decode(line)["prev"] for line in lines] == [GENESIS, GENESIS]


def test_evidence_is_never_overwritten(recorder: SegmentRecorder) -> None:
    recorder.write("stop", verdict="PASS")
    path = recorder.file.path
    before = path.read_bytes()
    with closing(SegmentFile(path)) as again:
        SegmentRecorder(again, nodeid="t::a", index=0).write("stop", verdict="FAIL")
    assert path.read_bytes().startswith(before)
    assert len(path.read_bytes()) > len(before)


def test_nothing_is_recorded_behind_half_a_line_of_another_process(tmp_path: Path) -> None:
    (tmp_path / "main.jsonl").write_bytes(b'{"doc":"st')
    with pytest.raises(EvidenceError, match="ends within a line that another process left"):
        SegmentRecorder(SegmentFile(tmp_path / "main.jsonl"), nodeid="t::a", index=0)


def test_nothing_is_recorded_after_the_end(recorder: SegmentRecorder) -> None:
    recorder.sync()
    recorder.close()
    with pytest.raises(EvidenceError, match="the record of t::a is closed"):
        recorder.write("stop", verdict="PASS")


def test_nothing_is_recorded_once_the_next_test_has_begun(recorder: SegmentRecorder) -> None:
    SegmentRecorder(recorder.file, nodeid="t::b", index=1)
    with pytest.raises(EvidenceError, match="the record of t::a is closed"):
        recorder.write("stop", verdict="PASS")


def test_addresses_stay_out_of_messages(recorder: SegmentRecorder, tmp_path: Path) -> None:
    recorder.write("stop", verdict="FAIL", message="<Pin object at 0x7f00deadbeef> frame at 0x1A0", reason="")
    assert "<Pin object at 0x...> frame at 0x1A0" in (tmp_path / "parts/main.jsonl").read_text()


def test_a_measurement_that_is_not_finite_is_recorded_as_null(recorder: SegmentRecorder) -> None:
    taken = take("v", math.nan, "V", [Limit(name="v", unit="V", low=0)])
    fields = measurement_fields(taken, t_ns=5, evidence_class="sim")
    recorder.write("measurement", **fields)
    assert (fields["value"], fields["nonfinite"], fields["verdict"]) == (None, "NaN", "FAIL")


def test_an_unknown_evidence_class_is_refused() -> None:
    with pytest.raises(EvidenceError, match="'hw' is not known; it is one of sim, rtl, hardware"):
        RunHeader(rig="r", evidence_class="hw", seed=1)
