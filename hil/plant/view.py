"""One instant of the flight, seen from outside: computed only when somebody asks, and once."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from hil.plant.airframe import modes
from hil.plant.atmosphere import air
from hil.plant.earth import (
    RATE_RAD_S,
    Matrix,
    Site,
    Vector,
    combined,
    cross,
    dot,
    geodetic,
    gravitation,
    north_east_down,
    rotation,
    to_body,
    turned,
)
from hil.plant.impact import impact_point
from hil.plant.ns import FLOATS

if TYPE_CHECKING:
    from hil.plant.eom import Push, State
    from hil.plant.stage import Stage
    from hil.plant.vehicle import ImuTable, Vehicle


class Rig(NamedTuple):
    """What an instant is seen with: the vehicle, its stage as it is now, its site.

    standing: it has not left its mount; clamped: its clamps have not opened; impacted: it has come down.
    """

    vehicle: Vehicle
    stage: Stage
    site: Site
    standing: bool
    clamped: bool
    impacted: bool


class View:
    """The vehicle at one instant. Frames are named; the launch frame is up, down-range, right at the pad.

    Args:
        time_ns: rig time [ns]; the Earth has turned since 0.
        state: the state, as :data:`hil.plant.eom.State`.
        change: its derivative, per second.
        push: what actuators and wind do.
        rig: vehicle, stage and site.
    """

    def __init__(self, time_ns: int, state: State, change: State, push: Push, rig: Rig) -> None:
        self.time_ns, self.state, self.change, self.push, self.rig = time_ns, state, change, push, rig

    @cached_property
    def turned_rad(self) -> float:
        """The angle that the Earth has turned since rig time 0 [rad]."""
        return RATE_RAD_S * self.time_ns * 1e-9

    @cached_property
    def place(self) -> Vector:
        """The centre of mass in ECEF [m]."""
        x = self.state
        return turned((x[0], x[1], x[2]), -self.turned_rad)

    @cached_property
    def velocity(self) -> Vector:
        """Velocity relative to the Earth, in ECEF [m/s]."""
        rx, ry, _, vx, vy, vz = self.state[:6]
        return turned((vx + RATE_RAD_S * ry, vy - RATE_RAD_S * rx, vz), -self.turned_rad)

    @cached_property
    def geodetic(self) -> Vector:
        """Latitude [rad], longitude [rad], height above the ellipsoid [m]."""
        return geodetic(self.place, FLOATS)

    @cached_property
    def local(self) -> tuple[Vector, Vector, Vector]:
        """North, east and down below the vehicle, in ECEF."""
        latitude_rad, longitude_rad, _ = self.geodetic
        return north_east_down(latitude_rad, longitude_rad)

    @cached_property
    def velocity_ned(self) -> Vector:
        """Velocity relative to the Earth towards north, east, down [m/s]."""
        north, east, down = self.local
        return dot(self.velocity, north), dot(self.velocity, east), dot(self.velocity, down)

    @cached_property
    def inertial(self) -> Matrix:
        """Body axes as columns, in ECI."""
        _, _, _, _, _, _, w, x, y, z = self.state[:10]
        return rotation((w, x, y, z))

    @cached_property
    def axes(self) -> tuple[Vector, Vector, Vector]:
        """The body axes x, y, z in ECEF."""
        m, back = self.inertial, -self.turned_rad
        return (
            turned((m[0], m[3], m[6]), back),
            turned((m[1], m[4], m[7]), back),
            turned((m[2], m[5], m[8]), back),
        )

    @cached_property
    def rates(self) -> Vector:
        """Body rates relative to ECI [rad/s]."""
        x = self.state
        return x[10], x[11], x[12]

    @cached_property
    def euler(self) -> Vector:
        """Heading, pitch and roll [rad] over the ground below; heading and roll merge where pitch is +-90 deg."""
        north, east, down = self.local
        x, y, z = self.axes
        pitch_rad = math.asin(max(-1.0, min(1.0, -dot(x, down))))
        return math.atan2(dot(x, east), dot(x, north)), pitch_rad, math.atan2(dot(y, down), dot(z, down))

    @cached_property
    def from_pad(self) -> Vector:
        """Base of the vehicle at the pad to its centre of mass, in ECEF [m]."""
        return combined(self.place, self.rig.site.pad, -1.0)

    @cached_property
    def nose(self) -> Vector:
        """Body x in the launch frame: up, down-range, right."""
        x = self.axes[0]
        return dot(x, self.rig.site.up), dot(x, self.rig.site.downrange), dot(x, self.rig.site.right)

    @cached_property
    def roll_rad(self) -> float:
        """Turn about body x since the pad [rad], the tilt taken out by the shortest turn from up to body x."""
        up, _, right = self.nose
        x, y, z = self.axes
        share = right / max(1.0 + up, 1e-12)
        was_y = combined(combined(self.rig.site.right, self.rig.site.up, -share), x, -share)
        return math.atan2(-dot(was_y, z), dot(was_y, y))

    @cached_property
    def rise_m(self) -> float:
        """Height of the vehicle's base above the clamps [m]."""
        below_m = self.rig.vehicle.body.base_station_m - self.push.centre_m
        base = combined(self.place, self.axes[0], -below_m)
        return geodetic(base, FLOATS)[2] - self.rig.site.height_m

    @cached_property
    def specific_force(self) -> Vector:
        """Specific force at the centre of mass, body axes [m/s^2]: what pushes, without gravitation."""
        x, change = self.state, self.change
        pull = gravitation(x[0], x[1], x[2], FLOATS)
        return to_body(self.inertial, (change[3] - pull[0], change[4] - pull[1], change[5] - pull[2]))

    def at_station(self, imu: ImuTable) -> tuple[Vector, Vector]:
        """Rates [rad/s] and specific force [m/s^2] at an inertial unit, bending included."""
        arm = (self.push.centre_m - imu.station_m, imu.y_m, imu.z_m)
        rates, change = self.rates, self.change
        turn = (change[10], change[11], change[12])
        force = combined(combined(self.specific_force, cross(turn, arm)), cross(rates, cross(rates, arm)))
        bend_rate = [0.0, 0.0]
        bend_force = [0.0, 0.0]
        for number, mode in enumerate(modes(self.rig.vehicle)):
            slope = (mode.clamped_slope_rad_m if self.rig.standing else mode.free_slope_rad_m) * imu.slope_factor
            bend_rate[number // 2] += slope * change[13 + 2 * number]
            bend_force[number // 2] += mode.shape * change[14 + 2 * number]
        # nose towards +z is a negative turn about y; nose towards +y a positive one about z
        measured = (rates[0], rates[1] - bend_rate[0], rates[2] + bend_rate[1])
        return measured, (force[0], force[1] + bend_force[1], force[2] + bend_force[0])

    @cached_property
    def air(self) -> tuple[float, float, float]:
        """Density [kg/m^3], pressure [Pa], speed of sound [m/s] around the vehicle."""
        return air(self.geodetic[2], FLOATS)

    @cached_property
    def air_velocity(self) -> Vector:
        """Velocity through the air, body axes [m/s]."""
        north, east, down = self.local
        push = self.push
        wind = combined(combined((0.0, 0.0, 0.0), north, push.wind_n), east, push.wind_e)
        wind = combined(wind, down, push.wind_d)
        through = combined(self.velocity, wind, -1.0)
        x, y, z = self.axes
        return dot(through, x), dot(through, y), dot(through, z)

    @cached_property
    def thrusts_n(self) -> list[float]:
        """Thrust of each engine [N]."""
        spec = self.rig.vehicle.engines
        each_n = spec.vacuum_thrust_n - spec.exit_area_m2 * self.air[1]
        return [weight * each_n for weight in self.rig.stage.engines.weights]

    @cached_property
    def impact(self) -> tuple[float, float, float]:
        """Instantaneous impact point: north and east of the pad [m], and time to it [s]."""
        found, fall_s = impact_point(self.place, self.velocity, self.rig.site)
        away = combined(found, self.rig.site.pad, -1.0)
        return dot(away, self.rig.site.north), dot(away, self.rig.site.east), fall_s

    @cached_property
    def antenna(self) -> Vector:
        """To the command antenna: distance [m], angle from body x [rad], roll angle about body x from y to z [rad]."""
        spec, site = self.rig.vehicle.antenna, self.rig.site
        there = combined(
            combined(combined(site.pad, site.north, spec.north_m), site.east, spec.east_m), site.up, spec.up_m
        )
        line = combined(there, self.place, -1.0)
        x, y, z = (dot(line, axis) for axis in self.axes)
        return math.sqrt(dot(line, line)), math.atan2(math.hypot(y, z), x), math.atan2(z, y)
