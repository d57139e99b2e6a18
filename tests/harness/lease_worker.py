"""A nursery of processes that all want one rig, for the torture of its lease; run as a program.

Commands on standard input, one a line: ``kill PID``, ``stop PID``, ``nap PID SECONDS`` (stop
it and let it go on), ``end``. A new worker comes with each.
Each worker that holds the rig drives it: it appends its token to the witness, many times, each time guarded by
``still_mine``.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

from hil.clock import Stopwatch
from hil.safety.errors import LeaseError
from hil.safety.lease import Lease, Takeover

RIG = "torture"
LINE = 32  # bytes; none crosses a page, so that none is cut by a kill or seen half written


def drive(held: Lease | Takeover, witness: int, duration_s: float) -> None:
    """Append the token, as fast as it goes; a lost lease ends it."""
    watch = Stopwatch()
    while watch.elapsed_s < duration_s and held.still_mine():
        os.write(witness, (b"%d %d" % (held.token, os.getpid())).ljust(LINE - 1) + b"\n")
        held.renew()
        select.select([], [], [], 0.002)


def work(folder: Path, witness: int, ttl_s: float, duration_s: float) -> None:
    """Want the rig, drive it, give it back, for ever."""
    while True:
        try:
            held = Lease.acquire(RIG, ttl_s=ttl_s, who="torture", folder=folder)
            if isinstance(held, Takeover):
                drive(held, witness, 0.004)
                held = held.confirmed_safe()
            drive(held, witness, duration_s)
            held.release()
        except LeaseError:
            pass
        select.select([], [], [], 0.003)


def main() -> None:
    """Keep the workers going."""
    folder, ttl_s, duration_s, workers = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    witness = os.open(folder / "witness", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies

    def start() -> int:
        child = os.fork()
        if child == 0:
            work(folder, witness, ttl_s, duration_s)
        return child

    alive = {start() for _ in range(workers)}
    while line := sys.stdin.readline().split():
        if line[0] == "end":
            break
        pid = int(line[1])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if line[0] == "kill" else signal.SIGSTOP)
            if line[0] == "nap":
                select.select([], [], [], float(line[2]))
                os.kill(pid, signal.SIGCONT)
        alive.add(start())
    for pid in alive:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
