"""A SCPI instrument's inside: program messages in, response messages out (IEEE 488.2-1992, SCPI-99)."""
