"""The file that declares cover points, and what the hits of a run come to.

.. code-block:: toml

    [cover]
    name = "Receiver situations"
    edition = "1"

    [point."fts.command"]
    title = "command that was decoded"
    bins = ["ARM", "TERMINATE", "OPTIONAL"]
    source = "FTR procurement specification"
    clause = "3.2"

    [point."fts.level"]
    title = "level at the antenna port"
    unit = "dBm"
    ranges = { weak = [-120.0, -107.0], strong = [-107.0, 0.0] }     # from, up to and without
    source = "FTR procurement specification"

    [cross."fts.command_at_level"]
    points = ["fts.command", "fts.level"]
    never = [["OPTIONAL", "*"]]
    source = "test plan"

``goal_pct`` (100 unless given) is the share of bins to be hit, ``at_least`` (1) how often a bin must be.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hil.coverage.bins import ANY, Bins, Cross, Hit, Point
from hil.coverage.judge import percent
from hil.errors import ConfigError
from hil.toml_lines import check, did_you_mean, parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

_Text = Field(min_length=1)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Head(_Table):
    name: str = _Text
    edition: str = _Text
    note: str = ""


class _Goal(_Table):
    title: str = ""
    goal_pct: Annotated[float, Field(ge=0.0, le=100.0)] = 100.0
    at_least: int = Field(default=1, ge=1)
    source: str = _Text
    clause: str = ""
    grade: Literal["P", "S", "M", "D", "C"] = "D"


class _PointTable(_Goal):
    bins: list[str] = Field(default_factory=list[str])
    ranges: dict[str, tuple[float, float]] = Field(default_factory=dict[str, tuple[float, float]])
    unit: str = ""

    @model_validator(mode="after")
    def _has_bins(self) -> Self:
        if bool(self.bins) == bool(self.ranges):
            raise ValueError("give one of bins (names) or ranges (numbers)")
        if len(set(self.bins)) != len(self.bins) or "" in self.bins or ANY in self.bins:
            raise ValueError(f'a bin has a name of its own, and not "{ANY}"')
        if self.ranges and not self.unit:
            raise ValueError("ranges need a unit")
        for name, (low, high) in self.ranges.items():
            if not low < high:
                raise ValueError(f"the range {name} is empty: it goes from {low:g} up to and without {high:g}")
        return self


class _CrossTable(_Goal):
    points: list[str] = Field(min_length=2)
    never: list[list[str]] = Field(default_factory=list[list[str]])


class _File(_Table):
    cover: _Head
    point: dict[str, _PointTable] = Field(default_factory=dict[str, _PointTable])
    cross: dict[str, _CrossTable] = Field(default_factory=dict[str, _CrossTable])


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What is said of a point or a cross beside its bins.

    Args:
        title: what it is.
        goal_pct: share of its bins that must be hit [percent].
        at_least: how often a bin must be hit.
        unit: unit of its ranges, or "".
        source: document that asks for it.
        clause: paragraph of it.
        grade: evidence grade of that source.
    """

    title: str
    goal_pct: float
    at_least: int
    unit: str
    source: str
    clause: str
    grade: str


@dataclass(frozen=True, slots=True)
class PointResult:
    """What one point or cross comes to.

    Args:
        name: its name.
        declared: what is said of it.
        axes: the bins of each point of a cross; () for a point.
        counts: how often each bin, or combination, was hit.
    """

    name: str
    declared: Declared
    axes: tuple[tuple[str, tuple[str, ...]], ...]
    counts: Mapping[tuple[str, ...], int]

    @property
    def missed(self) -> tuple[tuple[str, ...], ...]:
        """The bins, or combinations, that were not hit often enough."""
        return tuple(bins for bins, count in self.counts.items() if count < self.declared.at_least)

    @property
    def hit(self) -> int:
        """How many bins were hit often enough."""
        return len(self.counts) - len(self.missed)

    @property
    def share(self) -> str:
        """Share of bins that were hit [percent], rounded down to a tenth."""
        return percent(self.hit, len(self.counts))

    @property
    def meets(self) -> bool:
        """Whether the goal is met."""
        return 100 * self.hit >= self.declared.goal_pct * len(self.counts)

    @property
    def problem(self) -> str:
        """What keeps the goal from being met; "" when it is."""
        if self.meets:
            return ""
        names = ", ".join(" × ".join(bins) for bins in self.missed[:_BINS_NAMED])
        more = f" and {len(self.missed) - _BINS_NAMED} more" if len(self.missed) > _BINS_NAMED else ""
        return (
            f"{self.name}: {self.hit} of {len(self.counts)} bins hit, {self.share} %, goal "
            f"{self.declared.goal_pct:g} %; not hit: {names}{more}"
        )


_BINS_NAMED = 12


class CoverModel:
    """Every cover point and cross of a run, from the files that declare them.

    Args:
        files: name and bytes of each file.

    Raises:
        ConfigError: with file, line and key for everything that does not fit.
    """

    def __init__(self, files: Iterable[tuple[str, bytes]] = ()) -> None:
        self.files = tuple(files)
        self._points: dict[str, Point] = {}
        self._crosses: dict[str, Cross] = {}
        self._declared: dict[str, Declared] = {}
        self.titles: list[str] = []
        """Name and edition of each file."""
        for name, content in self.files:
            self._take(name, content)
        self.bins = Bins(self._points, self._crosses)

    @classmethod
    def load(cls, paths: Iterable[Path | str]) -> CoverModel:
        """Read the files.

        Raises:
            ConfigError: when one cannot be read, or is no such file.
        """
        files: list[tuple[str, bytes]] = []
        for path in map(Path, paths):
            try:
                files.append((path.name, path.read_bytes()))
            except OSError as error:
                raise ConfigError(f"{path}: cannot be read: {error.strerror}; check the path") from error
        return cls(files)

    def __bool__(self) -> bool:
        return bool(self._declared)

    def results(self, hits: Mapping[Hit, int]) -> Iterator[PointResult]:
        """What every point and cross comes to, in the order of the files, crosses last.

        Args:
            hits: how often each was hit; those of points that are not declared are left aside.
        """
        for name in (*self._points, *self._crosses):
            cross = self._crosses.get(name)
            axes = () if cross is None else tuple((point, self._points[point].bins) for point in cross.points)
            counts = {bins: hits.get((name, bins), 0) for bins in self.bins.all_hits(name)}
            yield PointResult(name, self._declared[name], axes, counts)

    def _take(self, path: str, content: bytes) -> None:
        data, lines = parse_toml(content, path)
        file = check(_File, data, path, lines)
        self.titles.append(f"{file.cover.name}, {file.cover.edition}")
        for name, table in file.point.items():
            self._declare(name, table, table.unit, f"{path}:{lines.of('point', name)}")
            self._points[name] = Point(tuple(table.bins or table.ranges), dict(table.ranges))
        for name, table in file.cross.items():
            where = f"{path}:{lines.of('cross', name)}"
            self._declare(name, table, "", where)
            self._crosses[name] = self._cross(table, where)

    def _declare(self, name: str, table: _Goal, unit: str, where: str) -> None:
        if name in self._declared:
            raise ConfigError(f"{where}: {name} is declared twice; a name means one point or one cross")
        self._declared[name] = Declared(
            title=table.title, goal_pct=table.goal_pct, at_least=table.at_least, unit=unit, source=table.source,
            clause=table.clause, grade=table.grade,
        )  # fmt: skip

    def _cross(self, table: _CrossTable, where: str) -> Cross:
        for name in table.points:
            if name not in self._points:
                raise ConfigError(f"{where}: points: {name} is no cover point{did_you_mean(name, self._points)}")
        for row in table.never:
            if len(row) != len(table.points):
                raise ConfigError(
                    f"{where}: never: {row} names {len(row)} bins; the cross has {len(table.points)} points"
                )
            for name, given in zip(table.points, row, strict=True):
                if given != ANY and given not in self._points[name].bins:
                    raise ConfigError(
                        f"{where}: never: {given} is no bin of {name}{did_you_mean(given, self._points[name].bins)}"
                    )
        cross = Cross(tuple(table.points), tuple(tuple(row) for row in table.never))
        if not any(True for _ in Bins(self._points, {"": cross}).all_hits("")):
            raise ConfigError(f"{where}: never excludes every combination; leave the cross out")
        return cross


def summed(hits: Iterable[Mapping[Hit, int]]) -> Counter[Hit]:
    """The hits of several tests together."""
    total: Counter[Hit] = Counter()
    for each in hits:
        total.update(each)
    return total
