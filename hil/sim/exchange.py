"""The messages of several clients to one instrument: one at a time, every answer to the client that asked."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from hil.units import us

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import Clock
    from hil.visa.scpi.engine import Engine

_LOOK_NS = 100 * us  # how often a message that takes time of its own is looked at [ns rig time]


class Exchange:
    """Feeds an instrument's engine one program message after the other.

    The next message is executed when the one before has been answered, or needs no answer. So answers of different
    clients never mix, and a message is executed although its client has gone.

    Args:
        clock: the rig clock.
        engine: the instrument's message exchange.
        latency_ns: rig time that passes before a message is executed [ns], beyond what the instrument itself takes.
    """

    def __init__(self, clock: Clock, engine: Engine, *, latency_ns: int = 0) -> None:
        self.latency_ns = latency_ns
        self._clock = clock
        self._engine = engine
        self._waiting: deque[tuple[bytes, Callable[[bytes], None]]] = deque()
        self._answer: Callable[[bytes], None] = _to_nobody
        self._busy = False

    def put(self, message: bytes, answer: Callable[[bytes], None]) -> None:
        """Take a program message without its terminator; ``answer`` is called with the response, if there is one."""
        self._waiting.append((message, answer))
        if not self._busy:
            self._advance()

    def _advance(self) -> None:
        """Execute what waits, up to the first message that takes time."""
        self._busy = True
        while self._waiting:
            message, self._answer = self._waiting.popleft()
            if self.latency_ns:
                self._clock.at(self._clock.now + self.latency_ns, partial(self._begin, message))
                return
            self._engine.receive(message + b"\n")
            if not self._done():
                return
        self._busy = False

    def _begin(self, message: bytes) -> None:
        self._engine.receive(message + b"\n")
        self._look()

    def _look(self) -> None:
        if self._done():
            self._advance()

    def _done(self) -> bool:
        """Whether the message under way has its answer, or will have none; if not, look again later."""
        engine, now = self._engine, self._clock.now
        if engine.answer and engine.ready_ns > now:
            self._clock.at(engine.ready_ns, self._look)
            return False
        if engine.answer:
            self._answer(engine.take(len(engine.answer))[0])
            return True
        if engine.silent or engine.frozen:
            return True
        self._clock.at(now + _LOOK_NS, self._look)
        return False


def _to_nobody(_answer: bytes) -> None:
    """There is no message under way."""
