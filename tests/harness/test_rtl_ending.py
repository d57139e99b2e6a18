"""What counts as a complaint of the design in a simulator's log, and what does not."""

from __future__ import annotations

import pytest

from hil.rtl.ending import complaints


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: /home/u/cocotb-work/a.sv:3: valve open",
        "FATAL: a b/c.sv:12: gone",
        "[1000] %Error: faulty.sv:37: Assertion failed in hil_top.dut: on request",
        "%Error: /x/y.sv:35: Verilog $stop",
        "[0] %Fatal: faulty.sv:35: Assertion failed in hil_top.dut: fatal on request",
        "/x/cocotb/f.vhd:19:33:@1075ns:(report error): error on request",
        "f.vhd:20:33:@1075ns:(assertion failure): assertion on request",
    ],
)
def test_a_complaint_is_found_wherever_its_source_lies(line):
    assert complaints(f"fine\n{line}\n") == [line]


@pytest.mark.parametrize(
    "line",
    [
        "Error rate 0.0 percent",
        "error: none",
        "WARNING: a.sv:3: not yet",
        "f.vhd:19:33:@0ms:(assertion warning): NUMERIC_STD.TO_INTEGER: metavalue detected",
        "     0.00ns ERROR    cocotb.regression   test failed",
    ],
)
def test_what_a_design_prints_and_what_cocotb_says_is_none(line):
    assert complaints(f"{line}\n") == []
