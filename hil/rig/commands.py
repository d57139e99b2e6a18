"""``hil rig``: look at a rig file without opening anything real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import click

from hil.errors import ConfigError, HilError
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.keeping import lab_plan
from hil.rig.loader import load_rig
from hil.rig.preflight import check_rig
from hil.rig.schema import json_schema, key_table
from hil.rig.waveforms import allowed_waveforms, listed, loaded
from hil.safety.lease_commands import grant_group, status_command
from hil.toml_lines import dotted
from hil.visa.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.rig.model import RigFile
    from hil.safety.plan import LabPlan


@click.group()
def rig() -> None:
    """Check, describe and show rig files; nothing real is opened."""


_FILE = click.argument("file", type=click.Path(path_type=Path))
_SETS = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help='Change one key; the run becomes a development run. Example: net.rf_feed_a.loss_db."fts_a.rf"=5',
)


@rig.command()
@_FILE
@_SETS
def check(file: Path, sets: tuple[str, ...]) -> None:
    """Check a rig file and the files it names, import its classes; a virtual rig is put together once too."""
    rigfile = _load(file, sets)
    problems = check_rig(rigfile)
    if problems:
        _refuse("\n".join(problems))
    try:
        blueprint = Blueprint.of(rigfile)
        if rigfile.rig.is_virtual:
            open_rig(blueprint).close()
    except HilError as problem:
        _refuse(str(problem))
    click.echo(f"{rigfile.file.as_posix()}: good ({_summary(rigfile)})")


@rig.command()
@_FILE
@_SETS
def show(file: Path, sets: tuple[str, ...]) -> None:
    """Show a rig with all its layers merged, and where every key was given."""
    rigfile = _load(file, sets)
    click.echo(f"# {_summary(rigfile)}")
    for source in rigfile.sources:
        click.echo(f"# {source.sha256}  {source.name}")
    for keys, value in _leaves((), rigfile.tables.model_dump(mode="json", by_alias=True, exclude_none=True)):
        click.echo(f"{dotted(keys)} = {json.dumps(value, ensure_ascii=False)}  # {_origin(rigfile, keys)}")


@rig.command()
@click.option("--table", is_flag=True, help="Markdown tables of all keys, as in the documentation.")
def schema(table: bool) -> None:
    """Print the JSON Schema of rig files, for editors."""
    click.echo(key_table() if table else json.dumps(json_schema(), indent=2), nl=not table)


@rig.command()
@_FILE
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("instrument")
@click.option("--check", "checks", is_flag=True, help="Print what the rig file does not list; exit code 1 if any.")
def waveforms(file: Path, run: Path, instrument: str, *, checks: bool) -> None:
    """Print the list of waveforms that INSTRUMENT of the rig FILE was loaded with in RUN, for its key `sequences`."""
    rigfile = _load(file, ())
    driver = Blueprint.of(rigfile).drivers.get(instrument)
    transcript = run / "scpi" / f"{instrument}.log"
    if driver is None or not issubclass(driver, Driver) or not transcript.is_file():
        _refuse(f"{instrument}: is no VISA instrument of {file.as_posix()}, or {transcript.as_posix()} is not there")
    found = loaded(transcript.read_text(encoding="utf-8").splitlines(), driver)
    if not found:
        _refuse(f"{transcript.as_posix()}: shows no waveform that was loaded")
    if checks:
        allowed = allowed_waveforms(rigfile.instrument[instrument].sequences) or ()
        found = {digest: what for digest, what in found.items() if digest not in allowed}
    if found or not checks:
        click.echo(listed(found), nl=False)
    raise SystemExit(bool(checks and found))


def _load(file: Path, sets: tuple[str, ...]) -> RigFile:
    try:
        return load_rig(file, sets)
    except ConfigError as problem:
        _refuse(str(problem))


def _refuse(text: str) -> NoReturn:
    click.echo(text, err=True)
    raise SystemExit(1)


def _summary(rigfile: RigFile) -> str:
    parts = [
        f"rig {rigfile.rig.name}",
        f"pace {rigfile.rig.pace}",
        _count(len(rigfile.bus), "bus", "buses"),
        _count(len(rigfile.instrument), "instrument", "instruments"),
        _count(len(rigfile.dut), "dut", "duts"),
        _count(len(rigfile.net), "net", "nets"),
        f"evidence class {rigfile.evidence_class}",
    ]
    return ", ".join([*parts, "development run"] if rigfile.development else parts)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _leaves(keys: tuple[str, ...], value: object) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            yield from _leaves((*keys, key), inner)
    else:
        yield keys, value


def _origin(rigfile: RigFile, keys: tuple[str, ...]) -> str:
    return str(rigfile.places[keys]) if keys in rigfile.places else "default"


def _name_of(file: str) -> str:
    return load_rig(Path(file), ()).rig.name


def _place_of(file: str) -> LabPlan | None:
    return lab_plan(load_rig(Path(file), ()))


rig.add_command(status_command(_name_of, _place_of))
grant = grant_group(_name_of)
