"""A small world for tests of the receiver's RTL on its board: supply, generator, loads; nothing that judges."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hil.nets import RfValue, Tone
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms
from hil_launcher.models.fts.rtl_board import FtsRtlBoard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hil.rig.world import Rig

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
TONES_HZ = {1: 7500.0, 2: 8460.0, 3: 9540.0, 4: 10760.0, 5: 12140.0}
ARM, TERMINATE, OPTIONAL, CHECK = (1, 5), (1, 2), (2, 5), (4,)
OUTPUTS = ("arm", "terminate", "shutdown")

_RIG = """
[rig]
name = "rtl"
pace = "virtual"
[rtl]
simulator = "{simulator}"
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
[dut.fts_a]
bus = ["bus_a", "bus_b"]
node = "FTS_A"
rtl = "{launcher}/rtl/fts_receiver.toml"
as_built = "{launcher}/as_built/fts_a.toml"
"""


class RtlFtsWorld:
    """Receiver A as RTL, with loads on its outputs; without power at first."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.clock, self.wiring = rig, rig.clock, rig.wiring
        board = rig.models["fts_a"]
        assert isinstance(board, FtsRtlBoard)
        self.board = board
        for output, ohms in zip(OUTPUTS, (100.0, 18.0, 200.0), strict=True):
            self.wiring.pin(f"load.{output}").load(ohms)
            self.wiring.net(output, [f"fts_a.{output}", f"load.{output}"])
        self.supply = self.wiring.pin("bench.supply")
        self.reset_line = self.wiring.pin("bench.reset")
        self.generator = self.wiring.rf_pin("bench.rf")
        self.wiring.net("power", ["bench.supply", "fts_a.power"])
        self.wiring.net("reset", ["bench.reset", "fts_a.unlatch"])
        self.wiring.net("rf", ["bench.rf", "fts_a.rf"])
        self.edges: list[tuple[str, bool, int]] = []
        for output in OUTPUTS:
            self._watch(output)

    def power(self, volts: float = 28.0) -> None:
        """Give the receiver its supply [V]."""
        self.supply.drive(volts, 0.01)

    def radiate(self, *tones: int, level_dbm: float = -90.0, deviation_hz: float = 30e3) -> None:
        """Put tones on the carrier."""
        sent = tuple(Tone(TONES_HZ[number], deviation_hz, self.clock.now) for number in tones)
        self.generator.drive(RfValue(425e6, level_dbm, sent))

    def burst(self, *tones: int, level_dbm: float = -90.0, duration_ns: int = 40 * ms) -> None:
        """Radiate tones for a time [ns], then the bare carrier for 20 ms."""
        self.radiate(*tones, level_dbm=level_dbm)
        self.clock.sleep(duration_ns)
        self.radiate(level_dbm=level_dbm)
        self.clock.sleep(20 * ms)

    @property
    def on(self) -> set[str]:
        """The outputs whose load has more than 10 V."""
        return {output for output in OUTPUTS if self.wiring.pin(f"load.{output}").volts > 10.0}

    def _watch(self, output: str) -> None:
        pin = self.wiring.pin(f"load.{output}")
        pin.on_change(lambda: self.edges.append((output, pin.volts > 10.0, self.clock.now)))


@contextmanager
def rtl_world(
    folder: Path, simulator: str = "auto", *, sets: Sequence[str] = (), seed: int = 1, warm: bool = True
) -> Iterator[RtlFtsWorld]:
    """Receiver A as RTL on a rig of its own, at 28 V and warm unless said otherwise.

    Args:
        folder: where its rig file is written.
        simulator: what runs the design.
        sets: as-built data that are different, ``dut.fts_a.as_built.KEY=VALUE``.
        seed: of the rig.
        warm: whether it is powered and has warmed up.
    """
    file = folder / "rtl.toml"
    file.write_text(_RIG.format(simulator=simulator, launcher=LAUNCHER))
    rig = open_rig(Blueprint.of(load_rig(file, sets)), seed=seed)
    try:
        world = RtlFtsWorld(rig)
        if warm:
            world.power()
            world.radiate()
            world.clock.sleep(round(world.board.as_built.warm_up_ms * ms) + 15 * ms)
        yield world
    finally:
        rig.close()
