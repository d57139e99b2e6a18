"""The thread of one hazardous part in the keeper: its orders, how it is made safe, and what a test may have sent.

Each part has a thread of its own, so that a frozen one keeps no other from being made safe. The thread stays for the
orders whatever goes wrong in it: one that ended would leave its output as it is.
"""

from __future__ import annotations

import os
import select
import threading
import traceback
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from hil.errors import HilError, InstrumentError
from hil.safety.plan import KeptPlan
from hil.safety.sequence import StepResult, defect_of, run_sequence

if TYPE_CHECKING:
    from hil.safety.kept import Bench, SafeOrder

_PAUSE_S = 0.1  # after a defect, which may come again at once; an order ends the pause

Plan = TypeVar("Plan", bound=KeptPlan)


class KeptThread(ABC, Generic[Plan]):
    """The orders of the keeper, and the thread that obeys them and serves the test.

    Args:
        plan: what the rig file says of the part.
        bench: the keeper.
    """

    def __init__(self, plan: Plan, bench: Bench) -> None:
        self.plan = plan
        self._bench = bench
        self._orders: deque[SafeOrder | None] = deque()
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)
        self._may_reopen = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"kept {plan.name}", daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def order(self, order: SafeOrder | None) -> None:
        """Have the part made safe, before anything else; None ends it. Any thread may call."""
        self._orders.append(order)
        self._wake()

    def join(self, within_s: float) -> bool:
        """Wait for the end; False when it still hangs."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    # -- what each kind does ------------------------------------------------------------------------------

    @abstractmethod
    def send(self, text: str) -> None:
        """Send a command of the safe sequence; raises HilError when it cannot be."""

    @abstractmethod
    def ask(self, text: str, within_ns: int) -> str | None:
        """The answer to a query of the safe sequence; None when none came in time; raises HilError."""

    @abstractmethod
    def _turn(self) -> None:
        """Wait until there is something to do, and do it; orders first."""

    @abstractmethod
    def _begin_safe(self) -> None:
        """The sequence begins: what is read back is read from now on."""

    @abstractmethod
    def _made_safe(self, order: SafeOrder) -> str:
        """The sequence has run: watchdogs, and what the test said meanwhile; what went wrong, "" when nothing did."""

    @abstractmethod
    def _reconnect(self) -> None:
        """Make the connection that was lost anew; raises HilError when it cannot be."""

    @abstractmethod
    def _drop(self) -> None:
        """End the test's connection."""

    @abstractmethod
    def _shut(self) -> None:
        """Let the test in no more."""

    @abstractmethod
    def _close(self) -> None:
        """Close what is held."""

    # -- the thread ---------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with suppress(OSError):  # a full pipe wakes too
            os.write(self._wake_w, b"!")

    def _drain(self) -> None:
        """Empty what wakes this thread; what it was woken for is found elsewhere."""
        with suppress(BlockingIOError):
            os.read(self._wake_r, 1 << 12)

    def _run(self) -> None:
        try:
            while not self._ended:
                try:
                    self._turn()
                except Exception as defect:  # whatever it is, this thread has to stay for the orders
                    traceback.print_exc()
                    self._drop()
                    self._bench.lost(self.plan.name, defect_of(defect))
                    select.select([self._wake_r], [], [], _PAUSE_S)
                    self._drain()
        finally:
            self._shut()
            self._close()

    def _obey(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            if order is None:
                self._ended = True
                return
            try:
                self._make_safe(order)
            except Exception as defect:  # the keeper waits for what came of the order
                traceback.print_exc()
                order.results = [*order.results, self._trouble(defect_of(defect))]
            order.done(self.plan.name, order)
            if order.last:
                self._await_end()

    def _make_safe(self, order: SafeOrder) -> None:
        self._begin_safe()
        if order.last:
            self._shut()
        self._may_reopen = True
        order.results = run_sequence(order.steps, self, self._bench.now)
        if order.trouble and not self._may_reopen:  # what was sent last over the lost connection may be lost too
            order.results = run_sequence(order.steps, self, self._bench.now)
        self._may_reopen = False
        problem = self._made_safe(order)
        if problem:
            order.results = [*order.results, self._trouble(problem)]

    def _trouble(self, why: str) -> StepResult:
        return StepResult("", self._bench.now(), None, False, "", why)

    def _await_end(self) -> None:
        """Nothing more goes out; only the order to end comes."""
        while not self._ended:
            while self._orders:
                order = self._orders.popleft()
                if order is None:
                    self._ended = True
                    return
                order.done(self.plan.name, order)
            select.select([self._wake_r], [], [])
            self._drain()

    # -- for the safe sequence ----------------------------------------------------------------------------

    def _demand_lease(self) -> None:
        if not self._bench.may_write():
            raise InstrumentError(f"{self.plan.name}: the lease is not this keeper's any more; nothing was sent")

    def _reopen(self, lost: HilError) -> None:
        """Make a lost connection anew, once a sequence; raises what lost it otherwise."""
        if not self._may_reopen:
            raise lost
        self._may_reopen = False
        self._bench.note("reopening", outlet=self.plan.name, why=str(lost))
        self._reconnect()

    # -- for what the test says ---------------------------------------------------------------------------

    def _why_not(self, refusal: str, shown: str, *, energises: bool, **fields: object) -> str:
        """Why a message of the test does not pass, "" when it may; either is in the record when it matters.

        Args:
            refusal: what the gate has against it.
            shown: the message, for people.
            energises: whether it switches something on: then interlocks and permits are asked.
            fields: more of it for the record.
        """
        if not refusal and not self._bench.progressing():
            refusal = "the rig is being made safe"
        if not refusal and energises:
            refusal = self._bench.why_not_energise(self.plan.name)
            if not refusal:
                self._bench.note("energised", outlet=self.plan.name, message=shown, **fields)
        if refusal:
            self._bench.note("refused", outlet=self.plan.name, message=shown, why=refusal)
        return refusal
