"""Cover points: the situations that tests are meant to reach, as bins, and crosses of them.

The same class answers on the bench, where :class:`hil.coverage.model.CoverModel` makes it from a TOML file, and inside
a simulator, where :mod:`hil.rtl.cover` reads it from the one line that the harness left there. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, cast

from hil.closed import nearest
from hil.errors import HilError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Bin = str | float | int | bool
Hit = tuple[str, tuple[str, ...]]
"""A point and its bin, or a cross and a bin of each of its points."""

ANY = "*"
"""In a list of combinations: any bin of that point."""


@dataclass(frozen=True)
class Point:
    """A situation to be covered.

    Args:
        bins: its bins, in order.
        ranges: for numbers, the least value of each bin and the first value above it.
    """

    bins: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])

    def bin_of(self, value: Bin) -> str | None:
        """The bin that holds a value; None when none does."""
        if self.ranges and not isinstance(value, str | bool):
            return next((name for name, (low, high) in self.ranges.items() if low <= value < high), None)
        name = str(value).lower() if isinstance(value, bool) else str(value)
        return name if name in self.bins else None


@dataclass(frozen=True)
class Cross:
    """Several points covered at once.

    Args:
        points: their names.
        never: combinations that cannot be, :data:`ANY` for any bin; hitting one is an error.
    """

    points: tuple[str, ...]
    never: tuple[tuple[str, ...], ...] = ()

    def excludes(self, bins: tuple[str, ...]) -> bool:
        """Whether a combination is one that cannot be."""
        return any(all(part in (ANY, given) for part, given in zip(row, bins, strict=True)) for row in self.never)


@dataclass(frozen=True)
class Bins:
    """Every point and cross by name."""

    points: Mapping[str, Point] = field(default_factory=dict[str, Point])
    crosses: Mapping[str, Cross] = field(default_factory=dict[str, Cross])

    def hits(self, name: str, values: tuple[Bin, ...]) -> list[Hit]:
        """What covering a point, or a cross, with these values reaches: a cross reaches each of its points as well.

        Args:
            name: the point or the cross.
            values: one value for a point; for a cross one for each of its points.

        Raises:
            HilError: for an unknown name or bin, with the nearest known; a number of values that does not fit; or a
                combination that is declared never to be.
        """
        cross = self.crosses.get(name)
        names = (name,) if cross is None else cross.points
        if cross is None and name not in self.points:
            known = [*self.points, *self.crosses]
            raise HilError(f"cover({name!r}): there is no such cover point; {nearest(name, known)}")
        if len(values) != len(names):
            wanted = f"one bin each of {', '.join(names)}" if cross else "one bin"
            raise HilError(f"cover({name!r}): {len(values)} bins are given; it takes {wanted}")
        found = tuple(self._bin(name, point, value) for point, value in zip(names, values, strict=True))
        hits: list[Hit] = [(point, (each,)) for point, each in zip(names, found, strict=True)]
        if cross is None:
            return hits
        if cross.excludes(found):
            raise HilError(
                f"cover({name!r}): {' × '.join(found)} is declared never to be; the design or the list is wrong"
            )
        return [*hits, (name, found)]

    def all_hits(self, name: str) -> Iterator[tuple[str, ...]]:
        """Every bin of a point, or every combination of a cross that can be, in order."""
        cross = self.crosses.get(name)
        if cross is None:
            yield from ((each,) for each in self.points[name].bins)
        else:
            every = product(*(self.points[point].bins for point in cross.points))
            yield from (bins for bins in every if not cross.excludes(bins))

    def _bin(self, asked: str, name: str, value: Bin) -> str:
        point = self.points[name]
        found = point.bin_of(value)
        if found is None:
            of = "" if asked == name else f" of {name}"
            remedy = nearest(str(value), list(point.bins))
            if point.ranges:
                remedy += "; " + ", ".join(
                    f"{each} is {low:g} to {high:g}" for each, (low, high) in point.ranges.items()
                )
            raise HilError(f"cover({asked!r}): {value!r} is in no bin{of}; {remedy}")
        return found

    def declaration(self) -> dict[str, object]:
        """Everything, as JSON takes it."""
        return {
            "points": {name: [point.bins, point.ranges] for name, point in self.points.items()},
            "crosses": {name: [cross.points, cross.never] for name, cross in self.crosses.items()},
        }

    @classmethod
    def declared(cls, declaration: object) -> Bins:
        """The inverse of :meth:`declaration`.

        Raises:
            HilError: when it is none.
        """
        try:
            tables = cast("dict[str, dict[str, list[object]]]", declaration)
            points = {
                name: Point(tuple(cast("list[str]", bins)), _ranges(ranges))
                for name, (bins, ranges) in tables["points"].items()
            }
            crosses = {
                name: Cross(
                    tuple(cast("list[str]", points)), tuple(tuple(row) for row in cast("list[list[str]]", never))
                )
                for name, (points, never) in tables["crosses"].items()
            }
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise HilError(f"this is no declaration of cover points: {error}") from error
        return cls(points, crosses)


def _ranges(given: object) -> dict[str, tuple[float, float]]:
    return {name: (low, high) for name, (low, high) in cast("dict[str, list[float]]", given).items()}
