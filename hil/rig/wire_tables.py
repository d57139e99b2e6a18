"""Tables of a rig file for what connects its parts, what is read at the end of every test, and where secrets are."""

from __future__ import annotations

import datetime  # noqa: TC003  # pydantic reads the annotation when the class is made
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from pydantic import Field, model_validator

from hil.rig.values import Name, PinName, Table, Text

if TYPE_CHECKING:
    from typing import Self


_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


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
