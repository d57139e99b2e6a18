"""The child process that builds a design or runs a simulator, through cocotb's public runner.

``python -m hil.rtl.runner build JOB`` and ``... run JOB``, where JOB is JSON. A run dies with the process that
started it, takes the simulator along, and leaves nothing behind.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hil.rtl.orphans import leave_with_parent


def _build(job: dict[str, Any]) -> None:
    from cocotb_tools.runner import get_runner

    runner = get_runner(job["simulator"])
    timescale = job["timescale"]
    runner.build(
        sources=job["sources"],
        hdl_toplevel=job["top"],
        build_dir=job["build_dir"],
        parameters=job["parameters"],
        build_args=job["build_args"],
        waves=job["waves"],
        timescale=tuple(timescale) if timescale else None,
        always=True,
    )


def _run(job: dict[str, Any]) -> None:
    from cocotb_tools.runner import get_runner

    runner = get_runner(job["simulator"])
    runner.build_dir = Path(job["build_dir"])
    runner.test(
        test_module=job["module"],
        hdl_toplevel=job["top"],
        hdl_toplevel_lang=job["language"],
        build_dir=job["build_dir"],
        test_dir=job["test_dir"],
        results_xml=job["results"],
        test_args=job["test_args"],
        plusargs=job["plusargs"],
        extra_env=job["environment"],
        seed=job["seed"],
        waves=job["waves"],
        test_filter=job.get("filter"),
    )


def main(arguments: list[str]) -> None:
    """Do one job."""
    what, text = arguments
    job: dict[str, Any] = json.loads(text)
    leave_with_parent(job["test_dir"] if what == "run" else None)
    {"build": _build, "run": _run}[what](job)


if __name__ == "__main__":
    main(sys.argv[1:])
