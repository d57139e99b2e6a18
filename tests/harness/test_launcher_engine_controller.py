"""The simulated engine controller and its hardware at their connectors."""

from __future__ import annotations

import pytest
from engine_world import SENSORS, EngineWorld

from hil.faults import Fault
from hil.units import ms, s

CLOSED_V = (0.6, 0.6)
OPEN_V = (4.3, 4.3)


def is_open(world):
    return all(volts >= limit for volts, limit in zip(world.valves_v, OPEN_V, strict=True))


def is_closed(world):
    return all(volts <= limit for volts, limit in zip(world.valves_v, CLOSED_V, strict=True))


def test_unpowered_controller_says_nothing():
    world = EngineWorld()
    world.clock.sleep(500 * ms)
    assert world.status == {}
    assert is_closed(world)


def test_start_before_standby_is_ignored():
    world = EngineWorld()
    world.beating.clear()
    world.power()
    world.clock.sleep(200 * ms)
    world.command("START")
    world.clock.sleep(100 * ms)
    assert world.status["STATE"] == "CHECKOUT"
    world.beating.add("bus_b")
    world.clock.sleep(300 * ms)
    assert world.status["STATE"] == "STANDBY"


@pytest.mark.parametrize(("ports", "state"), [(("can_b",), "IGNITION"), ((), "STANDBY")])
def test_commands_are_taken_from_the_buses_that_are_listened_to(ports, state):
    world = EngineWorld(command_ports=ports)
    world.power()
    world.clock.sleep(200 * ms)
    world.command("START")
    world.clock.sleep(50 * ms)
    assert world.status["STATE"] == state


def test_engine_runs_at_its_as_built_chamber_pressure():
    world = EngineWorld().started()
    assert is_open(world)
    assert world.status["PC"] == pytest.approx(10.0, abs=0.05)


def test_supply_carries_what_the_valves_draw():
    world = EngineWorld()
    world.power()
    world.clock.sleep(200 * ms)
    idle_a = -world.supply.amps
    world.command("START")
    world.clock.sleep(1100 * ms)
    valves_a = sum(world.wiring.pin(f"engine_hardware.{name}").amps for name in ("main_ox", "main_fuel"))
    assert valves_a > 2.0
    assert -world.supply.amps == pytest.approx(idle_a + valves_a, rel=0.01)


@pytest.mark.parametrize(("missing_ms", "survives"), [(79, True), (81, False)])
def test_hold_up_carries_controller_and_valves_over_a_dropout(missing_ms, survives):
    world = EngineWorld().started()
    world.supply.release()
    world.clock.sleep(missing_ms * ms)
    world.power()
    world.clock.sleep(300 * ms)
    assert is_open(world) is survives
    assert (world.status["STATE"] == "MAINSTAGE") is survives


def test_halted_controller_holds_its_outputs_and_says_nothing():
    world = EngineWorld().started()
    resume = world.controller.apply(Fault("engine", "cpu_halt"))
    world.clock.sleep(5 * ms)  # what was on the bus already arrives
    world.status = {}
    world.clock.sleep(1 * s)
    assert is_open(world)
    assert world.status == {}
    resume()
    world.clock.sleep(50 * ms)
    assert world.status["STATE"] == "MAINSTAGE"


@pytest.mark.parametrize("line", ["a", "b"])
def test_cut_lasts_over_a_restart_of_the_software_and_ends_with_power(line):
    world = EngineWorld().started()
    pin = world.wiring.pin(f"engine.fts_shutdown_{line}")
    pin.drive(28.0, 1.0)
    world.clock.sleep(200 * ms)
    pin.release()
    world.controller.reset()
    world.clock.sleep(300 * ms)
    assert is_closed(world)
    assert world.status["INTERRUPTED"] == 1
    world.supply.release()
    world.clock.sleep(500 * ms)
    world.started()
    assert world.status["INTERRUPTED"] == 0


def test_controller_that_boots_with_the_line_high_has_no_valve_power():
    world = EngineWorld()
    world.wiring.pin("engine.fts_shutdown_a").drive(28.0, 1.0)
    world.power()
    world.clock.sleep(300 * ms)
    world.command("START")
    world.clock.sleep(500 * ms)
    assert world.status["STATE"] == "SAFE"
    assert world.status["ABORT_CAUSE"] == "FTS"
    assert world.wiring.pin("engine_hardware.igniter").amps < 0.01


def test_first_abort_cause_stands():
    world = EngineWorld().started()
    world.drive("pc", 4.0)
    world.clock.sleep(50 * ms)
    world.wiring.pin("engine.fts_shutdown_a").drive(28.0, 1.0)
    world.clock.sleep(500 * ms)
    assert world.status["ABORT_CAUSE"] == "PC_HIGH"


def test_reset_is_refused_while_a_valve_is_not_closed():
    world = EngineWorld().started()
    world.wiring.apply(Fault("ox_position", "short_to_supply", parameters={"volts": 4.5}))
    world.command("SHUTDOWN")
    world.clock.sleep(700 * ms)
    assert world.status["STATE"] == "SAFE"
    world.command("RESET")
    world.clock.sleep(100 * ms)
    assert world.status["STATE"] == "SAFE"


def test_heartbeat_that_comes_back_within_the_grace_ends_it():
    world = EngineWorld().started()
    world.beating.clear()
    world.clock.sleep(1500 * ms)
    assert world.status["HEARTBEAT_LOST"] == 1
    world.beating.update(world.wires)
    world.clock.sleep(3 * s)
    assert world.status["HEARTBEAT_LOST"] == 0
    assert world.status["STATE"] == "MAINSTAGE"


def test_sensors_of_a_cold_engine_stand_still():
    world = EngineWorld().started()
    world.command("SHUTDOWN")
    world.clock.sleep(2 * s)
    before = [world.wiring.pin(f"stand.{sensor}").read() for sensor in SENSORS]
    world.clock.sleep(1 * s)
    assert before == [world.wiring.pin(f"stand.{sensor}").read() for sensor in SENSORS]
    assert before[:3] == pytest.approx([0.5] * 3, abs=1e-3)


def test_sensors_of_a_live_engine_are_noisy_and_hold_for_10_ms():
    world = EngineWorld().started()
    pin = world.wiring.pin("stand.pc_a")
    world.clock.sleep(5 * ms)
    found = []
    for _ in range(40):
        world.clock.sleep(5 * ms)
        found.append(pin.read())
    assert len(set(found)) in (20, 21)


def test_a_sensor_without_excitation_gives_nothing():
    world = EngineWorld().started()
    assert world.wiring.pin("stand.pc_a").read() > 2.0
    world.power(0.0)
    world.clock.sleep(500 * ms)
    assert world.wiring.pin("stand.pc_a").read() == pytest.approx(0.0, abs=1e-3)


def test_the_plant_takes_the_smaller_opening_while_the_chamber_burns():
    world = EngineWorld()
    flow = world.wiring.quantity_pin("engine_hardware.flow", 1)
    world.power()
    world.clock.sleep(300 * ms)
    assert flow.values == (0.0,)
    world.command("START")
    found = []
    for _ in range(120):
        world.clock.sleep(10 * ms)
        found.append(flow.values[0])
    assert sorted(found) == found
    assert found[0] == 0.0
    assert found[-1] == 1.0
    assert any(0.1 < share < 0.9 for share in found)


def test_the_flow_ends_with_the_travel_of_the_first_valve_that_closes():
    world = EngineWorld().started()
    flow = world.wiring.quantity_pin("engine_hardware.flow", 1)
    assert flow.values == (1.0,)
    world.command("SHUTDOWN")
    world.clock.sleep(60 * ms)
    assert 0.0 < flow.values[0] < 1.0
    world.clock.sleep(100 * ms)
    assert flow.values == (0.0,)


def test_same_seed_gives_the_same_noise():
    first, second = EngineWorld().started(), EngineWorld().started()
    for sensor in SENSORS:
        volts = first.wiring.pin(f"stand.{sensor}").read()
        assert volts == second.wiring.pin(f"stand.{sensor}").read()
    assert first.wiring.pin("stand.pc_a").read() != first.wiring.pin("stand.pc_b").read()


def test_lit_chamber_goes_out_when_one_valve_loses_its_wire():
    world = EngineWorld().started()
    world.wiring.apply(Fault("main_fuel", "open"))
    world.clock.sleep(500 * ms)
    assert not world.hardware.burning
    assert world.status["ABORT_CAUSE"] == "PC_LOW"
