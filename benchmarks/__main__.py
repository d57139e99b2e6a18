"""``python -m benchmarks [--rounds N] [--write docs/speed.md]``: every figure beside its goal."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks import can_speed, closed_loop, flight_bus, plant, plugin_speed, rtl_speed, visa_speed

MODULES = (can_speed, visa_speed, plugin_speed, flight_bus, plant, closed_loop, rtl_speed)
PACKAGES = ("python-can", "cantools", "pyvisa", "pyvisa-sim", "pyvisa-py", "pytest", "numpy", "cocotb")
HEAD = """# Speed

Every figure is a median over several alternated rounds, both sides in one run; ratios carry over to another machine,
rates do not. This page is written by `.venv/bin/python -m benchmarks --write docs/speed.md`.

Machine: {machine}, {python}. {packages}.

| what | figure | | goal |
|---|--:|---|---|
"""


def main() -> None:
    """Run every benchmark and print, or write, its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as a page, too")
    options = parser.parse_args()
    lines: list[tuple[str, float, str, str]] = []
    for module in MODULES:
        found = module.report(module.measure(options.rounds))
        for what, value, unit, goal in found:
            print(f"{what:56} {value:12.2f} {unit:12} {goal}", flush=True)
        lines += found
    if options.write is not None:
        options.write.write_text(_page(lines))


def _page(lines: list[tuple[str, float, str, str]]) -> str:
    head = HEAD.format(
        machine=f"{platform.machine()}, {platform.system()} {platform.release().split('-')[0]}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=", ".join(f"{name} {version(name)}" for name in PACKAGES),
    )
    return head + "".join(f"| {what} | {value:,.2f} | {unit} | {goal} |\n" for what, value, unit, goal in lines)


if __name__ == "__main__":
    main()
