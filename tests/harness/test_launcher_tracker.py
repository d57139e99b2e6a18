"""The tracker: rate, latency, noise, bias, and its faults, at its connector."""

from __future__ import annotations

import math
import tomllib
from itertools import pairwise

import pytest
from range_world import LAUNCHER, SITE, State, ecef

from hil.clock import VirtualClock
from hil.errors import HilError
from hil.faults import Fault
from hil.noise import Streams
from hil.ports import Ports
from hil.units import ms, s
from hil.wiring import Wiring
from hil_launcher.models.range_safety.tracker import Tracker, TrackerAsBuilt
from hil_launcher.models.range_safety.tracks import NO_SOLUTION, TRACKING, Track, decode

CLIMB = State(500.0, 3000.0, 20.0, 100.0)


class TrackerWorld:
    """One tracker of a vehicle that climbs steadily past ``CLIMB`` at 10 s."""

    def __init__(self, number: int = 1, *, seed: int = 1, connected: bool = True, **changes: object) -> None:
        self.clock = VirtualClock()
        wiring = Wiring(self.clock)
        tree = tomllib.loads((LAUNCHER / "as_built" / f"tracker_{number}.toml").read_text())
        assert changes.keys() <= tree.keys()
        built = TrackerAsBuilt.model_validate(tree | changes)
        self.tracker = Tracker(self.clock, Streams(seed), Ports("tracker", wiring), built)
        self.heard: list[tuple[int, bytes]] = []
        wiring.datagram_pin("range.in").on(lambda payload, at_ns: self.heard.append((at_ns, payload)))
        wiring.net("track", ["tracker.track", "range.in"])
        if connected:
            wiring.quantity_pin("plant.track", 7).give(self.motion)
            wiring.net("motion", ["plant.track", "tracker.motion"])
        self.supply = wiring.pin("mains.out")
        wiring.net("power", ["mains.out", "tracker.power"])
        self.supply.drive(28.0, 0.5)

    def motion(self) -> tuple[float, ...]:
        position, velocity = self.truth(self.clock.now)
        return (*position, *velocity, 1.0)

    def truth(self, at_ns: int):
        late_s = at_ns / s - 10.0
        return ecef(
            CLIMB._replace(
                downrange_m=CLIMB.downrange_m + CLIMB.v_downrange_m_s * late_s,
                up_m=CLIMB.up_m + CLIMB.v_up_m_s * late_s,
            )
        )

    def run(self, duration_s: float = 30.0) -> list[tuple[int, Track]]:
        """What arrives in the next while: rig time and track."""
        first = len(self.heard)
        self.clock.sleep(round(duration_s * s))
        return [(at_ns, decode(payload)) for at_ns, payload in self.heard[first:]]

    def errors_m(self, reports) -> list[tuple[float, float, float]]:
        """North, east and up of what reports are off by."""
        found = []
        for _, track in reports:
            true = SITE.ground(*self.truth(track.time_ms * ms))
            seen = SITE.ground(track.position_m, track.velocity_m_s)
            found.append((seen.north_m - true.north_m, seen.east_m - true.east_m, seen.up_m - true.up_m))
        return found


@pytest.mark.parametrize(("number", "rate_hz", "latency_s"), [(1, 10.0, 0.34), (2, 20.0, 0.21)])
def test_rate_and_latency_are_as_built_and_within_the_class_of_trackers(number, rate_hz, latency_s):
    reports = TrackerWorld(number).run()[40:]
    ages_s = [at_ns / s - track.time_ms / 1e3 for at_ns, track in reports]
    span_s = (reports[-1][1].time_ms - reports[0][1].time_ms) / 1e3
    assert (len(reports) - 1) / span_s == pytest.approx(rate_hz, rel=0.02)
    assert sum(ages_s) / len(ages_s) == pytest.approx(latency_s, abs=0.01)
    assert 0.1 <= min(ages_s) <= max(ages_s) <= 1.0


def test_reports_keep_their_order_and_count_on():
    world = TrackerWorld(jitter_ms=200.0, loss_share=0.0)
    tracks = [track for _, track in world.run()]
    assert all(b.sequence == a.sequence + 1 and b.time_ms == a.time_ms + 100 for a, b in pairwise(tracks))
    assert {track.source for track in tracks} == {1}


def test_noise_and_bias_are_as_built():
    world = TrackerWorld(position_sigma_m=6.0, bias_north_m=30.0, bias_east_m=-20.0, bias_up_m=10.0)
    errors = world.errors_m(world.run(120.0)[25:])
    means = [sum(axis) / len(axis) for axis in zip(*errors, strict=True)]
    assert means == pytest.approx([30.0, -20.0, 10.0], abs=6.0 * 4.0 / math.sqrt(len(errors)) + 0.3)
    spread = math.sqrt(sum((error[0] - means[0]) ** 2 for error in errors) / len(errors))
    assert spread == pytest.approx(6.0, rel=0.12)


def test_the_same_seed_gives_the_same_bytes():
    def heard(seed: int) -> list[tuple[int, bytes]]:
        world = TrackerWorld(seed=seed)
        world.run(5.0)
        return world.heard

    assert heard(1) == heard(1) != heard(2)


def test_it_has_no_solution_until_it_has_acquired_nor_without_a_vehicle():
    reports = TrackerWorld(acquire_ms=2000.0).run(5.0)
    assert all((track.quality == TRACKING) is (track.time_ms >= 2000) for _, track in reports)
    assert {track.quality for _, track in TrackerWorld(connected=False).run(5.0)} == {NO_SOLUTION}


def test_time_tags_are_exact_whenever_it_was_switched_on():
    world = TrackerWorld(position_sigma_m=0.0, bias_north_m=0.0, bias_east_m=0.0, bias_up_m=0.0)
    world.supply.release()
    world.clock.sleep(1_234_567_891)
    world.supply.drive(28.0, 0.5)
    errors = world.errors_m(world.run(5.0)[40:])
    assert max(abs(axis) for error in errors for axis in error) < 0.02, "2 cm: rounding, not 100 m/s x 1 ms"


def test_a_dropout_is_silence_and_ends():
    world = TrackerWorld()
    world.run(5.0)
    undo = world.tracker.apply(Fault("tracker", "dropout"))
    world.run(0.5)
    assert world.run(3.0) == []
    undo()
    assert len(world.run(3.0)) > 20


def test_a_bias_comes_and_goes():
    world = TrackerWorld(position_sigma_m=0.0, bias_north_m=0.0, bias_east_m=0.0, bias_up_m=0.0)
    world.run(5.0)
    undo = world.tracker.apply(Fault("tracker", "bias", parameters={"north_m": 500.0, "up_m": -50.0}))
    errors = world.errors_m(world.run(3.0)[5:])
    assert errors[-1] == pytest.approx((500.0, 0.0, -50.0), abs=1.5)  # its vertical is the geocentric one, 0.2 % off
    undo()
    assert world.errors_m(world.run(3.0)[5:])[-1] == pytest.approx((0.0, 0.0, 0.0), abs=0.1)


def test_a_frozen_tracker_repeats_its_place_under_new_time_tags():
    world = TrackerWorld()
    world.run(5.0)
    undo = world.tracker.apply(Fault("tracker", "frozen"))
    tracks = [track for _, track in world.run(3.0)[5:]]
    assert len({track.position_m for track in tracks}) == 1
    assert len({track.time_ms for track in tracks}) == len(tracks)
    undo()
    assert len({track.position_m for _, track in world.run(3.0)[5:]}) > 20


def test_bit_errors_spoil_reports_so_that_their_crc_tells():
    world = TrackerWorld()
    world.run(5.0)
    undo = world.tracker.apply(Fault("tracker", "bit_errors", parameters={"share": 0.01}))
    world.clock.sleep(500 * ms)
    first = len(world.heard)
    world.clock.sleep(20 * s)
    refused = 0
    for _, payload in world.heard[first:]:
        try:
            decode(payload)
        except HilError:
            refused += 1
    assert refused / len(world.heard[first:]) == pytest.approx(1.0 - 0.99 ** (8 * 36), abs=0.05)
    undo()
    world.clock.sleep(1 * s)
    assert len(world.run(3.0)) > 20


def test_extra_latency_delays_reports():
    world = TrackerWorld()
    world.run(5.0)
    world.tracker.apply(Fault("tracker", "latency", parameters={"extra_ms": 400.0}))
    at_ns, track = world.run(3.0)[-1]
    assert at_ns / s - track.time_ms / 1e3 == pytest.approx(0.74, abs=0.06)


@pytest.mark.parametrize(
    ("kind", "parameters", "complaint"),
    [
        ("dropuot", {}, "did you mean dropout"),
        ("bias", {"nort_m": 1.0}, "did you mean north_m"),
        ("bit_errors", {"share": -1.0}, "at least 0"),
    ],
)
def test_faults_it_does_not_know_are_refused(kind, parameters, complaint):
    with pytest.raises(HilError, match=complaint):
        TrackerWorld().tracker.apply(Fault("tracker", kind, parameters=parameters))


def test_without_supply_it_is_silent():
    world = TrackerWorld()
    world.run(5.0)
    world.supply.release()
    world.clock.sleep(1 * s)
    assert world.run(3.0) == []
