"""The program that runs the models of a rig file on real interfaces: what ``hil sim RIG`` starts.

It opens the parts of the rig file whose ``process`` names it: articles, plant, instruments and I/O cards with their
``model``. Instruments answer at the TCP port of their ``resource``, cards at theirs, simulated buses are joined to
the python-can interface of the bus table; what a test does to the world itself (faults, the plant) has a port too. The
test opens the same rig file and meets all of them from outside.
"""

from __future__ import annotations

import re
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from hil import realtime
from hil.can.loopback import LoopbackNode
from hil.clock import WallClock
from hil.closed import nearest
from hil.errors import ConfigError
from hil.io.cable import listening
from hil.io.card import IoCard
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loopbacks import crossings
from hil.rig.plant_host import PlantHost
from hil.sim.cable import CableServer
from hil.sim.card_server import CardServer
from hil.sim.scpi_port import ScpiServer
from hil.sim.world_server import WorldServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.rig.model import RigFile
    from hil.rig.world import Rig

_SOCKET = re.compile(r"TCPIP\d*::(?P<host>[^:]+)::(?P<port>\d+)::SOCKET", re.IGNORECASE)
_CARD = re.compile(r"tcp://(?P<host>[^:/]+):(?P<port>\d+)")
_LOCAL = ("127.0.0.1", "localhost")
_LOOK_S = 0.2  # how often the thread that waits for the end looks whether it is still needed [s]


class Stop(Protocol):
    """What ends the program; a :class:`threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether the program shall end."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for that, at most so long [s]."""
        ...


@dataclass(frozen=True)
class Conditions:
    """How the program's endpoints behave, beside what the rig file says."""

    clients: Literal["one", "many"] = "many"
    """Of instruments and cards alike: with ``"one"`` a second connection is closed at once."""
    latency_ns: Mapping[str, int] = field(default_factory=dict[str, int])
    """By instrument: rig time that passes before a message is executed [ns]."""
    world_port: int = 0
    """TCP port at which faults and the plant are offered to the test; 0 lets the system choose one."""


def simulate(
    file: RigFile,
    *,
    stop: Stop,
    program: str | None = None,
    conditions: Conditions | None = None,
    say: Callable[[str], object] | None = None,
) -> None:
    """Run the models of a rig file until ``stop`` is set.

    Args:
        file: the rig file.
        stop: ends the program.
        program: whose parts are run; the only one unless given.
        conditions: how its endpoints behave.
        say: takes one line for each endpoint, then ``ready``, and at the end how late the clock was; printed unless
            given.

    Raises:
        ConfigError: when the rig file has no such program, or an address at which nothing can be served.
        HilError: when a port is taken, or a model went wrong.
    """
    say = partial(print, flush=True) if say is None else say
    chosen = _program(file, program)
    rig = open_rig(Blueprint.of(file), program=chosen)
    with ExitStack() as closing:
        closing.callback(rig.close)
        if not isinstance(rig.clock, WallClock):
            raise ConfigError(f"{file.where('rig', 'pace')}: a program of its own runs in wall time; set rig.pace")
        conditions = conditions or Conditions()
        for line in _serve(file, rig, conditions, closing):
            say(line)
        place = _CARD.fullmatch(file.rig.worlds.get(chosen, ""))
        world = WorldServer(rig, chosen, port=int(place["port"]) if place else conditions.world_port)
        closing.callback(world.close)
        say(f"world {chosen} {world.address}")
        for line in _take_cables(file, rig, chosen, say, closing):
            say(line)
        for line in _answer_loopback(rig, chosen):
            say(line)
        closing.callback(realtime.collect_at_any_time)
        for line in _realtime(file):
            say(line)
        rig.clock.lateness.restart()
        _wake_at(stop, rig.clock, closing)
        say("ready")
        rig.clock.wait(None, stop.is_set, "the end of the simulation")
        say(f"lateness: {rig.clock.lateness.summary()}")
        for name, bridge in rig.bridges.items():
            say(f"bus {name}: {bridge.stats}")
        for name, cable in rig.cables.items():
            say(f"cable to {name}: {cable.summary}")


def _realtime(file: RigFile) -> list[str]:
    """What the host gives of the real-time scheduling that the rig file asks for; nothing is asked unless it does."""
    if not file.rig.realtime_priority:
        realtime.settled_garbage()
        return []
    given = realtime.request(file.rig.realtime_priority, cpus=file.rig.cpus or None)
    return [f"real-time {line}" for line in given.lines()]


def _program(file: RigFile, asked: str | None) -> str:
    """The program that is run.

    Raises:
        ConfigError: when there is none, or none of that name, or several and none was named.
    """
    known = list(file.programs)
    if not known:
        raise ConfigError(
            f'{file.file}: no part of this rig belongs to another program; set rig.process = "sim", or process of the '
            "parts it shall run"
        )
    if asked is None and len(known) > 1:
        raise ConfigError(f"{file.file}: this rig has the programs {', '.join(known)}; say which one to run")
    found = known[0] if asked is None else asked
    if found not in known:
        raise ConfigError(f"{file.file}: this rig has no program {found}; {nearest(found, known)}")
    return found


def _serve(file: RigFile, rig: Rig, conditions: Conditions, closing: ExitStack) -> list[str]:
    """Open every endpoint; the line that says where each is."""
    lines: list[str] = []
    for name in conditions.latency_ns:
        if name not in rig.twins:
            raise ConfigError(f"{file.file}: no instrument {name} is simulated here; {nearest(name, list(rig.twins))}")
    for name, twin in rig.twins.items():
        port = _port(file, name, _SOCKET, "TCPIP0::127.0.0.1::5025::SOCKET")
        latency_ns = conditions.latency_ns.get(name, 0)
        server = ScpiServer(twin, port=port, clients=conditions.clients, latency_ns=latency_ns)
        closing.callback(server.close)
        lines.append(f"instrument {name} {server.resource}")
    for name, card in rig.instruments.items():
        if isinstance(card, IoCard):
            port = _port(file, name, _CARD, "tcp://127.0.0.1:5030")
            cards = CardServer(card, rig.clock, port=port, clients=conditions.clients)
            closing.callback(cards.close)
            lines.append(f"card {name} {cards.address}")
    lines += [f"article {name}" for name in rig.models]
    if rig.plant_host is not None:
        lines.append("plant")
    return lines


def _take_cables(file: RigFile, rig: Rig, program: str, say: Callable[[str], object], closing: ExitStack) -> list[str]:
    """Listen for the cables of other programs, where there are any; the line that says where."""
    taken = {name: cable for name, cable in rig.cables.items() if listening(program, name) == program}
    if not taken:
        return []
    address = file.rig.cables[program]
    place = _CARD.fullmatch(address)
    if place is None or place["host"] not in _LOCAL:
        raise ConfigError(
            f"{file.where('rig', 'cables')}: rig.cables.{program} = {address!r}: it is served on this machine, for "
            "example at 'tcp://127.0.0.1:5041'"
        )
    priority = file.rig.realtime_priority
    urgent = partial(realtime.request_class, priority) if priority else None
    server = CableServer(taken, rig.clock, port=int(place["port"]), say=say, prepare=urgent)
    closing.callback(server.close)
    return [f"cables {program} {server.address}"]


def _answer_loopback(rig: Rig, program: str) -> list[str]:
    """Answer loop-back requests on every bus on which that is this program's; a line for each."""
    lines: list[str] = []
    for crossing in crossings(rig.file):
        if crossing.by == program and crossing.bus in rig.bridges:
            step_after = partial(_step_after, rig) if isinstance(rig.plant_host, PlantHost) else None
            LoopbackNode(rig.bridges[crossing.bus].wire, crossing.frames, step_after=step_after)
            lines.append(f"loop-back {crossing.bus} {crossing.frames}")
    return lines


def _step_after(rig: Rig, at_ns: int) -> int:
    """When the plant of a world makes its next step, were it a new one [ns]."""
    return rig.plant_host.step_after(at_ns) if isinstance(rig.plant_host, PlantHost) else at_ns


def _port(file: RigFile, name: str, form: re.Pattern[str], example: str) -> int:
    """The TCP port of an instrument's resource.

    Raises:
        ConfigError: when it is not on this machine, or of another form.
    """
    resource = file.instrument[name].resource or ""
    found = form.fullmatch(resource)
    if found is None or found["host"] not in _LOCAL:
        raise ConfigError(
            f"{file.where('instrument', name, 'resource')}: instrument.{name}.resource = {resource!r}: its model can "
            f"only be served on this machine, for example as {example!r}"
        )
    return int(found["port"])


def _wake_at(stop: Stop, clock: WallClock, closing: ExitStack) -> None:
    """Have the clock look at ``stop`` when it is set: a thread waits for it, and ends with the program."""
    over = threading.Event()

    def wait() -> None:
        while not over.is_set():
            if stop.wait(_LOOK_S):
                clock.post(_nothing)
                return

    thread = threading.Thread(target=wait, name="stop", daemon=True)
    thread.start()
    closing.callback(thread.join)
    closing.callback(over.set)


def _nothing() -> None:
    """Wake the clock."""
