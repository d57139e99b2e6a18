"""Block tests: ordinary cocotb tests, collected, run and judged one by one."""
