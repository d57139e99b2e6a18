// A small design for tests of the exchange.
//   level_o   level_i, one clock later
//   parity_o  parity of level_i and start_i, at once
//   alarm_o   start_i has been high for ALARM clocks
`default_nettype none
module echo #(
    parameter ALARM = 1000
) (
    input  wire        clk,
    input  wire        rst_n,
    input  wire [7:0]  level_i,
    input  wire        start_i,
    output reg  [7:0]  level_o,
    output wire        parity_o,
    output reg         alarm_o
);
    reg [31:0] count_q;
    assign parity_o = ^level_i ^ start_i;
    always @(posedge clk) begin
        if (!rst_n) begin
            count_q <= 32'd0;
            level_o <= 8'd0;
            alarm_o <= 1'b0;
        end else begin
            level_o <= level_i;
            count_q <= start_i ? count_q + 32'd1 : 32'd0;
            alarm_o <= count_q >= ALARM;
        end
    end
endmodule
`default_nettype wire
