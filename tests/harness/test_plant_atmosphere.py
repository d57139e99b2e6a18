"""The air against the printed tables of the US Standard Atmosphere 1976."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant.atmosphere import air
from hil.plant.ns import FLOATS

PRINTED = [
    # geometric altitude [m], pressure [Pa], density [kg/m^3], speed of sound [m/s]
    (0, 1.01325e5, 1.2250, 340.294),
    (1_000, 8.9876e4, 1.1117, 336.435),
    (5_000, 5.4048e4, 7.3643e-1, 320.545),
    (10_000, 2.6499e4, 4.1351e-1, 299.532),
    (15_000, 1.2111e4, 1.9476e-1, 295.069),
    (20_000, 5.5293e3, 8.8910e-2, 295.069),
    (30_000, 1.1970e3, 1.8410e-2, 301.709),
    (40_000, 2.8714e2, 3.9957e-3, 317.189),
    (50_000, 7.9779e1, 1.0269e-3, 329.799),
    (60_000, 2.1958e1, 3.0968e-4, 315.073),
    (70_000, 5.2209e0, 8.2829e-5, 297.062),
    (80_000, 1.0524e0, 1.8458e-5, 282.538),
]
"""U.S. Standard Atmosphere, 1976, table I (geometric altitude), five digits as printed."""


@pytest.mark.parametrize(("altitude_m", "pressure_pa", "density", "sound_m_s"), PRINTED)
def test_the_air_is_the_printed_air(altitude_m, pressure_pa, density, sound_m_s):
    found_density, found_pa, found_m_s = air(float(altitude_m), FLOATS)

    assert found_pa == pytest.approx(pressure_pa, rel=1e-4)  # a unit of the fifth digit: it is cut, not rounded
    assert found_density == pytest.approx(density, rel=1e-4)
    assert found_m_s == pytest.approx(sound_m_s, abs=1e-3)


@pytest.mark.parametrize("base_km", [11, 20, 32, 47, 51, 71, 85])
def test_the_layers_join(base_km):
    altitude_m = 6_356_766.0 * base_km * 1e3 / (6_356_766.0 - base_km * 1e3)  # geopotential to geometric

    below, above = air(altitude_m - 1e-3, FLOATS), air(altitude_m + 1e-3, FLOATS)
    assert below == pytest.approx(above, rel=1e-6)


@given(st.floats(-1e3, 120e3))
def test_pressure_falls_as_its_own_weight_does(altitude_m):
    step_m = 0.5
    slope = (air(altitude_m + step_m, FLOATS)[1] - air(altitude_m - step_m, FLOATS)[1]) / (2 * step_m)
    weight = air(altitude_m, FLOATS)[0] * 9.80665 * (6_356_766.0 / (6_356_766.0 + altitude_m)) ** 2

    assert slope == pytest.approx(-weight, rel=1e-3)  # a kink of temperature may lie within the step
