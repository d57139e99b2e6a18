"""A small suite of block tests in a folder of its own, run by pytest as a child process."""

from __future__ import annotations

import os
from pathlib import Path

from suite import Ran, Suite

DATA = Path(__file__).with_name("data") / "rtl"
HEAD = """
import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, Timer

BLOCK = {block!r}
SIMULATORS = {simulators!r}

async def start(dut):
    await ClockCycles(dut.clk, 3)
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1
"""


class BlockSuite:
    """A folder with a design, files of cocotb tests of it, a rig, and one ordinary test.

    Args:
        folder: an empty folder.
        tests: the tests of ``cocotb_trouble.py``; what they all need stands before them.
        simulators: what they run on.
    """

    def __init__(self, folder: Path, tests: str, simulators: tuple[str, ...] = ("icarus",)) -> None:
        self._suite = Suite(folder, "def test_plain():\n    pass\n")
        self._simulators = simulators
        self.folder = folder
        self.add("trouble", tests)

    def add(self, name: str, tests: str) -> None:
        """Add or replace a file of tests."""
        block = os.path.relpath(DATA / "trouble.toml", self.folder)
        head = HEAD.format(block=block, simulators=self._simulators)
        (self.folder / f"cocotb_{name}.py").write_text(head + tests)

    def run(self, *arguments: str, rig: bool = False, **environment: str) -> Ran:
        """Run the files named, ``cocotb_trouble.py`` when none is."""
        files = [] if any(name.endswith(".py") for name in arguments) else ["cocotb_trouble.py"]
        return self._suite.run(*files, *arguments, rig=rig, **environment)
