"""One hazardous part in the keeper that is no VISA instrument: a port for the test, beside what the part has to say."""

from __future__ import annotations

import select
from abc import abstractmethod
from typing import TYPE_CHECKING

from hil.safety.kept_thread import KeptThread, Plan
from hil.safety.owner_port import OwnerPort

if TYPE_CHECKING:
    from hil.safety.kept import Bench


class KeptPart(KeptThread[Plan]):
    """A port for the test, and the thread that serves it.

    Args:
        plan: what the rig file says of it.
        bench: the keeper.
    """

    def __init__(self, plan: Plan, bench: Bench) -> None:
        super().__init__(plan, bench)
        self._door = OwnerPort()
        self._lent = False

    @property
    def port(self) -> int:
        """The TCP port on loopback at which the test reaches it."""
        return self._door.port

    @property
    @abstractmethod
    def door(self) -> str:
        """Where the test reaches it, as it opens such a part."""

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
    def _descriptors(self) -> list[int]:
        """What becomes readable beside the door."""

    @abstractmethod
    def _serve(self, readable: list[int]) -> None:
        """Something may have come."""

    @abstractmethod
    def _tend(self) -> float:
        """Do what is due; how long until something is due again [s]."""

    # -- the thread ---------------------------------------------------------------------------------------

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

    def _drop(self) -> None:
        self._door.drop()

    def _shut(self) -> None:
        self._door.close()

    # -- for what the test says ---------------------------------------------------------------------------

    def _why_not(self, refusal: str, shown: str, *, energises: bool, **fields: object) -> str:
        lent = "an operator has the rig" if self._lent else ""
        return super()._why_not(refusal or lent, shown, energises=energises, **fields)
