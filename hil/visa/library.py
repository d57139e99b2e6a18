"""A VISA library whose instruments are simulated, in this process, on the rig clock.

``pyvisa.ResourceManager(SimVisaLibrary(clock))`` opens simulated instruments as it opens real ones. Answers and
time-outs cost rig time only; every wait runs the world.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

from pyvisa import constants, highlevel, rname
from pyvisa.constants import EventType, ResourceAttribute, StatusCode
from pyvisa.errors import VisaIOError
from pyvisa.typing import VISAEventContext, VISARMSession, VISASession
from pyvisa.util import LibraryPath

from hil.errors import InstrumentError
from hil.units import ms
from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.parser import split_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from hil.clock import Clock
    from hil.visa.gate import Gate
    from hil.visa.scpi.engine import Engine

_DEFAULT_TIMEOUT_MS = 2_000
_LINE_FEED = 10
_SUCCESS = StatusCode.success


class Attachable(Protocol):
    """Anything with a SCPI engine: a simulated instrument."""

    @property
    def engine(self) -> Engine:
        """Its message exchange."""
        ...


class _OwnPath(LibraryPath):
    """A library path that equals only itself: pyvisa keeps one library per path, and each rig has its own."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


class _Open:
    """One open session."""

    __slots__ = ("attributes", "end", "engine", "gate", "name", "srq_enabled", "stop", "timeout_ns")

    def __init__(self, engine: Engine, gate: Gate | None, name: str, attributes: dict[int, object]) -> None:
        self.engine = engine
        self.gate = gate
        self.name = name
        self.attributes = attributes
        self.end = True
        self.stop: int | None = None
        self.timeout_ns: int | None = _DEFAULT_TIMEOUT_MS * ms
        self.srq_enabled = False


class SimVisaLibrary(highlevel.VisaLibraryBase):
    """The VISA library of one simulated rig.

    Args:
        clock: the rig clock.
        on_the_way: called before a message reaches its instrument and before an answer is read; it may let rig time
            pass.
    """

    def __new__(cls, clock: Clock, on_the_way: Callable[[], None] | None = None) -> SimVisaLibrary:
        """A new library for each rig; the arguments are for :meth:`__init__`."""
        del clock, on_the_way
        return cast("SimVisaLibrary", super().__new__(cls, _OwnPath("hil", "simulated rig")))

    def __init__(self, clock: Clock, on_the_way: Callable[[], None] | None = None) -> None:
        self._clock = clock
        self._on_the_way = on_the_way or _nothing
        self._engines: dict[str, Engine] = {}
        self._gates: dict[str, Gate] = {}
        self._asked: dict[str, Callable[[], str]] = {}
        self._sessions: dict[int, _Open] = {}
        self._next_handle = 1

    def attach(
        self,
        resource_name: str,
        twin: Attachable,
        gate: Gate | None = None,
        *,
        why_not_energise: Callable[[], str] | None = None,
    ) -> None:
        """Put a simulated instrument on an address.

        Args:
            resource_name: the address.
            twin: the instrument.
            gate: what it may be sent, as a keeper rules on a bench; anything unless given.
            why_not_energise: asked before a message passes the gate that switches an output on: why it must not; ""
                when it may.

        Raises:
            InstrumentError: for a name that is not a VISA resource name, or taken already.
        """
        try:
            name = rname.to_canonical_name(resource_name)
        except rname.InvalidResourceName as error:
            raise InstrumentError(f"{resource_name!r} is not a VISA resource name: {error}") from error
        if name in self._engines:
            raise InstrumentError(f"{resource_name} is taken already; give every simulated instrument its own address")
        self._engines[name] = twin.engine
        if gate is not None:
            gate.forget()
            self._gates[name] = gate
            self._asked[name] = why_not_energise or _may

    @contextmanager
    def without_gate(self, resource_name: str) -> Generator[None]:
        """While the block runs, an instrument gets whatever it is sent, as from a keeper that makes it safe."""
        name = rname.to_canonical_name(resource_name)
        gated = [opened for opened in self._sessions.values() if opened.name == name]
        gates = [opened.gate for opened in gated]
        for opened in gated:
            opened.gate = None
        try:
            yield
        finally:
            for opened, gate in zip(gated, gates, strict=True):
                opened.gate = gate

    @contextmanager
    def registered(self) -> Generator[None]:
        """While the block runs, ``pyvisa.ResourceManager("@hil")`` reaches this rig's instruments.

        With ``PYVISA_LIBRARY=@hil`` in the environment, so does ``pyvisa.ResourceManager()``. Every manager gets a
        view of its own, so that closing it closes no session of the rig.

        Raises:
            InstrumentError: when another rig is registered.
        """
        wrappers = _wrappers()
        if wrappers.get("hil", _no_rig) is not _no_rig:
            raise InstrumentError("@hil is the name of another open rig already; close it first")
        views: list[SimVisaLibrary] = []

        def view(_argument: str = "") -> SimVisaLibrary:
            library = SimVisaLibrary(self._clock, self._on_the_way)
            library._engines, library._gates, library._asked = self._engines, self._gates, self._asked
            views.append(library)
            return library

        wrappers["hil"] = view
        try:
            yield
        finally:
            wrappers["hil"] = _no_rig
            for library in views:
                library.end()

    def end(self) -> None:
        """Invalidate every session; what still uses one gets VI_ERROR_INV_OBJECT."""
        self._sessions.clear()

    # -- sessions -----------------------------------------------------------------------------------------

    def open_default_resource_manager(self) -> tuple[VISARMSession, StatusCode]:
        """Open the resource manager."""
        handle = self._handle()
        return VISARMSession(handle), self.handle_return_value(VISARMSession(handle), StatusCode.success)

    def open(
        self,
        session: VISARMSession,
        resource_name: str,
        access_mode: constants.AccessModes = constants.AccessModes.no_lock,
        open_timeout: int = constants.VI_TMO_IMMEDIATE,
    ) -> tuple[VISASession, StatusCode]:
        """Open a session with a simulated instrument.

        Raises:
            VisaIOError: VI_ERROR_INV_RSRC_NAME or VI_ERROR_RSRC_NFOUND.
        """
        del access_mode, open_timeout
        try:
            parsed = rname.ResourceName.from_string(resource_name)
        except rname.InvalidResourceName:
            self.handle_return_value(session, StatusCode.error_invalid_resource_name)
            raise
        name = str(parsed)
        engine = self._engines.get(name)
        if engine is None:
            self._fail(StatusCode.error_resource_not_found)
        attributes: dict[int, object] = {
            ResourceAttribute.resource_name: name,
            ResourceAttribute.interface_type: parsed.interface_type_const,
            ResourceAttribute.interface_number: int(getattr(parsed, "board", 0) or 0),
            ResourceAttribute.resource_class: parsed.resource_class,
            ResourceAttribute.resource_manufacturer_name: "hil",
            ResourceAttribute.timeout_value: _DEFAULT_TIMEOUT_MS,
            ResourceAttribute.termchar: _LINE_FEED,
            ResourceAttribute.termchar_enabled: constants.VI_FALSE,
            ResourceAttribute.send_end_enabled: constants.VI_TRUE,
            ResourceAttribute.suppress_end_enabled: constants.VI_FALSE,
        }
        handle = VISASession(self._handle())
        self._sessions[handle] = _Open(engine, self._gates.get(name), name, attributes)
        return handle, self.handle_return_value(handle, StatusCode.success)

    def close(self, session: VISASession | VISARMSession | VISAEventContext) -> StatusCode:
        """Close a session, the resource manager or an event."""
        self._sessions.pop(session, None)
        return StatusCode.success

    def list_resources(self, session: VISARMSession, query: str = "?*::INSTR") -> tuple[str, ...]:
        """The addresses of the simulated instruments that match ``query``."""
        del session
        return tuple(rname.filter(sorted(self._engines), query))

    # -- messages -----------------------------------------------------------------------------------------

    def write(self, session: VISASession, data: bytes) -> tuple[int, StatusCode]:
        """Send bytes; sending never fails, as a network buffer never does."""
        opened = self._sessions.get(session) or self._invalid()
        self._on_the_way()
        if opened.gate is None or self._may_pass(opened, data):
            opened.engine.receive(data, end=opened.end)
        return len(data), _SUCCESS

    def read(self, session: VISASession, count: int) -> tuple[bytes, StatusCode]:
        """Read at most ``count`` bytes of an answer; waits for it in rig time.

        Raises:
            VisaIOError: VI_ERROR_TMO exactly when the time-out has passed.
        """
        opened = self._sessions.get(session) or self._invalid()
        self._on_the_way()
        engine = opened.engine
        now = self._clock.now
        if not engine.answer or engine.ready_ns > now:
            self._await(opened, now)
        data, ended = engine.take(count, opened.stop)
        status = _SUCCESS
        if not ended:
            at_stop = opened.stop is not None and data[-1] == opened.stop
            status = StatusCode.success_termination_character_read if at_stop else StatusCode.success_max_count_read
        self._last_status_in_session[session] = status
        return data, status

    def clear(self, session: VISASession) -> StatusCode:
        """Device clear."""
        (self._sessions.get(session) or self._invalid()).engine.clear()
        return StatusCode.success

    def flush(self, session: VISASession, mask: constants.BufferOperation) -> StatusCode:
        """Discard what was received and not read; sending is never buffered."""
        opened = self._sessions.get(session) or self._invalid()
        discard = constants.BufferOperation.discard_read_buffer | constants.BufferOperation.discard_receive_buffer
        if mask & discard and opened.engine.readable():
            opened.engine.take(len(opened.engine.answer))
        return StatusCode.success

    def assert_trigger(self, session: VISASession, protocol: constants.TriggerProtocol) -> StatusCode:
        """Send the interface's trigger message, which is what ``*TRG`` is."""
        del protocol
        (self._sessions.get(session) or self._invalid()).engine.receive(b"*TRG\n")
        return StatusCode.success

    def read_stb(self, session: VISASession) -> tuple[int, StatusCode]:
        """Serial poll: the status byte with RQS in bit 6; it works while the instrument is busy."""
        opened = self._sessions.get(session) or self._invalid()
        self._on_the_way()
        if opened.engine.frozen:
            self._time_out(opened)
        return opened.engine.status.serial_poll(), StatusCode.success

    # -- events -------------------------------------------------------------------------------------------

    def enable_event(
        self, session: VISASession, event_type: EventType, mechanism: constants.EventMechanism, context: None = None
    ) -> StatusCode:
        """Enable the service request queue; other events and mechanisms are not supported."""
        del context
        opened = self._sessions.get(session) or self._invalid()
        if event_type != EventType.service_request or mechanism != constants.EventMechanism.queue:
            self._fail(StatusCode.error_nonsupported_operation)
        opened.srq_enabled = True
        return StatusCode.success

    def disable_event(
        self, session: VISASession, event_type: EventType, mechanism: constants.EventMechanism
    ) -> StatusCode:
        """Disable events; harmless on a session that is gone, as closing asks for it."""
        del event_type, mechanism
        opened = self._sessions.get(session)
        if opened is not None:
            opened.srq_enabled = False
        return StatusCode.success

    def discard_events(
        self, session: VISASession, event_type: EventType, mechanism: constants.EventMechanism
    ) -> StatusCode:
        """Nothing to discard: a request for service is a level here, not an entry."""
        del session, event_type, mechanism
        return StatusCode.success

    def wait_on_event(
        self, session: VISASession, in_event_type: EventType, timeout: int
    ) -> tuple[EventType, VISAEventContext, StatusCode]:
        """Wait in rig time for a request for service; ``timeout`` is in ms.

        Raises:
            VisaIOError: VI_ERROR_NENABLED, or VI_ERROR_TMO when it does not come in time.
        """
        opened = self._sessions.get(session) or self._invalid()
        if in_event_type != EventType.service_request or not opened.srq_enabled:
            self._fail(StatusCode.error_not_enabled)
        status = opened.engine.status
        endless = timeout == constants.VI_TMO_INFINITE
        until = None if endless else self._clock.now + timeout * ms
        if not self._clock.wait(until, lambda: status.service_requested, f"a request for service of {opened.name}"):
            self._fail(StatusCode.error_timeout)
        return EventType.service_request, VISAEventContext(self._handle()), StatusCode.success

    # -- attributes ---------------------------------------------------------------------------------------

    def get_attribute(
        self,
        session: VISASession | VISARMSession | VISAEventContext,
        attribute: constants.ResourceAttribute | constants.EventAttribute,
    ) -> tuple[Any, StatusCode]:
        """Read an attribute of a session.

        Raises:
            VisaIOError: VI_ERROR_NSUP_ATTR for one this library does not have.
        """
        opened = self._sessions.get(session) or self._invalid()
        if attribute not in opened.attributes:
            self._fail(StatusCode.error_nonsupported_attribute)
        return opened.attributes[attribute], StatusCode.success

    def set_attribute(
        self,
        session: VISASession | VISARMSession | VISAEventContext,
        attribute: constants.ResourceAttribute,
        attribute_state: Any,
    ) -> StatusCode:
        """Set an attribute of a session.

        Raises:
            VisaIOError: VI_ERROR_NSUP_ATTR for one this library does not have.
        """
        opened = self._sessions.get(session) or self._invalid()
        if attribute not in opened.attributes:
            self._fail(StatusCode.error_nonsupported_attribute)
        opened.attributes[attribute] = attribute_state
        timeout = opened.attributes[ResourceAttribute.timeout_value]
        opened.timeout_ns = None if timeout == constants.VI_TMO_INFINITE else int(cast("int", timeout)) * ms
        enabled = opened.attributes[ResourceAttribute.termchar_enabled] != constants.VI_FALSE
        opened.end = opened.attributes[ResourceAttribute.send_end_enabled] != constants.VI_FALSE
        opened.stop = int(cast("int", opened.attributes[ResourceAttribute.termchar])) if enabled else None
        return StatusCode.success

    # -- inside -------------------------------------------------------------------------------------------

    def _await(self, opened: _Open, now_ns: int) -> None:
        """Run the world until the answer is there, or the time-out has passed."""
        engine, clock = opened.engine, self._clock
        until = None if opened.timeout_ns is None else now_ns + opened.timeout_ns
        while True:
            ready_ns = engine.ready_ns
            if engine.answer and (until is None or ready_ns <= until):
                clock.wait(ready_ns)
                if engine.answer and engine.ready_ns <= ready_ns:
                    return
                continue
            if engine.silent:
                engine.unterminated()
            if not clock.wait(until, engine.answered, f"an answer of {opened.name}"):
                self._fail(StatusCode.error_timeout)
            if until is not None and engine.ready_ns > until:
                clock.wait(until)
                self._fail(StatusCode.error_timeout)

    def _may_pass(self, opened: _Open, data: bytes) -> bool:
        """Whether a hazardous instrument may get this; a refusal stands in its error queue, as behind a keeper."""
        gate, engine = opened.gate, opened.engine
        assert gate is not None
        messages, rest = split_messages(data, end=opened.end)
        rulings = [gate.rule(message) for message in messages]
        asked = self._asked[opened.name]
        whys = [ruling.refusal or (asked() if ruling.energises else "") for ruling in rulings]
        refusals = [why for why in whys if why]
        if rest:
            refusals.append("a message was sent in pieces; send it whole")
        for refusal in refusals:
            engine.status.report(ScpiError(-203, f"keeper: {refusal}"))
        for ruling in () if refusals else rulings:
            gate.passed(ruling)
        return not refusals

    def _time_out(self, opened: _Open) -> NoReturn:
        until = None if opened.timeout_ns is None else self._clock.now + opened.timeout_ns
        self._clock.wait(until, _never, f"a status byte of {opened.name}")
        self._fail(StatusCode.error_timeout)

    def _handle(self) -> int:
        handle, self._next_handle = self._next_handle, self._next_handle + 1
        return handle

    def _invalid(self) -> NoReturn:
        self._fail(StatusCode.error_invalid_object)

    def _fail(self, status: StatusCode) -> NoReturn:
        self._last_status = status
        raise VisaIOError(status)


def _wrappers() -> dict[str, Callable[..., object]]:
    """The backends pyvisa knows by name; it has no public way to take one out again."""
    return cast("dict[str, Callable[..., object]]", vars(highlevel)["_WRAPPERS"])


def _may() -> str:
    """Nothing keeps an output off."""
    return ""


def _never() -> bool:
    return False


def _nothing() -> None:
    """The way to an instrument takes no time."""


def _no_rig(argument: str = "") -> NoReturn:
    """What "@hil" means while no rig is open."""
    raise InstrumentError(
        f"VISA backend '{argument}@hil': no simulated rig is open; open one first (a test with --rig, or "
        "`with library.registered():`), the name exists only while it is"
    )


_wrappers().setdefault("hil", _no_rig)
