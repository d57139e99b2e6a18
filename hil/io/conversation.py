"""The conversation with an I/O card or a simulated world: greeting, commands and answers, comparison of clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from hil.clock import Stopwatch
from hil.errors import HilError, InstrumentError
from hil.io import stream
from hil.io.card_clock import CardClock
from hil.io.line_link import LineLink
from hil.units import format_time, ms, s

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import Clock

Found = TypeVar("Found")
Greeting = TypeVar("Greeting", stream.Hello, stream.World)

_ANSWER_NS = 2 * s  # how long a command may take to be acknowledged [ns]
_COMPARE_NS = 1 * s  # how often the clocks are compared [ns]
_SILENCE_S = 3.0  # without an answer for so long, a connection that looks open is called lost [s wall time]
_JOINED_NS = 10_000  # how far off stamps of a joined clock may be: two readings of the machine's clock [ns]
_FIRST_TRIPS = 8  # round trips before the first stamp is converted


class Conversation(Generic[Greeting]):
    """What is said with one card, or one world.

    Args:
        name: what the rig calls it.
        address: where it is, ``tcp://host:port``.
        clock: the rig clock, a paced one.
        greeting: what it must say first.
        on_said: called on the clock with everything it says unasked, and its stamp in rig time [ns].
        on_lost: called once on the clock when the connection is lost after its beginning.
        on_compared: called with the greeting and the uncertainty of stamps [ns], whenever the clocks were compared.
        on_greeted: called with the greeting before anything else is said; whether its clock and the rig clock are one
            from now on.

    Raises:
        InstrumentError: when it does not answer, or speaks another protocol.
    """

    def __init__(
        self,
        name: str,
        address: str,
        *,
        clock: Clock,
        greeting: type[Greeting],
        on_said: Callable[[stream.Stamped, int], None],
        on_lost: Callable[[], None],
        on_compared: Callable[[Greeting, int], None],
        on_greeted: Callable[[Greeting], bool] | None = None,
    ) -> None:
        if clock.pace == "virtual":
            raise InstrumentError(f"{name}: {address} is reached in wall time; set the rig's pace")
        self.lost = ""
        """When the connection was lost, and why; empty as long as it is there."""
        self._name = name
        self._address = address
        self._clock = clock
        self._greeting = greeting
        self._on_said = on_said
        self._on_lost = on_lost
        self._on_compared = on_compared
        self._on_greeted = on_greeted or _its_own
        self._is_joined = False
        self._card_clock = CardClock()
        self._hello: Greeting | None = None
        self._question = 0
        self._answers: dict[int, stream.Answer] = {}
        self._told: dict[int, str] = {}
        self._asked: dict[int, int] = {}
        self._unanswered: Stopwatch | None = None
        self._early: list[stream.Stamped] | None = []
        self._link = LineLink(name, address, clock=clock, on_line=self._line, on_end=self._end)
        try:
            self.hello = self._begin()
            """What it said of itself."""
        except HilError:
            self._link.close()
            raise
        self._comparing = clock.every(_COMPARE_NS, self._compare, timed=False)

    def close(self) -> None:
        """End it; outputs stay as they are."""
        self._comparing.cancel()
        self._link.close()

    def command(self, question: Callable[[int], stream.Asked], what: str, *, lasts_ns: int = 0) -> stream.Answer:
        """Ask for something, and wait until it is done.

        Args:
            question: makes the message from its number.
            what: what it does, in words.
            lasts_ns: how long it takes until it is done [ns].

        Returns:
            The answer; its ``id`` is the question's number.

        Raises:
            InstrumentError: when it is refused or not acknowledged, or the connection is lost.
            ClockError: in an event callback, which may not wait; nothing was sent.
        """
        self._clock.wait(self._clock.now, what=what)
        self.demand()
        number = self._send(question)
        answer = self._await(self._answer_to(number), f"an acknowledgement of {what}", lasts_ns + _ANSWER_NS)
        if isinstance(answer, stream.Refused):
            raise self._refusal(what, answer)
        return answer

    def tell(self, question: Callable[[int], stream.Asked], what: str) -> int:
        """Ask for something without waiting, as in an event callback; a refusal ends the wait that it meets.

        Returns:
            The question's number.

        Raises:
            InstrumentError: when the connection is lost.
        """
        self.demand()
        self._told[number := self._send(question)] = what
        return number

    def rig_ns(self, card_ns: int) -> int:
        """A stamp of the other clock in rig time [ns]: neither before the rig's beginning nor after now."""
        now_ns = self._clock.now
        at_ns = card_ns if self._is_joined else self._card_clock.rig_ns(card_ns, now_ns=now_ns)
        return min(max(self._clock.began_ns, at_ns), now_ns)

    def demand(self, seen: str = "") -> None:
        """Go on only when the connection is there; ``seen`` says what was seen last, for the message.

        Raises:
            InstrumentError: when it is lost.
        """
        if self.lost:
            raise InstrumentError(
                f"{self._name}: the connection to {self._address} was {self.lost}{seen and '; '}{seen}; find out why, "
                "and open the rig again"
            )

    # -- the beginning ------------------------------------------------------------------------------------

    def _begin(self) -> Greeting:
        """Take its greeting, compare clocks, and convert what it said before they were compared."""
        hello = self._await(lambda: self._hello, f"the greeting {self._greeting.__name__!r}")
        if hello.protocol != stream.PROTOCOL:
            raise InstrumentError(
                f"{self._name}: {self._address} speaks version {hello.protocol} of the protocol, the harness speaks "
                f"{stream.PROTOCOL}; use the same release on both sides"
            )
        self._is_joined = self._on_greeted(hello)
        for _ in range(_FIRST_TRIPS):
            self._await(self._answer_to(self._ask_time()), "what its clock says")
        early, self._early = self._early or [], None
        for said in early:
            self._convert(said)
        return hello

    def _answer_to(self, number: int) -> Callable[[], stream.Answer | None]:
        return lambda: self._answers.pop(number, None)

    def _await(self, look: Callable[[], Found | None], what: str, within_ns: int = _ANSWER_NS) -> Found:
        found: list[Found] = []

        def ready() -> bool:
            answer = look()
            if answer is not None:
                found.append(answer)
            return bool(found or self.lost)

        self._clock.wait(self._clock.now + within_ns, ready, f"{self._name}: {what}")
        if not found:
            self.demand()
            raise InstrumentError(
                f"{self._name}: {what} did not come from {self._address} within {within_ns // ms} ms; a command that "
                "was sent may have been carried out"
            )
        return found[0]

    # -- on the clock -------------------------------------------------------------------------------------

    def _send(self, question: Callable[[int], stream.Asked]) -> int:
        self._question += 1
        self._link.send(stream.encode(question(self._question)))
        return self._question

    def _ask_time(self) -> int:
        self._asked[self._question + 1] = self._clock.now
        return self._send(stream.AskTime)

    def _compare(self) -> None:
        """Once a second: compare the clocks; one that answers no more is lost."""
        if self.lost:
            return
        if self._unanswered is None:
            self._unanswered = Stopwatch()
            self._ask_time()
        elif self._unanswered.elapsed_s > _SILENCE_S:
            self._end(f"it has not answered for {self._unanswered.elapsed_s:.1f} s")

    def _line(self, line: bytes) -> None:
        if self.lost:
            return
        try:
            message = stream.decode(line)
        except InstrumentError as problem:
            self._end(str(problem))
            return
        match message:
            case stream.Sample() | stream.Occurred() | stream.Heard() | stream.Late():
                if self._early is None:
                    self._convert(message)
                else:
                    self._early.append(message)
            case stream.Time():
                self._compared(message)
            case stream.Done() | stream.Refused() | stream.ReadValue():
                self._answered(message)
            case _ if isinstance(message, self._greeting):
                self._hello = message
            case _:
                self._end(f"it said {message}, which is not for it to say")

    def _answered(self, answer: stream.Answer) -> None:
        what = self._told.pop(answer.id, None)
        if what is None:
            self._answers[answer.id] = answer
        elif isinstance(answer, stream.Refused):
            raise self._refusal(what, answer)

    def _refusal(self, what: str, answer: stream.Refused) -> InstrumentError:
        return InstrumentError(f"{what} was refused at {self._address}: {answer.why}")

    def _compared(self, answer: stream.Time) -> None:
        asked_ns, now_ns, hello = self._asked.pop(answer.id, None), self._clock.now, self._hello
        if asked_ns is None or hello is None:
            self._end(f"it answered question {answer.id}, which was not asked")
            return
        self._card_clock.learn(asked_ns=asked_ns, answered_ns=now_ns, card_ns=answer.at_ns)
        self._unanswered = None
        uncertainty_ns = _JOINED_NS if self._is_joined else self._card_clock.uncertainty_ns(now_ns + _COMPARE_NS)
        self._on_compared(hello, uncertainty_ns)
        if self._early is not None:
            self._answers[answer.id] = answer

    def _convert(self, said: stream.Stamped) -> None:
        self._on_said(said, self.rig_ns(said.at_ns))

    def _end(self, why: str) -> None:
        if not self.lost:
            self.lost = f"lost at {format_time(self._clock.now)}: {why}"
            if self._early is None:  # before that, the beginning itself says it
                self._on_lost()


def _its_own(_hello: object) -> bool:
    """Its clock is another one than the rig's."""
    return False
