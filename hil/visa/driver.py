"""Drivers: closed classes of declarations that check before they write and read back what must be safe.

What holds for every driver:

- an attribute it does not declare cannot be set; a value outside the range, or outside the rig file's limits, is
  refused before anything is written, never clipped;
- every stimulus is announced before it acts, every message goes to the transcript;
- the instrument's error queue is read after each group of writes, and an error in it raises;
- it opens with ``*IDN?`` and refuses the wrong instrument.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from hil.closed import Closed
from hil.errors import HilError, InstrumentError
from hil.visa.bounds import Bounds
from hil.visa.declare import Action, Measurement, Setting, declared
from hil.visa.door import TIMEOUT_MS, Identity, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from pyvisa import ResourceManager

    from hil.visa.beside import Beside

T = TypeVar("T")

_ERRORS_MAX = 64  # entries read from an error queue before it is called broken


class ErrorPolicy(Enum):
    """When a driver reads the instrument's error queue."""

    EACH_GROUP = "after each group of writes"
    ON_REQUEST = "when asked to"


class Driver(Closed):
    """One opened instrument; subclasses declare what it can do. Use :meth:`open`."""

    manufacturers: ClassVar[tuple[str, ...]] = ()
    """How the maker calls itself in ``*IDN?``; the first word decides."""
    models: ClassVar[tuple[str, ...]] = ()
    """Models this driver was written for."""
    reserved: ClassVar[tuple[str, ...]] = ()
    """Settings that guard the outputs: on a bench the keeper alone may change them."""
    energising: ClassVar[tuple[str, ...]] = ()
    """Settings that switch an output on when they are true."""
    loads: ClassVar[tuple[str, ...]] = ()
    """Headers of commands that load waveforms; which may be loaded, a rig file lists."""
    plays: ClassVar[tuple[str, ...]] = ()
    """Settings that say by name which of the loaded waveforms is played."""
    starts: ClassVar[tuple[str, ...]] = ()
    """Settings that make it play, or ready to, when they are true."""
    modulations: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Modulation that the instrument makes by itself: the header that switches it on, by kind, for example FM."""

    name: str
    identity: Identity
    error_policy: ErrorPolicy
    _session: Session
    _stimulus: Callable[[str, object], None]
    _limits: Bounds
    _group: list[str] | None

    def __init__(
        self, session: Session, identity: Identity, *, name: str, stimulus: Callable[[str, object], None]
    ) -> None:
        self.name = name
        self.identity = identity
        self.error_policy = ErrorPolicy.EACH_GROUP
        self._session = session
        self._stimulus = stimulus
        self._limits = Bounds()
        self._group = None

    @classmethod
    def open(
        cls,
        visa_manager: ResourceManager,
        resource_name: str,
        *,
        name: str,
        serial: str | None = None,
        stimulus: Callable[[str, object], None] | None = None,
        transcript: Callable[[str, str], None] | None = None,
        timeout_ms: int = TIMEOUT_MS,
        beside: Beside | None = None,
        before: Callable[[], None] | None = None,
    ) -> Self:
        """Open the instrument and make sure it is the one that was asked for.

        Args:
            visa_manager: a ``pyvisa.ResourceManager``, real or simulated.
            resource_name: VISA resource, for example ``TCPIP0::psu::5025::SOCKET``.
            name: what the rig calls the instrument.
            serial: serial number it must have; None accepts any.
            stimulus: called with (what, value) before anything acts on the outside.
            transcript: called with ("write" or "read", text) for every message.
            timeout_ms: how long an answer may take [ms].
            beside: makes the calls that may block while the rig clock runs; nobody runs it meanwhile unless given.
            before: called before each message; it may wait until one may be sent.

        Raises:
            InstrumentError: when it does not open, does not answer, or is the wrong make, model or serial.
        """
        noted = transcript or _ignore
        session = Session.open(
            visa_manager,
            resource_name,
            name=name,
            transcript=noted,
            timeout_ms=timeout_ms,
            beside=beside,
            before=before,
        )
        accepted = False
        try:
            identity = session.identify()
            cls.recognise(identity, name=name, serial=serial, where=session.resource_name)
            session.write("*CLS")
            driver = cls(session, identity, name=name, stimulus=stimulus or _ignore)
            driver.prepare()
            accepted = True
        finally:
            if not accepted:
                session.close()
        return driver

    @classmethod
    def recognise(cls, identity: Identity, *, name: str, serial: str | None, where: str) -> None:
        """Make sure that an instrument is one this driver was written for.

        Args:
            identity: what it answered to ``*IDN?``.
            name: what the rig calls it.
            serial: serial number it must have; None accepts any.
            where: its VISA resource, for the message.

        Raises:
            InstrumentError: when it is the wrong make, model or serial.
        """
        makers = {maker.split()[0].lower() for maker in cls.manufacturers}
        maker_fits = identity.manufacturer.split(maxsplit=1)[:1] and identity.manufacturer.split()[0].lower() in makers
        if maker_fits and identity.model in cls.models and serial in (None, identity.serial):
            return
        asked = f"{cls.manufacturers[0]} {' or '.join(cls.models)}" + (f" serial {serial}" if serial else "")
        raise InstrumentError(
            f"{name} at {where}: asked for a {asked}, found {identity}; connect the right instrument, or correct "
            "resource, serial or driver in the rig file"
        )

    def prepare(self) -> None:
        """What a subclass does once after it was recognised; nothing by itself."""

    def close(self) -> None:
        """Close the session; outputs stay as they are."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- limits -------------------------------------------------------------------------------------------

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels, for limits that hold for one of them."""
        return ()

    def impose_limits(self, limits: Mapping[str, float]) -> None:
        """Enforce the rig file's limits from now on; limits only ever get narrower.

        Args:
            limits: by quantity with its unit: ``voltage_max_v`` (or ``max_voltage_v``, ``voltage_v``) is the
                largest value that may be set, ``voltage_min_v`` the smallest; ``out1_voltage_max_v`` holds for
                one channel.

        Raises:
            ConfigError: for a quantity this instrument does not have.
        """
        known = {entry.limit for entry in self._limitable()}
        known |= {f"{channel}_{quantity}" for channel in self.channel_names for quantity in known}
        self._limits.narrow(limits, known, self.name)

    def _limitable(self) -> list[Setting[object]]:
        owners = (type(self), *self.channel_classes)
        return [entry for owner in owners for entry in declared(owner) if isinstance(entry, Setting)]

    channel_classes: ClassVar[tuple[type, ...]] = ()
    """Classes of this instrument's channels."""

    # -- talking ------------------------------------------------------------------------------------------

    def ask(self, declared: Setting[T] | Measurement[T], /) -> T:
        """Query a declared value.

        Raises:
            InstrumentError: when the answer does not come or cannot be read.
        """
        return self.query_value(declared, "", self.name)

    def tell(self, declared: Setting[T], value: T, /) -> None:
        """Set a declared value.

        Raises:
            InstrumentError: when the value is refused, here or by the instrument.
        """
        self.write_value(declared, value, "", self.name)

    def act(self, declared: Action, /) -> None:
        """Command a declared action.

        Raises:
            InstrumentError: when the instrument reports an error.
        """
        self.announce(f"{self.name}.{declared.name}", None)
        self.write(declared.header)

    def query_value(self, entry: Setting[T] | Measurement[T], channels: str, where: str) -> T:
        """Query a declared value of a channel; ``where`` names instrument and channel for messages.

        Raises:
            InstrumentError: when the answer does not come or cannot be read.
        """
        command = f"{entry.header}?" + (f" {channels}" if channels else "")
        answer = self._session.query(command)
        try:
            return entry.value.read(answer)
        except (ValueError, KeyError, IndexError) as error:
            raise InstrumentError(
                f"{where}.{entry.name}: {command!r} was answered {answer!r}, which is not {entry.value.span}"
            ) from error

    def write_value(self, entry: Setting[T], value: T, channels: str, where: str) -> None:
        """Check, announce and set a declared value of a channel.

        Raises:
            InstrumentError: when the value is refused, here or by the instrument.
        """
        checked = self._checked(entry, value, where)
        self.announce(f"{where}.{entry.name}", checked)
        text = entry.value.format(checked)
        self.write(f"{entry.header} {text}" + (f",{channels}" if channels else ""))

    def arrange(self, entry: Setting[T], value: T, channels: str = "") -> None:
        """Check and set a declared value that does not act on the outside yet: no stimulus.

        Raises:
            InstrumentError: when the value is refused, here or by the instrument.
        """
        text = entry.value.format(self._checked(entry, value, self.name))
        self.write(f"{entry.header} {text}" + (f",{channels}" if channels else ""))

    def write(self, command: str) -> None:
        """Send a command and, by policy, read the error queue.

        Raises:
            InstrumentError: when the instrument cannot be reached or reports an error.
        """
        self._session.write(command)
        self._wrote(command)

    def say(self, command: str) -> None:
        """Send a command and ask for nothing.

        Raises:
            InstrumentError: when the instrument cannot be reached.
        """
        self._session.write(command)

    def write_block(self, header: str, data: bytes) -> None:
        """Send a command that ends in a binary block and, by policy, read the error queue.

        Raises:
            InstrumentError: as :meth:`write`.
        """
        self._session.write_block(header, data)
        self._wrote(header)

    def query(self, command: str) -> str:
        """Send a query and return the answer without its terminator.

        Raises:
            InstrumentError: when there is no answer in time.
        """
        return self._session.query(command)

    def announce(self, what: str, value: object) -> None:
        """Tell the rig that a stimulus is about to act."""
        self._stimulus(what, value)

    @contextmanager
    def group(self) -> Generator[None]:
        """Writes inside the block are one group: the error queue is read once, at its end.

        A block that ends by an error of the harness gets what the instrument reports as a note, so that the next
        command is not blamed for it.

        Raises:
            InstrumentError: at the end, when the instrument reports an error.
        """
        if self._group is not None:
            yield
            return
        written: list[str] = []
        self._group = written
        try:
            yield
        except HilError as problem:
            self._group = None
            with suppress(InstrumentError):  # an instrument that does not answer any more is the problem itself
                for entry in self.errors() if written else ():
                    problem.add_note(f"{self.name} reported {entry} after {', '.join(written)}")
            raise
        finally:
            self._group = None
        if written and self.error_policy is ErrorPolicy.EACH_GROUP:
            self.raise_errors(written)

    def errors(self) -> list[str]:
        """Read the instrument's error queue until it is empty.

        Raises:
            InstrumentError: when it never gets empty.
        """
        found: list[str] = []
        while len(found) < _ERRORS_MAX:
            entry = self._session.query("SYST:ERR?")
            if entry.lstrip("+").startswith("0"):
                return found
            found.append(entry)
        raise InstrumentError(f"{self.name}: SYST:ERR? gave {len(found)} errors and no end; the last is {found[-1]}")

    def raise_errors(self, commands: list[str]) -> None:
        """Read the error queue and raise what it holds.

        Raises:
            InstrumentError: with command, number and text of each error.
        """
        found = self.errors()
        if found:
            raise InstrumentError(
                f"{self.name} ({self.identity.model} at {self._session.resource_name}) answered "
                f"{' and '.join(found)} to {'; '.join(commands)}"
            )

    def _wrote(self, command: str) -> None:
        if self._group is not None:
            self._group.append(command)
        elif self.error_policy is ErrorPolicy.EACH_GROUP:
            self.raise_errors([command])

    def _checked(self, entry: Setting[T], value: T, where: str) -> T:
        try:
            checked = entry.value.check(value)
        except (ValueError, TypeError, AttributeError) as error:
            raise InstrumentError(
                f"{where}.{entry.name} = {_shown(value)} {entry.value.unit}".rstrip()
                + f" is refused: a {self.identity.model}'s {entry.header} {error}; nothing was written"
            ) from error
        self._within_limits(entry, checked, where)
        return checked

    def _within_limits(self, entry: Setting[T], value: T, where: str) -> None:
        excess = self._limits.excess(entry.limit, where.removeprefix(self.name).lstrip("."), value)
        if excess is not None:
            unit = f" {entry.value.unit}".rstrip()
            raise InstrumentError(
                f"{where}.{entry.name} = {excess.value:g}{unit} is refused: the rig file limits {excess.quantity} of "
                f"{self.name} to {excess.low:g} to {excess.high:g}{unit}; nothing was written"
            )


class Channel(Closed):
    """One channel of an instrument that takes channel lists; subclasses declare what it can do.

    Args:
        driver: the instrument.
        number: number of the channel, from 1.
        name: name of the channel, for messages and limits.
    """

    number: int
    name: str
    _driver: Driver

    def __init__(self, driver: Driver, number: int, name: str) -> None:
        self._driver = driver
        self.number = number
        self.name = name

    @property
    def where(self) -> str:
        """Instrument and channel, for messages: ``psu.out1``."""
        return f"{self._driver.name}.{self.name}"

    @property
    def listed(self) -> str:
        """The channel as a channel list."""
        return f"(@{self.number})"

    def ask(self, declared: Setting[T] | Measurement[T], /) -> T:
        """Query a declared value of this channel.

        Raises:
            InstrumentError: when the answer does not come or cannot be read.
        """
        return self._driver.query_value(declared, self.listed, self.where)

    def tell(self, declared: Setting[T], value: T, /) -> None:
        """Set a declared value of this channel.

        Raises:
            InstrumentError: when the value is refused, here or by the instrument.
        """
        self._driver.write_value(declared, value, self.listed, self.where)

    def act(self, declared: Action, /) -> None:
        """Command a declared action of this channel.

        Raises:
            InstrumentError: when the instrument reports an error.
        """
        self._driver.announce(f"{self.where}.{declared.name}", None)
        self._driver.write(f"{declared.header} {self.listed}")


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)


def _ignore(what: str, value: object) -> None:
    """A listener that is not there."""
