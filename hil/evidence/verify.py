"""Verifying: finds every edit, cut, swap and truncation of a run folder.

The manifest is computed again from the folder and compared; the chain is followed line by line, so that a finding
names the line. What this cannot find: somebody who edits a document and then hashes the whole folder again.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from hil.evidence.chain import GENESIS, file_hash, line_hash
from hil.evidence.documents import Document, Json, decode
from hil.evidence.folder import EVENTS, MANIFEST, PARTS, PLAN, Part, files_of, require_run
from hil.evidence.manifest import build_manifest, manifest_bytes, scan_events, tally_of
from hil.evidence.scan import Finding, Scanned
from hil.evidence.segments import Written, follow, segments_of

if TYPE_CHECKING:
    from pathlib import Path

_KEEPER = "keeper.jsonl"


def verify(run_dir: Path) -> list[Finding]:
    """Everything in a run folder that is not as it was recorded; empty when it is intact.

    Args:
        run_dir: the run folder, or a copy of it.

    Raises:
        EvidenceError: when it is not a run folder at all.
    """
    require_run(run_dir)
    findings = [Finding(name, "is not a regular file: it was added after the run") for name in _irregular(run_dir)]
    findings += _verify_keeper(run_dir)
    if not (run_dir / MANIFEST).is_file():
        return [*findings, *_verify_unfinished(run_dir)]
    if (run_dir / PARTS).exists():
        findings.append(Finding(f"{PARTS}/", "is there beside a manifest; it was added, or finalising was interrupted"))
    try:
        scanned = scan_events(run_dir)
    except OSError as error:
        findings.append(Finding(EVENTS, f"cannot be read: {error.strerror}"))
        scanned = Scanned()
    findings += scanned.findings
    findings += _verify_counts(scanned)
    for line, attachment in scanned.attachments:
        findings += _verify_attachment(run_dir, f"{EVENTS}:{line}", attachment)
    try:
        findings += _verify_manifest(run_dir, build_manifest(run_dir, scanned))
    except OSError as error:
        findings.append(Finding(str(error.filename), f"cannot be read: {error.strerror}"))
    return findings


def _irregular(run_dir: Path) -> list[str]:
    """Links and devices, which a run never has, whatever their name."""
    return [
        name
        for name in files_of(run_dir, without=PARTS)
        if (run_dir / name).is_symlink() or not (run_dir / name).is_file()
    ]


def _verify_keeper(run_dir: Path) -> list[Finding]:
    """The record of the keeper, which another process wrote: a chain of its own that the manifest binds."""
    path = run_dir / _KEEPER
    if not path.is_file():
        return []
    findings: list[Finding] = []
    *whole, torn = path.read_bytes().split(b"\n")
    head: Json = GENESIS
    for number, line in enumerate(whole, 1):
        try:
            found = decode(line).get("prev")
        except ValueError as error:
            findings.append(Finding(f"{_KEEPER}:{number}", f"is no line of a keeper's record: {error}"))
            found = head
        if found != head:
            findings.append(Finding(f"{_KEEPER}:{number}", f"prev is {found!r}, but the line before hashes to {head}"))
        head = line_hash(line + b"\n")
    if torn:
        findings.append(Finding(f"{_KEEPER}:{len(whole) + 1}", "the file ends within this line", incomplete=True))
    return findings


def _verify_unfinished(run_dir: Path) -> list[Finding]:
    findings = [
        Finding(MANIFEST, "is missing: the run was not finished, or it was removed: INCOMPLETE", incomplete=True)
    ]
    plan = _noted_plan(run_dir)
    places: dict[Part, str] = {}
    for segment in segments_of(run_dir):
        where = f"{PARTS}/{segment.file}:{segment.line}"
        findings += follow(segment)
        findings += [Finding(where, what) for what in _misnamed(segment, plan)]
        if segment.part in places:
            said = f"test {segment.part.index}, attempt {segment.part.attempt}"
            findings.append(Finding(where, f"is {said}, which {places[segment.part]} is too: it was doubled"))
        elif segment.part is not None:
            places[segment.part] = where
    return findings


def _misnamed(segment: Written, plan: list[Json]) -> list[str]:
    if segment.part is None:
        return ["does not say which test it is: its start was edited or cut off"] if segment.content else []
    index = segment.part.index
    if segment.content and index < len(plan) and segment.nodeid != plan[index]:
        return [f"is test {index}, {segment.nodeid!r}, but {PLAN} says {plan[index]!r}: it was swapped"]
    return []


def _noted_plan(run_dir: Path) -> list[Json]:
    """The plan that was noted before the first test; empty when there is none to be read."""
    try:
        plan = decode((run_dir / PARTS / PLAN).read_bytes()).get("plan")
    except (OSError, ValueError):
        return []
    return plan if isinstance(plan, list) else []


def _verify_counts(scanned: Scanned) -> list[Finding]:
    if scanned.stop is None:
        return []
    counted = tally_of(scanned)
    expected: Document = {"verdict": counted.outcome.value, **counted.counts()}
    return [
        Finding(EVENTS, f"the run's stop document says {key} = {scanned.stop.get(key)!r}, but it counts to {value!r}")
        for key, value in expected.items()
        if scanned.stop.get(key) != value
    ]


def _verify_attachment(run_dir: Path, where: str, attachment: Document) -> list[Finding]:
    name, offset, size = attachment.get("path"), attachment.get("offset"), attachment.get("size")
    if not isinstance(name, str) or not isinstance(offset, int) or not isinstance(size, int):
        return [Finding(where, "attaches no byte range of a file")]
    if offset < 0 or size < 0:
        return [Finding(where, f"attaches the impossible range {offset} to {offset + size}")]
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return [Finding(where, f"attaches {name!r}, which is outside of the run folder")]
    try:
        found = file_hash(run_dir / path, offset, size)
    except (OSError, ValueError, OverflowError) as error:
        return [Finding(where, f"attaches {name!r}, which cannot be read: {error}")]
    if found != attachment.get("sha256"):
        return [Finding(where, f"bytes {offset} to {offset + size} of {name} are not those that were attached")]
    return []


def _verify_manifest(run_dir: Path, expected: Document) -> list[Finding]:
    content = (run_dir / MANIFEST).read_bytes()
    if content == manifest_bytes(expected):
        return []
    try:
        recorded = decode(content)
    except ValueError as error:
        return [Finding(MANIFEST, f"was edited: {error}")]
    findings = _compare_files(_table(recorded.get("files")), _table(expected["files"]))
    findings += [
        Finding(MANIFEST, f"{key} is {recorded.get(key)!r}, but the folder gives {value!r}")
        for key, value in expected.items()
        if key != "files" and recorded.get(key) != value
    ]
    return findings or [Finding(MANIFEST, "was edited: it is not as it was written, although it says the same")]


def _compare_files(recorded: dict[str, Json], found: dict[str, Json]) -> list[Finding]:
    findings = [Finding(name, "is missing") for name in sorted(recorded.keys() - found.keys())]
    findings += [
        Finding(name, "is not in the manifest: it was added after the run")
        for name in sorted(found.keys() - recorded.keys())
    ]
    for name in sorted(recorded.keys() & found.keys()):
        if recorded[name] != found[name]:
            findings.append(Finding(name, f"was edited: it is {found[name]}, not {recorded[name]}"))
    return findings


def _table(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
