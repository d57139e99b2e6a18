"""CAN: a simulated bus exact to the bit, a python-can interface to it, DBC databases, bus faults, the frame log."""
