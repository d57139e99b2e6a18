-- A small design for tests of the exchange.
--   level_o   level_i, one clock later
--   parity_o  parity of level_i and start_i, at once
--   alarm_o   start_i has been high for ALARM clocks
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity echo is
    generic (ALARM : natural := 1000);
    port (
        clk      : in  std_logic;
        rst_n    : in  std_logic;
        level_i  : in  std_logic_vector(7 downto 0);
        start_i  : in  std_logic;
        level_o  : out std_logic_vector(7 downto 0);
        parity_o : out std_logic;
        alarm_o  : out std_logic
    );
end entity echo;

architecture rtl of echo is
    signal count_q : unsigned(31 downto 0);
begin
    parity_o <= (xor level_i) xor start_i;

    process (clk) is
    begin
        if rising_edge(clk) then
            if rst_n = '0' then
                count_q <= (others => '0');
                level_o <= (others => '0');
                alarm_o <= '0';
            else
                level_o <= level_i;
                if start_i = '1' then
                    count_q <= count_q + 1;
                else
                    count_q <= (others => '0');
                end if;
                if count_q >= ALARM then
                    alarm_o <= '1';
                else
                    alarm_o <= '0';
                end if;
            end if;
        end if;
    end process;
end architecture rtl;
