"""Integrators over tuples of floats or arrays: Runge-Kutta of fourth order, Adams-Bashforth of second.

AB2 evaluates the derivative once a step and is right for lock-step at 1 kHz; RK4 four times, right for long steps,
for restarts after an event, and for locating one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.plant.eom import State


def ab2(x: State, now: State, before: State, step_s: float) -> State:
    """The state one step later [s], from the derivative now and one step before."""
    a, b = 1.5 * step_s, 0.5 * step_s
    return tuple([c + a * f - b * g for c, f, g in zip(x, now, before, strict=True)])


def rk4(x: State, now: State, step_s: float, derive: Callable[[State], State]) -> State:
    """The state one step later [s]; ``now`` is the derivative at ``x``, which the caller has already."""
    half, sixth = 0.5 * step_s, step_s / 6.0
    k2 = derive(tuple([c + half * f for c, f in zip(x, now, strict=True)]))
    k3 = derive(tuple([c + half * f for c, f in zip(x, k2, strict=True)]))
    k4 = derive(tuple([c + step_s * f for c, f in zip(x, k3, strict=True)]))
    return tuple([c + sixth * (f + 2.0 * (g + h) + k) for c, f, g, h, k in zip(x, now, k2, k3, k4, strict=True)])


def share_until(reached: Callable[[float], float], *, rounds: int = 40) -> float:
    """The share of a step [0..1] at which ``reached`` falls through zero, by bisection.

    Args:
        reached: what must cross zero from above, as a function of the share of the step.
        rounds: halvings; 40 leave 1e-12 of a step.
    """
    low, high = 0.0, 1.0
    for _ in range(rounds):
        middle = 0.5 * (low + high)
        if reached(middle) > 0.0:
            low = middle
        else:
            high = middle
    return high
