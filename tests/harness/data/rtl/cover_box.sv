// Two voters of different widths behind three discretes; for tests of coverage.
// a_i, b_i, c_i, enable_i: discretes; agreed_o: the narrow vote; alarm_o: the discretes differed.
`default_nettype none
module cover_box #(
    parameter WIDE = 4
) (
    input  wire clk,
    input  wire rst_n,
    input  wire enable_i,
    input  wire a_i,
    input  wire b_i,
    input  wire c_i,
    output wire agreed_o,
    output wire alarm_o
);
    wire [1:0]      narrow;
    wire [WIDE-1:0] wide;
    wire            differed_narrow, differed_wide;

    cover_voter #(.WIDTH(2)) u_narrow (
        .clk(clk), .rst_n(rst_n), .enable_i(enable_i), .a_i({2{a_i}}), .b_i({2{b_i}}), .c_i({2{c_i}}),
        .voted_o(narrow), .differed_o(differed_narrow)
    );
    cover_voter #(.WIDTH(WIDE)) u_wide (
        .clk(clk), .rst_n(rst_n), .enable_i(enable_i), .a_i({WIDE{a_i}}), .b_i({WIDE{b_i}}), .c_i({WIDE{c_i}}),
        .voted_o(wide), .differed_o(differed_wide)
    );
    assign agreed_o = &narrow & &wide;
    assign alarm_o = differed_narrow | differed_wide;
endmodule
`default_nettype wire
