"""The ``[coverage]`` table of an RTL file: what share of each block the tests must reach, or somebody must justify.

.. code-block:: toml

    [coverage]
    line_pct = 100.0
    branch_pct = 100.0
    toggle_pct = 90.0
    waivers = "receiver_waivers.toml"       # beside the RTL file; or a list of such files

    [coverage.block.tone_decoder]           # what differs for one block
    toggle_pct = 80.0
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from pydantic import BaseModel, ConfigDict, Field

from hil.coverage.points import KINDS
from hil.errors import ConfigError
from hil.toml_lines import check, load_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

Percent = Annotated[float, Field(ge=0.0, le=100.0)]
FileName = Annotated[str, Field(min_length=1)]


class BlockGoals(BaseModel):
    """Goals [percent of a block's elements, reached or justified]; None where there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    line_pct: Percent | None = Field(default=None, description="lines that were executed [percent]")
    branch_pct: Percent | None = Field(default=None, description="ways out of decisions that were taken [percent]")
    toggle_pct: Percent | None = Field(default=None, description="edges of bits that were seen [percent]")
    user_pct: Percent | None = Field(default=None, description="cover statements that were met [percent]")

    def of_kind(self, kind: str) -> float | None:
        """The goal of a kind of element [percent]."""
        return cast("float | None", getattr(self, f"{kind}_pct"))


class CoverageTable(BlockGoals):
    """``[coverage]`` of an RTL file: goals that hold for every block, exceptions, and the list of justified gaps."""

    waivers: FileName | list[FileName] | None = Field(
        default=None, description="TOML file of waivers, beside the RTL file, or several"
    )
    block: dict[str, BlockGoals] = Field(
        default_factory=dict[str, BlockGoals], description="goals of one block, by its module's name"
    )

    @property
    def waiver_files(self) -> tuple[str, ...]:
        """The files of waivers, none, one or several."""
        return (self.waivers,) if isinstance(self.waivers, str) else tuple(self.waivers or ())

    @property
    def asks(self) -> bool:
        """Whether there is any goal at all, of every block or of one."""
        return any(each.of_kind(kind) is not None for each in (self, *self.block.values()) for kind in KINDS)

    def goal(self, block: str, kind: str) -> float | None:
        """What a block must reach of a kind of element [percent]; None where nothing is asked."""
        own = self.block.get(block)
        found = None if own is None else own.of_kind(kind)
        return self.of_kind(kind) if found is None else found


class _RtlFile(BaseModel):
    """What is read here of an RTL file; the rest of it is not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    sources: list[str] = Field(min_length=1)
    language: str = "verilog"
    coverage: CoverageTable = CoverageTable()


@dataclass(frozen=True)
class Design:
    """What a run must reach of one RTL file, with everything that is needed to judge it.

    Args:
        name: the RTL file, without its folder.
        sources: the bytes of each HDL file, by the name that the RTL file gives it.
        goals: its ``[coverage]`` table.
        waivers: name and bytes of each waiver file.
        language: "verilog", or one that nothing counts.
    """

    name: str
    sources: Mapping[str, bytes]
    goals: CoverageTable
    waivers: tuple[tuple[str, bytes], ...] = ()
    language: str = "verilog"


def read_design(path: Path | str) -> Design:
    """Read what an RTL file says of coverage, with the files that it names.

    Raises:
        ConfigError: when it, a source or the waiver file cannot be read, or it asks what cannot be had.
    """
    path = Path(path)
    data, lines = load_toml(path)
    found = check(_RtlFile, data, path, lines)
    goals = found.coverage
    if found.language != "verilog" and goals != CoverageTable():
        raise ConfigError(
            f"{path}:{lines.of('coverage')}: coverage: goals of a {found.language} design cannot be judged: only "
            "Verilator counts, and it reads Verilog; leave the table out"
        )
    names = found.sources
    sources = {name: _read(path, name, f"{path}:{lines.of('sources', index)}") for index, name in enumerate(names)}
    where = f"{path}:{lines.of('coverage', 'waivers')}"
    waivers = tuple((name, _read(path, name, where)) for name in goals.waiver_files)
    return Design(path.name, sources, goals, waivers, found.language)


def _read(path: Path, name: str, where: str) -> bytes:
    try:
        return (path.parent / name).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{where}: {name} cannot be read: {error.strerror}; a file is named relative to {path.name}, and a list of "
            "waivers may be empty"
        ) from error
