"""The keeper's process: ``python -m hil.safety.process``, its plan on standard input, its end an exit code.

It runs in a session of its own, so that no signal meant for the test reaches it. Exit code 0: the rig is confirmed
safe. 14: UNSAFE; the lease is kept. 13: the keeper could not begin, and nothing was energised through it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from hil.clock import WallClock
from hil.errors import HilError
from hil.safety.card_outlet import CardOutlet
from hil.safety.control import ControlSocket
from hil.safety.grant import Grant
from hil.safety.interlock import Interlocks
from hil.safety.keeper import Keeper, State
from hil.safety.keeper_folder import KeeperFolder
from hil.safety.launch import KeeperDoor, leaving_s
from hil.safety.lease import Takeover
from hil.safety.opening import open_card, open_gateway, open_outlet
from hil.safety.permits import Permits
from hil.safety.plan import CardPlan, KeeperPlan, KeptPlan
from hil.safety.pulses import KeptPulses
from hil.safety.record import KeeperRecord
from hil.safety.tenancy import Tenancy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hil.safety.control import Message, Peer
    from hil.safety.kept import Kept

Plan = TypeVar("Plan", bound=KeptPlan)

UNSAFE = 14
ERROR = 13
_END_S = 1.0  # how long outlets may take to close
_SLACK_S = 2.0  # what an answer may take beyond the longest safe sequence


def main() -> int:
    """Keep a rig until its run ends.

    Returns:
        The exit code.
    """
    plan = KeeperPlan.model_validate_json(sys.stdin.read())
    clock = WallClock(max_lateness_ns=10**9)
    try:
        tenancy = Tenancy.acquire(
            plan.rig,
            ttl_s=plan.lease_s,
            who=plan.who,
            keeps=plan.keeps,
            folder=None if plan.lease_folder is None else Path(plan.lease_folder),
            unsafe_too=plan.safe_only,
            lab=plan.lab,
        )
    except HilError as problem:
        _say(error=str(problem))
        return ERROR
    record = KeeperRecord(None if plan.record is None else Path(plan.record))
    lease = tenancy.lease
    record.write("begin", rig=plan.rig, pid=os.getpid(), token=lease.token, takeover=isinstance(lease, Takeover))
    try:
        return _Process(plan, clock, tenancy, record).run()
    finally:
        record.close()


class _Process:
    """The keeper with its sockets."""

    def __init__(self, plan: KeeperPlan, clock: WallClock, tenancy: Tenancy, record: KeeperRecord) -> None:
        self._plan = plan
        self._clock = clock
        self._tenancy = tenancy
        self._record = record
        interlocks = {part.name: part.interlocks for part in plan.kept}
        self._interlocks = Interlocks(clock, interlocks, plan.readable)
        self._keeper = Keeper(plan, clock, tenancy.lease, record, self._interlocks.why_not)
        self._keeper.not_permitted = self._not_permitted
        self._keeper.why_opened = self._interlocks.why_opened
        register = None if plan.authority is None else Path(plan.authority)
        self._permits = Permits(plan.rig, register, self._interlocks.why_open)
        self._actions = {part.name: part.action for part in plan.kept if part.action}
        self._pulses: KeptPulses | None = None
        self._outlets: dict[str, Kept] = {}
        self._cards: dict[str, CardOutlet] = {}
        self._folder: KeeperFolder | None = None
        self._starter = os.getppid()
        self._peers: list[Peer] = []
        self._keeper.by_hand.news = self._tell
        self._operator: tuple[str, Peer] | None = None

    def run(self) -> int:
        """Open, make safe, serve, make safe.

        Returns:
            The exit code.
        """
        keeper, clock = self._keeper, self._clock
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._asked_to_end)
        phased = [part.name for part in self._plan.kept if part.safe_in]
        if isinstance(self._tenancy.lease, Takeover) and phased and not self._plan.safe_only:
            return self._refuse(
                f"the last keeper of {self._plan.rig} ended without a safe state, and nobody knows in which phase the "
                f"articles are ({', '.join(phased)} has a sequence of its own for some): look, then run `hil safe` "
                "with the rig file and --phase"
            )
        trouble = self._open()
        if trouble and not self._outlets and not self._plan.safe_only:
            return self._refuse(trouble)
        keeper.serve(self._outlets)
        self._await(lambda: keeper.state in (State.SAFE, State.UNSAFE), "the first safe state")
        if trouble or keeper.state is State.UNSAFE:
            keeper.trouble = "; ".join(filter(None, (keeper.trouble, trouble)))
            keeper.state = State.UNSAFE
            return self._end(told=f"{self._plan.rig} is not safe: {keeper.trouble}")
        if isinstance(self._tenancy.lease, Takeover):
            keeper.holds(self._tenancy.confirmed_safe())
            self._record.write("taken over", t_ns=clock.now, token=self._tenancy.lease.token)
        if self._plan.safe_only:
            _say(state=keeper.state.value)
            return self._end()
        self._start_pulses()
        self._tenancy.watch(lambda owner, why: clock.post(lambda: keeper.place_taken(owner, why)))
        self._serve()
        self._await(lambda: keeper.over, "the end of the run")
        return self._end()

    def _await(self, ready: Callable[[], bool], what: str) -> None:
        """Run the clock; what goes wrong in the keeper itself makes the rig safe, it does not end the keeper."""
        while not ready():
            try:
                self._clock.wait(None, ready, what)
            except Exception as problem:  # a keeper that dies leaves outputs on
                traceback.print_exc()
                self._clock.post(partial(self._keeper.trip, f"a defect in the keeper: {problem!r}"))

    def _asked_to_end(self, number: int, frame: object) -> None:
        del frame
        self._clock.post(partial(self._keeper.end, f"signal {signal.Signals(number).name} asked the keeper to end"))

    def _open(self) -> str:
        """Open every part and prepare it; what went wrong, "" when nothing did."""
        troubles: list[str] = []
        for opening in self._openings():
            try:
                opening()
            except (HilError, ImportError, AttributeError, OSError) as problem:
                troubles.append(str(problem))
        return "; ".join(troubles)

    def _openings(self) -> Iterator[Callable[[], object]]:
        for plan in self._plan.outlets:
            yield partial(self._keep, open_outlet, plan)
        for plan in self._plan.cards:
            yield partial(self._keep, open_card, plan)
        for plan in self._plan.buses:
            yield partial(self._keep, partial(open_gateway, clock=self._clock), plan)
        yield lambda: self._interlocks.open(self._cards)

    def _keep(self, opening: Callable[[Plan, Keeper, KeeperRecord], Kept], plan: Plan) -> None:
        found = self._outlets[plan.name] = opening(plan, self._keeper, self._record)
        if isinstance(plan, CardPlan) and isinstance(found, CardOutlet):
            self._cards[plan.address] = found

    def _start_pulses(self) -> None:
        """Retrigger the hardware timer from now on, if there is one; by the card's own outlet where it is kept."""
        timer = self._plan.timer
        if timer is not None:
            card = self._cards.get(timer.address)
            switch = None if card is None else partial(card.pulse, timer.port)
            self._pulses = KeptPulses(timer, self._has_progress, self._no_pulses, switch=switch)
            self._pulses.start()

    def _refuse(self, trouble: str) -> int:
        """Nothing could be opened: nothing was changed, and the lease goes back as it was found."""
        self._record.write("refused", why=trouble)
        _say(error=trouble)
        self._tenancy.refuse()
        return ERROR

    def _end(self, told: str = "") -> int:
        keeper = self._keeper
        if self._pulses is not None:
            self._pulses.end(_END_S)
        for outlet in self._outlets.values():
            outlet.order(None)
        for outlet in self._outlets.values():
            outlet.join(_END_S)
        self._interlocks.close()
        safe = keeper.state is State.SAFE and not keeper.trouble
        self._record.write("ended", t_ns=self._clock.now, state=keeper.state.value, why=keeper.trouble)
        self._record.sync()
        try:
            if not safe:
                self._tenancy.lease.mark_unsafe(keeper.trouble)
            self._tenancy.release(safe=safe)
        except HilError as problem:
            with suppress(OSError):
                print(problem, file=sys.stderr, flush=True)
        if self._folder is not None:
            self._folder.remove()
        if told:
            _say(error=told, unsafe=not safe)
        if not safe:
            with suppress(OSError):  # the disk of its log is full
                print(f"UNSAFE: {self._plan.rig}: {keeper.trouble}", file=sys.stderr, flush=True)
        return 0 if safe else UNSAFE

    # -- the processes of the run ---------------------------------------------------------------------------

    def _serve(self) -> None:
        self._folder = KeeperFolder()
        clock = self._clock
        ControlSocket(
            self._folder.control,
            lambda peer, message: clock.post(lambda: self._said(peer, message)),
            lambda pid: clock.post(lambda: self._gone(pid)),
            starter=self._starter,
        )
        doors = {name: outlet.door for name, outlet in self._outlets.items()}
        self._record.sync()
        answer_s = self._plan.longest_safe_s + _SLACK_S
        door = KeeperDoor(str(self._folder.control), os.getpid(), doors, answer_s, leaving_s(self._plan))
        self._folder.announce(door)
        _say(**asdict(door))

    def _gone(self, pid: int) -> None:
        if self._operator is not None and self._operator[1].pid == pid:
            self._keeper.trip(f"{self._operator[0]}, who had taken the rig over, is gone")
        else:
            self._keeper.trip(f"process {pid} of the run is gone")

    def _tell(self, news: Mapping[str, object]) -> None:
        """Tell every process of the run."""
        if news["news"] == "back":
            self._operator = None
        for peer in self._peers:
            peer.tell(**news)

    def _said(self, peer: Peer, message: Message) -> None:
        keeper = self._keeper
        reply = partial(peer.reply, to=message.get("number"))
        match message.get("do"):
            case "progress":
                keeper.touched()
            case "join":
                peer.joined = True
                self._peers.append(peer)
                reply(ok=True)
            case "begin":
                self._permits.forget()
                refusal = keeper.begin(str(message.get("test")), _number(message, "deadline_s"))
                reply(ok=not refusal, why=refusal)
            case "permit":
                keeper.touched()
                reply(**self._permit(str(message.get("action")), message.get("grants")))
            case "may":
                why = keeper.why_not_now(str(message.get("outlet")))
                reply(ok=not why, why=why)
            case "phase":
                keeper.enter(str(message.get("phase")))
                reply(ok=True)
            case "hold":
                refusal = keeper.hold(str(message.get("why")), _number(message, "most_s"))
                reply(ok=not refusal, why=refusal)
            case "resume":
                keeper.resume()
                reply(ok=True)
            case "safe":
                keeper.end_test(self._safe_reply(reply), at_once=message.get("at_once") is True)
            case "leave":
                peer.left = True
                reply(ok=True)
            case "end":
                peer.left = True
                keeper.end("the run is over", lambda safe: self._farewell(reply, safe=safe))
            case _:
                self._said_by_hand(peer, message, reply)

    def _safe_reply(self, reply: Callable[..., None]) -> Callable[[bool], None]:
        return lambda safe: reply(ok=safe, state=self._keeper.state.value, why=self._keeper.trouble)

    # -- an operator --------------------------------------------------------------------------------------

    def _said_by_hand(self, peer: Peer, message: Message, reply: Callable[..., None]) -> None:
        what, operator = message.get("do"), self._operator
        if what == "take":
            reply(**self._taken(peer, str(message.get("by")), str(message.get("why"))))
        elif what not in ("hand back", "safe by hand"):
            reply(ok=False, why=f"{what!r} is not known")
        elif operator is None or operator[1] is not peer:
            reply(ok=False, why="this operator does not have the rig, or not any more")
        elif what == "hand back":
            peer.joined = False
            self._keeper.hand_back()
            reply(ok=True)
        else:
            peer.joined = False
            self._keeper.trip(f"{operator[0]}, who had taken the rig over, asked for it", self._safe_reply(reply))

    def _taken(self, peer: Peer, by: str, why: str) -> dict[str, object]:
        """Let an operator take the rig over; the answer."""
        keeper = self._keeper
        if peer.uid != os.getuid():
            return {"ok": False, "why": f"user {peer.uid} is not the user {os.getuid()} of the run"}
        if not (by.strip() and why.strip()):
            return {"ok": False, "why": "say who takes it, and why"}
        refusal, doors = keeper.take(by, why)
        if refusal or keeper.test is None:
            return {"ok": False, "why": refusal}
        self._operator = (by, peer)
        peer.joined = True
        if peer.gone:
            self._gone(peer.pid)
        left_s = keeper.test.holds.left_s(self._clock.now)
        return {"ok": True, "doors": doors, "test": keeper.test.name, "most_s": left_s}

    # -- permits ------------------------------------------------------------------------------------------

    def _permit(self, action: str, said: object) -> dict[str, object]:
        """Judge what the test was granted; the answer to it."""
        texts = cast("list[object]", said) if isinstance(said, list) else []
        if self._keeper.state is not State.IN_USE:
            return {"ok": False, "why": f"{action}: no test has begun; the rig is {self._keeper.state.value}"}
        at_ns = self._clock.now
        try:
            grants = [Grant.decode(str(text).encode(), "a grant of the run") for text in texts]
            permit = self._permits.demand(action, grants)
        except HilError as refused:
            self._record.write("not permitted", t_ns=at_ns, action=action, why=str(refused))
            return {"ok": False, "why": str(refused)}
        self._record.write("permitted", t_ns=at_ns, **permit.document())
        self._record.sync()
        return {"ok": True, "grant": grants.index(permit.grant), "permit": permit.document()}

    def _not_permitted(self, outlet: str) -> str:
        """Why an output must stay off, for want of a permit; "" when it needs none. Any thread may call."""
        action = self._actions.get(outlet)
        return "" if action is None else self._permits.why_not(action)

    def _has_progress(self) -> bool:
        """Whether the hardware timer is retriggered; called in the thread of the pulses."""
        return self._keeper.state is State.IN_USE and self._keeper.progressing()

    def _no_pulses(self, why: str) -> None:
        self._clock.post(partial(self._keeper.trip, why))

    def _farewell(self, reply: Callable[..., None], *, safe: bool) -> None:
        keeper = self._keeper
        reply(ok=safe, state=keeper.state.value, why=keeper.trouble, kept_on=keeper.kept)


def _number(message: Message, key: str) -> float | None:
    found = message.get(key)
    return float(found) if isinstance(found, int | float) else None


def _say(**fields: object) -> None:
    with suppress(OSError):  # whoever started the keeper is gone; the control socket knows
        print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
