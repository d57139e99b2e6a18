"""Coverage in a run folder: what each trial reached, the tables and texts it refers to, and the run's own judgement.

===============================  ===============================================================================
``coverage/code.jsonl``          a line per article and build of each trial: which table, and the counts against it
``coverage/functional.jsonl``    a line per trial: how often it hit which bins
``coverage/points/SHA.jsonl``    tables of points, each once, named by the hash of its bytes
``coverage/texts/SHA.txt``       sources, waiver files and files of cover points, likewise
===============================  ===============================================================================

The first two are joined over all trials in plan order; an ``attachment`` says which bytes are a trial's. What was
judged of it stands in the run's own ``coverage`` document, before its ``stop``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from hil.coverage.points import PointTable, added, count, counts_of, runs_of
from hil.errors import EvidenceError
from hil.evidence.documents import Document, Json, decode, encode
from hil.evidence.fields import Fields
from hil.evidence.folder import PARTS, write_whole
from hil.limits import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hil.coverage.bins import Bin, Bins, Hit
    from hil.coverage.points import Collected
    from hil.evidence.folder import Part

CODE = "coverage/code.jsonl"
FUNCTIONAL = "coverage/functional.jsonl"
_POINTS = "coverage/points/{}.jsonl"
_TEXTS = "coverage/texts/{}.txt"


# -- writing ----------------------------------------------------------------------------------------------------


def keep_text(run_dir: Path, content: bytes) -> str:
    """Keep a text of this run, once, and return the hash that names it.

    Raises:
        EvidenceError: when it cannot be written.
    """
    return _keep(run_dir, _TEXTS, content)


class TrialCoverage:
    """What one trial reached, until it ends.

    Args:
        run_dir: the run folder.
        part: the trial's place in it.
        bins: the declared cover points.
    """

    def __init__(self, run_dir: Path, part: Part, bins: Bins) -> None:
        self._run_dir, self._part, self._bins = run_dir, part, bins
        self._hits: Counter[Hit] = Counter()
        self._counts: dict[tuple[str, str, str], list[int]] = {}
        self._file = run_dir / PARTS / f"{part.stem}.cover"

    def hit(self, name: str, values: tuple[Bin, ...]) -> None:
        """Note that a point, or a cross, was covered.

        Raises:
            HilError: for an unknown point or bin, with the nearest known.
        """
        self._hits.update(self._bins.hits(name, values))

    def cover_file(self) -> Path:
        """The file that :func:`hil.rtl.cover.cover` appends to inside a simulator; made at the first call.

        Raises:
            EvidenceError: when it cannot be written.
        """
        if not self._file.exists():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, (json.dumps(self._bins.declaration()) + "\n").encode())
        return self._file.resolve()  # a simulator has a working folder of its own

    def simulated(self, collected: Collected) -> None:
        """Take over what a simulator process reached; its coverage file is not needed afterwards.

        Raises:
            EvidenceError: when the file is damaged, or what belongs to it cannot be kept.
        """
        found = count(collected)
        for content in found.texts.values():
            keep_text(self._run_dir, content)
        table = _keep(self._run_dir, _POINTS, found.table.content())
        key = (collected.article, collected.design, table)
        known = self._counts.get(key)
        self._counts[key] = list(found.counts) if known is None else added(known, found.counts)

    def close(self) -> None:
        """Write everything to the trial's part of the run folder.

        Raises:
            HilError: when it cannot be written, or a simulator left something that is no hit.
        """
        if self._file.exists():
            self._hits.update(_left_hits(self._file, self._bins))
            self._file.unlink()
        lines = [
            encode({"article": article, "design": design, "points": table, "counts": runs_of(counts)})
            for (article, design, table), counts in sorted(self._counts.items())
        ]
        self._write(CODE, lines)
        hits: list[Json] = [[name, list(bins), times] for (name, bins), times in sorted(self._hits.items())]
        self._write(FUNCTIONAL, [encode({"hits": hits})] if hits else [])

    def _write(self, name: str, lines: list[bytes]) -> None:
        if lines:
            path = self._part.folder(self._run_dir) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, b"".join(lines))


def _left_hits(path: Path, bins: Bins) -> Counter[Hit]:
    """What a simulator noted; the line it was killed in is no hit."""
    hits: Counter[Hit] = Counter()
    _, *lines = path.read_bytes().split(b"\n")
    for line in lines[:-1]:
        try:
            name, values = cast("tuple[str, list[Bin]]", json.loads(line))
        except ValueError as error:
            raise EvidenceError(
                f"{path}: {line[:60]!r} is no hit of a cover point; only cover() writes here"
            ) from error
        hits.update(bins.hits(name, tuple(values)))
    return hits


def _keep(run_dir: Path, pattern: str, content: bytes) -> str:
    """Keep content under its own hash; several workers may keep the same at once."""
    digest = hashlib.sha256(content).hexdigest()
    path = run_dir / pattern.format(digest)
    if path.exists():
        return digest
    draft = run_dir / PARTS / f"{digest}.{os.getpid()}.draft"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        raise EvidenceError(
            f"recording failed: {path}: {error.strerror} (errno {error.errno}); free space or check the disk"
        ) from error
    return digest


# -- the run's own document -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignRecord:
    """What a run's ``coverage`` document says of one RTL file.

    Args:
        name: the RTL file, without its folder.
        articles: the articles of the rig that it stands for; none for a design of block tests.
        sources: hash of each source's bytes, by the name that the RTL file gives it.
        goals: its ``[coverage]`` table.
        waivers: name and hash of each waiver file.
        language: "verilog", or one that nothing counts.
        listed: whether the rig lists it as one that block tests must have run.
    """

    name: str
    articles: tuple[str, ...]
    sources: Mapping[str, str]
    goals: Document
    waivers: tuple[tuple[str, str], ...] = ()
    language: str = "verilog"
    listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageRecord:
    """A run's ``coverage`` document.

    Args:
        judged: whether the run was meant to reach its goals.
        problems: what kept it from that, one sentence each.
        designs: the RTL files of the rig, and those of the block tests that were planned.
        models: name and hash of each file of cover points.
    """

    judged: bool
    problems: tuple[str, ...]
    designs: tuple[DesignRecord, ...]
    models: tuple[tuple[str, str], ...]

    @property
    def verdict(self) -> Verdict:
        """PASS or FAIL; NOT_RUN when it was not judged."""
        if not self.judged:
            return Verdict.NOT_RUN
        return Verdict.FAIL if self.problems else Verdict.PASS

    def fields(self) -> Document:
        """The fields of the document."""
        return {
            "judged": self.judged,
            "verdict": self.verdict.value,
            "problems": list(self.problems),
            "designs": [
                {
                    "name": each.name,
                    "articles": list(each.articles),
                    "sources": [[name, digest] for name, digest in each.sources.items()],
                    "goals": each.goals,
                    "waivers": [list(file) for file in each.waivers],
                    "language": each.language,
                    "listed": each.listed,
                }
                for each in self.designs
            ],
            "models": [list(each) for each in self.models],
        }

    @classmethod
    def of(cls, fields: Fields) -> CoverageRecord:
        """The document read back.

        Raises:
            EvidenceError: when a field of it has no sense.
        """
        return cls(
            judged=fields.flag("judged"),
            problems=fields.texts("problems"),
            designs=tuple(_design(each) for each in fields.tables("designs")),
            models=tuple(_pair(fields, "models", each) for each in _items(fields, "models")),
        )


def coverage_verdict(document: Document | None) -> Verdict | None:
    """What a ``coverage`` document adds to the outcome of its run; None when it adds nothing."""
    judged = document is not None and document.get("judged") is True
    if not judged or document is None:
        return None
    return Verdict.PASS if document.get("verdict") == Verdict.PASS.value else Verdict.FAIL


def _design(fields: Fields) -> DesignRecord:
    return DesignRecord(
        name=fields.text("name"),
        articles=fields.texts("articles"),
        sources=dict(_pair(fields, "sources", each) for each in _items(fields, "sources")),
        goals=fields.table("goals").document,
        waivers=tuple(_pair(fields, "waivers", each) for each in _items(fields, "waivers")),
        language=fields.text("language", "verilog"),
        listed=fields.flag("listed"),
    )


def _items(fields: Fields, key: str) -> list[Json]:
    value = fields.document.get(key)
    return value if isinstance(value, list) else fields.refuse(key, "a list")


def _pair(fields: Fields, key: str, value: Json) -> tuple[str, str]:
    name, digest = value if isinstance(value, list) and len(value) == 2 else (None, None)
    if not isinstance(name, str) or not isinstance(digest, str):
        return fields.refuse(key, "a name and a hash")
    return name, digest


# -- reading ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CodeRecord:
    """What one trial reached of the code of one article, in one build.

    Args:
        article: the article, or the block that a block test drives.
        design: its RTL file.
        table: hash of the table of points.
        runs: the counts as text.
        where: file, for messages.
    """

    article: str
    design: str
    table: str
    runs: str
    where: str


@dataclass
class CoverageFiles:
    """The coverage in a run folder, read as it is asked for.

    Args:
        run_dir: the run folder.
    """

    run_dir: Path
    _tables: dict[str, PointTable] = field(default_factory=dict[str, PointTable])

    def code(self, offset: int = 0, size: int | None = None) -> list[CodeRecord]:
        """What trials reached of code.

        Args:
            offset: first byte of :data:`CODE`.
            size: number of bytes; None: all.

        Raises:
            EvidenceError: when it is not what was recorded.
        """
        return [
            CodeRecord(each.text("article"), each.text("design"), each.text("points"), each.text("counts"), each.where)
            for each in self._records(CODE, offset, size)
        ]

    def hits(self, offset: int = 0, size: int | None = None) -> Counter[Hit]:
        """How often trials hit which bins.

        Args:
            offset: first byte of :data:`FUNCTIONAL`.
            size: number of bytes; None: all.

        Raises:
            EvidenceError: when it is not what was recorded.
        """
        found: Counter[Hit] = Counter()
        for record in self._records(FUNCTIONAL, offset, size):
            for row in _items(record, "hits"):
                match row:
                    case [str(name), list(bins), int(times)] if times > 0:
                        found[name, tuple(str(each) for each in bins)] += times
                    case _:
                        record.refuse("hits", "a list of point, bins and times")
        return found

    def table(self, digest: str) -> PointTable:
        """A table of points by its hash.

        Raises:
            EvidenceError: when it is not there, or not what was recorded.
        """
        if digest not in self._tables:
            name = _POINTS.format(digest)
            self._tables[digest] = PointTable.of(self._kept(name, digest), name)
        return self._tables[digest]

    def text(self, digest: str) -> bytes:
        """A text by its hash.

        Raises:
            EvidenceError: when it is not there, or not what was recorded.
        """
        return self._kept(_TEXTS.format(digest), digest)

    def counts(self, record: CodeRecord) -> list[int]:
        """The counts of a record, in the order of its table.

        Raises:
            EvidenceError: when they do not fit the table.
        """
        return counts_of(record.runs, len(self.table(record.table).points), record.where)

    def _kept(self, name: str, digest: str) -> bytes:
        try:
            content = (self.run_dir / name).read_bytes() if digest.isalnum() else b""
        except OSError as error:
            raise EvidenceError(f"{name}: cannot be read: {error.strerror}; check the copy") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise EvidenceError(f"{name}: is not what was recorded; `hil verify` tells what was edited")
        return content

    def _records(self, name: str, offset: int, size: int | None) -> Iterable[Fields]:
        path = self.run_dir / name
        try:
            with path.open("rb") as file:
                file.seek(offset)
                content = file.read(-1 if size is None else size)
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise EvidenceError(f"{name}: cannot be read: {error}; check the copy") from error
        where = f"{name}, from byte {offset}"
        try:
            return [Fields(decode(line), where) for line in content.splitlines(keepends=True)]
        except ValueError as error:
            raise EvidenceError(f"{where}: is not a record of coverage: {error}; `hil verify` tells more") from error
