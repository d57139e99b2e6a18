"""Tables of a rig file for the parts of a bench: buses, instruments, articles, the plant."""

from __future__ import annotations

import datetime  # noqa: TC003  # pydantic reads the annotation when the class is made
from pathlib import Path  # noqa: TC003  # as above
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from hil.rig.hazard_tables import (
    Action,
    Interlock,
    Interlocks,
    Output,
    OutputName,
    SafeSequence,
    SafeStep,
    Watchdog,
    require_safe_steps,
)
from hil.rig.loopback_table import LoopbackTable  # noqa: TC001  # pydantic reads the annotation when the class is made
from hil.rig.values import SIMULATED_WIRE, ClassPath, EvidenceClass, Name, Phase, Table, Text, UnitSuffixed
from hil.units import s

if TYPE_CHECKING:
    from typing import Self


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
    loopback: LoopbackTable | None = Field(
        default=None,
        description="by which the transport delay of a closed loop over it is measured; needed where something real is "
        "on it, and no program of models",
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
    safe: SafeSequence = Field(
        default_factory=list["SafeStep"],
        description="ordered steps that make safe what is on the bus: a frame is sent, a frame that answers proves it",
    )
    safe_in: dict[Phase, SafeSequence] = Field(
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
    interlock: Interlocks = Field(
        default_factory=list["Interlock"], description="pins that must read back before energising: one, or a list"
    )
    action: Action | None = Field(
        default=None, description="action that must have been permitted in the test before something is energised"
    )

    @property
    def is_real(self) -> bool:
        """Whether it is reached over an interface, and not simulated in this program."""
        return self.interface != SIMULATED_WIRE

    @model_validator(mode="after")
    def _hazard_is_guarded(self) -> Self:
        require_safe_steps(self)
        if self.hazard == 0:
            if self.send or self.energising:
                raise ValueError("send and energising list what may go out on a hazardous bus; give a hazard")
            return self
        if not self.interlock:
            raise ValueError(f"hazard = {self.hazard} needs an interlock: a bus has no watchdog")
        if any(step.below_v is not None for steps in (self.safe, *self.safe_in.values()) for step in steps):
            raise ValueError("a step on a bus is proved by expect, the value of a signal; below_v is for volts")
        return self


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
    safe: SafeSequence = Field(
        default_factory=list["SafeStep"], description="ordered steps that make the outputs safe, each read back"
    )
    safe_in: dict[Phase, SafeSequence] = Field(
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
    outputs: dict[OutputName, Output] = Field(
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
    interlock: Interlocks = Field(
        default_factory=list["Interlock"], description="pins that must read back before energising: one, or a list"
    )
    action: Action | None = Field(
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
        require_safe_steps(self)
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
    in_loop: bool = Field(
        default=True,
        description="whether what it does may act on the plant. Asked of an article outside of the plant's program "
        "that is on no bus whose transport delay is measured: a flight is then INCONCLUSIVE unless it is false",
    )

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
    max_lateness_ms: float | None = Field(
        default=None,
        gt=0.0,
        description="while it flies in another program, lateness of that program [ms] beyond which measurements are "
        "INCONCLUSIVE; that of [rig] unless given. Only for a loop that is closed inside that program, which lateness "
        "of its clock holds up as a whole and does not disturb",
    )

    @property
    def period_ns(self) -> int:
        """The step of the plant [ns]."""
        return round(s / self.rate_hz)
