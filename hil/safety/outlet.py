"""One hazardous instrument in the keeper: a port for the test, the gate, the watchdog's feed, and the safe sequence."""

from __future__ import annotations

import select
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from hil.awake import Awake
from hil.clock import Stopwatch
from hil.errors import HilError, InstrumentError
from hil.safety.dialogue import Dialogue
from hil.safety.kept_thread import KeptThread
from hil.safety.message_port import MessagePort
from hil.safety.operator_port import OperatorPort
from hil.units import s
from hil.visa.scpi.errors import ScpiError

if TYPE_CHECKING:
    from hil.safety.kept import Bench, SafeOrder
    from hil.safety.plan import OutletPlan, WatchdogPlan
    from hil.visa.gate import Gate
    from hil.visa.upstream import Upstream

_ANSWER_S = 60.0  # the test's own time-out is shorter, or it declares a hold
_FEEDS_A_TIMEOUT = 4
_IDLE_S = 1.0
_PROTECTED = -203
_FORGET = "*CLS"
_ERROR = "SYST:ERR?"
_NO_ERROR = ("0", "+0")


class Outlet(KeptThread["OutletPlan"]):
    """One hazardous instrument.

    Args:
        plan: what the rig file says of it.
        gate: what the test may say to it.
        upstream: the keeper's connection to it.
        bench: the keeper.
    """

    def __init__(self, plan: OutletPlan, gate: Gate, upstream: Upstream, bench: Bench) -> None:
        super().__init__(plan, bench)
        self._gate = gate
        self._upstream = upstream
        self._dialogue = Dialogue(upstream)
        self._of_test = MessagePort()
        self._operator = OperatorPort(self._wake)
        self._refusals: deque[str] = deque()
        self._watched: tuple[int, ...] = ()
        self._awake = Awake(self._wake_r)
        watchdog = plan.watchdog
        self._feed_s = _IDLE_S if watchdog is None else watchdog.timeout_ms / 1000.0 / _FEEDS_A_TIMEOUT
        self._guarded = False
        """Whether its watchdog was set on this connection."""
        self._to_disable = False
        self._fed = Stopwatch()

    @property
    def port(self) -> int:
        """The TCP port on loopback at which the test reaches it."""
        return self._of_test.port

    @property
    def _port(self) -> MessagePort:
        """Whoever may say something now: the test, or the operator who took the rig over."""
        return self._operator.port or self._of_test

    @property
    def door(self) -> str:
        """Its VISA resource for the test."""
        return _resource(self._of_test.port)

    def lend(self) -> str:
        """Listen to an operator, and not to the test, once what it said is answered. Any thread may call.

        Returns:
            The VISA resource at which the operator reaches the instrument.
        """
        return _resource(self._operator.lend())

    def take_back(self) -> None:
        """Listen to the test again. Any thread may call."""
        self._operator.take_back()

    # -- the thread ---------------------------------------------------------------------------------------

    def _turn(self) -> None:
        watchdog = self.plan.watchdog
        self._hand_over()
        due_s = _IDLE_S if watchdog is None else max(0.0, self._feed_s - self._fed.elapsed_s)
        readable = [] if self._orders else self._await(due_s)
        if self._orders or (self._wake_r in readable and self._ordered()):
            self._obey()
        elif readable:
            self._serve(readable)
        if watchdog is not None and self._fed.elapsed_s >= self._feed_s and not self._ended:
            self._feed(watchdog.feed)

    def _await(self, within_s: float) -> list[int]:
        """Wait for an order, a message of the test, or a new owner; the next message often comes at once."""
        watched = self._port.descriptors
        if watched != self._watched:
            self._watched, self._awake = watched, Awake(self._wake_r, *watched)
        return self._awake.wait(within_s)

    def _hand_over(self) -> None:
        """The test's connection and what it says stay as they are while an operator has the instrument."""
        had_it = self._operator.port
        if self._operator.hand_over():
            self._relieved(had_it)

    def _end_operator(self) -> None:
        had_it = self._operator.port
        self._operator.end()
        self._relieved(had_it)

    def _relieved(self, had_it: MessagePort | None) -> None:
        """Somebody else is listened to from now on; what was refused to an operator is the operator's."""
        self._watched = ()
        if had_it is not None:
            self._refusals.clear()

    def _ordered(self) -> bool:
        """Whether an order waits; empties what wakes this thread."""
        self._drain()
        return bool(self._orders)

    def _begin_safe(self) -> None:
        self._hand_over()
        self._end_operator()
        self._refusals.clear()

    def _made_safe(self, order: SafeOrder) -> str:
        problem = self._set_watchdog(order)
        self._port.forget()  # what the test said before does not switch anything on afterwards
        self._fed = Stopwatch()
        return problem

    def _drop(self) -> None:
        self._port.drop()

    def _shut(self) -> None:
        self._end_operator()
        self._of_test.close()

    def _close(self) -> None:
        self._upstream.close()

    def _set_watchdog(self, order: SafeOrder) -> str:
        """Once everything is off: start the watchdog for a run that begins, stop it after the last time.

        It is stopped too when the instrument is held as it is, which it would not be for long otherwise.
        """
        watchdog = self.plan.watchdog
        if watchdog is None or order.trouble:
            return ""
        if order.last and self._to_disable and watchdog.disable:
            with suppress(HilError):  # everything is off
                self.send(watchdog.disable)
        elif order.steps and not order.last and not self._guarded:
            return self._enable(watchdog)
        return ""

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

    def _reconnect(self) -> None:
        self._upstream = self._upstream.reopened()
        self._dialogue = Dialogue(self._upstream)
        self._guarded = False  # it may be another one, or have been switched off and on

    # -- the test's side ----------------------------------------------------------------------------------

    def _serve(self, readable: list[int]) -> None:
        if self._operator.changes:  # whoever speaks may have been relieved meanwhile
            return
        messages = self._port.take(readable)
        if messages:
            self._bench.touched()
        for message in messages:
            if self._orders:
                return
            if self._operator.port is not None:
                self._bench.note("said by hand", outlet=self.plan.name, message=_shown(message))
            try:
                self._pass(message)
            except HilError as problem:
                self._bench.lost(self.plan.name, str(problem))
                self._port.drop()
                return

    def _pass(self, message: bytes) -> None:
        """Let one message of the test through, or refuse it."""
        ruling = self._gate.rule(message)
        refusal = self._why_not(ruling.refusal, _shown(message), energises=ruling.energises)
        if refusal:
            self._refusals.append(ScpiError(_PROTECTED, f"keeper: {refusal}").entry)
            return
        if ruling.asks and self._refusals and message.upper().startswith(b"SYST") and b"ERR" in message.upper():
            self._answer(self._refusals.popleft().encode("latin-1", "replace"))
            return
        if not self._bench.may_write():
            self._port.drop()
            return
        self._fed = Stopwatch()
        if not ruling.asks:
            self._dialogue.tell(message)
            self._gate.passed(ruling)
            if ruling.quiets:
                self._bench.quiet(self.plan.name)
            return
        answer = self._dialogue.ask(message, _ANSWER_S, (self._wake_r, self._port.owner), self._interrupted)
        if answer is not None:
            self._bench.touched()
            self._answer(answer)

    def _answer(self, answer: bytes) -> None:
        if self._operator.port is not None:
            self._bench.note("answered by hand", outlet=self.plan.name, answer=_shown(answer))
        self._port.answer(answer, self._wake_r, self._ordered)

    def _interrupted(self) -> bool:
        """Whether the wait for an answer is over: an order came, or the test says something else, or is gone."""
        readable, _, _ = select.select([self._wake_r, self._port.owner], [], [], 0.0)
        return (self._wake_r in readable and self._ordered()) or self._port.owner in readable

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


def _resource(port: int) -> str:
    return f"TCPIP0::127.0.0.1::{port}::SOCKET"


def _shown(message: bytes) -> str:
    return message[:120].decode("latin-1")
