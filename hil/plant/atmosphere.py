"""US Standard Atmosphere 1976 by its layer equations, in namespace style: no table of air is interpolated.

Above 85 km geopotential (86.15 km) the air is isothermal at the 186.65 K reached there: the standard's thermosphere is
not modelled. Below 0 m the lowest layer goes on.

Source: U.S. Standard Atmosphere, 1976 (NOAA-S/T 76-1562): constants table 2, layers table 4, equations 18, 33, 42, 50.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.plant.ns import Namespace, Row, Table

EARTH_RADIUS_M = 6_356_766.0
GRAVITY_M_S2 = 9.80665
GAS_CONSTANT_J_KG_K = 8314.32 / 28.9644
HEAT_RATIO = 1.4
SEA_LEVEL_PA = 101_325.0
SEA_LEVEL_K = 288.15

_LAYERS = ((0, -6.5e-3), (11, 0.0), (20, 1.0e-3), (32, 2.8e-3), (47, 0.0), (51, -2.8e-3), (71, -2.0e-3), (85, 0.0))
"""Geopotential height of the layer's base [km], gradient of temperature [K/m]."""

_ISOTHERMAL_K_M = 1e-12
"""Gradient that stands for none [K/m]: it lets one equation serve all layers, and moves no printed digit."""


def _layers() -> list[Row]:
    """Per layer: base [m], temperature there [K], gradient [K/m], pressure [Pa], gradient/temperature, exponent."""
    rows: list[Row] = []
    temperature_k, pressure_pa = SEA_LEVEL_K, SEA_LEVEL_PA
    for number, (base_km, gradient) in enumerate(_LAYERS):
        gradient_k_m = gradient or _ISOTHERMAL_K_M
        exponent = GRAVITY_M_S2 / (GAS_CONSTANT_J_KG_K * gradient_k_m)
        per_m = gradient_k_m / temperature_k
        rows.append((base_km * 1e3, temperature_k, gradient_k_m, pressure_pa, per_m, exponent))
        if number + 1 < len(_LAYERS):
            thick_m = (_LAYERS[number + 1][0] - base_km) * 1e3
            pressure_pa *= math.exp(-exponent * math.log1p(per_m * thick_m))
            temperature_k += gradient_k_m * thick_m
    return rows


def _by_kilometre() -> Table:
    """The layer of each whole kilometre: every base lies on one."""
    rows = _layers()
    tops = [base_km for base_km, _ in _LAYERS[1:]]
    return tuple(rows[sum(top <= km for top in tops)] for km in range(tops[-1] + 1))


_TABLE = _by_kilometre()
_SOUND = HEAT_RATIO * GAS_CONSTANT_J_KG_K


def air(altitude_m: float, ns: Namespace) -> tuple[float, float, float]:
    """Density [kg/m^3], pressure [Pa] and speed of sound [m/s] at a geometric altitude [m]."""
    height_m = EARTH_RADIUS_M * altitude_m / (EARTH_RADIUS_M + altitude_m)
    base_m, base_k, gradient_k_m, base_pa, per_m, exponent = ns.row(_TABLE, height_m * 1e-3)
    above_m = height_m - base_m
    temperature_k = base_k + gradient_k_m * above_m
    pressure_pa = base_pa * ns.exp(-exponent * ns.log1p(per_m * above_m))
    return pressure_pa / (GAS_CONSTANT_J_KG_K * temperature_k), pressure_pa, ns.sqrt(_SOUND * temperature_k)
