"""RTL in the loop: an HDL simulator behind a grant protocol, on the rig clock; the only door to cocotb."""
