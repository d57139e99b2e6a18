"""One instrument as the keeper holds it: messages out, answers in, and waits that can be broken off.

A driver's query waits for its whole time-out. The keeper cannot: while it waits for an answer to the test's query, the
test may die, and the safe sequence must go out at once.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from pyvisa.constants import StatusCode
from pyvisa.errors import Error as VisaError
from pyvisa.errors import VisaIOError

from hil.clock import Stopwatch
from hil.errors import InstrumentError
from hil.visa.door import Session, open_manager

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyvisa import ResourceManager
    from pyvisa.resources import MessageBasedResource

    from hil.visa.door import Identity

_SLICE_S = 0.01  # how long an interface that cannot be woken is read at a time [s]


class Upstream:
    """The keeper's own connection to an instrument; one thread uses it.

    Args:
        session: the open session.
        resource: its VISA resource.
        identity: what it answered to ``*IDN?``.
        manager: closed with it.
    """

    def __init__(
        self, session: Session, resource: MessageBasedResource, identity: Identity, manager: ResourceManager
    ) -> None:
        self.identity = identity
        self._session = session
        self._resource = resource
        self._manager = manager
        self._socket = _socket_of(resource)

    @classmethod
    def open(cls, resource_name: str, name: str, *, backend: str = "@py") -> Upstream:
        """Open an instrument and ask who it is; pyvisa-py opens a refused port without an error.

        Raises:
            InstrumentError: when it cannot be opened, or does not answer.
        """
        manager = open_manager(backend)
        try:
            session = Session.open(manager, resource_name, name=name, transcript=_nothing)
            return cls(session, session.resource, session.identify(), manager)
        except InstrumentError:
            manager.close()
            raise

    def send(self, message: bytes) -> None:
        """Send one message; its terminator is added.

        Raises:
            InstrumentError: when it cannot be sent.
        """
        try:
            self._resource.write_raw(message + b"\n")
        except (VisaError, OSError) as error:
            raise InstrumentError(f"{self._session.name}: {message[:60]!r} cannot be sent: {error}") from error

    def receive(self, within_s: float, wake: Sequence[int], stop: Callable[[], bool]) -> bytes | None:
        """Wait for one answer.

        Args:
            within_s: how long [s].
            wake: file descriptors that become readable when ``stop`` may have changed.
            stop: whether to come back without an answer.

        Returns:
            The answer without its terminator; None when none came, or the wait was stopped.

        Raises:
            InstrumentError: when the connection is lost.
        """
        watch = Stopwatch()
        while not stop():
            left_s = within_s - watch.elapsed_s
            if left_s <= 0.0:
                return None
            if self._socket is not None and not self._waiting():
                readable, _, _ = select.select([self._socket, *wake], [], [], left_s)
                if self._socket not in readable:
                    continue
            answer = self._read(min(left_s, _SLICE_S))
            if answer is not None:
                return answer
        return None

    def close(self) -> None:
        """Close the connection; outputs stay as they are."""
        self._session.close()
        self._manager.close()

    def _waiting(self) -> bool:
        """Whether bytes of an answer were read already and lie in pyvisa-py's own buffer."""
        session = getattr(self._resource.visalib, "sessions", {}).get(self._resource.session)
        return bool(getattr(session, "_pending_buffer", b""))

    def _read(self, within_s: float) -> bytes | None:
        self._resource.timeout = max(1, round(within_s * 1000))
        try:
            return self._resource.read_raw().rstrip(b"\r\n")
        except VisaIOError as error:
            if error.error_code == StatusCode.error_timeout:
                return None
            raise InstrumentError(f"{self._session.name}: the connection failed while reading: {error}") from error
        except (VisaError, OSError) as error:
            raise InstrumentError(f"{self._session.name}: the connection failed while reading: {error}") from error


def _socket_of(resource: MessageBasedResource) -> socket.socket | None:
    """The socket under a session of pyvisa-py over TCP."""
    session = getattr(resource.visalib, "sessions", {}).get(resource.session)
    found = getattr(session, "interface", None)
    return found if isinstance(found, socket.socket) else None


def _nothing(direction: str, text: str) -> None:
    """Keep no transcript: the test has one of what it sent."""
