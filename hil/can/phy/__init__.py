"""CAN at bit level, without a simulator: bit timing, coding, a controller as a pure state machine, and a line.

Times are integers in picoseconds. Nothing here has a clock: a controller is told when an edge or its own next instant
has come, and answers with what it drives and what it has found. Sources: Bosch CAN Specification 2.0 (1991), ISO
11898-1:2015 (CAN FD with stuff count).
"""
