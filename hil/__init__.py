"""hil: a hardware-in-the-loop test harness for launch vehicles.

One clock, one keeper, one evidence chain. A bench test is written once, as plain pytest, and runs on the
simulated rig, on the FPGA's RTL and on the real bench.
"""
