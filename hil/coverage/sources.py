"""HDL text: its lines, their hashes, the modules they belong to, and what in it hides something from whoever judges."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

_NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"', re.DOTALL)
_EDGE = re.compile(
    r"\b(?:(?P<end>end(?:module|interface|program|package))\b"
    r"|(?P<begin>(?:macro)?module|interface|program|package)\s+(?:automatic\s+|static\s+)?(?P<name>[A-Za-z_]\w*))"
)

_HIDING = re.compile(
    r"(?://|/\*)\s*(verilator\s+(?:lint|coverage|coverage_block)_off|(?:synopsys|synthesis|pragma)\s+translate_off)\b"
)
_CONTROL = "`verilator_config"
_HIDES_FROM = {"lint_off": "lint", "translate_off": "synthesis"}

FILE_SCOPE = "(file)"
"""The block of what stands outside of every module."""


def line_sha256(text: str) -> str:
    """Hash of one or several source lines, hexadecimal; how a line is indented does not matter.

    >>> line_sha256("  y <= a;  ") == line_sha256("y <= a;")
    True
    """
    bare = "\n".join(line.strip() for line in text.split("\n"))
    return hashlib.sha256(bare.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Block:
    """One module of a source: its name and its first and last line."""

    name: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Pragma:
    """A comment or a directive that hides something of a source from whoever judges it.

    Args:
        line: where it stands, from 1.
        text: what it says, in one line.
        hides_from: what does not see it: "coverage", "lint" or "synthesis".
    """

    line: int
    text: str
    hides_from: str


@dataclass(frozen=True)
class Source:
    """One HDL file.

    Args:
        name: what it is called, relative to the RTL file that lists it.
        text: all of it.
    """

    name: str
    text: str

    @classmethod
    def of(cls, name: str, content: bytes) -> Source:
        """A source from the bytes of its file; what is not UTF-8 is shown as an escape."""
        return cls(name, content.decode("utf-8", "backslashreplace"))

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Its lines, without their ends."""
        return tuple(line.removesuffix("\r") for line in self.text.split("\n"))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Its modules, interfaces, programs and packages, in order."""
        found: list[Block] = []
        name, first = "", 0
        for edge in _EDGE.finditer(self._bare):
            line = self._line_at(edge.start())
            if edge["begin"] and not name:
                name, first = edge["name"], line
            elif edge["end"] and name:
                found.append(Block(name, first, line))
                name = ""
        if name:
            found.append(Block(name, first, len(self.lines)))
        return tuple(found)

    @cached_property
    def pragmas(self) -> tuple[Pragma, ...]:
        """Everything in it that hides something from coverage, lint or synthesis, in order."""
        found: list[Pragma] = []
        for noise in _NOISE.finditer(self.text):
            pragma = _HIDING.match(noise[0])
            if pragma is not None:
                words = pragma[1].split()
                hides_from = _HIDES_FROM.get(words[-1], "coverage")
                found.append(Pragma(self._line_at(noise.start()), " ".join(words), hides_from))
        found += [
            Pragma(self._line_at(control.start()), _CONTROL, "coverage")
            for control in re.finditer(rf"{_CONTROL}\b", self._bare)
        ]
        return tuple(sorted(found, key=lambda each: each.line))

    @cached_property
    def _bare(self) -> str:
        """The text with blanks in place of comments and strings."""
        return _NOISE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), self.text)

    def _line_at(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1

    def block_of(self, line: int) -> str:
        """The block that a line (from 1) stands in."""
        return next((block.name for block in self.blocks if block.first <= line <= block.last), FILE_SCOPE)

    def line(self, number: int, last: int | None = None) -> str:
        """The text of a line (from 1), or of a range of lines; "" where there is none."""
        return "\n".join(self.lines[max(0, number - 1) : number if last is None else last])
