"""An I/O card on a TCP port: what it sees goes to every client, what a client asks is done on the card.

Around a simulated card it is what a test reaches as :class:`hil.io.stream_card.StreamCard`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from hil.clock import Phase
from hil.errors import HilError, InstrumentError
from hil.io import stream
from hil.io.card import QUANTITIES, kind_of
from hil.sim.card_pulses import CardPulses
from hil.sim.card_watchdog import CardWatchdog
from hil.sim.stream_session import StreamSession
from hil.sim.tcp import TcpPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil.clock import Clock
    from hil.io.card import IoCard, Quantity
    from hil.signal import Signal
    from hil.sim.connection import Connection


class CardServer:
    """Serves an I/O card on a TCP port of this machine.

    Args:
        card: the card; what it refuses is refused to the client in its own words.
        clock: the clock it stands on; stamps are of this clock.
        port: TCP port; 0 lets the system choose one.
        clients: ``"one"`` closes a second connection at once.

    Raises:
        HilError: when the port cannot be opened.
    """

    def __init__(self, card: IoCard, clock: Clock, *, port: int = 0, clients: Literal["one", "many"] = "many") -> None:
        self._card = card
        self._clock = clock
        self._watchdog = CardWatchdog(card, clock)
        self._pulses = CardPulses(card, clock)
        self._tcp = TcpPort(clock, self._session, port=port, clients=clients, name=card.name)

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._tcp.port

    @property
    def address(self) -> str:
        """The address for a client."""
        return f"tcp://127.0.0.1:{self.port}"

    def drop(self) -> None:
        """End every connection, as a network does; new ones are taken."""
        self._tcp.drop_all()

    def close(self) -> None:
        """Close the port and every connection; the card's outputs stay as they are."""
        self._watchdog.stop()
        self._tcp.close()

    def _session(self, connection: Connection) -> _Client:
        return _Client(self._card, self._clock, connection, self._watchdog, self._pulses)


class _Client(StreamSession):
    """One client of the card."""

    def __init__(
        self, card: IoCard, clock: Clock, connection: Connection, watchdog: CardWatchdog, pulses: CardPulses
    ) -> None:
        super().__init__(connection)
        self._card = card
        self._clock = clock
        self._watchdog = watchdog
        self._pulses = pulses
        worth = card.accuracy
        self.say(stream.Hello(stream.PROTOCOL, card.name, card.ports, worth.volts, worth.amps, worth.stamp_ns))
        self._ends = [self._follow(port, quantity, signal) for port, quantity, signal in _signals(card)]

    def end(self) -> None:
        """The client has gone; the card's outputs stay as they are."""
        while self._ends:
            self._ends.pop()()

    def asked(self, question: stream.Message) -> None:
        """Do what the client asks."""
        now_ns = self._clock.now
        match question:
            case stream.AskTime():
                self.say(stream.Time(question.id, now_ns))
            case stream.Drive():
                self._do(question.id, lambda: self._drive(question.channel, question.volts))
            case stream.Release():
                self._do(question.id, lambda: self._release(question.channel))
            case stream.Pulse():
                self._try(question.id, lambda: self._pulse(question))
            case stream.Switch():
                self._do(question.id, lambda: self._switch(question.channel, question.on))
            case stream.Guard():
                self._do(question.id, lambda: self._watchdog.guard(question.timeout_ms))
            case stream.Feed():
                self._do(question.id, self._watchdog.feed)
            case _:
                raise InstrumentError(f"{self._card.name}: a client said {question}, which only a card says")

    def _drive(self, channel: str, volts: float) -> None:
        self._watchdog.demand()
        self._card.drive(channel, volts)
        self._pulses.overtaken(channel)

    def _release(self, channel: str) -> None:
        self._card.release(channel)
        self._pulses.overtaken(channel)

    def _pulse(self, pulse: stream.Pulse) -> None:
        self._watchdog.demand()
        self._pulses.begin(pulse, partial(self._do, pulse.id))

    def _switch(self, channel: str, on: bool) -> None:
        if on:
            self._watchdog.demand()
        self._card.switch(channel, on)

    def _do(self, number: int, action: Callable[[], None]) -> None:
        """Do it, and acknowledge when everything that follows from it at this instant has been said."""
        if self._try(number, action):
            now_ns = self._clock.now
            self._clock.at(now_ns, lambda: self.say(stream.Done(number, now_ns)), Phase.OBSERVE)

    def _try(self, number: int, action: Callable[[], None]) -> bool:
        try:
            action()
        except HilError as refusal:
            self.say(stream.Refused(number, str(refusal)))
            return False
        return True

    def _follow(self, port: str, quantity: Quantity, signal: Signal[bool] | Signal[float]) -> Callable[[], None]:
        last = signal.last
        if last is not None:
            self.say(stream.Sample(port, quantity, last.value, last.at))
        return signal.on_sample(lambda value, at_ns: self.say(stream.Sample(port, quantity, value, at_ns)))


def _signals(card: IoCard) -> Iterator[tuple[str, Quantity, Signal[bool] | Signal[float]]]:
    for port in card.ports:
        for quantity in QUANTITIES[kind_of(port)]:
            match quantity:
                case "level":
                    yield port, quantity, card.level(port)
                case "volts":
                    yield port, quantity, card.volts(port)
                case "amps":
                    yield port, quantity, card.amps(port)
