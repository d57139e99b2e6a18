"""The buses of a flight: two wires, some 30 nodes on each, every cyclic message of the launcher's database on both.

Every node of the database sends its messages on both buses and takes from both what the database says it takes, counter
and CRC checked; a client listens on each bus, too, as in a rig. The goal is 12 us of CPU time a frame, all in: encode,
seal, arbitration, log line, delivery, check, decode.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hil.article import Article, AsBuilt
from hil.bus_port import BusPort
from hil.can.bus import SimBus
from hil.can.database import Database
from hil.can.facade import Bus
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.noise import Streams
from hil.ports import BusAttachment, Ports, PowerPin
from hil.units import ms, s
from hil.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.can.frame import Frame

    Signals = Mapping[str, float | int | str]

DBC = Path(__file__).parents[1] / "fixtures" / "hil_launcher" / "launcher.dbc"
BITRATE_BPS = 500_000
BUSES = ("bus_a", "bus_b")
BUILT = AsBuilt(supply_on_v=20.0, supply_off_v=17.0, hold_up_ms=80.0, nominal_v=28.0, idle_a=0.1)
VARIANTS = 50  # different values of each message, made beforehand: the figure is the bus's alone
GOAL_US = 12.0


class Talker(Article):
    """An article that does nothing but talk and listen, as the database says of its node."""

    power = PowerPin()
    can_a = BusPort()
    can_b = BusPort()

    heard: list[int]
    """How often a message came, in one cell: setting an attribute of a closed class is not the bus's cost."""

    def build(self) -> None:
        """Take its messages from both buses."""
        self.heard = [0]
        database = self.can_a.database
        for name in database.names:
            if self.can_a.prefix in database.message(name).receivers:
                self.can_a.on(name, self._hear)
                self.can_b.on(name, self._hear)

    def power_up(self) -> None:
        """Send its messages, each with its period."""
        database = self.can_a.database
        for place, name in enumerate(database.sent_by(self.can_a.prefix)):
            period_ns = database.cycle_ns(name)
            if period_ns is not None:
                offset_ns = (137_000 * place + 19_000 * database.message(name).frame_id) % period_ns
                self.every(period_ns, self._speech(name, _values(database, name)), offset_ns=offset_ns)

    def _hear(self, _: Signals) -> None:
        self.heard[0] += 1

    def _speech(self, name: str, values: list[dict[str, float | int | str]]) -> Callable[[], None]:
        tick = 0

        def speak() -> None:
            nonlocal tick
            tick += 1
            self.broadcast(name, values[tick % VARIANTS])

        return speak


class Client:
    """What the tester's side does on one bus: checks and decodes the status messages."""

    def __init__(self, bus: Bus) -> None:
        self.told = 0
        self._database = bus.database
        for name in bus.database.names:
            if name.endswith("_STATUS"):
                bus.subscribe(self._follow(name), [name])

    def _follow(self, name: str) -> Callable[[Frame], None]:
        receiver = self._database.receiver(name)

        def arrived(frame: Frame) -> None:
            if receiver.check(frame) is None:
                self.told += len(self._database.decode(frame)) > 0

        return arrived


class FlightBuses:
    """Two buses with everything on them, logged to a file."""

    def __init__(self, log: Path) -> None:
        self.clock = VirtualClock()
        self._log = log.open("w")
        database, streams, wiring = Database.load(DBC), Streams(1), Wiring(self.clock)
        self.wires = {
            name: CanWire(self.clock, name, BITRATE_BPS, streams.stream(name, "wire"), log=self._line) for name in BUSES
        }
        self.buses = [Bus(name, self.clock, SimBus(name), database) for name in BUSES]
        self.clients = [Client(bus) for bus in self.buses]
        nodes = sorted({sender for name in database.names for sender in database.message(name).senders})
        self.articles: list[Talker] = []
        for node in nodes:
            attachments = {
                port: BusAttachment(wire.attach(node), database, node)
                for port, wire in zip(("can_a", "can_b"), self.wires.values(), strict=True)
            }
            self.articles.append(Talker(self.clock, streams, Ports(node, wiring, attachments), BUILT))
        wiring.pin("psu.out1").drive(28.0, 0.01)
        wiring.net("power", ["psu.out1", *(f"{node}.power" for node in nodes)])

    def _line(self, line: str) -> None:
        self._log.write(line + "\n")

    @property
    def frames(self) -> int:
        """Frames that have been on both wires."""
        return sum(wire.stats.frames for wire in self.wires.values())

    @property
    def decoded(self) -> int:
        """How often a frame has been decoded, by articles and clients."""
        return sum(article.heard[0] for article in self.articles) + sum(client.told for client in self.clients)

    def close(self) -> None:
        """Close buses, wires and log."""
        for bus in self.buses:
            bus.close()
        for wire in self.wires.values():
            wire.close()
        self._log.close()


def _values(database: Database, name: str) -> list[dict[str, float | int | str]]:
    """Physical values of a message that differ from tick to tick, all within their limits."""
    protection = database.protection(name)
    filled = {protection.crc_signal, protection.counter.signal if protection.counter else None}
    found: list[dict[str, float | int | str]] = [{} for _ in range(VARIANTS)]
    for place, signal in enumerate(database.message(name).signals):
        if signal.name in filled:
            continue
        low, high = float(signal.minimum or 0.0), float(signal.maximum or 0.0)
        for tick, values in enumerate(found):
            value = low + (high - low) * ((7 * tick + place) % VARIANTS) / VARIANTS
            values[signal.name] = int(value) if signal.scale == 1 else value
    return found


def _once(log: Path) -> dict[str, float]:
    world = FlightBuses(log)
    world.clock.sleep(500 * ms)
    frames, decoded, start = world.frames, world.decoded, time.process_time()
    world.clock.sleep(1 * s)
    cpu_s, frames, decoded = time.process_time() - start, world.frames - frames, world.decoded - decoded
    load, nodes = max(wire.load() for wire in world.wires.values()), len(world.articles) + 1
    world.close()
    if decoded < frames:
        raise RuntimeError(f"{decoded} messages were decoded of {frames} frames; every frame has a reader")
    return {
        "us_per_frame": 1e6 * cpu_s / frames,
        "cpu_ms_per_s": 1e3 * cpu_s,
        "frames_per_s": frames,
        "decodes_per_frame": decoded / frames,
        "load": load,
        "nodes": nodes,
    }


def measure(rounds: int) -> dict[str, float]:
    """Medians over ``rounds``.

    ``us_per_frame``: CPU time of one frame, all in [us]; ``cpu_ms_per_s``: of both buses in one rig second [ms];
    ``frames_per_s``: over both buses, in rig time [1/s]; ``decodes_per_frame``: how many nodes decode it on average;
    ``load``: of the busier bus, 0 to 1; ``nodes``: on each bus.
    """
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="hil-bench-") as scratch:
        for _ in range(rounds):
            for name, value in _once(Path(scratch) / "flight.log").items():
                taken.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in taken.items()}


def report(taken: dict[str, float]) -> list[tuple[str, float, str, str]]:
    """(what, value, unit, goal) per line."""
    return [
        ("flight buses, one frame all in", taken["us_per_frame"], "us", f"<= {GOAL_US:g}"),
        ("flight buses, frames over both buses", taken["frames_per_s"], "frames/s", ">= 4000"),
        ("flight buses, nodes on each", taken["nodes"], "", ""),
        ("flight buses, nodes that decode a frame", taken["decodes_per_frame"], "", ""),
        ("flight buses, load of the busier one", 100 * taken["load"], "%", ""),
        ("flight buses, CPU time of one rig second", taken["cpu_ms_per_s"], "ms", ""),
    ]


def main() -> None:
    """Print the figures beside their goals."""
    for what, value, unit, goal in report(measure(rounds=7)):
        print(f"{what:48} {value:12.2f} {unit:12} {goal}")


if __name__ == "__main__":
    main()
