"""The port on loopback at which the test reaches one instrument in the keeper: one owner at a time, as on a bench."""

from __future__ import annotations

import re
import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from hil.visa.scpi.parser import split_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHUNK = 1 << 20  # bytes read at once
_BLOCK_OR_TEXT = re.compile(rb"[#\"']")  # where a line feed may be part of a message


class Loopback:
    """Listens, and holds the one connection; used by the outlet's thread alone."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._client: socket.socket | None = None
        self._received = b""
        self._chunk = bytearray(_CHUNK)

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self._listener.getsockname()[1])

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What becomes readable when the test says something, or somebody connects."""
        return tuple(one for one in (self.client, self._listener.fileno()) if one >= 0)

    @property
    def client(self) -> int:
        """The connection's file descriptor; -1 without one."""
        return -1 if self._client is None else self._client.fileno()

    def take(self, readable: Sequence[int]) -> list[bytes]:
        """The messages that have come, or a new owner.

        Args:
            readable: which descriptors are readable.
        """
        if self._client is not None and self._client.fileno() in readable:
            return self._read(self._client)  # before anybody new: this one may be about to leave
        if self._listener.fileno() in readable:
            self._accept()
        return []

    def answer(self, text: bytes, wake: int, stop: Callable[[], bool]) -> None:
        """Send an answer; a test that does not read it keeps nothing from being made safe.

        Args:
            text: the answer without its terminator.
            wake: file descriptor that becomes readable when ``stop`` may have changed.
            stop: whether to give up.
        """
        left = memoryview(text + b"\n")
        while left and self._client is not None:
            try:
                left = left[self._client.send(left, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                select.select([wake], [self._client], [])
                if stop():
                    self.drop()
            except OSError:
                return  # the reader sees the end of the connection

    def forget(self) -> None:
        """Throw away everything that was said so far."""
        self._received = b""
        while self._client is not None:
            try:
                if not self._client.recv(_CHUNK, socket.MSG_DONTWAIT):
                    self.drop()
            except BlockingIOError:
                return
            except OSError:
                self.drop()

    def drop(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def close(self) -> None:
        """Let nobody in any more; harmless when done before."""
        self.drop()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # who knocked has gone again
            client, _ = self._listener.accept()
            if self._client is not None:
                client.close()
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client, self._received = client, b""

    def _read(self, client: socket.socket) -> list[bytes]:
        try:
            found = bytes(self._chunk[: client.recv_into(self._chunk, 0, socket.MSG_DONTWAIT)])
        except BlockingIOError:
            return []
        except OSError:
            found = b""
        if not found:
            self.drop()
            return []
        if not self._received and found[-1:] == b"\n" and not _BLOCK_OR_TEXT.search(found):
            return found[:-1].split(b"\n")
        messages, self._received = split_messages(self._received + found, end=False)
        return messages
