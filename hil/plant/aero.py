"""Aerodynamic coefficients: resampled once at load to a uniform grid, so that the step finds its row by arithmetic."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.plant.ns import Table
    from hil.plant.vehicle import AeroTable


def between(at: float, grid: Sequence[float], values: Sequence[float]) -> float:
    """Linear interpolation, held at both ends; in the unit of ``values``. For load time, not for the step.

    >>> between(1.5, (0.0, 1.0, 2.0), (0.0, 10.0, 30.0)), between(9.0, (0.0, 1.0), (0.0, 10.0))
    (20.0, 10.0)
    """
    if at <= grid[0]:
        return values[0]
    if at >= grid[-1]:
        return values[-1]
    upper = bisect_right(grid, at)
    share = (at - grid[upper - 1]) / (grid[upper] - grid[upper - 1])
    return values[upper - 1] + share * (values[upper] - values[upper - 1])


def table(aero: AeroTable) -> Table:
    """Rows over Mach: grid position, then value and step of axial, normal slope [1/rad] and pressure centre [m]."""
    columns = (aero.axial, aero.normal_slope_per_rad, aero.pressure_centre_m)
    count = math.ceil(aero.mach[-1] / aero.mach_step)
    points = [[between(n * aero.mach_step, aero.mach, column) for column in columns] for n in range(count + 1)]
    rows: list[tuple[float, ...]] = []
    for n, point in enumerate(points):
        following = points[min(n + 1, count)]
        row = [float(n)]
        for here, there in zip(point, following, strict=True):
            row += [here, there - here]
        rows.append(tuple(row))
    return tuple(rows)


def resampling_error(aero: AeroTable) -> float:
    """The largest share by which the uniform grid misses a breakpoint of the file's table, of the column's largest."""
    rows = table(aero)
    worst = 0.0
    for column, values in enumerate((aero.axial, aero.normal_slope_per_rad, aero.pressure_centre_m)):
        for mach, value in zip(aero.mach, values, strict=True):
            row = rows[min(int(mach / aero.mach_step), len(rows) - 1)]
            found = row[1 + 2 * column] + (mach / aero.mach_step - row[0]) * row[2 + 2 * column]
            worst = max(worst, abs(found - value) / max(abs(v) for v in values))
    return worst
