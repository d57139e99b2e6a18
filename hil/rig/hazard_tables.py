"""What a rig file says of a hazard: safe sequence, watchdog, interlock, and the outputs that a test may move."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, cast

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hil.rig.values import Name, Phase, PinName, Table, Text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


_ACTION = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_OUTPUT = re.compile(r"(do|ao)_[a-z0-9_]*\*?")


def _output(value: str) -> str:
    if not _OUTPUT.fullmatch(value):
        raise ValueError('an output of a card is written do_NAME or ao_NAME, or "do_fts_*" for all that begin so')
    return value


def _action(value: str) -> str:
    if not _ACTION.fullmatch(value):
        raise ValueError('an action is written "what.verb", for example "fts.terminate"')
    return value


def _safe_step(value: object) -> object:
    return {"write": value} if isinstance(value, str) else value


def _in_a_list(value: object) -> object:
    return [cast("object", value)] if isinstance(value, dict) else value


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


SafeSequence = list[Annotated[SafeStep, BeforeValidator(_safe_step)]]
"""Ordered steps; one that is a text alone only writes."""
Interlocks = Annotated[list[Interlock], BeforeValidator(_in_a_list, json_schema_input_type=Interlock | list[Interlock])]
"""One or several."""
Action = Annotated[str, AfterValidator(_action)]
"""What a permit is asked for."""
OutputName = Annotated[str, AfterValidator(_output)]
"""Of an I/O card, or of several."""


class Hazardous(Protocol):
    """What has a hazard and is made safe: an instrument, a bus."""

    @property
    def hazard(self) -> int: ...  # noqa: D102
    @property
    def action(self) -> str | None: ...  # noqa: D102
    @property
    def safe(self) -> list[SafeStep]: ...  # noqa: D102
    @property
    def safe_in(self) -> Mapping[Phase, list[SafeStep]]: ...  # noqa: D102


def require_safe_steps(table: Hazardous) -> None:
    """Refuse a hazard without a safe sequence that reads back, and a permit for what is none."""
    if table.hazard == 0:
        if table.action is not None:
            raise ValueError(f"action = {table.action!r} asks for a permit, hazard = 0 needs none; give a hazard")
        return
    for phase, steps in {"": table.safe, **{str(phase): steps for phase, steps in table.safe_in.items()}}.items():
        if not (steps or phase) or any(step.query is None for step in steps):
            where = f" in phase {phase}" if phase else ""
            raise ValueError(
                f"hazard = {table.hazard} needs a safe sequence{where} whose steps read back (query, and expect or "
                "below_v)"
            )
