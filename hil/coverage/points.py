"""The points of a design as a table, stored once under its hash, and the counts of a simulation against it.

Points are joined over instances and over parameters: a point is its source, line, column, kind and name. Two builds
of a design with other parameters have tables of their own; where a point stands in both, its counts add up.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, cast

from hil.coverage.dat import read_dat
from hil.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

KINDS = ("line", "branch", "toggle", "user")
"""The kinds of points that are counted; "user" is a cover statement in the RTL."""

_RUN = re.compile(r"(\d+)(?:\*(\d+))?")
_LONGEST = 10_000_000  # points of one table; a longer run of counts is damage, not a design


class Point(NamedTuple):
    """One point of a design.

    Args:
        source: name of the source it stands in.
        line: its line, from 1.
        column: where in that line.
        kind: one of :data:`KINDS`.
        what: what it is: "if", "else", "elsif", "case", "cond_then", "count_q[3]:0->1".
        lines: the source lines it stands for, as ``23-24,26``.
    """

    source: str
    line: int
    column: int
    kind: str
    what: str
    lines: str


@dataclass(frozen=True)
class PointTable:
    """The points of one build of a design.

    Args:
        sources: hash of each source's bytes, by name.
        tool: what simulated it: "simulator", "version", "sha256".
        points: in order.
        elsewhere: number of points that do not count, by file: the generated wrapper, files of the test bench.
    """

    sources: Mapping[str, str]
    tool: Mapping[str, str]
    points: tuple[Point, ...]
    elsewhere: Mapping[str, int]

    def content(self) -> bytes:
        """The table as it is stored: a line of JSON for the design, then one per point."""
        head = {"elsewhere": self.elsewhere, "sources": self.sources, "tool": self.tool}
        lines = [json.dumps(head, sort_keys=True, ensure_ascii=False), *(_line(point) for point in self.points)]
        return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")

    @classmethod
    def of(cls, content: bytes, where: str) -> PointTable:
        """Read a stored table back.

        Args:
            content: its bytes.
            where: its file, for messages.

        Raises:
            EvidenceError: when it is no such table.
        """
        try:
            head, *rows = (json.loads(line) for line in content.decode().splitlines())
            points = tuple(Point(*row) for row in rows)
            maps = [{str(key): value for key, value in head[name].items()} for name in ("sources", "tool", "elsewhere")]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise EvidenceError(f"{where}: is not a table of coverage points: {error}") from error
        return cls(maps[0], maps[1], points, cast("dict[str, int]", maps[2]))


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What is handed over when a simulator process has ended.

    Args:
        article: the article it stood for, as the rig file calls it, or the block that a block test drives.
        design: name of the RTL file, without its folder.
        dat: the file that Verilator was told to write (``+verilator+coverage+file+PATH``).
        sources: file of each source, by the name that the RTL file gives it.
        tool: the simulator: "simulator", "version", "sha256" of its binary.
    """

    article: str
    design: str
    dat: Path
    sources: Mapping[str, Path]
    tool: Mapping[str, str]


@dataclass(frozen=True)
class Count:
    """What one simulator process reached.

    Args:
        table: the design's points.
        counts: how often each was reached, in the table's order.
        texts: the bytes of every source, by name.
    """

    table: PointTable
    counts: tuple[int, ...]
    texts: Mapping[str, bytes]


def count(collected: Collected) -> Count:
    """Read what a simulator process reached, and leave aside what is not of the design.

    Raises:
        EvidenceError: when the coverage file or a source cannot be read, or no point is of the design.
    """
    raw = read_dat(collected.dat)
    texts = {name: _read(path) for name, path in sorted(collected.sources.items())}
    places = _places({point.file for point in raw}, collected.sources)
    counts: dict[Point, int] = {}
    elsewhere: dict[str, int] = {}
    for point in raw:
        name = places[point.file]
        if name is None or point.kind not in KINDS:
            key = os.path.basename(point.file) if name is None else f"{name}: {point.kind}"  # noqa: PTH119  # a text
            elsewhere[key] = elsewhere.get(key, 0) + 1
            continue
        found = Point(name, point.line, point.column, point.kind, point.what, point.lines)
        counts[found] = counts.get(found, 0) + point.hits
    if not counts:
        given, known = ", ".join(sorted(places)) or "none", ", ".join(map(str, sorted(collected.sources.values())))
        raise EvidenceError(
            f"{collected.dat}: none of its {len(raw)} points is in a source of {collected.design}; its files are "
            f"{given}; the sources are {known}: hand over the files that the simulator was built from"
        )
    points = tuple(sorted(counts))
    sources = {name: sha256(content).hexdigest() for name, content in texts.items()}
    table = PointTable(sources, dict(collected.tool), points, elsewhere)
    return Count(table, tuple(counts[point] for point in points), texts)


def runs_of(counts: Iterable[int]) -> str:
    """Counts as text; equal ones that follow each other stand there once.

    >>> runs_of([0, 0, 0, 5, 17, 17]), runs_of([])
    ('0*3 5 17*2', '')
    """
    runs: list[tuple[int, int]] = []
    for number in counts:
        if runs and runs[-1][0] == number:
            runs[-1] = (number, runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return " ".join(str(number) if times == 1 else f"{number}*{times}" for number, times in runs)


def counts_of(runs: str, size: int, where: str) -> list[int]:
    """The inverse of :func:`runs_of`.

    Args:
        runs: the text.
        size: how many counts there must be.
        where: file, for messages.

    Raises:
        EvidenceError: when it is no such text, or of another size.

    >>> counts_of("0*3 5 17*2", 6, "here")
    [0, 0, 0, 5, 17, 17]
    """
    found: list[int] = []
    for run in runs.split():
        match = _RUN.fullmatch(run)
        times = int(match[2] or 1) if match else 0
        if match is None or times > _LONGEST:
            raise EvidenceError(f"{where}: {run[:40]!r} is no count; `hil verify` tells what was edited")
        found += [int(match[1])] * times
    if len(found) != size:
        raise EvidenceError(f"{where}: {len(found)} counts for {size} points; `hil verify` tells what was edited")
    return found


def added(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """The sums of counts against one table."""
    return [first + second for first, second in zip(one, other, strict=True)]


def _places(files: Iterable[str], sources: Mapping[str, Path]) -> dict[str, str | None]:
    """Which source a file is, as the simulator was given it; None for what is no source of the design.

    A build that is kept for later names the files of whoever built it first, so that the last part of the path decides
    where the whole of it is nowhere.
    """
    whole = {os.path.realpath(path): name for name, path in sources.items()}
    last: dict[str, list[str]] = {}
    for name, path in sources.items():
        last.setdefault(path.name, []).append(name)
    found: dict[str, str | None] = {}
    for file in files:
        alike = last.get(os.path.basename(file), [])  # noqa: PTH119  # a text
        found[file] = whole.get(os.path.realpath(file), alike[0] if len(alike) == 1 else None)
    return found


def _line(point: Point) -> str:
    return json.dumps(point, ensure_ascii=False, separators=(",", ":"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror}; coverage names it as a source") from error
