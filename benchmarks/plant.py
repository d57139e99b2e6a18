"""What the plant costs: CPU per step of the reference vehicle, and where in the step it goes.

The flight is the complete one: nine engines, 18 gimbal axes that move, two bending modes a plane, air, wind, gusts.
"""

from __future__ import annotations

import math
import statistics
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hil.noise import Streams
from hil.plant.airframe import airframe
from hil.plant.eom import Push, rates
from hil.plant.integ import ab2
from hil.plant.launcher import Launcher
from hil.plant.ns import FLOATS, arrays
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Callable

VEHICLE = Path(__file__).parents[1] / "fixtures" / "hil_launcher" / "vehicle.toml"
STEPS = 4_000
BATCH = 2_000
SWING_RAD = 0.03


def _launcher(integrator: str = "ab2", step_ns: int = 1 * ms) -> Launcher:
    vehicle = Launcher.VEHICLE.model_validate(tomllib.loads(VEHICLE.read_text()))
    return Launcher(vehicle, streams=Streams(1), step_ns=step_ns, integrator=integrator)


def _commands(clamps: float, aim_rad: float) -> list[tuple[float, ...]]:
    """Full thrust, all gimbals to an angle [rad]."""
    given = dict(Launcher.defaults) | {"clamps": (clamps,), "umbilical": (clamps,)}
    given |= {f"engine_{k}": (1.0,) for k in range(1, 10)}
    given |= {f"gimbal_{k}": (aim_rad, -aim_rad, 1.0) for k in range(1, 10)}
    return list(given.values())


def _aloft(plant: Launcher) -> None:
    """Off the pad, and two seconds up."""
    for clamps, duration_s in ((1.0, 2), (0.0, 2)):
        for _ in range(duration_s * 1000 * ms // plant.step_ns):
            plant.step(_commands(clamps, 0.0))


def _us(work: Callable[[], object], count: int) -> float:
    """CPU of one of ``count`` calls [us]."""
    start = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - start) / count * 1e6


def _flight_us(plant: Launcher) -> float:
    """CPU of a step in flight [us]; gimbal commands change at 100 Hz, as a flight computer gives them."""
    aims = [_commands(0.0, SWING_RAD * math.sin(0.3 * k)) for k in range(100)]
    every = max(1, 10 * ms // plant.step_ns)
    sequence = [aims[k // every % len(aims)] for k in range(STEPS)]
    start = time.process_time()
    for given in sequence:
        plant.step(given)
    return (time.process_time() - start) / STEPS * 1e6


def _batch_us(plant: Launcher) -> float:
    """CPU of one derivative of one vehicle in a batch of 2000 [us]."""
    frame, every, view = airframe(plant.vehicle, clamped=False), arrays(), plant.view
    scatter = 1.0 + 1e-6 * np.random.Generator(np.random.PCG64(1)).standard_normal((len(view.state), BATCH))
    state = tuple(np.array(view.state)[:, None] * scatter)
    push = Push(*(np.full(BATCH, number) for number in view.push))
    return _us(lambda: rates(state, push, frame, every), 20) / BATCH


def _round() -> dict[str, float]:
    plant, slow, still, burning = _launcher(), _launcher("rk4", 5 * ms), _launcher(), _launcher()
    _aloft(plant)
    _aloft(slow)
    stage, view, frame = plant.stage, plant.view, airframe(plant.vehicle, clamped=False)
    state, change, push = view.state, view.change, view.push
    gimbals = [_commands(0.0, sign * SWING_RAD)[10:19] for sign in (1.0, -1.0)]
    idle = list(Launcher.defaults.values())
    held = _commands(1.0, 0.0)
    still.step(idle)

    def read_unit() -> None:
        plant.step(held)
        plant.output("imu_1")

    taken = {
        "idle_us": _us(lambda: still.step(idle), STEPS),
        "held_us": _us(lambda: burning.step(held), 500),
        "step_us": _flight_us(plant),
        "rk4_us": _flight_us(slow),
        "rates_us": _us(lambda: rates(state, push, frame, FLOATS), STEPS),
        "ab2_us": _us(lambda: ab2(state, change, change, 1e-3), STEPS),
        "push_us": _us(lambda: stage.push((1.0, 2.0, 0.0)), STEPS),
        "engines_us": _us(lambda: stage.engines.advance(held, 1.0), STEPS),
        "batch_us": _batch_us(plant),
    }
    taken["gimbals_us"] = _us(lambda: [stage.gimbals.advance(aim) for aim in gimbals for _ in range(10)], 200) / 20
    taken["unit_us"] = _us(read_unit, STEPS) - taken["step_us"]
    return taken


def measure(rounds: int) -> dict[str, float]:
    """Medians over ``rounds`` rounds."""
    found = [_round() for _ in range(rounds)]
    return {name: statistics.median(taken[name] for taken in found) for name in found[0]}


def report(taken: dict[str, float]) -> list[tuple[str, float, str, str]]:
    """(what, value, unit, goal) per line."""
    return [
        ("plant step in flight, AB2 at 1 kHz", taken["step_us"], "us", "<= 22"),
        ("  of it the derivative", taken["rates_us"], "us", ""),
        ("  of it the integration", taken["ab2_us"], "us", ""),
        ("  of it 18 gimbal axes", taken["gimbals_us"], "us", ""),
        ("  of it nine engines' flows", taken["engines_us"], "us", ""),
        ("  of it forces and mass properties", taken["push_us"], "us", ""),
        ("plant step in flight, RK4 at 200 Hz", taken["rk4_us"], "us", ""),
        ("plant step on the pad, idle", taken["idle_us"], "us", "<= 1"),
        ("plant step on the clamps, engines burning", taken["held_us"], "us", ""),
        ("reading of an inertial unit", taken["unit_us"], "us", ""),
        ("derivative in a batch of 2000, per vehicle", taken["batch_us"], "us", ""),
    ]


def main() -> None:
    """Print the figures beside their goals."""
    for what, value, unit, goal in report(measure(rounds=7)):
        print(f"{what:48} {value:12.2f} {unit:12} {goal}")


if __name__ == "__main__":
    main()
