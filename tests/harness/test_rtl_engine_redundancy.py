"""Triple redundancy of the engine controller's FPGA survives synthesis, which merges what is equal if it may."""

from __future__ import annotations

from engine_world import LAUNCHER

from hil.rtl.analysis.synthesis import area
from hil.rtl.spec import load_spec

WIDTH = 8
COUNTER = """
`default_nettype none
module counter (input wire clk, input wire rst_n, output wire [7:0] count_o, output wire [2:0] odd_o);
    wire [23:0] next;
    genvar k;
    generate
        for (k = 0; k < 3; k = k + 1) begin : g_copy
            assign next[8*k +: 8] = count_o + 8'd1;
        end
    endgenerate
    tmr_register #(.WIDTH (8)) u_count (
        .clk (clk), .rst_n (rst_n), .next_i (next), .voted_o (count_o), .odd_o (odd_o)
    );
endmodule
`default_nettype wire
"""
FILE = """
top = "counter"
sources = ["{rtl}/tmr_bank.sv", "{rtl}/tmr_register.sv", "counter.sv"]
clock = {{port = "clk", period_ns = 125.0}}
reset = {{port = "rst_n", cycles = 4}}
"""


def test_three_equal_copies_of_a_register_stay_three(tool, tmp_path):
    tool("yosys")
    (tmp_path / "counter.sv").write_text(COUNTER)
    (tmp_path / "counter.toml").write_text(FILE.format(rtl=LAUNCHER / "rtl"))
    spec = load_spec(tmp_path / "counter.toml")
    assert area(spec, {}, "ecp5").ff == 3 * WIDTH
    assert area(spec, {}, "ice40").ff == 3 * WIDTH
