"""One I/O card as the keeper holds it: lines out, lines in, and what every channel read last.

The messages are those of :mod:`hil.io.stream`. Lines from the card are kept as they came, so that they can be handed on
with the card's own stamps.
"""

from __future__ import annotations

import select
import socket
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from hil.clock import Stopwatch
from hil.closed import nearest
from hil.errors import InstrumentError
from hil.io import stream
from hil.io.line_link import host_and_port

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONNECT_S = 2.0
_HELLO_S = 2.0
_SEND_S = 1.0  # how long a card may take nothing [s]
_CHUNK = 1 << 16


class KeptCard:
    """The keeper's own connection to a card; one thread uses it, any may look at :meth:`last`.

    Args:
        name: what the rig calls it.
        address: ``tcp://host:port``.

    Raises:
        InstrumentError: when it does not answer, or speaks another protocol.
    """

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self._received = b""
        self._last: dict[tuple[str, str], tuple[bytes, stream.Sample]] = {}
        self._times: Counter[tuple[str, bool]] = Counter()
        try:
            self._link = socket.create_connection(host_and_port(name, address), timeout=_CONNECT_S)
        except OSError as problem:
            raise InstrumentError(f"{name}: {address} does not answer: {problem}; is it switched on?") from problem
        self._link.setblocking(False)
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.hello_line, self.hello = self._greeting()
            """What it said of itself, as it came and as a message."""
        except InstrumentError:
            self._link.close()
            raise

    @property
    def descriptor(self) -> int:
        """What becomes readable when it says something."""
        return self._link.fileno()

    def require(self, channels: Iterable[str]) -> None:
        """Refuse a card that does not have these channels.

        Raises:
            InstrumentError: when it lacks one.
        """
        for channel in channels:
            if channel not in self.hello.channels:
                raise InstrumentError(
                    f"{self.name}: the card {self.hello.card!r} at {self.address} has no channel {channel}; "
                    f"{nearest(channel, list(self.hello.channels))}"
                )

    def last(self, channel: str, quantity: str) -> bool | float | None:
        """What a channel read last; None when it was never told. Any thread may call."""
        found = self._last.get((channel, quantity))
        return None if found is None else found[1].value

    def times(self, channel: str, *, high: bool) -> int:
        """How often a discrete channel was told to be at a level, since this was opened. Any thread may call."""
        return self._times[channel, high]

    def readings(self) -> list[bytes]:
        """The last sample of every channel, each as the line it came in."""
        return [line for line, _ in self._last.values()]

    def send(self, question: stream.Asked) -> None:
        """Send one message.

        Raises:
            InstrumentError: when it cannot be sent.
        """
        watch, left = Stopwatch(), memoryview(stream.encode(question))
        while left:
            try:
                left = left[self._link.send(left) :]
            except BlockingIOError:
                left_s = _SEND_S - watch.elapsed_s
                if left_s <= 0.0 or not select.select([], [self._link], [], left_s)[1]:
                    raise InstrumentError(f"{self.name}: takes nothing any more, for {_SEND_S:g} s") from None
            except OSError as problem:
                raise InstrumentError(f"{self.name}: {question} cannot be sent: {problem}") from problem

    def read(self) -> list[tuple[bytes, stream.Message]]:
        """What has come: each line, without its line feed, and the message on it.

        Raises:
            InstrumentError: when the connection is lost, or a line is no message of the protocol.
        """
        try:
            data = self._link.recv(_CHUNK)
        except BlockingIOError:
            return []
        except OSError as problem:
            raise InstrumentError(f"{self.name}: the connection failed while reading: {problem}") from problem
        if not data:
            raise InstrumentError(f"{self.name}: the card has ended the connection")
        *lines, self._received = (self._received + data).split(b"\n")
        if len(self._received) > stream.LINE_MAX:
            raise InstrumentError(f"{self.name}: sent {len(self._received)} bytes without a line feed")
        found = [(line, stream.decode(line)) for line in lines]
        for line, message in found:
            if isinstance(message, stream.Sample):
                self._last[message.channel, message.quantity] = (line, message)
                self._times[message.channel, bool(message.value)] += message.quantity == "level"
        return found

    def reopened(self) -> KeptCard:
        """Another connection to the same card, in place of this one, which was lost.

        Raises:
            InstrumentError: when it cannot be opened, or something else answers there now.
        """
        self.close()
        found = KeptCard(self.name, self.address)
        if found.hello != self.hello:
            found.close()
            raise InstrumentError(f"{self.name}: was {self.hello.card!r}; {found.hello.card!r} answers there now")
        return found

    def close(self) -> None:
        """Close the connection; outputs stay as they are. Harmless when done before."""
        with suppress(OSError):
            self._link.close()

    def _greeting(self) -> tuple[bytes, stream.Hello]:
        watch = Stopwatch()
        while (left_s := _HELLO_S - watch.elapsed_s) > 0.0:
            if not select.select([self._link], [], [], left_s)[0]:
                break
            for line, message in self.read():
                if isinstance(message, stream.Hello) and message.protocol == stream.PROTOCOL:
                    return line, message
                raise InstrumentError(
                    f"{self.name}: {self.address} began with {line[:80]!r}; an I/O card says hello, in version "
                    f"{stream.PROTOCOL} of the protocol"
                )
        raise InstrumentError(f"{self.name}: {self.address} did not say hello within {_HELLO_S:g} s")
