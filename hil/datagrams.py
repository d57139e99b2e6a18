"""Datagrams between articles and clients: whole messages of bytes, as a UDP stream carries them.

A datagram net hands what one pin sends to everybody who listens anywhere on it, at the same instant, device phase; who
listens at the sender's own pin taps its cable. Latency, loss and order are the sender's: a tracker that reports late
sends late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from hil.clock import Clock, Phase
from hil.errors import WiringError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Listener: TypeAlias = "Callable[[bytes, int], object]"
"""Takes a payload and the rig time it was sent [ns]."""
LONGEST_BYTES = 1472
"""The payload of one UDP datagram on Ethernet without fragmentation [bytes]."""


class DatagramPin:
    """One end of a datagram net.

    Args:
        name: the pin ``node.port``.
        clock: the rig clock.
    """

    __slots__ = ("_clock", "_listeners", "name", "open_count", "peers", "sent")

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.peers: list[DatagramPin] = []
        self.open_count = 0
        """How many faults keep its cable open."""
        self.sent = 0
        self._clock = clock
        self._listeners: tuple[Listener, ...] = ()

    def send(self, payload: bytes) -> None:
        """Send one datagram to every other pin on the net, and to who taps this one; nobody may be listening.

        Raises:
            WiringError: for a payload longer than one datagram.
        """
        if len(payload) > LONGEST_BYTES:
            raise WiringError(f"{self.name}: a datagram of {len(payload)} bytes; the longest has {LONGEST_BYTES}")
        self.sent += 1
        if self.open_count:
            return
        sent_ns = self._clock.now
        for end in (self, *self.peers):
            if end._listeners and not end.open_count:  # noqa: SLF001  # of its own kind
                self._clock.at(sent_ns, lambda end=end: end.take(payload, sent_ns), Phase.DEVICE)

    def take(self, payload: bytes, sent_ns: int) -> None:
        """A datagram has arrived: tell whoever listens."""
        for fn in self._listeners:
            fn(payload, sent_ns)

    def on(self, fn: Listener) -> Callable[[], None]:
        """Call ``fn(payload, sent_ns)`` for every datagram on the cable; the returned call ends it."""
        self._listeners = (*self._listeners, fn)

        def stop() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not fn)

        return stop


def join(net: str, pins: Sequence[DatagramPin]) -> None:
    """Connect pins; every one hears all others.

    Raises:
        WiringError: for a pin that is on another net already.
    """
    for pin in pins:
        if pin.peers:
            raise WiringError(f"net {net}: {pin.name} is on another net already; a pin has one cable")
        pin.peers = [other for other in pins if other is not pin]
