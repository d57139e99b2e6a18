"""The vehicle file: closed, complete, labelled for what it is, and resampled without loss."""

from __future__ import annotations

import plant_world as world
import pytest

from hil.errors import ConfigError
from hil.plant.aero import resampling_error, table
from hil.plant.vehicle import Vehicle
from hil.toml_lines import check, load_toml


def checked(tmp_path, old, new):
    text = world.FILE.read_text()
    assert old in text
    path = tmp_path / "vehicle.toml"
    path.write_text(text.replace(old, new, 1))
    read, lines = load_toml(path)
    return check(Vehicle, read, path, lines)


def test_the_vehicle_says_that_it_is_nobodys():
    assert "NOTIONAL, not Isar data" in world.FILE.read_text()
    assert "notional" in world.vehicle().provenance
    assert "not Isar data" in world.vehicle().provenance


def test_lift_off_mass_and_thrust_are_those_of_its_class():
    vehicle = world.vehicle()
    body, engines = vehicle.body, vehicle.engines

    assert body.dry_kg + body.oxidiser_kg + body.fuel_kg == pytest.approx(55_500.0)
    assert 9 * (engines.vacuum_thrust_n - engines.exit_area_m2 * 101_325.0) == pytest.approx(675e3, rel=2e-3)
    assert (body.oxidiser_kg + body.fuel_kg) / (9 * engines.flow_kg_s) == pytest.approx(157.0, abs=1.0)
    assert body.oxidiser_kg / body.fuel_kg == pytest.approx(engines.mixture_ratio, rel=1e-3)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("frequency_hz = 8.0", "frequenzy_hz = 8.0", r"vehicle.toml:\d+: tvc.frequenzy_hz is not known; did you mean freq"),
    ("energy_rad", "energy", r"tvc.energy is not known; did you mean energy_rad"),
    ("limit_deg = 6.0", "limit_deg = -6.0", r"tvc.limit_deg should be greater than 0; it is -6.0"),
    ("mach = [0.0, 0.6", "mach = [0.7, 0.6", r"mach = \[0.7, 0.6, .* must rise from 0"),
    ("thrust_factor = [1.0, ", "thrust_factor = [", r"thrust_factor has 8 numbers; there are 9 engines"),
    ("from_deg = [240.0, ", "from_deg = [", r"must rise over 10 levels"),
    ("latitude_deg = 69.295", "latitude_deg = 96.295", r"site.latitude_deg should be less than or equal to 90"),
    ("lag_s = 0.15", "lag_s = nan", r"engines.lag_s should be a finite number"),
])  # fmt: skip
def test_a_mistake_in_the_file_is_refused_with_line_and_remedy(tmp_path, old, new, message):
    with pytest.raises(ConfigError, match=message):
        checked(tmp_path, old, new)


def test_resampling_keeps_the_breakpoints():
    assert resampling_error(world.vehicle().aero) < 1e-12


def test_the_table_is_held_beyond_its_last_mach_number():
    last = table(world.vehicle().aero)[-1]

    assert last[2::2] == (0.0, 0.0, 0.0)


def test_the_vehicle_is_aerodynamically_unstable_at_every_mach_number():
    vehicle = world.vehicle()

    assert max(vehicle.aero.pressure_centre_m) < min(vehicle.body.centre_full_m, vehicle.body.centre_empty_m)
