"""One hazardous instrument in the keeper: a port for the test, the gate, the watchdog's feed, and the safe sequence.

Each outlet has a thread of its own, so that a frozen instrument keeps no other from being made safe.
"""

from __future__ import annotations

import os
import select
import threading
import traceback
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hil.awake import Awake
from hil.clock import Stopwatch
from hil.errors import HilError, InstrumentError
from hil.safety.dialogue import Dialogue
from hil.safety.loopback import Loopback
from hil.safety.sequence import StepResult, run_sequence
from hil.units import s
from hil.visa.scpi.errors import ScpiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hil.safety.plan import KeptPlan, OutletPlan, SafeStepPlan, WatchdogPlan
    from hil.visa.gate import Gate
    from hil.visa.upstream import Upstream

_ANSWER_S = 60.0  # the test's own time-out is shorter, or it declares a hold
_FEEDS_A_TIMEOUT = 4
_IDLE_S = 1.0
_PROTECTED = -203
_FORGET = "*CLS"
_ERROR = "SYST:ERR?"
_NO_ERROR = ("0", "+0")


class Bench(Protocol):
    """What an outlet asks of the keeper; every call may come from an outlet's thread."""

    def touched(self) -> None:
        """The test said something: it makes progress."""
        ...

    def progressing(self) -> bool:
        """Whether anything but the safe sequence may be sent."""
        ...

    def may_write(self) -> bool:
        """Whether this keeper still holds the rig."""
        ...

    def why_not_energise(self, outlet: str) -> str:
        """Why an output must stay off now; "" when it may go on."""
        ...

    def quiet(self, outlet: str) -> None:
        """The test switched the only output of an instrument off."""
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


class Kept(Protocol):
    """One hazardous part as the keeper orders it about: an instrument, an I/O card, a bus."""

    @property
    def plan(self) -> KeptPlan:
        """What the rig file says of it."""
        ...

    @property
    def door(self) -> str:
        """Where the test reaches it, as it opens such a part."""
        ...

    def start(self) -> None:
        """Serve from now on."""
        ...

    def order(self, order: SafeOrder | None) -> None:
        """Have it made safe, before anything else; None ends it. Any thread may call."""
        ...

    def join(self, within_s: float) -> bool:
        """Wait for the end; False when it still hangs."""
        ...

    def lend(self) -> str:
        """Listen to the test no more; where an operator reaches it, "" where none can. Any thread may call."""
        ...

    def take_back(self) -> None:
        """Listen to the test again. Any thread may call."""
        ...


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
        self._dialogue = Dialogue(upstream)
        self._bench = bench
        self._of_test = Loopback()
        self._of_operator: Loopback | None = None
        self._handovers: deque[Loopback | None] = deque()
        self._refusals: deque[str] = deque()
        self._orders: deque[SafeOrder | None] = deque()
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        self._watched: tuple[int, ...] = ()
        self._awake = Awake(self._wake_r)
        self._may_reopen = False
        self._guarded = False
        """Whether its watchdog was set on this connection."""
        self._to_disable = False
        self._fed = Stopwatch()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"outlet {plan.name}", daemon=True)

    @property
    def port(self) -> int:
        """The TCP port on loopback at which the test reaches it."""
        return self._of_test.port

    @property
    def _loopback(self) -> Loopback:
        """Whoever may say something now: the test, or the operator who took the rig over."""
        return self._of_operator or self._of_test

    @property
    def door(self) -> str:
        """Its VISA resource for the test."""
        return _resource(self._of_test)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def order(self, order: SafeOrder | None) -> None:
        """Have the output made safe, before anything else; None ends the outlet. Any thread may call."""
        self._orders.append(order)
        self._wake()

    def lend(self) -> str:
        """Listen to an operator, and not to the test, once what it said is answered. Any thread may call.

        Returns:
            The VISA resource at which the operator reaches the instrument.
        """
        lent = Loopback()
        self._handovers.append(lent)
        self._wake()
        return _resource(lent)

    def take_back(self) -> None:
        """Listen to the test again. Any thread may call."""
        self._handovers.append(None)
        self._wake()

    def _wake(self) -> None:
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
                try:
                    self._turn(feed_s)
                except Exception as defect:  # a thread that ends leaves its output as it is
                    self._survive(defect)
        finally:
            self._end_operator()
            self._of_test.close()
            self._upstream.close()

    def _turn(self, feed_s: float) -> None:
        watchdog = self.plan.watchdog
        self._hand_over()
        due_s = _IDLE_S if watchdog is None else max(0.0, feed_s - self._fed.elapsed_s)
        readable = [] if self._orders else self._await(due_s)
        if self._orders or (self._wake_r in readable and self._ordered()):
            self._obey()
        elif readable:
            self._serve(readable)
        if watchdog is not None and self._fed.elapsed_s >= feed_s and not self._ended:
            self._feed(watchdog.feed)

    def _survive(self, defect: Exception) -> None:
        """Whoever said what leads to a defect says nothing more, and the keeper makes the rig safe."""
        traceback.print_exc()
        self._loopback.drop()
        self._watched = ()
        self._bench.lost(self.plan.name, f"a defect in the keeper: {defect!r}")

    def _await(self, within_s: float) -> list[int]:
        """Wait for an order, a message of the test, or a new owner; the next message often comes at once."""
        watched = self._loopback.descriptors
        if watched != self._watched:
            self._watched, self._awake = watched, Awake(self._wake_r, *watched)
        return self._awake.wait(within_s)

    def _hand_over(self) -> None:
        """The test's connection and what it says stay as they are while an operator has the instrument."""
        while self._handovers:
            lent = self._handovers.popleft()
            self._end_operator()
            self._of_operator = lent

    def _end_operator(self) -> None:
        lent, self._of_operator, self._watched = self._of_operator, None, ()
        if lent is not None:
            lent.close()
            self._refusals.clear()

    def _ordered(self) -> bool:
        """Whether an order waits; empties what wakes this thread."""
        with suppress(BlockingIOError):
            os.read(self._wake_r, 64)
        return bool(self._orders)

    def _obey(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            if order is None:
                self._ended = True
                return
            try:
                self._make_safe(order)
            except Exception as defect:  # the keeper waits for what came of it
                traceback.print_exc()
                order.results = [*order.results, self._trouble(f"a defect in the keeper: {defect!r}")]
            finally:
                order.done(self.plan.name, order)
            if order.last:
                self._await_end()

    def _make_safe(self, order: SafeOrder) -> None:
        self._hand_over()
        self._end_operator()
        if order.last:
            self._loopback.close()
        self._refusals.clear()
        self._may_reopen = True
        order.results = self._results_of(order.steps)
        if order.trouble and not self._may_reopen:  # what was sent last over the lost connection may be lost too
            order.results = self._results_of(order.steps)
        self._may_reopen = False
        self._set_watchdog(order)
        self._loopback.forget()  # what the test said before does not switch anything on afterwards
        self._fed = Stopwatch()

    def _results_of(self, steps: Sequence[SafeStepPlan]) -> list[StepResult]:
        """Run all steps; a defect in one keeps no other from being run."""
        results: list[StepResult] = []
        for step in steps:
            try:
                results += run_sequence([step], self, self._bench.now)
            except Exception as defect:
                traceback.print_exc()
                results.append(self._trouble(f"a defect in the keeper: {defect!r}", step.write or step.query or ""))
        return results

    def _trouble(self, why: str, step: str = "") -> StepResult:
        return StepResult(step, self._bench.now(), None, False, "", why)

    def _set_watchdog(self, order: SafeOrder) -> None:
        """Once everything is off: start the watchdog for a run that begins, stop it after the last time.

        It is stopped too when the instrument is held as it is, which it would not be for long otherwise.
        """
        watchdog = self.plan.watchdog
        if watchdog is None or order.trouble:
            return
        if order.last and self._to_disable and watchdog.disable:
            with suppress(HilError):  # everything is off
                self.send(watchdog.disable)
        elif order.steps and not order.last and not self._guarded:
            problem = self._enable(watchdog)
            if problem:
                order.results = [*order.results, self._trouble(problem, watchdog.enable)]

    def _enable(self, watchdog: WatchdogPlan) -> str:
        """Start the watchdog; why it is not known to run, "" when it is.

        The error queue is emptied first, so that it tells of the watchdog alone.
        """
        try:
            self._to_disable = True
            for command in filter(None, (_FORGET, watchdog.clear, watchdog.enable)):
                self.send(command)
            self._guarded = True
            found = self.ask(_ERROR, round(self.plan.feed_s * s))
        except HilError as problem:
            return f"the watchdog could not be set with {watchdog.enable!r}: {problem}"
        if found is not None and found.partition(",")[0].strip() in _NO_ERROR:
            return ""
        told = "no answer" if found is None else repr(found)
        return (
            f"after {watchdog.enable!r}, which is to set the watchdog, {_ERROR} was to read error 0; found {told}; "
            "see the commands of its watchdog in the rig file"
        )

    def _await_end(self) -> None:
        """Nothing more goes out; only the order to end comes."""
        while not self._ended:
            if not self._ordered():
                select.select([self._wake_r], [], [])
            while self._orders:
                order = self._orders.popleft()
                if order is None:
                    self._ended = True
                else:
                    order.done(self.plan.name, order)

    # -- the line of the safe sequence --------------------------------------------------------------------

    def send(self, text: str) -> None:
        """Send a command of the safe sequence; a connection that is lost is made anew, once a sequence.

        Raises:
            InstrumentError: when it cannot be sent, or another keeper holds the rig now.
        """
        self._demand_lease()
        message = text.encode("latin-1")
        try:
            self._dialogue.tell(message)
        except InstrumentError as lost:
            self._reopen(lost)
            self._dialogue.tell(message)

    def ask(self, text: str, within_ns: int) -> str | None:
        """Send a query of the safe sequence; no answer to anything else is taken for its own.

        Raises:
            InstrumentError: when the connection is lost.
        """
        self._demand_lease()
        message = text.encode("latin-1")
        try:
            found = self._dialogue.ask(message, within_ns / s)
        except InstrumentError as lost:
            self._reopen(lost)
            raise
        return None if found is None else found.decode("latin-1")

    def _demand_lease(self) -> None:
        if not self._bench.may_write():
            raise InstrumentError(f"{self.plan.name}: the lease is not this keeper's any more; nothing was sent")

    def _reopen(self, lost: InstrumentError) -> None:
        if not self._may_reopen:
            raise lost
        self._may_reopen = False
        self._bench.note("reopening", outlet=self.plan.name, why=str(lost))
        self._upstream = self._upstream.reopened()
        self._dialogue = Dialogue(self._upstream)
        self._guarded = False  # it may be another one, or have been switched off and on

    # -- the test's side ----------------------------------------------------------------------------------

    def _serve(self, readable: list[int]) -> None:
        if self._handovers:  # whoever speaks may have been relieved meanwhile
            return
        messages = self._loopback.take(readable)
        if messages:
            self._bench.touched()
        for message in messages:
            if self._orders:
                return
            if self._of_operator is not None:
                self._bench.note("said by hand", outlet=self.plan.name, message=_shown(message))
            try:
                self._pass(message)
            except HilError as problem:
                self._bench.lost(self.plan.name, str(problem))
                self._loopback.drop()
                return

    def _pass(self, message: bytes) -> None:
        """Let one message of the test through, or refuse it."""
        ruling = self._gate.rule(message)
        refusal = ruling.refusal
        if not refusal and not self._bench.progressing():
            refusal = "the rig is being made safe"
        if not refusal and ruling.energises:
            refusal = self._bench.why_not_energise(self.plan.name)
            if not refusal:
                self._bench.note("energised", outlet=self.plan.name, message=_shown(message))
        if refusal:
            self._bench.note("refused", outlet=self.plan.name, message=_shown(message), why=refusal)
            self._refusals.append(ScpiError(_PROTECTED, f"keeper: {refusal}").entry)
            return
        if ruling.asks and self._refusals and message.upper().startswith(b"SYST") and b"ERR" in message.upper():
            self._answer(self._refusals.popleft().encode("latin-1", "replace"))
            return
        if not self._bench.may_write():
            self._loopback.drop()
            return
        self._fed = Stopwatch()
        if not ruling.asks:
            self._dialogue.tell(message)
            self._gate.passed(ruling)
            if ruling.quiets:
                self._bench.quiet(self.plan.name)
            return
        answer = self._dialogue.ask(message, _ANSWER_S, (self._wake_r, self._loopback.client), self._interrupted)
        if answer is not None:
            self._bench.touched()
            self._answer(answer)

    def _answer(self, answer: bytes) -> None:
        if self._of_operator is not None:
            self._bench.note("answered by hand", outlet=self.plan.name, answer=_shown(answer))
        self._loopback.answer(answer, self._wake_r, self._ordered)

    def _interrupted(self) -> bool:
        """Whether the wait for an answer is over: an order came, or the test says something else, or is gone."""
        readable, _, _ = select.select([self._wake_r, self._loopback.client], [], [], 0.0)
        return (self._wake_r in readable and self._ordered()) or self._loopback.client in readable

    def _feed(self, command: str | None) -> None:
        """Traffic that keeps the instrument's watchdog from acting; none once the test stands still."""
        self._fed = Stopwatch()
        if not (self._bench.progressing() and self._bench.may_write()):
            return
        text = command or "*STB?"
        message = text.encode("latin-1")
        try:
            if "?" not in text:
                self._dialogue.tell(message)
                return
            within_s = self.plan.feed_s
            if self._dialogue.ask(message, within_s, (self._wake_r,), self._ordered) is None and not self._orders:
                self._bench.lost(self.plan.name, f"{text} was not answered within {within_s:g} s")
        except HilError as problem:
            self._bench.lost(self.plan.name, str(problem))


def _resource(loopback: Loopback) -> str:
    return f"TCPIP0::127.0.0.1::{loopback.port}::SOCKET"


def _shown(message: bytes) -> str:
    return message[:120].decode("latin-1")
