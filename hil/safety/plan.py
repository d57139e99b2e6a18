"""What a keeper is told when it starts: everything it needs of a rig file, and nothing it would have to look up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from hil.safety.lease_record import KEPT_AT

if TYPE_CHECKING:
    from collections.abc import Sequence

Level = Literal["high", "low"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SafeStepPlan(_Part):
    """One step of a safe sequence; the keys are those of the rig file."""

    write: str | None = None
    query: str | None = None
    expect: str | None = None
    below_v: float | None = None
    within_ms: float = 100.0


class WatchdogPlan(_Part):
    """The timer in an instrument that drops its outputs."""

    enable: str
    feed: str | None = None
    disable: str | None = None
    clear: str | None = None
    timeout_ms: float


class InterlockPlan(_Part):
    """A channel of an I/O card that must read back before an output may be energised."""

    card: str
    """Class of the card, ``module:Class``."""
    address: str
    name: str
    port: str
    level: Level

    def __str__(self) -> str:
        return f"{self.name}.{self.port} {self.level}"


class KeptPlan(_Part):
    """One hazardous part of a rig: what is true of an instrument, an I/O card and a bus alike."""

    name: str
    hazard: int
    safe: list[SafeStepPlan]
    safe_in: dict[str, list[SafeStepPlan]] = Field(default_factory=dict)
    keep_on: list[str] = Field(default_factory=list)
    interlocks: list[InterlockPlan] = Field(default_factory=list[InterlockPlan])
    action: str = ""
    """What must have been permitted in the test before an output is energised; "" asks for no permit."""

    def steps(self, phase: str) -> Sequence[SafeStepPlan]:
        """The safe sequence in a phase; empty means hold: the output stays as it is, and somebody is called."""
        return self.safe_in.get(phase, self.safe)

    @property
    def where(self) -> str:
        """Its address; of a bus ``interface:channel``."""
        raise NotImplementedError


class OutletPlan(KeptPlan):
    """One hazardous VISA instrument."""

    driver: str
    resource: str
    serial: str | None = None
    limits: dict[str, float] = Field(default_factory=dict)
    allow: list[str] = Field(default_factory=list)
    sequences: list[str] | None = None
    """SHA-256 of every waveform that may be loaded; without a list, an instrument that takes waveforms is not kept."""
    allow_modulation: list[str] = Field(default_factory=list)
    feed_s: float = 0.5
    """How long it may take to answer what feeds its watchdog [s]."""
    watchdog: WatchdogPlan | None = None

    @property
    def where(self) -> str:
        """Its VISA resource."""
        return self.resource


class OutputPlan(_Part):
    """What an output of an I/O card may be made to do; the keys are those of the rig file."""

    energises: Level | None = None
    quiet_v: float = 0.0
    min_v: float | None = None
    max_v: float | None = None


class CardPlan(KeptPlan):
    """One hazardous I/O card."""

    driver: str
    address: str
    outputs: dict[str, OutputPlan]
    reserved: list[str] = Field(default_factory=list)
    """Outputs that only the keeper moves."""
    silent_s: float = 3.0
    """How long it may take to say what its clock says [s]."""
    watchdog: WatchdogPlan | None = None

    @property
    def where(self) -> str:
        """Its address."""
        return self.address


class LabPlan(_Part):
    """The place of a rig at a coordinator of labgrid."""

    coordinator: str
    place: str


class BusPlan(KeptPlan):
    """One hazardous bus."""

    interface: str
    channel: str
    bitrate_bps: int
    database: str
    """The DBC file."""
    send: list[str]
    energising: dict[str, dict[str, list[bool | int | float | str]]] = Field(default_factory=dict)
    loopback: tuple[int, int, bool] | None = None
    """By which the transport delay is measured: identifiers of request and answer, and whether they have 29 bits."""

    @property
    def where(self) -> str:
        """Its interface and channel."""
        return f"{self.interface}:{self.channel}"


class KeeperPlan(_Part):
    """A rig's hazards, and what the keeper allows a test."""

    rig: str
    outlets: list[OutletPlan] = Field(default_factory=list[OutletPlan])
    cards: list[CardPlan] = Field(default_factory=list[CardPlan])
    buses: list[BusPlan] = Field(default_factory=list[BusPlan])
    silence_s: float
    deadline_s: float
    deadline_max_s: float | None = None
    """The longest deadline that a test may ask for [s]; ``deadline_s`` unless given."""
    phase_deadline_s: dict[str, float] = Field(default_factory=dict[str, float])
    """What a test may spend in a phase, from each time that it enters it [s]."""
    hold_s: float
    hold_sum_s: float | None = None
    """What all holds of one test may take together [s]; ``hold_s`` unless given."""
    lease_s: float
    who: str
    record: str | None = None
    """The file of the keeper's own record."""
    lease_folder: str | None = None
    lab: LabPlan | None = None
    """Where other machines are kept out."""
    authority: str | None = None
    """The register of those who may grant."""
    readable: dict[str, InterlockPlan] = Field(default_factory=dict[str, InterlockPlan])
    """Every interlock that a grant may name."""
    timer: InterlockPlan | None = None
    """The output that retriggers the hardware timer."""
    phase: str = "unpowered"
    """The phase whose safe sequences make the rig safe to begin with."""
    safe_only: bool = False
    """Make the rig safe, whoever left it how, and end."""

    @property
    def kept(self) -> Sequence[KeptPlan]:
        """All hazardous parts."""
        return (*self.outlets, *self.cards, *self.buses)

    @property
    def longest_safe_s(self) -> float:
        """How long the longest safe sequence of all parts and phases may take; they run side by side [s]."""
        sequences = [steps for part in self.kept for steps in (part.safe, *part.safe_in.values())]
        return max((sum(step.within_ms for step in steps) for steps in sequences), default=0.0) / 1000.0

    @property
    def keeps(self) -> list[str]:
        """All hazardous parts with their addresses, as a lease names them."""
        return [f"{part.name}{KEPT_AT}{part.where}" for part in self.kept]
