"""The keeper: decides when a rig is made safe, and says whether it is. One thread, on a wall clock of its own.

What makes it act: the test's process is gone, stands still, is over its deadline, or asks; an instrument is lost; the
keeper is asked to end. The test's life is not enough: it must make progress, which is traffic with an instrument, or a
world that is run.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from hil.clock import boot_ns
from hil.safety.by_hand import ByHand, Test
from hil.safety.deadlines import Deadlines, why_not_allowed
from hil.safety.errors import LeaseError
from hil.safety.holds import Holds
from hil.safety.kept import SafeOrder
from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hil.clock import Event, WallClock
    from hil.safety.kept import Kept
    from hil.safety.lease import Lease, Takeover
    from hil.safety.plan import KeeperPlan
    from hil.safety.record import KeeperRecord

_LOOK_NS = 10 * ms  # how often time-outs are looked at
_MARGIN_NS = 500 * ms  # what a device may take beyond the time its steps allow
_RENEWALS = 5  # of the lease within its time to live
_PERMIT_NS = 500 * ms  # how often the permit of what is energised is judged anew
_STALLED_NS = 500 * ms  # a keeper whose own clock stood still for so long feeds nothing


class State(Enum):
    """What is known of the rig."""

    SAFE = "SAFE-CONFIRMED"
    IN_USE = "IN USE"
    MAKING_SAFE = "MAKING SAFE"
    UNSAFE = "UNSAFE"


class Keeper:
    """The decisions of a keeper.

    Args:
        plan: the rig's hazards.
        clock: the keeper's clock; all calls but those named come on its thread.
        lease: the right to drive the rig.
        record: its own record.
        why_not: asked before an output of an instrument is switched on: why it may not be; "" when it may.
    """

    def __init__(
        self,
        plan: KeeperPlan,
        clock: WallClock,
        lease: Lease | Takeover,
        record: KeeperRecord,
        why_not: Callable[[str], str],
    ) -> None:
        self.plan = plan
        self.state = State.MAKING_SAFE
        self.trouble = ""
        """Why the rig is not known to be safe; "" when it is."""
        self.over = False
        """Whether the keeper has nothing left to do."""
        self.phase = plan.phase
        self.not_permitted: Callable[[str], str] = _permitted
        """Asked before an output of an instrument is switched on, and while it is: why it is not permitted."""
        self.why_opened: Callable[[str], str] = _permitted
        """Asked for every instrument at every look: which of its interlocks has opened since the last one."""
        self.kept: list[str] = []
        """What was left on because the rig file says so."""
        self.test: Test | None = None
        """The test that runs, or ran last."""
        self._clock = clock
        self._lease = lease
        self._record = record
        self._why_not = why_not
        self._outlets: dict[str, Kept] = {}
        self.by_hand = ByHand(clock, record, self._outlets)
        """Hands the rig to an operator, and back."""
        self._touched_ns = clock.now
        self._looked_ns = clock.now
        self._energised: set[str] = set()
        self._waiting: dict[str, SafeOrder] = {}
        self._on_safe: list[Callable[[bool], None]] = []
        self._ends_when_back = False
        self._detected_ns = 0
        self._give_up: Event | None = None
        self._last = False
        self._lost = False
        clock.every(_LOOK_NS, self._look)
        clock.every(_PERMIT_NS, self._look_at_permits)
        clock.every(round(plan.lease_s * s / _RENEWALS), self._renew)

    def serve(self, outlets: Mapping[str, Kept]) -> None:
        """Take over the outlets and make the rig safe once, so that its state is known before anything is used."""
        self._outlets.update(outlets)
        for outlet in outlets.values():
            outlet.start()
        self.make_safe("a known state to begin with", last=self.plan.safe_only)

    def holds(self, lease: Lease) -> None:
        """The rig was taken over and is confirmed safe: from now on it is held."""
        self._lease = lease

    # -- what outlets ask, from their threads -----------------------------------------------------------------

    def touched(self) -> None:
        """The test makes progress. Any thread may call."""
        self._touched_ns = self._clock.elapsed

    def progressing(self) -> bool:
        """Whether the test makes progress, or nothing is energised yet. Any thread may call."""
        if self._clock.elapsed - self._looked_ns > _STALLED_NS:
            return False
        return self.state in (State.IN_USE, State.SAFE) and not self._last

    def may_write(self) -> bool:
        """Whether this keeper still holds the rig. Any thread may call."""
        return not self._lost and self._lease.still_mine()

    def why_not_energise(self, outlet: str) -> str:
        """Why an output must stay off now. Any thread may call."""
        if self.state is State.IN_USE:
            self._record.sync()
        found = self._record.trouble or self.why_not_now(outlet)
        if not found:
            self._energised.add(outlet)
        return found

    def why_not_now(self, outlet: str) -> str:
        """As :meth:`why_not_energise`, for somebody who only asks. Any thread may call."""
        if self.state is not State.IN_USE:
            return f"no test has begun; the rig is {self.state.value}"
        return self._why_not(outlet) or self.not_permitted(outlet)

    def quiet(self, outlet: str) -> None:
        """The test switched the only output of an instrument off: its interlock may open. Any thread may call."""
        self._energised.discard(outlet)

    def note(self, what: str, **fields: object) -> None:
        """Record something. Any thread may call."""
        at_ns = self._clock.elapsed
        self._clock.post(lambda: self._record.write(what, t_ns=at_ns, **fields))

    def lost(self, outlet: str, why: str) -> None:
        """An instrument does not answer any more. Any thread may call."""
        self._clock.post(lambda: self.trip(f"{outlet} is lost: {why}"))

    def now(self) -> int:
        """The keeper's clock [ns]. Any thread may call."""
        return self._clock.elapsed

    # -- what the test says ---------------------------------------------------------------------------------

    def begin(self, test: str, deadline_s: float | None) -> str:
        """A test begins; why it may not, "" when it may."""
        if self.state is not State.SAFE:
            return f"the rig is {self.state.value}: {self.trouble or 'wait until it is safe'}"
        plan, now = self.plan, self._clock.now
        refusal = why_not_allowed(deadline_s, plan.deadline_max_s or plan.deadline_s)
        if refusal:
            return refusal
        self.touched()
        self.state, self.phase = State.IN_USE, "powered"
        allowed_s = plan.deadline_s if deadline_s is None else deadline_s
        deadlines = Deadlines(test, allowed_s, plan.phase_deadline_s, phase=self.phase, now_ns=now)
        self.test = Test(test, deadlines, Holds(plan.hold_s, plan.hold_sum_s or plan.hold_s))
        self._record.write("begin", t_ns=now, test=test, deadline_s=allowed_s)
        return ""

    def enter(self, phase: str) -> None:
        """The articles are in another phase: another safe sequence holds, and another deadline."""
        self.touched()
        self.phase = phase
        if self.test is not None:
            self.test.deadlines.enter(phase, self._clock.now)
        self._record.write("phase", t_ns=self._clock.now, phase=phase)

    def hold(self, why: str, most_s: float | None) -> str:
        """A declared hold, and not for ever: a debugger, a single step; why there is none, "" when there is."""
        self.touched()
        now = self._clock.now
        if self.state is not State.IN_USE or self.test is None:
            return self._nothing_to_hold()
        refusal = self.test.holds.declare(why, most_s, now)
        what = "hold refused" if refusal else "hold"
        self._record.write(what, t_ns=now, why=why, most_s=most_s, refusal=refusal, left_s=self.test.holds.left_s(now))
        return refusal

    def resume(self) -> None:
        """The hold is over; its time does not count for the deadlines."""
        self.touched()
        now = self._clock.now
        if self.test is not None:
            self.test.resume(now)
        self._record.write("resume", t_ns=now)

    def end_test(self, reply: Callable[[bool], None], *, at_once: bool = False) -> None:
        """A test is over: make the rig safe, and say whether it is; not before an operator hands it back.

        Args:
            reply: told whether the rig is confirmed safe.
            at_once: whoever has the rig: somebody has interrupted the run.
        """
        self._on_safe.append(reply)
        if self.state is State.IN_USE and self.test is not None and self.test.operator is not None and not at_once:
            self._ends_when_back = True
        else:
            self._end_test()

    def _end_test(self) -> None:
        self._record.write("end", t_ns=self._clock.now, test=self.test.name if self.test else "")
        self.make_safe("the test is over")

    def end(self, why: str, reply: Callable[[bool], None] | None = None) -> None:
        """The session is over: make the rig safe for the last time."""
        self.make_safe(why, reply=reply, last=True)

    def trip(self, why: str, reply: Callable[[bool], None] | None = None) -> None:
        """Something is wrong: make the rig safe at once, and let nobody use it any more.

        Args:
            why: what, for the record.
            reply: told whether the rig is confirmed safe.
        """
        if self.over:
            return
        if self._last and self._waiting:
            if reply is not None:
                self._on_safe.append(reply)
            return
        self.make_safe(why, last=True, reply=reply, tripped=True)

    def place_taken(self, owner: str, why: str) -> None:
        """The rig's place at labgrid's coordinator is not this machine's any more.

        Args:
            owner: who drives the rig now; "" for nobody, and it is made safe.
            why: what happened, for the record.
        """
        if not owner:
            self.trip(why)
        elif not self.over:
            self._lose(why)

    def take(self, operator: str, why: str) -> tuple[str, dict[str, str]]:
        """An operator takes the rig over: why not, or "" and where each part is reached."""
        if self.state is not State.IN_USE or self.test is None:
            return self._nothing_to_hold(), {}
        return self.by_hand.take(self.test, operator, why)

    def hand_back(self) -> None:
        """The operator's time is over, and the test goes on where it stands."""
        self.touched()
        if self.test is not None and self.by_hand.give_back(self.test, "handed back") and self._ends_when_back:
            self._end_test()

    def _nothing_to_hold(self) -> str:
        return f"no test runs that could be held; the rig is {self.state.value}"

    # -- making safe ------------------------------------------------------------------------------------------

    def make_safe(
        self, why: str, *, reply: Callable[[bool], None] | None = None, last: bool = False, tripped: bool = False
    ) -> None:
        """Run the safe sequence of the phase on every instrument, all at the same time.

        The orders go out first: a defect in what else there is to do keeps no output on.

        Args:
            why: what for, for the record.
            reply: told at the end whether the rig is confirmed safe.
            last: nobody uses the rig afterwards.
            tripped: whether something is wrong.
        """
        if reply is not None:
            self._on_safe.append(reply)
        if self._waiting and (self._last or not last):
            return
        self._ends_when_back = False
        phase, test = self.phase, self.test
        now_ns, detected_boot_ns = self._clock.now, boot_ns()
        self._order(last=last)
        if tripped:
            self._record.write("tripped", t_ns=now_ns, why=why, test=test.name if test else "")
        if test is not None:
            self.by_hand.give_back(test, f"made safe: {why}")
        if self.over:
            return
        self._record.write("making safe", t_ns=self._detected_ns, boot_ns=detected_boot_ns, why=why, phase=phase)
        if not self._waiting:
            self._finished()

    def _order(self, *, last: bool) -> None:
        """Give every instrument its order; none when the rig is not this keeper's any more."""
        steps = {name: outlet.plan.steps(self.phase) for name, outlet in self._outlets.items()}
        self._last = self._last or last or not all(steps.values())
        self._detected_ns = self._clock.elapsed
        self.state = State.MAKING_SAFE
        self._renew()  # a keeper that stood still for long holds the rig still, unless somebody took over
        if self.over:
            return
        orders = {name: SafeOrder(sequence, self._last, self._done) for name, sequence in steps.items()}
        self._waiting = dict(orders)
        for name, order in orders.items():
            self._outlets[name].order(order)
        if self._give_up is not None:
            self._give_up.cancel()
        allowed_ns = max((_time_of(sequence) for sequence in steps.values()), default=0) + _MARGIN_NS
        # the clock's own time is behind when this process stood still: a sequence has its time from this moment on
        self._give_up = self._clock.at(self._clock.elapsed + allowed_ns, self._gave_up)
        self._energised.clear()
        self.kept = [f"{name}: {kept}" for name, outlet in self._outlets.items() for kept in outlet.plan.keep_on]
        for name in (name for name, sequence in steps.items() if not sequence):
            self._blame(f"{name}: left as it is, as the rig file says for phase {self.phase}: call the test lead")

    def _done(self, name: str, order: SafeOrder) -> None:
        """An outlet has run its sequence; called on its thread."""
        self._clock.post(lambda: self._take(name, order))

    def _take(self, name: str, order: SafeOrder) -> None:
        if self._waiting.get(name) is not order:
            return
        del self._waiting[name]
        if order.trouble:
            self._blame(f"{name}: {order.trouble}")
        began = self._detected_ns
        for result in order.results:
            proved = None if result.proved_ns is None else result.proved_ns - result.sent_ns
            kind = "discharged_ns" if result.measured else "acknowledged_ns"
            self._record.write(
                "step", outlet=name, step=result.step, answer=result.answer, trouble=result.trouble,
                detected_to_sent_ns=result.sent_ns - began, **{kind: proved},
            )  # fmt: skip
        if not self._waiting:
            self._finished()

    def _gave_up(self) -> None:
        self._give_up = None
        for name in self._waiting:
            self._blame(f"{name}: its safe sequence did not come to an end")
        if self._waiting:
            self._waiting.clear()
            self._finished()

    def _blame(self, why: str) -> None:
        self.trouble = f"{self.trouble}; {why}" if self.trouble else why

    def _finished(self) -> None:
        """Every instrument has told what came of its sequence, or is not waited for any more."""
        if self._give_up is not None:
            self._give_up.cancel()
            self._give_up = None
        self.state = State.UNSAFE if self.trouble else State.SAFE
        self.phase = "unpowered"
        if self.trouble:
            self._last = True
        self._record.write("state", t_ns=self._clock.now, state=self.state.value, why=self.trouble, kept_on=self.kept)
        self._record.sync()
        self.over = self._last
        replies, self._on_safe = self._on_safe, []
        for reply in replies:
            reply(not self.trouble)

    # -- time ---------------------------------------------------------------------------------------------------

    def _look_at_permits(self) -> None:
        """A grant ends, or is revoked, while an output is on."""
        if self.state is State.IN_USE:
            ended = next((why for outlet in tuple(self._energised) if (why := self.not_permitted(outlet))), "")
            if ended:
                self.trip(ended)

    def _look_at_interlocks(self) -> None:
        """Make the rig safe when an interlock of what is energised is open, or was since the last look."""
        moments = {outlet: self.why_opened(outlet) for outlet in self._outlets}
        whys = (self._why_not(outlet) or moments.get(outlet, "") for outlet in tuple(self._energised))
        opened = next(filter(None, whys), "")
        if opened and self.state is State.IN_USE:
            self.trip(opened)

    def _look(self) -> None:
        now = self._clock.now
        self._looked_ns = self._clock.elapsed
        self._look_at_interlocks()
        test = self.test
        if self.state is not State.IN_USE or test is None:
            return
        if test.holds:
            held = test.holds.over(now)
            if held:
                self.trip(held)
            return
        over = test.deadlines.over(now)
        if now - self._touched_ns >= self.plan.silence_s * s:
            self.trip(f"{test.name} made no progress for {self.plan.silence_s:g} s")
        elif over:
            self.trip(over)

    def _renew(self) -> None:
        try:
            self._lease.renew()
        except (LeaseError, OSError) as problem:
            self._lose(str(problem))

    def _lose(self, why: str) -> None:
        """Somebody else drives the rig: nothing is sent to it any more, and nobody here knows its state."""
        self._record.write("lease lost", t_ns=self._clock.now, why=why)
        self._lost = self._last = True
        self._blame(why)
        self._waiting.clear()
        self._finished()


def _permitted(outlet: str) -> str:
    """No instrument needs a permit, and no interlock opens."""
    del outlet
    return ""


def _time_of(steps: Sequence[object]) -> int:
    """The time a sequence may take [ns]."""
    return sum(round(getattr(step, "within_ms", 0.0) * ms) for step in steps)
