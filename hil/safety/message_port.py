"""The port on loopback at which one instrument in the keeper is reached: messages in, an answer to each query out."""

from __future__ import annotations

import re
import select
from typing import TYPE_CHECKING

from hil.safety.owner_port import OwnerPort
from hil.visa.scpi.parser import split_messages

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

_CHUNK = 1 << 20  # bytes read at once
_BLOCK_OR_TEXT = re.compile(rb"[#\"']")  # where a line feed may be part of a message


class MessagePort(OwnerPort):
    """An owner's port for messages that end with a line feed."""

    def __init__(self) -> None:
        super().__init__()
        self._received = b""
        self._chunk = bytearray(_CHUNK)

    def take(self, readable: Sequence[int]) -> list[bytes]:
        """The messages that have come; none of a new owner yet.

        Args:
            readable: which descriptors are readable.
        """
        found = self._comes(readable, self._receive)
        if not found:
            if found is not None:
                self._received = b""
            return []
        if not self._received and found[-1:] == b"\n" and not _BLOCK_OR_TEXT.search(found):
            return found[:-1].split(b"\n")
        messages, self._received = split_messages(self._received + found, end=False)
        return messages

    def answer(self, text: bytes, wake: int, stop: Callable[[], bool]) -> None:
        """Send an answer; an owner who does not read it keeps nothing from being made safe.

        Args:
            text: the answer without its terminator.
            wake: file descriptor that becomes readable when ``stop`` may have changed.
            stop: whether to give up.
        """
        left = memoryview(text + b"\n")
        while left and self._owner is not None:
            try:
                left = left[self._owner.send(left) :]
            except BlockingIOError:
                select.select([wake], [self._owner], [])
                if stop():
                    self.drop()
            except OSError:
                return  # the reader sees the end of the connection

    def forget(self) -> None:
        """Throw away everything that was said so far."""
        self._received = b""
        while self._owner is not None:
            try:
                if not self._receive(self._owner):
                    self.drop()
            except BlockingIOError:
                return
            except OSError:
                self.drop()

    def _receive(self, owner: socket.socket) -> bytes:
        return bytes(self._chunk[: owner.recv_into(self._chunk)])
