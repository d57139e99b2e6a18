"""The keeper's control socket: lines of JSON from the processes of a run, and the news that one of them is gone.

A process is gone when its notice of death comes, its connection ends, or its pidfd says so. The notice comes first,
where there is one; a child that inherited the connection keeps that open, but not the process alive.
"""

from __future__ import annotations

import json
import os
import select
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from hil.safety.death_notice import await_death

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Message = Mapping[str, object]

_LINE_MAX = 1 << 20


class Peer:
    """One process that talks to the keeper."""

    def __init__(self, connection: socket.socket) -> None:
        self.pid, self.uid = _credentials(connection)
        self.joined = False
        """Whether it takes part in the run, so that its end matters."""
        self.left = False
        """Whether it said goodbye."""
        self.gone = False
        """Whether its connection or its process has ended."""
        self._connection = connection
        self._received = b""
        self._notices: list[int] = []
        self._pidfd = -1
        with suppress(OSError):
            self._pidfd = os.pidfd_open(self.pid)

    @property
    def descriptors(self) -> list[int]:
        """What becomes readable when it says something, or ends."""
        return [self._connection.fileno(), *([self._pidfd] if self._pidfd >= 0 else [])]

    def read(self, ready: int) -> list[Message] | None:
        """What it said; None when it is gone."""
        if ready == self._pidfd:
            return None
        try:
            data, notices, _, _ = socket.recv_fds(self._connection, 1 << 16, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return None
        self._notices += notices
        if not data or len(self._received) > _LINE_MAX:
            return None
        *lines, self._received = (self._received + data).split(b"\n")
        found: list[Message] = []
        for line in lines:
            with suppress(ValueError):
                said: object = json.loads(line)
                if isinstance(said, dict):
                    found.append(cast("Message", said))
        return found

    def take_notices(self) -> list[int]:
        """The file descriptors it sent, for its notice of death; whoever takes them closes them."""
        found, self._notices = self._notices, []
        return found

    def reply(self, **fields: object) -> None:
        """Answer; a process that is gone hears nothing."""
        with suppress(OSError):
            self._connection.sendall(json.dumps(fields, default=str).encode() + b"\n")

    def tell(self, **fields: object) -> None:
        """Say what was not asked; a process that does not listen keeps nobody waiting."""
        with suppress(OSError):
            self._connection.send(json.dumps(fields, default=str).encode() + b"\n", socket.MSG_DONTWAIT)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


class ControlSocket:
    """Listens in a thread of its own.

    Args:
        path: where the socket is made.
        said: called in that thread with each message and who said it.
        gone: called in that thread, or one that waits for a notice of death, with the id of a process that had joined
            and is gone without goodbye; it may be called more than once.
        starter: process that began the run; its end counts although it may not have joined yet.
    """

    def __init__(
        self,
        path: Path,
        said: Callable[[Peer, Message], None],
        gone: Callable[[int], None],
        *,
        starter: int,
    ) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        os.chmod(path, 0o600)  # noqa: PTH101
        self._listener.listen()
        self._said = said
        self._gone = gone
        self._starter = starter
        threading.Thread(target=self._run, name="control", daemon=True).start()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        by_descriptor: dict[int, Peer] = {}
        try:
            starter = os.pidfd_open(self._starter)
            poll.register(starter, select.POLLIN)
        except OSError:
            starter = -1
            self._gone(self._starter)
        while True:
            for ready, _ in poll.poll():
                if ready == starter:
                    poll.unregister(starter)
                    self._gone(self._starter)
                    continue
                if ready == self._listener.fileno():
                    peer = Peer(self._listener.accept()[0])
                    for descriptor in peer.descriptors:
                        by_descriptor[descriptor] = peer
                        poll.register(descriptor, select.POLLIN)
                    continue
                peer = by_descriptor.get(ready)
                if peer is None:
                    continue
                messages = peer.read(ready)
                for notice in peer.take_notices():
                    threading.Thread(target=self._await_notice, args=(peer, notice), name="notice", daemon=True).start()
                if messages is not None:
                    for message in messages:
                        self._said(peer, message)
                    continue
                for descriptor in peer.descriptors:
                    poll.unregister(descriptor)
                    del by_descriptor[descriptor]
                self._is_gone(peer)
                peer.close()

    def _await_notice(self, peer: Peer, notice: int) -> None:
        """In a thread of its own: nothing else can wait for it, and it may wait as long as the keeper lives."""
        if await_death(notice):
            self._is_gone(peer)

    def _is_gone(self, peer: Peer) -> None:
        peer.gone = True
        if peer.joined and not peer.left:
            self._gone(peer.pid)


def _credentials(connection: socket.socket) -> tuple[int, int]:
    """Process id and user id of the other end, as the kernel knows them."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid = (int.from_bytes(raw[start : start + 4], "little") for start in (0, 4))
    return pid, uid
