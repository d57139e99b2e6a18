"""A rig that is open: one clock, the wiring, buses, instruments, simulated articles and clients.

On a virtual rig every test gets a fresh world, with the clock at 0. What a test energises is undone when the world
is closed, last first, on every way out.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hil.closed import nearest
from hil.errors import HilError
from hil.faults import Fault, FaultInjector, Injection
from hil.io.card import IoCard
from hil.io.gated_card import GatedCard
from hil.io.sim_card import SimIoCard
from hil.looks import Window
from hil.noise import Streams
from hil.rig.hazards import action_of, interlocks_for, readable_interlocks
from hil.rig.safe_state import SafeState
from hil.rig.time_limits import TimeLimits
from hil.safety.authority import Permit
from hil.safety.errors import AuthorityError
from hil.safety.interlock import why_open
from hil.safety.permits import Permits
from hil.safety.pulses import PulseTrain
from hil.safety.secret import Secret
from hil.signal import Check, Timeline
from hil.units import ms, s
from hil.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from hil.article import Article
    from hil.can.bridge import Bridge
    from hil.can.facade import Bus
    from hil.clock import Clock
    from hil.device import Device
    from hil.io.cable import Cable
    from hil.io.far_world import FarPlant, FarWorld
    from hil.jitter import Jitter
    from hil.rig.model import RigFile
    from hil.rig.plant_host import PlantHost
    from hil.rig.wire_tables import PathTable
    from hil.rtl.build import Built
    from hil.rtl.host import FpgaHost
    from hil.rtl.trace import PortTrace
    from hil.safety.grant import Grant
    from hil.safety.launch import KeeperLink
    from hil.safety.plan import Level
    from hil.visa.twin import Twin

Kind = TypeVar("Kind")
_LOOK_NS = 100 * ms  # how often the keeper is asked whether an operator still has the rig


def _nothing(*_: object) -> None:
    """Take no record."""


@dataclass(frozen=True)
class Sinks:
    """Where a world's records go: frames (bus, candump line), dialogues (instrument, line), stimuli and checks.

    ``secure`` is called before anything real is energised: what was recorded must be on the disk by then.
    """

    frame: Callable[[str, str], None] = _nothing
    dialogue: Callable[[str, str], None] = _nothing
    stimulus: Callable[[str, object], None] = _nothing
    check: Callable[[Check], None] = _nothing
    secure: Callable[[], None] = _nothing
    event: Callable[[str, Mapping[str, object]], None] = _nothing
    """Takes what happened, and its fields."""
    covered: Callable[[str, Path, Built], None] = _nothing
    """Takes (article, file, design) with the code coverage of one power-up; the file is removed afterwards."""

    @property
    def keeps_frames(self) -> bool:
        """Whether frames go anywhere: a line for each takes time that a program of models has better use for."""
        return self.frame is not _nothing


class Rig:
    """An open rig; what the ``rig`` fixture gives, and :func:`hil.rig.assembly.open_rig` makes.

    Args:
        file: the rig file.
        clock: its clock.
        seed: seed of every random stream.
        sinks: where records go.
    """

    def __init__(self, file: RigFile, clock: Clock, *, seed: int, sinks: Sinks) -> None:
        self.file = file
        self.clock = clock
        self.sinks = sinks
        self.timeline = Timeline(clock, sinks.stimulus, sinks.check)
        self.streams = Streams(seed)
        self.jitter: Jitter | None = None
        """The latencies of a bench, where they are drawn in virtual time."""
        self.wiring = Wiring(self.clock)
        self.faults = FaultInjector(self.clock, self.timeline.happens)
        self.buses: dict[str, Bus] = {}
        self.instruments: dict[str, object] = {}
        self.twins: dict[str, Twin] = {}
        """The simulated VISA instruments."""
        self.identities: dict[str, dict[str, str]] = {}
        """What every VISA instrument answered to ``*IDN?``: by name, the four fields by theirs."""
        self.models: dict[str, Article] = {}
        self.devices: dict[str, Device] = {}
        self.bridges: dict[str, Bridge] = {}
        """What joins simulated wires to real interfaces, by bus."""
        self.worlds: dict[str, FarWorld] = {}
        """What other programs simulate, by program."""
        self.cables: dict[str, Cable] = {}
        """What carries the nets that are shared with parts of other programs, by program."""
        self.plant_host: PlantHost | FarPlant | None = None
        self.designs: dict[str, Built] = {}
        """The RTL of the articles that are RTL."""
        self.fpgas: dict[str, FpgaHost] = {}
        """What runs them."""
        self.traces: dict[str, PortTrace] = {}
        """What went over their ports, as waveforms."""
        self.safe_state = SafeState(clock)
        """What makes hazardous instruments safe that are simulated in this program."""
        self.time_limits = TimeLimits(clock)
        """The deadlines of the test, on a rig without a keeper."""
        self.keeper: KeeperLink | None = None
        """The keeper of a rig with hazards on a bench."""
        self.grants: Sequence[Grant] = ()
        """The grants of hazardous actions that the run was given."""
        self.permits = Permits(file.rig.name, file.safety.authority, self._why_open)
        """What this test was permitted, on a rig without a keeper."""
        self.renew: Callable[[], None] = self._not_renewable
        """Gives it a new vehicle and new articles; only a program of models can be asked for that."""
        self._pulses: PulseTrain | None = None
        self._undo: list[tuple[str, Callable[[], None]]] = []
        self._secure = _nothing if self.file.rig.is_virtual else sinks.secure
        self.closing = ExitStack()
        """Takes what must be closed at the end, after everything is undone."""

    # -- parts --------------------------------------------------------------------------------------------

    def bus(self, name: str) -> Bus:
        """A bus by name.

        Raises:
            HilError: when the rig has no bus of that name.
        """
        return self._named("bus", name, self.buses)

    def device(self, name: str, kind: type[Kind]) -> Kind:
        """The client of an article.

        Raises:
            HilError: when the rig has no such client, or it is of another kind.
        """
        return self._of_kind(name, self._named("client", name, self.devices), kind)

    def instrument(self, name: str, kind: type[Kind]) -> Kind:
        """The driver of an instrument.

        Raises:
            HilError: when the rig has no such instrument, or it is of another kind.
        """
        return self._of_kind(name, self._named("instrument", name, self.instruments), kind)

    def card(self, name: str) -> IoCard:
        """An I/O card.

        Raises:
            HilError: when the rig has no such instrument, or it is no I/O card.
        """
        return self._of_kind(name, self._named("instrument", name, self.instruments), IoCard)

    @property
    def plant(self) -> PlantHost | FarPlant:
        """The vehicle and its environment.

        Raises:
            HilError: when the rig has none.
        """
        if self.plant_host is None:
            raise HilError(f"{self.file.file.name} has no plant; give it a [plant] table")
        return self.plant_host

    def doubt(self, since_ns: int, looks: Iterable[Window] = ()) -> str:
        """Why what was seen since a rig time [ns] cannot be trusted: a clock of the rig was late; "" when it can.

        The same of what was seen in earlier windows, where there are some.

        Other programs of the rig are asked first, as what one of them says by itself comes later.
        """
        now_ns = self.clock.now
        try:
            for world in self.worlds.values():
                world.hear_lateness()
        except HilError as problem:
            return f"whether the rig's clocks were late is not known: {problem}"
        windows = [Window(since_ns, now_ns), *looks]
        return next((why for window in windows if (why := self.clock.lateness.doubt(*window))), "")

    def path(self, name: str) -> PathTable:
        """A calibrated RF path: its loss and uncertainty [dB].

        Raises:
            HilError: when the rig file has no such path.
        """
        return self._named("path", name, self.file.path)

    def secret(self, name: str) -> Secret:
        """A secret from where the rig file says it is; it reaches no record, and ``reveal()`` gives its bytes.

        Raises:
            HilError: when the rig file has no such secret.
            SecretError: when it is not there, or others may read it.
        """
        return Secret.load(self._named("secret", name, self.file.secret).place)

    # -- hazard 3 -----------------------------------------------------------------------------------------

    def permit(self, action: str) -> Permit:
        """Have a hazardous action permitted, now and by the grants this run was given; it is asked for each time anew.

        A grant is signed by two persons whom the register of the rig file knows, and names an interlock that must read
        back now. On a bench the keeper judges it. The evidence names both persons and their keys; it is on the disk
        when this returns. The permit ends with the test.

        Args:
            action: its name, for example ``fts.terminate``.

        Raises:
            AuthorityError: with every reason; :class:`~hil.safety.errors.NoGrantError` when the run was given none.
            KeeperError: when the keeper is gone.
        """
        try:
            permit = self._permit(action)
        except AuthorityError as refused:
            self.sinks.event("not permitted", {"action": action, "why": str(refused)})
            raise
        document = permit.document()
        if self.file.rig.is_virtual:
            del document["checked_utc"]  # what a virtual rig records is the same in every run
        self.sinks.event("permit", document)
        self.sinks.secure()
        return permit

    def _permit(self, action: str) -> Permit:
        if self.keeper is None:
            self.timeline.arrived()
            return self.permits.demand(action, self.grants)
        index, document = self.keeper.permit(action, [grant.encode() for grant in self.grants])
        return Permit.of(self.grants[index], document)

    def why_not_energise(self, name: str) -> str:
        """Why a hazardous part may energise nothing now, as a keeper decides it on a bench; "" when it may.

        Args:
            name: the instrument, the I/O card, or the bus; one that the keeper holds is asked of the keeper.

        Raises:
            KeeperError: when the keeper is gone.
        """
        if name in self.file.bus and self.file.bus[name].is_real:
            return "no keeper is there" if self.keeper is None else self.keeper.why_not_energise(name)
        wanted, action = interlocks_for(self.file, name), action_of(self.file, name)
        if wanted:
            self.timeline.arrived()
        opened = next((why for pin, level in wanted if (why := self._why_not_level(pin, level))), "")
        return opened or (self.permits.why_not(action) if action else "")

    def _why_open(self, name: str) -> str:
        """Why an interlock that a grant names does not read back; "" when it does."""
        known = readable_interlocks(self.file)
        if name not in known:
            return f"the rig has no interlock {name}; {nearest(name, list(known))}"
        return self._why_not_level(*known[name])

    def _why_not_level(self, pin: str, level: Level) -> str:
        node, _, port = pin.partition(".")

        def read() -> bool | None:
            last = self.card(node).level(port).last
            return None if last is None else bool(last.value)

        return why_open(f"{pin} {level}", level, read)

    def pulse_timer(self) -> None:
        """Retrigger the hardware timer from now on, while the test runs the world; on a bench its keeper does.

        Nothing is done on a rig without such a timer, or whose card is not simulated here.
        """
        node, _, port = (self.file.safety.timer or "").partition(".")
        if isinstance(self.instruments.get(node), SimIoCard | GatedCard) and self._pulses is None:
            card = SimIoCard(node, self.wiring, timeline=Timeline(self.clock), ports=[port], ohms={})
            self._pulses = PulseTrain(self.clock, card, port)

    # -- phases and holds -----------------------------------------------------------------------------------

    def enter(self, phase: str) -> None:
        """Say that the articles are in another phase, so that the safe sequence of that phase holds from now on.

        Args:
            phase: unpowered, powered, pressurised, flashing or armed.

        Raises:
            ConfigError: for a phase there is not.
            KeeperError: when the keeper is gone.
        """
        self.safe_state.enter(phase)
        self.sinks.stimulus("rig.phase", phase)
        self.time_limits.enter(phase)
        if self.keeper is not None:
            self.keeper.enter(phase)

    @contextmanager
    def hold(self, why: str, *, most_ns: int | None = None) -> Generator[None]:
        """While the block runs the test may stand still; its deadlines do not count meanwhile.

        Args:
            why: for the record.
            most_ns: how long at most [ns]; what the rig file allows unless given.

        Raises:
            KeeperError: when the keeper does not allow it, or is gone.
        """
        self.begin_hold(why, most_ns=most_ns)
        try:
            yield
        finally:
            self.end_hold(why)

    def begin_hold(self, why: str, *, most_ns: int | None = None) -> None:
        """What :meth:`hold` does first, for what is no block: a debugger.

        Raises:
            KeeperError: when the keeper does not allow it, or is gone.
        """
        self.sinks.stimulus("rig.hold", why)
        if self.keeper is not None:
            self.keeper.hold(why, None if most_ns is None else most_ns / s)
        self.time_limits.hold()

    def end_hold(self, why: str) -> None:
        """What :meth:`hold` does last.

        Raises:
            KeeperError: when the keeper is gone.
        """
        self.time_limits.resume()
        if self.keeper is not None:
            self.keeper.resume()
        self.sinks.stimulus("rig.resume", why)

    def await_hand_back(self) -> None:
        """Say nothing to an instrument while an operator has the rig; the world runs on meanwhile."""
        while self.keeper is not None and self.keeper.operator:
            self.clock.sleep(_LOOK_NS)

    # -- faults and undo ----------------------------------------------------------------------------------

    def inject(
        self,
        target: str,
        kind: str,
        *,
        at: int | None = None,
        until: int | None = None,
        **parameters: float | str | bool,
    ) -> Injection:
        """Put a fault on a part of the rig, now or at a rig time; a context manager that clears it.

        Args:
            target: a net, pin, bus, instrument or article.
            kind: what goes wrong.
            at: onset [ns rig time]; now unless given.
            until: end [ns rig time]; unless given, when the block ends, or the world is closed.
            **parameters: numbers and names with their unit in the key.

        Raises:
            HilError: for an unknown target or kind, or an impossible time.
        """
        if at is None:
            self.timeline.before_call()
        onset = self.clock.now if at is None else at
        if target not in self.faults.targets and target in self.wiring.targets:
            self.faults.register(target, self.wiring)
        injection = self.faults.inject(Fault(target, kind, onset, until, parameters))
        self.undo(f"fault {kind} on {target}", injection.clear)
        return injection

    def undo(self, what: str, fn: Callable[[], None]) -> None:
        """Register what undoes an action, before the action is done; run last first when the world is closed.

        On a paced rig, where the action may energise something real, the record is on the disk before this returns.
        """
        self._secure()
        self._undo.append((what, fn))

    def close(self) -> None:
        """Undo everything and close everything; never stops at the first error.

        Raises:
            HilError: with every undo or close that failed, and with the first use of the clock by a foreign thread,
                whose own exception may have vanished with it.
        """
        problems: list[str] = []
        self.time_limits.end()
        self.permits.forget()
        if self._pulses is not None:
            self._pulses.stop()
        while self._undo:
            what, fn = self._undo.pop()
            try:
                fn()
            except Exception as problem:  # an undo is anybody's code; whatever it raises, the others must still run
                problems.append(f"undo of {what}: {_told(problem)}")
        problems += self.safe_state.reach()
        try:
            self.closing.close()
        except (HilError, OSError) as problem:
            problems.append(f"closing: {problem}")
        trespass = self.clock.take_trespass()
        if trespass is not None:
            problems.append(f"during the test, {trespass}")
        if problems:
            raise HilError("the rig was not left as it was found: " + "; ".join(problems))

    def _not_renewable(self) -> None:
        raise HilError(
            f"{self.file.file.name}: only the world of another program is renewed; a test opens its own anew"
        )

    def _named(self, what: str, name: str, parts: Mapping[str, Kind]) -> Kind:
        if name not in parts:
            raise HilError(f"{self.file.file.name} has no {what} {name}; {nearest(name, list(parts))}")
        return parts[name]

    def _of_kind(self, name: str, part: object, kind: type[Kind]) -> Kind:
        if not isinstance(part, kind):
            raise HilError(f"{name} is a {type(part).__name__}, not a {kind.__name__}; see {self.file.file.name}")
        return part


def _told(problem: Exception) -> str:
    """What went wrong, with the kind of anything the harness did not word itself."""
    return f"{problem}" if isinstance(problem, HilError | OSError) else f"{type(problem).__name__}: {problem}"
