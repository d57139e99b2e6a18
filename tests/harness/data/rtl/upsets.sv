// A design for tests of upset campaigns: registers of which each does something else with a flipped bit.
//   voted_o    a latch that set_i sets, in three copies that mend each other: a single flip is gone with the next clock
//   beat_o     high for one clock in 16: a flip of the counter moves it
//   sum_o      sum of all samples so far
//   (idle_q    held and never looked at: a flip stays)
//   (guard_q   must never be set: a flip is complained of)
`default_nettype none
module upsets (
    input  wire               clk,
    input  wire               rst_n,
    input  wire               set_i,
    input  wire signed [11:0] level_i,
    input  wire               level_valid_i,
    output wire               voted_o,
    output wire               beat_o,
    output reg  signed [15:0] sum_o
);
    reg copy_a_q, copy_b_q, copy_c_q;
    reg [3:0] count_q;
    reg [2:0] idle_q;
    reg guard_q;
    wire voted = copy_a_q && copy_b_q || copy_a_q && copy_c_q || copy_b_q && copy_c_q;
    assign voted_o = voted;
    assign beat_o = count_q == 4'd15;
    always @(posedge clk) begin
        if (!rst_n) begin
            copy_a_q <= 1'b0; copy_b_q <= 1'b0; copy_c_q <= 1'b0;
            count_q <= 4'd0; idle_q <= 3'd5; guard_q <= 1'b0; sum_o <= 16'sd0;
        end else begin
            copy_a_q <= voted || set_i; copy_b_q <= voted || set_i; copy_c_q <= voted || set_i;
            count_q <= count_q + 4'd1;
            if (level_valid_i) sum_o <= sum_o + 16'(level_i);
            if (guard_q) $error("the guard is down");
        end
    end
endmodule
`default_nettype wire
