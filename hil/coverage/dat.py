r"""The file that a Verilator model writes when it ends: one line per coverage point, its count last.

A line reads ``C '\x01key\x02value\x01key\x02value...' count``. Keys used here: ``f`` file, ``l`` line, ``n`` column,
``t`` kind (line, branch, toggle, user), ``o`` what it is ("if", "else", "count_q[3]:0->1"), ``S`` the lines it
stands for. The page and the hierarchy name an instance and the values of its parameters; they are not read, because
a point is where it stands in the source, whatever build and whatever instance it was counted in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hil.errors import EvidenceError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = b"# SystemC::Coverage-3"
"""First line of the one format that is read."""

_ESCAPED = re.compile(rb"%(?:FFFFFF)?([0-9A-F]{2})")  # a byte above 7F is written as a negative number
_SPAN = re.compile(r"\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*")
_SHOWN = 60


class RawPoint(NamedTuple):
    """One line of the file.

    Args:
        file: the source as the simulator was given it.
        line: where the point stands, from 1.
        column: where in that line.
        kind: "line", "branch", "toggle", "user", or what a later version adds.
        what: what it is, in Verilator's words.
        lines: the source lines it stands for, as ``23-24,26``; "" for none of their own.
        hits: how often it was reached.
    """

    file: str
    line: int
    column: int
    kind: str
    what: str
    lines: str
    hits: int


def read_dat(path: Path) -> list[RawPoint]:
    """Read a coverage file.

    Args:
        path: the file that the simulator was told to write.

    Raises:
        EvidenceError: when it is not there, is another format, or is damaged: with line, what is wrong, what to do.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvidenceError(
            f"{path}: the simulator left no coverage: {error.strerror}; coverage is written when a simulation ends by "
            "itself, and is lost when it is killed"
        ) from error
    first, _, body = content.partition(b"\n")
    if first != HEADER:
        found = f"it begins with {first[:_SHOWN]!r}" if content else "it is empty"
        raise EvidenceError(
            f"{path}:1: is not Verilator coverage in the format {HEADER.decode()!r}: {found}; build with the coverage "
            "flags, on a Verilator that writes this format (5.036 and later)"
        )
    lines = body.split(b"\n")
    if lines.pop():
        raise EvidenceError(
            f"{path}:{len(lines) + 2}: the file ends within this line: the simulator was killed while it wrote; let it "
            "end by itself before it is killed"
        )
    return [_point(f"{path}:{number}", line) for number, line in enumerate(lines, 2)]


def _point(where: str, line: bytes) -> RawPoint:
    body, mark, count = line.rpartition(b"' ")
    if not mark or not body.startswith(b"C '\x01") or not count.isdigit():
        raise EvidenceError(f"{where}: is not a coverage point (C '...' count): {line[:_SHOWN]!r}; the file is damaged")
    fields: dict[bytes, str] = {}
    for pair in body[4:].split(b"\x01"):
        key, equals, value = pair.partition(b"\x02")
        if not equals:
            raise EvidenceError(f"{where}: {pair[:_SHOWN]!r} is no key with a value; the file is damaged")
        fields[key] = _ESCAPED.sub(_unescape, value).decode("utf-8", "replace") if b"%" in value else value.decode()
    lines = fields.get(b"S", "")
    if lines and not _SPAN.fullmatch(lines):
        raise EvidenceError(f"{where}: S is {lines!r}, not a list of lines such as 3,5-7; the file is damaged")
    return RawPoint(
        file=_text(fields, b"f", where),
        line=_number(fields, b"l", where),
        column=_number(fields, b"n", where),
        kind=_text(fields, b"t", where),
        what=fields.get(b"o", ""),
        lines=lines,
        hits=int(count),
    )


def _unescape(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)])


def _text(fields: dict[bytes, str], key: bytes, where: str) -> str:
    value = fields.get(key, "")
    if not value:
        raise EvidenceError(f"{where}: the point has no {key.decode()!r}; the file is damaged")
    return value


def _number(fields: dict[bytes, str], key: bytes, where: str) -> int:
    value = fields.get(key, "0")
    if not (value.isascii() and value.isdigit()):
        raise EvidenceError(f"{where}: {key.decode()!r} is {value!r}, not a number; the file is damaged")
    return int(value)
