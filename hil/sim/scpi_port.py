"""A simulated instrument on a TCP port, as a real one answers on its ``SOCKET`` resource.

    python -m hil.sim.scpi_server --twin hil.visa.keysight_n6700_twin:KeysightN6700Twin --serial MY1 --port 0

prints ``listening PORT``; ``TCPIP0::127.0.0.1::PORT::SOCKET`` reaches it with pyvisa and pyvisa-py. Program messages
end in a line feed; a definite-length block may contain line feeds.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from hil.sim.exchange import Exchange
from hil.sim.tcp import TcpPort
from hil.units import ms
from hil.visa.scpi.parser import split_messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.faults import Fault
    from hil.sim.connection import Connection
    from hil.visa.twin import Twin

FAULTS = ("refused", "dropped", "slow")
"""Faults of the connection, beside those of the instrument."""
_MESSAGE_MAX = 64 << 20  # bytes without an end after which a client is sent away


class ScpiServer:
    """Serves one simulated instrument on a TCP port of this machine.

    Args:
        twin: the instrument; its clock is a wall clock that somebody runs.
        port: TCP port; 0 lets the system choose one.
        clients: ``"one"`` closes a second connection at once; with ``"many"`` every client gets the answers to its
            own queries.
        latency_ns: rig time that passes before a message is executed [ns], beyond what the instrument takes.
        note: called with ("write" or "read", text) for every message.

    Raises:
        HilError: when the port cannot be opened.
    """

    def __init__(
        self,
        twin: Twin,
        *,
        port: int = 0,
        clients: Literal["one", "many"] = "many",
        latency_ns: int = 0,
        note: Callable[[str, str], None] | None = None,
    ) -> None:
        self.twin = twin
        self._note = note
        self._exchange = Exchange(twin.clock, twin.engine, latency_ns=latency_ns)
        self._tcp = TcpPort(twin.clock, self._session, port=port, clients=clients, name=twin.name)

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._tcp.port

    @property
    def resource(self) -> str:
        """The VISA resource name that reaches it."""
        return f"TCPIP0::127.0.0.1::{self.port}::SOCKET"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._tcp.connections

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put a fault on the connection or on the instrument; the returned call takes it away.

        ``refused``: nobody listens on the port. ``dropped``: every connection is closed now, new ones are taken.
        ``slow``: every message takes ``latency_ms`` longer. Others are the instrument's own.

        Raises:
            HilError: for a kind or parameter neither has.
        """
        match fault.kind:
            case "refused":
                fault.take_only()
                self._tcp.refuse()
                return self._tcp.listen_again
            case "dropped":
                fault.take_only()
                self._tcp.drop_all()
                return _nothing
            case "slow":
                fault.take_only("latency_ms")
                return self._slow(round(fault.number("latency_ms", least=0.0) * ms))
            case _:
                return self.twin.apply(fault)

    def close(self) -> None:
        """Close the port and every connection; the instrument stays as it is."""
        self._tcp.close()

    def _slow(self, longer_ns: int) -> Callable[[], None]:
        self._exchange.latency_ns += longer_ns

        def undo() -> None:
            self._exchange.latency_ns -= longer_ns

        return undo

    def _session(self, connection: Connection) -> _Lines:
        return _Lines(connection, partial(self._execute, connection))

    def _execute(self, connection: Connection, message: bytes) -> None:
        if self._note is not None:
            self._note("write", message.decode("latin-1"))
        self._exchange.put(message, partial(self._reply, connection))

    def _reply(self, connection: Connection, answer: bytes) -> None:
        if self._note is not None:
            self._note("read", answer.decode("latin-1").rstrip("\n"))
        connection.send(answer)


class _Lines:
    """Cuts what one client sends into program messages; an unfinished one goes with its client."""

    def __init__(self, connection: Connection, execute: Callable[[bytes], None]) -> None:
        self._connection = connection
        self._execute = execute
        self._partial = b""

    def receive(self, data: bytes) -> None:
        """Take bytes; execute the messages they complete."""
        messages, self._partial = split_messages(self._partial + data, end=False)
        if len(self._partial) > _MESSAGE_MAX:
            self._partial = b""
            self._connection.drop()
        for message in messages:
            self._execute(message.removesuffix(b"\r"))

    def end(self) -> None:
        """The client has gone."""
        self._partial = b""


def _nothing() -> None:
    """A connection that was dropped is not put together again."""
