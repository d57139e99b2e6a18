"""The program around one simulated instrument: its port, a load on every output, a control line on standard input."""

from __future__ import annotations

import argparse
import importlib
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

from hil.clock import WallClock
from hil.errors import ConfigError, HilError
from hil.noise import Streams
from hil.sim import console
from hil.sim.load_bank import LOAD_OHM, LoadBank
from hil.sim.scpi_port import ScpiServer
from hil.sim.signals import on_end
from hil.units import format_time, ms
from hil.visa.twin import Twin
from hil.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EXIT_REFUSED = 2


def main(arguments: Sequence[str]) -> int:
    """Serve one simulated instrument until SIGTERM, SIGINT, ``quit`` or the end of standard input.

    Args:
        arguments: the command line without the program's name.

    Returns:
        The exit code: 0, or 2 when something asked for does not exist.
    """
    options = _parser().parse_args(arguments)
    ended = threading.Event()
    wakers: list[Callable[[], None]] = []

    def end() -> None:
        ended.set()
        for wake in wakers:
            wake()

    on_end(end)
    try:
        clock = WallClock(factor=options.pace)
        wakers.append(partial(clock.post, _nothing))
        serve(options, clock, ended)
    except HilError as refusal:
        print(f"error {refusal}", file=sys.stderr, flush=True)
        return _EXIT_REFUSED
    return 0


def serve(options: argparse.Namespace, clock: WallClock, ended: threading.Event) -> None:
    """Build the instrument, serve it, and run the clock until ``ended``.

    Args:
        options: the command line, parsed.
        clock: the rig clock, made on this thread.
        ended: set by whoever ends the program; the clock is woken afterwards.

    Raises:
        HilError: when something asked for does not exist.
    """
    wiring = Wiring(clock)
    twin = twin_class(options.twin)(
        name=options.name, clock=clock, streams=Streams(options.seed), wiring=wiring, serial=options.serial
    )
    loads = LoadBank(wiring, options.name, ohms=options.load_ohms)
    server = ScpiServer(
        twin,
        port=options.port,
        clients=options.clients,
        latency_ns=round(options.latency_ms * ms),
        note=_transcript(clock) if options.transcript else None,
    )
    control = console.Console(server, loads, _say)
    try:
        for text in options.fault:
            kind, _, parameters = text.partition(":")
            control.put(console.fault_of(options.name, kind, parameters.split(",") if parameters else []))
        _say(f"listening {server.port}")
        reader = threading.Thread(
            target=_read, args=(clock, control, None if options.detached else ended), name="control", daemon=True
        )
        reader.start()
        clock.wait(None, lambda: ended.is_set() or control.ended, "the end of the program")
    finally:
        server.close()


def twin_class(name: str) -> type[Twin]:
    """The class of a simulated instrument, from ``module:Class``.

    Raises:
        ConfigError: when there is no such module or class, or it is no simulated instrument.
    """
    module, _, attribute = name.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as problem:
        raise ConfigError(f'{name!r} does not import: {problem}; give the class as "module:Class"') from problem
    if not (isinstance(found, type) and issubclass(found, Twin)):
        raise ConfigError(f"{name!r} is no simulated instrument; derive it from hil.visa.twin.Twin")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hil.sim.scpi_server",
        description="One simulated instrument on a TCP port of this machine.",
        epilog=console.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--twin", required=True, metavar="MODULE:CLASS", help="class of the simulated instrument")
    parser.add_argument("--name", default="instrument", help="what its pins are called after")
    parser.add_argument("--serial", default="MY00000001", help="serial number it answers to *IDN?")
    parser.add_argument("--port", type=int, default=0, help="TCP port; 0 lets the system choose one")
    parser.add_argument("--clients", choices=("one", "many"), default="many", help="how many may be connected")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every message [ms rig time]")
    parser.add_argument("--fault", action="append", default=[], metavar="KIND[:K=V,...]", help="present from the start")
    parser.add_argument("--load-ohms", type=float, default=LOAD_OHM, help="load on every output [ohm]")
    parser.add_argument("--pace", type=float, default=1.0, help="rig seconds per wall second")
    parser.add_argument("--seed", type=int, default=1, help="seed of its noise")
    parser.add_argument("--transcript", action="store_true", help="print every message with its rig time")
    parser.add_argument("--detached", action="store_true", help="go on when standard input ends")
    return parser


def _read(clock: WallClock, control: console.Console, ended: threading.Event | None) -> None:
    """Hand control lines to the clock; the end of the input ends the program, unless it is detached."""
    for line in sys.stdin:
        if line.strip():
            clock.post(partial(control.execute, line))
    if ended is not None:
        ended.set()
        clock.post(_nothing)


def _transcript(clock: WallClock) -> Callable[[str, str], None]:
    def note(direction: str, text: str) -> None:
        _say(f"{format_time(clock.now)} {'->' if direction == 'write' else '<-'} {text}")

    return note


def _say(line: str) -> None:
    print(line, flush=True)


def _nothing() -> None:
    """Wake the clock, so that it looks whether it is the end."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
