"""How late a clock is that works half of the time: ``python -m benchmarks.half_load [--seconds 60] [--rounds 5]``.

One program with nothing of a rig in it and a tick each millisecond, real-time if the host grants it. Each round is a
line: what no rig on this machine could be without.
"""

from __future__ import annotations

import argparse

from hil import realtime
from hil.doctor.half_load import lateness_at_half_load
from hil.units import ms


def main() -> None:
    """Work and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.half_load", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of each round [s]")
    parser.add_argument("--rounds", type=int, default=5, help="how many")
    parser.add_argument("--priority", type=int, default=50, help="SCHED_FIFO priority to ask for; 0 asks for none")
    parser.add_argument("--late-ms", type=float, default=5.0, help="what is late [ms]")
    options = parser.parse_args()
    if options.priority:
        for line in realtime.request(options.priority).lines():
            print(line)
    for _ in range(options.rounds):
        found = lateness_at_half_load(options.seconds, round(options.late_ms * ms))
        print(f"{found.summary()}; {len(found.spans_since(0))} spans", flush=True)


if __name__ == "__main__":
    main()
