"""Engine controller: redundant buses, one of them dead (ENG-07)."""

from __future__ import annotations

import pytest

from hil.units import ms, s


@pytest.mark.requirement("ENG-R-16")
@pytest.mark.measures("engine.start_to_igniter", "engine.shutdown_to_main_ox_off")
@pytest.mark.parametrize("dead", ["bus_a", "bus_b"])
def test_commands_survive_a_dead_bus(engine, rig, measure, cover, icd, dead):
    """With every frame of one bus destroyed no valve moves, and START and SHUTDOWN arrive in time over the other."""
    with rig.inject(dead, "corrupt"):
        rig.clock.sleep(20 * ms)
        received = rig.bus(dead).stats.received
        assert engine.main_valves.stays("CLOSED", for_=200 * ms)
        commanded_ns = engine.start()
        igniter = engine.igniter_current_a.expect(above=icd.on_a, within=200 * ms)
        measure("engine.start_to_igniter", (igniter.at - commanded_ns) / ms, "ms")
        engine.state.expect("MAINSTAGE", within=3 * s)
        assert engine.main_valves.stays("OPEN", for_=500 * ms)

        commanded_ns = engine.shutdown()
        ox_off = engine.main_ox_current_a.expect(below=icd.off_a, within=200 * ms)
        measure("engine.shutdown_to_main_ox_off", (ox_off.at - commanded_ns) / ms, "ms")
        engine.main_valves.expect("CLOSED", within=1 * s)
        for command in ("START", "SHUTDOWN"):
            cover("engine.command_on", command, {"bus_a": "B", "bus_b": "A"}[dead])
        assert rig.bus(dead).stats.received == received  # nothing came through: the bus was dead
