"""What can be covered in a source: lines, ways out of decisions, edges of bits, cover statements.

A *line* is a source line that some point stands for; it counts as often as the point of it that was reached most. A
*branch* is one way out of an ``if``, an ``else if``, a ``case`` or a ``?:``, one that has no code of its own included.
A *toggle* is one edge of one bit. Instances and parameters are joined: an element is reached when any instance
reached it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hil.coverage.points import Point

WAYS = frozenset({"if", "else", "elsif", "case", "cond_then", "cond_else"})
"""What Verilator calls a way out of a decision; some of them it counts as lines, here all are branches."""

_BIT = re.compile(r"(?P<base>.*?)(?:\[(?P<high>\d+)(?::(?P<low>\d+))?\])?(?P<edge>:(?:0->1|1->0))?")


class Element(NamedTuple):
    """One thing that can be covered.

    Args:
        kind: "line", "branch", "toggle" or "user".
        line: its line in the source, from 1.
        column: where in that line; 0 for a whole line.
        what: its name at that place, as a waiver names it; "" for a line.
        hits: how often it was reached.
    """

    kind: str
    line: int
    column: int
    what: str
    hits: int


class SourceElements:
    """The elements of one source, with the hits of every build and every test that were added."""

    def __init__(self) -> None:
        self._points: dict[tuple[int, int, str, str], int] = {}
        self._lines: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._points)

    def add(self, points: Iterable[tuple[Point, int]]) -> None:
        """Add points of this source with their counts; those of one build in one call.

        Args:
            points: each point and how often it was reached.
        """
        lines: dict[int, int] = {}
        for point, count in points:
            key = (point.line, point.column, point.kind, point.what)
            self._points[key] = self._points.get(key, 0) + count
            if point.kind in ("line", "branch"):
                for line in _expanded(point):
                    lines[line] = max(lines.get(line, 0), count)
        for line, count in lines.items():
            self._lines[line] = self._lines.get(line, 0) + count

    def elements(self) -> Iterator[Element]:
        """Every element, by kind and place."""
        for line, count in sorted(self._lines.items()):
            yield Element("line", line, 0, "", count)
        for wanted in ("branch", "toggle", "user"):
            for (line, column, kind, what), count in sorted(self._points.items()):
                counts_as = "branch" if kind == "line" and what in WAYS else kind
                if counts_as == wanted:
                    yield Element(wanted, line, column, what, count)


def _expanded(point: Point) -> Iterator[int]:
    if not point.lines and point.kind == "line":
        yield point.line
    for span in filter(None, point.lines.split(",")):
        first, _, last = span.partition("-")
        yield from range(int(first), int(last or first) + 1)


@dataclass(frozen=True, slots=True)
class Bits:
    """The name of a bit, of a range of bits, or of anything else that toggles.

    Args:
        base: the signal.
        high: its highest bit; None when none is named.
        low: its lowest bit.
        edge: ":0->1", ":1->0", or "" for both.
    """

    base: str
    high: int | None
    low: int | None
    edge: str

    @classmethod
    def of(cls, name: str) -> Bits:
        """The parts of a name.

        >>> Bits.of("count_q[31:20]:0->1")
        Bits(base='count_q', high=31, low=20, edge=':0->1')
        """
        found = _BIT.fullmatch(name)
        if found is None or found["high"] is None:
            return cls(
                name if found is None else found["base"], None, None, "" if found is None else found["edge"] or ""
            )
        ends = (int(found["high"]), int(found["low"] or found["high"]))
        return cls(found["base"], max(ends), min(ends), found["edge"] or "")

    def holds(self, name: str) -> bool:
        """Whether a bit, as coverage names it, is among these.

        >>> Bits.of("count_q[31:20]").holds("count_q[20]:1->0"), Bits.of("count_q").holds("count_q[20]:1->0")
        (True, True)
        """
        other = Bits.of(name)
        if self.edge not in ("", other.edge):
            return False
        if self.high is None or self.low is None:
            whole = other.base if other.high is None else f"{other.base}[{other.high}]"
            return self.base in (other.base, whole)
        if other.base == self.base and other.high is not None:
            return self.low <= other.high <= self.high
        return self.high == self.low and other.base == f"{self.base}[{self.high}]"


def named(elements: Sequence[Element]) -> list[str]:
    """The names of elements of one line and kind, in short: bits of a signal in ranges, both edges without one.

    >>> named([Element("toggle", 3, 1, f"y[{k}]:{edge}", 0) for k in (0, 1, 2, 5) for edge in ("0->1", "1->0")])
    ['y[2:0]', 'y[5]']
    """
    if not elements or elements[0].kind != "toggle":
        return list(dict.fromkeys(element.what for element in elements if element.what))
    edges: dict[tuple[str, int | None], set[str]] = {}
    for element in elements:
        bit = Bits.of(element.what)
        edges.setdefault((bit.base, bit.high), set()).add(bit.edge)
    alike: dict[tuple[str, str], list[int | None]] = {}
    for (base, bit), found in edges.items():
        edge = "" if len(found) > 1 or found == {""} else min(found)
        alike.setdefault((base, edge), []).append(bit)
    return [f"{base}{bits}{edge}" for (base, edge), found in alike.items() for bits in _ranges(found)]


def _ranges(bits: Sequence[int | None]) -> list[str]:
    numbers = sorted(bit for bit in bits if bit is not None)
    if not numbers:
        return [""]
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return [f"[{low}]" if low == high else f"[{high}:{low}]" for low, high in spans]
