"""A small world for tests of the flight computer: it, two buses, and what the units around it say."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from hil.can.database import Database
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.noise import Streams
from hil.ports import BusAttachment, Ports
from hil.units import ms, s
from hil.wiring import Wiring
from hil_launcher.models.flight_computer.as_built import FlightAsBuilt
from hil_launcher.models.flight_computer.computer import FlightComputer

if TYPE_CHECKING:
    from hil.can.frame import Frame

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
DATABASE = Database.load(LAUNCHER / "launcher.dbc")
UPRIGHT = (0.0, 0.0, 0.0, 9.82, 0.0, 0.0)
_CONTACTS = ("liftoff_1", "liftoff_2", "umbilical")
_CHECKS = {"TURBINE_TEMPERATURE_BAD": 0, "PUMP_SPEED_BAD": 0, "PC_BAD": 0, "HEARTBEAT_LOST": 0, "IGNITER": 0}


BRIEF = {
    "boot_ms": 100.0,
    "count.from_s": 1.8,
    "count.vent_closed_by_s": 1.4,
    "count.ignition_s": 1.3,
    "count.stagger_s": 0.02,
    "count.mainstage_by_s": 0.1,
}
"""A count that is over in two seconds, for tests of what comes after it."""


class Engine:
    """What an engine controller says: it starts in a second, and is safe 300 ms after its shutdown."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.orders: list[tuple[int, str]] = []
        self.fixed = ""
        self.pc_mpa: float | None = None
        self.interrupted = 0
        self._state, self._since = "STANDBY", 0

    def order(self, command: str) -> None:
        """Take a command."""
        self.orders.append((self.clock.now, command))
        wanted = {"START": ("STANDBY", "IGNITION"), "RESET": ("SAFE", "STANDBY")}
        if command == "SHUTDOWN" and self.state in ("IGNITION", "RAMP", "MAINSTAGE"):
            self._state, self._since = "SHUTDOWN", self.clock.now
        elif command in wanted and self.state == wanted[command][0]:
            self._state, self._since = wanted[command][1], self.clock.now

    @property
    def state(self) -> str:
        """Its state now."""
        age_ms = (self.clock.now - self._since) / ms
        if self._state == "IGNITION":
            return "IGNITION" if age_ms < 350 else "RAMP" if age_ms < 1000 else "MAINSTAGE"
        return "SAFE" if self._state == "SHUTDOWN" and age_ms > 300 else self._state

    def status(self) -> dict[str, float | int | str]:
        """Its status message."""
        state = self.fixed or self.state
        pc_mpa = self.pc_mpa if self.pc_mpa is not None else 10.0 if state == "MAINSTAGE" else 0.0
        cause = {"ABORT_CAUSE": "NONE", "OX_POSITION": 0, "FUEL_POSITION": 0}
        return {"STATE": state, "PC": pc_mpa, "INTERRUPTED": self.interrupted, **cause, **_CHECKS}


class FcWorld:
    """The flight computer on a virtual clock, with units that can be changed or silenced.

    Args:
        changes: as-built values of the flight computer to change, by dotted key.
    """

    def __init__(self, **changes: object) -> None:
        self.clock = VirtualClock()
        self.wiring = Wiring(self.clock)
        streams = Streams(1)
        self.wires = [CanWire(self.clock, name, 500_000, streams.stream(name, "wire")) for name in ("bus_a", "bus_b")]
        attachments = {
            port: BusAttachment(wire.attach("fc"), DATABASE, "FC")
            for port, wire in zip(("can_a", "can_b"), self.wires, strict=True)
        }
        built = FlightAsBuilt.model_validate(as_built(changes))
        self._boot_ns, self._count_s = round(built.boot_ms * ms), built.count.from_s
        self.fc = FlightComputer(self.clock, streams, Ports("fc", self.wiring, attachments), built)
        self.noise = streams.stream("units", "noise")
        self.stand = {name: self.wiring.pin(f"stand.{name}") for name in (*_CONTACTS, "vent_closed")}
        self.outputs = {name: self.wiring.pin(f"stand.{name}") for name in ("vent_close", "release")}
        for name in (*self.stand, *self.outputs):
            self.wiring.net(name, [f"fc.{name}", f"stand.{name}"])
        for pin in self.outputs.values():
            pin.load(1000.0)
        self.nodes = [wire.attach("units") for wire in self.wires]
        self.engines = [Engine(self.clock) for _ in range(10)]
        self.gimbals = [["ACTIVE", 0.0, 0.0] for _ in range(9)]
        self.imus = [UPRIGHT] * 3
        self.frozen = [False] * 3
        self.receivers = ["SAFE", "SAFE"]
        self.vent_works = True
        self.silent: set[str] = set()
        self.dead_buses: set[int] = set()
        self.heard: dict[str, dict[str, float | int | str]] = {}
        self.times: dict[str, list[int]] = {}
        self._senders = {name: DATABASE.sender(name) for name in DATABASE.names}
        self._held = [UPRIGHT] * 3
        for bus, node in enumerate(self.nodes):
            node.on_frame(lambda frame, bus=bus: self._frame(bus, frame))
        self.clock.every(10 * ms, self._tick)
        self._ticks = 0
        self._vent_since = 0
        self.touch(1, 1, 1)

    def touch(self, liftoff_1: int, liftoff_2: int, umbilical: int = 1) -> None:
        """Close (1) or open (0) the contacts to the pad."""
        for name, closed in zip(_CONTACTS, (liftoff_1, liftoff_2, umbilical), strict=True):
            if closed:
                self.stand[name].drive(28.0, 1.0)
            else:
                self.stand[name].release()

    def power(self) -> FcWorld:
        """Switch the flight computer on and let it boot."""
        self.wiring.pin("fc.power").drive(28.0, 0.05)
        self.clock.sleep(self._boot_ns + 300 * ms)
        return self

    def ground(self, command: str) -> None:
        """Send a command of the ground on both buses."""
        self.send("GSE_COMMAND", {"COMMAND": command})

    def send(self, name: str, signals: dict[str, float | int | str]) -> None:
        """Send a message on the buses that are not dead."""
        frame = self._senders[name].frame(signals)
        for bus, node in enumerate(self.nodes):
            if bus not in self.dead_buses:
                node.send(frame)

    def counted(self, to_s: float) -> FcWorld:
        """Boot, begin the count and wait until this time before release [s]."""
        self.power()
        self.ground("COUNT")
        self.clock.sleep(round((self._count_s + to_s) * s) + 20 * ms)
        return self

    def flying(self) -> FcWorld:
        """Count down and lift off."""
        self.counted(0.05)
        assert self.status["MODE"] == "COMMIT"
        self.lift()
        self.clock.sleep(200 * ms)
        assert self.status["MODE"] == "FLIGHT"
        return self

    def lift(self) -> None:
        """The vehicle leaves: 12 m/s^2 along x, every contact open."""
        self.imus = [(0.0, 0.0, 0.0, 12.2, 0.0, 0.0)] * 3
        self.touch(0, 0, 0)

    @property
    def status(self) -> dict[str, float | int | str]:
        """The last FC_STATUS."""
        return self.heard["FC_STATUS"]

    def orders(self, command: str) -> list[int]:
        """The engines, from 1, that were given a command."""
        return [n + 1 for n, engine in enumerate(self.engines) if any(name == command for _, name in engine.orders)]

    @property
    def deflections(self) -> list[float]:
        """The gimbal commands: y and z of engine 1, y and z of engine 2, ... [deg]."""
        return [float(self.heard[f"TVC_COMMAND_{(k + 1) // 2}"][f"{axis}_{k}"]) for k in range(1, 10) for axis in "YZ"]

    def _tick(self) -> None:
        self._ticks += 1
        for n in range(3):
            self._imu(n)
        if self._ticks % 2 == 0:
            for k, engine in enumerate(self.engines, 1):
                self._say(f"ENG{k}", "STATUS", engine.status())
            for k, (state, y, z) in enumerate(self.gimbals, 1):
                self._say(f"GIM{k}", "STATUS", {"STATE": state, "Y": y, "Z": z, "BUS": "A"})
        if self._ticks % 10 == 0:
            for name, state in zip("AB", self.receivers, strict=True):
                rest = {"SHUTDOWN": 0, "CHECK": 0, "TONES": 0, "SST": 1.0, "SUPPLY": 28.0}
                self._say(f"FTS_{name}", "STATUS", {"STATE": state, **rest})
        self._vent()

    def _imu(self, n: int) -> None:
        if not self.frozen[n]:
            noise = self.noise.standard_normal(6) * 0.02
            self._held[n] = tuple(value + error for value, error in zip(self.imus[n], noise.tolist(), strict=True))
        p, q, r, x, y, z = self._held[n]
        self._say(f"IMU{n + 1}", "RATE", {"X": p, "Y": q, "Z": r, "VALID": 1})
        self._say(f"IMU{n + 1}", "FORCE", {"X": x, "Y": y, "Z": z, "VALID": 1})

    def _say(self, unit: str, message: str, signals: dict[str, float | int | str]) -> None:
        if unit not in self.silent:
            self.send(f"{unit}_{message}", signals)

    def _vent(self) -> None:
        """The valve closes 300 ms after its command, and opens as it goes."""
        if self.outputs["vent_close"].volts < 10.0 or not self.vent_works:
            self._vent_since = self.clock.now
            self.stand["vent_closed"].release()
        elif self.clock.now - self._vent_since >= 300 * ms:
            self.stand["vent_closed"].drive(28.0, 1.0)

    def _frame(self, bus: int, frame: Frame) -> None:
        message = DATABASE.find(frame)
        if message is None or bus in self.dead_buses or frame.sender != "fc":
            return
        signals = DATABASE.decode(frame)
        if bus == 0 or 0 in self.dead_buses:
            self.heard[message.name] = signals
            self.times.setdefault(message.name, []).append(frame.at_ns)
            if message.name.startswith("ENG"):
                self.engines[int(message.name[3:].split("_")[0]) - 1].order(str(signals["COMMAND"]))


def as_built(changes: dict[str, object]) -> dict[str, object]:
    """The flight computer's as-built tables with some values changed, by dotted key."""
    tree = tomllib.loads((LAUNCHER / "as_built" / "fc.toml").read_text())
    for key, value in changes.items():
        table = tree
        *path, last = key.split(".")
        for name in path:
            table = table[name]
        assert last in table
        table[last] = value
    return tree
