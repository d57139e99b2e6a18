// A small design that goes wrong when it is asked to.
//   clk        clock
//   rst_n      synchronous reset, active low
//   trouble_i  1: ends the simulation, 2: fatal, 3: error, 4: a loop that takes no time
//   count_o    counts clocks, 0 to 255
//   loose_o    the count when it was last multiple of 256 after trouble 5; nothing ever resets it
`default_nettype none

module trouble (
    input  wire       clk,
    input  wire       rst_n,
    input  wire [2:0] trouble_i,
    output reg  [7:0] count_o,
    output reg  [7:0] loose_o
);
    always @(posedge clk) begin
        if (!rst_n) count_o <= 8'd0;
        else count_o <= count_o + 8'd1;
        if (trouble_i == 3'd5) loose_o <= count_o;
    end

`ifndef SYNTHESIS
    always @(posedge clk) begin
        if (rst_n) case (trouble_i)
            3'd1: $finish;
            3'd2: $fatal(1, "the design gives up");
            3'd3: $error("the design does not like this");
            3'd4: while (trouble_i == 3'd4) ;
            default: ;
        endcase
    end
`endif
endmodule

`default_nettype wire
