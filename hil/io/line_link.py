"""One TCP connection to a device that speaks in lines; a reader thread that only posts them to the rig clock."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hil.errors import InstrumentError
from hil.io.stream import LINE_MAX
from hil.realtime import same_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import Clock

_CONNECT_S = 2.0  # how long a connection may take to come about [s]


class LineLink:
    """A connection to ``tcp://host:port``.

    Args:
        name: what the rig calls the device, for messages.
        address: where it is.
        clock: the rig clock, on which everything is reported.
        on_line: called with every line, without its line feed.
        on_end: called once with the reason when the connection ends before :meth:`close`.
        prepare: called first in the reader thread, for example to ask for its scheduling class; that of the calling
            thread unless given.

    Raises:
        InstrumentError: for an address that is none, or when nobody answers there.
    """

    def __init__(
        self,
        name: str,
        address: str,
        *,
        clock: Clock,
        on_line: Callable[[bytes], None],
        on_end: Callable[[str], None],
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self._clock = clock
        self._on_line = on_line
        self._on_end = on_end
        self._prepare = prepare or same_class()
        self._closing = False
        try:
            self._link = socket.create_connection(host_and_port(name, address), timeout=_CONNECT_S)
        except OSError as problem:
            raise InstrumentError(f"{name}: {address} does not answer: {problem}; is it switched on?") from problem
        self._link.settimeout(None)
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread = threading.Thread(target=self._read, name=f"{name} input", daemon=True)
        self._thread.start()

    def send(self, line: bytes) -> None:
        """Send a line, with its line feed; a connection that is gone is told by ``on_end``, not here."""
        with suppress(OSError):
            self._link.sendall(line)

    def close(self) -> None:
        """End the connection and its thread; harmless when done before."""
        self._closing = True
        with suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._link.close()

    def _read(self) -> None:
        self._prepare()
        rest = b""
        why = "it was closed by the other side"
        while True:
            try:
                data = self._link.recv(1 << 16)
            except OSError as problem:
                data, why = b"", f"{problem.strerror or problem}"
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                self._clock.post(partial(self._take, lines))
            if len(rest) > LINE_MAX:
                why = f"it sent {len(rest)} bytes without a line feed"
                break
        if not self._closing:
            self._clock.post(partial(self._on_end, why))

    def _take(self, lines: list[bytes]) -> None:
        for place, line in enumerate(lines, 1):
            try:
                self._on_line(line)
            except Exception:
                self._clock.post(partial(self._take, lines[place:]))  # one that ends a wait does not end the others
                raise


def host_and_port(name: str, address: str) -> tuple[str, int]:
    """Host and TCP port of an address.

    Raises:
        InstrumentError: for one that is not of the form ``tcp://host:port``.
    """
    with suppress(ValueError):  # a port that is no number
        parts = urlsplit(address)
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None:
            return parts.hostname, parts.port
    raise InstrumentError(f"{name}: the address {address!r} is not of the form tcp://host:port")
