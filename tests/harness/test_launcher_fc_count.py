"""The flight computer's count: holds, aborts, release, and the lift-off event."""

from __future__ import annotations

import pytest
from fc_world import BRIEF, FcWorld

from hil.units import ms, s


def test_count_goes_from_ready_to_flight_and_releases_at_zero():
    world = FcWorld().power()
    assert world.status["MODE"] == "READY"
    world.ground("COUNT")
    world.clock.sleep(500 * ms)
    assert world.status["MODE"] == "COUNT"
    world.clock.sleep(3500 * ms - 30 * ms)
    assert world.outputs["release"].volts < 1.0
    world.clock.sleep(60 * ms)
    assert world.outputs["release"].volts > 20.0
    world.lift()
    world.clock.sleep(300 * ms)
    assert world.status["MODE"] == "FLIGHT"
    assert world.heard["FC_HEARTBEAT"]["PHASE"] == "FLIGHT"
    assert world.orders("START") == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_engines_start_in_groups_of_two_at_most():
    world = FcWorld().counted(-1.0)
    starts = sorted(at for engine in world.engines for at, name in engine.orders if name == "START")
    assert len(starts) == 9
    assert all(later - first > 100 * ms for first, later in zip(starts, starts[2:], strict=False))


def test_mission_time_counts_from_the_lift_off_event():
    world = FcWorld(**BRIEF).counted(0.5)
    assert world.status["TIME"] == pytest.approx(0.0)
    world.lift()
    world.clock.sleep(2 * s)
    assert world.status["TIME"] == pytest.approx(2.0, abs=0.12)


NO_GO = {
    "RECEIVERS": lambda world: world.receivers.__setitem__(1, "ARMED"),
    "ENGINES": lambda world: setattr(world.engines[3], "fixed", "SAFE"),
    "IMU": lambda world: world.silent.add("IMU2"),
    "GIMBALS": lambda world: world.gimbals[4].__setitem__(0, "FAULT"),
    "SWITCHES": lambda world: world.touch(1, 0),
    "BUS": lambda world: world.dead_buses.add(1),
    "VENT_VALVE": lambda world: setattr(world, "vent_works", False),
}


@pytest.mark.parametrize("cause", NO_GO)
def test_count_holds_with_the_cause_that_is_measured(cause):
    world = FcWorld().power()
    NO_GO[cause](world)
    world.ground("COUNT")
    world.clock.sleep(1500 * ms)
    assert (world.status["MODE"], world.status["HOLD_CAUSE"]) == ("HOLD", cause)
    assert world.orders("START") == []
    assert world.outputs["vent_close"].volts < 1.0


@pytest.mark.parametrize("cause", [cause for cause in NO_GO if cause != "SWITCHES"])
def test_what_is_no_longer_go_after_ignition_aborts_and_shuts_all_engines_down(cause):
    world = FcWorld().counted(-1.0)
    assert world.status["MODE"] == "IGNITION"
    NO_GO[cause](world)
    world.clock.sleep(600 * ms)
    assert (world.status["MODE"], world.status["HOLD_CAUSE"]) == ("ABORT", cause)
    world.clock.sleep(3 * s)
    assert world.orders("SHUTDOWN") == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert world.outputs["release"].volts < 1.0


def test_hold_by_the_ground_ends_with_resume_and_a_fresh_count():
    world = FcWorld().counted(-3.3)
    world.ground("HOLD")
    world.clock.sleep(5 * s)
    assert (world.status["MODE"], world.status["HOLD_CAUSE"]) == ("HOLD", "GROUND")
    world.ground("RESUME")
    world.clock.sleep(3950 * ms)
    assert world.outputs["release"].volts < 1.0
    world.clock.sleep(150 * ms)
    assert world.outputs["release"].volts > 20.0


@pytest.mark.parametrize("to_s", [-3.5, -1.5])
def test_abort_by_the_ground_before_or_after_ignition(to_s):
    world = FcWorld().counted(to_s)
    world.ground("ABORT")
    world.clock.sleep(3 * s)
    assert (world.status["MODE"], world.status["HOLD_CAUSE"]) == ("ABORT", "GROUND")
    assert not {"IGNITION", "RAMP", "MAINSTAGE"} & {engine.state for engine in world.engines}
    assert world.outputs["release"].volts < 1.0


def test_recycle_after_an_abort_resets_engines_and_allows_another_count():
    world = FcWorld().counted(-1.5)
    world.ground("ABORT")
    world.clock.sleep(2 * s)
    world.ground("RECYCLE")
    world.clock.sleep(500 * ms)
    assert world.status["MODE"] == "READY"
    world.ground("COUNT")
    world.clock.sleep(4100 * ms)
    assert world.status["MODE"] == "COMMIT"


def test_recycle_waits_for_engines_that_still_run():
    world = FcWorld().counted(-1.0)
    for engine in world.engines[:9]:
        engine.fixed = "MAINSTAGE"
    world.ground("ABORT")
    world.clock.sleep(500 * ms)
    world.ground("RECYCLE")
    world.clock.sleep(200 * ms)
    assert world.status["MODE"] == "ABORT"
    assert len(world.engines[0].orders) > 3  # it is told again and again


@pytest.mark.parametrize("pc_mpa", [8.5, 11.5])
def test_chamber_pressure_out_of_band_aborts_before_release(pc_mpa):
    world = FcWorld().counted(-1.0)
    world.engines[6].pc_mpa = pc_mpa
    world.clock.sleep(1500 * ms)
    assert (world.status["MODE"], world.status["HOLD_CAUSE"]) == ("ABORT", "ENGINES")


def test_engine_that_does_not_answer_its_start_aborts_before_the_last_has_started():
    world = FcWorld().power()
    world.engines[8].fixed = "STANDBY"
    world.ground("COUNT")
    world.clock.sleep(1300 * ms)
    assert world.status["MODE"] == "ABORT"
    assert len(world.orders("START")) < 9


def test_engine_ten_is_never_started():
    world = FcWorld(**BRIEF).flying()
    world.clock.sleep(1 * s)
    assert world.engines[9].orders == []


@pytest.mark.parametrize(("contacts", "moves", "mode"), [
    ((0, 1), True, "FLIGHT"),
    ((1, 0), True, "FLIGHT"),
    ((0, 0), False, "FLIGHT"),
    ((0, 1), False, "ABORT"),
    ((1, 1), True, "COMMIT"),
    ((1, 1), False, "ABORT"),
])  # fmt: skip
def test_lift_off_takes_two_of_both_switches_and_the_acceleration(contacts, moves, mode):
    world = FcWorld(**BRIEF).counted(0.1)
    world.lift()
    if not moves:
        world.imus = [(0.0, 0.0, 0.0, 9.82, 0.0, 0.0)] * 3
    world.touch(*contacts, 0)
    world.clock.sleep(3 * s)
    assert world.status["MODE"] == mode


def test_one_switch_that_opens_early_is_flagged_and_the_count_goes_on():
    world = FcWorld().counted(-0.5)
    world.touch(0, 1)
    world.clock.sleep(200 * ms)
    assert (world.status["MODE"], world.status["HOLD_CAUSE"]) == ("IGNITION", "SWITCHES")
    world.clock.sleep(400 * ms)
    assert (world.status["MODE"], world.status["LIFTOFF"]) == ("COMMIT", 0)
    world.imus = [(0.0, 0.0, 0.0, 12.2, 0.0, 0.0)] * 3
    world.clock.sleep(200 * ms)
    assert world.status["MODE"] == "FLIGHT"


def test_both_switches_open_before_the_release_abort():
    world = FcWorld().counted(-0.5)
    world.touch(0, 0)
    world.clock.sleep(200 * ms)
    assert (world.status["MODE"], world.status["HOLD_CAUSE"]) == ("ABORT", "SWITCHES")


def test_ground_commands_do_nothing_in_flight():
    world = FcWorld(**BRIEF).flying()
    for command in ("ABORT", "SAFE", "HOLD", "RECYCLE", "COUNT"):
        world.ground(command)
        world.clock.sleep(100 * ms)
    assert world.status["MODE"] == "FLIGHT"
    assert world.orders("SHUTDOWN") == []


def test_no_engine_is_started_again_after_a_cut():
    world = FcWorld(**BRIEF).flying()
    for engine in world.engines:
        engine.interrupted, engine.fixed = 1, "SAFE"
    world.clock.sleep(2 * s)
    before = [len(engine.orders) for engine in world.engines]
    for command in ("RECYCLE", "COUNT", "RESUME"):
        world.ground(command)
        world.clock.sleep(1 * s)
    assert [len(engine.orders) for engine in world.engines] == before
    assert world.status["ENGINES_LOST"] == 0b11_1111_1111


def test_receiver_that_has_terminated_bars_every_count():
    world = FcWorld().power()
    world.receivers[0] = "TERMINATED"
    world.clock.sleep(300 * ms)
    world.receivers[0] = "SAFE"
    world.ground("COUNT")
    world.clock.sleep(1 * s)
    assert (world.status["MODE"], world.status["HOLD_CAUSE"]) == ("HOLD", "RECEIVERS")


def test_seeded_restart_gives_start_to_engines_that_went_out():
    world = FcWorld(**BRIEF, **{"count.restarts": True}).flying()
    world.engines[2].fixed = "SAFE"
    world.clock.sleep(500 * ms)
    assert [name for _, name in world.engines[2].orders].count("START") > 1
