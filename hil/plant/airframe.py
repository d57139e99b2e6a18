"""The vehicle's tables as the numbers that the derivative takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hil.plant.aero import table
from hil.plant.eom import Airframe

if TYPE_CHECKING:
    from hil.plant.vehicle import ModeTable, Vehicle


def airframe(vehicle: Vehicle, *, clamped: bool) -> Airframe:
    """The airframe on its clamps, or free of them."""
    aero, engines = vehicle.aero, vehicle.engines
    return Airframe(
        vacuum_thrust_n=engines.vacuum_thrust_n,
        exit_area_m2=engines.exit_area_m2,
        half_area_m2=0.5 * aero.reference_area_m2,
        aero=table(aero),
        mach_steps=1.0 / aero.mach_step,
        crossflow=aero.crossflow_drag * aero.planform_m2 / aero.reference_area_m2,
        crossflow_m=aero.planform_centre_m,
        isotropic=aero.isotropic_drag,
        roll_damping=0.5 * aero.roll_damping * vehicle.body.diameter_m**2,
        pitch_damping=0.5 * aero.pitch_damping * vehicle.body.length_m**2,
        modes=tuple(number for mode in modes(vehicle) for number in _mode(mode, clamped=clamped)),
    )


def modes(vehicle: Vehicle) -> tuple[ModeTable, ModeTable, ModeTable, ModeTable]:
    """The four modes in the order of the state: pitch 1 and 2, yaw 1 and 2."""
    found = vehicle.modes
    return found.pitch_1, found.pitch_2, found.yaw_1, found.yaw_2


def _mode(mode: ModeTable, *, clamped: bool) -> tuple[float, float, float, float]:
    """Stiffness [1/s^2], damping [1/s], push of the gimbals and of the air [1/kg] of a mode."""
    omega_rad_s = 2.0 * math.pi * (mode.clamped_hz if clamped else mode.free_hz)
    push, air = (mode.clamped_push, mode.clamped_air_shape) if clamped else (1.0, mode.free_air_shape)
    kg = mode.modal_mass_kg
    return omega_rad_s * omega_rad_s, 2.0 * mode.damping * omega_rad_s, push / kg, air / kg
