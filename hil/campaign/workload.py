"""What an RTL run will cost, told before it begins: clock cycles, wall time, budget. RTL is never real time.

An earlier run of the same test says how many cycles it needs; where there was none on RTL, the rig time the test took
on any rig says how many it needs at most. The speed is that of earlier runs on this machine, or a nominal one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hil.units import s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.rig.blueprint import Blueprint

_NOMINAL_HZ = {"verilator": 1.5e6, "icarus": 0.2e6, "ghdl": 0.03e6}
_SHOWN = 12  # tests that are listed one by one, the longest first


@dataclass
class Known:
    """What earlier runs on this machine showed: plain values, as pytest's cache keeps them.

    ``durations_ns`` is rig time by test; ``cycles`` by test and article; ``speed_hz`` cycles per second of wall time by
    article and simulator.
    """

    durations_ns: dict[str, int] = field(default_factory=dict[str, int])
    cycles: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    speed_hz: dict[str, float] = field(default_factory=dict[str, float])

    def learn(self, outcomes: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over what the tests of a run reported (see :func:`hil.campaign.verdicts.summary`)."""
        total: dict[str, list[float]] = {}
        for nodeid, outcome in outcomes.items():
            if outcome.get("verdict") not in ("PASS", "FAIL", "OUT_OF_FAMILY", "INCONCLUSIVE"):
                continue  # it did not run to its end
            self.durations_ns[nodeid] = int(outcome.get("duration_ns", 0))
            for article, (simulator, cycles, busy_s) in outcome.get("simulated", {}).items():
                self.cycles.setdefault(nodeid, {})[article] = cycles
                sums = total.setdefault(_runner(article, simulator), [0.0, 0.0])
                sums[0] += cycles
                sums[1] += busy_s
        for runner, (cycles, busy_s) in total.items():
            if busy_s > 1.0 and cycles:
                self.speed_hz[runner] = cycles / busy_s


def forecast(blueprint: Blueprint, nodeids: Sequence[str], known: Known) -> list[str]:
    """What a run on a rig with RTL will cost, in lines for the terminal; none for a rig without RTL."""
    if not blueprint.designs:
        return []
    simulators = {name: design.simulator_name for name, design in blueprint.designs.items()}
    clocks = {name: 1e12 / design.spec.clock.period_ps for name, design in blueprint.designs.items()}
    lines = [
        f"rtl: {name} is {blueprint.designs[name].spec.top} on {simulators[name]}, {clocks[name] / 1e6:g} MHz: "
        f"1 s of powered rig time takes about {clocks[name] / _speed(known, name, simulators[name]):.2g} s"
        for name in simulators
    ]
    estimates: dict[str, tuple[float, float, str]] = {}
    for nodeid in nodeids:
        found = _estimate(nodeid, clocks, known)
        if found is not None:
            cycles, sure = found
            wall_s = sum(count / _speed(known, name, simulators[name]) for name, count in cycles.items())
            estimates[nodeid] = (sum(cycles.values()), wall_s, "" if sure else "at most ")
    unknown = len(nodeids) - len(estimates)
    total, wall_s = sum(each[0] for each in estimates.values()), sum(each[1] for each in estimates.values())
    lines.append(
        f"rtl: budget {blueprint.file.rtl.budget_s:g} s of wall time per simulator and test; "
        f"{len(estimates)} of {len(nodeids)} tests estimated: {total / 1e6:,.1f} Mcycles, about {_wall(wall_s)}"
        + (f"; {unknown} never ran on this machine" if unknown else "")
    )
    longest = sorted(estimates.items(), key=lambda each: (-each[1][1], each[0]))
    for nodeid, (cycles, seconds, bound) in longest[:_SHOWN]:
        lines.append(f"rtl:   {nodeid.rpartition('/')[2]}: {bound}{cycles / 1e6:,.1f} Mcycles, about {_wall(seconds)}")
    return lines


def _wall(seconds: float) -> str:
    """An estimated wall time, no finer than it is known.

    >>> _wall(4.21), _wall(2771.0)
    ('4.2 s', '46 min')
    """
    return f"{seconds:.2g} s" if seconds < 100.0 else f"{seconds / 60.0:.0f} min"


def _runner(article: str, simulator: str) -> str:
    return f"{article} on {simulator}"


def _speed(known: Known, article: str, simulator: str) -> float:
    return known.speed_hz.get(_runner(article, simulator), _NOMINAL_HZ[simulator])


def _estimate(nodeid: str, clocks: Mapping[str, float], known: Known) -> tuple[dict[str, float], bool] | None:
    """Cycles by article, and whether they were counted or follow from the rig time."""
    if nodeid not in known.durations_ns:
        return None
    counted, duration_s = known.cycles.get(nodeid, {}), known.durations_ns[nodeid] / s
    found = {name: float(counted.get(name, duration_s * hertz)) for name, hertz in clocks.items()}
    return found, found.keys() <= counted.keys()
