"""Engine controller: redlines, each at its limit, over its samples and outside its window (ENG-05)."""

from __future__ import annotations

import pytest

from hil.units import ms, s


@pytest.mark.requirement("ENG-R-05")
@pytest.mark.measures("engine.redline_to_driver_off", "engine.driver_off_to_closed")
def test_redline_shuts_the_engine_down(engine, stand, measure, icd, redline):
    """Past a redline the valve drivers drop out in time, both valves close, and they stay closed."""
    engine.start()
    engine.state.expect("MAINSTAGE", within=3 * s)

    crossed = stand.drive(redline.sensor, redline.beyond)  # at the sensor pins
    driver_off = engine.main_valve_current_a.expect(below=icd.off_a, within=200 * ms)
    closed = engine.main_valves.expect("CLOSED", within=1 * s)

    measure("engine.redline_to_driver_off", (driver_off.at - crossed.at) / ms, "ms")
    measure("engine.driver_off_to_closed", (closed.at - driver_off.at) / ms, "ms")
    assert engine.main_valves.stays("CLOSED", for_=2 * s)


@pytest.mark.requirement("ENG-R-05")
@pytest.mark.measures("engine.redline_to_driver_off")
def test_redline_trips_at_its_limit_and_not_before(engine, stand, measure, icd, redline):
    """Epsilon (3 sigma + 1 LSB) inside its limit a redline lets the engine run, epsilon outside it trips."""
    engine.start()
    engine.state.expect("MAINSTAGE", within=3 * s)

    stand.drive(redline.sensor, redline.inside)
    assert engine.main_valves.stays("OPEN", for_=300 * ms)

    crossed = stand.drive(redline.sensor, redline.outside)
    driver_off = engine.main_valve_current_a.expect(below=icd.off_a, within=200 * ms)
    measure("engine.redline_to_driver_off", (driver_off.at - crossed.at) / ms, "ms")


@pytest.mark.requirement("ENG-R-05")
@pytest.mark.measures("engine.redline_samples")
def test_redline_needs_its_number_of_consecutive_samples(engine, stand, measure, icd, redline):
    """N - 1 consecutive samples past a redline do nothing, N shut the engine down."""

    def trips_after(samples):
        engine.await_between_cycles()
        driven = stand.drive_for(redline.sensor, redline.beyond, samples * icd.cycle_ns)
        return engine.main_valve_current_a.seen(below=icd.off_a, within=10 * icd.cycle_ns, since=driven.at)

    engine.start()
    engine.state.expect("MAINSTAGE", within=3 * s)

    needed = next((samples for samples in range(1, 8) if trips_after(samples)), None)
    measure("engine.redline_samples", needed, "1")


@pytest.mark.requirement("ENG-R-05")
def test_redline_is_deaf_outside_its_window(engine, stand, redline):
    """What a sensor says in standby, before its redline is armed, neither ends standby nor prevents the start."""
    stand.drive(redline.sensor, redline.beyond)
    assert engine.state.stays("STANDBY", for_=200 * ms)

    stand.release(redline.sensor)
    engine.start()
    engine.main_valves.expect("OPEN", within=1 * s)
    engine.state.expect("MAINSTAGE", within=2 * s)
