"""What a simulator's log says: what the design complained of, and how the simulator ended."""

from __future__ import annotations

import re
import signal
import textwrap

_COMPLAINT = re.compile(
    r"^(?:ERROR|FATAL): .+:\d+: "  # Icarus
    r"|^(?:\[[\d.]+\w*\] )?%(?:Error|Fatal)\b"  # Verilator
    r"|^\S.*:\d+:\d+:@\w+:\((?:assertion|report) (?:error|failure)\)"  # GHDL
)
_WHEN = re.compile(r"^ +(Time: \d+ +Scope: \S+)")
_FINISH = re.compile(r"^- \S+:[1-9]\d*: Verilog \$finish", re.MULTILINE)
_TRACEBACK = re.compile(r"^( {20,})Traceback \(most recent call last\):\n(?:\1.*\n?|\n)*", re.MULTILINE)
_UNKNOWN = re.compile(r"^ {20,}hil\.errors\.UnknownLevelError: (.*)", re.MULTILINE)
_CODE = re.compile(r"^RuntimeError: Command failed with return code: (-?\d+)", re.MULTILINE)
_LIMIT = 10  # complaints that are told


def complaints(log: str) -> list[str]:
    r"""Lines in which the design itself complains: ``$error``, ``$fatal``, failed assertions.

    Icarus and GHDL go on after one and call the run good; whoever judges must look here.

    >>> complaints("fine\nERROR: a.sv:3: valve open\n       Time: 100 Scope: top.dut\n")
    ['ERROR: a.sv:3: valve open (Time: 100 Scope: top.dut)']
    """
    found: list[str] = []
    for line in log.splitlines():
        if _COMPLAINT.search(line):
            found.append(line)
        elif found and (when := _WHEN.match(line)):
            found[-1] += f" ({when[1]})"
    return found


def unknown_level(log: str) -> str | None:
    """What a peripheral said when it met an unknown level and ended the simulator; None when none did."""
    found = _UNKNOWN.search(log)
    return found and found[1]


def finished(log: str) -> bool:
    """Whether the design has called ``$finish``, on a simulator that goes on to the end of its step before it ends."""
    return _FINISH.search(log) is not None


def told(found: list[str]) -> str:
    """Complaints as text; of very many the first."""
    more = len(found) - _LIMIT
    return "\n".join([*found[:_LIMIT], *([f"and {more} more"] if more > 0 else [])])


def how_it_ended(log: str, code: int | None) -> str:
    """How a simulator ended that nobody asked to end, in words that follow "the simulator".

    Args:
        log: its log.
        code: exit code of its process; None when that still runs.
    """
    exception = _TRACEBACK.search(log)
    if exception is not None and "SimFailure" not in exception[0]:
        return f"ended by an exception inside it:\n{textwrap.dedent(exception[0]).rstrip()}\n"
    if "SimFailure" in log or finished(log):
        return "ended itself: the design called $finish or $stop"
    if code is None:
        return "is still there but has hung up"
    found = _CODE.search(log)
    code = code if found is None else int(found[1])
    if code < 0:
        return f"crashed by {_signal_name(-code)}"
    return f"ended with exit code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
