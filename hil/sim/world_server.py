"""The simulated world of a program on a TCP port: faults on its parts, and its plant, for a test in another program."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

from hil import realtime
from hil.clock import Phase, WallClock
from hil.closed import nearest
from hil.errors import HilError, InstrumentError
from hil.faults import Fault
from hil.io import stream
from hil.rig.plant_host import PlantHost
from hil.sim.stream_session import StreamSession
from hil.sim.tcp import TcpPort
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.faults import Injection
    from hil.rig.world import Rig
    from hil.sim.connection import Connection

_Wanted: TypeAlias = (
    stream.PutFault
    | stream.Clear
    | stream.Renew
    | stream.Start
    | stream.Watch
    | stream.Read
    | stream.Hear
    | stream.AskLate
)

_LOOK_NS = 50 * ms


class WorldServer:
    """Serves the world of one program.

    Args:
        rig: the world, open.
        program: the program's name.
        port: TCP port; 0 lets the system choose one.

    Raises:
        HilError: when the port cannot be opened.
    """

    def __init__(self, rig: Rig, program: str, *, port: int = 0) -> None:
        self._rig = rig
        self._program = program
        self._tcp = TcpPort(rig.clock, self._session, port=port, name=f"{program} world")

    @property
    def address(self) -> str:
        """The address for a client."""
        return f"tcp://127.0.0.1:{self._tcp.port}"

    def close(self) -> None:
        """Close the port and every connection."""
        self._tcp.close()

    def _session(self, connection: Connection) -> _Client:
        return _Client(self._rig, self._program, connection)


class _Client(StreamSession):
    """One test that uses the world; its faults end with it."""

    def __init__(self, rig: Rig, program: str, connection: Connection) -> None:
        super().__init__(connection)
        self._rig = rig
        self._faults: dict[int, Injection] = {}
        self._ends: list[Callable[[], None]] = []
        host = rig.plant_host if isinstance(rig.plant_host, PlantHost) else None
        targets = tuple(sorted({*rig.faults.targets, *rig.wiring.targets}))
        truths = {} if host is None else dict(host.model.truth)
        clock = rig.clock
        if not isinstance(clock, WallClock):
            raise InstrumentError(f"the world of {program} is served in wall time; set the rig's pace")
        now = clock.since_boot()
        self._seen_ns = now.rig_ns
        self._ends.append(clock.every(_LOOK_NS, self._look, Phase.OBSERVE).cancel)
        self.say(stream.World(stream.PROTOCOL, program, targets, truths, clock.factor, now.rig_ns, now.boot_ns))
        self._follow_events()

    def end(self) -> None:
        """The test has gone: its faults go too, last first."""
        for end in self._ends:
            end()
        while self._faults:
            self._faults.popitem()[1].clear()
        realtime.collect()

    def asked(self, question: stream.Message) -> None:
        """Do what the client asks."""
        if isinstance(question, stream.AskTime):
            self.say(stream.Time(question.id, self._rig.clock.now))
            return
        if not isinstance(question, _Wanted):
            raise InstrumentError(f"a client asked {question} of a world")
        try:
            value = self._do(question)
        except HilError as refusal:
            self.say(stream.Refused(question.id, str(refusal)))
            return
        done = stream.Done(question.id, self._rig.clock.now)
        self.say(done if value is None else stream.ReadValue(question.id, value))

    def _do(self, asked: _Wanted) -> float | None:
        match asked:
            case stream.PutFault():
                self._faults[asked.id] = self._inject(asked)
            case stream.Clear():
                found = self._faults.pop(asked.fault, None)
                if found is None:
                    raise HilError(f"there is no fault of question {asked.fault}, or it has ended")
                found.clear()
            case stream.Renew():
                self._renew()
            case stream.Start():
                self._look()  # what was before is judged as what it was: at rest
                self._rig.plant.start()
            case stream.Watch():
                truth = self._rig.plant.truth(asked.truth)
                self._ends.append(truth.on_sample(lambda value, at_ns: self._sample(asked.truth, value, at_ns)))
            case stream.Hear():
                self._hear(asked.pin)
            case stream.AskLate():
                self._look()
            case stream.Read():
                self._rig.plant.truth(asked.truth)
                value = self._rig.plant.model.read(asked.truth)
                if not math.isfinite(value):
                    raise HilError(f"{asked.truth} is {value} at this instant")
                return value
        return None

    def _follow_events(self) -> None:
        host = self._rig.plant_host
        if isinstance(host, PlantHost):
            self._ends.append(host.events.on_sample(lambda name, at_ns: self.say(stream.Occurred(name, at_ns))))

    def _renew(self) -> None:
        """A vehicle that has flown is no vehicle to begin with.

        Raises:
            HilError: when the world cannot be renewed.
        """
        host = self._rig.plant_host
        if isinstance(host, PlantHost) and host.running:
            self._rig.renew()
            self._follow_events()  # those of the new one

    def _inject(self, asked: stream.PutFault) -> Injection:
        """Put it on now.

        Raises:
            HilError: for a part, kind or parameter the world does not have.
        """
        rig = self._rig
        if asked.target not in rig.faults.targets and asked.target in rig.wiring.targets:
            rig.faults.register(asked.target, rig.wiring)
        return rig.faults.inject(Fault(asked.target, asked.fault, parameters=asked.parameters))

    def _look(self) -> None:
        """Say when the clock was later than is allowed, since that was looked at last."""
        file, host = self._rig.file, self._rig.plant_host
        flies = isinstance(host, PlantHost) and host.running
        allowed_ns = file.flight_lateness_ns if flies else file.rig.max_lateness_ns
        for span in self._rig.clock.lateness.spans_since(self._seen_ns):
            self._seen_ns = span.ran_ns + 1
            if span.late_ns > allowed_ns:
                self.say(stream.Late(span.due_ns, span.late_ns, allowed_ns, span.ran_ns))

    def _hear(self, name: str) -> None:
        """Say what goes over the cable of a pin.

        Raises:
            HilError: for a pin the world does not have.
        """
        if name not in self._rig.wiring.targets:
            raise HilError(f"no pin {name} here; {nearest(name, self._rig.wiring.targets)}")
        pin = self._rig.wiring.datagram_pin(name)
        self._ends.append(pin.on(lambda payload, at_ns: self.say(stream.Heard(name, payload.hex(), at_ns))))

    def _sample(self, truth: str, value: float, at_ns: int) -> None:
        if math.isfinite(value):  # one that is not has no line, and a model input is no measurement
            self.say(stream.Sample(truth, "truth", value, at_ns))
