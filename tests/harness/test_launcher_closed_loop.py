"""Flights in the small: the law on the plant, with the right bending mode and with the wrong one."""

from __future__ import annotations

import math
import tomllib

import pytest

from hil.errors import ConfigError
from hil.faults import Fault
from hil.noise import Streams
from hil.plant.launcher import Launcher
from hil.units import ms
from hil_launcher.closed_loop import ClosedLoop, changed, dispersed, flight_as_built, fly, vehicle
from hil_launcher.models.flight_computer.navigation import earth_rate_in_body, surveyed

TRUE_MODE = {"modes.pitch_1.free_hz": 2.2, "modes.yaw_1.free_hz": 2.2}
CUT_S = 29.0


@pytest.fixture(scope="module")
def nominal():
    return fly(vehicle(), until_s=60.0)


@pytest.fixture(scope="module")
def wrong_mode():
    """The true mode at 2.2 Hz, the notch at 5.5 Hz, and a cut where range safety would have it."""
    return fly(vehicle(TRUE_MODE), until_s=70.0, cut_s=CUT_S)


@pytest.fixture(scope="module")
def endless_energy():
    return fly(vehicle({**TRUE_MODE, "tvc.energy_rad": 1e9}), until_s=36.0)


def test_vehicle_with_the_mode_it_was_designed_for_flies_its_programme(nominal):
    assert nominal.error_deg() < 3.0
    assert nominal.samples[-1][2] == pytest.approx(26.0, abs=3.0)
    assert set(nominal.events) == {"release", "liftoff"}


def test_calm_flight_spends_almost_no_travel(nominal):
    assert vehicle().tvc.energy_rad - nominal.samples[-1][6] < 5.0


def test_wrong_mode_grows_from_lift_off(wrong_mode):
    early = max(abs(row[5]) for row in wrong_mode.samples if row[0] < 0.3)
    late = max(abs(row[5]) for row in wrong_mode.samples if 4.0 < row[0] < 8.0)
    assert late > 100.0 * early
    assert wrong_mode.error_deg(0.0, 18.0) < 10.0


def test_wrong_mode_spends_the_travel_and_then_loses_the_attitude(wrong_mode):
    assert 19.0 <= wrong_mode.events["tvc_exhausted"] <= 20.0
    assert 18.0 <= wrong_mode.events["lost"] <= 22.0
    assert wrong_mode.events["tvc_exhausted"] < wrong_mode.events["lost"]
    assert wrong_mode.events["horizontal"] < 26.0


def test_wrong_mode_ends_in_the_sea_after_the_cut(wrong_mode):
    assert 36.0 <= wrong_mode.events["impact"] <= 46.0
    assert wrong_mode.apogee_m < 1500.0


def test_wrong_mode_alone_loses_the_attitude_much_later(endless_energy):
    assert 25.0 <= endless_energy.events["lost"] <= 33.0
    assert "tvc_exhausted" not in endless_energy.events


@pytest.mark.parametrize("frequency_hz", [5.0, 6.0])
def test_notch_forgives_a_tenth_of_its_frequency(frequency_hz):
    modes = {"modes.pitch_1.free_hz": frequency_hz, "modes.yaw_1.free_hz": frequency_hz}
    flight = fly(vehicle(modes), until_s=20.0)
    assert flight.error_deg() < 3.0
    assert flight.samples[-1][6] > 0.9 * vehicle().tvc.energy_rad


@pytest.mark.parametrize("seed", [1, 4])
def test_dispersed_vehicles_hold_their_attitude(seed):
    flight = fly(dispersed(seed), until_s=30.0, seed=seed)
    assert flight.error_deg() < 3.0


def test_same_seed_gives_the_same_flight():
    first, second = (fly(dispersed(7), until_s=3.0, seed=7).samples for _ in range(2))
    assert first == second
    assert first != fly(dispersed(7), until_s=3.0, seed=8).samples


@pytest.mark.parametrize("delay_ms", [2, 16])
def test_loop_stands_a_delay_of_its_command(delay_ms):
    assert fly(vehicle(), until_s=15.0, delay_ms=delay_ms).error_deg() < 3.0


@pytest.mark.parametrize("engine", [3, 9])
def test_lost_engine_is_flown_out(engine):
    plant = Launcher(vehicle(), streams=Streams(1), step_ns=ms, integrator="ab2")
    loop = ClosedLoop(plant, flight_as_built())
    loop.ignite()
    while loop.time_s < 15.0:
        loop.cycle()
    plant.apply(Fault("plant", "engine_fails", parameters={"engine": engine}))
    loop.steering.use(tuple(k == engine - 1 for k in range(9)), (False,) * 9, ((0.0, 0.0),) * 9)
    while loop.time_s < 30.0:
        loop.cycle()
    assert loop.finish().error_deg() < 3.0


@pytest.mark.parametrize("sign", ["rate_signs", "deflection_signs"])
def test_wrong_polarity_loses_the_vehicle_at_once(sign):
    count = 3 if sign == "rate_signs" else 2
    built = flight_as_built({f"steering.control.{sign}": (-1.0,) * count})
    flight = fly(vehicle(), until_s=12.0, as_built=built)
    assert flight.events["lost"] < 12.0


def test_navigation_knows_the_earth_the_plant_turns_on():
    calm = {f"imu_1.{key}": 0.0 for key in ("gyro_bias_deg_s", "gyro_noise_deg_s", "gyro_scale_ppm", "force_bias_m_s2")}
    plant = Launcher(vehicle(calm), streams=Streams(1), step_ns=ms, integrator="ab2")
    site = surveyed(flight_as_built().steering.site)
    measured = plant.output("imu_1")
    expected = earth_rate_in_body((1.0, 0.0, 0.0, 0.0), site)
    assert measured[:3] == pytest.approx(expected, abs=math.radians(0.001))
    assert measured[3] == pytest.approx(site.gravity_m_s2, abs=0.08)


def test_schedule_fits_the_vehicle():
    """Thrust times arm over inertia at lift-off, by hand from the vehicle's numbers."""
    body, engines = vehicle().body, vehicle().engines
    thrust_n = 9 * (engines.vacuum_thrust_n - engines.exit_area_m2 * 101_325.0)
    arm_m = engines.station_m - body.centre_full_m
    control = flight_as_built().steering.control
    assert control.authority_s2[0] == pytest.approx(thrust_n * arm_m / body.pitch_inertia_full_kg_m2, rel=0.05)
    assert control.ring_ratio == pytest.approx(engines.ring_radius_m / arm_m, rel=0.05)


def test_computer_and_vehicle_agree_on_the_site():
    plant, computer = vehicle().site, flight_as_built().steering.site
    assert (plant.latitude_deg, plant.longitude_deg) == (computer.latitude_deg, computer.longitude_deg)
    assert plant.azimuth_deg == computer.azimuth_deg


def test_change_of_a_number_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"tvc\.energy.*283"):
        changed(tomllib.loads("[tvc]\nenergy_rad = 1.0"), {"tvc.energy": 283})
