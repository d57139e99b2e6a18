"""The engine controller's RTL on its board: converter, CAN, output stage and interrupter around the FPGA."""

from __future__ import annotations

import itertools

import pytest
from rtl_engine_world import engine_world

from hil.units import ms

REGISTERS = ("u_sequence", "u_watch", "u_timer")


@pytest.fixture
def world(tmp_path, hdl):
    hdl("verilator")
    with engine_world(tmp_path) as made:
        yield made


def test_it_checks_itself_hears_the_flight_computer_and_stands_by(world):
    world.power()
    world.clock.sleep(90 * ms)
    assert world.status["STATE"] == "CHECKOUT"
    world.clock.sleep(60 * ms)
    assert world.status["STATE"] == "STANDBY"
    assert world.status["ABORT_CAUSE"] == "NONE"
    assert world.on == set()


def test_the_line_cuts_in_hardware_while_the_clock_stands_still(world):
    world.ignited()
    with world.rig.inject("engine", "cpu_halt"):
        world.status = {}
        world.clock.sleep(100 * ms)
        assert world.on == {"main_ox", "igniter"}
        world.lines["b"].drive(28.0, 1.0)
        world.clock.sleep(5 * ms)
        assert world.on == set()
    world.clock.sleep(50 * ms)
    assert (world.status["ABORT_CAUSE"], world.status["INTERRUPTED"]) == ("FTS", 1)


def test_a_reset_configures_the_fpga_anew_and_leaves_the_interrupter(world):
    world.ignited()
    world.lines["a"].drive(28.0, 1.0)
    world.clock.sleep(20 * ms)
    world.lines["a"].release()
    world.board.reset()
    world.clock.sleep(60 * ms)
    assert world.status["STATE"] == "SAFE"
    assert (world.status["ABORT_CAUSE"], world.status["INTERRUPTED"]) == ("FTS", 1)


def test_without_power_outputs_open_and_nothing_is_kept(world):
    world.ignited()
    world.supply.release()
    world.clock.sleep(200 * ms)
    assert world.on == set()
    world.power()
    world.clock.sleep(60 * ms)
    assert (world.status["STATE"], world.on) == ("CHECKOUT", set())


def test_another_strap_makes_it_another_engine(tmp_path, hdl):
    hdl("verilator")
    with engine_world(tmp_path, node="ENG7") as world:
        world.ignited()
        assert world.status["STATE"] == "IGNITION"
        assert world.status["IGNITER"] == 1


def test_upsets_of_one_copy_move_nothing(tmp_path, hdl):
    hdl("verilator")

    def frames(*, upset):
        with engine_world(tmp_path, upsets=True) as world:
            world.ignited()
            seen = []
            world.rig.bus("bus_a").subscribe(lambda frame: seen.append((frame.at_ns, frame.data)), ["ENG1_STATUS"])
            for register, bit in itertools.product(REGISTERS, (0, 2, 9)):
                if upset:
                    flip(world, f"u_core.{register}.u_a.bank_q", bit)
                world.clock.sleep(1 * ms)
                copies = {world.board.fpga.peek(f"u_core.{register}.u_{copy}.bank_q") for copy in "abc"}
                assert len(copies) == 1
            world.clock.sleep(20 * ms)
            return world.on, seen

    def flip(world, register, bit):
        before = world.board.fpga.peek(register)
        world.rig.inject("engine", "seu", register=register, bit=bit)
        assert world.board.fpga.peek(register) != before

    assert frames(upset=True) == frames(upset=False)
