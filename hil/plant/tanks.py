"""Tanks: propellant that burns away, and the ullage pressure that feeds it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from hil.plant.vehicle import Vehicle

_PLENTY_KG_S = 1e4  # a flow that no stage of this size reaches; what it burns in a step is far from dry
_SETTLED = 1e-7  # share of the pressure below which it has arrived


class Tanks:
    """Propellant masses [kg] and ullage pressures [Pa].

    Args:
        vehicle: what it is.
        step_s: the step [s].
    """

    __slots__ = (
        "_burn_fuel", "_burn_oxidiser", "_full_pa", "_raised", "_spec", "_step_s", "fuel_kg", "fuel_pa", "oxidiser_kg",
        "oxidiser_pa",
    )  # fmt: skip

    def __init__(self, vehicle: Vehicle, step_s: float) -> None:
        self._step_s = step_s
        self.oxidiser_kg, self.fuel_kg = vehicle.body.oxidiser_kg, vehicle.body.fuel_kg
        self.oxidiser_pa, self.fuel_pa = vehicle.tanks.oxidiser_pa, vehicle.tanks.fuel_pa
        self.use(vehicle)

    def use(self, vehicle: Vehicle) -> None:
        """Take other numbers from now on; what is in the tanks stays."""
        self._spec = vehicle.tanks
        self._full_pa = vehicle.tanks.full_flow_pa
        ratio, flow = vehicle.engines.mixture_ratio, vehicle.engines.flow_kg_s
        self._burn_oxidiser, self._burn_fuel = flow * ratio / (1.0 + ratio), flow / (1.0 + ratio)
        self._raised = 1.0 - math.exp(-self._step_s / vehicle.tanks.pressurise_s)

    @property
    def flow_share(self) -> float:
        """Share of the nominal flow that the lower ullage pressure feeds, 0..1."""
        full_pa = self._full_pa
        if self.oxidiser_pa >= full_pa and self.fuel_pa >= full_pa:
            return 1.0
        spec, lowest = self._spec, min(self.oxidiser_pa, self.fuel_pa)
        return max(0.0, (lowest - spec.no_flow_pa) / max(spec.full_flow_pa - spec.no_flow_pa, 1.0))

    def seconds_left(self, share: float) -> float:
        """How long the tank that runs dry first lasts [s] at this sum of flow shares; infinite while it is far off."""
        least_kg = _PLENTY_KG_S * self._step_s
        if share <= 0.0 or (self.oxidiser_kg > least_kg and self.fuel_kg > least_kg):
            return math.inf
        return min(self.oxidiser_kg / self._burn_oxidiser, self.fuel_kg / self._burn_fuel) / share

    def drain(self, share_s: float) -> None:
        """Take out what a sum of flow shares over time [s] has burnt."""
        if share_s:
            self.oxidiser_kg = max(0.0, self.oxidiser_kg - share_s * self._burn_oxidiser)
            self.fuel_kg = max(0.0, self.fuel_kg - share_s * self._burn_fuel)

    def run_dry(self, share_s: float) -> str:
        """Drain to the instant that :meth:`seconds_left` told; what has run out, ``oxidiser`` or ``fuel``."""
        self.drain(share_s)
        if self.oxidiser_kg / self._burn_oxidiser < self.fuel_kg / self._burn_fuel:
            self.oxidiser_kg = 0.0
            return "oxidiser"
        self.fuel_kg = 0.0
        return "fuel"

    def advance(self, vent: float, umbilical: float) -> bool:
        """One step of ullage pressure at a vent opening (0..1); whether it moved."""
        spec, now_pa = self._spec, self.oxidiser_pa
        if vent == 0.0 and now_pa == spec.oxidiser_pa:
            return False
        if vent > 0.0 and umbilical < 0.5:  # a discrete, 1 or 0: the ground no longer holds the pressure
            target_pa, share = spec.vented_pa, 1.0 - math.exp(-self._step_s * vent / spec.vent_s)
        else:
            target_pa, share = spec.oxidiser_pa, self._raised
        if now_pa == target_pa:
            return False
        away_pa = target_pa - now_pa
        self.oxidiser_pa = target_pa if abs(away_pa) < _SETTLED * spec.oxidiser_pa else now_pa + share * away_pa
        return True

    def save(self) -> list[object]:
        """Its state, for :meth:`load`."""
        return [self.oxidiser_kg, self.fuel_kg, self.oxidiser_pa, self.fuel_pa]

    def load(self, saved: list[object]) -> None:
        """Go back to a saved state."""
        self.oxidiser_kg, self.fuel_kg, self.oxidiser_pa, self.fuel_pa = cast("list[float]", saved)
