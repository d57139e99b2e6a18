"""Inertial units: from true motion to what the unit reads, in raw counts of its converter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from hil.plant.earth import Vector
    from hil.plant.noise import Normals
    from hil.plant.vehicle import ImuTable

Reading = tuple[float, float, float, float, float, float]
"""Body rates x, y, z [rad/s], then specific force x, y, z [m/s^2]."""


class Imu:
    """One inertial unit.

    Its bias and scale errors are drawn when it is made; each reading draws its noise, in the order of the channels.

    Args:
        spec: where it is, and its errors.
        normals: its stream of standard normal numbers.
    """

    __slots__ = ("_drawn", "_errors", "_normals", "spec")

    def __init__(self, spec: ImuTable, normals: Normals) -> None:
        self._normals = normals
        self._drawn = [(normals.draw(), normals.draw()) for _ in range(6)]
        self.use(spec)

    def use(self, spec: ImuTable) -> None:
        """Take other errors from now on; what was drawn, in standard deviations, stays."""
        self.spec = spec
        radian = math.radians(1.0)
        gyro = (spec.gyro_bias_deg_s * radian, spec.gyro_scale_ppm, spec.gyro_noise_deg_s * radian)
        gyro += (spec.gyro_lsb_deg_s * radian, spec.gyro_range_deg_s * radian)
        force = (spec.force_bias_m_s2, spec.force_scale_ppm, spec.force_noise_m_s2)
        force += (spec.force_lsb_m_s2, spec.force_range_m_s2)
        self._errors = [
            (drawn[0] * bias, 1.0 + drawn[1] * scale * 1e-6, noise, lsb, math.floor(most / lsb))
            for drawn, (bias, scale, noise, lsb, most) in zip(self._drawn, [gyro] * 3 + [force] * 3, strict=True)
        ]

    def counts(self, rates: Vector, force: Vector) -> list[int]:
        """One reading in counts of the converter: rates [rad/s] and specific force [m/s^2] with all errors."""
        draw = self._normals.draw
        found: list[int] = []
        for true, (bias, scale, noise, lsb, most) in zip((*rates, *force), self._errors, strict=True):
            count = round((true * scale + bias + noise * draw()) / lsb)
            found.append(max(-most, min(most, count)))
        return found

    def read(self, rates: Vector, force: Vector) -> Reading:
        """One reading in SI units: rates [rad/s], specific force [m/s^2]."""
        counts = self.counts(rates, force)
        values = tuple(count * error[3] for count, error in zip(counts, self._errors, strict=True))
        return cast("Reading", values)

    def save(self) -> dict[str, object]:
        """Its state, for :meth:`load`."""
        return {"normals": self._normals.save(), "drawn": self._drawn}

    def load(self, saved: dict[str, object]) -> None:
        """Go back to a saved state."""
        self._normals.load(cast("dict[str, object]", saved["normals"]))
        self._drawn = [(a, b) for a, b in cast("list[tuple[float, float]]", saved["drawn"])]
        self.use(self.spec)
