"""A launch vehicle from its pad to its fall: the plant that a rig steps."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from hil.closed import nearest
from hil.errors import HilError
from hil.plant.airframe import airframe
from hil.plant.earth import RATE_RAD_S, combined, dot, site, turned
from hil.plant.eom import State, rates
from hil.plant.faults import Override, apply_to
from hil.plant.ground import NO_BENDING, Resting, bent, carried, clearance_m, lying, on_pad
from hil.plant.integ import ab2, rk4, share_until
from hil.plant.noise import Normals
from hil.plant.ns import FLOATS
from hil.plant.sensors import Imu
from hil.plant.stage import Stage
from hil.plant.truth import OUTPUTS, TRUTH
from hil.plant.vehicle import ENGINES, IMUS, Vehicle
from hil.plant.view import Rig, View
from hil.plant.wind import Wind
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.faults import Fault
    from hil.noise import Streams
    from hil.plant.vehicle import ImuTable

Commands = Sequence[tuple[float, ...]]
"""One tuple an input, in the order of ``inputs``."""

_INTEGRATORS = ("ab2", "rk4")
_WIND_NS = 10 * ms
_NEAR_GROUND_M = 500.0  # above the pad's radius: below it an end may touch, with the curve of the Earth over 50 km
_AT_REST = 1e-4  # speed [m/s] and acceleration [m/s^2] of bending below which it has died out
_HALF = 0.5  # of a discrete that is 1 or 0
_CLAMPS, _VENT, _UMBILICAL = 19, 20, 21
_GIMBALS = slice(10, 19)
_FLAGS = ("_flying", "_released", "_impacted", "_dry", "_still")


class Launcher:
    """The vehicle and its environment, stepped at a fixed rate; time is an integer, forces are latched.

    The state is that of :mod:`hil.plant.eom`. On the clamps the body turns with the Earth, and only engines, gimbals,
    tanks and bending move. Commands given to a step hold from its start to its end.

    Args:
        vehicle: what it is.
        streams: the world's random streams.
        step_ns: the step [ns].
        integrator: ``ab2`` (one evaluation a step, for 1 kHz) or ``rk4`` (four, for long steps).

    Raises:
        HilError: for an integrator or a step that there is not.
    """

    VEHICLE: ClassVar[type[Vehicle]] = Vehicle

    inputs: ClassVar[Mapping[str, int]] = {
        **{f"engine_{k}": 1 for k in range(1, ENGINES + 2)},
        **{f"gimbal_{k}": 3 for k in range(1, ENGINES + 1)},
        "clamps": 1,
        "vent_valve": 1,
        "umbilical": 1,
    }
    """Name and width of each input: engine (flow share its valves and flame allow, 0..1), gimbal (commanded y_rad,
    z_rad, energised), clamps (1 closed), vent_valve (opening 0..1), umbilical (1 connected by the ground)."""
    defaults: ClassVar[Mapping[str, tuple[float, ...]]] = {
        **{f"engine_{k}": (0.0,) for k in range(1, ENGINES + 2)},
        **{f"gimbal_{k}": (0.0, 0.0, 0.0) for k in range(1, ENGINES + 1)},
        "clamps": (1.0,),
        "vent_valve": (0.0,),
        "umbilical": (1.0,),
    }
    """What an input is while nothing is connected to it: a vehicle left alone on its pad."""
    outputs: ClassVar[Mapping[str, int]] = {
        **{f"imu_{k}": 6 for k in range(1, IMUS + 1)},
        **{name: width for name, (width, _) in OUTPUTS.items()},
    }
    """Name and width of each output."""
    truth: ClassVar[Mapping[str, str]] = {name: unit for name, (unit, _) in TRUTH.items()}
    """Name and unit of everything :meth:`read` knows: model input, never a measurement."""

    def __init__(self, vehicle: Vehicle, *, streams: Streams, step_ns: int, integrator: str) -> None:
        if integrator not in _INTEGRATORS:
            raise HilError(f"plant: there is no integrator {integrator!r}; {nearest(integrator, list(_INTEGRATORS))}")
        if isinstance(step_ns, float) or step_ns <= 0:
            raise HilError(f"plant: step_ns={step_ns!r} is not a step; give a positive integer, for example 1 * ms")
        self.base, self.vehicle = vehicle, vehicle
        self.step_ns, self.integrator = step_ns, integrator
        self.time_ns = 0
        self.events: list[tuple[int, str]] = []
        """What has happened: rig time [ns] and name."""
        self.overrides: list[Override] = []
        """Numbers of the vehicle that faults have changed."""
        self.stage = Stage(vehicle, step_ns * 1e-9)
        self._imus = [Imu(spec, _normals(streams, f"imu_{k}")) for k, spec in enumerate(_imus(vehicle), 1)]
        self._wind_steps = max(1, _WIND_NS // step_ns)
        self._wind = Wind(vehicle.wind, _normals(streams, "gust"), self._wind_steps * step_ns * 1e-9)
        self._watchers: list[Callable[[int, str], object]] = []
        self._step_s = step_ns * 1e-9
        self._flying = self._released = self._impacted = self._dry = False
        self._still = False
        self._steps = 0
        self._commands: Commands = []
        table = vehicle.site
        azimuth_rad = math.radians(table.azimuth_deg)
        self._site = site(
            math.radians(table.latitude_deg), math.radians(table.longitude_deg), table.height_m, azimuth_rad
        )
        self._pad_r_m = math.sqrt(dot(self._site.pad, self._site.pad))
        self._frame = airframe(vehicle, clamped=True)
        self._push = self.stage.push(self._wind.now)
        self._lies = self._stands()
        self._state: State
        self._bent: tuple[float, ...]
        self._balance()
        self._change: State | None = None
        self._before: State | None = None
        self._view: View | None = None
        self._readings: dict[int, tuple[int, tuple[float, ...]]] = {}

    # -- the step -----------------------------------------------------------------------------------------

    def step(self, commands: Commands) -> None:
        """One step of ``step_ns`` under commands in the order of ``inputs``.

        Args:
            commands: one tuple an input.
        """
        if self._still and commands == self._commands:
            self.time_ns += self.step_ns
            self._view = None
            return
        self._commands = list(commands)
        if self._flying:
            self._fly(commands)
        elif self._impacted:
            self._still = True
            self._tick()
        else:
            self._stand(commands)

    def _fly(self, commands: Commands) -> None:
        """A step of free flight; running dry and touching the ground split it."""
        stage, start = self.stage, self._state
        left_s = stage.tanks.seconds_left(stage.engines.total)
        if left_s < self._step_s:
            self._run_dry(left_s)
            self._actuate(commands)
        elif self.integrator == "rk4":
            self._actuate(commands)
            self._push = stage.between(self._push, self._wind.now)
            self._state = rk4(start, self._derive(start), self._step_s, self._derive)
        else:
            now = self._change or self._derive(start)
            if self._before is None:
                self._state = rk4(start, now, self._step_s, self._derive)
            else:
                self._state = ab2(start, now, self._before, self._step_s)
            self._before = now
            self._actuate(commands)
        x = self._state
        if x[0] * x[3] + x[1] * x[4] + x[2] * x[5] < 0.0 and self._touches():
            self._hit(start)
            return
        self._blow()
        self._tick()

    def _blow(self) -> None:
        """Wind over one step: aimed anew at the end of each interval."""
        wind, step_s = self._wind, self._step_s
        if self._steps % self._wind_steps == 0:
            x = self._state
            height_m = math.sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]) - self._pad_r_m
            wind.advance(height_m, math.hypot(x[3] + RATE_RAD_S * x[1], x[4] - RATE_RAD_S * x[0], x[5]))
        self._steps += 1
        north, east, down = wind.now
        slope_n, slope_e, slope_d = wind.slope
        wind.now = (north + slope_n * step_s, east + slope_e * step_s, down + slope_d * step_s)

    def _actuate(self, commands: Commands) -> bool:
        """Engines, gimbals and tanks over the step; whether any of them moved."""
        engines, tanks, gimbals = self.stage.engines, self.stage.tanks, self.stage.gimbals
        engines.advance(commands, 0.0 if self._dry else tanks.flow_share)
        tanks.drain(engines.burnt_s)
        vented = tanks.advance(commands[_VENT][0], commands[_UMBILICAL][0])
        if gimbals.advance(commands[_GIMBALS]):
            self._tell(self.time_ns + self.step_ns, "tvc_exhausted")
        return vented or engines.total > 0.0 or engines.moving or gimbals.moving

    def _tick(self) -> None:
        """The step is done: latch what it left."""
        self.time_ns += self.step_ns
        self._push = self.stage.push(self._wind.now)
        self._change = self._view = None

    def _derive(self, state: State) -> State:
        return rates(state, self._push, self._frame, FLOATS)

    def _run_dry(self, left_s: float) -> None:
        """A tank runs dry within the step: fly to that instant, then on without thrust."""
        self._state = rk4(self._state, self._derive(self._state), left_s, self._derive)
        self._starve(left_s)
        self._push = self.stage.push(self._wind.now)
        self._state = rk4(self._state, self._derive(self._state), self._step_s - left_s, self._derive)
        self._before = None

    def _starve(self, left_s: float) -> None:
        """A tank is empty after this part of the step [s]: no flow any more."""
        stage = self.stage
        name = stage.tanks.run_dry(stage.engines.total * left_s)
        self._dry = True
        stage.engines.stop()
        self._tell(self.time_ns + round(left_s * 1e9), f"depletion_{name}")

    # -- on the ground ------------------------------------------------------------------------------------

    def _stands(self) -> Resting:
        return on_pad(self._site, self.vehicle.body.base_station_m - self._push.centre_m)

    def _balance(self) -> None:
        """Let the vehicle stand as the wind bends it, nothing moving."""
        straight = self._lies.state(self.time_ns)
        self._bent = bent(self._derive(straight), self._frame.modes)
        self._state = self._lies.state(self.time_ns, self._bent)

    def _stand(self, commands: Commands) -> None:
        """A step on the clamps, or on the mount after their release; the vehicle leaves it with thrust above weight."""
        if commands[_CLAMPS][0] < _HALF and not self._released:
            self._released = True
            self._tell(self.time_ns, "release")
        if self._still:
            self._state = self._lies.state(self.time_ns, self._bent)
        change = self._derive(self._state)
        if self._released and self._net_up_m_s2(change) > 0.0:
            self._lift()
            self._fly(commands)
            return
        size = len(NO_BENDING)
        if self._before is None:
            bending = rk4(self._state, change, self._step_s, self._derive)[-size:]
        else:
            bending = ab2(self._state, change, self._before, self._step_s)[-size:]
        self._before = change
        left_s = self.stage.tanks.seconds_left(self.stage.engines.total)
        if left_s < self._step_s:
            self._starve(left_s)
        self._still = not self._actuate(commands) and max(map(abs, change[-size:])) < _AT_REST
        self._tick()
        self._lies = self._stands()
        if self._still:
            self._before = None
            self._balance()
        else:
            self._state = self._lies.state(self.time_ns, bending)

    def _net_up_m_s2(self, change: State) -> float:
        """Acceleration upwards that the vehicle would have if nothing held it [m/s^2]."""
        up = turned(self._site.up, RATE_RAD_S * self.time_ns * 1e-9)
        return dot(combined((change[3], change[4], change[5]), carried(self._state), -1.0), up)

    def _lift(self) -> None:
        """Off the mount: free modes, and wind from now on."""
        self._flying, self._still = True, False
        self._frame = airframe(self.vehicle, clamped=False)
        self._wind.start()
        self._push = self.stage.push(self._wind.now)
        self._before = self._change = self._view = None
        self._steps = 0
        self._tell(self.time_ns, "liftoff")

    def _touches(self) -> bool:
        """Whether an end of the vehicle is below the pad's level."""
        x = self._state
        if x[0] * x[0] + x[1] * x[1] + x[2] * x[2] > (self._pad_r_m + _NEAR_GROUND_M) ** 2:
            return False
        return clearance_m(self._look(x, self.step_ns)) <= 0.0

    def _hit(self, start: State) -> None:
        """Find the instant of impact within the step, and lie there."""
        now = self._derive(start)

        def at(share: float) -> View:
            return self._look(rk4(start, now, share * self._step_s, self._derive), round(share * self.step_ns))

        found = at(share_until(lambda share: clearance_m(at(share))))
        self._lies, self._bent = lying(found), NO_BENDING
        self._flying, self._impacted = False, True
        self.stage.engines.stop()
        self._tell(found.time_ns, "impact")
        self._tick()
        self._state = self._lies.state(self.time_ns)

    # -- what can be seen ---------------------------------------------------------------------------------

    def _look(self, state: State, later_ns: int = 0, change: State | None = None) -> View:
        standing = not (self._flying or self._impacted)
        rig = Rig(self.vehicle, self.stage, self._site, standing, not self._released, self._impacted)
        return View(self.time_ns + later_ns, state, change or state, self._push, rig)

    @property
    def view(self) -> View:
        """The vehicle now, as seen from outside; made once an instant."""
        if self._view is None:
            if self._still:
                self._state = self._lies.state(self.time_ns, self._bent)
                self._change = None
            if self._change is None:
                self._change = self._derive(self._state)
            change = self._change
            if not self._flying:
                held = (*self._state[3:6], *carried(self._state), *change[6:10], 0.0, 0.0, 0.0)
                change = (*held, *(change[13:] if not self._impacted else NO_BENDING))
            self._view = self._look(self._state, 0, change)
        return self._view

    def output(self, name: str) -> tuple[float, ...]:
        """An output by its name, from the state latched by the last step.

        Raises:
            HilError: for an unknown name; names the nearest.
        """
        found = OUTPUTS.get(name)
        if found is not None:
            return found[1](self.view)
        if name not in self.outputs:
            raise HilError(f"the plant has no output {name}; {nearest(name, list(self.outputs))}")
        return self._inertial(int(name[-1]) - 1)

    def _inertial(self, number: int) -> tuple[float, ...]:
        """What an inertial unit reads now; asked twice at one instant, it answers the same."""
        latched = self._readings.get(number)
        if latched is None or latched[0] != self.time_ns:
            imu = self._imus[number]
            latched = (self.time_ns, imu.read(*self.view.at_station(imu.spec)))
            self._readings[number] = latched
        return latched[1]

    def read(self, name: str) -> float:
        """A true value by its name, in the unit ``truth`` gives.

        Raises:
            HilError: for an unknown name; names the nearest.
        """
        found = TRUTH.get(name)
        if found is None:
            raise HilError(f"the plant's truth has no {name}; {nearest(name, list(self.truth))}")
        return found[1](self.view)

    def on_event(self, fn: Callable[[int, str], object]) -> None:
        """Call ``fn(time_ns, name)`` at every event from now on."""
        self._watchers.append(fn)

    def _tell(self, time_ns: int, name: str) -> None:
        self.events.append((time_ns, name))
        for fn in self._watchers:
            fn(time_ns, name)

    # -- faults and snapshots -----------------------------------------------------------------------------

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put a fault on the vehicle now; the returned call takes it away.

        Raises:
            HilError: for an unknown kind, an unknown number or a value that is not physical.
        """
        undo = apply_to(self, fault)
        self._disturb()

        def end() -> None:
            undo()
            self._disturb()

        return end

    def _disturb(self) -> None:
        """Something was changed from outside: look again."""
        self._push = self.stage.push(self._wind.now)
        self._change = self._view = self._before = None
        if not self._flying and not self._impacted:
            self._wind.start()
            if self._still:
                self._balance()
        self._still = False

    def use(self, vehicle: Vehicle) -> None:
        """Take other numbers from now on; state, propellant, place of the pad and what noise has drawn stay."""
        self.vehicle = vehicle
        self.stage.use(vehicle)
        self._wind.use(vehicle.wind)
        for imu, spec in zip(self._imus, _imus(vehicle), strict=True):
            imu.use(spec)
        self._frame = airframe(vehicle, clamped=not self._flying)
        self._disturb()

    @property
    def spec_hash(self) -> str:
        """SHA-256 of what decides a flight besides commands and seed: vehicle, faults on it, step, integrator."""
        text = f"{self.vehicle.model_dump_json()} {self.stage.faults()} {self.step_ns} {self.integrator}"
        return hashlib.sha256(text.encode()).hexdigest()

    def save(self) -> bytes:
        """The whole state as JSON; :meth:`load` brings it back to the last bit."""
        saved = {
            "spec_hash": self.spec_hash,
            "time_ns": self.time_ns,
            "events": self.events,
            "flags": [getattr(self, name) for name in _FLAGS],
            "steps": self._steps,
            "commands": self._commands,
            "lies": self._lies,
            "bent": self._bent,
            "state": self._state,
            "before": self._before,
            "stage": self.stage.save(),
            "wind": self._wind.save(),
            "imus": [imu.save() for imu in self._imus],
            "readings": list(self._readings.items()),
        }
        return json.dumps(saved).encode()

    def load(self, saved: bytes) -> None:
        """Go back to a saved state.

        Raises:
            HilError: when it was saved by another vehicle, with other faults, another step or another integrator.
        """
        found = cast("dict[str, Any]", json.loads(saved))
        if found["spec_hash"] != self.spec_hash:
            raise HilError(
                f"plant: the snapshot is of {found['spec_hash'][:12]}, this is {self.spec_hash[:12]}; load it into the "
                "same vehicle with the same faults, step and integrator"
            )
        self.time_ns, self._steps = found["time_ns"], found["steps"]
        self.events[:] = [(time_ns, name) for time_ns, name in found["events"]]
        for name, value in zip(_FLAGS, found["flags"], strict=True):
            setattr(self, name, value)
        self._commands = [tuple(command) for command in found["commands"]]
        self._lies = Resting(*(tuple(part) for part in found["lies"]))
        self._bent = tuple(found["bent"])
        self.stage.load(found["stage"])
        self._wind.load(found["wind"])
        for imu, kept in zip(self._imus, found["imus"], strict=True):
            imu.load(kept)
        self._readings = {k: (time_ns, tuple(reading)) for k, (time_ns, reading) in found["readings"]}
        self._frame = airframe(self.vehicle, clamped=not self._flying)
        self._push = self.stage.push(self._wind.now)
        self._state = tuple(found["state"])
        self._before = tuple(found["before"]) if found["before"] else None
        self._change = self._view = None


def _imus(vehicle: Vehicle) -> tuple[ImuTable, ImuTable, ImuTable]:
    return vehicle.imu_1, vehicle.imu_2, vehicle.imu_3


def _normals(streams: Streams, source: str) -> Normals:
    return Normals(streams.stream("plant", source))
