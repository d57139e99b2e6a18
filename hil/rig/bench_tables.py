"""Tables of a rig file for the whole bench: its clock, what the keeper allows, its place in a lab, how RTL is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from hil.rig.values import Name, Phase, PinName, Table, Text
from hil.units import ms

if TYPE_CHECKING:
    from typing import Self


def _pace(value: str | float) -> str | float:
    if isinstance(value, str):
        if value not in {"virtual", "wall"}:
            raise ValueError('the pace is "virtual", "wall", or a number: rig seconds per wall second')
    elif not value > 0.0:
        raise ValueError("a pace factor is above 0")
    return value


class RigTable(Table):
    """``[rig]``: what this rig is called and how its clock runs."""

    name: Name = Field(description="what runs and reports call this rig")
    pace: Annotated[str | float, AfterValidator(_pace)] = Field(
        default="virtual",
        description='"virtual" (idle time is jumped over), "wall" (real time), or rig seconds per wall second',
    )
    max_lateness_ms: float = Field(
        default=1.0,
        gt=0.0,
        description="on a wall clock, lateness of a tick [ms] beyond which measurements are INCONCLUSIVE",
    )
    timer_slack_ms: float = Field(
        default=0.0,
        ge=0.0,
        description="on a wall clock, shortest sleep [ms]: what becomes due meanwhile is run together and late by so "
        "much at most, which takes less of the processor",
    )
    late_ticks_max: int = Field(
        default=100, ge=0, description="on a wall clock, late ticks in one test beyond which all of it is INCONCLUSIVE"
    )
    late_in_a_row_max: int = Field(
        default=10, ge=0, description="the same for late ticks that follow each other without one in time between"
    )
    run_late_ticks_max: int = Field(
        default=1_000, ge=0, description="late ticks of all tests together beyond which the whole run is INCONCLUSIVE"
    )
    phase_budget_deg: float = Field(
        default=10.0,
        gt=0.0,
        description="phase [degree] that the transport delay may take at a bending mode; beyond it closed-loop "
        "verdicts are INCONCLUSIVE",
    )
    realtime_priority: int = Field(
        default=0, ge=0, le=99, description="SCHED_FIFO priority to ask for, with locked memory; 0 asks for nothing"
    )
    cpus: list[int] = Field(default_factory=list[int], description="cores to run on; any when left out")
    process: Name = Field(
        default="test",
        description='program that runs the models of this rig: "test" is the test\'s own process, any other name a '
        "program that `hil sim` starts",
    )
    worlds: dict[Name, Text] = Field(
        default_factory=dict["Name", "Text"],
        description="where a program of models takes faults, shows its plant and says how late it was, by its name: "
        "tcp://127.0.0.1:5040; each has one",
    )
    cables: dict[Name, Text] = Field(
        default_factory=dict["Name", "Text"],
        description="where a program of models takes the cable with the nets that its parts share with parts of other "
        "programs, by its name: tcp://127.0.0.1:5041",
    )
    seed: int = Field(default=1, ge=0, description="seed of every random stream of the simulated world")
    invariants: bool | None = Field(
        default=None,
        description="whether error counters, currents and fault registers are judged at the end of every test; unless "
        "given, on a paced rig and not in virtual time",
    )

    @property
    def judges_invariants(self) -> bool:
        """Whether the invariants are judged at the end of every test."""
        return not self.is_virtual if self.invariants is None else self.invariants

    @property
    def max_lateness_ns(self) -> int:
        """The allowed lateness of a tick [ns]."""
        return round(self.max_lateness_ms * ms)

    @property
    def timer_slack_ns(self) -> int:
        """The shortest sleep of a wall clock, in wall time [ns]."""
        return round(self.timer_slack_ms * ms)

    @property
    def is_virtual(self) -> bool:
        """Whether the rig's time is virtual: idle time costs nothing."""
        return self.pace == "virtual"

    @property
    def slowness(self) -> float:
        """Wall seconds per rig second, at least 1: how much longer an answer may take on a rig slower than life."""
        return max(1.0, 1.0 / self.factor)

    @property
    def factor(self) -> float:
        """Rig seconds per wall second of a paced rig; 1.0 for "wall" (and without meaning for "virtual")."""
        return 1.0 if isinstance(self.pace, str) else float(self.pace)


class SafetyTable(Table):
    """``[safety]``: what the keeper of a paced rig allows a test before it makes the rig safe."""

    silence_s: float = Field(
        default=5.0, gt=0.0, description="time without progress of the test after which the rig is made safe [s]"
    )
    deadline_s: float = Field(
        default=600.0, gt=0.0, description="time one test may take that asks for no deadline of its own [s]"
    )
    deadline_max_s: float | None = Field(
        default=None,
        gt=0.0,
        description="longest deadline that a test may ask for [s]; deadline_s unless given",
    )
    phase_deadline_s: dict[Phase, Annotated[float, Field(gt=0.0)]] = Field(
        default_factory=dict["Phase", float],
        description="time one test may spend in a phase, from each time that it enters it [s], by phase",
    )
    hold_s: float = Field(
        default=3600.0, gt=0.0, description="longest declared hold (debugger, single step, taking over by hand) [s]"
    )
    hold_sum_s: float | None = Field(
        default=None, gt=0.0, description="time all holds of one test may take together [s]; hold_s unless given"
    )
    lease_s: float = Field(
        default=10.0, gt=0.0, description="time without renewal after which a lease may be taken over [s]"
    )
    timer: PinName | None = Field(
        default=None, description="pulse output that retriggers the hardware timer; needed for hazard 3"
    )
    contactor: PinName | None = Field(default=None, description="read-back of the timer's contactor, high when closed")
    emergency_stop: PinName | None = Field(
        default=None, description="read-back of the emergency stop, high when it is not pressed"
    )
    arming_plug: PinName | None = Field(default=None, description="read-back of the arming plug, high when it is in")
    authority: Path | None = Field(
        default=None, description="TOML register of the persons whose keys may grant hazard 3 actions"
    )

    @model_validator(mode="after")
    def _longest_is_longest(self) -> Self:
        if self.longest_deadline_s < self.deadline_s:
            raise ValueError(f"deadline_max_s = {self.deadline_max_s:g} is below deadline_s = {self.deadline_s:g}")
        if self.longest_holds_s < self.hold_s:
            raise ValueError(f"hold_sum_s = {self.hold_sum_s:g} is below hold_s = {self.hold_s:g}")
        return self

    @property
    def longest_deadline_s(self) -> float:
        """The longest deadline that a test may ask for [s]."""
        return self.deadline_s if self.deadline_max_s is None else self.deadline_max_s

    @property
    def longest_holds_s(self) -> float:
        """What all holds of one test may take together [s]."""
        return self.hold_s if self.hold_sum_s is None else self.hold_sum_s


class LabTable(Table):
    """``[lab]``: the rig's place at a coordinator of labgrid, which keeps other machines out."""

    coordinator: Text = Field(description="labgrid's coordinator, HOST:PORT")
    place: Text = Field(description="whole name of the place there")


class RtlTable(Table):
    """``[rtl]``: how the HDL simulators of a rig are run."""

    simulator: Literal["auto", "verilator", "icarus"] = Field(
        default="auto",
        description='simulator of Verilog designs; "auto" is the fastest that is there; VHDL runs on GHDL',
    )
    budget_s: float = Field(default=300.0, gt=0.0, description="wall time one simulator may use in one test [s]")
    silence_s: float = Field(
        default=8.0, gt=0.0, description="wall time without a sign of life after which a simulator is called hung [s]"
    )
    coverage: bool = Field(default=False, description="measure line, branch and toggle coverage (Verilator)")
    judge_coverage: bool = Field(default=False, description="a run that misses a coverage goal FAILs")
    block_designs: list[Path] = Field(
        default_factory=list[Path],
        description="RTL files that block tests must have run: their coverage goals are missed otherwise",
    )
    upsets: bool = Field(
        default=False, description="open the registers that RTL files list to faults; makes Verilator slower"
    )
    waves: bool = Field(default=False, description="record every signal of every design, not its ports alone")
