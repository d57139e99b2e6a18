-- A design in VHDL that goes wrong on request.
--   mode_i   0 nothing, 1 a report of severity error, 2 a failed assertion, 3 stop, 4 an unknown output
library ieee;
use ieee.std_logic_1164.all;

entity faulty is
    port (
        clk    : in  std_logic;
        rst_n  : in  std_logic;
        mode_i : in  std_logic_vector(2 downto 0);
        open_o : out std_logic
    );
end entity;

architecture rtl of faulty is
begin
    process (clk)
    begin
        if rising_edge(clk) then
            open_o <= '0';
            if rst_n = '1' then
                case mode_i is
                    when "001" => report "error on request" severity error;
                    when "010" => assert mode_i = "000" report "assertion on request" severity error;
                    when "011" => std.env.finish;
                    when "100" => open_o <= 'X';
                    when others => null;
                end case;
            end if;
        end if;
    end process;
end architecture;
