"""The launcher's buses: worst-case load and delay from cycle times and frame lengths, and the load really there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from engine_world import LAUNCHER, EngineWorld
from hypothesis import given
from hypothesis import strategies as st

from hil.can.bits import measure
from hil.can.database import Database
from hil.can.frame import Frame
from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Callable

BITRATE_BPS = 500_000
LOAD_MAX = 0.60
FRAMES_PER_S = 4_000  # cyclic frames a second over both buses that the launcher has at least
JITTER_NS = 1 * ms  # how late an article may queue a cyclic message
CHANGES_NS = 100 * ms  # shortest time between two changes of an engine's state
FIRST_OTHER = 0x100  # identifiers below are those of the control loop
BIT_NS = s // BITRATE_BPS
INTERMISSION_BITS = 3


def worst_bits(length: int) -> int:
    """Length of a frame with an 11-bit identifier on the wire at most, intermission included [bit].

    Source: Davis, Burns, Bril, Lukkien, Controller Area Network schedulability analysis (2007), equation 1.
    """
    return 34 + 8 * length + 13 + (34 + 8 * length - 1) // 4


@dataclass(frozen=True)
class Stream:
    """Frames of one message: identifier, shortest time between two [ns], longest time on the wire [ns]."""

    identifier: int
    period_ns: int
    wire_ns: int


def cyclic(database: Database) -> list[Stream]:
    return [
        Stream(database.message(name).frame_id, cycle_ns, worst_bits(database.message(name).length) * BIT_NS)
        for name in database.names
        if (cycle_ns := database.cycle_ns(name)) is not None
    ]


def on_demand(database: Database) -> list[Stream]:
    """Commands as often as the database allows them, and the status of every engine at each change of its state."""
    found: list[Stream] = []
    for name in database.names:
        message = database.message(name)
        wire_ns = worst_bits(message.length) * BIT_NS
        if database.cycle_ns(name) is None:
            found.append(Stream(message.frame_id, message.dbc.attributes["GenMsgDelayTime"].value * ms, wire_ns))
        elif name.startswith("ENG") and name.endswith("_STATUS"):
            found.append(Stream(message.frame_id, CHANGES_NS, wire_ns))
    return found


def load(streams: list[Stream]) -> float:
    return sum(stream.wire_ns / stream.period_ns for stream in streams)


def response_ns(stream: Stream, streams: list[Stream]) -> int:
    """Time from queuing a frame until it is there, at most [ns].

    A frame waits for one of lower priority that is on the wire, for its own predecessors, and for everything of
    higher priority that is queued meanwhile. Every frame of the longest time without a pause is looked at.
    Source: Davis et al. (2007), analysis with several instances in the busy period.
    """
    higher = [other for other in streams if other is not stream and other.identifier <= stream.identifier]
    blocking_ns = max((other.wire_ns for other in streams if other.identifier > stream.identifier), default=0)
    busy_ns = fixed_point(lambda t: blocking_ns + queued_ns(t, [*higher, stream]))
    responses: list[int] = []
    for instance in range(math.ceil((busy_ns + JITTER_NS) / stream.period_ns)):
        start_ns = fixed_point(lambda t, i=instance: blocking_ns + i * stream.wire_ns + queued_ns(t + BIT_NS, higher))
        responses.append(JITTER_NS + start_ns - instance * stream.period_ns + stream.wire_ns)
    return max(responses)


def queued_ns(window_ns: int, streams: list[Stream]) -> int:
    """Time on the wire of what is queued in a window [ns]."""
    return sum(math.ceil((window_ns + JITTER_NS) / other.period_ns) * other.wire_ns for other in streams)


def fixed_point(fn: Callable[[int], int]) -> int:
    """The smallest time [ns] that fn maps to itself."""
    at_ns = 0
    while (then_ns := fn(at_ns)) != at_ns:
        assert then_ns < s, "the bus never pauses"
        at_ns = then_ns
    return at_ns


@pytest.fixture(scope="module")
def database() -> Database:
    return Database.load(LAUNCHER / "launcher.dbc")


@given(st.integers(0, 0x7FF), st.binary(max_size=8))
def test_no_frame_is_longer_than_the_worst_case(identifier, data):
    assert measure(Frame(identifier, data))[1] + INTERMISSION_BITS <= worst_bits(len(data))


def test_worst_case_load_of_the_cyclic_messages_leaves_40_percent(database):
    assert 0.40 < load(cyclic(database)) <= LOAD_MAX


def test_control_messages_arrive_before_the_next_one_is_due_whatever_is_commanded(database):
    streams = [*cyclic(database), *on_demand(database)]
    control = [stream for stream in streams if stream.identifier < FIRST_OTHER]
    assert len(control) == 12
    assert all(response_ns(stream, streams) < stream.period_ns // 2 for stream in control)


def test_every_other_message_arrives_long_before_it_counts_as_lost(database):
    streams = [*cyclic(database), *on_demand(database)]
    assert all(response_ns(stream, streams) < 2 * stream.period_ns for stream in streams)


def test_both_buses_carry_the_traffic_of_a_launcher(database):
    assert 2 * sum(s / stream.period_ns for stream in cyclic(database)) >= FRAMES_PER_S


def test_running_engine_loads_the_bus_less_than_the_worst_case(database):
    world = EngineWorld().started()
    world.clock.sleep(1 * s)
    of_this_engine = [
        s for s in (*cyclic(database), *on_demand(database)) if s.identifier in (0x80, 0x110, 0x210, 0x211)
    ]
    assert 0.0 < world.wires["bus_a"].load(1 * s) < load(of_this_engine)
