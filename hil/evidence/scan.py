"""One pass over a chain of documents: what is broken in it, and what it counts to. It never raises for content."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hil.evidence.chain import GENESIS, line_hash
from hil.evidence.documents import FORMAT, Document, decode
from hil.evidence.tally import Segment
from hil.limits import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was recorded.

    Args:
        where: file, or file and line.
        what: what is wrong with it.
        incomplete: whether it only says that the run was not finished.
    """

    where: str
    what: str
    incomplete: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class Scanned:
    """What a chain holds.

    Args:
        findings: what is broken.
        segments: every attempt, in order.
        planned: ids of the planned tests, in order.
        attachments: line number and document of each attachment.
        coverage: the ``coverage`` document of the run, or None.
        late_max: how many late ticks its tests may have together, or None.
        stop: the ``stop`` document of the run, or None.
        documents: number of lines.
        head: hash of the last line.
    """

    findings: list[Finding] = field(default_factory=list[Finding])
    segments: list[Segment] = field(default_factory=list[Segment])
    planned: list[str] = field(default_factory=list[str])
    attachments: list[tuple[int, Document]] = field(default_factory=list[tuple[int, Document]])
    coverage: Document | None = None
    late_max: int | None = None
    stop: Document | None = None
    documents: int = 0
    head: str = GENESIS


class ChainScan:
    """Reads the lines of ``events.jsonl`` and follows both chains: the run's, and that of each segment.

    Args:
        name: the file, for findings.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._result = Scanned()
        self._link: Document = {}
        self._left = 0
        self._expected = GENESIS
        self._spine = GENESIS
        self._verdict: Verdict | None = None
        self._late = 0
        self._start: Document = {}
        self._attempts: set[str] = set()

    def run(self, lines: Iterable[bytes]) -> Scanned:
        """Scan a whole file, line by line."""
        result = self._result
        for line in lines:
            result.documents += 1
            if not line.endswith(b"\n"):
                self._find("the file ends within this line: its tail was cut off")
            document = self._decode(line)
            if document.get("prev") != self._expected:
                self._find(f"prev is {document.get('prev')!r}, but the line before it hashes to {self._expected}")
            result.head = self._expected = line_hash(line)
            if self._left:
                self._in_segment(document)
            else:
                self._spine = result.head
                self._in_run(document)
        if self._left or result.stop is None:
            self._find("the file ends here, without the run's stop document: its tail was cut off")
        elif result.stop.get("planned") != len(result.planned):
            self._find(f"{len(result.planned)} planned tests are linked, not {result.stop.get('planned')!r}")
        return result

    def _find(self, what: str) -> None:
        self._result.findings.append(Finding(f"{self._name}:{self._result.documents}", what))

    def _decode(self, line: bytes) -> Document:
        try:
            return decode(line)
        except ValueError as error:
            self._find(f"is not a document: {error}")
            return {}

    def _in_run(self, document: Document) -> None:
        result = self._result
        kind = document.get("doc")
        if result.stop is not None:
            self._find(f"a {kind!r} document stands after the run's stop document: it was added")
        if result.documents == 1:
            result.late_max = late_max_of(document)
            if kind != "start" or document.get("run") is not True or document.get("format") != FORMAT:
                self._find(f"the first document is not the start of a run in format {FORMAT}")
        elif kind == "link":
            self._follow(document)
        elif kind == "attachment":
            result.attachments.append((result.documents, document))
        elif kind == "coverage" and result.coverage is None:
            result.coverage = document
        elif kind == "stop" and document.get("run") is True:
            result.stop = document
        else:
            self._find(f"a {kind!r} document stands outside of every segment")

    def _follow(self, link: Document) -> None:
        index, nodeid, documents = link.get("index"), link.get("nodeid"), link.get("documents")
        planned = self._result.planned
        if isinstance(index, int) and index == len(planned):
            planned.append(str(nodeid))
        elif index is not None and index != len(planned) - 1:
            self._find(f"links test {index!r} after test {len(planned) - 1}: the order was changed")
        elif index is not None and planned[-1:] != [nodeid]:
            self._find(f"links {nodeid!r} as an attempt of {planned[-1] if planned else None!r}")
        attempt = f"attempt {link.get('attempt')!r} of {nodeid!r}"
        if attempt in self._attempts:
            self._find(f"links {attempt} a second time")
        self._attempts.add(attempt)
        self._link, self._left = link, documents if isinstance(documents, int) and documents > 0 else 0
        self._verdict, self._late, self._start = None, 0, {}
        if self._left:
            self._expected = GENESIS
        if not self._left and link.get("attempt"):
            self._end_segment()

    def _in_segment(self, document: Document) -> None:
        if not self._start:
            self._start = document
            for key in ("nodeid", "attempt"):
                if document.get(key) != self._link.get(key):
                    self._find(f"{key} is {document.get(key)!r}, but it was linked as {self._link.get(key)!r}")
        self._verdict, self._late = stop_verdict(document), stop_late(document)
        self._left -= 1
        if not self._left:
            self._expected = self._spine
            if self._result.head != self._link.get("head"):
                self._find(f"the segment ends in {self._result.head}, but its link says {self._link.get('head')!r}")
            self._end_segment()

    def _end_segment(self) -> None:
        index, attempt = self._link.get("index"), self._link.get("attempt")
        self._result.segments.append(
            Segment(
                index if isinstance(index, int) else None,
                str(self._link.get("nodeid")),
                attempt if isinstance(attempt, int) else 0,
                self._verdict,
                self._late,
            )
        )


def stop_verdict(document: Document) -> Verdict | None:
    """The verdict that a test's ``stop`` document gives; None for every other document."""
    if document.get("doc") != "stop":
        return None
    try:
        return Verdict(str(document.get("verdict")))
    except ValueError:
        return None


def stop_late(document: Document) -> int:
    """The late ticks that a test's ``stop`` document tells; 0 for every other document."""
    late = document.get("late") if document.get("doc") == "stop" else None
    return late if isinstance(late, int) else 0


def late_max_of(header: Document) -> int | None:
    """How many late ticks a run may have, as its first document says; None where none is given."""
    found = header.get("late_max")
    return found if isinstance(found, int) else None
