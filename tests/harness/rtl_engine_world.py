"""A small world for tests of the engine controller's RTL on its board: supply, two buses, the engine itself."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine_world import SENSORS, SHARED

from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms
from hil_launcher.models.engine.rtl_board import EngineRtlBoard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hil.can.frame import Frame
    from hil.rig.world import Rig

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
BUSES = ("bus_a", "bus_b")

_RIG = """
[rig]
name = "rtl"
pace = "virtual"
[rtl]
simulator = "{simulator}"
upsets = {upsets}
[bus.bus_a]
interface = "hil"
channel = "bus_a"
bitrate_bps = 500000
database = "{launcher}/launcher.dbc"
[bus.bus_b]
interface = "hil"
channel = "bus_b"
bitrate_bps = 500000
database = "{launcher}/launcher.dbc"
[dut.engine]
bus = ["bus_a", "bus_b"]
node = "{node}"
rtl = "{launcher}/rtl/engine_controller.toml"
as_built = "{launcher}/as_built/engine.toml"
[dut.engine_hardware]
model = "hil_launcher.models.engine.hardware:EngineHardware"
as_built = "{launcher}/as_built/engine_hardware.toml"
"""


class RtlEngineWorld:
    """One engine whose controller is RTL, with a flight computer's heartbeat; without power at first."""

    def __init__(self, rig: Rig, node: str) -> None:
        self.rig, self.clock, self.wiring = rig, rig.clock, rig.wiring
        board = rig.models["engine"]
        assert isinstance(board, EngineRtlBoard)
        self.board = board
        self._node = node
        for name in (*SENSORS, *SHARED):
            self.wiring.pin(f"stand.{name}")
            self.wiring.net(name, [f"engine.{name}", f"engine_hardware.{name}", f"stand.{name}"])
        self.lines = {name: self.wiring.pin(f"stand.line_{name}") for name in "ab"}
        for name in "ab":
            self.wiring.net(f"line_{name}", [f"stand.line_{name}", f"engine.fts_shutdown_{name}"])
        self.supply = self.wiring.pin("psu.out")
        self.wiring.net("power", ["psu.out", "engine.power", "engine_hardware.power"])
        self.status: dict[str, float | int | str] = {}
        """The last status that came on bus A."""
        rig.bus("bus_a").subscribe(self._heard, [f"{node}_STATUS"])
        for bus in BUSES:
            rig.bus(bus).send_periodic("FC_HEARTBEAT", {"PHASE": "PAD"}, 50 * ms)

    def power(self, volts: float = 28.0) -> None:
        """Give the articles their supply [V]."""
        self.supply.drive(volts, 0.05)

    def command(self, command: str) -> None:
        """Send a command on both buses."""
        for bus in BUSES:
            self.rig.bus(bus).send(f"{self._node}_COMMAND", {"COMMAND": command})

    def ignited(self) -> RtlEngineWorld:
        """Power up and start, up to 300 ms after the command: the igniter is on and the oxidiser valve open."""
        self.power()
        self.clock.sleep(180 * ms)
        self.command("START")
        self.clock.sleep(350 * ms)
        assert self.on == {"main_ox", "igniter"}
        return self

    @property
    def on(self) -> set[str]:
        """The outputs that give more than 0.5 A."""
        return {name for name in ("main_ox", "main_fuel", "igniter") if self._amps(name) > 0.5}

    def _amps(self, name: str) -> float:
        return self.wiring.pin(f"engine_hardware.{name}").amps

    def _heard(self, frame: Frame) -> None:
        self.status = self.rig.bus("bus_a").database.decode(frame)


@contextmanager
def engine_world(
    folder: Path, simulator: str = "auto", *, node: str = "ENG1", sets: Sequence[str] = (), upsets: bool = False
) -> Iterator[RtlEngineWorld]:
    """An engine whose controller is RTL, on a rig of its own.

    Args:
        folder: where its rig file is written.
        simulator: what runs the design.
        node: prefix of its messages.
        sets: as-built data that are different, ``dut.engine.as_built.KEY=VALUE``.
        upsets: whether registers can be flipped.
    """
    file = folder / "rtl.toml"
    file.write_text(_RIG.format(simulator=simulator, launcher=LAUNCHER, node=node, upsets=str(upsets).lower()))
    rig = open_rig(Blueprint.of(load_rig(file, sets)), seed=1)
    try:
        yield RtlEngineWorld(rig, node)
    finally:
        rig.close()
