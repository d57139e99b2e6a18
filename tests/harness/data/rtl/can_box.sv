// A design for tests of a CAN controller in RTL on a simulated bus: it echoes frames, and sends when it is told to.
`default_nettype none
module can_box (
    input  wire        clk,         // 8 MHz; 16 clocks a bit: 500 kbit/s
    input  wire        rst_n,
    input  wire        can_rx_i,
    output wire        can_tx_o,
    input  wire        go_i,        // rising: send 0x2A0 once, data: how often before
    input  wire        storm_i,     // high: send 0x2A0 back to back
    output reg  [15:0] heard_o,     // frames received
    output reg  [15:0] sent_o,      // frames sent
    output reg  [15:0] errors_o,    // error flags sent
    output wire [8:0]  tec_o,
    output wire [7:0]  rec_o,
    output wire        passive_o,
    output wire        off_o
);
    wire        heard, done, error, ready;
    wire [28:0] id;
    wire        extended, remote;
    wire [3:0]  dlc;
    wire [63:0] data;
    reg         valid_q, extended_q, remote_q, go_q;
    reg  [28:0] id_q;
    reg  [3:0]  dlc_q;
    reg  [63:0] data_q;
    reg  [15:0] number_q;

    can_controller u_can (
        .clk (clk), .rst_n (rst_n), .can_rx_i (can_rx_i), .can_tx_o (can_tx_o),
        .tx_valid_i (valid_q), .tx_ready_o (ready), .tx_id_i (id_q), .tx_extended_i (extended_q),
        .tx_remote_i (remote_q), .tx_dlc_i (dlc_q), .tx_data_i (data_q), .tx_done_o (done),
        .rx_valid_o (heard), .rx_id_o (id), .rx_extended_o (extended), .rx_remote_o (remote),
        .rx_dlc_o (dlc), .rx_data_o (data),
        .error_o (error), .passive_o (passive_o), .off_o (off_o), .tec_o (tec_o), .rec_o (rec_o)
    );

    always @(posedge clk) begin
        if (!rst_n) begin
            valid_q <= 1'b0; extended_q <= 1'b0; remote_q <= 1'b0; go_q <= 1'b0;
            id_q <= 29'd0; dlc_q <= 4'd0; data_q <= 64'd0; number_q <= 16'd0;
            heard_o <= 16'd0; sent_o <= 16'd0; errors_o <= 16'd0;
        end else begin
            go_q     <= go_i;
            heard_o  <= heard_o + {15'd0, heard};
            sent_o   <= sent_o + {15'd0, done};
            errors_o <= errors_o + {15'd0, error};
            if (valid_q) begin
                if (ready) valid_q <= 1'b0;
            end else if (heard && id[28:25] == 4'b0110) begin
                // 0x300 to 0x37F (or an extension of them) come back as 0x380 to 0x3FF
                valid_q <= 1'b1; extended_q <= extended; remote_q <= remote;
                id_q <= {4'b0111, id[24:0]}; dlc_q <= dlc; data_q <= data;
            end else if ((go_i && !go_q) || (storm_i && ready)) begin
                valid_q <= 1'b1; extended_q <= 1'b0; remote_q <= 1'b0;
                id_q <= {11'h2A0, 18'd0}; dlc_q <= 4'd8; data_q <= {48'h0055FF00AA11, number_q};
                number_q <= number_q + 16'd1;
            end
        end
    end
endmodule
`default_nettype wire
