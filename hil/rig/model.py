"""What a rig file may say: one closed pydantic model per table, units in the keys, nothing silently accepted.

The tables are plain values. Reading, layering and checking are :mod:`hil.rig.loader` and
:mod:`hil.rig.checks`; the reference for people, ``docs/rig-file.md``, is generated from the descriptions here.
"""

from __future__ import annotations

import datetime  # noqa: TC003  # pydantic reads the annotation when the class is made
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

EvidenceClass = Literal["sim", "rtl", "hardware"]

UNIT_SUFFIXES = {
    "a": "A", "bar": "bar", "bps": "bit/s", "db": "dB", "dbm": "dBm", "deg": "degree", "degc": "degree Celsius",
    "hz": "Hz", "khz": "kHz", "kg": "kg", "k": "K", "kbps": "kbit/s", "m": "m", "mbps": "Mbit/s", "mhz": "MHz",
    "ms": "ms", "mv": "mV", "ma": "mA", "n": "N", "ns": "ns", "ohm": "ohm", "pa": "Pa", "pct": "percent",
    "rad": "rad", "s": "s", "us": "us", "v": "V", "w": "W",
}  # fmt: skip
"""The last word of a key that carries a number, and the unit it stands for."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PIN = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_OUTPUT = re.compile(r"(do|ao)_[a-z0-9_]*\*?")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_CLASS_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def _named(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name is a lower-case letter followed by lower-case letters, digits and underscores")
    return value


def _pin(value: str) -> str:
    if not _PIN.fullmatch(value):
        raise ValueError('a pin is written "node.port", for example "psu.out1"')
    return value


def _class_path(value: str) -> str:
    if not _CLASS_PATH.fullmatch(value):
        raise ValueError('a class is named "module:Class", for example "hil.io.card:IoCard"')
    return value


def _output(value: str) -> str:
    if not _OUTPUT.fullmatch(value):
        raise ValueError('an output of a card is written do_NAME or ao_NAME, or "do_fts_*" for all that begin so')
    return value


def _action(value: str) -> str:
    if not _PIN.fullmatch(value):
        raise ValueError('an action is written "what.verb", for example "fts.terminate"')
    return value


def _pace(value: str | float) -> str | float:
    if isinstance(value, str):
        if value not in {"virtual", "wall"}:
            raise ValueError('the pace is "virtual", "wall", or a number: rig seconds per wall second')
    elif not value > 0.0:
        raise ValueError("a pace factor is above 0")
    return value


def _unit_suffixed(values: dict[str, float]) -> dict[str, float]:
    for key in values:
        if key.rpartition("_")[2] not in UNIT_SUFFIXES or "_" not in key:
            raise ValueError(f"{key} carries no unit; end the key in one, for example {key}_v or {key}_dbm")
    return values


def _safe_step(value: object) -> object:
    return {"write": value} if isinstance(value, str) else value


def _in_a_list(value: object) -> object:
    return [cast("object", value)] if isinstance(value, dict) else value


Name = Annotated[str, AfterValidator(_named)]
PinName = Annotated[str, AfterValidator(_pin)]
ClassPath = Annotated[str, AfterValidator(_class_path)]
UnitSuffixed = Annotated[dict[str, Annotated[float, Field(allow_inf_nan=False)]], AfterValidator(_unit_suffixed)]
Text = Annotated[str, Field(min_length=1)]
Phase = Literal["unpowered", "powered", "pressurised", "flashing", "armed"]
"""What state the articles are in, as far as it matters for what is safe."""
SIMULATED_WIRE = "hil"
"""The python-can interface of a simulated wire."""
HERE = "test"
"""The program in which the test itself runs."""
TIMER = "timer"
"""What stands for the hardware timer of ``[safety]`` among the instruments that cut others off."""


class Table(BaseModel):
    """One table of a rig file: closed, strict, unchangeable once read."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


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
        description="where a program of models takes faults and shows its plant, by its name: tcp://127.0.0.1:5040",
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


class SafeStep(Table):
    """One step of an instrument's safe sequence: a command, and the read-back that proves it."""

    write: Text | None = Field(default=None, description="command that makes the output safe; a step may only read")
    query: Text | None = Field(default=None, description="query that reads the state back")
    expect: Text | None = Field(default=None, description="answer to the query when the output is safe")
    below_v: float | None = Field(
        default=None, description="every number of the answer lies below this when the output is safe [V]"
    )
    within_ms: float = Field(default=100.0, gt=0.0, description="time allowed until the answer is right [ms]")

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if self.expect is not None and self.below_v is not None:
            raise ValueError("a safe step is proved by expect or by below_v, not by both; make it two steps")
        if (self.query is None) != (self.expect is None and self.below_v is None):
            raise ValueError("a safe step that reads back needs query, and expect or below_v")
        if self.write is None and self.query is None:
            raise ValueError("a safe step writes, or reads back, or both; this one does nothing")
        return self


class Watchdog(Table):
    """A timer inside the instrument that switches its outputs off when it is no longer fed."""

    enable: Text = Field(description="command that starts the instrument's own watchdog")
    feed: Text | None = Field(default=None, description="command that feeds it; any command feeds it when left out")
    disable: Text | None = Field(
        default=None, description="command that stops it, sent when a run has ended and everything is off"
    )
    clear: Text | None = Field(
        default=None, description="command that clears its trip, sent when a run begins and everything is off"
    )
    timeout_ms: float = Field(gt=0.0, description="time without feeding after which outputs drop [ms]")


class Interlock(Table):
    """A pin that must read back before a hazardous output may be energised."""

    pin: PinName = Field(description="pin that is read, node.port")
    level: Literal["high", "low"] = Field(description="level that permits energising")
    path: Name | None = Field(
        default=None, description="calibrated path, [path.NAME], that it shows to be closed: nothing is radiated"
    )


class BusTable(Table):
    """``[bus.NAME]``: one CAN bus."""

    interface: Text = Field(description='python-can interface: "hil" is the simulated wire, "socketcan" a real one')
    channel: Text = Field(description="channel of that interface, for example can0")
    channels: dict[Name, Text] = Field(
        default_factory=dict["Name", "Text"], description="channel that another program of the rig uses, by its name"
    )
    bitrate_bps: int = Field(ge=10_000, le=1_000_000, description="bit rate of the arbitration phase [bit/s]")
    database: Path | None = Field(default=None, description="DBC file of the bus, relative to the file it stands in")
    length_m: float | None = Field(default=None, ge=0.0, description="cable length [m]")
    data_bitrate_bps: int | None = Field(
        default=None, ge=10_000, le=8_000_000, description="bit rate of the data phase of CAN FD [bit/s]; none: classic"
    )
    hazard: int = Field(
        default=0,
        ge=0,
        le=2,
        description="what a frame on it can do at worst: 0 nothing, 1 damage equipment, 2 injure; the keeper opens it",
    )
    send: list[Text] = Field(
        default_factory=list[str],
        description='of a hazardous bus: messages that tests may send, by name, or "FC_*" for all that begin so; no '
        "other is sent",
    )
    energising: dict[Text, dict[Text, list[bool | int | float | str]]] = Field(
        default_factory=dict["str", "dict[str, list[bool | int | float | str]]"],
        description="of these, messages that energise something: always when the table is empty, else when a signal "
        "has one of its values: { ENG1_COMMAND = { COMMAND = [1] } }",
    )
    safe: list[Annotated[SafeStep, BeforeValidator(_safe_step)]] = Field(
        default_factory=list["SafeStep"],
        description="ordered steps that make safe what is on the bus: a frame is sent, a frame that answers proves it",
    )
    safe_in: dict[Phase, list[Annotated[SafeStep, BeforeValidator(_safe_step)]]] = Field(
        default_factory=dict["Phase", "list[SafeStep]"],
        description="another safe sequence while the article is in this phase; an empty list sends nothing: hold, and "
        "call somebody",
    )
    keep_on: list[Text] = Field(
        default_factory=list[str], description="what the safe sequences leave on, and why they may"
    )
    cut_by: Name | None = Field(
        default=None,
        description="what cuts off what its frames actuate when the keeper is dead: an instrument that has a watchdog, "
        'or "timer", the hardware timer of [safety]; needed for hazard 2',
    )
    interlock: Annotated[
        list[Interlock], BeforeValidator(_in_a_list, json_schema_input_type=Interlock | list[Interlock])
    ] = Field(
        default_factory=list["Interlock"], description="pins that must read back before energising: one, or a list"
    )
    action: Annotated[str, AfterValidator(_action)] | None = Field(
        default=None, description="action that must have been permitted in the test before something is energised"
    )

    @property
    def is_real(self) -> bool:
        """Whether it is reached over an interface, and not simulated in this program."""
        return self.interface != SIMULATED_WIRE

    @model_validator(mode="after")
    def _hazard_is_guarded(self) -> Self:
        _require_safe_steps(self)
        if self.hazard == 0:
            if self.send or self.energising:
                raise ValueError("send and energising list what may go out on a hazardous bus; give a hazard")
            return self
        if not self.interlock:
            raise ValueError(f"hazard = {self.hazard} needs an interlock: a bus has no watchdog")
        if any(step.below_v is not None for steps in (self.safe, *self.safe_in.values()) for step in steps):
            raise ValueError("a step on a bus is proved by expect, the value of a signal; below_v is for volts")
        return self


class Output(Table):
    """What a test may do with an output of a hazardous I/O card; one that is not listed is not moved."""

    energises: Literal["high", "low"] | None = Field(
        default=None,
        description='level at which it energises something: "high" is a do_ that is closed, or an ao_ that is driven '
        'beyond quiet_v; "low" a do_ that is open; never, when left out',
    )
    quiet_v: float = Field(
        default=0.0, ge=0.0, description="magnitude up to which an ao_ that energises does not yet [V]"
    )
    min_v: float | None = Field(default=None, description="least voltage an ao_ may be driven to [V]")
    max_v: float | None = Field(default=None, description="largest voltage an ao_ may be driven to [V]")


class Calibration(Table):
    """The calibration of one instrument."""

    certificate: Text = Field(description="number of the certificate")
    due: datetime.date = Field(description="last day of validity, a TOML date")
    uncertainty: UnitSuffixed = Field(
        default_factory=dict, description="expanded uncertainty (k = 2), one key per quantity with its unit"
    )


class InstrumentTable(Table):
    """``[instrument.NAME]``: one instrument or I/O card."""

    driver: ClassPath = Field(description='driver class, "module:Class"')
    resource: Text | None = Field(default=None, description="VISA resource or address of the real instrument")
    model: ClassPath | None = Field(default=None, description='simulated instrument, "module:Class"')
    hazard: int = Field(
        default=0,
        ge=0,
        le=3,
        description="what its outputs can do at worst: 0 nothing, 1 damage equipment, 2 injure, 3 kill",
    )
    safe: list[Annotated[SafeStep, BeforeValidator(_safe_step)]] = Field(
        default_factory=list["SafeStep"], description="ordered steps that make the outputs safe, each read back"
    )
    safe_in: dict[Phase, list[Annotated[SafeStep, BeforeValidator(_safe_step)]]] = Field(
        default_factory=dict["Phase", "list[SafeStep]"],
        description="another safe sequence while the article is in this phase; an empty list leaves the instrument as "
        "it is: hold, and call somebody",
    )
    keep_on: list[Text] = Field(
        default_factory=list[str],
        description="outputs that the safe sequences leave on, and why they may: the end of a run names them",
    )
    allow: list[Text] = Field(
        default_factory=list[str],
        description="headers of commands that tests may send beside those the driver declares, for example CAL:DATE?",
    )
    outputs: dict[Annotated[str, AfterValidator(_output)], Output] = Field(
        default_factory=dict["str", "Output"],
        description='of a hazardous I/O card: its outputs that tests may move, by name, or "do_fts_*" for all that '
        "begin so; no other is moved",
    )
    sequences: list[Path] | None = Field(
        default=None,
        description="TOML files of the waveforms that may be loaded, by SHA-256; [] allows none. Left out, any may be "
        "loaded, and then only in virtual time",
    )
    allow_modulation: list[Text] = Field(
        default_factory=list[str],
        description="kinds of modulation that a generator may make by itself, for example FM; none unless given",
    )
    process: Name | None = Field(
        default=None, description="program that runs the model, reached over resource; that of [rig] unless given"
    )
    watchdog: Watchdog | None = Field(default=None, description="timer in the instrument that drops its outputs")
    cut_by: Name | None = Field(
        default=None,
        description="what cuts it off when the keeper is dead and it has no watchdog: an instrument that has one, or "
        '"timer", the hardware timer of [safety]; needed from hazard 2 on',
    )
    interlock: Annotated[
        list[Interlock], BeforeValidator(_in_a_list, json_schema_input_type=Interlock | list[Interlock])
    ] = Field(
        default_factory=list["Interlock"], description="pins that must read back before energising: one, or a list"
    )
    action: Annotated[str, AfterValidator(_action)] | None = Field(
        default=None,
        description="action that must have been permitted in the test before an output is energised, for example "
        "fts.terminate; with hazard = 3 it is NAME.energise unless given",
    )
    limits: UnitSuffixed = Field(
        default_factory=dict,
        description="largest and smallest setting allowed: voltage_max_v, voltage_min_v; out1_voltage_max_v is of "
        "one output",
    )
    serial: Text | None = Field(default=None, description="serial number that must answer")
    calibration: Calibration | None = Field(default=None, description="certificate, due date and uncertainty")

    @model_validator(mode="after")
    def _one_transport(self) -> Self:
        if self.process is None and (self.resource is None) == (self.model is None):
            found = "both" if self.resource else "neither"
            raise ValueError(f"give one of resource (a real instrument) or model (a simulated one); found {found}")
        return self

    @model_validator(mode="after")
    def _hazard_is_guarded(self) -> Self:
        _require_safe_steps(self)
        if self.hazard == 0:
            if self.outputs:
                raise ValueError("outputs lists what a hazardous card may be made to do; give a hazard")
            return self
        if self.watchdog is None and not self.interlock:
            raise ValueError(f"hazard = {self.hazard} needs a watchdog or an interlock")
        for name, output in self.outputs.items():
            if output.energises == "low" and self.watchdog is not None:
                raise ValueError(
                    f"outputs.{name} energises when it is open, and a watchdog opens every output: wire it the other "
                    "way round, or take the watchdog out"
                )
            if output.energises == "low" and name.startswith("ao_"):
                raise ValueError(f'outputs.{name} is an analog output: it energises "high", when it is driven')
        if self.hazard == 3 and (self.watchdog is None or not self.interlock):
            raise ValueError("hazard = 3 needs both a watchdog and an interlock")
        return self


def _require_safe_steps(table: InstrumentTable | BusTable) -> None:
    """Refuse a hazard without a safe sequence that reads back, and a permit for what is none."""
    if table.hazard == 0:
        if table.action is not None:
            raise ValueError(f"action = {table.action!r} asks for a permit, hazard = 0 needs none; give a hazard")
        return
    for phase, steps in {"": table.safe, **table.safe_in}.items():
        if not (steps or phase) or any(step.query is None for step in steps):
            where = f" in phase {phase}" if phase else ""
            raise ValueError(
                f"hazard = {table.hazard} needs a safe sequence{where} whose steps read back (query, and expect or "
                "below_v)"
            )


class DutTable(Table):
    """``[dut.NAME]``: one article under test, or a part of the vehicle that stands around it."""

    client: ClassPath | None = Field(
        default=None, description='the tester\'s side of the article, "module:Class"; a part without one is only wired'
    )
    bus: list[Name] = Field(default_factory=list[str], description="buses the article is connected to")
    node: Text | None = Field(default=None, description="prefix of its messages in the database")
    model: ClassPath | None = Field(default=None, description='simulated article, "module:Class"')
    rtl: Path | None = Field(default=None, description="TOML file that describes the article's RTL")
    serial: Text | None = Field(default=None, description="serial number of the real article")
    as_built: Path | None = Field(default=None, description="TOML file of what the simulated article is")
    process: Name | None = Field(default=None, description="program that runs the model; that of [rig] unless given")

    @model_validator(mode="after")
    def _one_realisation(self) -> Self:
        given = [key for key in ("model", "rtl", "serial") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                "give one of model (simulated), rtl (simulated logic) or serial (the real article); "
                f"found {' and '.join(given) or 'none'}"
            )
        if self.as_built is not None and self.serial is not None:
            raise ValueError("as_built describes a simulated article; the real one is what it is")
        return self

    @property
    def evidence_class(self) -> EvidenceClass:
        """What a result taken on this article is worth."""
        if self.serial is not None:
            return "hardware"
        return "sim" if self.model is not None else "rtl"


class PlantTable(Table):
    """``[plant]``: the vehicle and its environment."""

    model: ClassPath = Field(description='plant class, "module:Class"')
    vehicle: Path | None = Field(default=None, description="TOML file of the vehicle")
    rate_hz: float = Field(default=1000.0, gt=0.0, description="steps per second of rig time [Hz]")
    integrator: Literal["rk4", "ab2"] = Field(default="rk4", description="integration method")
    process: Name | None = Field(default=None, description="program that runs it; that of [rig] unless given")

    @property
    def period_ns(self) -> int:
        """The step of the plant [ns]."""
        return round(s / self.rate_hz)


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


class NetTable(Table):
    """``[net.NAME]``: pins that are connected; the kind (electrical, RF, quantity, datagram) follows from the pins."""

    pins: list[PinName] = Field(min_length=2, description='connected pins, each "node.port"')
    loss_db: dict[str, Annotated[float, Field(ge=0.0)]] = Field(
        default_factory=dict, description="as-built path loss per RF pin [dB], pin names in quotes"
    )
    ohms: dict[str, Annotated[float, Field(ge=0.0)]] = Field(
        default_factory=dict,
        description="as-built series resistance of the wire per electrical pin [ohm]; of a load, its resistance",
    )


class HarnessTable(Table):
    """``[harness.NAME]``: a cable between two nodes that connects their pins of the same name, one net each."""

    ends: list[Name] = Field(min_length=2, max_length=2, description="the two nodes")
    pins: list[Name] = Field(min_length=1, description="ports both nodes have; each is a net NAME_port of its own")

    def nets(self, name: str) -> dict[str, NetTable]:
        """The nets the cable stands for, by name."""
        return {f"{name}_{pin}": NetTable(pins=[f"{end}.{pin}" for end in self.ends]) for pin in self.pins}


class PathTable(Table):
    """``[path.NAME]``: a measured path loss, which the client adds; never the number the wiring is built from."""

    from_: PinName = Field(alias="from", description="pin of the generator")
    to: PinName = Field(description="pin at which levels are stated")
    loss_db: float = Field(ge=0.0, description="calibrated path loss [dB]")
    uncertainty_db: float = Field(ge=0.0, description="expanded uncertainty of the loss (k = 2) [dB]")
    date: datetime.date = Field(description="day of the calibration, a TOML date")
    certificate: Text | None = Field(default=None, description="number of the certificate")
    due: datetime.date | None = Field(default=None, description="last day of validity, a TOML date")


class InvariantTable(Table):
    """``[invariant.NAME]``: a value that is read at the end of every test, and what it must be."""

    read: Text = Field(
        description="what is read: bus_a.error_frames, psu.*.measured_current_a, stand.ai_box.volts, fts_a.faults"
    )
    unit: Text = Field(
        default="1", description='unit of the value and of its limits; "1" for counts, states, registers'
    )
    low: float | None = Field(default=None, description="smallest value allowed [unit]")
    high: float | None = Field(default=None, description="largest value allowed [unit]")
    equals: bool | str | None = Field(default=None, description="the one value allowed of a state, in place of the two")
    uncertainty: float | None = Field(default=None, ge=0.0, description="expanded uncertainty (k = 2) [unit]")
    note: Text | None = Field(default=None, description="anything a reader of the report should know")

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        bounds = (self.low, self.high)
        if (self.equals is None) == (bounds == (None, None)):
            raise ValueError("an invariant has low or high, or equals")
        if None not in bounds and cast("float", self.low) > cast("float", self.high):
            raise ValueError(f"low = {self.low:g} is above high = {self.high:g}")
        return self


class SecretTable(Table):
    """``[secret.NAME]``: where a secret is; the secret itself never stands in a rig file."""

    file: Text | None = Field(
        default=None, description="file that holds it, mode 0600, by its absolute path: /etc/hil/efts.key"
    )
    env: Text | None = Field(default=None, description="variable of the environment that holds it: HIL_EFTS_KEY")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        """Judged here, where the message shows no value: what stands in the wrong place may be the secret."""
        if (self.file is None) == (self.env is None):
            raise ValueError(f"give one of file or env; found {'both' if self.file else 'neither'}")
        if self.file is not None and not Path(self.file).is_absolute():
            raise ValueError("file is no absolute path, and is not shown: if it was the secret, change that secret")
        if self.env is not None and not _VARIABLE.fullmatch(self.env):
            raise ValueError("env is no name of a variable, and is not shown: if it was the secret, change that secret")
        return self

    @property
    def place(self) -> str:
        """Where it is, as :meth:`hil.safety.secret.Secret.load` takes it."""
        return f"env:{self.env}" if self.file is None else f"file:{self.file}"


class Tables(Table):
    """A whole rig, all layers merged."""

    rig: RigTable
    bus: dict[Name, BusTable] = Field(default_factory=dict)
    instrument: dict[Name, InstrumentTable] = Field(default_factory=dict)
    dut: dict[Name, DutTable] = Field(default_factory=dict)
    plant: PlantTable | None = None
    rtl: RtlTable = RtlTable()
    safety: SafetyTable = SafetyTable()
    lab: LabTable | None = None
    net: dict[Name, NetTable] = Field(default_factory=dict)
    harness: dict[Name, HarnessTable] = Field(default_factory=dict)
    path: dict[Name, PathTable] = Field(default_factory=dict)
    invariant: dict[Name, InvariantTable] = Field(default_factory=dict)
    secret: dict[Name, SecretTable] = Field(default_factory=dict)

    @cached_property
    def wires(self) -> dict[str, NetTable]:
        """Every net by name, those of the harnesses included."""
        nets = dict(self.net)
        for name, cable in self.harness.items():
            nets |= cable.nets(name)
        return nets


TABLES: Mapping[str, type[Table]] = {
    "rig": RigTable, "bus": BusTable, "instrument": InstrumentTable, "dut": DutTable,
    "plant": PlantTable, "rtl": RtlTable, "safety": SafetyTable, "lab": LabTable, "net": NetTable,
    "harness": HarnessTable, "path": PathTable, "invariant": InvariantTable, "secret": SecretTable,
}  # fmt: skip
"""The tables of a rig file by their first key, in the order of the documentation."""

NAMED_TABLES = frozenset({"bus", "instrument", "dut", "net", "harness", "path", "invariant", "secret"})
"""Tables that hold one sub-table per name."""

NAMES_IN_BASE = NAMED_TABLES - {"invariant"}
"""Those whose names stand in the base, once."""

SUB_TABLES: Mapping[str, type[Table]] = {
    "safe": SafeStep, "watchdog": Watchdog, "interlock": Interlock, "outputs": Output, "calibration": Calibration,
}  # fmt: skip
"""Tables inside ``[instrument.NAME]``."""

OVERLAY_KEYS: Mapping[str, frozenset[str]] = {
    "rig": frozenset(RigTable.model_fields),
    "bus": frozenset(BusTable.model_fields) - {"bitrate_bps", "database"},
    "instrument": frozenset(InstrumentTable.model_fields),
    "dut": frozenset({"model", "rtl", "serial", "as_built", "process"}),
    "plant": frozenset(PlantTable.model_fields),
    "rtl": frozenset(RtlTable.model_fields),
    "safety": frozenset(SafetyTable.model_fields),
    "lab": frozenset(LabTable.model_fields),
    "net": frozenset(),
    "harness": frozenset(),
    "path": frozenset({"loss_db", "uncertainty_db", "date", "certificate", "due"}),
    "invariant": frozenset(InvariantTable.model_fields),
    "secret": frozenset(SecretTable.model_fields),
}
"""The transport keys: what a file that extends another may fill. Names, nets and the ICD stand in the base."""

PATH_KEYS: Mapping[str, frozenset[str]] = {
    "bus": frozenset({"database"}), "dut": frozenset({"as_built", "rtl"}), "plant": frozenset({"vehicle"}),
    "rtl": frozenset({"block_designs"}), "instrument": frozenset({"sequences"}), "safety": frozenset({"authority"}),
}  # fmt: skip
"""Keys that hold a path, or a list of them, relative to the file they stand in."""

ALTERNATIVES: Mapping[str, frozenset[str]] = {
    "instrument": frozenset({"resource", "model"}), "dut": frozenset({"model", "rtl", "serial"}),
    "secret": frozenset({"file", "env"}),
}  # fmt: skip
"""Keys of which one is given; a later layer that gives one takes the place of the others."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key was given: a file and its line, or the command line."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file the rig is made of: its name relative to the rig file's folder, where it is, its SHA-256."""

    name: str
    file: Path
    sha256: str


@dataclass(frozen=True)
class RigFile:
    """A rig file that was read and checked: the merged tables and where they came from.

    Opening it is another matter; nothing here has imported a driver or touched a bus.
    """

    file: Path
    tables: Tables
    as_built: Mapping[str, Mapping[str, object]]
    """What each simulated article is, by its name; ``--set dut.NAME.as_built.KEY=VALUE`` included."""
    sources: tuple[SourceFile, ...]
    sets: tuple[str, ...] = ()
    """The ``--set`` arguments, as given."""
    vehicle: Mapping[str, object] = field(default_factory=dict[str, object])
    """What the plant's vehicle file says; ``--set plant.vehicle.KEY=VALUE`` included."""
    places: Mapping[tuple[str, ...], Place] = field(default_factory=dict["tuple[str, ...]", Place])

    @property
    def rig(self) -> RigTable:
        """Name, pace, lateness and seed."""
        return self.tables.rig

    @property
    def bus(self) -> Mapping[str, BusTable]:
        """The buses by name."""
        return self.tables.bus

    @property
    def instrument(self) -> Mapping[str, InstrumentTable]:
        """The instruments by name."""
        return self.tables.instrument

    @property
    def dut(self) -> Mapping[str, DutTable]:
        """The articles by name."""
        return self.tables.dut

    @property
    def plant(self) -> PlantTable | None:
        """The plant, if the rig has one."""
        return self.tables.plant

    @property
    def rtl(self) -> RtlTable:
        """How HDL simulators are run."""
        return self.tables.rtl

    @property
    def safety(self) -> SafetyTable:
        """What the keeper allows."""
        return self.tables.safety

    @property
    def lab(self) -> LabTable | None:
        """The rig's place at a coordinator of labgrid, if it has one."""
        return self.tables.lab

    def program_of(self, kind: Literal["instrument", "dut", "plant"], name: str = "") -> str:
        """The program that a part belongs to: "test", or the one that runs its model."""
        table: InstrumentTable | DutTable | PlantTable | None = self.plant
        if kind != "plant":
            table = self.instrument[name] if kind == "instrument" else self.dut[name]
        if table is None or table.model is None:
            return HERE
        return table.process or self.rig.process

    def simulated_by(self, node: str) -> str | None:
        """The program that simulates a node of the wiring; None for a real part."""
        if node == "plant":
            return self.program_of("plant")
        if node in self.instrument:
            return None if self.instrument[node].model is None else self.program_of("instrument", node)
        return None if self.dut[node].serial is not None else self.program_of("dut", node)

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs beside the test's own that run models of this rig."""
        found = [self.program_of("instrument", name) for name in self.instrument]
        found += [self.program_of("dut", name) for name in self.dut]
        found += [self.program_of("plant")] if self.plant is not None else []
        return tuple(sorted({program for program in found if program != HERE}))

    @property
    def net(self) -> Mapping[str, NetTable]:
        """The nets by name, those of harnesses included."""
        return self.tables.wires

    @property
    def path(self) -> Mapping[str, PathTable]:
        """The calibrated paths by name."""
        return self.tables.path

    @property
    def secret(self) -> Mapping[str, SecretTable]:
        """Where the secrets are, by name."""
        return self.tables.secret

    @property
    def development(self) -> bool:
        """Whether something was changed from outside the files: such a run qualifies nothing."""
        return bool(self.sets)

    @property
    def evidence_class(self) -> EvidenceClass:
        """What a result of this rig is worth at most.

        "hardware" only when every article under test and every instrument is real; otherwise "rtl" when some
        article runs as RTL; otherwise "sim". An article under test is one with a client; parts that are only
        wired (valves, loads) do not count.
        """
        articles = [dut for dut in self.dut.values() if dut.client is not None] or list(self.dut.values())
        classes = {dut.evidence_class for dut in articles}
        simulated = any(instrument.model is not None for instrument in self.instrument.values())
        simulated = simulated or any(bus.interface in {"hil", "virtual"} for bus in self.bus.values())
        if classes == {"hardware"} and not simulated:
            return "hardware"
        return "rtl" if "rtl" in classes else "sim"

    def where(self, *keys: str) -> Place:
        """Where a key was given, or the nearest table around it."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.places:
                return self.places[keys[:length]]
        return Place(self.file.as_posix())
