"""How late this host wakes a clock, with what it grants of real-time scheduling: a program that waits, then works.

    python -m hil.doctor.wake_up '{"seconds": 1.0, "factor": 1.0, "priority": 50, "cpus": []}'

prints grants and lateness as JSON. It is a program of its own so that what it asks of the host ends with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hil import realtime
from hil.clock import WallClock
from hil.doctor.half_load import lateness_at_half_load
from hil.errors import HilError
from hil.lateness import Summary
from hil.realtime import Grant
from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Sequence

_TRIED = 50  # the priority that is tried when none is asked for
_ALWAYS = ("garbage", "thread switch")  # the program's own affair, and never refused
_SLACK_S = 20.0  # how long the program may take to start and end, beside its waiting


@dataclass(frozen=True, slots=True)
class WakeUps:
    """What a second of waiting and one of work showed.

    Args:
        grants: what the host gave of the real-time scheduling that was asked for. When nothing was, what it would
            give: that was tried after the waiting.
        lateness: of a tick every millisecond; durations in rig time [ns].
        working: of one that computes for half of it; durations in wall time [ns].
    """

    grants: tuple[Grant, ...]
    lateness: Summary
    working: Summary


def measure(*, seconds: float, factor: float, allowed_ns: int, priority: int, cpus: Sequence[int]) -> WakeUps:
    """Have a program of its own wait and then work, and take what it found.

    Args:
        seconds: wall time of each [s].
        factor: rig seconds per wall second.
        allowed_ns: lateness a tick may have [ns rig time].
        priority: SCHED_FIFO priority to ask for, with locked memory; 0 asks for nothing.
        cpus: processors to run on; any when empty.

    Raises:
        HilError: when it does not come to an end.
    """
    asked = {"seconds": seconds, "factor": factor, "allowed_ns": allowed_ns, "priority": priority, "cpus": list(cpus)}
    command = [sys.executable, "-m", "hil.doctor.wake_up", json.dumps(asked)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=2 * seconds + _SLACK_S)
        told = json.loads(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError) as problem:
        raise HilError(f"the program that measures wake-ups did not end in order: {problem}") from problem
    grants = tuple(Grant(**grant) for grant in told["grants"])
    return WakeUps(grants, Summary(**told["lateness"]), Summary(**told["working"]))


def main(text: str) -> None:
    """Ask for the scheduling, wait, work, print."""
    asked = json.loads(text)
    priority: int = asked["priority"]
    grants = realtime.request(priority, cpus=asked["cpus"] or None).grants if priority else ()
    factor: float = asked["factor"]
    clock = WallClock(factor=factor, max_lateness_ns=asked["allowed_ns"])
    clock.every(max(1, round(ms * factor)), _nothing)
    clock.settle()
    clock.sleep(round(asked["seconds"] * s * factor))
    summary = clock.lateness.summary()
    working = lateness_at_half_load(asked["seconds"], round(asked["allowed_ns"] / factor)).summary()
    grants = [grant for grant in grants or realtime.request(_TRIED).grants if grant.what not in _ALWAYS]
    told = {"grants": [asdict(grant) for grant in grants], "lateness": asdict(summary), "working": asdict(working)}
    print(json.dumps(told))


def _nothing() -> None:
    """A tick without work."""


if __name__ == "__main__":
    main(sys.argv[1])
