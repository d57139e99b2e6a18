"""One client of a server that speaks the messages of :mod:`hil.io.stream`: bytes to lines to questions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from hil.errors import InstrumentError
from hil.io import stream

if TYPE_CHECKING:
    from hil.sim.connection import Connection


class StreamSession(ABC):
    """Cuts what a client says into questions; a client that says what is none is dropped.

    Args:
        connection: the client.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rest = b""

    def receive(self, data: bytes) -> None:
        """Take bytes; do what their lines ask. What is no question of the protocol ends the connection."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                self.asked(stream.decode(line))
            except InstrumentError:
                self._connection.drop()
                return
        if len(self._rest) > stream.LINE_MAX:
            self._connection.drop()

    def say(self, message: stream.Message) -> None:
        """Say something to the client; a number that is not finite cannot be said, and ends the connection.

        Silence would look like the number before it.
        """
        try:
            self._connection.send(stream.encode(message))
        except ValueError:
            self._connection.drop()

    @abstractmethod
    def asked(self, question: stream.Message) -> None:
        """Do what a client asks; InstrumentError for what it may not ask."""

    @abstractmethod
    def end(self) -> None:
        """The client has gone."""
