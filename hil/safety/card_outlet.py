"""One hazardous I/O card in the keeper: the gate before its outputs, its watchdog's feed, and the safe sequence.

To the test it is the card: its greeting, its samples with its own stamps, its clock. Only what moves an output is
looked at, and questions get other numbers on their way, for the keeper asks the card things of its own.
"""

from __future__ import annotations

import select
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hil.clock import Stopwatch
from hil.errors import HilError, InstrumentError
from hil.io import card_words, stream
from hil.safety.kept_part import KeptPart
from hil.units import format_duration, s

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.io.card import Quantity
    from hil.io.gate import CardGate, Move, Ruling
    from hil.io.kept_card import KeptCard
    from hil.safety.kept import Bench, SafeOrder
    from hil.safety.plan import CardPlan

_BEAT_S = 1.0
_FEEDS_A_TIMEOUT = 4
_LOOK_S = 0.002  # from one reading of the safe sequence to the next [s]
_ACK_S = 0.5  # how long the card may take to set its watchdog [s]


class _ByHand(NamedTuple):
    """What an operator asked the card."""

    asker: tuple[int, int]
    """The connection that it came by."""
    wanted: list[tuple[str, Quantity]]
    """What is to be read once the card has answered."""


class CardOutlet(KeptPart["CardPlan"]):
    """One hazardous I/O card.

    Args:
        plan: what the rig file says of it.
        gate: what the test may do with its outputs.
        card: the keeper's connection to it.
        bench: the keeper.
    """

    def __init__(self, plan: CardPlan, gate: CardGate, card: KeptCard, bench: Bench) -> None:
        super().__init__(plan, bench)
        self._gate = gate
        self._card = card
        self._received = b""
        self._number = 0
        self._asked: dict[int, int] = {}
        """Questions of the test that are under way: the card's number to the test's."""
        self._commands: dict[int, str] = {}
        """Commands of the safe sequence that are not acknowledged yet."""
        self._refused = ""
        """What the card refused of the safe sequence."""
        self._awaited = 0
        self._answer: stream.Answer | None = None
        self._of_hand: dict[int, _ByHand] = {}
        """What an operator asked the card."""
        self._own: dict[int, str] = {}
        """What the keeper itself said to the card and is not acknowledged yet: feeds, and pulses of the timer."""
        self._pulses: deque[tuple[str, bool]] = deque()
        self._silence: Stopwatch | None = None
        self._beat = 0
        self._lost = ""
        self._guarded = False
        self._fresh = True
        watchdog = plan.watchdog
        self._feed = None if watchdog is None or watchdog.feed is None else card_words.command(watchdog.feed)
        self._feed_s = _BEAT_S if watchdog is None else min(_BEAT_S, watchdog.timeout_ms / 1000.0 / _FEEDS_A_TIMEOUT)
        self._fed = Stopwatch()

    @property
    def door(self) -> str:
        """The card's address for the test."""
        return f"tcp://127.0.0.1:{self.port}"

    def level(self, port: str) -> bool | None:
        """What a discrete channel read last, None when it was never told. Any thread may call.

        Raises:
            InstrumentError: when the connection to the card is lost.
        """
        if self._lost:
            raise InstrumentError(self._lost)
        found = self._card.last(port, "level")
        return None if found is None else bool(found)

    def times(self, port: str, *, high: bool) -> int:
        """How often a discrete channel was told to be at a level, on this connection. Any thread may call."""
        return self._card.times(port, high=high)

    def pulse(self, port: str, on: bool) -> None:
        """Move an output that is reserved for the keeper. Any thread may call."""
        self._pulses.append((port, on))
        self._wake()

    # -- the line of the safe sequence --------------------------------------------------------------------

    def send(self, text: str) -> None:
        """Send a command of the safe sequence; a connection that is lost is made anew, once a sequence.

        Raises:
            InstrumentError: when it cannot be sent, or another keeper holds the rig now.
        """
        self._demand_lease()
        self._fresh, self._refused = True, ""
        question = card_words.command(text)
        try:
            self._say(question(self._next()))
        except InstrumentError as lost:
            self._reopen(lost)
            self._say(question(self._next()))
        self._commands[self._number] = text

    def ask(self, text: str, within_ns: int) -> str | None:
        """What channels read now: after the card has answered a question that was asked now.

        Raises:
            InstrumentError: when the connection is lost.
        """
        self._demand_lease()
        wanted = card_words.readings(text)
        try:
            if not self._fresh:
                self._listen(min(_LOOK_S, within_ns / s))
            self._fresh = False
            if self._answer_to(stream.AskTime, within_ns / s) is None:
                return None
        except InstrumentError as lost:
            self._reopen(lost)
            raise
        if self._refused:
            raise InstrumentError(self._refused)
        return self._read(wanted)

    def _read(self, wanted: list[tuple[str, Quantity]]) -> str:
        """What channels read last, in words."""
        found = [self._card.last(*channel) for channel in wanted]
        return ",".join("unknown" if value is None else card_words.shown(value) for value in found)

    def _reconnect(self) -> None:
        self._card = self._card.reopened()
        self._asked.clear()
        self._commands.clear()
        self._own.clear()
        self._lost = ""

    def _begin_safe(self) -> None:
        super()._begin_safe()
        self._of_hand.clear()
        self._own.clear()
        self._fresh = True

    def _made_safe(self, order: SafeOrder) -> str:
        self._gate.all_safe()
        self._forget()
        self._fed, self._silence = Stopwatch(), None
        return self._set_watchdog(order)

    def _set_watchdog(self, order: SafeOrder) -> str:
        """Start it for a run that begins once everything is off; stop it after the last time, or in a hold."""
        watchdog = self.plan.watchdog
        if watchdog is None or order.trouble or not (order.last or order.steps):
            return ""
        commands = [watchdog.disable if self._guarded else None] if order.last else [watchdog.clear, watchdog.enable]
        self._guarded = not order.last
        try:
            for text in filter(None, commands):
                answer = self._answer_to(card_words.command(text), _ACK_S)
                if not order.last and not isinstance(answer, stream.Done):
                    why = answer.why if isinstance(answer, stream.Refused) else "it was not acknowledged"
                    return f"its watchdog is not running: {text!r}: {why}"
        except InstrumentError as lost:
            return "" if order.last else str(lost)
        return ""

    def _answer_to(self, question: Callable[[int], stream.Asked], within_s: float) -> stream.Answer | None:
        """Ask the card something, and wait for its answer; None when it does not come in time."""
        watch = Stopwatch()
        self._awaited, self._answer = self._next(), None
        self._say(question(self._awaited))
        while self._answer is None and (left_s := within_s - watch.elapsed_s) > 0.0:
            self._listen(left_s)
        return self._answer

    def _listen(self, within_s: float) -> None:
        """Take what the card says, for so long at most; what the test says waits."""
        if self._card.descriptor < 0:
            raise InstrumentError(f"{self.plan.name}: the connection to the card is closed; it could not be made anew")
        if select.select([self._card.descriptor], [], [], within_s)[0]:
            self._fill()

    # -- both sides ---------------------------------------------------------------------------------------

    def _descriptors(self) -> list[int]:
        return [] if self._lost or self._card.descriptor < 0 else [self._card.descriptor]

    def _serve(self, readable: list[int]) -> None:
        try:
            if self._card.descriptor in readable:
                self._fill()
            self._pulse_due()
            said = self._door.take(readable)
            if said == b"":
                self._greet()
            elif said is not None:
                self._hear(said)
        except InstrumentError as lost:
            self._lose(str(lost))

    def _lose(self, why: str) -> None:
        if not self._lost:
            self._lost = why
            self._bench.lost(self.plan.name, why)
            self._door.drop()

    def _fill(self) -> None:
        """Hand on what the card said, and keep what it said to the keeper."""
        for line, message in self._card.read():
            match message:
                case stream.Sample():
                    self._door.send(line + b"\n")
                case stream.Done() | stream.Refused() | stream.Time():
                    self._answered(message)
                case _:
                    raise InstrumentError(f"{self.plan.name}: said {line[:80]!r}, which is not for a card to say")

    def _answered(self, answer: stream.Done | stream.Refused | stream.Time) -> None:
        asked = self._asked.pop(answer.id, None)
        if asked is not None:
            self._door.send(stream.encode(replace(answer, id=asked)))
        elif (question := self._of_hand.pop(answer.id, None)) is not None:
            if question.asker == self._asker():  # another one would take it for an answer to a question of its own
                told = answer.why if isinstance(answer, stream.Refused) else self._read(question.wanted) or "done"
                self._answer_by_hand(told)
        elif (said := self._own.pop(answer.id, None)) is not None:
            if isinstance(answer, stream.Refused):
                self._bench.lost(self.plan.name, f"{said} was refused: {answer.why}")
        elif answer.id == self._beat:
            self._silence = None
        elif answer.id == self._awaited:
            self._answer = answer
        elif (text := self._commands.pop(answer.id, None)) is not None and isinstance(answer, stream.Refused):
            self._refused = f"{text!r} was refused: {answer.why}"

    def _greet(self) -> None:
        """Somebody has connected: the greeting, and what every channel read last."""
        self._received = b""
        self._asked.clear()
        self._door.send(b"".join(line + b"\n" for line in (self._card.hello_line, *self._card.readings())))

    def _hear(self, said: bytes) -> None:
        *lines, self._received = (self._received + said).split(b"\n")
        for line in lines:
            try:
                message = stream.decode(line)
            except InstrumentError:
                self._door.drop()
                return
            match message:
                case stream.Drive() | stream.Release() | stream.Pulse() | stream.Switch():
                    self._pass(message)
                case stream.AskTime():
                    self._hand_on(message)
                case stream.Guard() | stream.Feed():
                    self._refuse(message, "only the keeper sets and feeds the watchdog")
                case _:
                    self._door.drop()
                    return

    def _pass(self, move: Move) -> None:
        """Let one message of the test through, or refuse it."""
        self._bench.touched()
        ruling = self._gate.rule(move)
        refusal = self._why_not(ruling.refusal, _shown(move), energises=ruling.energises)
        if refusal:
            self._refuse(move, refusal)
        elif not self._bench.may_write():
            self._door.drop()
        else:
            self._hand_on(move)
            self._moved(move, ruling)

    def _by_hand(self, text: str) -> str:
        """``do_arm open`` moves an output, ``di_arm,ai_heater ?`` reads channels; the card answers later.

        Raises:
            InstrumentError: why not.
        """
        number = self._next()
        if text.endswith("?"):
            self._of_hand[number] = _ByHand(self._asker(), card_words.readings(text[:-1]))
            self._say(stream.AskTime(number))
            return ""
        move = card_words.command(text)(number)
        if not isinstance(move, stream.Drive | stream.Release | stream.Switch):
            raise InstrumentError("only the keeper sets and feeds the watchdog")
        ruling = self._gate.rule(move)
        self._demand_by_hand(ruling.refusal, _shown(move), energises=ruling.energises)
        self._of_hand[number] = _ByHand(self._asker(), [])
        self._say(move)
        self._moved(move, ruling)
        return ""

    def _asker(self) -> tuple[int, int]:
        """The operator's connection: the port that was lent, and which of its owners."""
        port = self._operator.port
        return (-1, 0) if port is None else (port.port, port.owners)

    def _moved(self, move: Move, ruling: Ruling) -> None:
        self._gate.passed(move)
        if ruling.quiets:
            self._bench.quiet(self.plan.name)

    def _hand_on(self, question: Move | stream.AskTime) -> None:
        number = self._next()
        self._asked[number] = question.id
        self._say(replace(question, id=number))

    def _refuse(self, question: Move | stream.Guard | stream.Feed, why: str) -> None:
        self._door.send(stream.encode(stream.Refused(question.id, f"keeper: {why}")))

    def _forget(self) -> None:
        """What the test said before its output was made safe does not switch it on afterwards."""
        while (said := self._door.take(self._door.ready())) is not None:
            if said == b"":
                self._greet()
                continue
            *lines, self._received = (self._received + said).split(b"\n")
            for line in lines:
                with suppress(InstrumentError):
                    question = stream.decode(line)
                    if isinstance(question, stream.Drive | stream.Release | stream.Pulse | stream.Switch):
                        self._refuse(question, "the rig was made safe")
                    elif isinstance(question, stream.AskTime):
                        self._hand_on(question)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _say(self, question: stream.Asked) -> None:
        self._card.send(question)

    # -- time ---------------------------------------------------------------------------------------------

    def _tend(self) -> float:
        """Feed the watchdog while there is progress, and ask the card's clock: one that is silent is lost."""
        left_s = self._feed_s - self._fed.elapsed_s
        if left_s > 0.0:
            return left_s
        self._fed = Stopwatch()
        if self._lost or not (self._bench.progressing() and self._bench.may_write()):
            self._silence = None
            return self._feed_s
        try:
            watchdog = self.plan.watchdog
            if self._feed is not None and watchdog is not None:
                self._own[self._next()] = f"{watchdog.feed!r}, which feeds its watchdog,"
                self._say(self._feed(self._number))
            if self._silence is None:
                self._silence, self._beat = Stopwatch(), self._next()
                self._say(stream.AskTime(self._beat))
            elif self._silence.elapsed_s > self.plan.silent_s:
                self._lose(f"{self.plan.name}: the card has not answered for {self._silence.elapsed_s:.1f} s")
        except InstrumentError as lost:
            self._lose(str(lost))
        return self._feed_s

    def _pulse_due(self) -> None:
        while self._pulses:
            port, on = self._pulses.popleft()
            if self._bench.progressing() and self._bench.may_write():
                self._own[self._next()] = f"{port} {'closed' if on else 'open'}, which retriggers the timer,"
                self._say(stream.Switch(self._number, port, on))

    def _close(self) -> None:
        with suppress(HilError):
            self._card.close()


def _shown(move: Move) -> str:
    match move:
        case stream.Drive():
            return f"{move.channel} {move.volts:g} V"
        case stream.Release():
            return f"{move.channel} released"
        case stream.Switch():
            return f"{move.channel} {'closed' if move.on else 'open'}"
        case stream.Pulse():
            driven = ", ".join(f"{channel} {volts:g} V" for channel, volts in move.volts.items())
            return f"{driven} for {format_duration(move.for_ns)}"
