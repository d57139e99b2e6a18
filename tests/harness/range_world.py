"""A small world for tests of the range computer: two sources of track datagrams, its outputs, its log, no judgement."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hil.clock import VirtualClock
from hil.noise import Streams
from hil.ports import Ports
from hil.units import ms, s
from hil.wiring import Wiring
from hil_launcher.models.range_safety import decision_record, tracks
from hil_launcher.models.range_safety.computer import RangeAsBuilt, RangeComputer
from hil_launcher.models.range_safety.impact_point import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil_launcher.models.range_safety.decision_record import DecisionRecord

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
SITE = Site(69.295, 16.020, 30.0)
LIFTOFF_NS = 5 * s
AZIMUTH_RAD = math.radians(338.6)


class State(NamedTuple):
    """Down-range and up [m], and the velocities in these directions [m/s]; ``right_m`` and its velocity across."""

    downrange_m: float
    up_m: float
    v_downrange_m_s: float = 0.0
    v_up_m_s: float = 0.0
    right_m: float = 0.0
    v_right_m_s: float = 0.0


PAD = State(0.0, 12.0)


def nominal(t_s: float) -> State:
    """A good flight: 3 m/s2 upwards, and a turn down-range from T+12 on."""
    turned_s = max(0.0, t_s - 12.0)
    return State(0.1 * turned_s**2.5, 12.0 + 1.5 * t_s**2, 0.25 * turned_s**1.5, 3.0 * t_s)


def straight(t_s: float) -> State:
    """A flight that never turns."""
    return State(0.0, 12.0 + 1.5 * t_s**2, 0.0, 3.0 * t_s)


def lost(t_s: float, at_s: float = 20.0) -> State:
    """A good flight that stops climbing at ``at_s``: from then on it falls as if it had no thrust."""
    before = nominal(min(t_s, at_s))
    t = max(0.0, t_s - at_s)
    up_m = before.up_m + before.v_up_m_s * t - 4.9 * t * t
    return State(
        before.downrange_m + before.v_downrange_m_s * t, up_m, before.v_downrange_m_s, before.v_up_m_s - 9.8 * t
    )


def ecef(state: State) -> tuple[tracks.Vector, tracks.Vector]:
    """A state in the launch frame as ECEF position [m] and velocity [m/s]."""
    cos_a, sin_a = math.cos(AZIMUTH_RAD), math.sin(AZIMUTH_RAD)

    def turned(along: float, right: float, up: float) -> tuple[float, ...]:
        north, east = along * cos_a - right * sin_a, along * sin_a + right * cos_a
        axes = zip(SITE._north, SITE._east, SITE._up, strict=True)
        return tuple(north * n + east * e + up * u for n, e, u in axes)

    away = turned(state.downrange_m, state.right_m, state.up_m)
    x, y, z = (pad + component for pad, component in zip(SITE.position_m, away, strict=True))
    vx, vy, vz = turned(state.v_downrange_m_s, state.v_right_m_s, state.v_up_m_s)
    return (x, y, z), (vx, vy, vz)


def as_built(**changes: object) -> RangeAsBuilt:
    """The computer's as-built data, changed by dotted key (``__`` for the dot)."""
    tree = tomllib.loads((LAUNCHER / "as_built" / "range_safety.toml").read_text())
    for key, value in changes.items():
        table = tree
        *path, last = key.split("__")
        for name in path:
            table = table[name]
        assert last in table
        table[last] = value
    return RangeAsBuilt.model_validate(tree)


class RangeWorld:
    """The range computer, fed by two sources that report the same flight every 100 ms, 300 ms late.

    Args:
        flight: the state at a mission time [s].
        seed: seed of the officer.
        changes: as-built values to change, by key, ``__`` for the dot.
    """

    def __init__(self, flight: Callable[[float], State] = nominal, *, seed: int = 1, **changes: object) -> None:
        self.clock = VirtualClock()
        self.wiring = Wiring(self.clock)
        self.flight = flight
        self.shown: dict[int, Callable[[float], State]] = {}
        """What one source reports instead."""
        self.silent: set[int] = set()
        self.computer = RangeComputer(
            self.clock, Streams(seed), Ports("range_safety", self.wiring), as_built(**changes)
        )
        self.log: list[DecisionRecord] = []
        self.wiring.datagram_pin("range_safety.log").on(lambda data, _: self.log.append(decision_record.decode(data)))
        self.sources = {number: self.wiring.datagram_pin(f"source.{number}") for number in (1, 2)}
        for number in self.sources:
            self.wiring.net(f"track_{number}", [f"source.{number}", f"range_safety.track_{number}"])
        self.edges: dict[str, list[tuple[float, bool]]] = {"violation": [], "key": []}
        for name, threshold_v in (("violation", 10.0), ("key", 1.5)):
            self._watch(name, threshold_v)
        self.supply = self.wiring.pin("mains.out")
        self.wiring.net("power", ["mains.out", "range_safety.power"])
        self.supply.drive(28.0, 0.5)
        self._sequence = 0
        self.clock.every(100 * ms, self._report)

    def fly(self, until_s: float) -> RangeWorld:
        """Let the world run to a mission time [s]."""
        self.clock.wait(LIFTOFF_NS + round(until_s * s))
        return self

    def send(self, number: int, state: State, *, quality: int = tracks.TRACKING) -> None:
        """Send one report of a state that is valid now."""
        position, velocity = ecef(state)
        self._sequence = (self._sequence + 1) % 65_536
        track = tracks.Track(number, quality, self._sequence, self.clock.now // ms, position, velocity)
        self.sources[number].send(tracks.encode(track))

    @property
    def fired(self) -> list[str]:
        """The rules that fired, in order."""
        return [record.rule for record in self.log if record.kind == "rule"]

    def rose_s(self, name: str) -> float:
        """Mission time at which an output first went HIGH [s]."""
        return next(at_s for at_s, level in self.edges[name] if level)

    def _report(self) -> None:
        t_s = (self.clock.now - LIFTOFF_NS) / s
        for number in sorted(self.sources.keys() - self.silent):
            state = self.shown.get(number, self.flight)(t_s) if t_s > 0.0 else PAD
            position, velocity = ecef(state)
            self._sequence = (self._sequence + 1) % 65_536
            track = tracks.Track(number, 2, self._sequence, self.clock.now // ms, position, velocity)
            payload = tracks.encode(track)
            source = self.sources[number]
            self.clock.at(self.clock.now + 300 * ms, lambda source=source, payload=payload: source.send(payload))

    def _watch(self, name: str, threshold_v: float) -> None:
        probe = self.wiring.pin(f"probe.{name}")
        probe.load(10e3)
        self.wiring.net(name, [f"range_safety.{name}", f"probe.{name}"])
        edges = self.edges[name]

        def changed() -> None:
            level = probe.volts > threshold_v
            if level is not (edges[-1][1] if edges else False):
                edges.append(((self.clock.now - LIFTOFF_NS) / s, level))

        probe.on_change(changed)
