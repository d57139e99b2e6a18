"""One hazardous part in the keeper that is no VISA instrument: its thread, its orders, and how it is made safe.

Each part has a thread of its own, so that a frozen one keeps no other from being made safe.
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
from hil.safety.owner_port import OwnerPort
from hil.safety.plan import KeptPlan
from hil.safety.sequence import StepResult, run_sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.safety.outlet import Bench, SafeOrder
    from hil.safety.plan import SafeStepPlan

_PAUSE_S = 0.1  # after a defect, which may come again at once; an order ends the pause

Plan = TypeVar("Plan", bound=KeptPlan)


class KeptPart(ABC, Generic[Plan]):
    """A port for the test, the orders of the keeper, and the thread that serves both.

    Args:
        plan: what the rig file says of it.
        bench: the keeper.
    """

    def __init__(self, plan: Plan, bench: Bench) -> None:
        self.plan = plan
        self._bench = bench
        self._door = OwnerPort()
        self._orders: deque[SafeOrder | None] = deque()
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)
        self._may_reopen = False
        self._lent = False
        """Whether an operator has the rig: the test moves nothing."""
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"kept {plan.name}", daemon=True)

    @property
    def port(self) -> int:
        """The TCP port on loopback at which the test reaches it."""
        return self._door.port

    @property
    @abstractmethod
    def door(self) -> str:
        """Where the test reaches it, as it opens such a part."""

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

    def lend(self) -> str:
        """Let the test move nothing while an operator has the rig, who cannot reach such a part either.

        Any thread may call.
        """
        self._lent = True
        return ""

    def take_back(self) -> None:
        """Listen to the test again. Any thread may call."""
        self._lent = False

    # -- what each kind does ------------------------------------------------------------------------------

    @abstractmethod
    def send(self, text: str) -> None:
        """Send a command of the safe sequence; raises HilError when it cannot be."""

    @abstractmethod
    def ask(self, text: str, within_ns: int) -> str | None:
        """The answer to a query of the safe sequence; None when none came in time; raises HilError."""

    @abstractmethod
    def _descriptors(self) -> list[int]:
        """What becomes readable beside the door."""

    @abstractmethod
    def _serve(self, readable: list[int]) -> None:
        """Something may have come."""

    @abstractmethod
    def _tend(self) -> float:
        """Do what is due; how long until something is due again [s]."""

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
    def _close(self) -> None:
        """Close what is held."""

    # -- the thread ---------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with suppress(OSError):  # a full pipe wakes too
            os.write(self._wake_w, b"!")

    def _run(self) -> None:
        try:
            while not self._ended:
                try:
                    self._turn()
                except Exception as defect:  # whatever it is, this thread has to stay for the orders
                    traceback.print_exc()
                    self._door.drop()
                    self._bench.lost(self.plan.name, _told(defect))
                    select.select([self._wake_r], [], [], _PAUSE_S)
                    self._drain()
        finally:
            self._door.close()
            self._close()

    def _turn(self) -> None:
        readable = [] if self._orders else self._await(max(0.0, self._tend()))
        if self._orders:
            self._obey()
        else:
            self._serve(readable)

    def _await(self, within_s: float) -> list[int]:
        """Wait until something came, or an order; what waits for the test is sent meanwhile."""
        readers = [self._wake_r, *self._door.readers, *self._descriptors()]
        readable, writable, _ = select.select(readers, self._door.writers, [], within_s)
        if writable:
            self._door.push()
        if self._wake_r in readable:
            self._drain()
        return readable

    def _drain(self) -> None:
        """Empty what wakes this thread; what it was woken for is found elsewhere."""
        with suppress(BlockingIOError):
            os.read(self._wake_r, 1 << 12)

    def _obey(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            if order is None:
                self._ended = True
                return
            try:
                self._make_safe(order)
            except Exception as defect:  # the keeper waits for what came of the order
                order.results = [*order.results, self._failed("", defect)]
            order.done(self.plan.name, order)
            if order.last:
                self._await_end()

    def _make_safe(self, order: SafeOrder) -> None:
        if order.last:
            self._door.close()
        self._may_reopen = True
        self._begin_safe()
        order.results = self._run_steps(order.steps)
        if order.trouble and not self._may_reopen:  # what was sent last over the lost connection may be lost too
            order.results = self._run_steps(order.steps)
        self._may_reopen = False
        problem = self._made_safe(order)
        if problem:
            order.results = [*order.results, StepResult("", self._bench.now(), None, False, "", problem)]

    def _run_steps(self, steps: Sequence[SafeStepPlan]) -> list[StepResult]:
        """Run all steps, those behind one with a defect too."""
        found: list[StepResult] = []
        for step in steps:
            try:
                found += run_sequence([step], self, self._bench.now)
            except Exception as defect:  # the other steps have to be run
                found.append(self._failed(step.write or step.query or "", defect))
        return found

    def _failed(self, step: str, defect: Exception) -> StepResult:
        traceback.print_exception(defect)
        return StepResult(step, self._bench.now(), None, False, "", _told(defect))

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


def _told(defect: Exception) -> str:
    return f"a defect in the keeper: {type(defect).__name__}: {defect}"
