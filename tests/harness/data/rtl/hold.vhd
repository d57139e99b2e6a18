-- An input counts as present when it was high for CLOCKS clocks without a gap; then the output is high until it falls.
--   clk      clock
--   rst_n    synchronous reset, active low
--   level_i  the input
--   held_o   high while the input counts as present
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity hold is
    generic (CLOCKS : natural := 5);
    port (
        clk     : in  std_logic;
        rst_n   : in  std_logic;
        level_i : in  std_logic;
        held_o  : out std_logic
    );
end entity hold;

architecture rtl of hold is
    signal count_q : unsigned(7 downto 0);
begin
    process (clk) is
    begin
        if rising_edge(clk) then
            if rst_n = '0' or level_i = '0' then
                count_q <= (others => '0');
            elsif count_q < CLOCKS then
                count_q <= count_q + 1;
            end if;
        end if;
    end process;

    held_o <= '1' when count_q = CLOCKS else '0';
end architecture rtl;
