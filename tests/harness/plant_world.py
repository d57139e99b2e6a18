"""The reference vehicle for the plant's tests: made with a few numbers changed, commanded, flown."""

from __future__ import annotations

import tomllib
from pathlib import Path

from hil.faults import Fault
from hil.noise import Streams
from hil.plant.faults import Override, overridden
from hil.plant.launcher import Launcher
from hil.plant.vehicle import Vehicle
from hil.units import ms, s

FILE = Path(__file__).parents[2] / "fixtures" / "hil_launcher" / "vehicle.toml"
PINNED = {
    "tvc.frequency_hz": 8.0, "tvc.damping": 0.7, "tvc.limit_deg": 6.0, "tvc.rate_limit_deg_s": 100.0,
    "tvc.energy_rad": 215.0,
    **{f"modes.{mode}_{number}.{name}": value for mode in ("pitch", "yaw") for number, numbers in (
        (1, {"free_hz": 5.5, "clamped_hz": 1.3, "damping": 0.01, "modal_mass_kg": 1e4, "free_slope_rad_m": 0.25,
             "clamped_slope_rad_m": 0.1, "shape": 0.3, "clamped_push": 0.05, "free_air_shape": -0.4,
             "clamped_air_shape": 0.5}),
        (2, {"free_hz": 9.0, "clamped_hz": 6.0, "damping": 0.008, "modal_mass_kg": 1e4, "free_slope_rad_m": -0.05,
             "clamped_slope_rad_m": -0.03, "shape": -0.4, "clamped_push": 0.05}),
    ) for name, value in numbers.items()},
}  # fmt: skip
"""What a scenario may tune: these tests hold it."""
CALM = {"wind.speed_m_s": 0.0, "wind.gust_m_s": 0.0}
"""No wind: what moves the vehicle is what the test does."""
EXACT = {
    f"imu_{k}.{name}": 0.0
    for k in (1, 2, 3)
    for name in ("gyro_bias_deg_s", "gyro_noise_deg_s", "gyro_scale_ppm", "force_bias_m_s2", "force_noise_m_s2",
                 "force_scale_ppm")
} | {f"imu_{k}.{name}": 1e-9 for k in (1, 2, 3) for name in ("gyro_lsb_deg_s", "force_lsb_m_s2")}  # fmt: skip
"""Inertial units without errors."""
RIGID = {f"modes.{mode}.modal_mass_kg": 1e12 for mode in ("pitch_1", "pitch_2", "yaw_1", "yaw_2")}


def vehicle(numbers=None):
    """The reference vehicle, with some numbers set."""
    read = Vehicle.model_validate(tomllib.loads(FILE.read_text()))
    return overridden(read, [Override(name, 0.0, value) for name, value in (PINNED | (numbers or {})).items()])


def launcher(numbers=None, *, seed=1, step_ns=1 * ms, integrator="ab2"):
    return Launcher(vehicle(numbers), streams=Streams(seed), step_ns=step_ns, integrator=integrator)


def commands(flow=0.0, *, gimbal=(0.0, 0.0), only=None, clamps=1.0, vent=0.0, umbilical=1.0):
    """One tuple an input; the gimbal command goes to all engines, or to one only (from 1)."""
    given = dict(Launcher.defaults)
    for k in range(1, 10):
        given[f"engine_{k}"] = (flow,)
        given[f"gimbal_{k}"] = (*(gimbal if only in (None, k) else (0.0, 0.0)), 1.0)
    given |= {"clamps": (clamps,), "vent_valve": (vent,), "umbilical": (umbilical,)}
    return list(given.values())


def flying(flow=1.0, **given):
    """Commands to a vehicle that has left its pad."""
    return commands(flow, **({"clamps": 0.0, "umbilical": 0.0} | given))


def run(plant, given, duration_ns):
    for _ in range(duration_ns // plant.step_ns):
        plant.step(given)


def lift(plant, duration_ns=0):
    """Ignite, wait for full thrust, release, and fly on without deflection."""
    run(plant, commands(1.0), 2 * s)
    run(plant, flying(), duration_ns)


def put(plant, kind, **parameters):
    return plant.apply(Fault("plant", kind, parameters=parameters))
