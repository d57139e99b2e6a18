// A design whose reset was forgotten where it matters most: what the tests of power-up look for.
//   arm_o        follows arm_i; reset
//   terminate_o  latches terminate_i while arm_i is high; not reset
`default_nettype none
module unreset (
    input  wire clk,
    input  wire rst_n,
    input  wire arm_i,
    input  wire terminate_i,
    output reg  arm_o,
    output reg  terminate_o
);
    always @(posedge clk) begin
        arm_o <= rst_n && arm_i;
        if (arm_i && terminate_i) terminate_o <= 1'b1;
    end
endmodule
`default_nettype wire
