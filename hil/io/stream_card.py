"""An I/O card on the network, as a test uses it; the messages are those of :mod:`hil.io.stream`.

Samples carry the stamps of the card's own clock. They are converted to rig time; how far off that may be is
``accuracy.stamp_ns``, which is kept up as the clocks are compared once a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from hil.closed import nearest
from hil.errors import HilError, InstrumentError
from hil.io import stream
from hil.io.card import QUANTITIES, UNITS, Accuracy, CardAtAddress, Quantity, kind_of
from hil.io.conversation import Conversation
from hil.signal import Signal, Value
from hil.units import format_duration, format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hil.clock import Clock
    from hil.signal import Timeline


class StreamCard(CardAtAddress):
    """An I/O card at ``tcp://host:port``.

    When the connection is lost, a wait that watches one of its channels ends with an error, and so does every later
    use of the card or its channels: what was seen last proves nothing about now.

    Args:
        name: the instrument's name; its pins are ``name.port``.
        address: where it is.
        timeline: clock and mark of the test; a paced clock.
        ports: its channels that the rig uses, by prefixed name.

    Raises:
        InstrumentError: when it does not answer, speaks another protocol, or does not have these channels.
    """

    def __init__(self, name: str, address: str, *, timeline: Timeline, ports: Iterable[str]) -> None:
        self.name = name
        self.ports = tuple(ports)
        self.accuracy = Accuracy(volts=0.0, amps=0.0, stamp_ns=0)
        self._timeline = timeline
        self._levels: dict[str, _CardSignal[bool]] = {}
        self._numbers: dict[tuple[str, str], _CardSignal[float]] = {}
        for port in self.ports:
            self._declare(port)
        self._said = Conversation(
            name,
            address,
            clock=timeline.clock,
            greeting=stream.Hello,
            on_said=self._put,
            on_lost=self._tell_who_watches,
            on_compared=self._compared,
        )
        for port in self.ports:
            if port not in self._said.hello.channels:
                self._said.close()
                raise InstrumentError(
                    f"{name}: the card {self._said.hello.card!r} at {address} has no channel {port}; "
                    f"{nearest(port, list(self._said.hello.channels))}"
                )

    @classmethod
    def at(cls, address: str, name: str, *, timeline: Timeline, ports: Iterable[str]) -> Self:
        """Open the card; arguments and errors as those of the class."""
        return cls(name, address, timeline=timeline, ports=ports)

    def close(self) -> None:
        """Close the connection; outputs stay as they are."""
        self._said.close()

    # -- observing ----------------------------------------------------------------------------------------

    def level(self, port: str) -> Signal[bool]:
        """The logic level of a ``di_`` or ``dl_`` channel.

        Raises:
            InstrumentError: for a channel that does not observe a level, or when the connection is lost.
        """
        self._check(port, "level")
        return self._levels[port]

    def volts(self, port: str) -> Signal[float]:
        """The voltage of an ``ai_`` or ``load_`` channel [V].

        Raises:
            InstrumentError: for a channel that does not observe a voltage, or when the connection is lost.
        """
        self._check(port, "volts")
        return self._numbers[port, "volts"]

    def amps(self, port: str) -> Signal[float]:
        """The current through a ``load_`` or ``ci_`` channel [A].

        Raises:
            InstrumentError: for a channel that does not observe a current, or when the connection is lost.
        """
        self._check(port, "amps")
        return self._numbers[port, "amps"]

    # -- acting -------------------------------------------------------------------------------------------

    def drive(self, port: str, volts: float) -> None:
        """Make an ``ao_`` channel give a voltage [V]; returns when the card has done it.

        Raises:
            InstrumentError: when the card refuses, does not acknowledge, or is lost; or for another kind of channel.
        """
        self._act(port, "ao", f"{volts:.6g} V", lambda number: stream.Drive(number, port, float(volts)))

    def release(self, port: str) -> None:
        """Take an ``ao_`` channel off its pin; returns when the card has done it.

        Raises:
            InstrumentError: as :meth:`drive`.
        """
        self._act(port, "ao", "released", lambda number: stream.Release(number, port))

    def drive_for(self, volts: Mapping[str, float], duration_ns: int, clock: Clock) -> int:
        """Make ``ao_`` channels give voltages for a time [ns] that the card keeps, and wait for its end.

        Returns:
            When it began [ns rig time], from the card's own stamp.

        Raises:
            InstrumentError: as :meth:`drive`.
        """
        for port in volts:
            self._output(port, "ao")
        told = self._timeline.stimulus
        for port, level_v in volts.items():
            told(f"{self.name}.{port}", f"{level_v:.6g} V for {format_duration(duration_ns)}")
            told = self._timeline.happens
        ending = clock.at(clock.now + duration_ns, lambda: self._released(volts))  # not before, whatever the way took
        pulse = f"{self.name}: {', '.join(volts)} driven for {format_duration(duration_ns)}"
        try:
            done = self._said.command(
                lambda number: stream.Pulse(number, dict(volts), duration_ns), pulse, lasts_ns=duration_ns
            )
        except HilError:
            ending.cancel()
            raise
        if not isinstance(done, stream.Done):
            raise InstrumentError(f"{pulse} was answered {done}; the card must say when it ended")
        return self._said.rig_ns(done.at_ns) - duration_ns

    def switch(self, port: str, on: bool) -> None:
        """Close or open a ``do_`` channel; returns when the card has done it.

        Raises:
            InstrumentError: as :meth:`drive`.
        """
        self._act(port, "do", "closed" if on else "open", lambda number: stream.Switch(number, port, on))

    # -- inside -------------------------------------------------------------------------------------------

    def _act(self, port: str, kind: str, what: str, question: Callable[[int], stream.Asked]) -> None:
        self._output(port, kind)
        self._timeline.stimulus(f"{self.name}.{port}", what)
        self._said.command(question, f"{self.name}.{port}: {what}")

    def _output(self, port: str, kind: str) -> None:
        self._known(port)
        if kind_of(port) != kind:
            raise InstrumentError(f"{self.name}.{port} is a channel of kind {kind_of(port)}_, not {kind}_")
        self._said.demand()

    def _released(self, ports: Iterable[str]) -> None:
        """The card takes channels off their pins by itself: the test's mark moves."""
        for port in ports:
            self._timeline.happens(f"{self.name}.{port}", "released")

    def _declare(self, port: str) -> None:
        for quantity in QUANTITIES[kind_of(port)]:
            if quantity == "level":
                self._levels[port] = _CardSignal(f"{self.name}.{port}", "", self._timeline, self._asked_of)
            else:
                name = f"{self.name}.{port}.{quantity}"
                self._numbers[port, quantity] = _CardSignal(name, UNITS[quantity], self._timeline, self._asked_of)

    def _put(self, sample: stream.Stamped, at_ns: int) -> None:
        """A sample came [ns rig time]; one of a channel the rig does not use is left out."""
        if not isinstance(sample, stream.Sample):
            return
        if sample.quantity == "level" and sample.channel in self._levels:
            self._levels[sample.channel].put_in_order(bool(sample.value), at_ns)
        number = self._numbers.get((sample.channel, sample.quantity))
        if number is not None:
            number.put_in_order(float(sample.value), at_ns)

    def _compared(self, hello: stream.Hello, uncertainty_ns: int) -> None:
        self.accuracy = Accuracy(hello.volts, hello.amps, hello.stamp_ns + uncertainty_ns)

    def _tell_who_watches(self) -> None:
        """End a wait that watches a channel: nothing is known of it any more."""
        if any(signal.is_watched for signal in (*self._levels.values(), *self._numbers.values())):
            self._said.demand()

    def _asked_of(self, seen: Callable[[], str]) -> None:
        """A channel is read: what it says is true as long as the card is there."""
        if self._said.lost:
            self._said.demand(seen())

    def _check(self, port: str, quantity: Quantity) -> None:
        self._known(port)
        if quantity not in QUANTITIES[kind_of(port)]:
            offered = ", ".join(QUANTITIES[kind_of(port)]) or "nothing"
            raise InstrumentError(f"{self.name}.{port} observes {offered}, not {quantity}")
        self._said.demand()

    def _known(self, port: str) -> None:
        if port not in self.ports:
            raise InstrumentError(f"{self.name} has no channel {port}; {nearest(port, list(self.ports))}")


class _CardSignal(Signal[Value]):
    """A channel's signal: its samples stay readable as evidence; everything else asks whether the card is there."""

    def __init__(self, name: str, unit: str, timeline: Timeline, asked_of: Callable[[Callable[[], str]], None]) -> None:
        super().__init__(name, unit, timeline, held=True, backlog=lambda: asked_of(self.last_seen))

    def put_in_order(self, value: Value, at_ns: int) -> None:
        """Put a sample [ns rig time], not before the last one: converted stamps of two comparisons may cross."""
        self.put(value, max(at_ns, self._produced[-1]) if self._produced else at_ns)

    def last_seen(self) -> str:
        """What was seen last, and when."""
        if not self._values:
            return f"{self.name} was never seen"
        return f"{self.name} was last seen {self._show(self._values[-1])} at {format_time(self._produced[-1])}"

    def samples(self) -> tuple[Sequence[int], Sequence[Value]]:
        """Production times [ns rig time] and values of all samples, in order, whether the card is there or not."""
        return list(self._produced), list(self._values)
