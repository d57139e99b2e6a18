"""The manifest: sha256 of every file, head of the chain, counts. It is a pure function of the run folder.

Because everything in it can be computed again from the other files, verifying is computing it again: an edit of
the manifest itself is found like any other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hil.evidence.chain import file_hash
from hil.evidence.coverage import coverage_verdict
from hil.evidence.documents import FORMAT, Document, Json
from hil.evidence.folder import EVENTS, MANIFEST, PARTS, REPORT, files_of
from hil.evidence.scan import ChainScan, Scanned
from hil.evidence.tally import Tally, tally

if TYPE_CHECKING:
    from pathlib import Path

NOT_EVIDENCE = frozenset({MANIFEST, REPORT})
"""Files outside of the manifest: itself, and the report, which is rendered from the rest. So is what lies in
``parts/`` until the manifest is written: its content stands in the chain."""


def scan_events(run_dir: Path) -> Scanned:
    """Follow the chain of a run's ``events.jsonl``.

    Raises:
        OSError: when it cannot be read.
    """
    with (run_dir / EVENTS).open("rb") as file:
        return ChainScan(EVENTS).run(file)


def tally_of(scanned: Scanned) -> Tally:
    """Count what a chain holds."""
    unsafe = bool(scanned.stop and scanned.stop.get("unsafe"))
    coverage = coverage_verdict(scanned.coverage)
    return tally(len(scanned.planned), scanned.segments, unsafe=unsafe, coverage=coverage, late_max=scanned.late_max)


def build_manifest(run_dir: Path, scanned: Scanned) -> Document:
    """The manifest that belongs to a run folder as it is now.

    Args:
        run_dir: the run folder.
        scanned: what its chain holds.

    Raises:
        OSError: when a file cannot be read.
    """
    files: dict[str, Json] = {}
    for name in files_of(run_dir, without=PARTS):
        path = run_dir / name
        if name not in NOT_EVIDENCE and path.is_file() and not path.is_symlink():
            files[name] = {"sha256": file_hash(path), "size": path.stat().st_size}
    counted = tally_of(scanned)
    return {
        "format": FORMAT,
        "head": scanned.head,
        "documents": scanned.documents,
        "outcome": counted.outcome.value,
        "counts": counted.counts(),
        "files": files,
    }


def manifest_bytes(manifest: Document) -> bytes:
    """The file's bytes: indented for people, keys sorted."""
    text = json.dumps(manifest, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1)
    return (text + "\n").encode("utf-8", "backslashreplace")
