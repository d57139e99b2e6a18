"""A simulator's log for people: what every run says taken out, the time it reached, the code it ended with."""

from __future__ import annotations

import re

_STAMP = re.compile(r"^\s*(\d+\.\d+)ns ", re.MULTILINE)
_WALL = re.compile(r"^.*(?:\*{20}|REAL TIME \(s\)|\*\* ).*\n?", re.MULTILINE)
_TRACEBACK = re.compile(r"^ {40,}Traceback \(most.*\n(?: {40,}.*\n)*", re.MULTILINE)
_RUNNER = re.compile(
    r"^Traceback \(most recent call last\):\n(?: .*\n)*RuntimeError: Command failed.*\n?", re.MULTILINE
)
_RETURNED = re.compile(r"Command failed with return code: (-?\d+)")
_ROUTINE = re.compile(
    r"^.*(?:(?:INFO|WARNING) +(?:cocotb\.)?(?:py)?gpi |Running command|Using Python|Running tests|Initialized cocotb|"
    r"Running on |Seeding Python|vpi_get_str: unhandled|Results file:|_mbstowcs_|VPI|-\.--ns INFO .* embed).*\n?",
    re.MULTILINE,
)


def log_excerpt(text: str, *, lines: int = 30) -> str:
    """The end of a simulator's log without what every run says, without wall time and without the traceback's copy."""
    for noise in (_WALL, _ROUTINE, _TRACEBACK, _RUNNER):
        text = noise.sub("", text)
    kept = [line for line in text.splitlines() if line.strip()]
    return "\n".join(kept[-lines:])


def ended_with(text: str, code: int | None) -> int | None:
    """The simulator's own exit code, which the process that started it hides behind its own; negative for a signal."""
    told = _RETURNED.search(text)
    return int(told[1]) if told is not None and code is not None else code


def reached_ns(text: str) -> float | None:
    """The last simulated time that a log names [ns]; None when it names none."""
    stamps = _STAMP.findall(text)
    return float(stamps[-1]) if stamps else None
