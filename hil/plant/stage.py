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

    __slots__ = ("_numbers", "engines", "gimbals", "tanks")

    def __init__(self, vehicle: Vehicle, step_s: float) -> None:
        self.engines = Engines(vehicle, step_s)
        self.gimbals = Gimbals(vehicle.tvc, step_s)
        self.tanks = Tanks(vehicle, step_s)
        self._numbers = _numbers(vehicle)

    def use(self, vehicle: Vehicle) -> None:
        """Take other numbers from now on."""
        self.engines.use(vehicle)
        self.gimbals.use(vehicle.tvc)
        self.tanks.use(vehicle)
        self._numbers = _numbers(vehicle)

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

    def between(self, before: Push, wind: Vector) -> Push:
        """The mean of a push and of the one now, each in its units: what a step of four evaluations holds."""
        return Push(*[0.5 * (a + b) for a, b in zip(before, self.push(wind), strict=True)])

    def push(self, wind: Vector) -> Push:
        """What the stage does to the body now, in this wind [m/s] towards north, east and down."""
        tanks, engines = self.tanks, self.engines
        full_kg, dry_kg, centre_m, moves_m, roll, roll_range, pitch, pitch_range, station_m, flow_kg_s, ring_m2 = (
            self._numbers
        )
        left_kg = tanks.oxidiser_kg + tanks.fuel_kg
        full = left_kg / full_kg
        centre_m += full * moves_m
        arm_m = centre_m - station_m
        inertia = pitch + full * pitch_range
        flow_kg_s *= engines.total
        damping_x = flow_kg_s * (roll_range / full_kg - ring_m2)
        damping_y = flow_kg_s * (pitch_range / full_kg - arm_m * arm_m)
        return Push._make(
            (
                *engines.push(self.gimbals),
                arm_m, dry_kg + left_kg,
                roll + full * roll_range, inertia, inertia,
                damping_x, damping_y, damping_y,
                centre_m,
                *wind,
            ),
        )  # fmt: skip


def _numbers(vehicle: Vehicle) -> tuple[float, ...]:
    """What :meth:`Stage.push` takes of the vehicle, looked up once."""
    body, engines = vehicle.body, vehicle.engines
    return (
        max(body.oxidiser_kg + body.fuel_kg, 1e-9),
        body.dry_kg,
        body.centre_empty_m,
        body.centre_full_m - body.centre_empty_m,
        body.roll_inertia_empty_kg_m2,
        body.roll_inertia_full_kg_m2 - body.roll_inertia_empty_kg_m2,
        body.pitch_inertia_empty_kg_m2,
        body.pitch_inertia_full_kg_m2 - body.pitch_inertia_empty_kg_m2,
        engines.station_m,
        engines.flow_kg_s if body.mass_flow_moments else 0.0,
        engines.ring_radius_m * engines.ring_radius_m,
    )
