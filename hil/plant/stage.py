"""The first stage as a whole: engines, gimbals, tanks, and the mass properties that they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.plant.effectors import Engines, Gimbals
from hil.plant.eom import Push
from hil.plant.tanks import Tanks

if TYPE_CHECKING:
    from hil.plant.earth import Vector
    from hil.plant.vehicle import Vehicle


class Stage:
    """The first stage: engines, gimbals and tanks together, and the mass properties they leave.

    Args:
        vehicle: what it is.
        step_s: the step [s].
    """

    __slots__ = ("_vehicle", "engines", "gimbals", "tanks")

    def __init__(self, vehicle: Vehicle, step_s: float) -> None:
        self._vehicle = vehicle
        self.engines = Engines(vehicle, step_s)
        self.gimbals = Gimbals(vehicle.tvc, step_s)
        self.tanks = Tanks(vehicle, step_s)

    def use(self, vehicle: Vehicle) -> None:
        """Take other numbers from now on."""
        self._vehicle = vehicle
        self.engines.use(vehicle)
        self.gimbals.use(vehicle.tvc)
        self.tanks.use(vehicle)

    def faults(self) -> str:
        """What faults hold of it, as text: the same faults in the same order give the same."""
        gimbals, engines = self.gimbals, self.engines
        return f"{gimbals.frozen} {gimbals.hard_over} {engines.failed} {engines.thrust_factors}"

    def save(self) -> dict[str, list[object]]:
        """Its state, for :meth:`load`."""
        return {"engines": self.engines.save(), "gimbals": self.gimbals.save(), "tanks": self.tanks.save()}

    def load(self, saved: dict[str, list[object]]) -> None:
        """Go back to a saved state."""
        self.engines.load(saved["engines"])
        self.gimbals.load(saved["gimbals"])
        self.tanks.load(saved["tanks"])

    def full_share(self) -> float:
        """How full the tanks are, 0..1."""
        tanks = self.tanks
        return (tanks.oxidiser_kg + tanks.fuel_kg) / tanks.full_kg if tanks.full_kg > 0.0 else 0.0

    def between(self, before: Push, wind: Vector) -> Push:
        """The mean of a push and of the one now, each in its units: what a step of four evaluations holds."""
        return Push(*[0.5 * (a + b) for a, b in zip(before, self.push(wind), strict=True)])

    def push(self, wind: Vector) -> Push:
        """What the stage does to the body now, in this wind [m/s] towards north, east and down."""
        body, spec, tanks = self._vehicle.body, self._vehicle.engines, self.tanks
        full = self.full_share()
        centre_m = body.centre_empty_m + full * (body.centre_full_m - body.centre_empty_m)
        roll_range = body.roll_inertia_full_kg_m2 - body.roll_inertia_empty_kg_m2
        pitch_range = body.pitch_inertia_full_kg_m2 - body.pitch_inertia_empty_kg_m2
        arm_m = centre_m - spec.station_m
        inertia = body.pitch_inertia_empty_kg_m2 + full * pitch_range
        damping_x = damping_y = 0.0
        if body.mass_flow_moments and self.engines.total > 0.0:
            flow_kg_s = self.engines.total * spec.flow_kg_s
            damping_x = flow_kg_s * (roll_range / tanks.full_kg - spec.ring_radius_m * spec.ring_radius_m)
            damping_y = flow_kg_s * (pitch_range / tanks.full_kg - arm_m * arm_m)
        return Push(
            *self.engines.push(self.gimbals),
            arm_m,
            body.dry_kg + tanks.oxidiser_kg + tanks.fuel_kg,
            body.roll_inertia_empty_kg_m2 + full * roll_range,
            inertia,
            inertia,
            damping_x,
            damping_y,
            damping_y,
            centre_m,
            *wind,
        )
