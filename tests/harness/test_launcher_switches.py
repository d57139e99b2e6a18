"""Contacts, pad, vent valve and weather station: what their lines and quantities do, and their faults."""

from __future__ import annotations

import math

import pytest
from unit_world import UnitWorld

from hil.errors import HilError
from hil.units import ms, s
from hil_launcher.clients.met import WindProfile
from hil_launcher.models.units.liftoff_switches import LiftoffSwitches
from hil_launcher.models.units.met_station import MetStation
from hil_launcher.models.units.pad import Pad
from hil_launcher.models.units.vent_valve import VentValve

CONTACTS = ("liftoff_1", "liftoff_2", "umbilical")


def contacts(**changes: object) -> UnitWorld:
    world = UnitWorld(LiftoffSwitches, "switches.toml", changes=changes)
    world.give("rise", 0.0)
    levels(world)
    world.power()
    world.clock.sleep(10 * ms)
    return world


def levels(world: UnitWorld) -> tuple[bool, ...]:
    return tuple(world.level(name) for name in CONTACTS)


def rise(world: UnitWorld, millimetres: float) -> None:
    world.give("rise", millimetres / 1e3)
    world.clock.sleep(10 * ms)


# -- contacts -------------------------------------------------------------------------------------------------


def test_a_vehicle_on_its_pad_holds_every_contact_closed():
    world = contacts()
    world.clock.sleep(1 * s)
    assert levels(world) == (True, True, True)


def test_each_contact_opens_at_its_own_travel():
    world = contacts(liftoff_1_mm=10.0, liftoff_2_mm=20.0, umbilical_mm=50.0)
    seen = []
    for millimetres in (9.0, 11.0, 21.0, 51.0):
        rise(world, millimetres)
        seen.append(levels(world))
    assert seen == [(True, True, True), (False, True, True), (False, False, True), (False, False, False)]


def test_nothing_happens_on_the_clock_once_all_have_opened():
    world = contacts()
    rise(world, 500.0)
    before = world.article._timers
    assert not any(timer.active for timer in before)


def test_without_supply_every_line_is_low():
    world = contacts()
    world.power(0.0)
    world.clock.sleep(100 * ms)
    assert levels(world) == (False, False, False)


def test_a_contact_that_is_stuck_closed_never_opens():
    world = contacts()
    world.fault("stuck_closed", switch="liftoff_1")
    rise(world, 500.0)
    assert levels(world) == (True, False, False)


def test_an_early_contact_opens_while_the_vehicle_stands():
    world = contacts()
    clear = world.fault("early", switch="liftoff_2")
    assert levels(world) == (True, False, True)
    clear()
    assert levels(world) == (True, True, True)


def test_a_late_contact_opens_after_its_delay():
    world = contacts()
    world.fault("late", switch="liftoff_1", delay_ms=400.0)
    rise(world, 30.0)
    assert levels(world) == (True, False, True)
    world.clock.sleep(400 * ms)
    assert levels(world) == (False, False, True)


def test_a_contact_that_does_not_exist_is_refused():
    with pytest.raises(HilError, match="did you mean liftoff_1"):
        contacts().fault("early", switch="liftof_1")


# -- pad ------------------------------------------------------------------------------------------------------


def pad(**changes: object) -> UnitWorld:
    world = UnitWorld(Pad, "pad.toml", changes=changes)
    for name in ("release", "enable"):
        world.line(name, high=False)
    world.power()
    world.clock.sleep(10 * ms)
    return world


def clamped(world: UnitWorld) -> bool:
    return world.taken("clamps", 1) == (1.0,)


def test_the_clamps_open_when_the_flight_computer_releases_and_the_ground_has_enabled_it():
    world = pad()
    world.line("enable", high=True)
    world.clock.sleep(100 * ms)
    assert clamped(world)
    world.line("release", high=True)
    world.clock.sleep(34 * ms)
    assert clamped(world)
    world.clock.sleep(2 * ms)
    assert not clamped(world)
    world.clock.sleep(20 * ms)
    assert world.taken("umbilical", 1) == (0.0,)


def test_a_release_without_the_grounds_enable_does_nothing():
    world = pad()
    world.line("release", high=True)
    world.clock.sleep(1 * s)
    assert clamped(world)


def test_a_glitch_on_the_release_line_does_nothing():
    world = pad()
    world.line("enable", high=True)
    world.line("release", high=True)
    world.clock.sleep(3 * ms)
    world.line("release", high=False)
    world.clock.sleep(1 * s)
    assert clamped(world)


def test_what_has_opened_stays_open_without_release_and_without_supply():
    world = pad()
    world.line("enable", high=True)
    world.line("release", high=True)
    world.clock.sleep(100 * ms)
    world.line("release", high=False)
    world.power(0.0)
    world.clock.sleep(1 * s)
    assert not clamped(world)


def test_stuck_clamps_open_late_and_others_open_untold():
    stuck, untold = pad(), pad()
    free = stuck.fault("stuck_closed")
    stuck.line("enable", high=True)
    stuck.line("release", high=True)
    untold.fault("opens")
    for world in (stuck, untold):
        world.clock.sleep(1 * s)
    assert (clamped(stuck), clamped(untold)) == (True, False)
    free()
    assert not clamped(stuck)


# -- vent valve -----------------------------------------------------------------------------------------------


def vent(**changes: object) -> UnitWorld:
    world = UnitWorld(VentValve, "vent_valve.toml", changes=changes)
    for name in ("close", "open"):
        world.line(name, high=False)
    world.level("vent_closed")
    world.power()
    world.clock.sleep(500 * ms)
    return world


def opening(world: UnitWorld) -> float:
    return world.taken("opening", 1)[0]


def test_the_flight_computer_closes_the_valve_and_its_switch_sees_it():
    world = vent(closing_ms=400.0, switch_share=0.05)
    assert (opening(world), world.level("vent_closed")) == (1.0, False)
    world.line("close", high=True)
    world.clock.sleep(200 * ms)
    assert opening(world) == pytest.approx(0.5, abs=0.01)
    world.clock.sleep(178 * ms)
    assert not world.level("vent_closed")
    world.clock.sleep(4 * ms)
    assert world.level("vent_closed")
    world.clock.sleep(100 * ms)
    assert opening(world) == 0.0


def test_without_the_command_the_spring_decides_as_built():
    for spring, expected in (("open", 1.0), ("closed", 0.0)):
        world = vent(spring=spring)
        world.line("close", high=True)
        world.clock.sleep(1 * s)
        world.line("close", high=False)
        world.clock.sleep(1 * s)
        assert (opening(world), world.level("vent_closed")) == (expected, not expected)


def test_the_ground_opens_it_and_the_flight_computer_wins():
    world = vent(spring="closed")
    world.line("open", high=True)
    world.clock.sleep(1 * s)
    assert opening(world) == 1.0
    world.line("close", high=True)
    world.clock.sleep(1 * s)
    assert opening(world) == 0.0


def test_a_closing_that_is_taken_back_turns_round_where_it_is():
    world = vent(closing_ms=400.0, opening_ms=400.0)
    world.line("close", high=True)
    world.clock.sleep(100 * ms)
    world.line("close", high=False)
    world.clock.sleep(50 * ms)
    assert opening(world) == pytest.approx(0.875, abs=0.01)
    world.clock.sleep(1 * s)
    assert not world.level("vent_closed")


def test_a_valve_that_is_stuck_open_is_measured_open():
    world = vent()
    clear = world.fault("stuck_open")
    world.line("close", high=True)
    world.clock.sleep(1 * s)
    assert (opening(world), world.level("vent_closed")) == (1.0, False)
    clear()
    world.clock.sleep(1 * s)
    assert (opening(world), world.level("vent_closed")) == (0.0, True)


def test_a_stuck_switch_keeps_saying_what_it_said():
    world = vent()
    clear = world.fault("switch_stuck")
    world.line("close", high=True)
    world.clock.sleep(1 * s)
    assert (opening(world), world.level("vent_closed")) == (0.0, False)
    clear()
    world.clock.sleep(1 * ms)
    assert world.level("vent_closed")


def test_a_valve_without_supply_goes_where_its_spring_drives_it_and_reads_not_closed():
    world = vent()
    world.line("close", high=True)
    world.clock.sleep(1 * s)
    world.power(0.0)
    world.clock.sleep(1 * s)
    assert (opening(world), world.level("vent_closed")) == (1.0, False)


# -- weather station --------------------------------------------------------------------------------------------


class Met:
    """A weather station in a wind that grows by 1 m/s a level from 5 m/s, from 240 deg; and what it has sent."""

    def __init__(self, **changes: object) -> None:
        self.world = UnitWorld(MetStation, "met.toml", changes=changes)
        self.world.give("wind_profile", *(value for i in range(10) for value in (5.0 + i, math.radians(240.0))))
        self.sent: list[bytes] = []
        self.world.wiring.datagram_pin("console.profile").on(lambda payload, _: self.sent.append(payload))
        self.world.wiring.net("profile", ["unit.profile", "console.profile"])
        self.world.power()

    def after(self, duration_ns: int) -> list[WindProfile]:
        self.world.clock.sleep(duration_ns)
        return [WindProfile.read(payload) for payload in self.sent]


def test_the_station_sends_a_profile_a_second_that_reads_back_after_the_interface_document():
    profiles = Met(speed_noise_m_s=0.0, direction_noise_deg=0.0).after(3_500 * ms)
    assert [profile.sequence for profile in profiles] == [1, 2, 3]
    assert [profile.measured_ns for profile in profiles] == [1 * s, 2 * s, 3 * s]
    assert [level.speed_m_s for level in profiles[0].levels] == [5.0 + i for i in range(10)]
    assert {level.from_deg for level in profiles[0].levels} == {240.0}
    assert profiles[0].levels[-1].height_m == 14_000.0
    assert profiles[0].strongest_m_s == 14.0


def test_a_station_with_a_wrong_scale_reports_another_wind():
    (profile,) = Met(speed_noise_m_s=0.0, direction_noise_deg=0.0, speed_scale=0.5).after(1_500 * ms)
    assert [level.speed_m_s for level in profile.levels] == [(5.0 + i) / 2 for i in range(10)]


def test_a_profile_is_measured_with_noise():
    first, second = Met().after(2_500 * ms)
    assert first.levels != second.levels
    assert first.levels[0].speed_m_s == pytest.approx(5.0, abs=1.0)


def test_a_frozen_station_sends_the_same_wind_under_new_numbers():
    met = Met()
    met.after(1_500 * ms)
    met.world.fault("frozen")
    first, second = met.after(1 * s)
    assert (first.levels, first.sequence) == (second.levels, second.sequence - 1)


@pytest.mark.parametrize("place", [0, 5, 20, -1])
def test_a_damaged_datagram_is_refused(place):
    met = Met()
    met.after(1_500 * ms)
    damaged = bytearray(met.sent[0])
    damaged[place] ^= 0x40
    with pytest.raises(HilError, match=r"no wind profile|CRC-32"):
        WindProfile.read(bytes(damaged))
    with pytest.raises(HilError, match=r"no wind profile|CRC-32"):
        WindProfile.read(met.sent[0][:-3])
