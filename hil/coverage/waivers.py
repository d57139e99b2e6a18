"""Waivers: elements of a design that no test reaches, each with the reason why, who agreed, and the line as it was.

.. code-block:: toml

    [[waiver]]
    file = "tone_decoder.sv"
    line = 57                                # or only a point: its line is found by its name
    kind = "branch"                          # line, branch, toggle, user, or a list of them
    point = "else"                           # left out: every gap of that kind on the line
    justification = "..."
    approver = "..."
    date = 2026-03-01
    line_sha256 = "..."                      # hil coverage waive prints it

The hash is that of the source line, or of all lines from ``line`` to ``last_line``, without indentation. When the
line was edited, the waiver is stale: somebody has to look at it again.
"""

from __future__ import annotations

import datetime  # noqa: TC003  # pydantic reads the annotation when the class is made
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hil.closed import nearest
from hil.coverage.elements import Bits, Element
from hil.coverage.sources import line_sha256
from hil.toml_lines import check, parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from hil.coverage.sources import Source

Kind = Literal["line", "branch", "toggle", "user"]
_Text = Field(min_length=1, pattern=r"\S")
_SHOWN = 90


class WaiverTable(BaseModel):
    """``[[waiver]]``: one justified gap."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    file: str = _Text
    line: int | None = Field(default=None, ge=1)
    last_line: int | None = Field(default=None, ge=1)
    kind: Kind | list[Kind]
    point: str | None = Field(default=None, min_length=1)
    justification: str = _Text
    approver: str = _Text
    date: datetime.date
    line_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        if self.line is None and (self.point is None or self.last_line is not None):
            raise ValueError("give line, or a point whose name stands on one line only")
        if self.last_line is not None and self.line is not None and self.last_line < self.line:
            raise ValueError(f"last_line = {self.last_line} stands before line = {self.line}")
        if "line" in self.kinds and self.point is not None:
            raise ValueError("a waiver of lines has no point; give line, and last_line for several")
        if not self.kinds:
            raise ValueError("name at least one kind")
        return self

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of elements it is about."""
        return (self.kind,) if isinstance(self.kind, str) else tuple(self.kind)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    waiver: list[WaiverTable] = Field(default_factory=list[WaiverTable])


@dataclass(frozen=True, slots=True)
class Waiver:
    """One waiver and where it stands.

    Args:
        table: what it says.
        where: file and line.
    """

    table: WaiverTable
    where: str

    @property
    def about(self) -> str:
        """What it is about, for messages."""
        table = self.table
        last = "" if table.last_line is None else f" to {table.last_line}"
        place = f"{table.file}:{table.line}{last}" if table.line is not None else table.file
        return f"the waiver of {' and '.join(table.kinds)} {f'{table.point} ' if table.point else ''}at {place}"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a waiver comes to.

    Args:
        waiver: the waiver.
        elements: the elements that no test reached and that it justifies.
        problem: why it does not hold: it is stale, names nothing, or is not needed; "" when it holds.
        note: what a reader should know although it holds.
    """

    waiver: Waiver
    elements: tuple[Element, ...] = ()
    problem: str = ""
    note: str = ""


def read_waivers(name: str, content: bytes) -> list[Waiver]:
    """The waivers of a file.

    Args:
        name: the file, for messages.
        content: its bytes.

    Raises:
        ConfigError: with file, line and key for everything that is no waiver.
    """
    data, lines = parse_toml(content, name)
    tables = check(_File, data, name, lines).waiver
    return [Waiver(table, f"{name}:{lines.of('waiver', index)}") for index, table in enumerate(tables)]


def resolve(waiver: Waiver, sources: Mapping[str, Source], elements: Mapping[str, Sequence[Element]]) -> Resolved:
    """Find what a waiver justifies, and whether it still holds.

    Args:
        waiver: the waiver.
        sources: the design's sources by name.
        elements: the elements of each source that was simulated.
    """
    table = waiver.table
    source = sources.get(table.file)
    if source is None:
        return _refused(waiver, f"is of no source of the design; {nearest(table.file, list(sources))}")
    if table.line is not None and (table.last_line or table.line) > len(source.lines):
        return _refused(waiver, f"is stale: {table.file} has {len(source.lines)} lines{_moved(waiver, source)}")
    known = [element for element in elements.get(table.file, ()) if element.kind in table.kinds]
    found = [element for element in known if _holds(table, element)]
    first = table.line if table.line is not None else min((element.line for element in found), default=None)
    if first is None:
        return _refused(waiver, _unknown(table, known)) if known else Resolved(waiver)
    text = source.line(first, table.last_line or first)
    if table.line_sha256 != line_sha256(text):
        return _refused(waiver, _stale(waiver, source, text))
    if table.line is None and len({element.line for element in found}) > 1:
        lines = ", ".join(str(line) for line in sorted({element.line for element in found}))
        return _refused(waiver, f"names {table.point}, which stands on lines {lines}: give the line")
    if not elements.get(table.file):
        return Resolved(waiver)
    if not found:
        return _refused(waiver, _unknown(table, [each for each in known if _on(table, each)]))
    return _needed(waiver, found)


def _needed(waiver: Waiver, found: Sequence[Element]) -> Resolved:
    gaps = tuple(element for element in found if not element.hits)
    hit = len(found) - len(gaps)
    if not gaps:
        return _refused(
            waiver, f"is not needed: tests reach all {len(found)} elements that it justifies as out of reach; remove it"
        )
    note = f"{waiver.where}: {waiver.about}: tests reach {hit} of its {len(found)} elements; narrow it" if hit else ""
    return Resolved(waiver, gaps, note=note)


def _on(table: WaiverTable, element: Element) -> bool:
    return table.line is None or table.line <= element.line <= (table.last_line or table.line)


def _holds(table: WaiverTable, element: Element) -> bool:
    if not _on(table, element):
        return False
    if table.point is None or table.point == element.what:
        return True
    return element.kind == "toggle" and Bits.of(table.point).holds(element.what)


def _refused(waiver: Waiver, what: str) -> Resolved:
    return Resolved(waiver, problem=f"{waiver.where}: {waiver.about} {what}")


def _unknown(table: WaiverTable, known: Sequence[Element]) -> str:
    names = [element.what for element in known if element.what]
    if table.point is None or not names:
        return f"names nothing: no {' or '.join(table.kinds)} is counted there"
    return f"names nothing: {nearest(table.point, sorted(set(names)))}"


def _stale(waiver: Waiver, source: Source, text: str) -> str:
    digest = f'line_sha256 = "{line_sha256(text)}"'
    shown = " / ".join(line.strip() for line in text.split("\n"))[:_SHOWN]
    if not waiver.table.line_sha256:
        return f"has no line_sha256; if it holds for `{shown}`, write {digest}"
    moved = _moved(waiver, source)
    if moved:
        return f"is stale: there stands `{shown}` now{moved}"
    return (
        f"is stale: the line was edited (it was {waiver.table.line_sha256[:12]}...) and reads `{shown}` now; look at "
        f"it again, and if the justification still holds, write {digest}"
    )


def _moved(waiver: Waiver, source: Source) -> str:
    """Where the text of a waiver stands now, as the end of a message; "" when it stands nowhere."""
    table = waiver.table
    if table.line is None or not table.line_sha256:
        return ""
    more = (table.last_line or table.line) - table.line
    places = range(1, len(source.lines) - more + 1)
    found = [n for n in places if line_sha256(source.line(n, n + more)) == table.line_sha256]
    if not found:
        return ""
    at = min(found, key=lambda number: abs(number - (table.line or 0)))
    last = f" and last_line = {at + more}" if more else ""
    return f"; the waived text stands in line {at}: write line = {at}{last}"


def draft(
    source: Source, line: int, kinds: Sequence[str], *, point: str = "", last_line: int | None = None, date: str = ""
) -> str:
    """A ``[[waiver]]`` to be completed and pasted into a waiver file.

    Args:
        source: the source.
        line: the first line.
        kinds: the kinds of elements.
        point: name of the point; "" for all of that kind.
        last_line: the last line, where there are several.
        date: today, as 2026-03-01.
    """
    text = source.line(line, last_line or line)
    rows = [*(f"# {row.strip()}" for row in text.split("\n")), f'file = "{source.name}"', f"line = {line}"]
    rows += [f"last_line = {last_line}"] if last_line is not None else []
    quoted = [f'"{kind}"' for kind in kinds]
    rows += [f"kind = {quoted[0] if len(quoted) == 1 else '[' + ', '.join(quoted) + ']'}"]
    rows += [f'point = "{point}"'] if point else []
    rows += ['justification = ""', 'approver = ""', f"date = {date}", f'line_sha256 = "{line_sha256(text)}"']
    return "\n".join(["[[waiver]]", *rows]) + "\n"


def not_overlapping(resolved: Iterable[Resolved]) -> list[str]:
    """What is wrong where two waivers justify the same element: each gap has one reason."""
    taken: dict[tuple[str, Element], Waiver] = {}
    problems: list[str] = []
    for each in resolved:
        doubled = {taken[key].where for element in each.elements if (key := (each.waiver.table.file, element)) in taken}
        problems += [
            f"{each.waiver.where}: {each.waiver.about} overlaps with {where}; keep one" for where in sorted(doubled)
        ]
        for element in each.elements:
            taken.setdefault((each.waiver.table.file, element), each.waiver)
    return problems
