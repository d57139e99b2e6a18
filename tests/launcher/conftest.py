"""The fixtures of the qualification tests: those of the reference launcher."""

from hil_launcher.fixtures import engine, fts, icd, redline, stand, unpowered_engine, unpowered_fts, uplink

__all__ = ["engine", "fts", "icd", "redline", "stand", "unpowered_engine", "unpowered_fts", "uplink"]
