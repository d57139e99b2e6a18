"""Engine controller: power-on, start and commanded shutdown, judged at the valve and igniter pins (ENG-01, ENG-02)."""

from __future__ import annotations

import pytest

from hil.units import ms, s


@pytest.mark.requirement("ENG-R-01")
@pytest.mark.measures("engine.power_on_current", "engine.checkout_time")
@pytest.mark.leaves("bus_a.error_frames", "bus_b.error_frames")  # nobody acknowledges what is sent before power-on
@pytest.mark.parametrize("which", [0, 1, 2], ids=["lowest", "nominal", "highest"])
def test_power_on_moves_nothing(unpowered_engine, stand, profile, measure, cover, which):
    """From power-on to standby neither valve nor igniter gets current, and both valves are closed."""
    engine = unpowered_engine
    supply_v = profile.values("engine.supply_voltages", "V")[which]
    engine.heartbeat_on()  # it is there when the controller looks for it
    fed = stand.power_on("engine", supply_v)
    powered = engine.supply_v.expect(above=0.9 * supply_v, within=100 * ms, since=fed.at)  # at its pin
    standby = engine.state.expect("STANDBY", within=1 * s, since=powered.at)

    measure("engine.power_on_current", engine.peak_current_a(fed.at), "A")
    supply_ms = profile.value("engine.supply_response", "ms")  # from the command to the pin: at the most
    measure("engine.checkout_time", supply_ms + (standby.at - powered.at) / ms, "ms")
    assert engine.main_valves.stays("CLOSED", for_=200 * ms)
    cover("engine.supply", supply_v)


@pytest.mark.requirement("ENG-R-02", "ENG-R-03")
@pytest.mark.measures("engine.start_to_igniter", "engine.igniter_to_main_ox", "engine.igniter_to_main_fuel")
@pytest.mark.measures("engine.igniter_on_time", "engine.igniter_to_mainstage")
@pytest.mark.measures("engine.main_ox_opening", "engine.main_fuel_opening")
def test_start_follows_its_sequence(engine, measure, icd):
    """Igniter, oxidiser valve and fuel valve follow each other as specified, within one control cycle."""
    commanded_ns = engine.start()
    igniter = engine.igniter_current_a.expect(above=icd.on_a, within=1 * s)
    ox = engine.main_ox_current_a.expect(above=icd.on_a, within=1 * s)
    fuel = engine.main_fuel_current_a.expect(above=icd.on_a, within=1 * s)
    ox_open = engine.ox_position_v.expect(above=icd.open_v, within=1 * s)
    fuel_open = engine.fuel_position_v.expect(above=icd.open_v, within=1 * s)
    igniter_off = engine.igniter_current_a.expect(below=icd.off_a, within=1 * s, since=igniter.at)
    mainstage = engine.state.expect("MAINSTAGE", within=1 * s)

    measure("engine.start_to_igniter", (igniter.at - commanded_ns) / ms, "ms")
    measure("engine.igniter_to_main_ox", (ox.at - igniter.at) / ms, "ms")
    measure("engine.igniter_to_main_fuel", (fuel.at - igniter.at) / ms, "ms")
    measure("engine.igniter_on_time", (igniter_off.at - igniter.at) / ms, "ms")
    measure("engine.igniter_to_mainstage", (mainstage.at - igniter.at) / ms, "ms")
    measure("engine.main_ox_opening", (ox_open.at - ox.at) / ms, "ms")
    measure("engine.main_fuel_opening", (fuel_open.at - fuel.at) / ms, "ms")


@pytest.mark.requirement("ENG-R-06")
@pytest.mark.measures("engine.shutdown_to_main_ox_off", "engine.main_ox_off_to_main_fuel_off")
@pytest.mark.measures("engine.driver_off_to_closed")
def test_commanded_shutdown_closes_the_oxidiser_first(engine, measure, icd):
    """On SHUTDOWN the oxidiser valve's driver drops out, then the fuel valve's, and both valves close and stay so."""
    engine.start()
    engine.state.expect("MAINSTAGE", within=3 * s)

    commanded_ns = engine.shutdown()
    ox_off = engine.main_ox_current_a.expect(below=icd.off_a, within=200 * ms)
    fuel_off = engine.main_fuel_current_a.expect(below=icd.off_a, within=200 * ms)
    closed = engine.main_valves.expect("CLOSED", within=1 * s)

    measure("engine.shutdown_to_main_ox_off", (ox_off.at - commanded_ns) / ms, "ms")
    measure("engine.main_ox_off_to_main_fuel_off", (fuel_off.at - ox_off.at) / ms, "ms")
    measure("engine.driver_off_to_closed", (closed.at - fuel_off.at) / ms, "ms")
    assert engine.main_valves.stays("CLOSED", for_=1 * s)
