"""hil: a hardware-in-the-loop test harness for launch vehicles.

One clock, one keeper, one evidence chain. A bench test is written once, as plain pytest, and runs on the
simulated rig, on the FPGA's RTL and on the real bench.
"""

import os

# Threads of numpy's linear algebra spin while they wait: at a real-time priority they take processors from the clock.
# The matrices here are small, and with one thread no result depends on how many processors there are.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
