"""The CAN port of simulated articles: named messages out, with counter and CRC filled in; named messages in.

``can_a = BusPort()`` on a class declares the port; which bus it meets, the rig file says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import WiringError
from hil.ports import Port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.can.frame import Frame
    from hil.can.protection import Sender
    from hil.ports import Bearer, BusAttachment, Ports


class BusConnection:
    """A CAN port of a live article: named messages out, with counter and CRC filled in; named messages in.

    Its controller accepts the identifiers of the messages the article takes, and no others.
    """

    def __init__(self, article: Bearer, attachment: BusAttachment) -> None:
        self._article = article
        self.database = attachment.database
        """The messages of the bus it meets."""
        self.prefix = attachment.prefix
        """Prefix of the article's own messages in the database."""
        self._senders: dict[str, Sender] = {}
        self._ends: dict[str, Callable[[], None]] = {}
        self.node = attachment.node
        self.node.on_frame(_nothing, accept=())
        self.node.power(False)

    def full_name(self, message: str) -> str:
        """The name of a message in the database: the article's own with its prefix, else that very name.

        Raises:
            BusError: when the database has neither.
        """
        own = f"{self.prefix}_{message}"
        return message if own not in self.database and message in self.database else self.database.message(own).name

    def send(self, message: str, signals: Mapping[str, float | int | str]) -> None:
        """Send a message, named without the article's prefix or in full; an article without power sends nothing.

        Raises:
            BusError: for an unknown message or signal, a missing one, or a value out of range.
        """
        if not self._article.powered:
            return
        sender = self._senders.get(message)
        if sender is None:
            sender = self._senders[message] = self.database.sender(self.full_name(message))
        self.node.send(sender.frame(signals))

    def on(self, message: str, fn: Callable[[Mapping[str, float | int | str]], None], *, checked: bool = True) -> None:
        """Call ``fn(signals)`` for every message of that full name whose counter and CRC are right.

        Nothing is received while the article's software does not run. A second call for a message takes the place of
        the first.

        Args:
            message: full name of the message.
            fn: takes its signals.
            checked: False for an article whose software looks at neither counter nor CRC.

        Raises:
            BusError: when the database has no such message.
        """
        article, decode = self._article, self.database.decoder(message)
        receiver = self.database.receiver(message) if checked else None

        def arrived(frame: Frame) -> None:
            if article.running and (receiver is None or receiver.check(frame) is None):
                fn(decode(frame))

        previous = self._ends.get(message)
        if previous is not None:
            previous()
        self._ends[message] = self.node.on_frame(arrived, accept=[self.database.identifier(message)])


def _nothing(frame: Frame) -> None:
    """Take no frame: an article that asked for none accepts none."""


class BusPort(Port[BusConnection]):
    """Declares a CAN port; which bus it meets, the rig file says."""

    def bind(self, ports: Ports, article: Bearer) -> BusConnection:
        """The live CAN port of one article.

        Raises:
            WiringError: when the rig file gives the article no bus for this port.
        """
        if self.name not in ports.buses:
            known = ", ".join(ports.buses) or "none"
            raise WiringError(f"{ports.name}: no bus is given for its port {self.name} (given: {known})")
        return BusConnection(article, ports.buses[self.name])
