"""What outputs a design comes up with, whatever its registers held: found by running it from many power-ups.

A simulator of four states shows an un-reset register as unknown (X) where it reaches an output; one of two states
gives it a value, and another one with another seed. So the design runs once on Icarus and several times on Verilator,
with the same inputs, and after the reset all runs must say the same at the same instants. The netlist tells which
registers (:mod:`hil.rtl.analysis.power_up`); this tells what outputs do, with the inputs that a test gives.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.rtl import tools
from hil.rtl.analysis.solo import Solo
from hil.rtl.build import Variant, build
from hil.units import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.rtl.analysis.solo import Input
    from hil.rtl.build import Built
    from hil.rtl.spec import RtlSpec

SEEDS = (1, 2, 3, 4, 5)
"""Seeds of the power-ups on a simulator of two states."""
_PS = 1000


@dataclass(frozen=True, slots=True)
class Doubt:
    """An output that depends on how the design came up.

    Args:
        output: the output, or the binding that said something.
        at_ns: when it first did [ns since power-up].
        seen: what each run showed then, by the run.
    """

    output: str
    at_ns: int
    seen: Mapping[str, str]

    def __str__(self) -> str:
        """In one line, for people."""
        seen = ", ".join(f"{value} on {run}" for run, value in self.seen.items())
        return f"{self.output} at {format_time(self.at_ns)}: {seen}"


@dataclass(frozen=True, slots=True)
class PowerUpRuns:
    """What the runs of one design showed.

    Args:
        doubts: outputs that are unknown, or not the same in every run; none as it should be.
        runs: what was run.
        until_ns: for how long [ns since power-up].
        changes: how many times outputs changed in the first run after the reset: 0 says that little was asked.
        shown: what each output showed in the first run after the reset, in order, as bits.
        said: how often each binding said something in the first run after the reset: a frame, a byte, a duty.
    """

    doubts: tuple[Doubt, ...]
    runs: tuple[str, ...]
    until_ns: int
    changes: int
    shown: Mapping[str, tuple[str, ...]]
    said: Mapping[str, int]

    @property
    def moved(self) -> tuple[str, ...]:
        """The outputs that changed after the reset and the bindings that said something; none: little was asked."""
        outputs = (output for output, levels in self.shown.items() if len(levels) > 1)
        return (*outputs, *(binding for binding, times in self.said.items() if times))


@dataclass(frozen=True, slots=True)
class _Course:
    """How one run went: levels of each output over time [ps], and what bindings said."""

    name: str
    four_state: bool
    outputs: Mapping[str, list[tuple[int, str]]]
    said: list[tuple[int, str, bytes]]


def power_up_runs(
    spec: RtlSpec,
    parameters: Mapping[str, int | str],
    *,
    until_ns: int,
    inputs: Sequence[Input] = (),
    seeds: Sequence[int] = SEEDS,
    upsets: bool = False,
) -> PowerUpRuns:
    """Run a design from several power-ups through its reset and for a time, and compare what it says.

    Verilog runs on Icarus once and on Verilator for every seed; VHDL on GHDL once, whose states are nine.

    Args:
        spec: the design.
        parameters: what the parameters of its top are set to.
        until_ns: for how long [ns since power-up].
        inputs: what is asked of it, in order of time; no noise, which is another one with another seed.
        seeds: of the power-ups on Verilator.
        upsets: whether to take the build whose registers are open to faults, where there is one already.

    Raises:
        ToolMissingError: when a simulator that is needed is not there; says what to install.
        DesignError: when the design complained.
        RtlError: when it does not build or run.
    """
    names: tuple[tools.SimulatorName, ...] = ("ghdl",) if spec.language == "vhdl" else ("icarus", "verilator")
    simulators = [tools.find(name, spec.language) for name in names]
    designs = [
        build(spec, simulator, Variant(upsets=upsets and not simulator.four_state), parameters)
        for simulator in simulators
    ]
    courses = [
        _course(built, seed, until_ns, inputs)
        for built in designs
        for seed in ((1,) if built.simulator.four_state else seeds)
    ]
    doubts = [_first_doubt(output, courses) for output in courses[0].outputs]
    doubts += _said_otherwise(courses)
    changes = sum(len(levels) - 1 for levels in courses[0].outputs.values())
    found = sorted((doubt for doubt in doubts if doubt), key=lambda doubt: (doubt.at_ns, doubt.output))
    shown = {output: tuple(bits for _, bits in levels) for output, levels in courses[0].outputs.items()}
    said = Counter(binding for _, binding, _ in courses[0].said)
    return PowerUpRuns(tuple(found), tuple(course.name for course in courses), until_ns, changes, shown, said)


def _course(built: Built, seed: int, until_ns: int, inputs: Sequence[Input]) -> _Course:
    """One run; the levels begin with those at the first instant without reset."""
    simulator = built.simulator
    name = simulator.name if simulator.four_state else f"{simulator.name} seed {seed}"
    with Solo(built, seed=seed) as solo:
        begin_ps = solo.reset_ps + solo.period_ps
        changes = solo.run(until_ns, inputs)
        outputs: dict[str, list[tuple[int, str]]] = {output: [] for output in solo.places}
        for at_ps, bits in changes:
            for output, place in solo.places.items():
                levels = outputs[output]
                if at_ps <= begin_ps:
                    levels[:] = [(begin_ps, bits[place])]
                elif levels[-1][1] != bits[place]:
                    levels.append((at_ps, bits[place]))
        said = [(at_ps, binding, what) for at_ps, binding, what in solo.said if at_ps >= begin_ps]
        said.sort(key=lambda each: each[:2])  # which of two bindings speaks first within an instant means nothing
    return _Course(name, simulator.four_state, outputs, said)


def _level(levels: Sequence[tuple[int, str]], at_ps: int) -> str:
    return [bits for since_ps, bits in levels if since_ps <= at_ps][-1]


def _first_doubt(output: str, courses: Sequence[_Course]) -> Doubt | None:
    """The first instant at which an output is unknown in one run, or not the same in all."""
    for at_ps in sorted({at_ps for course in courses for at_ps, _ in course.outputs[output]}):
        seen = {course.name: _level(course.outputs[output], at_ps) for course in courses}
        if len(set(seen.values())) > 1 or set("".join(seen.values())) - {"0", "1"}:
            return Doubt(output, -(-at_ps // _PS), seen)
    return None


def _said_otherwise(courses: Sequence[_Course]) -> list[Doubt]:
    """The first thing that a binding did not say alike in all runs: a frame, a byte, a duty."""
    longest = max(len(course.said) for course in courses)
    for index in range(longest):
        said = {course.name: course.said[index] if index < len(course.said) else None for course in courses}
        if len(set(said.values())) > 1:
            at_ps, binding, _ = min(each for each in said.values() if each is not None)
            return [Doubt(binding, -(-at_ps // _PS), {name: _words(each) for name, each in said.items()})]
    return []


def _words(said: tuple[int, str, bytes] | None) -> str:
    return "nothing" if said is None else f"{said[2].hex() or 'an empty word'} at {format_time(said[0] // _PS)}"
