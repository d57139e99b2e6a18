"""The ground: standing on the pad, touching the surface at the pad's height, lying where the fall ended."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from hil.plant.earth import RATE_RAD_S, Quaternion, Vector, after, attitude_of, combined, dot, rotation, turned
from hil.plant.eom import SIZE, State

if TYPE_CHECKING:
    from hil.plant.earth import Site
    from hil.plant.ns import Row
    from hil.plant.view import View

_RIGID = 13  # components of the state before the bending modes
NO_BENDING = (0.0,) * (SIZE - _RIGID)


class Resting(NamedTuple):
    """A vehicle that turns with the Earth: its centre of mass in ECEF [m], its attitude from body to ECEF."""

    place: Vector
    attitude: Quaternion

    def state(self, time_ns: int, bending: tuple[float, ...] = NO_BENDING) -> State:
        """Its state at a rig time [ns], with these modes (deflection [m], speed [m/s])."""
        angle_rad = RATE_RAD_S * time_ns * 1e-9
        x, y, z = turned(self.place, angle_rad)
        turn = (math.cos(0.5 * angle_rad), 0.0, 0.0, math.sin(0.5 * angle_rad))
        axis = rotation(self.attitude)[6:]
        body = (RATE_RAD_S * axis[0], RATE_RAD_S * axis[1], RATE_RAD_S * axis[2])
        return x, y, z, -RATE_RAD_S * y, RATE_RAD_S * x, 0.0, *after(self.attitude, turn), *body, *bending


def on_pad(site: Site, above_m: float) -> Resting:
    """A vehicle upright on the pad, its centre of mass above it [m]: body x up, y right, z down-range."""
    return Resting(combined(site.pad, site.up, above_m), attitude_of(site.up, site.right, site.downrange))


def lying(view: View) -> Resting:
    """A vehicle that stays where this instant found it."""
    return Resting(view.place, attitude_of(*view.axes))


def bent(change: State, modes: Row) -> tuple[float, ...]:
    """The bending that the forces of a derivative without bending hold in balance: deflections [m], no speed.

    Args:
        change: the derivative at a state whose modes are zero.
        modes: the modes' numbers, as :class:`hil.plant.eom.Airframe` holds them.
    """
    return tuple(number for mode in range(4) for number in (change[_RIGID + 1 + 2 * mode] / modes[4 * mode], 0.0))


def carried(state: State) -> Vector:
    """Acceleration of a place that turns with the Earth, in ECI [m/s^2]."""
    return -RATE_RAD_S * RATE_RAD_S * state[0], -RATE_RAD_S * RATE_RAD_S * state[1], 0.0


def clearance_m(view: View) -> float:
    """Height of the vehicle's lower end above the pad's level [m] while it sinks; infinite while it rises."""
    if view.velocity_ned[2] <= 0.0:
        return math.inf
    upright = -dot(view.axes[0], view.local[2])
    centre_m = view.push.centre_m
    below_m = max((view.rig.vehicle.body.base_station_m - centre_m) * upright, -centre_m * upright)
    return view.geodetic[2] - view.rig.site.height_m - below_m
