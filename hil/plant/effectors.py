"""Engines and gimbals: what commands do to the vehicle, one fixed step at a time.

Lags and gimbals are linear between their limits, so a step is exact for commands held over it, at any step length.
"""

from __future__ import annotations

import math
from operator import mul
from typing import TYPE_CHECKING, cast

from hil.plant.vehicle import ENGINES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.plant.vehicle import TvcTable, Vehicle

_SETTLED = 1e-7  # share of flow, and of pressure, below which a lag has arrived
_HALF = 0.5  # of a discrete that is 1 or 0
_AXES = 2  # of each gimbal: about y, about z


class Gimbals:
    """Nine gimbals of two axes each; deflections [rad] about body y and z.

    Args:
        spec: dynamics, limits, energy.
        step_s: the step [s].
    """

    __slots__ = (
        "_aims", "_commands", "_energised", "_limit_rad", "_live", "_rate_rad_s", "_step_s", "_zoh", "energy_rad",
        "frozen", "hard_over", "moving", "positions", "speeds", "spent", "travelled_rad",
    )  # fmt: skip

    def __init__(self, spec: TvcTable, step_s: float) -> None:
        self.positions = ([0.0] * ENGINES, [0.0] * ENGINES)
        self.speeds = ([0.0] * ENGINES, [0.0] * ENGINES)
        self.frozen: list[tuple[int, int]] = []
        """Axes (plane, engine from 0) that a fault holds; an axis may stand here more than once."""
        self.hard_over: list[tuple[int, int, float]] = []
        """Plane, engine from 0, and the deflection that a fault drives it to [rad]."""
        self.travelled_rad = 0.0
        self.spent = self.moving = False
        self._step_s = step_s
        self._commands: Sequence[Sequence[float]] = ()
        self._energised: Sequence[float] = ()
        self._aims: tuple[Sequence[float], Sequence[float]] = ((), ())
        self._live: tuple[list[int], list[int]] = ([], [])
        self.use(spec)

    def use(self, spec: TvcTable) -> None:
        """Take other numbers from now on."""
        self._limit_rad = math.radians(spec.limit_deg)
        self._rate_rad_s = math.radians(spec.rate_limit_deg_s)
        self.energy_rad = spec.energy_rad
        self._zoh = _second_order(2.0 * math.pi * spec.frequency_hz, spec.damping, self._step_s)
        self.refresh()

    def refresh(self) -> None:
        """Look at commands, faults and energy again: one of them has changed."""
        self._commands = self._energised = ()
        self.spent = self.travelled_rad >= self.energy_rad

    def _take(self, commands: Sequence[Sequence[float]]) -> None:
        """Aims from the commands, and which axes move."""
        about_y, about_z, energised = zip(*commands, strict=True)
        self._commands, self._aims = commands, (about_y, about_z)
        if energised != self._energised:
            self._energise(energised)
        if self.hard_over:
            aims = (list(about_y), list(about_z))
            for plane, k, aim_rad in self.hard_over:
                aims[plane][k] = aim_rad
            self._aims = aims

    def _energise(self, energised: Sequence[float]) -> None:
        """Which axes move; one that stops moving stands still at once."""
        self._energised = energised
        for plane in range(_AXES):
            self._live[plane][:] = [
                k for k in range(ENGINES)
                if energised[k] > _HALF and not self.spent and (plane, k) not in self.frozen
            ]  # fmt: skip
            for k in set(range(ENGINES)).difference(self._live[plane]):
                self.speeds[plane][k] = 0.0

    def advance(self, commands: Sequence[Sequence[float]]) -> bool:
        """One step towards each gimbal's command (y_rad, z_rad, energised); True when the energy ran out in it."""
        if commands != self._commands:
            self._take(commands)
        a11, a12, a21, a22 = self._zoh
        limit, fastest, half_s = self._limit_rad, self._rate_rad_s, 0.5 * self._step_s
        travel = 0.0
        for position, speed, aims, live in zip(self.positions, self.speeds, self._aims, self._live, strict=True):
            for k in live:
                at, v, aim = position[k], speed[k], aims[k]
                off = at - aim
                v_next = a21 * off + a22 * v
                if -fastest <= v_next <= fastest:
                    at_next = aim + a11 * off + a12 * v
                else:
                    v_next = fastest if v_next > 0.0 else -fastest
                    at_next = at + half_s * (v + v_next)
                if not -limit <= at_next <= limit:
                    at_next = limit if at_next > 0.0 else -limit
                    v_next = 0.0
                position[k], speed[k] = at_next, v_next
                travel += at_next - at if at_next > at else at - at_next
        self.moving = travel > 0.0
        self.travelled_rad += travel
        if self.spent or self.travelled_rad < self.energy_rad or not travel:
            return False
        self.refresh()
        return True

    def save(self) -> list[object]:
        """Its state, for :meth:`load`."""
        return [*self.positions, *self.speeds, self.travelled_rad]

    def load(self, saved: list[object]) -> None:
        """Go back to a saved state."""
        *lists, travelled = saved
        for mine, kept in zip((*self.positions, *self.speeds), cast("list[list[float]]", lists), strict=True):
            mine[:] = kept
        self.travelled_rad = cast("float", travelled)
        self.refresh()


def _second_order(omega_rad_s: float, damping: float, step_s: float) -> tuple[float, float, float, float]:
    """Transition of (offset, rate) over a step: offset'' = -w^2 offset - 2 d w offset'; exact.

    Args:
        omega_rad_s: natural frequency [rad/s].
        damping: share of critical.
        step_s: the step [s].
    """
    decay = math.exp(-damping * omega_rad_s * step_s)
    square = 1.0 - damping * damping
    turn = omega_rad_s * math.sqrt(abs(square))
    if turn * step_s < 1e-9:  # critically damped
        wave, over = 1.0, step_s
    elif square > 0.0:
        wave, over = math.cos(turn * step_s), math.sin(turn * step_s) / turn
    else:
        wave, over = math.cosh(turn * step_s), math.sinh(turn * step_s) / turn
    drift = damping * omega_rad_s * over
    return (
        decay * (wave + drift),
        decay * over,
        -decay * omega_rad_s * omega_rad_s * over,
        decay * (wave - drift),
    )


class Engines:
    """Nine engines' flows, and what they push.

    Args:
        vehicle: what it is.
        step_s: the step [s].
    """

    __slots__ = ("_along", "_factors", "_lag", "_lag_s", "_pitch_m", "_ring", "_step_s", "_weights", "_yaw_m",
        "burnt_s", "failed", "flows", "moving", "thrust_factors", "total")  # fmt: skip

    def __init__(self, vehicle: Vehicle, step_s: float) -> None:
        self._step_s = step_s
        self.flows = [0.0] * ENGINES
        self.total = self.burnt_s = 0.0
        self.failed: list[int] = []
        """Engines from 0 whose flame a fault puts out; one may stand here more than once."""
        self.thrust_factors: list[tuple[int, float]] = []
        self.moving = False
        self.use(vehicle)

    def use(self, vehicle: Vehicle) -> None:
        """Take other numbers from now on; flows stay."""
        spec = vehicle.engines
        self._lag_s = spec.lag_s
        self._lag = 1.0 - math.exp(-self._step_s / spec.lag_s)
        self._factors = spec.thrust_factor
        angles = [math.pi / 4.0 * k for k in range(ENGINES - 1)]
        radius_m = spec.ring_radius_m
        self._ring = (
            [radius_m * math.cos(a) for a in angles] + [0.0],
            [radius_m * math.sin(a) for a in angles] + [0.0],
        )
        self.weigh()

    def weigh(self) -> None:
        """Sum the flows again: they, or the thrust factors, have changed."""
        factors = list(self._factors)
        for k, factor in self.thrust_factors:
            factors[k] *= factor
        self.total = sum(self.flows)
        self._weights = list(map(mul, self.flows, factors))
        self._along = sum(self._weights)
        self._pitch_m = sum(map(mul, self._weights, self._ring[1]))
        self._yaw_m = -sum(map(mul, self._weights, self._ring[0]))

    @property
    def weights(self) -> list[float]:
        """Flow share times thrust factor of each engine: its share of the nominal thrust."""
        return self._weights

    def advance(self, allowed: Sequence[Sequence[float]], share: float) -> None:
        """One step of the flows towards the shares that the valves allow, times what the tanks feed."""
        flows, lag = self.flows, self._lag
        before, self.moving = self.total, False
        burnt_s = 0.0
        for k in range(ENGINES):
            target = allowed[k][0] * share
            if k in self.failed:
                target = 0.0
            flow = flows[k]
            if flow != target:
                away = target - flow
                flows[k] = target if -_SETTLED < away < _SETTLED else flow + lag * away
                burnt_s += self._lag_s * (flow - flows[k]) - self._step_s * (flow - target)
                self.moving = True
        self.burnt_s = before * self._step_s + burnt_s
        if self.moving:
            self.weigh()

    def stop(self) -> None:
        """No flow at once: the propellant is gone."""
        self.flows[:] = [0.0] * ENGINES
        self.moving = True
        self.weigh()

    def push(self, gimbals: Gimbals) -> tuple[float, float, float, float, float, float]:
        """Sums of shares along body x, y, z, and of shares times levers about them [m], without the lever along x.

        A thrust at deflections (a about y, b about z) points along (1 - (a^2 + b^2) / 2, b, -a), good to 2e-4.
        """
        about_y, about_z = gimbals.positions
        weights, (ring_y, ring_z) = self._weights, self._ring
        by_y = list(map(mul, weights, about_y))
        by_z = list(map(mul, weights, about_z))
        return (
            self._along - 0.5 * (sum(map(mul, by_y, about_y)) + sum(map(mul, by_z, about_z))),
            sum(by_z),
            -sum(by_y),
            -sum(map(mul, by_y, ring_y)) - sum(map(mul, by_z, ring_z)),
            self._pitch_m,
            self._yaw_m,
        )

    def save(self) -> list[object]:
        """Its state, for :meth:`load`."""
        return [self.flows]

    def load(self, saved: list[object]) -> None:
        """Go back to a saved state."""
        self.flows[:] = cast("list[float]", saved[0])
        self.weigh()
