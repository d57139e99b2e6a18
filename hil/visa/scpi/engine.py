"""The message exchange of one instrument on the rig clock (IEEE 488.2 chapter 6).

A program message is executed when the instrument has finished the one before; that takes it its *latency* of rig
time, and a response is ready at the end of it. Program messages are compiled once and remembered, so that a
query that is sent again costs a look-up.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from hil.visa.scpi.arguments import arguments
from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.parser import parse, split_messages
from hil.visa.scpi.status import Event, Status
from hil.visa.scpi.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import Clock
    from hil.clock import Event as ClockEvent

_REMEMBERED_MAX = 1_024  # compiled messages kept
_REMEMBERED_BYTES = 512  # longest message worth keeping compiled
OUTPUT_QUEUE_BYTES = 1 << 20
"""Response data an instrument can hold before reading and writing block each other (-430)."""


class Later:
    """A command that takes time of its own: the engine goes on with its message when it has passed.

    Args:
        duration_ns: how long the command takes [ns]; None until no operation is pending.
        finish: called at the end, gives the response.
    """

    __slots__ = ("duration_ns", "finish")

    def __init__(self, duration_ns: int | None, finish: Callable[[], str | None]) -> None:
        self.duration_ns = duration_ns
        self.finish = finish


Result = str | Later | None


class _Call(NamedTuple):
    """One compiled unit: what to run, with what, or the error it is."""

    run: Callable[..., Result]
    arguments: tuple[object, ...]
    query: bool
    indefinite: bool


class _Suspended(NamedTuple):
    """A message stopped in the middle by a command that takes time."""

    program: tuple[_Call, ...]
    position: int
    answers: list[str]
    closed: bool
    finish: Callable[[], str | None]


class Engine:
    """One instrument's message exchange.

    Args:
        clock: the rig clock.
        latency_ns: rig time the instrument takes for one program message [ns].
    """

    def __init__(self, clock: Clock, *, latency_ns: int) -> None:
        self._clock = clock
        self.latency_ns = latency_ns
        self.tree = Tree()
        self.status = Status(self.readable)
        self.answer = b""
        """The response message that waits to be read."""
        self.ready_ns = 0
        """Rig time from which :attr:`answer` can be read [ns]."""
        self.last_io_ns = 0
        """Rig time of the last message on the interface [ns]."""
        self.frozen = False
        """A fault: the interface takes everything and never answers."""
        self.trigger: Callable[[], None] = self._no_trigger
        """What ``*TRG`` and the interface's trigger message do."""
        self.reset: Callable[[], None] = _nothing
        """What ``*RST`` does beyond the settings."""
        self._programs: dict[bytes, tuple[_Call, ...]] = {}
        self._partial = b""
        self._queue: deque[tuple[_Call, ...]] = deque()
        self._suspended: _Suspended | None = None
        self._busy_until = 0
        self._wake: ClockEvent | None = None
        self._operations = 0
        self._complete_wanted = False

    # -- the interface ------------------------------------------------------------------------------------

    def receive(self, data: bytes, *, end: bool = True) -> None:
        """Take bytes from the interface; ``end`` says that END came with the last one."""
        if self.frozen:
            return
        self.last_io_ns = now = self._clock.now
        program = self._programs.get(data) if end and not self._partial else None
        if program is not None and not self._queue and self._suspended is None and now >= self._busy_until:
            self._execute(program, 0, [], now_ns=now)
            return
        messages = [data] if program is not None else self._cut(data, end=end)
        for message in messages:
            self._queue.append(self._programs.get(message) or self._compile(message))
        self._next()

    def readable(self) -> bool:
        """Whether a response can be read now."""
        return bool(self.answer) and self.ready_ns <= self._clock.now

    def answered(self) -> bool:
        """Whether a response is there, ready to be read or soon."""
        return bool(self.answer)

    @property
    def silent(self) -> bool:
        """Whether nothing that could become a response is there or on its way."""
        return not (self.answer or self._queue or self._suspended or self.frozen)

    def take(self, count: int, stop: int | None = None) -> tuple[bytes, bool]:
        """Read at most ``count`` bytes of the response, up to and with the character ``stop``.

        Returns:
            The bytes, and whether the response message ended with them.
        """
        answer = self.answer
        size = min(count, len(answer))
        if stop is not None:
            found = answer.find(stop, 0, size)
            size = size if found < 0 else found + 1
        self.answer = answer[size:]
        if size == len(answer):
            if self.status.service_enable:
                self.status.update()
            return answer, True
        return answer[:size], False

    def unterminated(self) -> None:
        """The controller reads although there is nothing to say: -420."""
        self.status.report(ScpiError(-420))

    def clear(self) -> None:
        """Device clear: forget input, output and what was under way; settings and status stay."""
        if self.frozen:
            return
        self.last_io_ns = self._clock.now
        self._partial, self.answer = b"", b""
        self._queue.clear()
        self._suspended = None
        self._complete_wanted = False
        self._busy_until = self._clock.now
        self._stop_waking()
        self.status.update()

    def freeze(self) -> Callable[[], None]:
        """A fault: from now on everything is taken and nothing answered; the returned call ends it."""
        self.clear()
        self.frozen = True

        def thaw() -> None:
            self.frozen = False

        return thaw

    # -- operations that overlap --------------------------------------------------------------------------

    def begin(self) -> None:
        """An overlapped operation has begun; ``*OPC`` and ``*WAI`` wait for its end."""
        self._operations += 1

    def finish(self) -> None:
        """An overlapped operation has ended."""
        self._operations -= 1
        if self._operations:
            return
        if self._complete_wanted:
            self._complete_wanted = False
            self.status.set_event(Event.OPERATION_COMPLETE)
        if self._suspended is not None and self._wake is None:
            self._wake = self._clock.at(self._clock.now, self._resume)

    @property
    def pending(self) -> bool:
        """Whether an overlapped operation is under way."""
        return self._operations > 0

    def complete(self) -> None:
        """``*OPC``: set the event when nothing is pending any more."""
        if self._operations:
            self._complete_wanted = True
        else:
            self.status.set_event(Event.OPERATION_COMPLETE)

    def forget_completion(self) -> None:
        """``*CLS`` and ``*RST`` cancel a waiting ``*OPC``."""
        self._complete_wanted = False

    # -- inside -------------------------------------------------------------------------------------------

    def _cut(self, data: bytes, *, end: bool) -> list[bytes]:
        messages, self._partial = split_messages(self._partial + data, end=end)
        return messages

    def _compile(self, message: bytes) -> tuple[_Call, ...]:
        units, error = parse(message.decode("latin-1"))
        resolver = self.tree.resolver()
        calls: list[_Call] = []
        for unit in units:
            try:
                command, numbers = resolver.find(unit)
                values = arguments(command.parameters, unit.tokens)
            except ScpiError as found:
                calls.append(_Call(_failing(found), (), query=False, indefinite=False))
                if found.is_command_error:
                    break
                continue
            calls.append(_Call(command.run, (*numbers, *values), unit.query, command.indefinite))
        else:
            if error is not None:
                calls.append(_Call(_failing(error), (), query=False, indefinite=False))
        program = tuple(calls)
        if len(message) <= _REMEMBERED_BYTES:
            self._remember(message, program)
        return program

    def _remember(self, message: bytes, program: tuple[_Call, ...]) -> None:
        if len(self._programs) >= _REMEMBERED_MAX:
            self._programs.clear()
        self._programs[message] = program
        if b"\n" not in message and b"#" not in message:
            self._programs[message + b"\n"] = program

    def _next(self) -> None:
        """Execute what is queued, as far as the instrument is free."""
        while self._queue and self._suspended is None:
            if self._clock.now < self._busy_until:
                if self._wake is None:
                    self._wake = self._clock.at(self._busy_until, self._woken)
                return
            self._execute(self._queue.popleft(), 0, [], now_ns=self._clock.now)

    def _woken(self) -> None:
        self._wake = None
        self._next()

    def _execute(
        self, program: tuple[_Call, ...], index: int, answers: list[str], *, now_ns: int, closed: bool = False
    ) -> None:
        """Run a message from ``index`` on; ``closed``: an indefinite response has been given already."""
        if self.answer:
            self.answer = b""
            self.status.report(ScpiError(-410))
        for position in range(index, len(program)):
            run, values, query, indefinite = program[position]
            if closed and query:
                self.status.report(ScpiError(-440))
                continue
            try:
                result = run(*values)
            except ScpiError as error:
                self.status.report(error)
                if error.is_command_error:
                    break
                continue
            if result is None:
                continue
            closed = closed or indefinite
            if isinstance(result, str):
                answers.append(result)
                continue
            self._suspend(_Suspended(program, position + 1, answers, closed, result.finish), result.duration_ns)
            return
        self._busy_until = now_ns + self.latency_ns
        if answers:
            self._respond(answers)

    def _respond(self, answers: list[str]) -> None:
        answer = (";".join(answers) + "\n").encode("latin-1", "replace")
        if len(answer) > OUTPUT_QUEUE_BYTES:
            self.status.report(ScpiError(-430, f"{len(answer)} bytes of response"))
            return
        self.answer, self.ready_ns = answer, self._busy_until
        if self.status.service_enable:
            self._clock.at(self.ready_ns, self.status.update)

    def _suspend(self, suspended: _Suspended, duration_ns: int | None) -> None:
        self._suspended = suspended
        self._stop_waking()
        if duration_ns is not None:
            self._wake = self._clock.at(self._clock.now + duration_ns, self._resume)
        elif not self._operations:
            self._wake = self._clock.at(self._clock.now, self._resume)

    def _resume(self) -> None:
        self._wake = None
        suspended, self._suspended = self._suspended, None
        if suspended is None:
            return
        try:
            answer = suspended.finish()
        except ScpiError as error:
            self.status.report(error)
            answer = None
        if answer is not None:
            suspended.answers.append(answer)
        now = self._clock.now
        self._execute(suspended.program, suspended.position, suspended.answers, now_ns=now, closed=suspended.closed)
        self._next()

    def _stop_waking(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    @staticmethod
    def _no_trigger() -> None:
        raise ScpiError(-211)


def _failing(error: ScpiError) -> Callable[[], Result]:
    def fail() -> Result:
        raise ScpiError(error.number, error.detail)

    return fail


def _nothing() -> None:
    """A reset that has nothing to do."""
