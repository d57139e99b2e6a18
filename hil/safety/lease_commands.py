"""``hil rig status`` and ``hil grant``: who holds a rig, and who may do what with it.

How a rig file becomes the name of a rig is given in: this package knows no rig files.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

from hil.clock import utc_now
from hil.errors import HilError
from hil.limits import Outcome
from hil.safety.authority import Authority
from hil.safety.grant import Grant, instant
from hil.safety.keys import read_signing_key
from hil.safety.labgrid_place import LabgridPlace
from hil.safety.lease import status
from hil.safety.lease_record import State
from hil.safety.register import Register

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.safety.plan import LabPlan

P = ParamSpec("P")
_RIG = click.argument("rig", metavar="RIG")
_FILE = click.argument("file", type=click.Path(path_type=Path))
_REASON = click.option("--reason", required=True, help="Why; it stands in the evidence.")
_REGISTER = click.option(
    "--register",
    type=click.Path(path_type=Path),
    envvar="HIL_AUTHORITY",
    required=True,
    help="The register of persons, authority.toml; or the variable HIL_AUTHORITY.",
)
_DURATION = re.compile(r"([1-9][0-9]{0,5}) ?(s|min|m|h)")
_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600}


class Refused(click.ClickException):
    """An error of the harness as the command line shows it: no traceback, exit code 2."""

    exit_code = 2


def _refusing(command: Callable[P, None]) -> Callable[P, None]:
    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except HilError as error:
            raise Refused(str(error)) from error

    return run


def status_command(name_of: Callable[[str], str], place_of: Callable[[str], LabPlan | None]) -> click.Command:
    """``hil rig status RIG``.

    Args:
        name_of: the name of a rig, given its file or its name.
        place_of: its place at a coordinator of labgrid; None where it has none.
    """

    @click.command("status")
    @_RIG
    @_refusing
    def show(rig: str) -> None:
        """Who holds a rig, and whether it is safe; takes and opens nothing.

        Exit code 14 when it is UNSAFE, or when its holder is gone and nobody has confirmed that it is safe.
        """
        found = status(name_of(rig))
        for line in found.lines():
            click.echo(line)
        lab = place_of(rig)
        if lab is not None:
            click.echo(_place(lab))
        gone = found.state == State.HELD and not found.alive
        if found.state in (State.UNSAFE, State.SAFING) or gone:
            raise SystemExit(Outcome.UNSAFE.exit_code)

    return show


def _place(lab: LabPlan) -> str:
    """Who has the place of a rig, or why that cannot be told."""
    try:
        owner = LabgridPlace(lab.place, lab.coordinator).owner()
    except HilError as problem:
        return f"place {lab.place}: {problem}"
    return f"place {lab.place} at {lab.coordinator}: {owner or 'nobody'} has it"


def grant_group(name_of: Callable[[str], str]) -> click.Group:
    """``hil grant``: request, sign, show, revoke.

    Args:
        name_of: the name of a rig, given its file or its name.
    """

    @click.group()
    def grant() -> None:
        """Grants of hazardous actions: two persons sign, the keeper checks."""

    @grant.command()
    @_RIG
    @click.option("--action", required=True, help="The action, for example fts.terminate.")
    @click.option("--for", "lasts", required=True, metavar="DURATION", help="How long it is valid: 90s, 30m, 2h.")
    @click.option("--from", "begins", metavar="UTC", help="From when; default: now. 2026-03-01T09:00:00Z")
    @click.option("--interlock", required=True, help="What must read back, for example initiator_simulator.")
    @_REASON
    @click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: RIG-ACTION.grant")
    @_refusing
    def request(
        rig: str, action: str, lasts: str, begins: str | None, interlock: str, reason: str, output: Path | None
    ) -> None:
        """Write a grant that nobody has signed yet."""
        name = name_of(rig)
        first = instant(begins) if begins else datetime.fromisoformat(utc_now())
        made = Grant.request(
            name, action, begins=first.astimezone(UTC), lasts=_duration(lasts), reason=reason, interlock=interlock
        )
        path = output or Path(f"{name}-{action}.grant")
        _write(path, made.encode(), new=True)
        click.echo(f"{path}: two persons sign it now: hil grant sign {path} --key KEY")

    for command in (_sign, _show, _revoke):
        grant.add_command(command)
    return grant


@click.command("sign")
@_FILE
@click.option("--key", type=click.Path(path_type=Path), required=True, help="Your private key, OpenSSH or PEM.")
@_REGISTER
@click.option("--yes", is_flag=True, help="Do not ask.")
@_refusing
def _sign(file: Path, key: Path, register: Path, *, yes: bool) -> None:
    """Sign a grant, after it was shown."""
    grant = _read(file)
    known = Register(register)
    private = read_signing_key(key, lambda: click.prompt(f"passphrase of {key}", hide_input=True, err=True))
    person = known.of_key(private.public)
    signed = grant.signed(person.name, private)
    for line in _lines(grant):
        click.echo(line)
    if not yes:
        click.confirm(f"{person.name}: sign it?", abort=True)
    _write(file, signed.encode(), new=False)
    click.echo(f"{file}: signed by {person.name}")


@click.command("show")
@_FILE
@_REGISTER
@_refusing
def _show(file: Path, register: Path) -> None:
    """Show a grant, and whether it is valid now; exit code 1 when it is not."""
    grant = _read(file)
    for line in _lines(grant):
        click.echo(line)
    try:
        Authority(Register(register)).check(grant, grant.action, grant.rig, utc_now())
    except HilError as error:
        click.echo(str(error))
        raise SystemExit(1) from error
    click.echo("valid now")


@click.command("revoke")
@_FILE
@_REGISTER
@_REASON
@_refusing
def _revoke(file: Path, register: Path, reason: str) -> None:
    """Make a grant worthless, whoever has a copy of it."""
    grant = _read(file)
    known = Register(register)
    known.revoke(grant, utc=utc_now(), reason=reason)
    click.echo(f"{file}: grant {grant.id} is revoked in {known.revocations}")


def _lines(grant: Grant) -> list[str]:
    """What a person reads before signing; nothing in it can pass for another line."""
    rows = [
        ("grant", grant.id),
        ("rig", grant.rig),
        ("action", grant.action),
        ("valid from", grant.begins_utc),
        ("until", grant.ends_utc),
        ("reason", grant.reason),
        ("interlock", grant.interlock),
        *(("signed by", f"{each.person}, {each.key}") for each in grant.signatures),
    ]
    return [f"{name + ':':<12}{_plain(text)}" for name, text in rows]


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no duration; write 90s, 30m or 2h", param_hint="--for")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def _read(path: Path) -> Grant:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}; name the grant's file") from error
    return Grant.decode(content, path)


def _write(path: Path, content: bytes, *, new: bool) -> None:
    """Write a grant whole or not at all; a new one never over a file that is there."""
    try:
        if new:
            with path.open("xb") as file:
                file.write(content)
            return
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}; give another file with -o") from error
