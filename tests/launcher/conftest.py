"""The fixtures of the qualification tests: those of the reference launcher."""

from hil_launcher.fixtures import (
    engine,
    fts,
    guaranteed_dbm,
    icd,
    redline,
    stand,
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
    "redline",
    "stand",
    "supply_v",
    "unpowered_engine",
    "unpowered_fts",
    "uplink",
]
