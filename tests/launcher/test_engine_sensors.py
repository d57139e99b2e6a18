"""Engine controller: two-of-three votes with one and two bad sensors, and telemetry against pins (ENG-06)."""

from __future__ import annotations

import pytest

from hil.units import ms, s


@pytest.fixture
def spoil(rig, stand, icd):
    """``spoil("pc_a", "open")`` makes one chamber pressure sensor bad: high, low, open or short_to_ground."""
    rated_mpa = icd.profile.value("engine.rated_pc", "MPa")
    bias_mpa = icd.profile.value("engine.disqualifying_bias", "MPa")

    def make(sensor, how):
        match how:
            case "high":
                stand.drive(sensor, rated_mpa + bias_mpa)
            case "low":
                stand.drive(sensor, rated_mpa - bias_mpa)
            case "open" | "short_to_ground":
                rig.inject(sensor, how)
        return rig.clock.now

    return make


@pytest.mark.requirement("ENG-R-07")
@pytest.mark.measures("engine.sensor_flagged", "engine.redline_to_driver_off")
@pytest.mark.parametrize("how", ["high", "low", "open", "short_to_ground"])
def test_one_bad_sensor_is_named_and_flown_through(engine, stand, icd, measure, cover, spoil, how):
    """One bad sensor of three is named and the engine runs on, with its redline still alive on the other two."""
    engine.start()
    engine.state.expect("MAINSTAGE", within=3 * s)

    spoiled_ns = spoil("pc_a", how)
    flagged = engine.pc_bad.expect(1, within=200 * ms)
    assert engine.main_valves.stays("OPEN", for_=500 * ms)
    measure("engine.sensor_flagged", (flagged.at - spoiled_ns) / ms, "ms")
    cover("engine.sensor", how)

    crossed = stand.drive(("pc_b", "pc_c"), icd.redline("pc_high").beyond)
    driver_off = engine.main_valve_current_a.expect(below=icd.off_a, within=200 * ms)
    measure("engine.redline_to_driver_off", (driver_off.at - crossed.at) / ms, "ms")


@pytest.mark.requirement("ENG-R-07")
@pytest.mark.measures("engine.sensors_lost_to_driver_off")
@pytest.mark.parametrize(("first", "second"), [("high", "low"), ("open", "open"), ("short_to_ground", "high")])
def test_two_bad_sensors_shut_the_engine_down(engine, measure, icd, spoil, first, second):
    """With two of three sensors bad the controller no longer trusts the third: it shuts down and says why."""
    engine.start()
    engine.state.expect("MAINSTAGE", within=3 * s)
    spoil("pc_a", first)
    engine.pc_bad.expect(1, within=200 * ms)

    spoiled_ns = spoil("pc_b", second)
    driver_off = engine.main_valve_current_a.expect(below=icd.off_a, within=200 * ms)
    measure("engine.sensors_lost_to_driver_off", (driver_off.at - spoiled_ns) / ms, "ms")
    engine.main_valves.expect("CLOSED", within=1 * s)
    engine.abort_cause.expect("SENSORS", within=100 * ms)


@pytest.mark.requirement("ENG-R-15")
@pytest.mark.measures("engine.reported_pc_error")
@pytest.mark.parametrize("pc_mpa", [8.5, 10.0, 11.0])
def test_reported_chamber_pressure_is_that_of_the_pins(engine, stand, measure, icd, pc_mpa):
    """The chamber pressure in telemetry is the one at the sensor pins."""
    engine.start()
    engine.state.expect("MAINSTAGE", within=3 * s)
    driven = stand.drive("pc", pc_mpa)

    sampled_ns = driven.at + icd.cycle_ns  # what is sent before may have been sampled before
    reported = engine.pc_mpa.expect(lambda _: True, within=100 * ms, since=sampled_ns)
    measure("engine.reported_pc_error", reported.value - pc_mpa, "MPa")
