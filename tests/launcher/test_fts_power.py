"""The receivers and their supply: dropout, ramp, warm-up, input current."""

from __future__ import annotations

import pytest

from hil.signal import HIGH, LOW
from hil.units import ms


@pytest.mark.requirement("FTS-R-11")
@pytest.mark.measures("fts.dropout", "fts.armed_after_dropout", "fts.inadvertent_outputs")
def test_a_dropout_changes_no_state(fts, uplink, stand, measure, cover, profile, guaranteed_dbm, clock):
    """After 50 ms without supply ARM is still latched, nothing else came on, and TERMINATE still works."""
    uplink.send("ARM", level_dbm=guaranteed_dbm)
    fts.arm_output.expect(HIGH, within=100 * ms)

    began_ns = clock.now
    stand.dropout(fts.name, round(profile.value("fts.dropout_time", "ms") * ms))
    lost = fts.supply.expect(LOW, within=0, since=began_ns)
    back = fts.supply.expect(HIGH, within=0, since=lost.at)
    clock.sleep(100 * ms)

    cover("fts.unsettled", "dropout")
    measure("fts.dropout", (back.at - lost.at) / ms, "ms")
    measure("fts.armed_after_dropout", fts.arm_output.last.value is HIGH, "1")
    measure("fts.inadvertent_outputs", sum(reading.value for reading in fts.terminate_output.history(began_ns)), "1")
    uplink.send("TERMINATE", level_dbm=guaranteed_dbm)
    fts.terminate_output.expect(HIGH, within=100 * ms)


@pytest.mark.requirement("FTS-R-10")
@pytest.mark.measures("fts.output_leakage", "fts.response_time")
def test_a_supply_ramp_gives_no_output(unpowered_fts, uplink, stand, measure, cover, profile, guaranteed_dbm, clock):
    """While the supply rises from zero to nominal and falls back no output comes on; after it the receiver works."""
    fts = unpowered_fts
    nominal_v = profile.values("fts.supply_voltages", "V")[1]
    warm_up_ns, ramp_ns = (round(profile.value(f"fts.{name}_time", "ms") * ms) for name in ("warm_up", "ramp"))
    stand.power_on(fts.name, 0.0)
    began_ns = clock.now
    stand.ramp(fts.name, nominal_v, ramp_ns)
    clock.sleep(warm_up_ns)
    stand.ramp(fts.name, 0.0, ramp_ns)
    fts.supply.expect(HIGH, within=0, since=began_ns)
    fts.supply.expect(LOW, within=100 * ms)
    cover("fts.unsettled", "ramp")
    measure("fts.output_leakage", fts.peak_current_a(began_ns), "A")

    stand.power_on(fts.name, nominal_v)
    clock.sleep(warm_up_ns)
    sent = uplink.send("ARM", level_dbm=guaranteed_dbm)
    armed = fts.arm_output.expect(HIGH, within=100 * ms)
    measure("fts.response_time", (armed.at - sent.at) / ms, "ms")


@pytest.mark.requirement("FTS-R-08")
@pytest.mark.measures("fts.warm_up", "fts.response_time")
def test_warm_up(unpowered_fts, uplink, stand, measure, cover, profile, guaranteed_dbm, clock):
    """Within its warm-up time after power-on a receiver works, and as fast as ever."""
    fts = unpowered_fts
    sent = uplink.send("ARM", level_dbm=guaranteed_dbm, duration_ns=1500 * ms)
    stand.power_on(fts.name)
    powered = fts.supply.expect(HIGH, within=100 * ms, since=sent.at)
    armed = fts.arm_output.expect(HIGH, within=1500 * ms, since=powered.at)
    cover("fts.unsettled", "power-up under a command")
    measure("fts.warm_up", (armed.at - powered.at) / ms, "ms")

    stand.power_off(fts.name)
    clock.sleep(1000 * ms)
    stand.power_on(fts.name)
    clock.sleep(round(profile.value("fts.warm_up_time", "ms") * ms))
    sent = uplink.send("ARM", level_dbm=guaranteed_dbm)
    armed = fts.arm_output.expect(HIGH, within=100 * ms)
    measure("fts.response_time", (armed.at - sent.at) / ms, "ms")


@pytest.mark.requirement("FTS-R-02")
@pytest.mark.measures("fts.input_current", "fts.input_current_variation")
def test_input_current(fts, stand, measure, supply_v, clock):
    """A receiver draws the specified current, and steadily, at every supply voltage."""
    stand.power_on(fts.name, supply_v)
    clock.sleep(50 * ms)
    drawn, began_ns = fts.supply_a.last, clock.now
    clock.sleep(500 * ms)

    amps = [reading.value for reading in (drawn, *fts.supply_a.history(began_ns))]
    measure("fts.input_current", amps[-1], "A")
    measure("fts.input_current_variation", max(amps) - min(amps), "A")
