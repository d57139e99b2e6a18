"""``hil sim``: the command that runs the models of a rig file as a program."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import click

from hil.errors import HilError
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXIT_REFUSED = 2


@click.command("sim")
@click.argument("rig", type=click.Path(exists=True, dir_okay=False))
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a key of the rig file.")
@click.option("--program", metavar="NAME", help="Whose parts to run; the only one of the rig file unless given.")
@click.option("--one-client", is_flag=True, help="Every instrument and card takes one connection at a time.")
@click.option(
    "--latency", "latencies", multiple=True, metavar="INSTRUMENT=MS", help="Added to each message [ms rig time]."
)
@click.option("--world-port", default=0, metavar="PORT", help="TCP port of faults and plant; any unless given.")
def sim(
    rig: str,
    sets: tuple[str, ...],
    program: str | None,
    latencies: tuple[str, ...],
    world_port: int,
    *,
    one_client: bool,
) -> None:
    """Run the models of a rig file on real interfaces, until SIGTERM or SIGINT.

    Prints one line for each endpoint and "ready"; at the end, how late its clock was.
    """
    from hil.rig.loader import load_rig
    from hil.sim.program import Conditions, simulate
    from hil.sim.signals import on_end

    stop = threading.Event()
    on_end(stop.set)
    try:
        clients = "one" if one_client else "many"
        conditions = Conditions(clients=clients, latency_ns=_latencies(latencies), world_port=world_port)
        simulate(load_rig(rig, sets), stop=stop, program=program, conditions=conditions)
    except HilError as refusal:
        click.echo(f"Error: {refusal}", err=True)
        sys.exit(_EXIT_REFUSED)


def _latencies(texts: Sequence[str]) -> dict[str, int]:
    """Latencies [ns] by instrument, from ``INSTRUMENT=MS``.

    Raises:
        HilError: for a text of another form, or a time below zero.
    """
    found: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            latency_ms = float(number)
        except ValueError:
            latency_ms = -1.0
        if not (name and 0.0 <= latency_ms < float("inf")):
            raise HilError(f"--latency {text!r}: give it as INSTRUMENT=MS, for example psu=20")
        found[name] = round(latency_ms * ms)
    return found
