"""A small world for tests of the launcher's units: one article, its supply, two buses, quantities."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from hil.bus_port import BusPort
from hil.can.database import Database
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.faults import Fault
from hil.noise import Streams
from hil.ports import BusAttachment, Ports
from hil.units import ms
from hil.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.article import Article
    from hil.can.frame import Frame

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"


class UnitWorld:
    """One article on a virtual clock, without supply until :meth:`power`.

    Args:
        kind: its class.
        file: its as-built data.
        node: prefix of its messages.
        changes: as-built values to change, by dotted key.
    """

    def __init__(self, kind: type[Article], file: str, node: str = "", changes: Mapping[str, object] | None = None):
        self.clock = VirtualClock()
        self.wiring = Wiring(self.clock)
        self.database = Database.load(LAUNCHER / "launcher.dbc")
        streams = Streams(1)
        self.wires = {name: CanWire(self.clock, name, 500_000, streams.stream(name, "wire")) for name in ("a", "b")}
        ports = [name for name, port in kind.declared_ports().items() if isinstance(port, BusPort)]
        attachments = {
            port: BusAttachment(wire.attach("unit"), self.database, node)
            for port, wire in zip(ports, self.wires.values(), strict=False)
        }
        built = kind.AS_BUILT.model_validate(as_built(file, changes or {}))
        self.article = kind(self.clock, streams, Ports("unit", self.wiring, attachments), built)
        self.supply = self.wiring.pin("psu.out1")
        self.wiring.net("power", ["psu.out1", "unit.power"])
        self.others = {name: wire.attach("fc") for name, wire in self.wires.items()}
        self.heard: list[tuple[str, str, Frame]] = []
        for name, other in self.others.items():
            other.on_frame(lambda frame, name=name: self._frame(name, frame))
        self._senders = {}

    def power(self, volts: float = 28.0) -> None:
        """Give the article its supply [V]; 0 takes it away."""
        if volts > 0.0:
            self.supply.drive(volts, 0.05)
        else:
            self.supply.release()
            self.supply.load(100.0)

    def give(self, port: str, *values: float) -> None:
        """Give a physical quantity to one of its ports, from now on."""
        source = self.wiring.quantity_pin(f"plant.{port}", len(values))
        source.set(*values)
        if source not in self._joined(port):
            self.wiring.net(port, [f"plant.{port}", f"unit.{port}"])

    def taken(self, port: str, width: int) -> tuple[float, ...]:
        """What one of its ports gives."""
        return self.wiring.quantity_pin(f"unit.{port}", width).values

    def line(self, port: str, *, high: bool) -> None:
        """Put 28 V on one of its discrete inputs, or nothing."""
        pin = self._wired(port)
        if high:
            pin.drive(28.0, 1.0)
        else:
            pin.release()

    def level(self, port: str) -> bool:
        """Whether one of its discrete outputs is HIGH, into 10 kohm."""
        return self._wired(port).volts > 10.0

    def send(self, message: str, signals: Mapping[str, float | str], buses: str = "ab") -> None:
        """Send a message from the flight computer."""
        for name in buses:
            sender = self._senders.setdefault((name, message), self.database.sender(message))
            self.others[name].send(sender.frame(signals))

    def beat(self, buses: str = "ab") -> Callable[[], None]:
        """Send the heartbeat on these buses from now on; the returned call stops it."""
        return self.clock.every(50 * ms, lambda: self.send("FC_HEARTBEAT", {"PHASE": "PAD"}, buses)).cancel

    def fault(self, kind: str, **parameters: float | str) -> Callable[[], None]:
        """Put a fault on the article; the returned call takes it away."""
        return self.article.apply(Fault("unit", kind, parameters=parameters))

    def frames(self, message: str, bus: str = "a") -> list[Frame]:
        """The frames of a message that were heard on a bus."""
        return [frame for where, name, frame in self.heard if (where, name) == (bus, message)]

    def last(self, message: str, bus: str = "a") -> dict[str, float | int | str]:
        """The signals of the last message of a name on a bus."""
        return self.database.decode(self.frames(message, bus)[-1])

    def _frame(self, bus: str, frame: Frame) -> None:
        message = self.database.find(frame)
        assert message is not None
        self.heard.append((bus, message.name, frame))

    def _joined(self, port: str) -> list[object]:
        entry = self.wiring._nets.get(port)
        return list(entry) if isinstance(entry, list) else []

    def _wired(self, port: str):
        pin = self.wiring.pin(f"stand.{port}")
        if not pin.net.name:
            pin.load(10e3)
            self.wiring.net(f"line_{port}", [f"stand.{port}", f"unit.{port}"])
        return pin


def as_built(file: str, changes: Mapping[str, object]) -> dict[str, object]:
    """As-built data with some values changed, by dotted key."""
    tree = tomllib.loads((LAUNCHER / "as_built" / file).read_text())
    for key, value in changes.items():
        table = tree
        *path, last = key.split(".")
        for name in path:
            table = table[name]
        assert last in table
        table[last] = value
    return tree
