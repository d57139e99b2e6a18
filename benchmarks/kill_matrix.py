"""Run the kill matrix many times and print its times as Markdown.

``python -m benchmarks.kill_matrix --rounds 20 --write docs/kill-matrix.md``
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TEST = "tests/harness/test_kill_matrix.py"
_COLUMNS = ("end to sent", "detected to sent", "sent to acknowledged", "acknowledged to discharged", "end to off")
_HEAD = """# Kill matrix

How long it takes from the end of a run until the supply is off, for every way to end. `make test-kill` writes this page
with twenty runs of each way; how many it stands on this time is in the table. Each run is a pytest of its own that
switches a supply on at 28 V through the keeper; the supply is a program of its own (`python -m hil.sim.scpi_server`),
and whether it is off is seen at its load, below 1 V. Asserted in every run: the state at the load or the word UNSAFE,
the exit code, the lease, and that no process is left.

Times are median / largest, in milliseconds. *End*: the signal, the crash, the beginning of the hang. *Sent*: the
command that switches off. *Acknowledged*: its state reads back as off. *Discharged*: the voltage measured by the
instrument is below 1 V at every output. *Off*: below 1 V at the load. A hang is detected by silence, here 1 s; where
the keeper is gone, the watchdog in the instrument acts, here after 1 s. A test that ends by itself first writes its
report. *Lease afterwards* is the lease when all was asked, after `hil safe` where the keeper was killed or the supply
repaired. A process that is killed takes the kernel some milliseconds to take down, and only then its connections end;
a mutex that its main thread held tells of its end before that (`hil/safety/death_notice.py`).
"""


def main(arguments: Sequence[str]) -> int:
    """Run, print, and write where asked to.

    Returns:
        The exit code: that of pytest.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1, help="runs at the same time; they disturb each other's times")
    parser.add_argument("--write", type=Path, help="file for the page")
    parser.add_argument("--times", type=Path, help="make the page of these times, run nothing")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        times = options.times or Path(folder) / "times.jsonl"
        code = 0 if options.times else _run(times, options.rounds, options.workers)
        lines = [json.loads(line) for line in times.read_text().splitlines()]
    page = "\n".join([_HEAD, *_page(lines)]) + "\n"
    print(page)
    if options.write is not None and code == 0:
        options.write.write_text(page)
    return code


def _run(times: Path, rounds: int, workers: int) -> int:
    environment = os.environ | {"HIL_KILL_ROUNDS": str(rounds), "HIL_KILL_TIMES": str(times)}
    command = [sys.executable, "-m", "pytest", _TEST, "-q", "-n", str(workers)]
    return subprocess.run(command, env=environment, check=False).returncode


def _page(lines: list[dict[str, Any]]) -> Iterator[str]:
    kinds = list(dict.fromkeys(line["kind"] for line in lines))
    host = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release().partition('-')[0]}"
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    yield f"{host}, load average {load} at the end: {len(lines)} runs."
    yield ""
    yield "| how it ends | runs | lease afterwards | " + " | ".join(_COLUMNS) + " |"
    yield "| --- " * (3 + len(_COLUMNS)) + "|"
    for kind in sorted(kinds):
        chosen = [line for line in lines if line["kind"] == kind]
        leases = ", ".join(sorted({line["lease"] for line in chosen}))
        cells = [
            _cell([line["times_ms"][column] for line in chosen if column in line["times_ms"]]) for column in _COLUMNS
        ]
        yield (
            f"| {kind.removeprefix('test_').replace('_', ' ')} | {len(chosen)} | {leases} | " + " | ".join(cells) + " |"
        )


def _cell(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} / {max(values):.1f}" if values else "-"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
