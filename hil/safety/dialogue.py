"""Questions and answers with one instrument: no answer is ever taken for that of another question.

A query that was broken off, or not answered in time, leaves an answer that may still come. Before the next query the
dialogue is settled: it asks for the instrument's identity, which is known, and throws away what comes before it. An
instrument that cannot be settled has no answer to anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.clock import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hil.visa.upstream import Upstream

_IDENTITY = b"*IDN?"


def _never() -> bool:
    return False


class Dialogue:
    """One instrument that is asked one thing at a time.

    Args:
        upstream: the connection.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._identity = [field.strip() for field in upstream.identity]
        self._owed = False
        self._identities = 0

    @property
    def unsettled(self) -> bool:
        """Whether an answer may still come that nobody waits for."""
        return self._owed or self._upstream.has_input

    def tell(self, message: bytes) -> None:
        """Send what has no answer.

        Raises:
            InstrumentError: when it cannot be sent.
        """
        self._upstream.send(message)

    def ask(
        self, message: bytes, within_s: float, wake: Sequence[int] = (), stop: Callable[[], bool] = _never
    ) -> bytes | None:
        """Send a query and wait for its own answer.

        Args:
            message: the query.
            within_s: how long to wait [s].
            wake: file descriptors that become readable when ``stop`` may have changed.
            stop: whether to come back without an answer.

        Returns:
            The answer; None when it did not come.

        Raises:
            InstrumentError: when the connection is lost.
        """
        watch = Stopwatch()
        if self.unsettled and not self._settle(within_s, wake, stop):
            return None
        self._owed = True
        self._upstream.send(message)
        answer = self._upstream.receive(max(0.0, within_s - watch.elapsed_s), wake, stop)
        if answer is None:
            self._identities += message.strip().upper() == _IDENTITY
        else:
            self._owed = False
        return answer

    def _settle(self, within_s: float, wake: Sequence[int], stop: Callable[[], bool]) -> bool:
        """Throw away what is still to come; whether nothing is any more."""
        watch = Stopwatch()
        self._owed = True
        self._upstream.send(_IDENTITY)
        self._identities += 1
        while self._identities:
            answer = self._upstream.receive(max(0.0, within_s - watch.elapsed_s), wake, stop)
            if answer is None:
                return False
            if [field.strip() for field in answer.decode("latin-1").split(",")] == self._identity:
                self._identities -= 1
        self._owed = False
        return True
