"""A design by itself: powered, with inputs at given instants, without a rig and a board around it.

For questions to the design alone that need many runs of it: what its power-up leaves open, what an upset reaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from hil.errors import RtlError
from hil.rtl import protocol
from hil.rtl.link import Link, slices
from hil.rtl.protocol import Item

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from hil.rtl.build import Built

_PS = 1000
BUDGET_S = 600.0
"""Wall time one design by itself may use [s]."""


class Input(NamedTuple):
    """One input: when [ns], to which input port or binding, and what.

    A port takes a number, a binding what its peripheral takes.
    """

    at_ns: int
    to: str
    value: int | bytes


class Change(NamedTuple):
    """Outputs from an instant on [ps since power-up]: the bits of all of them, in order, as text."""

    at_ps: int
    bits: str


class Solo:
    """A powered design; a context manager that ends it.

    Args:
        built: the design, built to be served.
        seed: seed of what comes up random.
        budget_s: wall time it may use in all [s].

    Raises:
        RtlError: when its simulator does not start.
    """

    def __init__(self, built: Built, *, seed: int = 1, budget_s: float = BUDGET_S) -> None:
        self._link = Link(built, article=built.spec.name, seed=seed, budget_s=budget_s)
        self._spec = built.spec
        self._bindings = list(built.spec.bind)
        self.places = slices(self._link.output_names, self._link.widths)
        """Where each output stands in the bits of a change."""
        self.inputs = tuple(self._link.input_channels)
        """The input ports that no peripheral drives."""
        self.period_ps = built.spec.clock.period_ps
        self.reset_ps = (4 * built.spec.reset.cycles + 3) * self.period_ps // 4
        """When power-up releases the reset [ps]."""
        self.bits = ""
        """The outputs as they are now."""
        self.said: list[tuple[int, str, bytes]] = []
        """(instant [ps since power-up], binding, what) of everything that peripherals said so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    @property
    def reached_ps(self) -> int:
        """The last exchange instant so far [ps since power-up]."""
        return self._link.reached_ps

    def run(self, until_ns: int, inputs: Sequence[Input] = ()) -> list[Change]:
        """Run to the last exchange instant not after ``until_ns`` since power-up; returns what changed, in order.

        Args:
            until_ns: since power-up [ns].
            inputs: what changes on the way, in order of time.

        Raises:
            DesignError: when the design complained.
            RtlError: when it died, hung, used up its budget, or has no such input.
        """
        left = [Item(each.at_ns, *self._packed(each)) for each in inputs]
        last_ps = until_ns * _PS - self.period_ps
        found: list[Change] = []
        while left or self.reached_ps <= last_ps:
            before_ps = self.reached_ps
            reply, count = self._link.grant(until_ns, left)
            left = left[len(left) - count :] if count else []
            if reply.outputs and reply.outputs != self.bits:
                found.append(Change(reply.reached_ps, reply.outputs))
                self.bits = reply.outputs
            for event in reply.events:
                binding = self._bindings[event.channel - protocol.BINDINGS]
                self.said.append((reply.reached_ps, binding, event.payload))
            if left and not reply.outputs and not reply.events and reply.reached_ps == before_ps:
                raise RtlError(f"{self._spec.name}: an input at {left[0].at} ns is behind the end, {until_ns} ns")
        return found

    def peek(self, names: Sequence[str]) -> list[str]:
        """The bits of signals inside the design, all of this instant.

        Raises:
            RtlError: when there is no such signal.
        """
        return cast("list[str]", self._link.ask(ask="peek", names=list(names))["values"])

    def deposit(self, name: str, bits: str) -> None:
        """Write a register once, now.

        Raises:
            RtlError: when it did not take.
        """
        self._took(self._link.ask(ask="deposit", name=name, value=bits), name)

    def reset(self, *, on: bool) -> None:
        """Assert or release the reset, now.

        Raises:
            RtlError: when that did not take.
        """
        self._took(self._link.ask(ask="reset", on=on), "the reset")

    def _took(self, answer: dict[str, object], what: str) -> None:
        if answer["after"] != answer["asked"]:
            raise RtlError(f"{self._spec.name}: {what} was to be {answer['asked']} and reads {answer['after']}")

    def _packed(self, given: Input) -> tuple[int, bytes]:
        channel = self._link.input_channels.get(given.to)
        if channel is not None and isinstance(given.value, int):
            return channel, given.value.to_bytes((self._link.widths[given.to] + 7) // 8, "little")
        if given.to in self._bindings and isinstance(given.value, bytes):
            return protocol.BINDINGS + self._bindings.index(given.to), given.value
        known = ", ".join([*self._link.input_channels, *self._bindings])
        raise RtlError(f"{self._spec.name}: {given.to} does not take {given.value!r}; it has the inputs {known}")
