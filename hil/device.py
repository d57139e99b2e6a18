"""Device: the tester's side of an article under test: its signals, its commands, its observed pins.

A client is a closed class of declarations. ``Telemetry`` is what the article says of itself on its buses;
``Level``, ``Volts`` and ``Amps`` are what an instrument sees on its pins. Verdicts use pins; telemetry is compared
in a separate measurement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from hil.closed import Closed
from hil.errors import BusError, WiringError
from hil.io.card import IoCard, kind_of
from hil.signal import Signal, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hil.can.database import Database
    from hil.can.facade import Bus
    from hil.can.frame import Frame
    from hil.can.protection import Receiver

Value = TypeVar("Value", float, str)
_WAITING_MAX = 32  # frames of one message that wait to be decoded in wall time; about half a millisecond
_LOST_CYCLES = 3  # cycle times without a message after which its signals count as lost


@dataclass(frozen=True)
class Links:
    """What connects a client to its article: its buses, its message prefix, the timeline, and the pins' observers.

    ``observers`` maps a pin ``node.port`` to the channels ``(card, port)`` of instruments on the same net; ``undo``
    takes what must be done to make a stimulus undone, before it is given.
    """

    timeline: Timeline
    buses: Sequence[Bus]
    node: str
    observers: Callable[[str], list[tuple[IoCard, str]]]
    undo: Callable[[str, Callable[[], None]], None]


class Telemetry(Generic[Value]):
    """Declares a signal of one of the article's messages, named without the article's prefix."""

    def __init__(self, message: str, signal: str) -> None:
        self.message = message
        self.signal = signal

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, device: None, owner: type) -> Telemetry[Value]: ...
    @overload
    def __get__(self, device: Device, owner: type) -> Signal[Value]: ...
    def __get__(self, device: Device | None, owner: type) -> Telemetry[Value] | Signal[Value]:
        if device is None:
            return self
        signal: Signal[Value] = device.telemetry[self.name]  # type: ignore[assignment]  # made for this declaration
        return signal


class Numbers(Telemetry[float]):
    """Declares a numeric telemetry signal, in the unit of the database."""


class States(Telemetry[str]):
    """Declares a telemetry signal with named states."""


class _Observed:
    def __init__(self, port: str) -> None:
        self.port = port


class Level(_Observed):
    """Declares the logic level of one of the article's pins, as a ``di_`` or ``dl_`` channel sees it."""

    @overload
    def __get__(self, device: None, owner: type) -> Level: ...
    @overload
    def __get__(self, device: Device, owner: type) -> Signal[bool]: ...
    def __get__(self, device: Device | None, owner: type) -> Level | Signal[bool]:
        if device is None:
            return self
        card, channel = device.channel(self.port, ("di", "dl"))
        return card.level(channel)


class Volts(_Observed):
    """Declares the voltage at one of the article's pins [V], as an ``ai_`` or ``load_`` channel sees it."""

    @overload
    def __get__(self, device: None, owner: type) -> Volts: ...
    @overload
    def __get__(self, device: Device, owner: type) -> Signal[float]: ...
    def __get__(self, device: Device | None, owner: type) -> Volts | Signal[float]:
        if device is None:
            return self
        card, channel = device.channel(self.port, ("ai", "load"))
        return card.volts(channel)


class Amps(_Observed):
    """Declares the current at one of the article's pins [A], as a ``load_`` or ``ci_`` channel sees it."""

    @overload
    def __get__(self, device: None, owner: type) -> Amps: ...
    @overload
    def __get__(self, device: Device, owner: type) -> Signal[float]: ...
    def __get__(self, device: Device | None, owner: type) -> Amps | Signal[float]:
        if device is None:
            return self
        card, channel = device.channel(self.port, ("ci", "load"))
        return card.amps(channel)


class _Incoming:
    """One message of an article as it comes in: kept as it is, checked and decoded when one of its signals is read.

    Most frames of a rig are never asked about; a frame that is kept costs a small part of one decoded.

    Args:
        most: frames that wait at most. In wall time thousands of them, decoded when one is asked for, would hold up the
            clock for tens of ms.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self.signals: list[tuple[str, Signal[float] | Signal[str]]] = []
        self.rejected = 0
        """Frames refused because counter or CRC was wrong; of those that have been looked at."""
        self._watchers: list[list[Callable[[float, int], None]] | list[Callable[[str, int], None]]] = []
        self._waiting: list[tuple[Database, Receiver, Frame]] = []

    def add(self, name: str, signal: Signal[float] | Signal[str]) -> None:
        """A signal of the message that somebody may read."""
        self.signals.append((name, signal))
        self._watchers.append(signal.listeners)

    def hearer(self, database: Database, message: str) -> Callable[[Frame], None]:
        """What hears the message on one bus, as a stream of its own."""
        receiver = database.receiver(message)

        def arrived(frame: Frame) -> None:
            self._waiting.append((database, receiver, frame))
            if any(self._watchers) or len(self._waiting) > self._most:
                self.decode()

        return arrived

    def decode(self) -> None:
        """Check all frames that wait, and put their samples."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for database, receiver, frame in waiting:
            if receiver.check(frame) is not None:
                self.rejected += 1
                continue
            values = database.decode(frame)
            at_ns = frame.start_ns
            for name, signal in self.signals:
                if name in values:  # a multiplexed message carries some of its signals at a time
                    signal.put_newer(values[name], at_ns)  # type: ignore[arg-type]  # the declaration says which


class Device(Closed):
    """The client of one article under test; subclasses declare its signals and write its commands.

    Args:
        name: the article's name in the rig file.
        links: what connects it to the article.
    """

    name: str
    links: Links
    telemetry: dict[str, Signal[float] | Signal[str]]
    _wanted: dict[str, _Incoming]

    def __init__(self, name: str, links: Links) -> None:
        self.name = name
        self.links = links
        self.telemetry = {}
        self._wanted = {}
        for declared in self._declared_telemetry():
            self._make(declared)
        for bus in links.buses:
            self._listen(bus)

    @property
    def rejected(self) -> dict[str, int]:
        """Frames refused per message because counter or CRC was wrong; only messages of which there were some."""
        for incoming in self._wanted.values():
            incoming.decode()
        return {name: incoming.rejected for name, incoming in self._wanted.items() if incoming.rejected}

    def command(self, message: str, signals: Mapping[str, float | int | str] | None = None) -> int:
        """Send a message to the article on every bus it is on; a stimulus, so it moves the mark.

        A bus that does not take the frame (bus-off, queue full) is passed over and put on the record: one bus that
        takes it is enough.

        Returns:
            Rig time at which it was sent [ns].

        Raises:
            WiringError: when the article is on no bus.
            BusError: for an unknown message or signal, a value the database does not allow, or when no bus at all
                takes the frame.
        """
        given = dict(signals or {})
        if not self.links.buses:
            raise WiringError(f"{self.name} is on no bus, so it cannot be sent {message}; give it one: bus = [...]")
        for bus in self.links.buses:
            bus.database.encode(message, given)  # a wrong value is an error before anything is said to be done
        self.links.timeline.stimulus(f"{self.name}: {message}", given)
        sent_ns = self.links.timeline.mark_ns
        frames = [(bus, bus.sender(message).frame(given)) for bus in self.links.buses]
        refusals: list[str] = []
        for bus, frame in frames:
            try:
                bus.put_on(frame)
            except BusError as refusal:
                refusals.append(str(refusal))
                self.links.timeline.happens(f"{self.name}: {message} not taken", str(refusal))
        if len(refusals) == len(frames):
            raise BusError(f"{self.name}: no bus takes {message}: {'; '.join(refusals)}")
        return sent_ns

    def channel(self, port: str, kinds: tuple[str, ...]) -> tuple[IoCard, str]:
        """The instrument channel that observes one of the article's pins.

        Raises:
            WiringError: when no channel of these kinds is wired to the pin.
        """
        pin = f"{self.name}.{port}"
        channels = self.links.observers(pin)
        for card, channel in channels:
            if kind_of(channel) in kinds:
                return card, channel
        found = ", ".join(f"{card.name}.{channel}" for card, channel in channels) or "no instrument channel at all"
        wanted = " or ".join(f"{kind}_" for kind in kinds)
        raise WiringError(f"{pin} is observed by no {wanted} channel (on its net: {found}); add one to its net")

    @classmethod
    def _declared_telemetry(cls) -> list[Telemetry[float] | Telemetry[str]]:
        found: dict[str, Telemetry[float] | Telemetry[str]] = {}
        for base in reversed(cls.__mro__):
            found |= {name: entry for name, entry in vars(base).items() if isinstance(entry, Telemetry)}
        return list(found.values())

    def _make(self, declared: Telemetry[float] | Telemetry[str]) -> None:
        message_name = f"{self.links.node}_{declared.message}"
        unit, max_age_ns, choices = "", None, tuple[str, ...]()
        for bus in self.links.buses:
            entry = bus.database.signal(message_name, declared.signal)
            unit = entry.unit or ""
            cycle_ns = bus.database.cycle_ns(message_name)
            max_age_ns = None if cycle_ns is None else _LOST_CYCLES * cycle_ns
            if isinstance(declared, States):
                choices = tuple(map(str, (entry.choices or {}).values()))
                self._check_named(declared, choices, f"{bus.database.path}: {message_name}.{declared.signal}")
        name = f"{self.name}.{declared.message}.{declared.signal}"
        is_paced = self.links.timeline.clock.pace != "virtual"
        incoming = self._wanted.setdefault(message_name, _Incoming(_WAITING_MAX if is_paced else math.inf))
        signal: Signal[float] | Signal[str] = Signal(
            name, unit, self.links.timeline, max_age_ns=max_age_ns, choices=choices, backlog=incoming.decode
        )
        self.telemetry[declared.name] = signal
        incoming.add(declared.signal, signal)

    def _check_named(self, declared: States, choices: tuple[str, ...], where: str) -> None:
        """Refuse states without names, which no test could ask for."""
        if not choices:
            raise WiringError(
                f"{self.name}.{declared.name} is declared as States, but {where} has no value table; "
                "declare it as Numbers"
            )

    def _listen(self, bus: Bus) -> None:
        for message_name, incoming in self._wanted.items():
            bus.subscribe(incoming.hearer(bus.database, message_name), [message_name])
