"""The RF channel: a piece of cable on the pad, distance and antennas in flight."""

from __future__ import annotations

import math
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from range_world import LAUNCHER

from hil.clock import VirtualClock
from hil.errors import HilError
from hil.faults import Fault
from hil.nets import RfValue
from hil.noise import Streams
from hil.ports import Ports
from hil.units import ms, s
from hil.wiring import Wiring
from hil_launcher.models.range_safety.rf_channel import ChannelAsBuilt, RfChannel

CARRIER = RfValue(425e6, -80.0)
TREE = tomllib.loads((LAUNCHER / "as_built" / "channel.toml").read_text())


class ChannelWorld:
    """A generator, the channel, and what arrives at each receiver."""

    def __init__(self, *, connected: bool = True) -> None:
        self.clock = VirtualClock()
        wiring = Wiring(self.clock)
        built = ChannelAsBuilt.model_validate(TREE)
        self.channel = RfChannel(self.clock, Streams(1), Ports("channel", wiring), built)
        self.generator = wiring.rf_pin("siggen.rf")
        self.receivers = {feed: wiring.rf_pin(f"rx_{feed}.rf") for feed in "ab"}
        wiring.net("uplink", ["siggen.rf", "channel.air"])
        for feed in self.receivers:
            wiring.net(f"feed_{feed}", [f"channel.feed_{feed}", f"rx_{feed}.rf"])
        self.changes: list[int] = []
        self.receivers["a"].on_change(lambda: self.changes.append(self.clock.now))
        self.supplies = {feed: wiring.pin(f"psu.out_{feed}") for feed in self.receivers}
        self.contacts = {feed: wiring.pin(f"stand.di_{feed}") for feed in self.receivers}
        for feed in self.receivers:
            wiring.net(f"power_{feed}", [f"psu.out_{feed}", f"channel.hold_{feed}"])
            wiring.net(f"mated_{feed}", [f"channel.mated_{feed}", f"stand.di_{feed}"])
            self.supplies[feed].drive(28.0, 0.1)
        self._switch = wiring.pin("stand.do")
        wiring.net("follow", ["stand.do", "channel.follow"])
        if connected:
            self.source = wiring.quantity_pin("plant.line_of_sight", 3)
            wiring.net("line_of_sight", ["plant.line_of_sight", "channel.line_of_sight"])
            self.see()
        self.generator.drive(CARRIER)
        self.clock.sleep(10 * ms)

    def see(self, distance_m: float = 2164.0, aspect_deg: float = 90.0, roll_deg: float = 90.0) -> None:
        self.source.set(distance_m, math.radians(aspect_deg), math.radians(roll_deg))

    def follow(self, on: bool = True) -> ChannelWorld:
        self._switch.drive(28.0, 1.0) if on else self._switch.release()
        self.clock.sleep(60 * ms)
        return self

    def gain_db(self, feed: str = "a") -> float:
        self.clock.sleep(60 * ms)
        value = self.receivers[feed].value
        assert value is not None
        return value.level_dbm - CARRIER.level_dbm


def test_on_the_pad_what_comes_in_goes_out_and_costs_nothing():
    world = ChannelWorld()
    assert [world.receivers[feed].value for feed in "ab"] == [CARRIER, CARRIER]
    told = len(world.changes)
    world.clock.sleep(10 * s)
    assert len(world.changes) == told
    assert world.clock.idle


def test_silence_goes_through_too():
    world = ChannelWorld()
    world.generator.drive(None)
    world.clock.sleep(1 * ms)
    assert world.receivers["b"].value is None


def test_what_is_not_connected_to_a_flight_follows_nothing():
    assert ChannelWorld(connected=False).follow().gain_db() == 0.0


def test_twice_the_distance_is_six_decibels_less():
    world = ChannelWorld().follow()
    near_db = world.gain_db()
    world.see(2 * 2164.0)
    assert world.gain_db() - near_db == pytest.approx(-6.0, abs=0.11)


def test_towards_one_antenna_at_the_pads_distance_it_is_that_antennas_gain():
    assert ChannelWorld().follow().gain_db() == pytest.approx(2.0 - 0.4, abs=0.1)


@pytest.mark.parametrize(("aspect_deg", "roll_deg"), [(0.0, 0.0), (180.0, 0.0), (90.0, 0.0), (90.0, 180.0)])
def test_between_the_antennas_it_is_what_both_give_together(aspect_deg, roll_deg):
    world = ChannelWorld().follow()
    world.see(2164.0, aspect_deg, roll_deg)
    assert world.gain_db() == pytest.approx(-6.5 - 0.5 + 3.0, abs=0.15)


def test_on_every_aspect_the_two_antennas_leave_no_hole_deeper_than_five_decibels():
    world = ChannelWorld().follow()
    for aspect_deg in range(0, 181, 15):
        for roll_deg in range(0, 360, 15):
            world.see(2164.0, aspect_deg, roll_deg)
            assert -5.0 < world.gain_db() < 2.5


def test_with_one_antenna_open_its_side_is_weak_and_neither_feed_is_dead():
    world = ChannelWorld().follow()
    undo = world.channel.apply(Fault("channel", "antenna_open", parameters={"antenna": 1}))
    assert [world.gain_db(feed) for feed in "ab"] == pytest.approx([-24.6, -24.3], abs=0.1)
    world.see(2164.0, 90.0, 270.0)
    assert world.gain_db() == pytest.approx(2.0 - 0.6, abs=0.1)
    undo()
    world.see()
    assert world.gain_db() == pytest.approx(1.6, abs=0.1)


def test_a_fade_takes_its_loss_from_both_feeds():
    world = ChannelWorld().follow()
    before_db = world.gain_db()
    undo = world.channel.apply(Fault("channel", "fade", parameters={"loss_db": 20.0}))
    assert world.gain_db() == pytest.approx(before_db - 20.0, abs=0.11)
    undo()
    assert world.gain_db() == before_db


def test_it_follows_twenty_times_a_second_and_only_while_told_to():
    world = ChannelWorld().follow()
    world.source.give(lambda: (2164.0 + world.clock.now / 2e6, math.pi / 2, math.pi / 2))
    world.changes.clear()
    world.clock.sleep(2 * s)
    assert 10 <= len(world.changes) <= 41
    assert world.follow(on=False).gain_db() == 0.0
    world.changes.clear()
    world.clock.sleep(1 * s)
    assert world.changes == []


def test_a_level_that_does_not_change_is_not_told_again():
    world = ChannelWorld().follow()
    world.changes.clear()
    world.clock.sleep(2 * s)
    assert world.changes == []


@settings(max_examples=30, deadline=None)
@given(st.floats(100.0, 1e5), st.floats(0.0, 180.0), st.floats(-180.0, 180.0))
def test_both_feeds_are_within_a_decibel_of_each_other(distance_m, aspect_deg, roll_deg):
    world = ChannelWorld().follow()
    world.see(distance_m, aspect_deg, roll_deg)
    assert abs(world.gain_db("a") - world.gain_db("b")) < 1.0


@pytest.mark.parametrize(
    ("kind", "parameters", "complaint"),
    [
        ("antenna_opne", {}, "did you mean antenna_open"),
        ("antenna_open", {"antenna": 3}, "no antenna 3; it has 1 to 2"),
        ("fade", {}, "needs a number loss_db"),
    ],
)
def test_faults_it_does_not_have_are_refused(kind, parameters, complaint):
    with pytest.raises(HilError, match=complaint):
        ChannelWorld().channel.apply(Fault("channel", kind, parameters=parameters))


def test_a_pattern_with_a_gap_is_refused():
    antennas = TREE["antennas"] | {"pattern_deg": [0.0, 90.0], "pattern_db": [0.0, -6.0]}
    with pytest.raises(ValidationError, match="from 0 to 180 deg"):
        ChannelAsBuilt.model_validate(TREE | {"antennas": antennas})
