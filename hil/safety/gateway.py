"""One hazardous bus in the keeper: the gate before its frames, and the safe sequence of frames.

To the test it is a socketcand server: python-can's interface of that name is all it needs. Received frames are handed
on with their stamps. A frame that is refused never reaches the bus; the test sees an error message in its place, and
the keeper's record says why. Another one tells how many frames the keeper's own connection to the bus lost.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from hil.can import step_words
from hil.can.error_message import BUS_OFF, LOST, TX_TIMEOUT
from hil.can.gate import Live
from hil.can.socketcand_words import HI, OK, Words, error_word, frame_word, sent_frame
from hil.clock import Stopwatch
from hil.errors import BusError, HilError
from hil.safety.kept_part import KeptPart
from hil.units import format_duration, s

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.database import Database
    from hil.can.frame import Frame
    from hil.can.gate import CanGate, Ruling
    from hil.can.kept_bus import KeptBus, Received
    from hil.can.protection import Receiver
    from hil.safety.kept import Bench, SafeOrder
    from hil.safety.plan import BusPlan

_QUIET_S = 0.25  # python-can's client wants nothing behind the answer to rawmode in the same packet
_IDLE_S = 1.0


class GatewayOutlet(KeptPart["BusPlan"]):
    """One hazardous bus.

    Args:
        plan: what the rig file says of it.
        gate: what the test may send.
        database: its messages.
        opened: opens the bus; takes what is called when something can be taken from it.
        bench: the keeper.
    """

    def __init__(
        self,
        plan: BusPlan,
        gate: CanGate,
        database: Database,
        opened: Callable[[Callable[[], None]], KeptBus],
        bench: Bench,
    ) -> None:
        super().__init__(plan, bench)
        self._gate = gate
        self._database = database
        self._bus = opened(self._wake)
        self._words = Words()
        self._raw = False
        self._held: list[bytes] | None = None
        self._since_raw = Stopwatch()
        self._live = Live()
        self._sent: dict[str, Frame] = {}
        """The last frame of each message that went out and was believed, for its counter."""
        self._receivers: dict[str, Receiver] = {}
        """What the receivers on the bus make of each message."""
        self._seen: dict[str, tuple[int, Frame]] = {}
        """The last frame of each message that came in, and when it was read."""
        self._after_ns = 0
        self._told_lost = 0
        """Of the frames that the bus lost: what the test was told, or what was lost before it listened."""
        self._lost = ""

    @property
    def door(self) -> str:
        """Where the test reaches it, as ``socketcand://host:port``."""
        return f"socketcand://127.0.0.1:{self.port}"

    # -- the line of the safe sequence --------------------------------------------------------------------

    def send(self, text: str) -> None:
        """Send a frame of the safe sequence, its counter as the receivers expect it; twice when the first was lost.

        When this keeper has sent none of the message yet, two go out with consecutive counters: the receivers may have
        the first value from whoever sent before, and would reject it as a repetition.

        Raises:
            BusError: when it cannot be sent.
        """
        self._demand_lease()
        for frame in self._frames(text):
            self._after_ns = self._bench.now()
            try:
                self._bus.send(frame)
            except BusError as lost:
                self._reopen(lost)
                self._bus.send(frame)
            self._believed(frame)

    def ask(self, text: str, within_ns: int) -> str | None:
        """The value of a signal in the next frame that carries it.

        Raises:
            BusError: when the bus cannot be read, or the frame has no such signal.
        """
        self._demand_lease()
        name, signal = step_words.query(text)
        watch = Stopwatch()
        while name not in self._seen or self._seen[name][0] <= self._after_ns:
            if self._bus.trouble:
                self._reopen(BusError(f"bus {self.plan.name} cannot be read: {self._bus.trouble}"))
            left_s = within_ns / s - watch.elapsed_s
            if left_s <= 0.0:
                return None
            select.select([self._wake_r], [], [], left_s)
            self._drain()
            self._fill()
        self._after_ns, frame = self._seen[name]
        values = self._database.decode(frame)
        if signal not in values:
            raise BusError(f"{name} has no signal {signal}; it has {', '.join(values)}")
        return step_words.shown(values[signal])

    def _frames(self, text: str) -> list[Frame]:
        name, values = step_words.command(text)
        counter = self._database.protection(name).counter
        if counter is None or counter.signal in values:
            return [self._database.encode(name, values)]
        last = self._sent.get(name)
        if last is None:
            counts = [counter.first, counter.after(counter.first)]
        else:
            shift, mask, _ = counter.wheel
            order = "little" if counter.little_endian else "big"
            counts = [counter.after(int.from_bytes(last.data, order) >> shift & mask)]
        return [self._database.encode(name, values, count) for count in counts]

    def _believed(self, frame: Frame) -> bool:
        """Whether the receivers take a frame that went out, by its length, CRC and counter; its counter is the last."""
        message = self._database.find(frame)
        if message is None:
            return True
        if message.name not in self._receivers:
            self._receivers[message.name] = self._database.receiver(message.name)
        if self._receivers[message.name].check(frame) is not None:
            return False
        self._sent[message.name] = frame
        return True

    def _reconnect(self) -> None:
        self._bus = self._bus.reopened()
        self._told_lost = 0
        self._lost = ""

    def _begin_safe(self) -> None:
        super()._begin_safe()
        self._after_ns = self._bench.now()

    def _made_safe(self, order: SafeOrder) -> str:
        del order
        self._live.clear()
        while (said := self._door.take(self._door.ready())) is not None:  # what was said before sends nothing now
            if said == b"":
                self._greet()
        self._words = Words()
        return ""

    # -- the bus's side -----------------------------------------------------------------------------------

    def _descriptors(self) -> list[int]:
        return []  # the reader of the bus wakes this thread

    def _fill(self) -> None:
        """Hand on what came from the bus."""
        for received in self._bus.take():
            self._note(received)
            if self._raw:
                self._tell(_word_of(received))
        lost = self._bus.lost
        if self._raw and lost > self._told_lost:
            self._tell(error_word(LOST | lost - self._told_lost, self._bus.unix_ns()))
        self._told_lost = lost

    def _note(self, received: Received) -> None:
        if received.classes & BUS_OFF and self._live:
            self._bench.lost(self.plan.name, "the controller is bus-off while something is energised through it")
        if received.frame is not None:
            message = self._database.find(received.frame)
            if message is not None:
                self._seen[message.name] = received.read_ns, received.frame

    def _tell(self, word: bytes) -> None:
        if self._held is None:
            self._door.send(word)
        else:
            self._held.append(word)

    def _let_go(self) -> None:
        """Send what was held back since the test changed to raw mode."""
        held, self._held = self._held, None
        self._door.send(b"".join(held or ()))

    # -- the test's side ----------------------------------------------------------------------------------

    def _serve(self, readable: list[int]) -> None:
        self._fill()
        said = self._door.take(readable)
        if said == b"":
            self._greet()
        elif said is not None:
            try:
                for word in self._words.feed(said):
                    self._hear(word)
            except BusError:
                self._door.drop()

    def _greet(self) -> None:
        self._words, self._raw, self._held = Words(), False, None
        self._door.send(HI)

    def _hear(self, word: str) -> None:
        """One word of the test; what is none of this protocol ends the connection.

        Raises:
            BusError: for such a word.
        """
        if self._held is not None:
            self._let_go()
        match word.partition(" ")[0]:
            case "open":
                self._door.send(OK)
            case "rawmode":
                self._door.send(OK)
                self._raw, self._held, self._since_raw = True, [], Stopwatch()
            case "send" if self._raw:
                self._pass(word)
            case unknown:
                raise BusError(f"{unknown!r} is no word of raw mode")

    def _pass(self, word: str) -> None:
        """Let one frame of the test through, or refuse it."""
        self._bench.touched()
        try:
            frame = sent_frame(word)
        except BusError as problem:
            self._refuse(word, str(problem))
            return
        ruling = self._gate.rule(frame)
        begins = self._live.begins(ruling)
        if self._why_not(ruling.refusal, str(frame), energises=begins, name=ruling.message):
            self._tell_refused()
        elif not self._bench.may_write():
            self._door.drop()
        else:
            try:
                self._forward(frame, ruling)
            except BusError as problem:
                self._refuse(str(frame), str(problem))

    def _by_hand(self, text: str) -> str:
        """``MESSAGE SIGNAL=1 OTHER=NAME`` sends a message, ``MESSAGE ?`` and ``MESSAGE.SIGNAL ?`` tell what came last.

        Raises:
            HilError: why not.
        """
        if text.endswith("?"):
            return self._last_seen(text[:-1].strip())
        for frame in self._frames(text):
            ruling = self._gate.rule(frame)
            begins = self._live.begins(ruling)
            self._demand_by_hand(ruling.refusal, str(frame), energises=begins, name=ruling.message)
            self._forward(frame, ruling)
        return "sent"

    def _last_seen(self, asked: str) -> str:
        """The signals of the last frame of a message that came in, or one of them, and how old that is."""
        name, _, signal = asked.partition(".")
        self._database.message(name)
        if name not in self._seen:
            raise BusError(f"no frame of {name} has come in")
        read_ns, frame = self._seen[name]
        values = self._database.decode(frame)
        if signal and signal not in values:
            raise BusError(f"{name} has no signal {signal}; it has {', '.join(values)}")
        told = {signal: values[signal]} if signal else values
        pairs = " ".join(f"{each}={step_words.shown(value)}" for each, value in told.items())
        return f"{pairs}, {format_duration(self._bench.now() - read_ns)} ago"

    def _forward(self, frame: Frame, ruling: Ruling) -> None:
        """Send what may be sent.

        Raises:
            BusError: when it cannot be.
        """
        self._bus.send(frame)
        if self._live.passed(ruling, believed=self._believed(frame)):
            self._bench.quiet(self.plan.name)

    def _refuse(self, shown: str, why: str) -> None:
        self._bench.note("refused", outlet=self.plan.name, message=shown, why=why)
        self._tell_refused()

    def _tell_refused(self) -> None:
        self._tell(error_word(TX_TIMEOUT, self._bus.unix_ns()))

    # -- time ---------------------------------------------------------------------------------------------

    def _tend(self) -> float:
        if self._bus.trouble and not self._lost:
            self._lost = f"bus {self.plan.name} cannot be read: {self._bus.trouble}"
            self._bench.lost(self.plan.name, self._lost)
        if self._held is None:
            return _IDLE_S
        left_s = _QUIET_S - self._since_raw.elapsed_s
        if left_s <= 0.0:
            self._let_go()
            return _IDLE_S
        return left_s

    def _close(self) -> None:
        try:
            self._bus.close()
        except (HilError, OSError) as problem:
            self._bench.note("not closed", outlet=self.plan.name, why=str(problem))


def _word_of(received: Received) -> bytes:
    if received.frame is None:
        return error_word(received.classes, received.unix_ns)
    return frame_word(received.frame, received.unix_ns)
