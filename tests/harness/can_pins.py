"""A bit-level controller on the rig clock in place of one in RTL: the whole way from wire to pins, without a simulator.

The line has what a simulator gives it, instants of a clock included; the design is a controller of the CAN PHY.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from hil.can.phy.events import Disturb, Drive, Told
from hil.can.phy.mac import Mac
from hil.can.phy.node import Node
from hil.can.phy.timing import timing_for
from hil.can.wire import CanWire
from hil.clock import Phase, VirtualClock
from hil.noise import Streams
from hil.rtl.can.bridge import CanBridge
from hil.rtl.can.rest_of_bus import RestOfBus
from hil.units import ms, us

PERIOD_NS = 125
"""What commands and events are rounded up to, as a simulator's exchange instants do [ns]."""


class ClockLine:
    """A :class:`hil.rtl.can.rest_of_bus.BitLine` on the rig clock, with a controller of the PHY as the design."""

    def __init__(self, clock, bitrate_bps, error_ppm, told):
        self.clock = clock
        self.powered_ns = clock.now
        self.told = told
        self.drives = {}
        self.disturbed = 0
        self.bus = 1
        self.design = Node(timing_for(bitrate_bps), Mac(fd=False), error_ppm=error_ppm)
        self.said = []
        self.event = None
        self.attach(self.design)

    @property
    def now_ps(self):
        return (self.clock.now - self.powered_ns) * 1000

    def attach(self, node):
        self.drives[node] = 1
        self.refresh()
        return node

    def send(self, node, frame):
        self.apply(node, node.send(self.now_ps, frame))

    def apply(self, node, actions):
        for action in actions:
            if isinstance(action, Drive):
                self.drives[node] = action.level
            elif isinstance(action, Disturb):
                self.disturbed += 1 if action.on else -1
            elif node is self.design:
                self.said.append(action.event)
            else:
                self.told(action)
        self.refresh()

    def refresh(self):
        bus = min(self.drives.values()) ^ (self.disturbed & 1)
        if bus != self.bus:
            self.bus = bus
            for node in self.drives:
                self.apply(node, node.edge(self.now_ps, bus))
        due = [node.due for node in self.drives if node.due is not None]
        if self.event is not None:
            self.event.cancel()
            self.event = None
        if due:
            at_ns = self.powered_ns - (-min(due) // 1000)
            self.event = self.clock.at(max(at_ns, self.clock.now), self._look, Phase.WIRE)

    def _look(self):
        self.event = None
        for node in self.drives:
            if node.due is not None and node.due <= self.now_ps:
                self.apply(node, node.wake(self.now_ps))
        self.refresh()

    def stop(self):
        self.drives = {}
        if self.event is not None:
            self.event.cancel()


class Board:
    """What the bridge needs of an FPGA, with the line above in place of a simulator."""

    def __init__(self, clock, *, bitrate_bps=500_000, error_ppm=0, lookahead_us=0.0):
        bind = {"can": SimpleNamespace(kind="can"), "lamp": SimpleNamespace(kind="discrete_out")}
        self.spec = SimpleNamespace(
            bind=bind, file=Path("box.toml"), lookahead_us=lookahead_us, lookahead_ns=round(lookahead_us * us)
        )
        self.clock, self.bitrate_bps, self.error_ppm = clock, bitrate_bps, error_ppm
        self.line = self.rest = None
        self.heard = self.switched = lambda _: None

    @property
    def powered(self):
        return self.line is not None

    @property
    def live(self):
        return self.line

    def on_event(self, _, fn):
        self.heard = fn

    def on_power(self, fn):
        self.switched = fn

    def power(self, on):
        if not on:
            self.switched(False)
            self.line.stop()
            self.line = self.rest = None
            return
        self.line = ClockLine(self.clock, self.bitrate_bps, self.error_ppm, lambda told: self.rest.told(told))
        self.rest = RestOfBus(self.line, self._post)
        self.switched(True)

    def command(self, _, payload):
        rest = self.rest
        if rest is not None:
            self.clock.at(self._instant(), lambda: rest is self.rest and rest.command(payload), Phase.WIRE)

    def _post(self, payload):
        line = self.line
        self.clock.at(self._instant(), lambda: line is self.line and self.heard(payload), Phase.WIRE)

    def _instant(self):
        since = self.clock.now - self.line.powered_ns
        return self.line.powered_ns - (-since // PERIOD_NS) * PERIOD_NS


@dataclass
class World:
    """A wire with nodes that know frames, and ``box``, whose controller is at bit level."""

    clock: VirtualClock
    wire: CanWire
    box: Board
    heard: dict[str, list] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def __getitem__(self, name):
        return self.wire.node(name)

    @property
    def design(self):
        """The controller that stands in for RTL."""
        return self.box.line.design

    def give(self, frame):
        """Give the design a frame to send."""
        line = self.box.line
        line.send(line.design, frame)

    def told(self, kind):
        """Events of a kind that the design has told."""
        return [event for event in self.box.line.said if isinstance(event, kind)]

    def run(self, duration_ns=2 * ms):
        """Let time pass."""
        self.clock.sleep(duration_ns)


def world(*names, error_ppm=0, seed=1, on=True):
    """A wire with these nodes and the design, powered and integrated unless ``on`` is False."""
    clock, log = VirtualClock(), []
    wire = CanWire(clock, "bus_a", 500_000, Streams(seed).stream("bus_a", "wire"), log=log.append)
    box = Board(clock, error_ppm=error_ppm)
    made = World(clock, wire, box, log=log)
    for name in (*names, "box"):
        node = wire.attach(name)
        heard = made.heard[name] = []
        node.on_frame(heard.append)
    CanBridge(wire.node("box"), box, "can")
    if on:
        box.power(True)
        made.run(100 * us)
    else:
        wire.node("box").power(False)
    return made


__all__ = ["Board", "Told", "World", "world"]
