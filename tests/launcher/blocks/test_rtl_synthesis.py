"""The FPGA designs before anything runs on them: what lint, synthesis and the reset network show."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from hil.errors import ToolMissingError
from hil.rtl.block_run import as_built_of
from hil.rtl.build import parameters_of
from hil.rtl.lint import lint
from hil.rtl.power_up import power_up
from hil.rtl.spec import load_spec
from hil.rtl.synthesis import area, elaborate

LAUNCHER = Path(__file__).parents[3] / "fixtures" / "hil_launcher"
DESIGNS = sorted(path.stem for path in (LAUNCHER / "rtl").glob("*.toml") if "top = " in path.read_text())
AS_BUILT = {"fts_receiver": "fts_a", "engine_core": "engine"}


@pytest.fixture(params=DESIGNS)
def design(request):
    """A design, and the parameters of the article it is built into."""
    spec = load_spec(LAUNCHER / "rtl" / f"{request.param}.toml")
    name = AS_BUILT.get(request.param)
    as_built = as_built_of(spec, LAUNCHER / "as_built" / f"{name}.toml" if name else None)
    return spec, parameters_of(spec, as_built)


@pytest.fixture
def tool():
    """Calls something that needs a program; the test is NOT_RUN where that is not installed."""

    def call(function, *arguments):
        try:
            return function(*arguments)
        except ToolMissingError as missing:
            pytest.skip(f"NOT_RUN: there is no tool: {missing}")

    return call


def counted(measure, record, name, found):
    """Measure how many findings there are, and lay each of them beside it."""
    for each in found:
        record("note", text=str(each))
    return measure(name, len(found), "1")


@pytest.fixture
def count(measure, record):
    return partial(counted, measure, record)


def test_lint_finds_nothing(design, tool, count):
    """Verilator has nothing to say against the source, with all of its warnings switched on."""
    count("rtl.lint_findings", tool(lint, *design))


def test_synthesis_finds_nothing_that_cannot_be_built(design, tool, count, measure):
    """No latch, no open net, no loop of gates, no vendor's part; its area on an ECP5 is told for information."""
    count("rtl.synthesis_problems", [problem.text for problem in tool(elaborate, *design).problems])
    found = tool(area, *design)
    for what in ("lut4", "ff", "bram", "dsp"):
        measure(f"{design[0].name}.{what}", getattr(found, what), "1", info=True)


def test_what_the_reset_leaves_unknown_reaches_no_output(design, tool, count):
    """After its reset the design depends on nothing that a flip-flop held at power-up, unless that is justified."""
    found = power_up(design[0], tool(elaborate, *design).netlist)
    count("rtl.unset_registers", found.unset)
    count("rtl.stale_declarations", found.stale)
    count("rtl.initial_values", found.initial)
