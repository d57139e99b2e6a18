// Votes three words, two out of three, and notes whether they ever differed; for tests of coverage.
// a_i, b_i, c_i: the words; enable_i: vote in this clock; voted_o: the vote, one clock later; differed_o: latched.
`default_nettype none
module cover_voter #(
    parameter WIDTH = 2
) (
    input  wire             clk,
    input  wire             rst_n,
    input  wire             enable_i,
    input  wire [WIDTH-1:0] a_i,
    input  wire [WIDTH-1:0] b_i,
    input  wire [WIDTH-1:0] c_i,
    output reg  [WIDTH-1:0] voted_o,
    output reg              differed_o
);
    localparam [1:0] IDLE = 2'd0, VOTED = 2'd1, SPLIT = 2'd2;

    reg [1:0] state_q;
    wire      equal = (a_i == b_i) && (b_i == c_i);

    always @(posedge clk) begin
        if (!rst_n) begin
            voted_o    <= {WIDTH{1'b0}};
            differed_o <= 1'b0;
            state_q    <= IDLE;
        end else if (enable_i) begin
            voted_o <= (a_i & b_i) | (b_i & c_i) | (a_i & c_i);
            if (!equal) differed_o <= 1'b1;
            case (state_q)
                IDLE:    state_q <= equal ? VOTED : SPLIT;
                VOTED:   state_q <= equal ? VOTED : SPLIT;
                SPLIT:   state_q <= SPLIT;
                default: begin
                    state_q    <= IDLE;
                    differed_o <= 1'b1;
                end
            endcase
        end
    end
endmodule
`default_nettype wire
