"""Blocking calls in a thread of their own, while the thread of the clock runs the world."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import WallClock

Found = TypeVar("Found")


class Beside:
    """Makes one blocking call after the other beside the clock's thread, which runs the world until each is over.

    An instrument may take 20 ms for a measurement; a heartbeat that the test's program sends goes on meanwhile.

    Args:
        clock: the rig clock, a paced one.
        name: of the thread.
        urgent: called first in the thread: asks for its scheduling class.
    """

    def __init__(self, clock: WallClock, name: str, urgent: Callable[[], object] | None = None) -> None:
        self._clock = clock
        self._name = name
        self._thread = ThreadPoolExecutor(1, name, urgent or _nothing)
        self._last: Future[Any] | None = None

    def __call__(self, call: Callable[[], Found]) -> Found:
        """Make the call, run the world until it is over, and return or raise what it does.

        What ends the wait (Ctrl-C, a connection that is lost) does not end the call; the next one waits for it.

        Raises:
            ClockError: in an event callback, which may not wait; the call was not made.
        """
        self._clock.wait(self._clock.now, what=f"an answer of {self._name}")
        if self._last is not None:
            wait((self._last,))
        made = self._thread.submit(call)
        self._last = made
        made.add_done_callback(lambda _: self._clock.post(_nothing))
        self._clock.is_held_up = True
        try:
            self._clock.wait(None, made.done, f"an answer of {self._name}")
        finally:
            self._clock.is_held_up = False
        return made.result()

    def close(self) -> None:
        """Let the thread end when the last call is over."""
        if self._last is not None:
            wait((self._last,))
        self._thread.shutdown(wait=False)


def _nothing() -> None:
    pass
