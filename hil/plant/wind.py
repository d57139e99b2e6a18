"""Wind: a mean profile over height, and seeded gusts at 100 Hz held linearly between."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hil.plant.aero import between

if TYPE_CHECKING:
    from hil.plant.earth import Vector
    from hil.plant.noise import Normals
    from hil.plant.vehicle import WindTable


class Wind:
    """The air's motion along one flight [m/s], towards north, east and down.

    Gusts are frozen in the air: passing them at speed V, each component is a first-order process of correlation time
    length / V (the Dryden form of the longitudinal component, taken for all three).

    Args:
        spec: profile and gusts.
        normals: its stream of standard normal numbers.
        interval_s: time between two gusts drawn [s].
    """

    __slots__ = ("_gust", "_interval_s", "_normals", "_spec", "_towards", "now", "slope")

    def __init__(self, spec: WindTable, normals: Normals, interval_s: float) -> None:
        self._normals = normals
        self._interval_s = interval_s
        self._gust: Vector
        self.now: Vector
        self.slope: Vector
        self.use(spec)
        self.start()

    def use(self, spec: WindTable) -> None:
        """Take another profile or other gusts from the next interval on."""
        self._spec = spec
        self._towards = (
            tuple(-v * math.cos(math.radians(a)) for v, a in zip(spec.speed_m_s, spec.from_deg, strict=True)),
            tuple(-v * math.sin(math.radians(a)) for v, a in zip(spec.speed_m_s, spec.from_deg, strict=True)),
        )

    def mean(self, height_m: float) -> Vector:
        """The profile's wind [m/s] towards north, east and down, at a height above the pad [m]."""
        north, east = self._towards
        heights = self._spec.height_m
        return between(height_m, heights, north), between(height_m, heights, east), 0.0

    def advance(self, height_m: float, speed_m_s: float) -> None:
        """Begin the next interval at the vehicle's height above the pad [m] and speed through the air [m/s]."""
        gust, spec, aim = self._gust, self._spec, self.mean(height_m)
        if spec.gust_m_s > 0.0:
            keep = math.exp(-max(speed_m_s, spec.gust_speed_m_s) * self._interval_s / spec.gust_length_m)
            fresh = spec.gust_m_s * math.sqrt(1.0 - keep * keep)
            draw = self._normals.draw
            gust = (keep * gust[0] + fresh * draw(), keep * gust[1] + fresh * draw(), keep * gust[2] + fresh * draw())
            aim = (aim[0] + gust[0], aim[1] + gust[1], aim[2] + gust[2])
        now, rate = self.now, 1.0 / self._interval_s
        self._gust = gust
        self.slope = ((aim[0] - now[0]) * rate, (aim[1] - now[1]) * rate, (aim[2] - now[2]) * rate)

    def start(self) -> None:
        """The profile's wind at the pad, without gusts: the state on the ground and at lift-off."""
        self._gust = self.slope = (0.0, 0.0, 0.0)
        self.now = self.mean(0.0)

    def save(self) -> dict[str, Any]:
        """Its state, for :meth:`load`."""
        return {"gust": self._gust, "now": self.now, "slope": self.slope, "normals": self._normals.save()}

    def load(self, saved: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self._gust, self.now, self.slope = tuple(saved["gust"]), tuple(saved["now"]), tuple(saved["slope"])
        self._normals.load(saved["normals"])
