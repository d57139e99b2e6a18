// A design that goes wrong on request: what the tests of failure modes provoke.
//   mode_i   0 nothing, 1 $finish, 2 $fatal, 3 $error, 4 a failed assertion, 5 a loop that takes no time,
//            6 an unknown output, 7 an output that nothing drives
//   level_o  follows level_i
//   open_o   0; unknown in mode 6, undriven in mode 7 (where the simulator knows four states)
//   tick_o   changes every CLOCKS clocks while tick_i is high
`default_nettype none
module faulty #(
    parameter CLOCKS = 100
) (
    input  wire       clk,
    input  wire       rst_n,
    input  wire [2:0] mode_i,
    input  wire       level_i,
    input  wire       tick_i,
    output reg        level_o,
    output wire       open_o,
    output reg        tick_o
);
    reg never_q;
    reg [31:0] spin_q;
    reg [15:0] count_q;
    always @(posedge clk) begin
        level_o <= rst_n && level_i;
        if (!rst_n || !tick_i) begin
            count_q <= 16'd0;
            tick_o <= 1'b0;
        end else if (count_q == CLOCKS - 1) begin
            count_q <= 16'd0;
            tick_o <= ~tick_o;
        end else count_q <= count_q + 16'd1;
        if (rst_n) begin
            case (mode_i)
                3'd1: $finish;
                3'd2: $fatal(1, "fatal on request");
                3'd3: $error("error on request");
                3'd4: assert (mode_i != 3'd4) else $error("assertion on request");
                3'd5: while (mode_i == 3'd5) spin_q = spin_q + 32'd1;
                default: ;
            endcase
        end
    end
`ifdef VERILATOR
    assign open_o = mode_i == 3'd6 ? never_q : 1'b0;
`else
    assign open_o = mode_i == 3'd7 ? 1'bz : mode_i == 3'd6 ? never_q : 1'b0;
`endif
endmodule
`default_nettype wire
