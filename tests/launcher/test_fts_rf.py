"""The receivers' RF side: threshold, response time, tone filters, deviation."""

from __future__ import annotations

import pytest

from hil.signal import HIGH
from hil.units import ms
from hil_launcher.clients.sweep import threshold_sweep


@pytest.mark.requirement("FTS-R-04")
@pytest.mark.measures("fts.arm_threshold", "fts.arm_threshold_spread")
def test_arm_threshold(fts, uplink, measure, cover):
    """ARM works at the guaranteed level and at every stronger one, going down and coming up."""

    def arms_at(level_dbm):  # at the antenna port
        fts.reset()
        uplink.send("ARM", level_dbm=level_dbm)
        armed = fts.arm_output.seen(HIGH, within=60 * ms)  # the pin, not telemetry
        if armed:
            cover("fts.obeyed_at_level", "ARM", level_dbm)
        return armed

    sweep = threshold_sweep(arms_at, from_dbm=-90.0, to_dbm=-125.0, step_db=0.5, tries=5)

    measure("fts.arm_threshold", sweep.threshold_dbm, "dBm")
    measure("fts.arm_threshold_spread", sweep.spread_db, "dB")
    assert sweep.is_monotonic, sweep.table


@pytest.mark.requirement("FTS-R-04")
@pytest.mark.measures("fts.terminate_threshold", "fts.terminate_threshold_spread")
def test_terminate_threshold(fts, uplink, measure, cover, guaranteed_dbm):
    """An armed receiver obeys TERMINATE at the guaranteed level and at every stronger one, going down and coming up."""

    def terminates_at(level_dbm):  # at the antenna port
        fts.reset()
        uplink.send("ARM", level_dbm=guaranteed_dbm)
        fts.arm_output.expect(HIGH, within=60 * ms)
        uplink.send("TERMINATE", level_dbm=level_dbm)
        terminated = fts.terminate_output.seen(HIGH, within=60 * ms)
        if terminated:
            cover("fts.obeyed_at_level", "TERMINATE", level_dbm)
        return terminated

    sweep = threshold_sweep(terminates_at, from_dbm=-105.0, to_dbm=-120.0, step_db=0.5, tries=3)

    measure("fts.terminate_threshold", sweep.threshold_dbm, "dBm")
    measure("fts.terminate_threshold_spread", sweep.spread_db, "dB")
    assert sweep.is_monotonic, sweep.table


@pytest.mark.requirement("FTS-R-18")
@pytest.mark.measures("fts.missed_over_range")
def test_commands_work_over_the_whole_range_of_levels(fts, uplink, measure, cover, range_dbm):
    """ARM and TERMINATE work at evenly spaced levels from the guaranteed one to the strongest."""
    missed = 0
    for level_dbm in range_dbm:
        fts.reset()
        for command, output in (("ARM", fts.arm_output), ("TERMINATE", fts.terminate_output)):
            uplink.send(command, level_dbm=level_dbm)
            if output.seen(HIGH, within=60 * ms):
                cover("fts.obeyed_at_level", command, level_dbm)
            else:
                missed += 1

    measure("fts.missed_over_range", missed, "1")


@pytest.mark.requirement("FTS-R-05")
@pytest.mark.measures("fts.response_time")
def test_response_time(fts, uplink, stand, measure, cover, supply_v, guaranteed_dbm):
    """ARM and TERMINATE reach their output pins in time, at the guaranteed level and every supply voltage."""
    stand.power_on(fts.name, supply_v)

    sent = uplink.send("ARM", level_dbm=guaranteed_dbm)
    armed = fts.arm_output.expect(HIGH, within=100 * ms)
    measure("fts.response_time", (armed.at - sent.at) / ms, "ms")

    sent = uplink.send("TERMINATE", level_dbm=guaranteed_dbm)
    terminated = fts.terminate_output.expect(HIGH, within=100 * ms)
    measure("fts.response_time", (terminated.at - sent.at) / ms, "ms")
    cover("fts.supply", supply_v)


@pytest.mark.requirement("FTS-R-22")
@pytest.mark.measures("fts.missed_commands")
def test_tones_anywhere_in_their_filters_are_recognised(fts, uplink, measure, profile, guaranteed_dbm):
    """ARM and TERMINATE work with all tones at either edge of their filters."""
    edge_pct = profile.value("fts.filter_accept", "%")
    missed = 0
    for offset_pct in (-edge_pct, edge_pct):
        fts.reset()
        uplink.send(uplink.table.tones("ARM", offset_pct=offset_pct), level_dbm=guaranteed_dbm)
        missed += not fts.arm_output.seen(HIGH, within=100 * ms)
        uplink.send(uplink.table.tones("TERMINATE", offset_pct=offset_pct), level_dbm=guaranteed_dbm)
        missed += not fts.terminate_output.seen(HIGH, within=100 * ms)

    measure("fts.missed_commands", missed, "1")


@pytest.mark.requirement("FTS-R-30")
@pytest.mark.measures("fts.inadvertent_outputs")
def test_tones_outside_their_filters_do_nothing(fts, uplink, measure, cover, profile, clock, strong_dbm):
    """Tones beyond the skirts do nothing at any output, however strong signal and deviation are."""
    reject_pct = profile.value("fts.filter_reject", "%")
    gain_db = profile.value("fts.high_deviation", "dB")
    began_ns = clock.now
    for command in ("ARM", "TERMINATE"):
        for offset_pct in (-reject_pct, reject_pct):
            tones = uplink.table.tones(command, offset_pct=offset_pct, gain_db=gain_db)
            uplink.send(tones, level_dbm=strong_dbm)
            clock.sleep(100 * ms)
            cover("fts.not_a_command", "beside the filters")
    measure("fts.inadvertent_outputs", fts.outputs_since(began_ns), "1")

    uplink.send_sequence(["ARM", "TERMINATE"], level_dbm=strong_dbm)  # the same tones, in their filters
    fts.terminate_output.expect(HIGH, within=100 * ms)


@pytest.mark.requirement("FTS-R-37")
@pytest.mark.measures("fts.inadvertent_outputs")
def test_weak_deviation_does_nothing(fts, uplink, measure, cover, profile, clock, strong_dbm):
    """Valid tones with too little deviation do nothing at any output, at a strong signal."""
    gain_db = profile.value("fts.low_deviation", "dB")
    began_ns = clock.now
    for command in ("ARM", "TERMINATE"):
        uplink.send(uplink.table.tones(command, gain_db=gain_db), level_dbm=strong_dbm)
        clock.sleep(100 * ms)
        cover("fts.not_a_command", "too little deviation")
    measure("fts.inadvertent_outputs", fts.outputs_since(began_ns), "1")

    uplink.send_sequence(["ARM", "TERMINATE"], level_dbm=strong_dbm)  # the same tones, with nominal deviation
    fts.terminate_output.expect(HIGH, within=100 * ms)
