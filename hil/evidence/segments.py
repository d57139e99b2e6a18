"""Segments as they stand in ``parts/`` until they are joined: each worker's file, split where a test begins or ends.

Nothing here raises for what a file holds. A damaged line spoils its own segment alone, since a segment ends in its
``stop`` document and begins with the hash :data:`~hil.evidence.chain.GENESIS`: one of the two always parts two tests.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.evidence.chain import GENESIS, line_hash
from hil.evidence.documents import Document, decode
from hil.evidence.folder import PARTS, Part, part_named
from hil.evidence.scan import Finding, stop_late, stop_verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hil.limits import Verdict

_EDGE = re.compile(rb'"(?:prev":"0{64}"|doc":"st(?:art|op)")')  # in canonical lines; only these are decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One attempt of one test as it stands in ``parts/``.

    Args:
        file: name of the file in ``parts/``; of the folder of its raw logs when nothing else was written.
        line: number of its first line in that file, from 1.
        content: its whole lines.
        torn: the bytes of a line that was never finished.
        part: test and attempt, or None when it does not say.
        nodeid: the test, or None when it does not say.
        verdict: the verdict of its ``stop`` document, or None when the recording breaks off.
        late: late ticks of its clock, as that document says.
    """

    file: str
    line: int = 1
    content: bytes = b""
    torn: bytes = b""
    part: Part | None = None
    nodeid: str | None = None
    verdict: Verdict | None = None
    late: int = 0

    @property
    def name(self) -> str:
        """What it is called when it does not say: where it stands."""
        return f"{self.file}:{self.line}" if self.part is None else self.part.stem

    @property
    def documents(self) -> int:
        """How many documents it holds."""
        return self.content.count(b"\n")

    @property
    def head(self) -> str | None:
        """Hash of its last line; None without any."""
        return line_hash(self.content[self.content.rfind(b"\n", 0, -1) + 1 :]) if self.content else None

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Every whole line after its place: file and number."""
        for number, line in enumerate(self.content.split(b"\n")[:-1], self.line):
            yield f"{PARTS}/{self.file}:{number}", line + b"\n"


def log_parts(run_dir: Path) -> set[Part]:
    """Every attempt that left raw logs in ``parts/``.

    Raises:
        OSError: when it cannot be listed.
    """
    folder = run_dir / PARTS
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        named = [part_named(entry.name) for entry in entries if entry.is_dir()]
    return {part for part in named if part is not None}


def segments_of(run_dir: Path) -> list[Written]:
    """Every attempt that left documents or raw logs in ``parts/``, in plan order; what does not say comes last.

    Raises:
        OSError: when a file cannot be read.
    """
    files = (run_dir / PARTS).glob("*.jsonl")
    found = [each for file in files for each in split_segments(file.name, file.read_bytes())]
    undocumented = log_parts(run_dir) - {each.part for each in found}
    found += [Written(file=part.stem, part=part) for part in undocumented]
    return sorted(found, key=lambda each: (each.part is None, each.part or Part(0), each.file, each.line))


def split_segments(file: str, content: bytes) -> Iterator[Written]:
    """Split a worker's file into the segments that stand in it, in their order.

    Args:
        file: its name.
        content: its bytes.
    """
    whole = content.rfind(b"\n") + 1
    begin, line = 0, 1
    start: Document = {}
    for first, after, document in _edges(content, whole):
        if document.get("prev") == GENESIS or document.get("doc") == "start":
            if first > begin:
                yield _written(file, line, content[begin:first], start)
                line += content.count(b"\n", begin, first)
            begin, start = first, document
        if document.get("doc") == "stop":
            yield _written(file, line, content[begin:after], start, stop=document)
            line += content.count(b"\n", begin, after)
            begin, start = after, {}
    if begin < len(content):
        yield _written(file, line, content[begin:whole], start, torn=content[whole:])


def follow(segment: Written) -> list[Finding]:
    """Follow the chain of one segment: what is broken in it."""
    findings: list[Finding] = []
    head = GENESIS
    for where, line in segment.lines():
        try:
            document = decode(line)
        except ValueError as error:
            findings.append(Finding(where, f"is not a document: {error}"))
            document = {}
        if document.get("prev") != head:
            findings.append(Finding(where, f"prev is {document.get('prev')!r}, but the line before hashes to {head}"))
        head = line_hash(line)
    if segment.torn:
        where = f"{PARTS}/{segment.file}:{segment.line + segment.documents}"
        findings.append(Finding(where, "the file ends within this line", incomplete=True))
    return findings


def _edges(content: bytes, whole: int) -> Iterator[tuple[int, int, Document]]:
    """Lines that may begin or end a segment: first byte, first byte of the next line, document."""
    after = 0
    while edge := _EDGE.search(content, after, whole):
        first = content.rfind(b"\n", 0, edge.start()) + 1
        after = content.find(b"\n", edge.end()) + 1
        try:
            yield first, after, decode(content[first:after])
        except ValueError:
            continue  # verifying finds it; the edge on its other side still parts it from its neighbour


def _written(
    file: str, line: int, content: bytes, start: Document, *, torn: bytes = b"", stop: Document | None = None
) -> Written:
    nodeid = start.get("nodeid")
    return Written(
        file=file, line=line, content=content, torn=torn, part=_part(start),
        nodeid=nodeid if isinstance(nodeid, str) else None, verdict=stop_verdict(stop or {}),
        late=stop_late(stop or {}),
    )  # fmt: skip


def _part(start: Document) -> Part | None:
    index, attempt = start.get("index"), start.get("attempt")
    if type(index) is not int or type(attempt) is not int or index < 0 or attempt < 1:
        return None
    return Part(index, attempt)
