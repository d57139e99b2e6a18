"""One hazardous instrument in the keeper: a port for the test, the gate, the watchdog's feed, and the safe sequence.

Each outlet has a thread of its own, so that a frozen instrument keeps no other from being made safe.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hil.clock import Stopwatch
from hil.errors import HilError, InstrumentError
from hil.safety.sequence import StepResult, run_sequence
from hil.units import ms, s
from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.parser import split_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hil.safety.plan import OutletPlan, SafeStepPlan
    from hil.visa.gate import Gate
    from hil.visa.upstream import Upstream

_ANSWER_S = 60.0  # the test's own time-out is shorter, or it declares a hold
_FEED_S = 0.5  # how long an instrument may take to answer what feeds its watchdog
_OWED_NS = 50 * ms  # how long the answer to a query that was broken off is awaited
_FEEDS_A_TIMEOUT = 4
_IDLE_S = 1.0
_PROTECTED = -203


class Bench(Protocol):
    """What an outlet asks of the keeper; every call may come from an outlet's thread."""

    def touched(self) -> None:
        """The test said something: it makes progress."""
        ...

    def progressing(self) -> bool:
        """Whether the watchdog may be fed."""
        ...

    def may_write(self) -> bool:
        """Whether this keeper still holds the rig."""
        ...

    def why_not_energise(self, outlet: str) -> str:
        """Why an output must stay off now; "" when it may go on."""
        ...

    def note(self, what: str, **fields: object) -> None:
        """Put something into the keeper's record."""
        ...

    def lost(self, outlet: str, why: str) -> None:
        """The instrument does not answer any more."""
        ...

    def now(self) -> int:
        """The keeper's clock [ns]."""
        ...


@dataclass
class SafeOrder:
    """The order to make an output safe, and what came of it."""

    steps: Sequence[SafeStepPlan]
    last: bool
    """Whether the test gets no more access afterwards."""
    done: Callable[[str, SafeOrder], None]
    results: list[StepResult] = field(default_factory=list[StepResult])

    @property
    def trouble(self) -> str:
        """Why the output is not known to be safe; "" when it is."""
        return "; ".join(result.trouble for result in self.results if result.trouble)


class Outlet:
    """One hazardous instrument.

    Args:
        plan: what the rig file says of it.
        gate: what the test may say to it.
        upstream: the keeper's connection to it.
        bench: the keeper.
    """

    def __init__(self, plan: OutletPlan, gate: Gate, upstream: Upstream, bench: Bench) -> None:
        self.plan = plan
        self._gate = gate
        self._upstream = upstream
        self._bench = bench
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._client: socket.socket | None = None
        self._received = b""
        self._refusals: deque[str] = deque()
        self._orders: deque[SafeOrder | None] = deque()
        self._wake_r, self._wake_w = os.pipe()
        self._owed = 0
        self._guarded = False
        self._fed = Stopwatch()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"outlet {plan.name}", daemon=True)

    @property
    def port(self) -> int:
        """The TCP port on loopback at which the test reaches it."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Start the watchdog, then serve."""
        self._thread.start()

    def order(self, order: SafeOrder | None) -> None:
        """Have the output made safe, before anything else; None ends the outlet. Any thread may call."""
        self._orders.append(order)
        with suppress(OSError):
            os.write(self._wake_w, b"!")

    def join(self, within_s: float) -> bool:
        """Wait for the end; False when the outlet still hangs."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    # -- the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        watchdog = self.plan.watchdog
        feed_s = _IDLE_S if watchdog is None else watchdog.timeout_ms / 1000.0 / _FEEDS_A_TIMEOUT
        try:
            while not self._ended:
                self._obey()
                if self._ended:
                    break
                left_s = max(0.0, feed_s - self._fed.elapsed_s)
                served = self._listener if self._client is None else self._client
                readable, _, _ = select.select([self._wake_r, self._listener, served], [], [], left_s)
                if self._wake_r in readable:
                    os.read(self._wake_r, 64)
                    continue
                if self._listener in readable:
                    self._accept()
                elif self._client is not None and self._client in readable:
                    self._serve()
                if watchdog is not None and self._fed.elapsed_s >= feed_s:
                    self._feed(watchdog.feed)
        finally:
            self._drop_client()
            self._listener.close()
            self._upstream.close()

    def _obey(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            if order is None:
                self._ended = True
                return
            if order.last:
                self._drop_client()
                self._listener.close()
            self._refusals.clear()
            order.results = run_sequence(order.steps, self, self._bench.now)
            self._set_watchdog(order)
            self._fed = Stopwatch()
            order.done(self.plan.name, order)
            if order.last:
                self._await_end()

    def _set_watchdog(self, order: SafeOrder) -> None:
        """Once everything is off: start the watchdog for a run that begins, stop it after the last time."""
        watchdog = self.plan.watchdog
        if watchdog is None or order.trouble or not order.steps:
            return
        if order.last:
            commands = [watchdog.disable] if self._guarded else []
        else:
            commands = [] if self._guarded else [watchdog.clear, watchdog.enable]
            self._guarded = True
        with suppress(HilError):  # a connection that is lost is found when the watchdog is fed
            for command in filter(None, commands):
                self.send(command)

    def _await_end(self) -> None:
        """Nothing more goes out; only the order to end comes."""
        while not self._ended:
            select.select([self._wake_r], [], [])
            os.read(self._wake_r, 64)
            while self._orders:
                order = self._orders.popleft()
                if order is None:
                    self._ended = True
                else:
                    order.done(self.plan.name, order)

    # -- the line of the safe sequence --------------------------------------------------------------------

    def send(self, text: str) -> None:
        """Send a command of the safe sequence.

        Raises:
            InstrumentError: when it cannot be sent, or another keeper holds the rig now.
        """
        if not self._bench.may_write():
            raise InstrumentError(f"{self.plan.name}: the lease is not this keeper's any more; nothing was sent")
        self._upstream.send(text.encode("latin-1"))

    def ask(self, text: str, within_ns: int) -> str | None:
        """Send a query of the safe sequence; answers to what the test asked before are not taken for its own.

        Raises:
            InstrumentError: when the connection is lost.
        """
        while self._owed:
            if self._upstream.receive(min(within_ns, _OWED_NS) / s, (), _never) is None:
                break
            self._owed -= 1
        self._owed = 0
        self.send(text)
        found = self._upstream.receive(within_ns / s, (), _never)
        if found is None:
            self._owed += 1
        return None if found is None else found.decode("latin-1")

    # -- the test's side ----------------------------------------------------------------------------------

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self._client is not None:
            client.close()  # an instrument has one owner
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client, self._received = client, b""

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _serve(self) -> None:
        assert self._client is not None
        try:
            data = self._client.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self._drop_client()
            return
        self._bench.touched()
        messages, self._received = split_messages(self._received + data, end=False)
        for message in messages:
            if self._orders:
                return
            try:
                self._pass(message)
            except (HilError, OSError) as problem:
                self._bench.lost(self.plan.name, str(problem))
                self._drop_client()
                return

    def _pass(self, message: bytes) -> None:
        """Let one message of the test through, or refuse it."""
        ruling = self._gate.rule(message)
        refusal = ruling.refusal
        if not refusal and ruling.energises:
            refusal = self._bench.why_not_energise(self.plan.name)
            if not refusal:
                self._bench.note("energised", outlet=self.plan.name, message=_shown(message))
        if refusal:
            self._bench.note("refused", outlet=self.plan.name, message=_shown(message), why=refusal)
            self._refusals.append(ScpiError(_PROTECTED, f"keeper: {refusal}").entry)
            return
        if self._refusals and message.upper().startswith(b"SYST") and ruling.asks and b"ERR" in message.upper():
            self._answer(self._refusals.popleft().encode("latin-1", "replace"))
            return
        if not self._bench.may_write():
            self._drop_client()
            return
        self._upstream.send(message)
        self._fed = Stopwatch()
        if ruling.asks:
            assert self._client is not None
            wake = (self._wake_r, self._client.fileno())
            answer = self._upstream.receive(_ANSWER_S, wake, self._interrupted)
            if answer is None:
                self._owed += 1
                return
            self._bench.touched()
            self._answer(answer)

    def _answer(self, answer: bytes) -> None:
        if self._client is not None:
            with suppress(OSError):
                self._client.sendall(answer + b"\n")

    def _interrupted(self) -> bool:
        """Whether the wait for an answer is over: an order came, or the test says something else, or is gone."""
        if self._orders:
            return True
        assert self._client is not None
        readable, _, _ = select.select([self._client], [], [], 0.0)
        return bool(readable)

    def _feed(self, command: str | None) -> None:
        """Traffic that keeps the instrument's watchdog from acting; none once the test stands still."""
        self._fed = Stopwatch()
        if not (self._bench.progressing() and self._bench.may_write()):
            return
        try:
            text = command or "*STB?"
            self._upstream.send(text.encode("latin-1"))
            if "?" in text and self._upstream.receive(_FEED_S, (self._wake_r,), lambda: bool(self._orders)) is None:
                self._owed += 1
                if not self._orders:
                    self._bench.lost(self.plan.name, f"{text} was not answered within {_FEED_S:g} s")
        except HilError as problem:
            self._bench.lost(self.plan.name, str(problem))


def _never() -> bool:
    return False


def _shown(message: bytes) -> str:
    return message[:120].decode("latin-1")
