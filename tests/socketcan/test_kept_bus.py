"""A hazardous bus on a real CAN stack: the keeper's end of it holds can0, foreign programs are on can1."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from can_stack import BITRATE_BPS, heard_by

from hil.can.database import Database
from hil.can.frame import Frame
from hil.can.gate import CanGate
from hil.can.kept_bus import KeptBus
from hil.can.real import open_real
from hil.can.stamps import StampSource
from hil.clock import WallClock
from hil.safety.gateway import GatewayOutlet
from hil.safety.plan import BusPlan
from hil.units import s

if TYPE_CHECKING:
    from collections.abc import Iterator

DBC = Path(__file__).parents[1] / "harness" / "data" / "bench.dbc"
PLAN = BusPlan(
    name="bus_a", interface="socketcan", channel="can0", bitrate_bps=BITRATE_BPS, database=str(DBC), hazard=2,
    send=["ValveCommand"], safe=[],
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("controllers")


class TestBegun:
    """What a gateway asks of a keeper, of one whose test has begun."""

    __test__ = False

    def __init__(self) -> None:
        self.clock = WallClock()
        self.noted: list[object] = []

    def touched(self) -> None: ...
    def quiet(self, outlet: str) -> None: ...
    def lost(self, outlet: str, why: str) -> None: ...

    def progressing(self) -> bool:
        return True

    def may_write(self) -> bool:
        return True

    def why_not_energise(self, outlet: str) -> str:
        del outlet
        return ""

    def note(self, what: str, **fields: object) -> None:
        self.noted.append((what, fields["why"]))

    def now(self) -> int:
        return self.clock.elapsed


@pytest.fixture
def gateway() -> Iterator[GatewayOutlet]:
    database, bench = Database.load(DBC), TestBegun()
    opened = GatewayOutlet(
        PLAN,
        CanGate("bus_a", database, PLAN.send, {}),
        database,
        lambda wake: KeptBus(
            "bus_a", interface="socketcan", channel="can0", bitrate_bps=BITRATE_BPS, clock=bench.clock, wake=wake
        ),
        bench,
    )
    opened.start()
    yield opened
    opened.order(None)
    opened.join(10.0)


def test_the_kernels_stamp_survives_the_keeper_and_what_is_refused_is_on_no_wire(gateway, ear, candump) -> None:
    plain, program = ear("can0"), candump("can1", 2)
    kept = open_real(
        "bus_a", plain.clock, interface="socketcand", channel="can0", bitrate_bps=BITRATE_BPS,
        options={"host": "127.0.0.1", "port": gateway.port}, stamps=StampSource.KERNEL,
    )  # fmt: skip
    frames: list[Frame] = []
    kept.listen(frames.append, [(0x100, False)])
    kept.send_frame(Frame(0x123, b"\x11"))
    kept.send_frame(Frame(0x200, bytes(4)))
    subprocess.run(["cansend", "can1", "100#0000000000000000"], check=True)

    assert plain.wait(lambda: bool(frames) and any(frame.arbitration_id == 0x100 for frame in plain.frames), 20 * s)
    assert heard_by(program) == ["200#00000000", "100#0000000000000000"]
    direct = next(frame for frame in plain.frames if frame.arbitration_id == 0x100)
    assert kept.stamper.refused == 0
    uncertain_ns = (kept.stamper.uncertainty_ns or 0) + (plain.link.stamper.uncertainty_ns or 0)
    assert abs(frames[0].at_ns - direct.at_ns) <= uncertain_ns
    kept.shutdown()
