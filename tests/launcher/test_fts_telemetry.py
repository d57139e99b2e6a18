"""What the receivers report of themselves, against their pins: compared, never judged by."""

from __future__ import annotations

import pytest

from hil.signal import HIGH
from hil.units import ms


@pytest.mark.requirement("FTS-R-43")
@pytest.mark.measures("fts.reported_state_agrees", "fts.report_delay")
def test_reported_state_agrees_with_the_pins(fts, uplink, measure, guaranteed_dbm):
    """SAFE, ARMED and TERMINATED are reported when, and only when, the pins say so."""
    reported = [fts.reported_state.expect("SAFE", within=300 * ms).value]
    pins = [fts.outputs_on]
    for command, output in (("ARM", fts.arm_output), ("TERMINATE", fts.terminate_output)):
        uplink.send(command, level_dbm=guaranteed_dbm)
        switched = output.expect(HIGH, within=100 * ms)
        report = fts.reported_state.expect(lambda state: state != reported[-1], within=500 * ms, since=switched.at)
        measure("fts.report_delay", (report.at - switched.at) / ms, "ms")
        reported.append(report.value)
        pins.append(fts.outputs_on)

    expected = {(): "SAFE", ("arm", "shutdown"): "ARMED", ("arm", "terminate", "shutdown"): "TERMINATED"}
    measure("fts.reported_state_agrees", [expected.get(on) for on in pins] == reported, "1")


@pytest.mark.requirement("FTS-R-43")
@pytest.mark.measures("fts.reported_sst_error", "fts.reported_supply_error")
def test_reported_values_agree_with_the_pins(fts, uplink, stand, measure, supply_v, clock):
    """Signal strength and supply voltage are reported as they are at the pins."""
    stand.power_on(fts.name, supply_v)
    uplink.carrier(level_dbm=-70.0)
    clock.sleep(300 * ms)

    settled_ns = clock.now
    reported = fts.reported_sst_v.expect(above=0.0, within=200 * ms, since=settled_ns)
    measure("fts.reported_sst_error", abs(reported.value - fts.sst_v.last.value), "V")
    reported = fts.reported_supply_v.expect(above=0.0, within=200 * ms, since=settled_ns)
    measure("fts.reported_supply_error", abs(reported.value - fts.supply_v.last.value), "V")
