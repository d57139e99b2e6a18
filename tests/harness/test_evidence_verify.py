"""Verifying: any edit, cut, swap or truncation of a run folder is found."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_run import IDENTITY, PASSING, SKETCHES, header, record, write_run

from hil.cli import main
from hil.errors import EvidenceError
from hil.evidence.chain import GENESIS, line_hash
from hil.evidence.documents import decode, encode
from hil.evidence.finalise import announce, finalise
from hil.evidence.identity import write_identity
from hil.evidence.index import read_run
from hil.evidence.segments import split_segments
from hil.evidence.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = ("events.jsonl", "manifest.json", "identity.json", "can/bus_a.log", "scpi/siggen.log")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pristine") / "run"
    write_run(path, SKETCHES, extra=["t::lost"])
    return path


@pytest.fixture
def run_dir(pristine: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine, tmp_path / "copy")


def edit_lines(run_dir: Path, change: Callable[[list[bytes]], list[bytes]]) -> list[str]:
    path = run_dir / "events.jsonl"
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    return [str(finding) for finding in verify(run_dir)]


def test_a_copy_is_intact(run_dir: Path) -> None:
    assert verify(run_dir) == []


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_of_any_file_is_found(pristine: Path, data: st.DataObject) -> None:
    path = pristine / data.draw(st.sampled_from(FILES))
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    path.write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
    try:
        assert verify(pristine)
    finally:
        path.write_bytes(content)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cut_swap_or_doubled_line_is_found(pristine: Path, data: st.DataObject) -> None:
    path = pristine / "events.jsonl"
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    one, other = sorted(data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True)))
    swapped = [*lines]
    swapped[one], swapped[other] = lines[other], lines[one]
    kinds = {
        "cut": lines[:one] + lines[other:],
        "swap": swapped,
        "double": [*lines[:other], lines[one], *lines[other:]],
        "truncate": lines[:other],
        "tear": [content[: data.draw(st.integers(0, len(content) - 1))]],
    }
    path.write_bytes(b"".join(kinds[data.draw(st.sampled_from(sorted(kinds)))]))
    try:
        assert any(finding.where.startswith("events.jsonl") for finding in verify(pristine))
    finally:
        path.write_bytes(content)


def test_an_edited_value_is_named_by_its_line(run_dir: Path) -> None:
    found = edit_lines(run_dir, lambda lines: [line.replace(b"24.96", b"24.16") for line in lines])
    edited = (run_dir / "events.jsonl").read_bytes()
    number = next(n for n, line in enumerate(edited.splitlines(), 1) if b"24.16" in line)
    assert any(text.startswith(f"events.jsonl:{number + 1}: prev is") for text in found)


def test_two_swapped_segments_are_found(run_dir: Path) -> None:
    def swap(lines: list[bytes]) -> list[bytes]:
        links = [n for n, line in enumerate(lines) if b'"doc":"link"' in line]
        a, b, c = links[2:5]
        return lines[:a] + lines[b:c] + lines[a:b] + lines[c:]

    assert any("the order was changed" in text for text in edit_lines(run_dir, swap))


def test_a_segment_that_was_hashed_again_with_its_link_is_found_where_the_run_goes_on(run_dir: Path) -> None:
    after: list[int] = []

    def forge(lines: list[bytes]) -> list[bytes]:
        place = next(n for n, line in enumerate(lines) if b'"doc":"link"' in line)
        link = decode(lines[place])
        end = place + 1 + int(str(link["documents"]))
        head = GENESIS
        for number in range(place + 1, end):
            document = decode(lines[number].replace(b'"seed":', b'"sead":')) | {"prev": head}
            lines[number] = encode(document)
            head = line_hash(lines[number])
        lines[place] = encode(link | {"head": head})
        after.append(end + 1)
        return lines

    found = [text for text in edit_lines(run_dir, forge) if text.startswith("events.jsonl:")]
    assert [text.partition(" is ")[0] for text in found][:1] == [f"events.jsonl:{after[0]}: prev"]


def test_a_cut_tail_is_found_even_where_a_whole_segment_ends(run_dir: Path) -> None:
    def cut(lines: list[bytes]) -> list[bytes]:
        return lines[: max(n for n, line in enumerate(lines) if b'"doc":"link"' in line)]

    assert any("its tail was cut off" in text for text in edit_lines(run_dir, cut))


def test_missing_and_added_files_are_found(run_dir: Path) -> None:
    (run_dir / "scpi/siggen.log").unlink()
    (run_dir / "notes.txt").write_text("hello")
    (run_dir / "link").symlink_to("events.jsonl")
    found = {str(finding) for finding in verify(run_dir)}
    assert "scpi/siggen.log: is missing" in found
    assert any(text.startswith("notes.txt: is not in the manifest") for text in found)
    assert any(text.startswith("link: is not a regular file") for text in found)


def test_parts_beside_a_manifest_are_found(run_dir: Path) -> None:
    record(run_dir, 3, PASSING)
    assert any(finding.where == "parts/" for finding in verify(run_dir))


def test_a_manifest_that_says_something_else_is_found(run_dir: Path) -> None:
    path = run_dir / "manifest.json"
    path.write_text(path.read_text().replace('"outcome": "ERROR"', '"outcome": "PASS"'))
    assert [str(each) for each in verify(run_dir)] == [
        "manifest.json: outcome is 'PASS', but the folder gives 'ERROR'",
    ]


def test_an_attachment_cannot_point_out_of_the_folder(run_dir: Path) -> None:
    found = edit_lines(run_dir, lambda lines: [line.replace(b'"can/bus_a.log"', b'"../../etc/x"') for line in lines])
    assert any("outside of the run folder" in text for text in found)


def test_an_unfinished_run_is_incomplete_and_its_parts_are_followed(tmp_path: Path) -> None:
    write_identity(tmp_path, IDENTITY)
    announce(tmp_path, [PASSING.nodeid], header())
    record(tmp_path, 0, PASSING)
    assert [finding.incomplete for finding in verify(tmp_path)] == [True]
    path = tmp_path / "parts/main.jsonl"
    path.write_bytes(path.read_bytes().replace(b"-115.75", b"-115.85"))
    assert [finding.incomplete for finding in verify(tmp_path)] == [True, False]


def test_a_segment_under_the_name_of_another_test_is_found(tmp_path: Path) -> None:
    announce(tmp_path, [sketch.nodeid for sketch in SKETCHES], header())
    for index, sketch in enumerate((SKETCHES[1], SKETCHES[0])):
        record(tmp_path, index, sketch)
    assert sum("it was swapped" in finding.what for finding in verify(tmp_path)) == 2


def test_a_segment_that_stands_twice_is_found_before_and_after_the_run_is_finished(tmp_path: Path) -> None:
    write_identity(tmp_path, IDENTITY)
    record(tmp_path, 0, PASSING, worker="gw0")
    record(tmp_path, 0, PASSING, worker="gw1")
    found = [finding for finding in verify(tmp_path) if not finding.incomplete]
    assert [finding.where for finding in found] == ["parts/gw1.jsonl:1"]
    assert "which parts/gw0.jsonl:1 is too: it was doubled" in found[0].what
    done = finalise(tmp_path, [PASSING.nodeid], header())
    assert ["a second time" in finding.what for finding in done.findings] == [True]
    assert [str(finding) for finding in verify(tmp_path)] == [str(finding) for finding in done.findings]


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a worker that recorded every test and did not finish."""
    path = tmp_path_factory.mktemp("unfinished")
    announce(path, [sketch.nodeid for sketch in SKETCHES], header())
    for index, sketch in enumerate(SKETCHES):
        record(path, index, sketch)
    return path / "parts/main.jsonl"


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_that_another_line_follows_is_found_in_parts(unfinished: Path, data: st.DataObject) -> None:
    content = unfinished.read_bytes()
    lines = [(n, line) for n, line in enumerate(content.splitlines(keepends=True)) if b'"doc":"stop"' not in line]
    number, line = data.draw(st.sampled_from(lines))
    before = sum(len(each) for each in content.splitlines(keepends=True)[:number])
    place = before + data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    unfinished.write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
    try:
        found = [finding for finding in verify(unfinished.parents[1]) if not finding.incomplete]
    finally:
        unfinished.write_bytes(content)
    assert found


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_line_spoils_no_segment_but_its_own(unfinished: Path, data: st.DataObject) -> None:
    lines = unfinished.read_bytes().splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    content = b"".join(
        [*lines[:place], data.draw(st.sampled_from([b"", b"{\n", b"\xff\n", b"[]\n"])), *lines[place + 1 :]]
    )
    whole, damaged = ([*split_segments("main.jsonl", each)] for each in (b"".join(lines), content))
    assert b"".join(each.content + each.torn for each in damaged) == content
    lost = {each.part for each in whole} - {each.part for each in damaged if each.verdict is not None}
    changed = [each for each in whole if each.content not in {other.content for other in damaged}]
    assert len(changed) == 1
    assert lost <= {changed[0].part}


def test_a_worker_killed_in_the_first_line_of_a_test_leaves_the_others_whole(unfinished: Path) -> None:
    content = unfinished.read_bytes()
    found = [*split_segments("main.jsonl", content + b'{"attempt":1,"doc":"sta')]
    assert found[:-1] == [*split_segments("main.jsonl", content)]
    assert (found[-1].part, found[-1].documents, found[-1].head, found[-1].torn[:4]) == (None, 0, None, b'{"at')


def test_the_command_tells_by_its_exit_code(run_dir: Path, tmp_path: Path) -> None:
    def code(path: Path) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["verify", str(path)])
        return result.exit_code, result.output

    assert code(run_dir) == (0, f"{run_dir}: intact\n")
    (run_dir / "identity.json").write_text("{}")
    assert code(run_dir)[0] == 1
    record(tmp_path / "cut", 0, PASSING)
    assert code(tmp_path / "cut")[0] == 12
    assert code(tmp_path / "gone") == (
        2,
        f"Error: {tmp_path / 'gone'}: is not a folder; name a run folder, runs/<utc>-<rig>\n",
    )
    assert "is not a run folder" in code(tmp_path)[1]


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reading_a_damaged_run_ends_in_a_value_or_in_a_named_line(pristine: Path, data: st.DataObject) -> None:
    path = pristine / "events.jsonl"
    content = path.read_bytes()
    documents = [json.loads(line) for line in content.splitlines()]
    document = data.draw(st.sampled_from(documents))
    document[data.draw(st.sampled_from(sorted(document)))] = data.draw(
        st.sampled_from([None, -1, "x", [], {}, [1], True])
    )
    path.write_bytes(b"".join(json.dumps(each).encode() + b"\n" for each in documents))
    said = "events.jsonl"
    try:
        assert verify(pristine)
        read_run(pristine)
    except EvidenceError as error:
        said = str(error)
    finally:
        path.write_bytes(content)
    assert "events.jsonl" in said


def test_a_name_no_terminal_can_show_is_still_reported(run_dir: Path) -> None:
    (run_dir / os.fsdecode(b"bad\xff")).write_text("x")
    result = CliRunner().invoke(main, ["verify", str(run_dir)])
    assert (result.exit_code, "bad\\udcff: is not in the manifest" in result.output) == (1, True)
