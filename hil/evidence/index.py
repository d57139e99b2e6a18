"""Reading back: a run folder as typed values, from the chain, or from ``parts/`` when the run was not finished.

Reading checks shapes only; whether anything was edited is what :func:`hil.evidence.verify.verify` tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from hil.errors import EvidenceError
from hil.evidence.chain import GENESIS, line_hash
from hil.evidence.coverage import CoverageRecord, coverage_verdict
from hil.evidence.documents import EVIDENCE_CLASSES, FORMAT, Document, decode
from hil.evidence.exhibits import KINDS, exhibits_of
from hil.evidence.fields import Fields
from hil.evidence.folder import EVENTS, IDENTITY, MANIFEST, PARTS, PLAN, require_run
from hil.evidence.identity import read_identity
from hil.evidence.records import Attachment, Attempt, Channel, Check, Event, LimitSource, Measured, Test
from hil.evidence.scan import late_max_of
from hil.evidence.segments import segments_of
from hil.evidence.tally import Segment, Tally, tally
from hil.limits import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A whole run, read back.

    Args:
        name: its name: the folder it was recorded into.
        title: what it is about.
        rig: name of the rig.
        seed: seed of all random streams.
        evidence_class: the weakest class of anything in the run.
        development: the ``--set`` list; not empty means a development run.
        profiles: editions of the profiles, as recorded.
        tests: every test in plan order, unplanned ones last.
        tally: planned, judged, verdicts, outcome.
        unsafe: which hazardous output could not be confirmed safe, or "".
        finished: whether the run has its manifest.
        head: hash of the last line of the chain; GENESIS for an unfinished run.
        documents: number of documents.
        identity: what differs from run to run.
        coverage: what its tests reached together, as it was judged; None without coverage.
    """

    name: str
    title: str
    rig: str
    seed: int
    evidence_class: str
    development: tuple[str, ...]
    profiles: tuple[Mapping[str, str], ...]
    tests: tuple[Test, ...]
    tally: Tally
    unsafe: str
    finished: bool
    head: str
    documents: int
    identity: Document
    coverage: CoverageRecord | None = None


def read_run(run_dir: Path) -> Run:
    """Read a run folder.

    Args:
        run_dir: the run folder, or a copy of it; nothing else is looked at.

    Raises:
        EvidenceError: when it is no run folder, or a document in it has no sense; the message names file and line.
    """
    require_run(run_dir)
    finished = (run_dir / MANIFEST).is_file() and (run_dir / EVENTS).is_file()
    try:
        raw = _read_chain(run_dir) if finished else _read_parts(run_dir)
    except OSError as error:
        raise EvidenceError(f"{error.filename}: cannot be read: {error.strerror}; check the copy") from error
    header, identity = Fields(raw.header, EVENTS), read_identity(run_dir)
    tests = tuple(_tests(raw))
    segments = [
        Segment(test.index, test.nodeid, attempt.number, attempt.verdict, attempt.late)
        for test in tests
        for attempt in test.attempts
    ]
    unsafe = Fields(raw.stop, EVENTS).text("unsafe", "")
    judged = coverage_verdict(raw.coverage)
    return Run(
        name=Fields(identity, IDENTITY).text("run", run_dir.resolve().name),
        title=header.text("title", ""),
        rig=header.text("rig", "unknown"),
        seed=header.integer("seed", 0),
        evidence_class=_weakest(header.text("evidence_class", ""), tests),
        development=header.texts("development"),
        profiles=tuple(
            {key: each.text(key, "") for key in ("name", "edition", "status", "kind", "note", "file", "sha256")}
            for each in header.tables("profiles")
        ),
        tests=tests,
        tally=tally(
            len(raw.plan),
            segments,
            unsafe=bool(unsafe),
            finished=finished,
            coverage=judged,
            late_max=late_max_of(raw.header),
        ),
        unsafe=unsafe,
        finished=finished,
        head=raw.head,
        documents=raw.documents,
        identity=identity,
        coverage=None if raw.coverage is None else CoverageRecord.of(Fields(raw.coverage, EVENTS)),
    )


@dataclass(slots=True)
class _Raw:
    """Documents sorted to their tests, not yet looked into."""

    header: Document
    stop: Document
    plan: list[str]
    attempts: list[_RawAttempt]
    requirements: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    head: str = GENESIS
    documents: int = 0
    coverage: Document | None = None


@dataclass(slots=True)
class _RawAttempt:
    index: int | None
    nodeid: str
    number: int
    documents: list[Fields]
    torn: bool = False


def _read_chain(run_dir: Path) -> _Raw:
    raw = _Raw({}, {}, [], [])
    left = 0
    with (run_dir / EVENTS).open("rb") as file:
        for line in file:
            raw.documents += 1
            where = f"{EVENTS}:{raw.documents}"
            fields = Fields(_decode(line, where), where)
            raw.head = line_hash(line)
            kind = fields.text("doc", "")
            if left or kind == "attachment":
                left -= bool(left)
                if not raw.attempts:
                    raise EvidenceError(f"{where}: stands before every test; `hil verify` tells what was edited")
                raw.attempts[-1].documents.append(fields)
            elif kind == "link":
                left = max(0, fields.integer("documents"))
                _follow(raw, fields)
            elif kind == "start":
                raw.header = fields.document
                if raw.header.get("format") != FORMAT:
                    raise EvidenceError(
                        f"{where}: is in format {raw.header.get('format')!r}, this hil reads format {FORMAT}"
                    )
            elif kind == "coverage":
                raw.coverage = fields.document
            elif kind == "stop":
                raw.stop = fields.document
    return raw


def _follow(raw: _Raw, link: Fields) -> None:
    index = link.optional_integer("index")
    nodeid = link.text("nodeid")
    if index is not None and index == len(raw.plan):
        raw.plan.append(nodeid)
        raw.requirements[nodeid] = link.texts("requirements")
    number = link.integer("attempt", 1)
    if number:
        raw.attempts.append(_RawAttempt(index, nodeid, number, [], torn=bool(link.text("torn", ""))))


def _read_parts(run_dir: Path) -> _Raw:
    raw = _Raw({}, {}, [], [])
    plan = run_dir / PARTS / PLAN
    if plan.is_file():
        noted = Fields(_decode(plan.read_bytes(), f"{PARTS}/{PLAN}"), f"{PARTS}/{PLAN}")
        raw.header, raw.plan = noted.document, list(noted.texts("plan"))
        by_test = noted.table("requirements")
        raw.requirements = {nodeid: by_test.texts(nodeid) for nodeid in by_test.document}
    for segment in segments_of(run_dir):
        found = [Fields(_decode(line, where), where) for where, line in segment.lines()]
        place = len(raw.plan) if segment.part is None else segment.part.index
        planned = raw.plan[place] if place < len(raw.plan) else None
        nodeid = segment.nodeid or planned or segment.name
        index = place if nodeid == planned else None
        attempt = 1 if segment.part is None else segment.part.attempt
        raw.attempts.append(_RawAttempt(index, nodeid, attempt, found, torn=bool(segment.torn)))
        raw.documents += len(found)
        if not raw.header and found:
            raw.header = {key: found[0].document.get(key) for key in ("rig", "seed", "evidence_class", "development")}
    return raw


def _decode(line: bytes, where: str) -> Document:
    try:
        return decode(line)
    except ValueError as error:
        raise EvidenceError(f"{where}: is not a document: {error}; `hil verify` tells what was edited") from error


def _tests(raw: _Raw) -> Iterator[Test]:
    """Every planned test in plan order, those without an attempt too; then the unplanned."""
    found: dict[int, list[Attempt]] = {}
    for each in raw.attempts:
        if each.index is not None:
            found.setdefault(each.index, []).append(_attempt(each))
    for index, nodeid in enumerate(raw.plan):
        planned_for = raw.requirements.get(nodeid, ())
        yield Test(index=index, nodeid=nodeid, attempts=tuple(found.get(index, ())), planned_for=planned_for)
    strays = sorted((each for each in raw.attempts if each.index is None), key=lambda each: each.nodeid)
    for nodeid, group in groupby(strays, key=lambda each: each.nodeid):
        yield Test(index=None, nodeid=nodeid, attempts=tuple(_attempt(each) for each in group))


def _attempt(raw: _RawAttempt) -> Attempt:
    by_kind: dict[str, list[Fields]] = {}
    for fields in raw.documents:
        by_kind.setdefault(fields.text("doc"), []).append(fields)
    start = by_kind.get("start", [Fields({}, raw.nodeid)])[0]
    stop = by_kind.get("stop", [Fields({}, raw.nodeid)])[-1]
    events = by_kind.get("event", [])
    return Attempt(
        number=raw.number,
        title=start.text("title", ""),
        requirements=start.texts("requirements"),
        seed=start.integer("seed", 0),
        evidence_class=start.text("evidence_class", ""),
        development=start.texts("development"),
        verdict=stop.verdict("verdict") if stop.document else None,
        reason=stop.text("reason", ""),
        message=stop.text("message", ""),
        duration_ns=stop.integer("duration_ns", stop.integer("t_ns", 0)),
        torn=raw.torn,
        late=stop.integer("late", 0),
        measurements=tuple(measured_of(fields) for fields in by_kind.get("measurement", [])),
        checks=tuple(_check(fields) for fields in events if fields.text("what") == "check"),
        events=tuple(_event(fields) for fields in events if fields.text("what") not in ("check", *KINDS)),
        exhibits=exhibits_of(events),
        channels=tuple(
            Channel(fields.text("name"), fields.text("unit"), fields.rest("name", "unit"))
            for fields in by_kind.get("channel", [])
        ),
        attachments=tuple(
            Attachment(fields.text("path"), fields.integer("offset"), fields.integer("size"), fields.text("sha256"))
            for fields in by_kind.get("attachment", [])
        ),
    )


def measured_of(fields: Fields) -> Measured:
    """A ``measurement`` document as a record.

    Raises:
        EvidenceError: when a field of it has no sense.
    """
    family = fields.numbers("family", 2)
    return Measured(
        t_ns=fields.integer("t_ns"),
        name=fields.text("name"),
        value=fields.scalar("value"),
        nonfinite=fields.text("nonfinite", ""),
        unit=fields.text("unit"),
        low=fields.number("low"),
        high=fields.number("high"),
        equals=fields.scalar("equals"),
        family_low=family[0],
        family_high=family[1],
        limits=tuple(_source(each) for each in fields.tables("limits")),
        uncertainty=fields.number("uncertainty") or 0.0,
        guard=fields.number("guard") or 0.0,
        decision=fields.text("decision", ""),
        margin=fields.number("margin"),
        verdict=fields.verdict("verdict"),
        reason=fields.text("reason", ""),
        evidence_class=fields.text("evidence_class", ""),
        info=fields.flag("info"),
    )


def _source(fields: Fields) -> LimitSource:
    return LimitSource(
        low=fields.number("low"),
        high=fields.number("high"),
        equals=fields.scalar("equals"),
        clause=fields.text("clause", ""),
        source=fields.text("source", ""),
        grade=fields.text("grade", ""),
        note=fields.text("note", ""),
        origin=fields.text("origin", ""),
        requirement=fields.text("requirement", ""),
    )


def _check(fields: Fields) -> Check:
    passed = fields.flag("passed")
    judged = "verdict" in fields.document
    return Check(
        t_ns=fields.integer("t_ns"),
        form=fields.text("form"),
        signal=fields.text("signal"),
        condition=fields.text("condition"),
        passed=passed,
        seen=fields.document.get("seen"),
        at_ns=fields.optional_integer("at_ns"),
        mark_ns=fields.optional_integer("mark_ns"),
        verdict=fields.verdict("verdict") if judged else (Verdict.PASS if passed else Verdict.FAIL),
        reason=fields.text("reason", ""),
    )


def _event(fields: Fields) -> Event:
    return Event(fields.integer("t_ns"), fields.text("what"), fields.rest("t_ns", "what"))


def _weakest(declared: str, tests: Sequence[Test]) -> str:
    """The weakest evidence class that occurs: one simulated measurement makes a simulated run."""
    found = {declared}
    for test in tests:
        for attempt in test.attempts:
            found.add(attempt.evidence_class)
            found |= {measured.evidence_class for measured in attempt.measurements}
    found.discard("")
    return min(found, key=_strength) if found else EVIDENCE_CLASSES[0]


def _strength(evidence_class: str) -> int:
    """Rank of an evidence class; one that nobody knows is weaker than all."""
    return EVIDENCE_CLASSES.index(evidence_class) if evidence_class in EVIDENCE_CLASSES else -1
