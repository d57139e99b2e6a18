"""What can happen to an engine between checkout and the next start, for the block tests of its controller's FPGA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil_launcher.models.engine.states import State

if TYPE_CHECKING:
    from engine_bench import Bench
    from numpy.random import Generator

RUNS = 420
"""Major cycles after which a run is over, whatever happened: start, mainstage and the grace without a heartbeat."""


async def flight(bench: Bench, scenario: str, phase: str) -> None:
    """From reset to the standby after the run: a start, an event at a random time of a phase, its end, a RESET."""
    rng, start = bench.rng, bench.as_built.start
    start_cycle = int(rng.integers(14, 20))
    ramp, mainstage = (start_cycle + round(at / bench.as_built.cycle_ms) for at in (start.ramp_ms, start.mainstage_ms))
    windows = {
        "checkout": (0, 8),
        "standby": (11, start_cycle),
        "ignition": (start_cycle + 1, ramp),
        "ramp": (ramp, mainstage),
        "mainstage": (mainstage + 2, mainstage + 30),
    }
    event_cycle = int(rng.integers(*windows[phase]))
    await bench.reset()
    for cycle in range(RUNS):
        frames = []
        if cycle == start_cycle:
            frames += bench.command("START", *ways(rng))
        if cycle == event_cycle:
            frames += EVENTS[scenario](bench, rng)
        await bench.cycle(*frames)
        if cycle > event_cycle and bench.state is State.SAFE:
            break
    for _ in range(int(rng.integers(2, 12))):
        await bench.cycle()
    clear(bench)
    for _ in range(6):
        await bench.cycle()
    await bench.cycle(*bench.command("RESET", *ways(rng)))
    for _ in range(4):
        await bench.cycle()


def clear(bench: Bench) -> None:
    """Whatever was wrong is not any more, and the valves are closed."""
    bench.lines = {"a": False, "b": False}
    bench.interrupted = False
    bench.beats = {"can_a", "can_b"}
    bench.engine.stuck.clear()
    bench.engine.sensors_v.clear()
    bench.engine.apart_v.clear()
    bench.engine.quantities.clear()
    bench.engine.ox = bench.engine.fuel = 0.0


def ways(rng: Generator) -> tuple[str, ...]:
    """On which buses something is said."""
    return (("can_a",), ("can_b",), ("can_a", "can_b"))[int(rng.integers(3))]


def _odd_sensors(bench: Bench, rng: Generator, count: int) -> list:
    quantity = int(rng.integers(3))
    for string in rng.choice(3, count, replace=False):
        bench.engine.sensors_v[3 * quantity + int(string)] = float(rng.choice([0.0, 0.1, 1.9, 3.3, 4.9, 5.0]))
    return []


def _quantity(name: str, share: float):
    limits = {
        "pc": "pc_high_mpa",
        "low": "pc_low_mpa",
        "hot": "turbine_temperature_high_k",
        "fast": "pump_speed_high_rpm",
    }

    def event(bench: Bench, _: Generator) -> list:
        limit = getattr(bench.as_built.redline, limits[name])
        bench.engine.quantities["pc" if name == "low" else name] = share * limit
        return []

    return event


def _stuck(*names: str):
    def event(bench: Bench, _: Generator) -> list:
        bench.engine.stuck.update(names)
        return []

    return event


def _line(name: str):
    def event(bench: Bench, _: Generator) -> list:
        if name == "interrupted":
            bench.interrupted = True
        else:
            bench.lines[name] = True
        return []

    return event


def _heartbeats_off(bench: Bench, _: Generator) -> list:
    bench.beats = set()
    return []


def _positions_closed(bench: Bench, rng: Generator) -> list:
    """Both position sensors say closed, and the engine is told to stop."""
    bench.engine.stuck.update(("ox", "fuel"))
    bench.engine.ox = bench.engine.fuel = 0.0
    return bench.command("SHUTDOWN", *ways(rng))


EVENTS = {
    "shutdown": lambda bench, rng: bench.command("SHUTDOWN", *ways(rng)),
    "pc low": _quantity("low", 0.97),
    "pc high": _quantity("pc", 1.03),
    "hot": _quantity("hot", 1.02),
    "fast": _quantity("fast", 1.02),
    "one sensor": lambda bench, rng: [*_odd_sensors(bench, rng, 1)],
    "two sensors": lambda bench, rng: _odd_sensors(bench, rng, 2),
    "three sensors": lambda bench, rng: _odd_sensors(bench, rng, 3),
    "heartbeat": _heartbeats_off,
    "line a": _line("a"),
    "line b": _line("b"),
    "interrupted": _line("interrupted"),
    "oxidiser valve": _stuck("ox"),
    "fuel valve": _stuck("fuel"),
    "no flame": _stuck("flame"),
    "no valve": _stuck("ox", "fuel"),
    "positions": _positions_closed,
}
"""What may happen, by name: the event changes the bench and returns the frames it sends."""

_EARLY = ("checkout", "standby")
_BURNING = ("ignition", "ramp", "mainstage")
PHASES = {
    "shutdown": _BURNING,
    "pc low": ("mainstage",),
    "pc high": ("ramp", "mainstage"),
    "hot": ("ramp", "mainstage"),
    "fast": _BURNING,
    "one sensor": (*_EARLY, "ramp"),
    "two sensors": (*_EARLY, *_BURNING),
    "three sensors": ("checkout", "mainstage"),
    "heartbeat": ("standby", "ignition", "mainstage"),
    "line a": (*_EARLY, "mainstage"),
    "line b": ("standby", "ramp"),
    "interrupted": (*_EARLY, *_BURNING),
    "oxidiser valve": ("standby",),
    "fuel valve": ("checkout",),
    "no flame": ("standby",),
    "no valve": ("standby",),
    "positions": ("ramp", "mainstage"),
}
"""In which phases each is tried."""
