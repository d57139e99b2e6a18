"""The ports of an HDL top, read from its source: name, direction, range; enough to wrap it and to talk to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hil.errors import RtlError

if TYPE_CHECKING:
    from pathlib import Path

    from hil.rtl.spec import RtlSpec

_IMPORTS = re.compile(r"^(?:\s*import\b[^;]*;)+")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\(\*.*?\*\)", re.DOTALL)
_PORT = re.compile(
    r"^(?P<direction>input|output)\s+(?:(?:wire|reg|logic|var)\s+)*(?P<signed>signed\s+)?"
    r"(?P<range>\[[^\]]*\])?\s*(?P<name>[A-Za-z_]\w*)$"
)
_MORE = re.compile(r"^(?P<name>[A-Za-z_]\w*)$")
_PARAMETER = re.compile(
    r"^(?:parameter\s+)?(?:(?:int|integer|logic|bit|longint|unsigned|signed)\s+)*(?:\[[^\]]*\]\s*)?"
    r"(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.+)$",
    re.DOTALL,
)
_VHDL_PORT = re.compile(
    r"(?P<names>\w+(?:\s*,\s*\w+)*)\s*:\s*(?P<direction>in|out)\s+(?P<type>std_u?logic(?:_vector)?|unsigned|signed)"
    r"\s*(?:\(\s*(?P<high>\d+)\s+downto\s+0\s*\))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class HdlPort:
    """One port of the top.

    Args:
        name: its name.
        direction: as seen by the design.
        range: its range as written, for example ``[13:0]``; empty for a single bit.
    """

    name: str
    direction: Literal["in", "out"]
    range: str = ""


@dataclass(frozen=True, slots=True)
class HdlTop:
    """What the source says of the top: ports in order, parameters with their defaults as text."""

    ports: tuple[HdlPort, ...]
    parameters: dict[str, str]

    @property
    def inputs(self) -> tuple[HdlPort, ...]:
        """Its inputs, in order."""
        return tuple(port for port in self.ports if port.direction == "in")

    @property
    def outputs(self) -> tuple[HdlPort, ...]:
        """Its outputs, in order."""
        return tuple(port for port in self.ports if port.direction == "out")


def read_top(spec: RtlSpec) -> HdlTop:
    """The ports and parameters of a design's top.

    Raises:
        RtlError: when no source declares it in a form that is understood: ANSI ports of single-dimension vectors.
    """
    for source in reversed(spec.source_files):
        found = (_vhdl if spec.language == "vhdl" else _verilog)(spec, source)
        if found is not None:
            return found
    kind = "entity" if spec.language == "vhdl" else "module"
    raise RtlError(f"{spec.file}: top: no source declares {kind} {spec.top}; sources are {', '.join(spec.sources)}")


def _verilog(spec: RtlSpec, source: Path) -> HdlTop | None:
    text = _COMMENT.sub(" ", source.read_text(encoding="utf-8"))
    start = re.search(rf"\bmodule\s+{re.escape(spec.top)}\b", text)
    if start is None:
        return None
    rest = _IMPORTS.sub("", text[start.end() :], count=1).lstrip()
    parameters: dict[str, str] = {}
    if rest.startswith("#"):
        inner, rest = _bracketed(rest[1:].lstrip())
        for item in _split(inner):
            match = _PARAMETER.match(item)
            if match is None:
                raise RtlError(
                    f"{source}: parameter {item!r} of {spec.top} is not understood; write parameter NAME = value"
                )
            parameters[match["name"]] = match["value"].strip()
    inner, _ = _bracketed(rest.lstrip())
    ports: list[HdlPort] = []
    for item in _split(inner):
        declared = _PORT.match(item)
        if declared is not None:
            direction: Literal["in", "out"] = "in" if declared["direction"] == "input" else "out"
            ports.append(HdlPort(declared["name"], direction, declared["range"] or ""))
        elif ports and _MORE.match(item):
            ports.append(HdlPort(item, ports[-1].direction, ports[-1].range))
        else:
            raise RtlError(
                f"{source}: port {item!r} of {spec.top} is not understood; a top has ANSI ports, input or output, "
                "of one bit or one range"
            )
    return HdlTop(tuple(ports), parameters)


def _vhdl(spec: RtlSpec, source: Path) -> HdlTop | None:
    text = re.sub(r"--[^\n]*", " ", source.read_text(encoding="utf-8"))
    start = re.search(rf"\bentity\s+{re.escape(spec.top)}\s+is\b", text, re.IGNORECASE)
    if start is None:
        return None
    declared = re.search(r"\bport\b\s*", text[start.end() :], re.IGNORECASE)
    if declared is None:
        raise RtlError(f"{source}: entity {spec.top} has no ports; a top has a clock and a reset at least")
    inner, _ = _bracketed(text[start.end() + declared.end() :])
    ports: list[HdlPort] = []
    for item in inner.split(";"):
        match = _VHDL_PORT.match(item.strip())
        if match is None:
            raise RtlError(
                f"{source}: port {item.strip()!r} of {spec.top} is not understood; a top has ports of std_logic and "
                "std_logic_vector(N downto 0)"
            )
        bits = f"[{match['high']}:0]" if match["high"] else ""
        direction: Literal["in", "out"] = "in" if match["direction"].lower() == "in" else "out"
        ports += [HdlPort(name.strip(), direction, bits) for name in match["names"].split(",")]
    return HdlTop(tuple(ports), {})


def _bracketed(text: str) -> tuple[str, str]:
    """What stands in the parentheses that ``text`` begins with, and what follows them."""
    depth = 0
    for index, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return text[1:index], text[index + 1 :]
    raise RtlError(f"a parenthesis is not closed after {text[:40]!r}")


def _split(text: str) -> list[str]:
    """A list at its commas that stand in no bracket, each item with single blanks."""
    items, depth, current = [""], 0, 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            items.append("")
            current += 1
        else:
            items[current] += char
    return [" ".join(item.split()) for item in items if item.strip()]
