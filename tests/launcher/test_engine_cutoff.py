"""Engine controller: the FTS shutdown line end to end, a halted CPU, supply dropouts, corrupted commands (ENG-09)."""

from __future__ import annotations

import pytest

from hil.can.frame import Frame
from hil.signal import HIGH, LOW
from hil.units import ms, s

COMMAND = 0x110  # typed from the ICD table, like the bytes: START is 01, counter 0, CRC 64 over F0 21 01 00


@pytest.mark.requirement("ENG-R-12", "FTS-R-44")
@pytest.mark.measures(
    "engine.fts_line_to_driver_off", "engine.fts_command_to_driver_off", "engine.fts_command_to_closed"
)
def test_termination_cuts_the_engine_off_with_its_cpu_halted(engine, fts, uplink, rig, measure, icd, guaranteed_dbm):
    """ARM and TERMINATE close the valves through the hardware line, although the controller's CPU stands still."""
    engine.start()
    engine.state.expect("MAINSTAGE", within=3 * s)

    with rig.inject("engine", "cpu_halt"):
        assert engine.main_valves.stays("OPEN", for_=200 * ms)
        armed = uplink.send("ARM", level_dbm=guaranteed_dbm)
        line = fts.shutdown_output.expect(HIGH, within=200 * ms)
        driver_off = engine.main_valve_current_a.expect(below=icd.off_a, within=200 * ms, since=line.at)
        closed = engine.main_valves.expect("CLOSED", within=1 * s)
        uplink.send("TERMINATE", level_dbm=guaranteed_dbm)
        fts.terminate_output.expect(HIGH, within=200 * ms)
        assert engine.main_valves.stays("CLOSED", for_=1 * s)

    measure("engine.fts_line_to_driver_off", (driver_off.at - line.at) / ms, "ms")
    measure("engine.fts_command_to_driver_off", (driver_off.at - armed.at) / ms, "ms")
    measure("engine.fts_command_to_closed", (closed.at - armed.at) / ms, "ms")


@pytest.mark.requirement("ENG-R-12")
@pytest.mark.parametrize("cpu", ["running", "halted"])
def test_nothing_restarts_after_the_cut(engine, fts, uplink, rig, icd, guaranteed_dbm, cpu):
    """Once the line has cut the engine, neither its release nor RESET and START brings valve power back."""
    engine.start()
    engine.state.expect("MAINSTAGE", within=3 * s)
    if cpu == "halted":
        rig.inject("engine", "cpu_halt")
    uplink.send("ARM", level_dbm=guaranteed_dbm)
    engine.main_valves.expect("CLOSED", within=1 * s)

    fts.reset()
    fts.shutdown_output.expect(LOW, within=100 * ms)
    engine.reset()
    rig.clock.sleep(50 * ms)
    engine.start()
    assert engine.main_valves.stays("CLOSED", for_=1 * s)
    assert engine.igniter_current_a.stays(below=icd.off_a, for_=1 * s)


@pytest.mark.requirement("ENG-R-10")
@pytest.mark.measures("engine.dropout")
def test_supply_dropout_moves_no_valve(engine, stand, measure, profile, always):
    """A 50 ms dropout of the controller's supply in mainstage moves no valve and ends no phase."""
    engine.start()
    engine.state.expect("MAINSTAGE", within=3 * s)
    always(engine.main_valves, "OPEN")

    stand.dropout("engine", round(profile.value("engine.dropout_time", "ms") * ms))
    lost = engine.supply_v.expect(below=5.0, within=500 * ms)
    back = engine.supply_v.expect(above=20.0, within=500 * ms, since=lost.at)
    measure("engine.dropout", (back.at - lost.at) / ms, "ms")
    assert engine.state.stays("MAINSTAGE", for_=500 * ms)


@pytest.mark.requirement("ENG-R-14")
@pytest.mark.measures("engine.commands_refused")
def test_corrupted_command_is_not_obeyed(engine, rig, measure, icd):
    """START with a wrong CRC, or the CRC of another message, does nothing; the good frame starts the engine."""
    refused = 0
    for data in ("010065", "0100e8"):
        for bus in ("bus_a", "bus_b"):
            rig.bus(bus).send_raw(Frame(COMMAND, bytes.fromhex(data)))
        refused += engine.igniter_current_a.stays(below=icd.off_a, for_=100 * ms)
    measure("engine.commands_refused", refused, "1")

    rig.bus("bus_a").send_raw(Frame(COMMAND, bytes.fromhex("010064")))
    engine.igniter_current_a.expect(above=icd.on_a, within=100 * ms)
