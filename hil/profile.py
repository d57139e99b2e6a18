"""Profiles: what an article must be, as limits and parameters with unit, clause, source and grade.

A profile is one TOML file of one origin: a rule, or the specification that an article was bought by. A test
names a limit, never its number, so that the same test judges by another profile when the run names another.

.. code-block:: toml

    [profile]
    name = "FTS receiver specification"
    edition = "revision 2"
    kind = "dut_spec"                       # or "rule"
    status = "in force"

    [limit."fts.response_time"]
    unit = "ms"
    high = 25.0
    uncertainty = 0.1                       # expanded, k = 2
    family = [8.0, 16.0]
    clause = "3.2.4"
    source = "FTR procurement specification"
    grade = "D"

    [parameter."fts.guaranteed_level"]
    value = -107.0
    unit = "dBm"
    clause = "3.2.1"
    source = "FTR procurement specification"
    grade = "D"
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from hil.errors import ConfigError
from hil.limits import Limit, LimitError
from hil.toml_lines import check, did_you_mean, dotted, load_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Scalar = float | int | bool | str
ParameterValue = Scalar | tuple[Scalar, ...]

_Text = Field(min_length=1)


class _Table(BaseModel):
    """A closed table: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Head(_Table):
    name: str = _Text
    edition: str = _Text
    status: str = _Text
    kind: Literal["rule", "dut_spec"] = "dut_spec"
    note: str = ""


class _LimitTable(_Table):
    unit: str = _Text
    low: float | None = None
    high: float | None = None
    equals: bool | str | None = None
    family: list[float] | None = Field(default=None, min_length=2, max_length=2)
    uncertainty: float | None = None
    decision: Literal["guarded", "simple"] = "guarded"
    clause: str = _Text
    source: str = _Text
    grade: Literal["P", "S", "M", "D", "C"]
    note: str = ""
    requirement: str = ""


class _ParameterTable(_Table):
    value: bool | int | float | str | list[bool | int | float | str]
    unit: str = _Text
    clause: str = _Text
    source: str = _Text
    grade: Literal["P", "S", "M", "D", "C"]
    note: str = ""


class _File(_Table):
    profile: _Head
    limit: dict[str, _LimitTable] = Field(default_factory=dict[str, _LimitTable])
    parameter: dict[str, _ParameterTable] = Field(default_factory=dict[str, _ParameterTable])


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """Which file a profile was read from, as the report prints it.

    Args:
        name: the profile's name.
        edition: its edition.
        status: its standing: in force, legacy, draft.
        kind: "rule" or "dut_spec".
        note: its note.
        file: name of the file, without its folder.
        sha256: hash of the file's bytes, hexadecimal.
    """

    name: str
    edition: str
    status: str
    kind: str
    note: str
    file: str
    sha256: str

    @property
    def title(self) -> str:
        """Name and edition in one text."""
        return f"{self.name}, {self.edition}"

    def document(self) -> dict[str, str]:
        """The edition as fields of a run's ``start`` document."""
        return {key: getattr(self, key) for key in ("name", "edition", "status", "kind", "note", "file", "sha256")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A number that tests read instead of typing it: a tone, a rate, a voltage.

    Args:
        name: its name.
        value: the value [unit]; a list in the file is a tuple here.
        unit: its unit; "1" for a bare number, "-" for a text.
        clause: paragraph of the rule or specification.
        source: document it stands in.
        grade: evidence grade of that source.
        note: anything a reader should know.
        origin: the profile it was read from.
        where: file and line, for messages.
    """

    name: str
    value: ParameterValue
    unit: str
    clause: str
    source: str
    grade: str
    note: str
    origin: str
    where: str


class Profile:
    """Every limit and parameter of the profiles of one run.

    A limit that stands in several profiles is kept as often: the stricter judges, all are printed. A parameter
    has one value; two profiles that differ in it are refused.

    Args:
        editions: the files, in the order of the list.
        limits: every limit by name.
        parameters: every parameter by name.
    """

    def __init__(
        self,
        editions: Iterable[Edition] = (),
        limits: Mapping[str, tuple[Limit, ...]] | None = None,
        parameters: Mapping[str, Parameter] | None = None,
    ) -> None:
        self.editions = tuple(editions)
        self._limits = dict(limits or {})
        self._parameters = dict(parameters or {})

    @classmethod
    def load(cls, paths: Iterable[Path | str]) -> Profile:
        """Read profile files.

        Args:
            paths: the files; the rule and the specification are two files.

        Raises:
            ConfigError: with file and line, when a file is not a profile or two files contradict each other.
        """
        editions: list[Edition] = []
        limits: dict[str, tuple[Limit, ...]] = {}
        parameters: dict[str, Parameter] = {}
        for path in paths:
            data, lines = load_toml(path)
            file = check(_File, data, path, lines)
            edition = _edition(file.profile, Path(path))
            editions.append(edition)
            for name, table in file.limit.items():
                limit = _limit(name, table, edition, f"{path}:{lines.of('limit', name)}")
                limits[name] = (*limits.get(name, ()), limit)
                _one_unit(limits[name], f"{path}:{lines.of('limit', name, 'unit')}")
            for name, table in file.parameter.items():
                parameter = _parameter(name, table, edition, f"{path}:{lines.of('parameter', name)}")
                _one_value(parameters.setdefault(name, parameter), parameter)
        return cls(editions, limits, parameters)

    @property
    def limit_names(self) -> tuple[str, ...]:
        """Names of all limits, sorted."""
        return tuple(sorted(self._limits))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of all parameters, sorted."""
        return tuple(sorted(self._parameters))

    def limits(self, name: str) -> tuple[Limit, ...]:
        """Every limit of that name, in the order of the profiles; empty when there is none."""
        return self._limits.get(name, ())

    def no_limit(self, name: str) -> str:
        """Why a measurement of that name cannot be judged, and what to do: the text of the refusal."""
        if name in self._parameters:
            return f"{name} is a parameter, not a limit ({self._parameters[name].where}); judge by a limit"
        files = ", ".join(edition.file for edition in self.editions) or "no profile: set hil_profiles"
        return f"{name} has no limit in {files}{did_you_mean(name, self._limits)}"

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name, with its source.

        Raises:
            ConfigError: when there is none.
        """
        found = self._parameters.get(name)
        if found is None:
            if name in self._limits:
                raise ConfigError(f"{name} is a limit, not a parameter: measure({name!r}, ...) judges by it")
            files = ", ".join(edition.file for edition in self.editions) or "no profile: set hil_profiles"
            raise ConfigError(f"parameter {name} is not in {files}{did_you_mean(name, self._parameters)}")
        return found

    def value(self, name: str, unit: str) -> float:
        """A parameter that is one number [unit]; an int stays an int.

        Raises:
            ConfigError: when there is none, it has another unit, or it is no number.
        """
        found = self._of_unit(name, unit)
        if isinstance(found.value, bool | str | tuple):
            raise ConfigError(f"{found.where}: {name} is {found.value!r}, not one number")
        return found.value

    def values(self, name: str, unit: str) -> tuple[float, ...]:
        """A parameter that is a list of numbers [unit].

        Raises:
            ConfigError: when there is none, it has another unit, or it is no list of numbers.
        """
        found = self._of_unit(name, unit)
        items = found.value if isinstance(found.value, tuple) else (found.value,)
        numbers = tuple(item for item in items if not isinstance(item, bool | str))
        if len(numbers) != len(items):
            raise ConfigError(f"{found.where}: {name} is {found.value!r}, not a list of numbers")
        return numbers

    def text(self, name: str) -> str:
        """A parameter that is a text.

        Raises:
            ConfigError: when there is none, or it is no text.
        """
        found = self.parameter(name)
        if not isinstance(found.value, str):
            raise ConfigError(f"{found.where}: {name} is {found.value!r}, not a text")
        return found.value

    def documents(self) -> list[dict[str, str]]:
        """The editions as fields of a run's ``start`` document."""
        return [edition.document() for edition in self.editions]

    def _of_unit(self, name: str, unit: str) -> Parameter:
        found = self.parameter(name)
        if found.unit != unit:
            raise ConfigError(f"{found.where}: {name} is in {found.unit!r}, not in {unit!r}; ask for {found.unit!r}")
        return found


def _edition(head: _Head, path: Path) -> Edition:
    return Edition(
        name=head.name,
        edition=head.edition,
        status=head.status,
        kind=head.kind,
        note=head.note,
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _limit(name: str, table: _LimitTable, edition: Edition, where: str) -> Limit:
    family = table.family or (None, None)
    fields = table.model_dump(exclude={"family"})
    try:
        return Limit(name=name, family_low=family[0], family_high=family[1], origin=edition.title, **fields)
    except LimitError as error:
        raise ConfigError(f"{where}: {error}") from error


def _parameter(name: str, table: _ParameterTable, edition: Edition, where: str) -> Parameter:
    fields = table.model_dump(exclude={"value"})
    value = tuple(table.value) if isinstance(table.value, list) else table.value
    return Parameter(name=name, value=value, origin=edition.title, where=where, **fields)


def _one_unit(limits: tuple[Limit, ...], where: str) -> None:
    first, last = limits[0], limits[-1]
    if first.unit != last.unit:
        raise ConfigError(
            f"{where}: {dotted(('limit', last.name))} is in {last.unit!r}, but in {first.unit!r} in {first.origin}; "
            "give both in one unit"
        )


def _one_value(first: Parameter, last: Parameter) -> None:
    if (first.value, first.unit) != (last.value, last.unit):
        raise ConfigError(
            f"{last.where}: parameter {last.name} is {last.value!r} {last.unit}, but {first.value!r} {first.unit} in "
            f"{first.where}; keep it in one profile"
        )
