"""The cables of a program on a TCP port: other programs of the rig plug in, one each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import WiringError
from hil.io import cable_words as words
from hil.io.stream import LINE_MAX
from hil.sim.tcp import TcpPort

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.clock import Clock
    from hil.io.cable import Cable
    from hil.sim.connection import Connection


class CableServer:
    """Takes cables on a TCP port of this machine.

    A program that is there already is not joined by a second one of its name; one that says what it must not say, or
    runs another rig file, is unplugged.

    Args:
        cables: the cables by the program at their other end.
        clock: the rig clock.
        port: TCP port; 0 lets the system choose one.
        say: takes one line whenever a cable is unplugged because of what was said on it.
        prepare: called first in the input thread, for example to ask for its scheduling class.

    Raises:
        HilError: when the port cannot be opened.
    """

    def __init__(
        self,
        cables: Mapping[str, Cable],
        clock: Clock,
        *,
        port: int = 0,
        say: Callable[[str], object] | None = None,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self._cables = cables
        self._say = say or _nothing
        self._tcp = TcpPort(clock, self._session, port=port, name="cables", prepare=prepare)

    @property
    def address(self) -> str:
        """The address for the other programs."""
        return f"tcp://127.0.0.1:{self._tcp.port}"

    def drop(self) -> None:
        """Pull every connector, as somebody on a bench does; they can be plugged in again."""
        self._tcp.drop_all()

    def close(self) -> None:
        """Close the port and pull every connector."""
        self._tcp.close()

    def _session(self, connection: Connection) -> _Plug:
        return _Plug(self._cables, connection, self._say)


class _Plug:
    """One connection; until it has said who it is, it is no cable."""

    def __init__(self, cables: Mapping[str, Cable], connection: Connection, say: Callable[[str], object]) -> None:
        self._cables = cables
        self._connection = connection
        self._say = say
        self._cable: Cable | None = None
        self._rest = b""
        self._over = False

    def receive(self, data: bytes) -> None:
        """Take bytes. What is no message of a cable ends the connection."""
        if self._over:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            for line in lines:
                self._take(words.decode(line))
        except WiringError as problem:
            self._unplug(f"{problem}")
        if len(self._rest) > LINE_MAX:
            self._unplug(f"{len(self._rest)} bytes without a line feed")

    def end(self) -> None:
        """The other program has gone."""
        cable, self._cable = self._cable, None
        if cable is not None:
            cable.unplug()

    def _unplug(self, why: str) -> None:
        self._say(f"cable unplugged: {why}")
        self._over = True
        self.end()
        self._connection.send(words.encode(words.Refused(why)))
        self._connection.drop()

    def _take(self, word: words.Word) -> None:
        if self._cable is None:
            self._begin(word)
        if self._cable is not None:
            self._cable.receive(word)

    def _begin(self, word: words.Word) -> None:
        if not isinstance(word, words.Hello):
            raise WiringError(f"{word} was said before who is there")
        cable = self._cables.get(word.program)
        if cable is None or not cable.is_free:
            why = "it shares no net with this one" if cable is None else "it is plugged in already"
            raise WiringError(f"program {word.program} wants to plug in from {self._connection.peer}: {why}")
        self._cable = cable
        cable.plug(self._connection.send)


def _nothing(_line: str) -> None:
    """Say nothing."""
