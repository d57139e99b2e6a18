"""The flight computer's votes, fault detection, bus selection and steering at its connector."""

from __future__ import annotations

import pytest
from fc_world import BRIEF, UPRIGHT, FcWorld

from hil.faults import Fault
from hil.units import ms, s

FLYING = (0.0, 0.0, 0.0, 12.2, 0.0, 0.0)


def turning(rate_deg_s=2.0):
    return (rate_deg_s, rate_deg_s / 2, -rate_deg_s, *FLYING[3:])


def test_unpowered_computer_says_nothing():
    world = FcWorld()
    world.clock.sleep(1 * s)
    assert world.heard == {}


def test_computer_reports_all_of_its_messages_on_both_buses():
    world = FcWorld().power()
    on_b: list[int] = []
    world.nodes[1].on_frame(lambda frame: on_b.append(frame.arbitration_id))
    before = {name: len(times) for name, times in world.times.items()}
    world.clock.sleep(1 * s)
    rates = {name: len(times) - before.get(name, 0) for name, times in world.times.items()}
    expected = {f"TVC_COMMAND_{n}": 100 for n in range(1, 6)}
    expected |= {"FC_HEARTBEAT": 20, "FC_ATTITUDE": 20, "FC_STATUS": 10, "FC_GUIDANCE": 10, "FC_NAV": 10}
    assert rates == expected
    assert len(on_b) == sum(expected.values())


@pytest.mark.parametrize("bus", [0, 1])
def test_one_dead_bus_in_flight_changes_nothing_but_the_bus(bus):
    world = FcWorld(**BRIEF).flying()
    world.dead_buses.add(bus)
    world.clock.sleep(1 * s)
    assert world.status["MODE"] == "FLIGHT"
    assert world.status["BUS"] == "BA"[bus]
    assert world.status["IMU_OK"] == 7
    assert world.status["ENGINES_LOST"] == 0


@pytest.mark.parametrize("unit", [0, 1, 2])
def test_frozen_inertial_unit_is_taken_out(unit):
    world = FcWorld(**BRIEF).flying()
    world.frozen[unit] = True
    world.clock.sleep(500 * ms)
    assert world.status["IMU_OK"] == 7 & ~(1 << unit)
    world.frozen[unit] = False
    world.clock.sleep(500 * ms)
    assert world.status["IMU_OK"] == 7 & ~(1 << unit)


@pytest.mark.parametrize("wrong", [(-2.0, 1.0, -2.0), (2.0, -1.0, -2.0), (1.0, 2.0, -2.0), (2.0, -2.0, 1.0)], ids=str)
def test_unit_with_flipped_or_swapped_axes_is_taken_out_when_the_vehicle_turns(wrong):
    world = FcWorld(**BRIEF).flying()
    world.imus[1] = (*wrong, *FLYING[3:])
    world.imus[0] = world.imus[2] = turning()
    world.clock.sleep(500 * ms)
    assert world.status["IMU_OK"] == 0b101


def test_silent_or_invalid_unit_is_left_out_for_as_long_as_that_lasts():
    world = FcWorld(**BRIEF).flying()
    world.silent.add("IMU3")
    world.clock.sleep(300 * ms)
    assert world.status["IMU_OK"] == 0b011
    world.silent.clear()
    world.clock.sleep(300 * ms)
    assert world.status["IMU_OK"] == 0b111


def test_one_wrong_unit_never_moves_the_gimbals():
    world = FcWorld(**BRIEF).flying()
    world.clock.sleep(500 * ms)
    world.imus[0] = (50.0, -50.0, 50.0, 0.0, 0.0, 0.0)
    world.clock.sleep(300 * ms)
    assert max(map(abs, world.deflections)) < 0.3


@pytest.mark.parametrize(("rates", "axis", "sign"), [
    ((0.0, 1.0, 0.0), "Y", 1),
    ((0.0, -1.0, 0.0), "Y", -1),
    ((0.0, 0.0, 1.0), "Z", 1),
    ((0.0, 0.0, -1.0), "Z", -1),
])  # fmt: skip
def test_turning_vehicle_is_turned_back(rates, axis, sign):
    """ICD: +y on all engines pitches down, +z on all yaws negative."""
    world = FcWorld(**BRIEF).flying()
    world.imus = [(*rates, *FLYING[3:])] * 3
    world.clock.sleep(250 * ms)
    assert all(sign * angle > 0.3 for angle in world.deflections["YZ".index(axis) :: 2])
    assert all(abs(angle) < 0.2 for angle in world.deflections["ZY".index(axis) :: 2])


def test_rolling_vehicle_is_rolled_back():
    """ICD: roll moment of an engine at (ry, rz) is ry * -y - rz * z."""
    world = FcWorld(**BRIEF).flying()
    world.imus = [(3.0, 0.0, 0.0, *FLYING[3:])] * 3
    world.clock.sleep(250 * ms)
    out = world.deflections
    assert out[0] > 0.2  # engine 1 on +y
    assert out[5] > 0.2  # engine 3 on +z
    assert out[8] < -0.2  # engine 5 on -y
    assert max(map(abs, out[16:])) < 0.2


def test_gimbals_stay_centred_until_the_release():
    world = FcWorld().counted(-0.5)
    world.imus = [(0.0, 3.0, 3.0, *UPRIGHT[3:])] * 3
    world.clock.sleep(200 * ms)
    assert world.deflections == [0.0] * 18


LOST = {
    "safe": lambda world: setattr(world.engines[3], "fixed", "SAFE"),
    "shutdown": lambda world: setattr(world.engines[3], "fixed", "SHUTDOWN"),
    "low pressure": lambda world: setattr(world.engines[3], "pc_mpa", 3.0),
    "silent": lambda world: world.silent.add("ENG4"),
}


@pytest.mark.parametrize("how", LOST)
def test_lost_engine_is_reported_and_its_gimbal_left_alone(how):
    world = FcWorld(**BRIEF).flying()
    LOST[how](world)
    world.imus = [(0.0, 1.0, 0.0, *FLYING[3:])] * 3
    world.clock.sleep(400 * ms)
    assert world.status["ENGINES_LOST"] == 1 << 3
    assert world.deflections[6:8] == [0.0, 0.0]
    assert world.deflections[0] > 0.3


def test_engine_that_is_lost_stays_lost():
    world = FcWorld(**BRIEF).flying()
    world.engines[0].fixed = "SAFE"
    world.clock.sleep(200 * ms)
    world.engines[0].fixed = "MAINSTAGE"
    world.clock.sleep(400 * ms)
    assert world.status["ENGINES_LOST"] == 1


def test_silence_of_all_engines_at_once_is_no_loss_of_thrust():
    world = FcWorld(**BRIEF).flying()
    world.silent |= {f"ENG{k}" for k in range(1, 11)}
    world.clock.sleep(500 * ms)
    assert world.status["ENGINES_LOST"] == 0


def test_gimbal_that_reports_a_fault_is_left_alone():
    world = FcWorld(**BRIEF).flying()
    world.gimbals[1] = ["FROZEN", 1.0, -1.0]
    world.clock.sleep(300 * ms)
    assert world.deflections[2:4] == [0.0, 0.0]


def test_gimbal_that_stands_still_is_found_by_its_feedback_and_trimmed():
    world = FcWorld(**BRIEF).flying()
    world.gimbals[1] = ["ACTIVE", 4.0, 0.0]
    world.clock.sleep(600 * ms)
    out = world.deflections
    assert out[2:4] == [0.0, 0.0]
    assert sum(out[0::2]) == pytest.approx(-4.0, abs=0.8)


def test_halted_computer_falls_silent_and_holds_its_outputs():
    world = FcWorld(**BRIEF).counted(0.1)
    resume = world.fc.apply(Fault("fc", "cpu_halt"))
    world.clock.sleep(50 * ms)
    before = len(world.times["FC_HEARTBEAT"])
    world.clock.sleep(1 * s)
    assert len(world.times["FC_HEARTBEAT"]) == before
    assert world.outputs["release"].volts > 20.0
    resume()


def test_computer_that_loses_power_opens_its_outputs():
    world = FcWorld(**BRIEF).counted(0.1)
    world.wiring.pin("fc.power").release()
    world.clock.sleep(200 * ms)
    assert world.outputs["release"].volts < 1.0
    assert world.outputs["vent_close"].volts < 1.0


def test_seeded_computer_without_heartbeat_still_steers():
    world = FcWorld(beats=False).power()
    assert "FC_HEARTBEAT" not in world.heard
    assert "TVC_COMMAND_1" in world.heard


def test_seeded_swapped_channels_go_to_the_wrong_engine():
    world = FcWorld(**BRIEF, channels=[2, 1, 3, 4, 5, 6, 7, 8, 9]).flying()
    world.engines[0].fixed = "SAFE"
    world.imus = [(0.0, 1.0, 0.0, *FLYING[3:])] * 3
    world.clock.sleep(300 * ms)
    assert world.deflections[2:4] == [0.0, 0.0]
    assert world.deflections[0] > 0.3


def test_navigation_reports_speed_and_height():
    world = FcWorld(**BRIEF).flying()
    world.imus = [(0.0, 0.0, 0.0, 9.826 + 10.0, 0.0, 0.0)] * 3
    world.clock.sleep(3 * s)
    assert world.heard["FC_NAV"]["SPEED"] == pytest.approx(31.0, abs=1.5)
    assert world.heard["FC_NAV"]["ALTITUDE"] == pytest.approx(30.0 + 47.0, abs=5.0)


def test_guidance_reports_its_programme():
    world = FcWorld(**BRIEF).flying()
    world.clock.sleep(20 * s)
    guidance = world.heard["FC_GUIDANCE"]
    assert guidance["AZIMUTH"] == pytest.approx(338.6)
    assert guidance["ROLL"] == pytest.approx(40.0, abs=0.1)
    assert guidance["TILT"] == pytest.approx(2.0, abs=0.2)
