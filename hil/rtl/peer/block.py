"""Inside the simulator: hands cocotb one test of one file, as it is, and notes what ran it.

cocotb is given this module. It imports the file, takes the one test that was asked for, and refuses when the file
holds a test that pytest did not collect, which would otherwise never run.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cocotb.clock import Clock
from cocotb.regression import Test, TestGenerator
from cocotb.triggers import Timer

from hil.rtl.orphans import die_with_parent
from hil.rtl.peer.identity import identity
from hil.rtl.peer_words import BLOCK_JOB

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def _tests(job: dict[str, Any]) -> list[Test]:
    """The cases of the test that was asked for.

    Raises:
        RuntimeError: when it is not there, or the file holds a test that was not collected.
    """
    sys.path.insert(0, job["folder"])
    module = importlib.import_module(job["module"])
    found: dict[str, Any] = {
        name: each for name, each in vars(module).items() if isinstance(each, TestGenerator | Test)
    }
    strangers = sorted(set(found) - set(job["functions"]))
    if strangers:
        raise RuntimeError(
            f"{module.__file__}: cocotb finds {', '.join(strangers)}, which pytest cannot see, so it would never run: "
            "define each test in this file, at the top level, with a decorator of cocotb's own"
        )
    if job["function"] not in found:
        raise RuntimeError(f"{module.__file__}: {job['function']} is no cocotb test when the file is imported")
    tests = list(found[job["function"]].generate_tests())
    wanted = [test for test in tests if not job["case"] or test.name.partition("/")[2] == job["case"]]
    if not wanted:
        known = ", ".join(test.name for test in tests) or "none"
        raise RuntimeError(f"{module.__file__}: {job['function']} has no case {job['case']}; its cases are {known}")
    return wanted


def _note(job: dict[str, Any], tests: list[Test]) -> None:
    """Write down what runs, and which tests it is about to run."""
    noted = {**identity(), "tests": [test.name for test in tests]}
    Path(job["notes"]).write_text(json.dumps(noted))


def _with_clock(
    function: Callable[..., Coroutine[Any, Any, None]], job: dict[str, Any]
) -> Callable[..., Coroutine[Any, Any, None]]:
    """A test of a design without a wrapper: before it begins the clock runs, the reset is on and inputs are 0.

    GHDL never ends with a clock in HDL, so that cocotb makes it; a test sees no difference.
    """

    @wraps(function)
    async def run(dut: Any, **parameters: object) -> None:
        for name in job["inputs"]:
            getattr(dut, name).value = 0
        getattr(dut, job["reset"]).value = job["reset_level"]
        clock = Clock(getattr(dut, job["clock"]), job["period_ps"], unit="ps", impl="gpi")
        clock.start(start_high=False)
        await Timer(1, "ps")
        await function(dut, **parameters)

    return run


def _offer() -> None:
    """Put the tests where cocotb looks for them."""
    die_with_parent()
    job: dict[str, Any] = json.loads(os.environ[BLOCK_JOB])
    tests = _tests(job)
    for number, test in enumerate(tests):
        if not job["wrapped"]:
            test.func = _with_clock(test.func, job)
        globals()[f"case_{number}"] = test
    _note(job, tests)


_offer()
