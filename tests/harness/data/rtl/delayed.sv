// A design with a delay that takes time, as models of parts that are not RTL have: late_o follows level_i by 130 ns.
`timescale 1ns/1ps
`default_nettype none
module delayed (
    input  wire clk,
    input  wire rst_n,
    input  wire level_i,
    output wire late_o
);
    reg level_q;
    always @(posedge clk) level_q <= rst_n && level_i;
    assign #130 late_o = level_q;
endmodule
`default_nettype wire
