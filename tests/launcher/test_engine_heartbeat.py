"""Engine controller: loss of the flight computer's heartbeat, phase by phase (ENG-08)."""

from __future__ import annotations

import pytest

from hil.units import ms, s


@pytest.mark.requirement("ENG-R-08")
@pytest.mark.measures("engine.heartbeat_loss_in_standby")
def test_heartbeat_loss_in_standby_makes_the_engine_safe(engine, measure, cover, icd):
    """Without a heartbeat the controller leaves standby for SAFE, and then it does not start."""
    engine.heartbeat_off()
    safe = engine.state.expect("SAFE", within=1 * s)
    measure("engine.heartbeat_loss_in_standby", (safe.at - engine.last_heartbeat_ns) / ms, "ms")
    cover("engine.abort", "STANDBY", "HEARTBEAT")

    engine.start()
    assert engine.igniter_current_a.stays(below=icd.off_a, for_=500 * ms)
    assert engine.main_valves.stays("CLOSED", for_=500 * ms)


@pytest.mark.requirement("ENG-R-08")
@pytest.mark.parametrize(
    ("state", "limit"),
    [
        pytest.param(state, limit, marks=pytest.mark.measures(limit), id=state.lower())
        for state, limit in (
            ("RAMP", "engine.heartbeat_loss_in_start"),
            ("MAINSTAGE", "engine.heartbeat_loss_in_mainstage"),
        )
    ],
)
def test_heartbeat_loss_shuts_a_running_engine_down(engine, measure, cover, icd, state, limit):
    """A start is stopped at once when the heartbeat goes; in mainstage the engine runs on for a time of grace."""
    engine.start()
    engine.state.expect(state, within=3 * s)

    engine.heartbeat_off()
    engine.heartbeat_lost.expect(1, within=500 * ms)
    driver_off = engine.main_valve_current_a.expect(below=icd.off_a, within=5 * s)
    measure(limit, (driver_off.at - engine.last_heartbeat_ns) / ms, "ms")
    engine.main_valves.expect("CLOSED", within=1 * s)
    engine.abort_cause.expect("HEARTBEAT", within=100 * ms)
    cover("engine.abort", state, "HEARTBEAT")


@pytest.mark.requirement("ENG-R-08")
@pytest.mark.parametrize("lost", ["bus_a", "bus_b"])
def test_heartbeat_on_one_bus_is_enough(engine, lost):
    """With the heartbeat on either bus alone the engine starts and runs on."""
    engine.heartbeat_off(lost)
    assert engine.state.stays("STANDBY", for_=500 * ms)
    engine.start()
    engine.state.expect("MAINSTAGE", within=3 * s)
    assert engine.main_valves.stays("OPEN", for_=2500 * ms)
