"""The launcher's buses: worst-case load from cycle times and frame lengths, and the load that is really there."""

from __future__ import annotations

import pytest
from engine_world import LAUNCHER, EngineWorld
from hypothesis import given
from hypothesis import strategies as st

from hil.can.bits import measure
from hil.can.database import Database
from hil.can.frame import Frame
from hil.units import ms, s

BITRATE_BPS = 500_000
LOAD_MAX = 0.60
DEMAND_NS = 10 * ms  # a message sent on demand or on change comes at most once a major cycle of its receiver or sender
INTERMISSION_BITS = 3


def worst_bits(length: int) -> int:
    """Length of a frame with an 11-bit identifier on the wire at most, intermission included [bit].

    Source: Davis, Burns, Bril, Lukkien, Controller Area Network schedulability analysis (2007), equation 1.
    """
    return 34 + 8 * length + 13 + (34 + 8 * length - 1) // 4


@pytest.fixture(scope="module")
def database() -> Database:
    return Database.load(LAUNCHER / "launcher.dbc")


def worst_load(database: Database) -> float:
    bits_per_s = 0.0
    for name in database.names:
        cycle_ns = database.cycle_ns(name)
        period_ns = DEMAND_NS if cycle_ns is None or name == "ENG1_STATUS" else cycle_ns
        bits_per_s += worst_bits(database.message(name).length) * s / period_ns
    return bits_per_s / BITRATE_BPS


@given(st.integers(0, 0x7FF), st.binary(max_size=8))
def test_no_frame_is_longer_than_the_worst_case(identifier, data):
    assert measure(Frame(identifier, data))[1] + INTERMISSION_BITS <= worst_bits(len(data))


def test_worst_case_load_leaves_40_percent(database):
    assert 0.02 < worst_load(database) <= LOAD_MAX


def test_running_engine_loads_the_bus_less_than_the_worst_case(database):
    world = EngineWorld().started()
    world.clock.sleep(1 * s)
    assert 0.0 < world.wires["bus_a"].load(1 * s) < worst_load(database)
