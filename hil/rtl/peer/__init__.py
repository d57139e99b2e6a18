"""What runs inside the simulator's process: the one cocotb test that serves grants, and the peripherals beside it."""
