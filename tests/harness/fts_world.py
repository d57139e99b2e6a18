"""A small world for tests of the receiver model: supply, generator, loads, two buses; nothing that judges."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from hil.can.database import Database
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.nets import RfValue, Tone
from hil.noise import Streams
from hil.ports import BusAttachment, Ports
from hil.units import ms
from hil.wiring import Wiring
from hil_launcher.models.fts.receiver import FtsAsBuilt, FtsReceiver

if TYPE_CHECKING:
    from hil.can.frame import Frame

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
TONES_HZ = {1: 7500.0, 2: 8460.0, 3: 9540.0, 4: 10760.0, 5: 12140.0}
ARM, TERMINATE, OPTIONAL, CHECK = (1, 5), (1, 2), (2, 5), (4,)
OUTPUTS = ("arm", "terminate", "shutdown")


class FtsWorld:
    """Receiver A on a virtual clock, warm at 28 V unless ``cold``; ``changes`` are as-built values to change."""

    def __init__(self, *, cold: bool = False, **changes: object) -> None:
        self.clock = VirtualClock()
        self.wiring = Wiring(self.clock)
        self.database = Database.load(LAUNCHER / "launcher.dbc")
        streams = Streams(1)
        self.wires = {
            name: CanWire(self.clock, name, 500_000, streams.stream(name, "wire")) for name in ("bus_a", "bus_b")
        }
        attachments = {
            port: BusAttachment(wire.attach("fts_a"), self.database, "FTS_A")
            for port, wire in zip(("can_a", "can_b"), self.wires.values(), strict=True)
        }
        tree = tomllib.loads((LAUNCHER / "as_built" / "fts_a.toml").read_text())
        assert changes.keys() <= tree.keys()
        built = FtsAsBuilt.model_validate(tree | changes)
        self.receiver = FtsReceiver(self.clock, streams, Ports("fts_a", self.wiring, attachments), built)
        for output, ohms in zip(OUTPUTS, (100.0, 18.0, 200.0), strict=True):
            self.wiring.pin(f"load.{output}").load(ohms)
            self.wiring.net(output, [f"fts_a.{output}", f"load.{output}"])
        self.supply = self.wiring.pin("psu.out1")
        self.reset_line = self.wiring.pin("stand.do_reset")
        self.generator = self.wiring.rf_pin("siggen.rf")
        self.wiring.net("power", ["psu.out1", "fts_a.power"])
        self.wiring.net("reset", ["stand.do_reset", "fts_a.unlatch"])
        self.wiring.net("rf", ["siggen.rf", "fts_a.rf"])
        self.frames: list[Frame] = []
        listeners = [wire.attach("rig") for wire in self.wires.values()]
        listeners[0].on_frame(self.frames.append)
        self.edges: list[tuple[str, bool, int]] = []
        for output in OUTPUTS:
            self._watch(output)
        if not cold:
            self.power()
            self.clock.sleep(450 * ms)

    def power(self, volts: float = 28.0) -> None:
        """Give the receiver its supply [V]."""
        self.supply.drive(volts, 0.01)

    def radiate(self, *tones: int, level_dbm: float = -90.0, **value: object) -> None:
        """Put tones on the carrier, 30 kHz each; ``value`` replaces fields of the RF value."""
        fields = {
            "carrier_hz": 425e6,
            "level_dbm": level_dbm,
            "tones": tuple(Tone(TONES_HZ[number], 30e3, self.clock.now) for number in tones),
        }
        self.generator.drive(RfValue(**{**fields, **value}))  # type: ignore[arg-type]  # fields of an RfValue

    def burst(self, *tones: int, level_dbm: float = -90.0, duration_ns: int = 40 * ms, **value: object) -> None:
        """Radiate tones for a time [ns], then the bare carrier for 20 ms."""
        self.radiate(*tones, level_dbm=level_dbm, **value)
        self.clock.sleep(duration_ns)
        self.radiate(level_dbm=level_dbm)
        self.clock.sleep(20 * ms)

    @property
    def on(self) -> set[str]:
        """The outputs whose load has more than 10 V."""
        return {output for output in OUTPUTS if self.wiring.pin(f"load.{output}").volts > 10.0}

    def reports(self) -> list[dict[str, float | int | str]]:
        """What the receiver has reported so far, decoded."""
        return [self.database.decode(frame) for frame in self.frames]

    def _watch(self, output: str) -> None:
        pin = self.wiring.pin(f"load.{output}")
        pin.on_change(lambda: self.edges.append((output, pin.volts > 10.0, self.clock.now)))
