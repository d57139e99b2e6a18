"""Blueprint: everything of a rig that is the same for every test, read and imported once.

Opening a world from a blueprint builds objects and touches no file, so that a fresh world per test is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from hil.article import Article, AsBuilt
from hil.device import Device
from hil.errors import ConfigError
from hil.rig.checks import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil.can.database import Database
    from hil.rig.model import RigFile

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Blueprint:
    """A rig file with its classes imported, its databases loaded and its as-built data checked."""

    file: RigFile
    databases: Mapping[str, Database]
    """By bus name."""
    drivers: Mapping[str, type[object]]
    """Driver class by instrument name."""
    twins: Mapping[str, type[object]]
    """Class of the simulated instrument by instrument name."""
    clients: Mapping[str, type[Device]]
    """By article name."""
    models: Mapping[str, tuple[type[Article], AsBuilt]]
    """Class and as-built data of the simulated article by name."""

    @classmethod
    def of(cls, file: RigFile) -> Blueprint:
        """Import and load what a rig file names.

        Raises:
            ConfigError: for a class that does not import or is of the wrong kind, a database that does not load,
                or as-built data that do not fit the article.
        """
        return cls(
            file=file,
            databases=_databases(file),
            drivers={name: resolve(file, "instrument", name, "driver") for name in file.instrument},
            twins={
                name: resolve(file, "instrument", name, "model")
                for name, table in file.instrument.items()
                if table.model
            },
            clients={
                name: _of_kind(file, Device, "dut", name, "client") for name, table in file.dut.items() if table.client
            },
            models={name: _model(file, name) for name, table in file.dut.items() if table.model},
        )


def _databases(file: RigFile) -> dict[str, Database]:
    if not file.bus:
        return {}
    from hil.can.database import Database

    loaded: dict[str, Database] = {}
    found: dict[str, Database] = {}
    for name, bus in file.bus.items():
        if bus.database is None:
            raise ConfigError(
                f"{file.where('bus', name)}: bus.{name} has no database; give the DBC file its messages stand in"
            )
        path = str(bus.database)
        if path not in loaded:
            loaded[path] = Database.load(bus.database)
        found[name] = loaded[path]
    return found


def _model(file: RigFile, name: str) -> tuple[type[Article], AsBuilt]:
    article = _of_kind(file, Article, "dut", name, "model")
    try:
        return article, article.AS_BUILT.model_validate(dict(file.as_built.get(name, {})))
    except ValidationError as problem:
        lines = [
            f"{file.where('dut', name, 'as_built', *map(str, error['loc']))}: dut.{name}.as_built."
            f"{'.'.join(map(str, error['loc']))}: {error['msg']} (found {error['input']!r})"
            for error in problem.errors()
        ]
        raise ConfigError("\n".join(lines)) from problem


def _of_kind(file: RigFile, kind: type[Kind], *keys: str) -> type[Kind]:
    found = resolve(file, *keys)
    if not issubclass(found, kind):
        raise ConfigError(f"{file.where(*keys)}: {'.'.join(keys)} = {found.__name__} is no {kind.__name__}")
    return found
