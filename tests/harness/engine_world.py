"""A small world for tests of the engine models: supply, two buses, controller, hardware, and nothing that judges."""

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
from hil_launcher.models.engine.as_built import EngineAsBuilt
from hil_launcher.models.engine.controller import EngineController
from hil_launcher.models.engine.hardware import EngineHardware, HardwareAsBuilt

if TYPE_CHECKING:
    from hil.can.frame import Frame

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
SHARED = ("main_ox", "main_fuel", "igniter", "ox_position", "fuel_position")
_QUANTITIES = ("pc", "turbine_temperature", "pump_speed")
SENSORS = tuple(f"{quantity}_{string}" for quantity in _QUANTITIES for string in "abc")


class EngineWorld:
    """Engine controller and hardware on a virtual clock, powered, with a flight computer that can be switched off.

    Args:
        changes: as-built values of the controller to change, by dotted key.
    """

    def __init__(self, **changes: object) -> None:
        self.clock = VirtualClock()
        self.wiring = Wiring(self.clock)
        self.database = Database.load(LAUNCHER / "launcher.dbc")
        streams = Streams(1)
        self.wires = {
            name: CanWire(self.clock, name, 500_000, streams.stream(name, "wire")) for name in ("bus_a", "bus_b")
        }
        attachments = {
            port: BusAttachment(wire.attach("engine"), self.database, "ENG1")
            for port, wire in zip(("can_a", "can_b"), self.wires.values(), strict=True)
        }
        built = EngineAsBuilt.model_validate(_changed("engine.toml", changes))
        self.controller = EngineController(self.clock, streams, Ports("engine", self.wiring, attachments), built)
        hardware = HardwareAsBuilt.model_validate(_changed("engine_hardware.toml", {}))
        self.hardware = EngineHardware(self.clock, streams, Ports("engine_hardware", self.wiring), hardware)
        for name in (*SENSORS, *SHARED):
            self.wiring.pin(f"stand.{name}")
            self.wiring.net(name, [f"engine.{name}", f"engine_hardware.{name}", f"stand.{name}"])
        self.supply = self.wiring.pin("psu.out3")
        self.wiring.net("power", ["psu.out3", "engine.power", "engine_hardware.power"])
        self.flight_computers = {name: wire.attach("fc") for name, wire in self.wires.items()}
        self.beating = set(self.wires)
        self.status: dict[str, float | int | str] = {}
        self.flight_computers["bus_a"].on_frame(self._frame)
        self._beats = {name: self.database.sender("FC_HEARTBEAT") for name in self.wires}
        self._commands = {name: self.database.sender("ENG1_COMMAND") for name in self.wires}
        self.clock.every(50 * ms, self._beat)

    def power(self, volts: float = 28.0) -> None:
        """Give the articles their supply [V]."""
        self.supply.drive(volts, 0.05)

    def command(self, command: str) -> None:
        """Send a command on both buses."""
        for name, node in self.flight_computers.items():
            node.send(self._commands[name].frame({"COMMAND": command}))

    def drive(self, sensor: str, volts: float) -> None:
        """Override a sensor pin [V], or all three of a quantity."""
        for name in SENSORS:
            if name == sensor or name[:-2] == sensor:
                self.wiring.pin(f"stand.{name}").drive(volts, 1.0)

    def started(self) -> EngineWorld:
        """Power up and start the engine, up to mainstage."""
        self.power()
        self.clock.sleep(200 * ms)
        self.command("START")
        self.clock.sleep(s + 100 * ms)
        assert self.status["STATE"] == "MAINSTAGE"
        return self

    @property
    def valves_v(self) -> tuple[float, float]:
        """Position voltages of oxidiser and fuel valve [V]."""
        return self.wiring.pin("stand.ox_position").volts, self.wiring.pin("stand.fuel_position").volts

    def _beat(self) -> None:
        for name in sorted(self.beating):
            self.flight_computers[name].send(self._beats[name].frame({"PHASE": "PAD"}))

    def _frame(self, frame: Frame) -> None:
        message = self.database.find(frame)
        if message is not None and message.name == "ENG1_STATUS":
            self.status = self.database.decode(frame)


def _changed(file: str, changes: dict[str, object]) -> dict[str, object]:
    tree = tomllib.loads((LAUNCHER / "as_built" / file).read_text())
    for key, value in changes.items():
        table = tree
        *path, last = key.split(".")
        for name in path:
            table = table[name]
        assert last in table
        table[last] = value
    return tree
