"""One guest with a real CAN stack for all workers of a test session: what it ran, in a folder of the host."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
GUEST = ROOT / ".ci" / "guest"
SURE = "tests/launcher/test_fts_rf.py::test_response_time[fts_b-nominal]"
"""Both its times are stamped by one program, and the test's own has nothing to do in time meanwhile."""
IN_GUEST = (SURE, "tests/launcher/test_engine_sequence.py::test_power_on_moves_nothing[nominal]")
"""The qualification tests that run in it."""
EXIT_CODE = 3
"""With what its command ends, whatever the tests say: each of them is told of by name."""
_LIMIT_S = 900  # on a busy machine it takes 290 s
_NOT_HERE = 77
_BENCH = ("tests/socketcan/bench", "tests/socketcan/guest.toml", "-q", *IN_GUEST)
_STACK = """PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 .venv/bin/python -m pytest -c tests/socketcan/pytest.ini -q \
    --rootdir=tests/socketcan --junitxml="$HIL_GUEST_SHARE/result.xml" tests/socketcan"""


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """While the block runs, no other worker runs one of this lock."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def shared(own: Path) -> Path:
    """The folder that all workers of a session share.

    Args:
        own: the base folder for temporary files of this worker.
    """
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def make_guest(common: Path) -> None:
    """Have the guest's kernel unpacked; the test is NOT_RUN where it cannot be had."""
    with alone(common / "guest.lock"):
        making = subprocess.run([GUEST / "make_guest"], capture_output=True, text=True, check=False)
    if making.returncode == _NOT_HERE:
        pytest.skip(f"NOT_RUN: {making.stderr.splitlines()[-1]}")
    assert making.returncode == 0, making.stderr


def booted(common: Path) -> Path:
    """Boot the guest unless this session has: the tests of the CAN stack, then the qualification tests.

    Returns:
        Its folder: ``result.xml`` of the first, the evidence of the second in ``run``, what was printed in ``said``.
    """
    make_guest(common)
    share = common / "guest"
    with alone(common / "guest.lock"):
        if not share.exists():
            share.mkdir()
            environment = {**os.environ, "GUEST_SHARE": str(share), "GUEST_LIMIT_S": str(_LIMIT_S)}
            command = [GUEST / "run", "sh", "-c", f"{_STACK}; {shlex.join(_BENCH)}; echo the end; exit {EXIT_CODE}"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            (share / "said").write_text(f"{done.stdout}\n{done.stderr}\ncode {done.returncode}\n")
    return share
