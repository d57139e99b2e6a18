"""Finalising: joins the segments of a run into one chain in plan order, and closes it with the manifest.

The order is the plan's and the content virtual, so that one process or several give the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from hil.errors import EvidenceError
from hil.evidence.chain import GENESIS, file_hash, line_hash
from hil.evidence.coverage import CoverageRecord, coverage_verdict
from hil.evidence.documents import FORMAT, Document, Json, encode
from hil.evidence.folder import (
    EVENTS,
    IDENTITY,
    JOINED,
    MANIFEST,
    PARTS,
    PLAN,
    Part,
    files_of,
    write_whole,
)
from hil.evidence.manifest import build_manifest, manifest_bytes, scan_events
from hil.evidence.segments import Written, log_parts, segments_of
from hil.evidence.tally import Segment, Tally, tally

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from hil.evidence.documents import RunHeader
    from hil.evidence.scan import Finding


_BLOCK = 1 << 20

Requirements = Mapping[str, Sequence[str]]
_NONE: Requirements = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Finalised:
    """What a run came to.

    Args:
        tally: planned, judged, verdicts and outcome.
        head: hash of the last line of the chain.
        findings: segments that were broken when they were joined; empty as it should be.
        coverage: what its tests reached together; None when nothing was collected or asked for.
    """

    tally: Tally
    head: str
    findings: tuple[Finding, ...]
    coverage: CoverageRecord | None = None


def announce(run_dir: Path, plan: Sequence[str], header: RunHeader, *, requirements: Requirements = _NONE) -> None:
    """Note the plan before the first test, so that a run that is killed tells what was planned.

    Args:
        run_dir: the run folder; it is made when it is not there.
        plan: ids of the planned tests, in order.
        header: what the run has in common.
        requirements: requirement ids by test, so that a test that never starts is missed where it matters.

    Raises:
        EvidenceError: when it cannot be written.
    """
    folder = run_dir / PARTS
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvidenceError(f"{folder}: cannot be made: {error.strerror}; check the path and the rights") from error
    by_test: Document = {nodeid: list(requirements.get(nodeid, ())) for nodeid in plan}
    noted: Document = {"format": FORMAT, "plan": list(plan), "requirements": by_test, **header.fields()}
    write_whole(folder / PLAN, encode(noted))


def finalise(
    run_dir: Path,
    plan: Sequence[str],
    header: RunHeader,
    *,
    unsafe: str = "",
    requirements: Requirements = _NONE,
    coverage: Callable[[], CoverageRecord | None] | None = None,
) -> Finalised:
    """Join ``parts/`` into ``events.jsonl`` and the raw logs, write ``manifest.json``, remove ``parts/``.

    Until the manifest is written ``parts/`` stays as it is, so that nothing recorded is lost when the disk is
    full: free space and finalise again.

    Args:
        run_dir: the run folder.
        plan: ids of the planned tests, in order.
        header: what the run has in common.
        unsafe: which hazardous output could not be confirmed safe; "" when all were.
        requirements: requirement ids by test, as in :func:`announce`.
        coverage: asked when all raw files are joined: what the tests reached together.

    Raises:
        EvidenceError: when the run has no identity, is finalised already, or cannot be written.
    """
    if (run_dir / MANIFEST).exists():
        raise EvidenceError(f"{run_dir / MANIFEST} is there already: a run is finalised once; start a new run")
    if not (run_dir / IDENTITY).is_file():
        raise EvidenceError(f"{run_dir / IDENTITY} is not there; write_identity comes before finalise")
    try:
        with _Joiner(run_dir) as joiner:
            joiner.write("start", run=True, format=FORMAT, planned=len(plan), **header.fields())
            for index, nodeid, segment in _in_plan_order(run_dir, plan):
                if segment is None:
                    joiner.miss(index, nodeid, requirements.get(nodeid, ()))
                else:
                    joiner.join(index, nodeid, segment)
            joiner.flush()
            reached = coverage() if coverage is not None else None
            if reached is not None:
                joiner.write("coverage", **reached.fields())
            judged = None if reached is None else coverage_verdict(reached.fields())
            counted = tally(len(plan), joiner.segments, unsafe=bool(unsafe), coverage=judged, late_max=header.late_max)
            joiner.write("stop", run=True, verdict=counted.outcome.value, unsafe=unsafe, **counted.counts())
        scanned = scan_events(run_dir)
        write_whole(run_dir / MANIFEST, manifest_bytes(build_manifest(run_dir, scanned)))
        shutil.rmtree(run_dir / PARTS, ignore_errors=True)
        _sync_folder(run_dir)
    except OSError as error:
        raise EvidenceError(
            f"{run_dir} cannot be finalised: {error.filename or EVENTS}: {error.strerror}; everything recorded "
            f"stands in {PARTS}/: free space or check the rights, then finalise again"
        ) from error
    return Finalised(counted, scanned.head, tuple(scanned.findings), reached)


class _Joiner:
    """Writes the chain of the run; raw logs are joined on the way."""

    def __init__(self, run_dir: Path) -> None:
        self.segments: list[Segment] = []
        self._run_dir = run_dir
        self._head = GENESIS
        self._stack = ExitStack()
        self._events = self._open(EVENTS)
        self._logs: dict[str, IO[bytes]] = {}
        self._unattached = log_parts(run_dir)

    def __enter__(self) -> _Joiner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if error is None:
                for file in (self._events, *self._logs.values()):
                    file.flush()
                    os.fsync(file.fileno())

    def flush(self) -> None:
        """Let others read what was joined so far."""
        for file in self._logs.values():
            file.flush()

    def write(self, kind: str, **fields: Json) -> None:
        """Append one document of the run's own."""
        document: Document = {**fields, "doc": kind, "prev": self._head}
        line = encode(document)
        self._events.write(line)
        self._head = line_hash(line)

    def miss(self, index: int | None, nodeid: str, requirements: Sequence[str]) -> None:
        """Say that a planned test has no segment: a link to nothing."""
        wanted: list[Json] = list(requirements)
        self.write("link", index=index, nodeid=nodeid, attempt=0, documents=0, head=None, requirements=wanted)

    def join(self, index: int | None, nodeid: str, segment: Written) -> None:
        """Append one attempt with its link and its raw files."""
        torn, attempt = segment.torn, 1 if segment.part is None else segment.part.attempt
        link: Document = {"torn": torn.decode("utf-8", "backslashreplace")} if torn else {}
        link |= {"index": index, "nodeid": nodeid, "attempt": attempt}
        self.write("link", documents=segment.documents, head=segment.head, **link)
        self._events.write(segment.content)  # the link's own hash stays the head: it binds these lines and all before
        self.segments.append(Segment(index, nodeid, attempt, segment.verdict, segment.late))
        if segment.part in self._unattached:
            self._unattached.remove(segment.part)
            self._attach(segment.part)

    def _attach(self, part: Part) -> None:
        folder = part.folder(self._run_dir)
        for name in files_of(folder):
            source = folder / name
            if any(name.startswith(folder) and name.endswith(ending) for folder, ending in JOINED.items()):
                target, offset, size, digest = self._join_log(source, name)
            else:
                target, offset, size, digest = self._keep(source, name, part)
            if size:
                self.write("attachment", path=target, offset=offset, size=size, sha256=digest)

    def _join_log(self, source: Path, name: str) -> tuple[str, int, int, str]:
        """Append a log to the one of all tests; returns that one's name, offset and size [bytes], and the hash."""
        log = self._logs.get(name)
        if log is None:
            log = self._logs[name] = self._open(name)
        offset = log.tell()
        digest = hashlib.sha256()
        with source.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                log.write(block)
        return name, offset, log.tell() - offset, digest.hexdigest()

    def _keep(self, source: Path, name: str, part: Part) -> tuple[str, int, int, str]:
        """Give a file a place of its own; returns its name, 0, its size [bytes], and its hash."""
        head, rest = name.split("/", 1) if "/" in name else ("files", name)
        target = f"{head}/{part.stem}/{rest}"
        path = self._run_dir / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.link(source, path)
        return target, 0, path.stat().st_size, file_hash(path)

    def _open(self, name: str) -> IO[bytes]:
        path = self._run_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return self._stack.enter_context(path.open("wb"))


def _in_plan_order(run_dir: Path, plan: Sequence[str]) -> list[tuple[int | None, str, Written | None]]:
    """Every planned test with each of its attempts, or None for a missing one; then what nobody planned."""
    places = {nodeid: index for index, nodeid in enumerate(plan)}
    attempts: dict[int, list[Written]] = {}
    strays: list[tuple[int | None, str, Written | None]] = []
    for segment in segments_of(run_dir):
        place = len(plan) if segment.part is None else segment.part.index
        planned = plan[place] if place < len(plan) else None
        if segment.nodeid in (None, planned) and planned is not None:
            attempts.setdefault(place, []).append(segment)
        elif segment.nodeid in places:
            attempts.setdefault(places[segment.nodeid], []).append(segment)
        else:
            strays.append((None, segment.nodeid or segment.name, segment))
    ordered: list[tuple[int | None, str, Written | None]] = []
    for index, nodeid in enumerate(plan):
        ordered += [(index, nodeid, segment) for segment in attempts.get(index, [None])]
    return ordered + strays


def _sync_folder(folder: Path) -> None:
    """Have the folder's own entries on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
