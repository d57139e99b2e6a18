"""A plant of one mass on a spring, pushed by one input: what tests of the plant's place on a rig need."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from hil.errors import HilError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hil.faults import Fault
    from hil.noise import Streams


class Spring(BaseModel):
    """Mass [kg] and stiffness [N/m]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mass_kg: float
    stiffness_n_m: float


class MassOnSpring:
    """Symplectic Euler; the event ``moved`` at the first step with a force."""

    VEHICLE: ClassVar[type[BaseModel]] = Spring

    def __init__(self, vehicle: BaseModel, *, streams: Streams, step_ns: int, integrator: str) -> None:
        assert isinstance(vehicle, Spring)
        self.vehicle, self.streams, self.step_ns, self.integrator = vehicle, streams, step_ns, integrator
        self.inputs: Mapping[str, int] = {"force": 1}
        self.outputs: Mapping[str, int] = {"position": 1}
        self.truth: Mapping[str, str] = {"position_m": "m"}
        self.defaults: Mapping[str, tuple[float, ...]] = {"force": (0.0,)}
        self.x_m = self.v_m_s = 0.0
        self.steps = 0
        self.sign = 1.0
        self._listeners: list[Callable[[int, str], object]] = []

    def step(self, commands: Sequence[tuple[float, ...]]) -> None:
        ((force_n,),) = commands
        self.steps += 1
        if force_n and self.v_m_s == 0.0:
            for fn in self._listeners:
                fn(self.steps * self.step_ns, "moved")
        self.v_m_s += (
            (self.sign * force_n - self.vehicle.stiffness_n_m * self.x_m) / self.vehicle.mass_kg * self.step_ns / 1e9
        )
        self.x_m += self.v_m_s * self.step_ns / 1e9

    def output(self, name: str) -> tuple[float, ...]:
        assert name == "position"
        return (self.x_m,)

    def read(self, name: str) -> float:
        assert name == "position_m"
        return self.x_m

    def on_event(self, fn: Callable[[int, str], object]) -> None:
        self._listeners.append(fn)

    def apply(self, fault: Fault) -> Callable[[], None]:
        if fault.kind != "reversed":
            raise HilError(f"the spring has no fault {fault.kind!r}; it may be reversed")
        self.sign = -1.0

        def undo() -> None:
            self.sign = 1.0

        return undo
