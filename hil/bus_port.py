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
    from hil.can.protection import Receiver, Sender
    from hil.ports import Bearer, BusAttachment, Ports


class BusConnection:
    """A CAN port of a live article: named messages out, with counter and CRC filled in; named messages in."""

    def __init__(self, article: Bearer, attachment: BusAttachment) -> None:
        self._article = article
        self._database = attachment.database
        self.prefix = attachment.prefix
        """Prefix of the article's own messages in the database."""
        self._senders: dict[str, Sender] = {}
        self._receivers: dict[str, tuple[Receiver | None, Callable[[Mapping[str, float | int | str]], None]]] = {}
        self.node = attachment.node
        self.node.on_frame(self._frame)
        self.node.power(False)

    def send(self, message: str, signals: Mapping[str, float | int | str]) -> None:
        """Send one of the article's own messages, named without its prefix; an article without power sends nothing.

        Raises:
            BusError: for an unknown message or signal, a missing one, or a value out of range.
        """
        if not self._article.powered:
            return
        sender = self._senders.get(message)
        if sender is None:
            sender = self._senders[message] = self._database.sender(f"{self.prefix}_{message}")
        self.node.send(sender.frame(signals))

    def on(self, message: str, fn: Callable[[Mapping[str, float | int | str]], None], *, checked: bool = True) -> None:
        """Call ``fn(signals)`` for every message of that full name whose counter and CRC are right.

        Nothing is received while the article's software does not run.

        Args:
            message: full name of the message.
            fn: takes its signals.
            checked: False for an article whose software looks at neither counter nor CRC.

        Raises:
            BusError: when the database has no such message.
        """
        self._receivers[message] = (self._database.receiver(message) if checked else None, fn)

    def _frame(self, frame: Frame) -> None:
        if not self._article.running:
            return
        message = self._database.find(frame)
        entry = None if message is None else self._receivers.get(message.name)
        if entry is None:
            return
        receiver, fn = entry
        if receiver is None or receiver.check(frame) is None:
            fn(self._database.decode(frame))


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
