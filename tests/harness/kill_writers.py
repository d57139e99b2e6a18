"""Runs that record until they are killed, as a program: ``python kill_writers.py FOLDER``.

A line on standard input is the name of a run: a child is forked from here, where everything is imported already, and
runs pytest on a simulated rig. It answers with the child's id. The child's test says on a pipe which events have been
recorded: each when the call that records it has returned.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_RIG = '[rig]\nname = "writers"\n'


def test_records_until_it_is_killed(rig: Any, measure: Callable[..., Any], record: Callable[..., None]) -> None:
    """Small and large documents, one after the other."""
    witness = int(os.environ["HIL_KILL_WITNESS"])
    for number in count():
        if number % 3:
            measure("number", float(number), "1", info=True)
        else:
            record("note", text=f"{number} " + "x" * (number * 37 % 3000))
        os.write(witness, b"%d\n" % number)


def main() -> None:
    """Fork a run for each line of standard input."""
    import pytest

    import hil.campaign.session
    import hil.rig.assembly  # noqa: F401  # imported once for all children

    folder = Path(sys.argv[1])
    (folder / "pytest.ini").write_text("[pytest]\n")
    rig = folder / "rig.toml"
    rig.write_text(_RIG)
    test = folder / "test_writer.py"
    test.write_bytes(Path(__file__).read_bytes())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.chdir(folder)
            with Path(os.devnull).open("w") as nothing:
                os.dup2(nothing.fileno(), 1)
            options = [f"--rig={rig}", f"--run-folder={folder / line.strip()}", "-p", "no:cacheprovider", "-q", "-s"]
            os._exit(int(pytest.main([f"{test}::test_records_until_it_is_killed", *options])))
        print(child, flush=True)


if __name__ == "__main__":
    main()
