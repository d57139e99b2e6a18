"""``hil safe``: make a rig safe by hand, whoever left it how."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hil.errors import HilError
from hil.limits import Outcome
from hil.rig.keeping import has_keeper, is_leased, keeper_plan, lab_plan
from hil.rig.loader import load_rig
from hil.rig.safe_state import PHASES
from hil.safety.errors import KeeperError, LeaseError, UnsafeError
from hil.safety.launch import run_safe_only
from hil.safety.tenancy import Tenancy

if TYPE_CHECKING:
    from hil.rig.values import Phase


@click.command()
@click.argument("rig", type=click.Path(path_type=Path))
@click.option(
    "--phase", type=click.Choice(PHASES), default="unpowered", show_default=True, help="In which the articles are."
)
def safe(rig: Path, phase: Phase) -> None:
    """Run the safe sequences of RIG, read everything back, and free its lease when it is confirmed safe.

    Of a rig with nothing hazardous the lease is freed, where its holder is gone and left nothing hazardous: what a
    keeper left is made safe with a rig file that has it.

    It takes over a rig whose keeper died or that is UNSAFE, never one that somebody holds. Exit code 0: safe. 13:
    nothing could be done, the message says why. 14: UNSAFE.
    """
    try:
        file = load_rig(rig)
        if not has_keeper(file):
            if is_leased(file):
                Tenancy.acquire(
                    file.rig.name,
                    ttl_s=file.safety.lease_s,
                    who="hil safe",
                    keeps=(),
                    unsafe_too=True,
                    lab=lab_plan(file),
                ).release(safe=True)
            click.echo(f"{rig.as_posix()}: has no hazardous instrument on an address; there is nothing to make safe")
            return
        run_safe_only(keeper_plan(file, who="hil safe", safe_only=True, phase=phase))
    except UnsafeError as problem:
        click.echo(f"UNSAFE: {problem}", err=True)
        raise SystemExit(Outcome.UNSAFE.exit_code) from problem
    except (KeeperError, LeaseError) as problem:
        click.echo(str(problem), err=True)
        raise SystemExit(Outcome.ERROR.exit_code) from problem
    except HilError as problem:
        click.echo(str(problem), err=True)
        raise SystemExit(2) from problem
    click.echo(f"{file.rig.name}: SAFE-CONFIRMED")
