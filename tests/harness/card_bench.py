"""A keeper in the test's own process that keeps a simulated I/O card, and the card as a test has it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from keeper_bench import PATIENCE_S, KeeperHere
from sim_world import OnClock

from hil.clock import WallClock
from hil.io.gate import CardGate, OutputRule
from hil.io.kept_card import KeptCard
from hil.io.sim_card import SimIoCard
from hil.io.stream_card import StreamCard
from hil.safety.card_outlet import CardOutlet
from hil.safety.interlock import Interlocks
from hil.safety.opening import channels_of
from hil.safety.plan import CardPlan, InterlockPlan, KeeperPlan, OutputPlan, SafeStepPlan, WatchdogPlan
from hil.signal import Timeline
from hil.sim.card_server import CardServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PORTS = ("do_arm", "di_arm", "ao_heater", "ai_heater", "do_lamp", "di_key", "do_timer")
SAFE = [
    SafeStepPlan(write="do_arm open", query="di_arm", expect="low", within_ms=300),
    SafeStepPlan(write="ao_heater released", query="ai_heater", below_v=0.5, within_ms=300),
]
OUTPUTS = {
    "do_arm": OutputPlan(energises="high"),
    "ao_heater": OutputPlan(energises="high", quiet_v=0.5, max_v=5.0),
    "do_l*": OutputPlan(),
}
WATCHDOG = WatchdogPlan(enable="watchdog 300 ms", disable="watchdog off", feed="feed", timeout_ms=300.0)


class Stand(OnClock):
    """The card on its port: an arm line and a heater that are read back, a lamp, and a key that somebody turns."""

    def build(self) -> Callable[[], None]:
        wiring = self.wiring
        for name in ("arm", "heater", "lamp", "timer"):
            wiring.pin(f"box.{name}").load(1e3)
        self.key = wiring.pin("box.key")
        card = SimIoCard("stand", wiring, timeline=Timeline(self.clock), ports=PORTS, ohms={})
        wiring.net("arm", ["stand.do_arm", "stand.di_arm", "box.arm"])
        wiring.net("heater", ["stand.ao_heater", "stand.ai_heater", "box.heater"])
        wiring.net("lamp", ["stand.do_lamp", "box.lamp"])
        wiring.net("key", ["stand.di_key", "box.key"])
        wiring.net("timer", ["stand.do_timer", "box.timer"])
        self.server = CardServer(card, self.clock)
        return self.server.close

    def volts(self, pin: str) -> float:
        """What stands on a pin of the box [V]."""
        return self.do(lambda: self.wiring.pin(f"box.{pin}").volts)

    def await_volts(self, pin: str, *, above: float | None = None, below: float | None = None) -> None:
        """Wait until a pin of the box is on this side."""
        reached = threading.Event()
        there = self.wiring.pin(f"box.{pin}")

        def look() -> None:
            if (above is None or there.volts > above) and (below is None or there.volts < below):
                reached.set()

        self.do(lambda: there.on_change(look))
        self.do(look)
        assert reached.wait(PATIENCE_S), there.volts


class KeptStand(KeeperHere):
    """A keeper that keeps the stand; ``with Stand() as stand, KeptStand(folder, stand) as kept``."""

    def __init__(
        self, folder: Path, stand: Stand, *, interlocked: bool = False, silence_s: float = 5.0, **fields: Any
    ) -> None:
        super().__init__(folder)
        self.stand, self._silence_s = stand, silence_s
        address = stand.server.address
        key = InterlockPlan(
            card="hil.io.stream_card:StreamCard", address=address, name="stand", port="di_key", level="high"
        )
        given: dict[str, Any] = {"hazard": 2, "safe": SAFE, "outputs": OUTPUTS, "driver": "-"}
        self.plan = CardPlan(name="stand", address=address, interlocks=[key] if interlocked else [], **(given | fields))

    def build(self) -> Callable[[], None]:
        plan = KeeperPlan(
            rig="kept", cards=[self.plan], who="a test", silence_s=self._silence_s, deadline_s=60, hold_s=60, lease_s=5
        )
        self._interlocks = Interlocks(self.clock, {"stand": self.plan.interlocks}, {})
        self.open_keeper(plan, self._interlocks.why_not)
        rules = {name: OutputRule(**output.model_dump()) for name, output in self.plan.outputs.items()}
        card = KeptCard("stand", self.plan.address)
        card.require(channels_of(self.plan))
        self.outlet = CardOutlet(self.plan, CardGate("stand", rules, reserved=self.plan.reserved), card, self.keeper)
        self._interlocks.open({self.plan.address: self.outlet})
        self.keeper.serve({"stand": self.outlet})
        return self._end

    def _end(self) -> None:
        self.outlet.order(None)
        self.outlet.join(PATIENCE_S)
        self._interlocks.close()
        self.record.close()

    def begin(self, test: str = "a test", deadline_s: float | None = None) -> str:
        """Begin a test once the rig is safe."""
        why = super().begin(test, deadline_s)
        assert not why
        return why

    def card(self) -> StreamCard:
        """The card as a test opens it."""
        ports = [port for port in PORTS if port != "do_timer"]
        return StreamCard("stand", self.outlet.door, timeline=Timeline(WallClock()), ports=ports)
