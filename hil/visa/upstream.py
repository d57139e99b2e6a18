"""One instrument as the keeper holds it: messages out, answers in, and waits that can be broken off.

A driver's query waits for its whole time-out. The keeper cannot: while it waits for an answer to the test's query, the
test may die, and the safe sequence must go out at once. Over TCP the bytes go through the session's own socket:
pyvisa-py's read loses what has come when its time is over, waits on when the instrument has hung up, and cannot be
woken.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from pyvisa.constants import StatusCode
from pyvisa.errors import Error as VisaError
from pyvisa.errors import VisaIOError

from hil.awake import Awake
from hil.clock import Stopwatch
from hil.errors import InstrumentError
from hil.visa.door import Session, open_manager
from hil.visa.scpi.parser import split_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyvisa import ResourceManager
    from pyvisa.resources import MessageBasedResource

    from hil.visa.door import Identity

_SLICE_S = 0.01  # how long an interface that cannot be woken is read at a time [s]
_SEND_S = 1.0  # how long an instrument may take nothing [s]
_CHUNK = 1 << 16  # bytes read at once


class Upstream:
    """The keeper's own connection to an instrument; one thread uses it.

    Args:
        session: the open session.
        resource: its VISA resource.
        identity: what it answered to ``*IDN?``.
        manager: kept as long as this; never closed here, for pyvisa has one manager in a process, and closing it ends
            the sessions of all instruments.
        backend: the VISA backend.
    """

    def __init__(
        self,
        session: Session,
        resource: MessageBasedResource,
        identity: Identity,
        manager: ResourceManager,
        backend: str = "@py",
    ) -> None:
        self.identity = identity
        self._session = session
        self._resource = resource
        self._manager = manager
        self._backend = backend
        self._socket = _socket_of(resource)
        self._descriptor = -1 if self._socket is None else self._socket.fileno()
        self._wake: Sequence[int] = ()
        self._awake = self._waking()
        self._received = bytearray()
        self._searched = 0
        """How much of it holds no end of an answer."""
        self._closed = False

    @classmethod
    def open(cls, resource_name: str, name: str, *, backend: str = "@py") -> Upstream:
        """Open an instrument and ask who it is; pyvisa-py opens a refused port without an error.

        Raises:
            InstrumentError: when it cannot be opened, or does not answer.
        """
        manager = open_manager(backend)
        session = Session.open(manager, resource_name, name=name, transcript=_nothing)
        try:
            return cls(session, session.resource, session.identify(), manager, backend)
        except InstrumentError:
            session.close()
            raise

    def reopened(self) -> Upstream:
        """Another connection to the same instrument, in place of this one, which was lost.

        Raises:
            InstrumentError: when it cannot be opened, or something else answers there now.
        """
        self.close()
        found = Upstream.open(self._session.resource_name, self._session.name, backend=self._backend)
        if found.identity != self.identity:
            found.close()
            raise InstrumentError(f"{self._session.name}: was {self.identity}; {found.identity} answers there now")
        return found

    @property
    def has_input(self) -> bool:
        """Whether something stands there to be read: an answer that nobody waited for."""
        if self._received or self._closed:
            return True
        return self._socket is not None and self._descriptor in self._awake.look(0.0)

    def send(self, message: bytes) -> None:
        """Send one message; its terminator is added.

        Raises:
            InstrumentError: when it cannot be sent.
        """
        if self._closed:
            raise InstrumentError(f"{self._session.name}: {message[:60]!r} cannot be sent: the connection is closed")
        try:
            if self._socket is None:
                self._resource.write_raw(message + b"\n")
            else:
                self._push(self._socket, message + b"\n")
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
        if wake != self._wake:
            self._wake = wake
            self._awake = self._waking()
        answer = None if self._socket is None else self._complete()
        while answer is None:
            left_s = max(0.0, within_s - watch.elapsed_s)
            if self._socket is None:
                answer = None if stop() else self._read(min(left_s, _SLICE_S))
            elif self._descriptor in (readable := self._awake.wait(left_s)):
                self._fill(self._socket)
                answer = self._complete()
            elif readable and stop():
                return None
            if answer is None and (left_s <= 0.0 or (self._socket is None and stop())):
                return None
        return answer

    def close(self) -> None:
        """Close the connection; outputs stay as they are. Harmless when done before."""
        if self._closed:
            return
        self._closed = True
        self._session.close()

    # -- over TCP -----------------------------------------------------------------------------------------

    def _push(self, link: socket.socket, message: bytes) -> None:
        watch, left = Stopwatch(), memoryview(message)
        while left:
            try:
                left = left[link.send(left, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                left_s = _SEND_S - watch.elapsed_s
                if left_s <= 0.0 or not select.select([], [link], [], left_s)[1]:
                    raise InstrumentError(
                        f"{self._session.name}: takes nothing any more; {len(left)} of {len(message)} bytes were not "
                        f"sent within {_SEND_S:g} s"
                    ) from None

    def _waking(self) -> Awake:
        return Awake() if self._socket is None else Awake(self._descriptor, *self._wake)

    def _fill(self, link: socket.socket) -> None:
        try:
            found = link.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            raise InstrumentError(f"{self._session.name}: the connection failed while reading: {error}") from error
        if not found:
            raise InstrumentError(f"{self._session.name}: the instrument has ended the connection")
        self._received += found

    def _complete(self) -> bytes | None:
        """One whole answer of what was received; a line feed inside a block does not end it."""
        end = self._received.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._received)
            return None
        if b"#" in self._received:
            messages, _ = split_messages(bytes(self._received), end=False)
            if not messages:
                return None
            end = len(messages[0])
        answer = bytes(self._received[:end]).removesuffix(b"\r")
        del self._received[: end + 1]
        self._searched = 0
        return answer

    # -- over anything else -------------------------------------------------------------------------------

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
