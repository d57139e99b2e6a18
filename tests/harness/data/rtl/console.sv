// A design for tests of the bindings: discretes, a serial line that echoes bytes plus one, a PWM output whose duty is
// its sampled input, a converter that is asked for two channels in turn.
`default_nettype none
module console (
    input  wire               clk,          // 10 MHz
    input  wire               rst_n,
    input  wire               key_i,
    output reg                lamp_o,       // follows the key
    input  wire signed [11:0] level_i,      // sampled, -2048 to 2047
    input  wire               level_valid_i,
    output reg                pwm_o,        // duty = level / 2048, period 256 clocks
    input  wire               uart_rx_i,
    output reg                uart_tx_o,    // what came in, plus one; 1 Mbit/s
    output reg                sclk_o,
    output reg                cs_n_o,
    output reg                mosi_o,
    input  wire               miso_i,
    output reg  [11:0]        code0_o,
    output reg  [11:0]        code1_o
);
    reg signed [11:0] level_q;
    reg [7:0] ramp_q;
    always @(posedge clk) begin
        if (!rst_n) begin
            lamp_o <= 1'b0; level_q <= 12'sd0; ramp_q <= 8'd0; pwm_o <= 1'b0;
        end else begin
            lamp_o <= key_i;
            if (level_valid_i) level_q <= level_i;
            ramp_q <= ramp_q + 8'd1;
            pwm_o <= level_q > 12'sd0 && {1'b0, ramp_q} < level_q[11:3];
        end
    end

    // serial: 10 clocks a bit
    reg [3:0] rx_count_q, tx_count_q;
    reg [3:0] rx_bit_q, tx_bit_q;
    reg [7:0] rx_q;
    reg [9:0] tx_q;
    reg       rx_busy_q, tx_busy_q;
    always @(posedge clk) begin
        if (!rst_n) begin
            rx_count_q <= 0; rx_bit_q <= 0; rx_q <= 0; rx_busy_q <= 1'b0;
            tx_count_q <= 0; tx_bit_q <= 0; tx_q <= 10'h3ff; tx_busy_q <= 1'b0; uart_tx_o <= 1'b1;
        end else begin
            if (tx_busy_q) begin
                uart_tx_o <= tx_q[tx_bit_q];
                if (tx_count_q != 4'd9) tx_count_q <= tx_count_q + 4'd1;
                else begin
                    tx_count_q <= 4'd0;
                    if (tx_bit_q == 4'd9) tx_busy_q <= 1'b0;
                    else tx_bit_q <= tx_bit_q + 4'd1;
                end
            end
            if (!rx_busy_q) begin
                if (!uart_rx_i) begin rx_busy_q <= 1'b1; rx_count_q <= 4'd4; rx_bit_q <= 4'd0; end
            end else if (rx_count_q != 4'd9) rx_count_q <= rx_count_q + 4'd1;
            else begin
                rx_count_q <= 4'd0;
                rx_bit_q <= rx_bit_q + 4'd1;
                if (rx_bit_q >= 4'd1 && rx_bit_q <= 4'd8) rx_q <= {uart_rx_i, rx_q[7:1]};
                if (rx_bit_q == 4'd9) begin
                    rx_busy_q <= 1'b0;
                    tx_q <= {1'b1, rx_q + 8'd1, 1'b0}; tx_busy_q <= 1'b1; tx_bit_q <= 4'd0; tx_count_q <= 4'd0;
                end
            end
        end
    end

    // converter: mode 0, 8 clocks a bit, 16 bits, channel first
    reg [2:0] spi_count_q;
    reg [4:0] spi_bit_q;
    reg       spi_channel_q;
    reg [11:0] spi_q;
    wire [3:0] channel = {3'b000, spi_channel_q};
    always @(posedge clk) begin
        if (!rst_n) begin
            spi_count_q <= 0; spi_bit_q <= 0; spi_channel_q <= 1'b0; spi_q <= 0;
            sclk_o <= 1'b0; cs_n_o <= 1'b1; mosi_o <= 1'b0; code0_o <= 0; code1_o <= 0;
        end else begin
            spi_count_q <= spi_count_q + 3'd1;
            if (spi_bit_q == 5'd16) begin
                if (spi_count_q == 3'd0) begin
                    cs_n_o <= 1'b1; sclk_o <= 1'b0;
                    if (spi_channel_q) code1_o <= spi_q; else code0_o <= spi_q;
                end else if (spi_count_q == 3'd7) begin
                    spi_bit_q <= 5'd0; spi_channel_q <= ~spi_channel_q;
                end
            end else begin
                cs_n_o <= 1'b0;
                if (spi_count_q == 3'd0) begin
                    sclk_o <= 1'b0;
                    mosi_o <= spi_bit_q < 5'd4 ? channel[2'd3 - spi_bit_q[1:0]] : 1'b0;
                end
                if (spi_count_q == 3'd4) begin
                    sclk_o <= 1'b1;
                    spi_q <= {spi_q[10:0], miso_i};
                end
                if (spi_count_q == 3'd7) spi_bit_q <= spi_bit_q + 5'd1;
            end
        end
    end
endmodule
`default_nettype wire
