"""The receivers' outputs into flight-equivalent loads."""

from __future__ import annotations

import pytest

from hil.signal import HIGH
from hil.units import ms


@pytest.mark.requirement("FTS-R-07")
@pytest.mark.measures("fts.output_drop", "fts.terminate_current")
def test_outputs_drive_their_loads(fts, uplink, stand, measure, cover, supply_v, guaranteed_dbm, clock):
    """ARM, TERMINATE and shutdown together drive flight-equivalent loads at every supply voltage."""
    stand.power_on(fts.name, supply_v)
    uplink.send_sequence(["ARM", "TERMINATE"], level_dbm=guaranteed_dbm)
    fts.terminate_output.expect(HIGH, within=100 * ms)
    clock.sleep(10 * ms)

    assert fts.outputs_on == ("arm", "terminate", "shutdown")
    for command in ("ARM", "TERMINATE"):
        cover("fts.obeyed_at_supply", command, supply_v)
    for volts, _ in fts.loads.values():
        measure("fts.output_drop", fts.supply_v.last.value - volts.last.value, "V")
    measure("fts.terminate_current", fts.terminate_a.last.value, "A")


@pytest.mark.requirement("FTS-R-06")
@pytest.mark.measures("fts.output_leakage")
def test_open_outputs_do_not_leak(fts, stand, measure, profile, clock):
    """Open outputs leak at least 20 dB less into their loads than what could initiate, at the highest supply."""
    stand.power_on(fts.name, max(profile.values("fts.supply_voltages", "V")))
    clock.sleep(100 * ms)

    for _, amps in fts.loads.values():
        measure("fts.output_leakage", amps.last.value, "A")
