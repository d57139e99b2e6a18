"""A keeper in the test's own process that keeps a CAN bus, and the engine on the far side of it."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import can
from keeper_bench import PATIENCE_S, KeeperHere

from hil.can.database import Database
from hil.can.facade import Bus
from hil.can.frame import Frame
from hil.can.opening import open_bus
from hil.can.real import open_real
from hil.can.stamps import SOURCES
from hil.clock import WallClock
from hil.safety.opening import open_gateway
from hil.safety.plan import BusPlan, KeeperPlan, SafeStepPlan
from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.real import RealLink

DBC = Path(__file__).with_name("data") / "bench.dbc"
DATABASE = Database.load(DBC)
SHUT = "ValveCommand Valve=0 Position=0"
SAFE = [SafeStepPlan(write=SHUT, query="EngineStatus.State", expect="OFF", within_ms=500)]
_CHANNELS = itertools.count()


class Engine:
    """An engine on a bus of python-can: it runs while its valve is open, and answers every command.

    Args:
        interface: of the bus.
        channel: of the bus.
    """

    def __init__(self, interface: str, channel: str) -> None:
        self.heard: list[dict[str, object]] = []
        self.counts: list[object] = []
        self.stuck = False
        """Whether it runs on whatever the valve is told."""
        self.changed = threading.Condition()
        self._ended = threading.Event()
        self._status = DATABASE.sender("EngineStatus")
        self.bus = open_bus(interface, channel, 500_000, echo=False)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def await_heard(self, condition: Callable[[list[dict[str, object]]], object]) -> None:
        """Wait until what it heard is like this."""
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.heard), PATIENCE_S), self.heard

    def say(self, state: str) -> None:
        """Send its status."""
        frame = self._status.frame({"State": state, "ChamberPressure": 0.0, "Temperature": 0, "Speed": 0})
        self.bus.send(can.Message(arbitration_id=frame.arbitration_id, data=frame.data, is_extended_id=False))

    def close(self) -> None:
        self._ended.set()
        self._thread.join(PATIENCE_S)
        self.bus.shutdown()

    def _run(self) -> None:
        while not self._ended.is_set():
            message = self.bus.recv(0.05)
            if message is None:
                continue
            frame = Frame(message.arbitration_id, bytes(message.data), message.is_extended_id)
            known = DATABASE.find(frame)
            values = DATABASE.decode(frame) if known else {"unknown": str(frame)}
            with self.changed:
                self.heard.append(values)
                self.changed.notify_all()
            if known is not None and known.name == "ValveCommand":
                self.say("MAINSTAGE" if values["Valve"] or self.stuck else "OFF")


class KeptGateway(KeeperHere):
    """A keeper that keeps a bus with an engine on it.

    Args:
        folder: of its record and lease.
        near: interface and channel of the keeper; python-can's virtual one, a channel of its own, unless given.
        far: those of the engine; the same unless given.
        fields: more of what the rig file says of the bus.
    """

    def __init__(
        self, folder: Path, *, near: tuple[str, str] | None = None, far: tuple[str, str] | None = None, **fields: Any
    ) -> None:
        super().__init__(folder)
        interface, self.channel = near or ("virtual", f"gateway_{next(_CHANNELS)}")
        self._far = far or (interface, self.channel)
        self._silence_s = fields.pop("silence_s", 5.0)
        self.open = ""
        """Why the interlock is open."""
        given: dict[str, Any] = {"hazard": 2, "safe": SAFE, "send": ["Valve*"]}
        given["energising"] = {"ValveCommand": {"Valve": [1]}}
        self.plan = BusPlan(
            name="bus_a", interface=interface, channel=self.channel, bitrate_bps=500_000, database=str(DBC),
            **(given | fields),
        )  # fmt: skip

    def build(self) -> Callable[[], None]:
        self.engine = Engine(*self._far)
        plan = KeeperPlan(
            rig="kept", buses=[self.plan], who="a test", silence_s=self._silence_s, deadline_s=60, hold_s=60, lease_s=5
        )
        self.open_keeper(plan, lambda _: self.open)
        self.outlet = open_gateway(self.plan, self.keeper, self.record, clock=self.clock)
        self.keeper.serve({"bus_a": self.outlet})
        return self._end

    def _end(self) -> None:
        self.outlet.order(None)
        self.outlet.join(PATIENCE_S)
        self.record.close()
        self.engine.close()

    def begin(self, test: str = "a test", deadline_s: float | None = None) -> str:
        """Begin a test once the rig is safe."""
        why = super().begin(test, deadline_s)
        assert not why
        return why

    def link(self, clock: WallClock) -> RealLink:
        """The bus as a test opens it: python-can's own client."""
        options = {"host": "127.0.0.1", "port": self.outlet.port}
        return open_real(
            "bus_a", clock, interface="socketcand", channel=self.channel, bitrate_bps=500_000, options=options,
            stamps=SOURCES[self.plan.interface],
        )  # fmt: skip


class TestSide:
    """The test's clock and bus."""

    __test__ = False

    def __init__(self, rig: KeptGateway) -> None:
        self.clock = WallClock()
        self.link = rig.link(self.clock)
        self.bus = Bus("bus_a", self.clock, self.link, DATABASE)

    def await_told(self, condition: Callable[[], object]) -> bool:
        """Let time pass until the condition holds; whether it does."""
        looks = self.clock.every(5 * ms, lambda: None)
        found = self.clock.wait(self.clock.now + 10 * s, lambda: bool(condition()))
        looks.cancel()
        return found

    def valve(self, valve: int) -> None:
        """Command the valve."""
        self.bus.send("ValveCommand", {"Valve": valve, "Position": 0.0})
