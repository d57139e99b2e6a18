"""Engine controller: every abort cause is provoked, and reported by its right name (ENG-13)."""

from __future__ import annotations

import pytest

from hil.units import s

OPEN_WIRES = {"NO_IGNITION": "igniter", "OX_VALVE": "main_ox", "FUEL_VALVE": "main_fuel"}


@pytest.fixture
def provoke(engine, stand, rig, icd):
    """``provoke("PC_LOW")`` starts the engine and brings an abort about; returns what clears its reason."""

    def bring_about(cause):
        if cause in OPEN_WIRES:
            fault = rig.inject(OPEN_WIRES[cause], "open")
            engine.start()
            return fault.clear
        engine.start()
        engine.state.expect("MAINSTAGE", within=3 * s)
        if cause == "COMMAND":
            engine.shutdown()
            return lambda: None
        if cause == "HEARTBEAT":
            engine.heartbeat_off()
            return engine.heartbeat_on
        if cause == "SENSORS":
            faults = [rig.inject(sensor, "open") for sensor in ("pc_a", "pc_b")]
            return lambda: [fault.clear() for fault in faults]
        if cause == "FTS":
            return rig.inject("fts_a_shutdown", "short_to_supply", volts=28.0, ohms=1.0).clear
        redline = icd.redline(cause.lower())
        stand.drive(redline.sensor, redline.beyond)
        return lambda: stand.release(redline.sensor)

    return bring_about


@pytest.mark.requirement("ENG-R-13")
@pytest.mark.measures("engine.abort_causes_decoded")
def test_every_abort_cause_is_reported_by_its_name(engine, icd, measure, cover, provoke):
    """Each abort cause of the specification is provoked in turn; telemetry names it, and it clears with RESET."""
    causes = sorted(icd.causes, key=lambda cause: cause == "FTS")  # the cut by FTS lasts until power goes: last
    decoded = []
    for cause in causes:
        clear = provoke(cause)
        if engine.abort_cause.seen(cause, within=4 * s):
            decoded.append(cause)
            cover("engine.abort", "RAMP" if cause in OPEN_WIRES else "MAINSTAGE", cause)
        engine.main_valves.expect("CLOSED", within=1 * s)
        engine.state.expect("SAFE", within=1 * s)
        clear()
        engine.reset()
        if cause != "FTS":
            engine.state.expect("STANDBY", within=1 * s)
    measure("engine.abort_causes_decoded", 100.0 * len(decoded) / len(causes), "%")
