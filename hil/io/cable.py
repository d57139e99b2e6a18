"""A cable between two programs of one rig: the nets that have pins in both, carried over one connection.

Each program solves its own nets; what the other one has on them stands there as one pin. What changes is told with its
stamp, and applied as soon as the other program gets to it. The two clocks are compared through the time since the
machine was started, which is the same for both; how late changes were applied is counted, and one later than the
rig allows is a late tick in both programs: what was measured across it is INCONCLUSIVE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hil.clock import WallClock
from hil.datagrams import DatagramPin
from hil.errors import WiringError
from hil.io import cable_words as words
from hil.io.cable_ends import DatagramEnd, End, RfEnd, WireEnd, separate
from hil.io.far_pin import FarPin
from hil.lateness import Histogram, LateSpan
from hil.nets import Pin, RfPin
from hil.quantities import QuantityPin
from hil.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hil.clock import Clock
    from hil.wiring import Wiring

TEST = "test"
"""The program in which the test runs."""


class Ends(NamedTuple):
    """The two programs, and what each needs to be the other's."""

    here: str
    far: str
    rig: str


class Cable:
    """One end of the cable between two programs, and the connectors on it.

    Args:
        ends: this program, the other one, the rig.
        clock: the rig clock, a paced one.

    Raises:
        WiringError: on a virtual clock.
    """

    def __init__(self, ends: Ends, clock: Clock) -> None:
        if not isinstance(clock, WallClock):
            raise WiringError(f"the cable to program {ends.far} lives in wall time; set the rig's pace")
        self.far = ends.far
        """The program at the other end."""
        self.plugged = False
        """Whether the other program has said what is on every net, and is there."""
        self.delays = Histogram()
        """How long it took from a change in the other program until it was applied in this one [ns rig time]."""
        self.count_plugged = 0
        """How often it was plugged in."""
        self._names = ends
        self._clock = clock
        self._ends: dict[str, End] = {}
        self._say: Callable[[bytes], None] | None = None
        self._offset_ns: int | None = None
        self._late_at_ns = -1

    def add(self, net: str, pin: Pin | RfPin | DatagramPin) -> None:
        """Carry a net; ``pin`` stands on it for what the other program has there."""
        match pin:
            case FarPin():
                self._ends[net] = WireEnd(net, pin, self._clock, self._tell)
            case RfPin():
                self._ends[net] = RfEnd(net, pin, self._clock, self._tell)
            case DatagramPin():
                self._ends[net] = DatagramEnd(net, pin, self._clock, self._tell)
            case _:
                raise WiringError(f"net {net}: {pin.name} stands for nothing; give a FarPin")

    @property
    def nets(self) -> dict[str, str]:
        """The kind of every net it carries, by name."""
        return {net: end.kind for net, end in self._ends.items()}

    @property
    def is_free(self) -> bool:
        """Whether nobody is at the other end."""
        return self._say is None

    def plug(self, say: Callable[[bytes], None]) -> None:
        """Somebody is at the other end; ``say`` sends a line there."""
        self._say = say
        rig_ns, since_boot_ns = self._clock.since_boot()
        names = self._names
        hello = words.Hello(words.PROTOCOL, names.here, names.rig, self._clock.factor, rig_ns, since_boot_ns, self.nets)
        say(words.encode(hello))

    def unplug(self) -> None:
        """The other end is gone: every net is open there."""
        self._say = self._offset_ns = None
        self.plugged = False
        for end in self._ends.values():
            end.open()

    def receive(self, word: words.Word) -> None:
        """Take a message, on the clock's thread.

        Raises:
            WiringError: when it is not for the other program to say, or its rig is another one.
        """
        match word:
            case words.Hello():
                self._meet(word)
            case words.Plugged():
                self.plugged = True
                self.count_plugged += 1
            case words.Refused():
                raise WiringError(f"the cable to program {self.far} was refused there: {word.why}")
            case words.Late():
                lateness = self._clock.lateness
                lateness.told(LateSpan(word.at_ns, word.at_ns + word.late_ns, word.late_ns, lateness.allowed_ns))
            case _:
                self._take(word)

    @property
    def summary(self) -> str:
        """What it has carried and how late, in one line for people."""
        late = self.delays
        p50, p99, worst = (format_duration(each) for each in (late.quantile(0.5), late.quantile(0.99), late.worst_ns))
        return (
            f"{len(self._ends)} nets, plugged in {self.count_plugged} times, {late.count} changes applied, "
            f"late by p50 {p50}, p99 {p99}, max {worst}"
        )

    # -- inside -------------------------------------------------------------------------------------------

    def _meet(self, hello: words.Hello) -> None:
        """Compare rigs and clocks, and say what is on every net."""
        names = self._names
        asked = (words.PROTOCOL, names.far, names.rig, self._clock.factor, self.nets)
        found = (hello.protocol, hello.program, hello.rig, hello.pace, hello.nets)
        for what, mine, theirs in zip(
            ("version of the protocol", "program", "rig", "pace", "nets that are shared"), asked, found, strict=True
        ):
            if mine != theirs:
                raise WiringError(
                    f"the cable to program {names.far}: {what}: wanted {mine!r}, found {theirs!r}; start both programs "
                    "on the same rig file with the same --set"
                )
        rig_ns, since_boot_ns = self._clock.since_boot()
        self._offset_ns = rig_ns - hello.rig_ns + round((hello.boot_ns - since_boot_ns) * self._clock.factor)
        for end in self._ends.values():
            state = end.state()
            if state is not None:
                self._tell(state)
        self._send(words.Plugged())

    def _take(self, change: words.Change) -> None:
        end, offset_ns = self._ends.get(change.net), self._offset_ns
        if end is None or offset_ns is None:
            raise WiringError(f"the cable to program {self.far}: it said {change}, of a net that is not shared")
        end.take(change, offset_ns)
        at_ns = change.at_ns + offset_ns
        late_ns = max(0, self._clock.elapsed - at_ns)
        if not self.plugged:
            return  # what stood there before is not late
        self.delays.add(late_ns)
        if late_ns > self._clock.lateness.allowed_ns and at_ns != self._late_at_ns:
            self._late_at_ns = at_ns  # many changes of one instant are late once
            self._clock.lateness.tick(at_ns, late_ns)
            self._send(words.Late(change.at_ns, late_ns))

    def _tell(self, change: words.Change) -> None:
        if self._offset_ns is not None:
            self._send(change)

    def _send(self, word: words.Word) -> None:
        if self._say is not None:
            self._say(words.encode(word))


def listening(one: str, other: str) -> str:
    """Which of two programs listens for the cable between them: never the test's, else the first by name.

    >>> listening("test", "fts"), listening("plant", "fts")
    ('fts', 'fts')
    """
    return min(one, other, key=lambda program: (program == TEST, program))


def connect(wiring: Wiring, clock: Clock, net: str, pins: Sequence[str], cables: Sequence[Cable]) -> list[str]:
    """Make the pins that stand on a net for other programs, before it is joined.

    Args:
        wiring: the wiring of this program.
        clock: its clock.
        net: name of the net.
        pins: this program's pins on it.
        cables: the cables to the other programs that have pins on it.

    Returns:
        The names of the pins that were made.

    Raises:
        WiringError: for a physical quantity, which no cable carries.
    """
    own = wiring.end(pins[0])
    names: list[str] = []
    for cable in cables:
        name = f"cable_{cable.far}.{net}"
        names.append(name)
        match own:
            case Pin():
                far = FarPin(name, clock)
                wiring.adopt(far)
                cable.add(net, far)
            case RfPin():
                cable.add(net, wiring.rf_pin(name))
            case DatagramPin():
                cable.add(net, wiring.datagram_pin(name))
            case QuantityPin():
                raise WiringError(
                    f"net {net}: {own.name} is a physical quantity, which is read at every step and would come late "
                    f"from program {cable.far}; let what gives it and what takes it run in one program"
                )
    return names


def keep_apart(wiring: Wiring, pins: Sequence[str]) -> None:
    """After a net was joined: the ends of its several cables do not hear each other."""
    ends = [wiring.end(pin) for pin in pins]
    separate([end for end in ends if isinstance(end, RfPin)])
    separate([end for end in ends if isinstance(end, DatagramPin)])
