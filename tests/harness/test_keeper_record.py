"""The keeper's own record: chained, read back whole or refused, and no obstacle when the disk is full."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import EvidenceError
from hil.evidence.documents import RunHeader
from hil.evidence.finalise import announce
from hil.evidence.verify import verify
from hil.safety.record import KeeperRecord, read_record

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, lines: int = 4) -> bytes:
    path.unlink(missing_ok=True)
    record = KeeperRecord(path)
    for number in range(lines):
        record.write("note", number=number)
    record.close()
    return path.read_bytes()


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    written(tmp_path / "keeper.jsonl")
    assert [line["number"] for line in read_record(tmp_path / "keeper.jsonl")] == [0, 1, 2, 3]


def test_a_last_line_that_was_cut_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "keeper.jsonl"
    path.write_bytes(written(path)[:-5])
    assert [line["number"] for line in read_record(path)] == [0, 1, 2]


@given(where=st.integers(0, 10_000), what=st.integers(1, 255))
def test_an_edit_of_any_byte_but_of_the_last_line_is_found(tmp_path_factory, where: int, what: int) -> None:
    path = tmp_path_factory.getbasetemp() / "edited.jsonl"
    content = bytearray(written(path))
    where %= content.rfind(b"\n", 0, -1) + 1
    content[where] ^= what
    path.write_bytes(content)
    with pytest.raises(EvidenceError):
        read_record(path)


def test_a_line_taken_out_is_found(tmp_path: Path) -> None:
    path = tmp_path / "keeper.jsonl"
    lines = written(path).splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(EvidenceError, match=r"keeper.jsonl:2: the line before it is not"):
        read_record(path)


def test_a_disk_that_takes_no_more_is_said_and_raises_nothing(tmp_path: Path) -> None:
    record = KeeperRecord(tmp_path / "keeper.jsonl")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        for number in range(10):
            record.write("note", number=number)
        record.sync()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    record.close()
    assert "File too large" in record.trouble


def test_a_folder_that_cannot_be_written_is_said_and_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    record = KeeperRecord(tmp_path / "file" / "keeper.jsonl")
    record.write("note")
    record.sync()
    assert "file" in record.trouble


def run_with_a_record(folder: Path) -> Path:
    """A run that was killed: a plan, no manifest, and what its keeper wrote."""
    announce(folder, ["t"], RunHeader(rig="r", evidence_class="sim", seed=1, development=(), profiles=()))
    written(folder / "keeper.jsonl")
    return folder


def test_verify_follows_the_keepers_chain(tmp_path: Path) -> None:
    run = run_with_a_record(tmp_path)
    assert all(finding.incomplete for finding in verify(run))
    record = run / "keeper.jsonl"
    record.write_bytes(record.read_bytes().replace(b'"number": 1', b'"number": 9'))
    assert any(finding.where == "keeper.jsonl:3" for finding in verify(run))


def test_verify_says_that_a_keepers_record_was_cut(tmp_path: Path) -> None:
    record = run_with_a_record(tmp_path) / "keeper.jsonl"
    record.write_bytes(record.read_bytes()[:-5])
    assert any(finding.where == "keeper.jsonl:4" and finding.incomplete for finding in verify(tmp_path))
