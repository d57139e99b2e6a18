"""Range computer and trackers as built, together: noise alone fires nothing, and moves a decision by little."""

from __future__ import annotations

import tomllib

import pytest
from range_world import LAUNCHER, LIFTOFF_NS, PAD, State, as_built, ecef, lost, nominal

from hil.clock import VirtualClock
from hil.noise import Streams
from hil.ports import Ports
from hil.units import s
from hil.wiring import Wiring
from hil_launcher.models.range_safety import decision_record
from hil_launcher.models.range_safety.computer import RangeComputer
from hil_launcher.models.range_safety.tracker import Tracker, TrackerAsBuilt


def weak(t_s: float) -> State:
    """A flight with an engine out from lift-off on: a third of the acceleration."""
    turned_s = max(0.0, t_s - 12.0)
    return State(0.04 * turned_s**2.5, 12.0 + 0.5 * t_s**2, 0.1 * turned_s**1.5, t_s)


def fired(flight, seed: int, until_s: float) -> list[tuple[str, float]]:
    """The rules that fire in a flight, each with its mission time [s]."""
    clock = VirtualClock()
    wiring, streams = Wiring(clock), Streams(seed)
    RangeComputer(clock, streams, Ports("range_safety", wiring), as_built(mode="afts"))
    for number in (1, 2):
        tree = tomllib.loads((LAUNCHER / "as_built" / f"tracker_{number}.toml").read_text())
        Tracker(clock, streams, Ports(f"tracker_{number}", wiring), TrackerAsBuilt.model_validate(tree))
        wiring.net(f"track_{number}", [f"tracker_{number}.track", f"range_safety.track_{number}"])

    def motion() -> tuple[float, ...]:
        t_s = (clock.now - LIFTOFF_NS) / s
        position, velocity = ecef(flight(t_s) if t_s > 0.0 else PAD)
        return (*position, *velocity, 1.0)

    wiring.quantity_pin("plant.track", 7).give(motion)
    wiring.net("motion", ["plant.track", "tracker_1.motion", "tracker_2.motion"])
    mains = wiring.pin("mains.out")
    wiring.net("power", ["mains.out", "range_safety.power", "tracker_1.power", "tracker_2.power"])
    records: list[decision_record.DecisionRecord] = []
    wiring.datagram_pin("range_safety.log").on(lambda data, _: records.append(decision_record.decode(data)))
    mains.drive(28.0, 1.0)
    clock.wait(LIFTOFF_NS + round(until_s * s))
    return [(record.rule, record.t_plus_s or 0.0) for record in records if record.kind == "rule"]


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("flight", [nominal, weak])
def test_a_good_flight_is_left_alone_with_an_engine_out_too(flight, seed):
    assert fired(flight, seed, 100.0) == []


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_lost_one_is_caught_within_five_seconds_whatever_the_noise(seed):
    rule, t_plus_s = fired(lost, seed, 30.0)[0]
    assert rule == "loss_of_control"
    assert 22.0 + 2.0 < t_plus_s < 25.3  # shown from T+22.0 on, 2 s to confirm, latency and noise
