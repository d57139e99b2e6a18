"""The end of a program by SIGTERM or SIGINT, without an interrupt in the middle of anything."""

from __future__ import annotations

import signal
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_ENDING = (signal.SIGTERM, signal.SIGINT)


def on_end(fn: Callable[[], None]) -> None:
    """Call ``fn`` in a thread of its own at the first SIGTERM or SIGINT; the signals do nothing else from then on.

    A signal handler runs between any two instructions of the main thread, where it must take no lock; so it does
    nothing, and the interpreter's wake-up descriptor tells a thread that may. To be called in the main thread.
    """
    receiving, sending = socket.socketpair()
    sending.setblocking(False)
    signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)
    for number in _ENDING:
        signal.signal(number, _nothing)

    def wait() -> None:
        receiving.recv(1)
        fn()
        sending.detach()  # the interpreter keeps writing to it

    threading.Thread(target=wait, name="signals", daemon=True).start()


def _nothing(*_: object) -> None:
    """The wake-up descriptor has told everything."""
