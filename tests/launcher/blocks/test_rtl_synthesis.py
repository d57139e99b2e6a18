"""The FPGA designs before anything runs on them: what lint, synthesis and the reset network show."""

from __future__ import annotations

from functools import partial

import pytest

from hil.rtl.analysis.lint import lint
from hil.rtl.analysis.power_up import power_up
from hil.rtl.analysis.synthesis import area, elaborate


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
        measure(f"{design.spec.name}.{what}", getattr(found, what), "1", info=True)


def test_what_the_reset_leaves_unknown_reaches_no_output(design, tool, count):
    """After its reset the design depends on nothing that a flip-flop held at power-up, unless that is justified."""
    found = power_up(design.spec, tool(elaborate, *design).netlist)
    count("rtl.unset_registers", found.unset)
    count("rtl.stale_declarations", found.stale)
    count("rtl.initial_values", found.initial)
