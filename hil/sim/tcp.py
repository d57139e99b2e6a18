"""A TCP port whose bytes arrive on the rig clock: one input thread that only posts, answers sent as they come.

The input thread accepts, reads, and hands everything to :meth:`hil.clock.Clock.post`; what the bytes mean is decided
on the clock's thread. Answers leave from the clock's thread without waiting; what the socket does not take at once is
sent by the input thread when it can.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from hil.errors import HilError
from hil.sim.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import Clock

HOST = "127.0.0.1"
"""Simulated endpoints are for this machine alone."""
_CHUNK = 1 << 16  # bytes read at once
_BACKLOG = 16  # connections the kernel holds until they are accepted


class Session(Protocol):
    """What is said on one connection; both methods are called on the clock's thread."""

    def receive(self, data: bytes) -> None:
        """Take bytes, as they were cut by the network."""
        ...

    def end(self) -> None:
        """The connection is gone."""
        ...


class TcpPort:
    """A listening port on this machine.

    Args:
        clock: the rig clock; sessions live on its thread.
        serve: makes the session of a new connection, on the clock's thread.
        port: TCP port; 0 lets the system choose one.
        clients: ``"one"`` closes every further connection at once, as instruments with one session do.
        name: what it serves, for messages.
        prepare: called first in the input thread, for example to ask for its scheduling class.

    Raises:
        HilError: when the port cannot be opened.
    """

    def __init__(
        self,
        clock: Clock,
        serve: Callable[[Connection], Session],
        *,
        port: int = 0,
        clients: Literal["one", "many"] = "many",
        name: str = "port",
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self._clock = clock
        self._serve = serve
        self._one = clients == "one"
        self._name = name
        self._prepare = prepare
        self._selector = selectors.DefaultSelector()
        self._open: list[Connection] = []
        self._jobs: deque[Callable[[], None]] = deque()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, self._work)
        self._listener: socket.socket | None = None
        self._closing = False
        self._port = port
        try:
            self._listen()
        except HilError:
            self._end()
            self._waker.close()
            raise
        self._thread = threading.Thread(target=self._run, name=f"{name} input", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return self._port

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._open)

    def refuse(self) -> None:
        """Stop listening and end every connection: further ones are refused by the system."""
        self._await(self._deafen)
        self.drop_all()

    def listen_again(self) -> None:
        """Listen on the same port again.

        Raises:
            HilError: when another program has taken the port.
        """
        if self._listener is None:
            self._await(self._listen)

    def drop_all(self) -> None:
        """End every connection; the port stays open."""
        for connection in tuple(self._open):
            connection.drop()

    def close(self) -> None:
        """End everything, and the input thread with it; harmless when done before."""
        if not self._closing:
            self._closing = True
            self.wake(_nothing)
            self._thread.join()
            self._waker.close()

    def wake(self, job: Callable[[], None]) -> None:
        """Have the input thread do something; from any thread."""
        self._jobs.append(job)
        with suppress(BlockingIOError, OSError):  # full means that it is about to wake; closed, that it has ended
            self._waker.send(b"\0")

    # -- inside -------------------------------------------------------------------------------------------

    def _await(self, job: Callable[[], None]) -> None:
        """Have the input thread do something and wait until it has; it never waits for the clock."""
        done = threading.Event()
        problems: list[HilError] = []

        def run() -> None:
            try:
                job()
            except HilError as problem:
                problems.append(problem)
            done.set()

        self.wake(run)
        done.wait()
        for problem in problems:
            raise problem

    def _listen(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, self._port))
            listener.listen(_BACKLOG)
        except OSError as refusal:
            listener.close()
            raise HilError(
                f"{self._name}: TCP port {HOST}:{self._port} cannot be opened: {refusal.strerror}; is a simulation "
                "running already? End it, or give another port"
            ) from refusal
        listener.setblocking(False)
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def _deafen(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _run(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while not self._closing:
            for key, events in self._selector.select():
                key.data(events)
        self._deafen()
        for connection in tuple(self._open):
            self._forget(connection)
        self._end()

    def _end(self) -> None:
        self._selector.close()
        self._woken.close()

    def _work(self, _events: int) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(_CHUNK)
        while self._jobs:
            self._jobs.popleft()()

    def _accept(self, _events: int) -> None:
        if self._listener is None:
            return
        try:
            link, address = self._listener.accept()
        except OSError:  # the client has gone again
            return
        if self._one and self._open:
            link.close()
            return
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(link, f"{address[0]}:{address[1]}", self._writing)
        self._open.append(connection)
        served: list[Session] = []
        self._clock.post(lambda: served.append(self._serve(connection)))
        self._selector.register(link, selectors.EVENT_READ, partial(self._ready, connection, served))

    def _writing(self, connection: Connection) -> None:
        """Bytes wait for the socket: have the input thread look for it to take them."""
        self.wake(partial(self._look_for_writing, connection, wanted=True))

    def _look_for_writing(self, connection: Connection, *, wanted: bool) -> None:
        mode = selectors.EVENT_READ | selectors.EVENT_WRITE if wanted else selectors.EVENT_READ
        if connection in self._open:
            key = self._selector.get_key(connection.link)
            self._selector.modify(connection.link, mode, key.data)

    def _ready(self, connection: Connection, served: list[Session], events: int) -> None:
        if events & selectors.EVENT_WRITE and connection.push():
            self._look_for_writing(connection, wanted=False)
        if not events & selectors.EVENT_READ:
            return
        try:
            data = connection.link.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._clock.post(lambda: served[0].receive(data))
            return
        self._forget(connection)
        self._clock.post(lambda: served[0].end())

    def _forget(self, connection: Connection) -> None:
        self._selector.unregister(connection.link)
        connection.link.close()
        self._open.remove(connection)


def _nothing() -> None:
    """Wake up, nothing more."""
