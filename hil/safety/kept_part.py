"""One hazardous part in the keeper that is no VISA instrument: a port for the test, beside what the part has to say."""

from __future__ import annotations

import select
from abc import abstractmethod
from typing import TYPE_CHECKING

from hil.errors import HilError, InstrumentError
from hil.safety.byte_port import BytePort
from hil.safety.kept_thread import KeptThread, Plan
from hil.safety.operator_port import OperatorPort

if TYPE_CHECKING:
    from hil.safety.kept import Bench

WORDS = "words://"
"""How the address begins at which an operator reaches a part in words."""
_SHOWN = 200  # characters of what an operator says, and is told, in the record


class KeptPart(KeptThread[Plan]):
    """A port for the test, and the thread that serves it.

    Args:
        plan: what the rig file says of it.
        bench: the keeper.
    """

    def __init__(self, plan: Plan, bench: Bench) -> None:
        super().__init__(plan, bench)
        self._door = BytePort()
        self._lent = False
        self._operator = OperatorPort(self._wake)

    @property
    def port(self) -> int:
        """The TCP port on loopback at which the test reaches it."""
        return self._door.port

    @property
    @abstractmethod
    def door(self) -> str:
        """Where the test reaches it, as it opens such a part."""

    def lend(self) -> str:
        """Let the test move nothing while an operator has the rig. Any thread may call.

        Returns:
            Where the operator reaches it, in words, a line each; every line is answered by one.
        """
        self._lent = True
        return f"{WORDS}127.0.0.1:{self._operator.lend()}"

    def take_back(self) -> None:
        """Listen to the test again. Any thread may call."""
        self._lent = False
        self._operator.take_back()

    # -- what each kind does ------------------------------------------------------------------------------

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
    def _by_hand(self, text: str) -> str:
        """Do what an operator says; the answer, "" when it comes later.

        Raises:
            HilError: why not.
        """

    # -- an operator --------------------------------------------------------------------------------------

    def _serve_operator(self, readable: list[int]) -> None:
        lines = [] if self._operator.port is None else self._operator.port.take(readable)
        for line in lines:
            if self._orders or self._operator.changes:
                return
            text = line.decode("ascii", "replace").strip()
            self._bench.touched()
            self._bench.note("said by hand", outlet=self.plan.name, message=text[:_SHOWN])
            try:
                answer = self._by_hand(text)
            except HilError as problem:
                answer = f"refused: {problem}"
            if answer:
                self._answer_by_hand(answer)

    def _answer_by_hand(self, answer: str) -> None:
        if self._operator.port is not None:
            self._bench.note("answered by hand", outlet=self.plan.name, answer=answer[:_SHOWN])
            said = " ".join(answer.split()).encode("ascii", "replace")
            self._operator.port.answer(said, self._wake_r, lambda: bool(self._orders))

    def _demand_by_hand(self, refusal: str, shown: str, *, energises: bool, **fields: object) -> None:
        """See that an operator may do this; what the gate says, interlocks and permits count as for the test.

        Raises:
            InstrumentError: why not.
        """
        found = super()._why_not(refusal, shown, energises=energises, **fields)
        if found:
            raise InstrumentError(found)
        self._demand_lease()

    def _begin_safe(self) -> None:
        self._operator.hand_over()
        self._operator.end()

    # -- the thread ---------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._operator.hand_over()
        readable = [] if self._orders else self._await(max(0.0, self._tend()))
        if self._orders:
            self._obey()
        else:
            self._serve(readable)
            self._serve_operator(readable)

    def _await(self, within_s: float) -> list[int]:
        """Wait until something came, or an order; what waits for the test is sent meanwhile."""
        readers = [self._wake_r, *self._door.descriptors, *self._descriptors()]
        if self._operator.port is not None:
            readers += self._operator.port.descriptors
        readable, writable, _ = select.select(readers, self._door.writers, [], within_s)
        if writable:
            self._door.push()
        if self._wake_r in readable:
            self._drain()
        return readable

    def _drop(self) -> None:
        self._door.drop()

    def _shut(self) -> None:
        self._operator.end()
        self._door.close()

    # -- for what the test says ---------------------------------------------------------------------------

    def _why_not(self, refusal: str, shown: str, *, energises: bool, **fields: object) -> str:
        lent = "an operator has the rig" if self._lent else ""
        return super()._why_not(refusal or lent, shown, energises=energises, **fields)
