"""Instruments: declarations and drivers, simulated twins with a SCPI engine; the only door to ``pyvisa``."""
