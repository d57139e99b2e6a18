"""``hil take``: an operator takes a rig over from the test that runs, and hands it back."""

from __future__ import annotations

import os
import pwd
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hil.errors import HilError, InstrumentError
from hil.limits import Outcome
from hil.rig.keeping import has_keeper
from hil.rig.loader import load_rig
from hil.safety.errors import KeeperError, UnsafeError
from hil.safety.keeper_folder import door_of
from hil.safety.lease import status
from hil.safety.operator_link import OperatorLink

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS = """PART MESSAGE: psu MEAS:VOLT? (@1) | stand do_valve open | stand di_arm,ai_heater ?
    | bus_a ENG1_COMMAND COMMAND=2 MODE=IDLE | bus_a ENG1_STATUS.STATE ?
`hand back` (the test goes on), or `safe` (which ends the run)"""


def _user() -> str:
    """The name of who logged in; that of the process's user where nobody did."""
    return os.environ.get("SUDO_USER") or os.environ.get("LOGNAME") or pwd.getpwuid(os.getuid()).pw_name


@click.command()
@click.argument("rig", type=click.Path(path_type=Path))
@click.option("--why", required=True, help="What for; it stands in the keeper's record and in the evidence.")
@click.option("--by", default=_user, help="Who you are, where several share a login.  [default: the login]")
def take(rig: Path, why: str, by: str) -> None:
    """Take RIG over from the test that runs: what is kept obeys you alone, within its limits and interlocks.

    The test is held until you hand back; it will not PASS. Exit code 0: handed back, or made safe. 13: the rig could
    not be had, or was made safe meanwhile. 14: UNSAFE.
    """
    try:
        with closing(_taken(rig, by, why)) as link:
            _run(link)
    except UnsafeError as problem:
        click.echo(str(problem), err=True)
        raise SystemExit(Outcome.UNSAFE.exit_code) from problem
    except KeeperError as problem:
        click.echo(str(problem), err=True)
        raise SystemExit(Outcome.ERROR.exit_code) from problem
    except HilError as problem:
        click.echo(str(problem), err=True)
        raise SystemExit(2) from problem


def _taken(rig: Path, by: str, why: str) -> OperatorLink:
    """The rig, taken over.

    Raises:
        KeeperError: when it cannot be had.
        HilError: when the rig file is wrong.
    """
    file = load_rig(rig)
    if not has_keeper(file):
        raise KeeperError(f"{rig.as_posix()}: has no keeper, as it has no hazardous instrument on an address")
    found = status(file.rig.name)
    if not found.alive:
        raise KeeperError(f"{found}: no run keeps it; there is nobody to take it over from")
    link = OperatorLink(door_of(found.pid), by, why)
    click.echo(f"{file.rig.name}: {by} has it for {link.most_s:g} s at most; held is {link.test}")
    for name, door in link.doors.items():
        click.echo(f"  {name}  {door}")
    click.echo(_WORDS)
    return link


def _run(link: OperatorLink) -> None:
    """Do what the operator says, until the rig is handed back or made safe.

    Raises:
        UnsafeError: when it is not confirmed safe.
        KeeperError: when the keeper is gone.
    """
    for line in _lines():
        word, _, rest = line.partition(" ")
        match line:
            case "":
                continue
            case "hand back":
                link.hand_back()
                click.echo("handed back")
                return
            case "safe":
                break
            case _ if not rest:
                click.echo(_WORDS, err=True)
                continue
            case _:
                pass
        try:
            for answer in link.say(word, rest.strip()):
                click.echo(answer)
        except InstrumentError as problem:
            click.echo(str(problem), err=True)
    link.end_safe()  # the end of the input too: nobody said that the test may go on
    click.echo("SAFE-CONFIRMED; the run has ended")


def _lines() -> Iterable[str]:
    """What the operator types; an interrupt ends it."""
    while True:
        try:
            line = click.prompt("", prompt_suffix="> ", default="", show_default=False)
        except click.Abort:
            return
        yield str(line).strip()
