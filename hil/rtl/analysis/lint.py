"""Lint with Verilator: every warning it knows of, in every source of a design, with file and line.

What hides something from a judge is found as well: a comment that switches warnings or coverage off, or takes lines
out of synthesis, stands in the source without a reason and an approver.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.coverage.sources import Source
from hil.errors import RtlError
from hil.rtl import tools

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.rtl.spec import RtlSpec

_FINDING = re.compile(r"^%(?P<kind>(?:Warning|Error)(?:-\w+)?): (?:(?P<file>[^:\n]+):(?P<line>\d+):\d+: )?(?P<text>.*)")
_SUMMARY = re.compile(r"Exiting due to \d+")
_TIMEOUT_S = 120.0

HIDING = "HIDING"
"""Code of a finding that is not Verilator's: a comment or directive that hides something of the source."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One warning or error: its code, the source's name and line (0 when it has none), and what is wrong."""

    code: str
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        """In one line, for people."""
        return f"{self.file}:{self.line}: {self.code}: {self.text}"


def lint(spec: RtlSpec, parameters: Mapping[str, int | str] | None = None) -> list[Finding]:
    """What Verilator warns of in a design with every warning switched on, and what in its sources hides something.

    Args:
        spec: the design, in Verilog.
        parameters: what the parameters of its top are set to; their defaults unless given.

    Raises:
        ToolMissingError: when there is no usable Verilator.
        RtlError: when it is a design in VHDL, or Verilator ends without a word.
    """
    if spec.language != "verilog":
        raise RtlError(f"{spec.file}: {spec.top} is written in {spec.language}; Verilator reads Verilog only")
    simulator = tools.find("verilator")
    root = {} if simulator.root is None else {"VERILATOR_ROOT": str(simulator.root)}
    values = [f"-G{name}={value}" for name, value in (parameters or {}).items()]
    with tempfile.TemporaryDirectory(prefix="hil-lint-") as scratch:
        done = subprocess.run(
            [simulator.executable, "--lint-only", "-Wall", "--timing", "--top-module", spec.top, *values,
             *spec.source_files],
            cwd=scratch, env={**os.environ, **root}, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S,
        )  # fmt: skip
    found = _findings(done.stdout + done.stderr, [path.name for path in spec.source_files])
    if done.returncode != 0 and not found:
        raise RtlError(f"{spec.file}: verilator ended with code {done.returncode}: {done.stderr[-500:]}")
    return [*_hidden(spec), *found]


def _hidden(spec: RtlSpec) -> list[Finding]:
    """What takes something of a source away from lint, coverage or synthesis."""
    return [
        Finding(HIDING, path.name, pragma.line, f"{pragma.text} hides something from {pragma.hides_from}: remove it")
        for path in spec.source_files
        for pragma in Source.of(path.name, path.read_bytes()).pragmas
    ]


def _findings(text: str, names: Sequence[str]) -> list[Finding]:
    found: list[Finding] = []
    for line in text.splitlines():
        match = _FINDING.match(line)
        if match is None or _SUMMARY.search(match["text"]):
            continue
        file = (match["file"] or names[-1]).rpartition("/")[2]
        code = match["kind"].removeprefix("Warning-").removeprefix("Error-")
        found.append(Finding(code, file, int(match["line"] or 0), match["text"]))
    return found
