"""What can be read of a flight: outputs that articles take at their connector, and truth that only the report sees."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hil.plant.earth import dot
from hil.plant.vehicle import ENGINES

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.plant.vehicle import Vehicle
    from hil.plant.view import View

Output = tuple[float, ...]


def _tilt_deg(view: View) -> float:
    return math.degrees(math.acos(max(-1.0, min(1.0, -dot(view.axes[0], view.local[2])))))


def _alpha_deg(view: View) -> float:
    u, v, w = view.air_velocity
    return math.degrees(math.atan2(math.hypot(v, w), u)) if u * u + v * v + w * w > 1.0 else 0.0


def _air_speed_m_s(view: View) -> float:
    return math.hypot(*view.air_velocity)


def _thrust(engine: int) -> Callable[[View], float]:
    return lambda view: view.thrusts_n[engine]


def _gimbal(plane: int, engine: int) -> Callable[[View], float]:
    return lambda view: math.degrees(view.rig.stage.gimbals.positions[plane][engine])


def _flow(engine: int) -> Callable[[View], float]:
    return lambda view: view.rig.stage.engines.flows[engine]


TRUTH: dict[str, tuple[str, Callable[[View], float]]] = {
    "altitude_m": ("m", lambda view: view.geodetic[2]),
    "rise_m": ("m", lambda view: view.rise_m),
    "latitude_deg": ("deg", lambda view: math.degrees(view.geodetic[0])),
    "longitude_deg": ("deg", lambda view: math.degrees(view.geodetic[1])),
    "north_m": ("m", lambda view: dot(view.from_pad, view.rig.site.north)),
    "east_m": ("m", lambda view: dot(view.from_pad, view.rig.site.east)),
    "downrange_m": ("m", lambda view: dot(view.from_pad, view.rig.site.downrange)),
    "crossrange_m": ("m", lambda view: dot(view.from_pad, view.rig.site.right)),
    "speed_m_s": ("m/s", lambda view: math.hypot(*view.velocity)),
    "v_up_m_s": ("m/s", lambda view: -view.velocity_ned[2]),
    "tilt_deg": ("deg", _tilt_deg),
    "azimuth_deg": ("deg", lambda view: math.degrees(view.euler[0]) % 360.0),
    "pitch_deg": ("deg", lambda view: math.degrees(view.euler[1])),
    "roll_deg": ("deg", lambda view: math.degrees(view.roll_rad)),
    "p_deg_s": ("deg/s", lambda view: math.degrees(view.rates[0])),
    "q_deg_s": ("deg/s", lambda view: math.degrees(view.rates[1])),
    "r_deg_s": ("deg/s", lambda view: math.degrees(view.rates[2])),
    "nose_x": ("1", lambda view: view.nose[0]),
    "nose_y": ("1", lambda view: view.nose[1]),
    "nose_z": ("1", lambda view: view.nose[2]),
    "force_x_m_s2": ("m/s^2", lambda view: view.specific_force[0]),
    "force_y_m_s2": ("m/s^2", lambda view: view.specific_force[1]),
    "force_z_m_s2": ("m/s^2", lambda view: view.specific_force[2]),
    "mass_kg": ("kg", lambda view: view.push.mass_kg),
    "propellant_kg": ("kg", lambda view: view.rig.stage.tanks.oxidiser_kg + view.rig.stage.tanks.fuel_kg),
    "oxidiser_kg": ("kg", lambda view: view.rig.stage.tanks.oxidiser_kg),
    "fuel_kg": ("kg", lambda view: view.rig.stage.tanks.fuel_kg),
    "oxidiser_pa": ("Pa", lambda view: view.rig.stage.tanks.oxidiser_pa),
    "fuel_pa": ("Pa", lambda view: view.rig.stage.tanks.fuel_pa),
    "thrust_n": ("N", lambda view: sum(view.thrusts_n)),
    **{f"thrust_{k + 1}_n": ("N", _thrust(k)) for k in range(ENGINES)},
    **{f"flow_{k + 1}": ("1", _flow(k)) for k in range(ENGINES)},
    **{f"gimbal_{k + 1}_y_deg": ("deg", _gimbal(0, k)) for k in range(ENGINES)},
    **{f"gimbal_{k + 1}_z_deg": ("deg", _gimbal(1, k)) for k in range(ENGINES)},
    "tvc_energy_rad": (
        "rad", lambda view: max(0.0, view.rig.stage.gimbals.energy_rad - view.rig.stage.gimbals.travelled_rad),
    ),
    "bending_pitch_mm": ("mm", lambda view: 1e3 * (view.state[13] + view.state[15])),
    "bending_yaw_mm": ("mm", lambda view: 1e3 * (view.state[17] + view.state[19])),
    "mach": ("1", lambda view: _air_speed_m_s(view) / view.air[2]),
    "dynamic_pressure_pa": ("Pa", lambda view: 0.5 * view.air[0] * _air_speed_m_s(view) ** 2),
    "alpha_deg": ("deg", _alpha_deg),
    "wind_north_m_s": ("m/s", lambda view: view.push.wind_n),
    "wind_east_m_s": ("m/s", lambda view: view.push.wind_e),
    "impact_north_m": ("m", lambda view: view.impact[0]),
    "impact_east_m": ("m", lambda view: view.impact[1]),
    "impact_in_s": ("s", lambda view: view.impact[2]),
    "impacted": ("1", lambda view: float(view.rig.impacted)),
    "clamped": ("1", lambda view: float(view.rig.clamped)),
}  # fmt: skip
"""Truth by name: its unit, and how it is found. Angles in deg, masses in kg; all positions from the pad."""


def wind_profile(vehicle: Vehicle) -> Output:
    """The mean wind at its ten heights: speed [m/s] and direction it blows from [rad], in pairs."""
    pairs = zip(vehicle.wind.speed_m_s, vehicle.wind.from_deg, strict=True)
    return tuple(number for speed, from_deg in pairs for number in (speed, math.radians(from_deg)))


def _gnss(view: View) -> Output:
    return (*view.geodetic, *view.velocity_ned, float(not view.rig.impacted))


def _track(view: View) -> Output:
    return (*view.place, *view.velocity, float(not view.rig.impacted))


def _position(engine: int) -> Callable[[View], Output]:
    def position(view: View) -> Output:
        about_y, about_z = view.rig.stage.gimbals.positions
        return about_y[engine], about_z[engine]

    return position


OUTPUTS: dict[str, tuple[int, Callable[[View], Output]]] = {
    "gnss_1": (7, _gnss),
    "gnss_2": (7, _gnss),
    **{f"gimbal_{k + 1}_position": (2, _position(k)) for k in range(ENGINES)},
    "rise": (1, lambda view: (view.rise_m,)),
    "track": (7, _track),
    "line_of_sight": (3, lambda view: view.antenna),
    "tank": (2, lambda view: (view.rig.stage.tanks.oxidiser_pa, view.rig.stage.tanks.fuel_pa)),
    "wind_profile": (20, lambda view: wind_profile(view.rig.vehicle)),
}
"""Outputs by name: their width, and how they are found; the inertial units' are the launcher's own."""
