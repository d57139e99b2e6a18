"""The fixtures of the qualification tests: those of the reference launcher."""

from pathlib import Path

from hil_launcher.avionics_fixtures import gimbals, gnss, hand_flight, imus, push
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
from hil_launcher.flight_fixtures import (
    ascent,
    avionics,
    cold_pad,
    command_uplink,
    countdown,
    engines,
    fitted_engine,
    geometry,
    grounded_ascent,
    pad,
    range_safety,
    receivers,
    unguided,
)

__all__ = [
    "ascent",
    "avionics",
    "cold_pad",
    "command_uplink",
    "countdown",
    "engine",
    "engines",
    "fitted_engine",
    "fts",
    "geometry",
    "gimbals",
    "gnss",
    "grounded_ascent",
    "guaranteed_dbm",
    "hand_flight",
    "icd",
    "imus",
    "pad",
    "push",
    "range_dbm",
    "range_safety",
    "receivers",
    "redline",
    "stand",
    "strong_dbm",
    "supply_v",
    "unguided",
    "unpowered_engine",
    "unpowered_fts",
    "uplink",
]


def pytest_ignore_collect(collection_path, config):
    """Tests of live lines belong to a rig that has some: rigs/live_fts.toml."""
    if collection_path.name.startswith("test_live_"):
        return not Path(config.option.rig or "").stem.startswith("live_") or None
    return None
