"""The fixtures of the qualification tests: those of the reference launcher."""

from hil_launcher.fixtures import (
    engine,
    fts,
    guaranteed_dbm,
    icd,
    range_dbm,
    redline,
    stand,
    strong_dbm,
    supply_v,
    unpowered_engine,
    unpowered_fts,
    uplink,
)

__all__ = [
    "engine",
    "fts",
    "guaranteed_dbm",
    "icd",
    "range_dbm",
    "redline",
    "stand",
    "strong_dbm",
    "supply_v",
    "unpowered_engine",
    "unpowered_fts",
    "uplink",
]
