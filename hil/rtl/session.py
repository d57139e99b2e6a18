"""One FPGA from power-up to power-down, on the rig clock: inputs with their instants, outputs at theirs.

Rig time and the simulator's differ by the instant of power-up. An input that changes now acts after the board's
delay (the lookahead), and the simulator may run ahead by that much: nothing can reach it earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from hil.clock import Phase
from hil.errors import DesignError, RtlError, UnknownLevelError
from hil.rtl import protocol
from hil.rtl.bits import level_of
from hil.rtl.ending import told
from hil.rtl.link import SILENCE_S, Link, answer_text, slices
from hil.rtl.protocol import RESET_CLOCKS, Item
from hil.units import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hil.clock import Clock
    from hil.rtl.build import Built

_PS = 1000


@dataclass(frozen=True)
class Terms:
    """How a session is run: seed of the power-up, wall-time budget [s], where coverage goes, who is told of changes.

    ``spent_s`` is what the power-ups before it have used of the budget [s].
    ``trace`` is called with (rig time [ns], signal, bits) for every input and output that changes and every byte of a
    serial line; ``silence_s`` is the wall time without a sign of life after which its simulator is called hung [s].
    """

    seed: int
    budget_s: float
    spent_s: float
    coverage_file: Path | None
    trace: Callable[[int, str, str], None]
    silence_s: float = SILENCE_S


class Session:
    """A powered FPGA.

    Args:
        clock: the rig clock.
        built: the design.
        article: the article's name.
        terms: how it is run.

    Raises:
        RtlError: when its simulator does not start.
    """

    def __init__(self, clock: Clock, built: Built, article: str, terms: Terms) -> None:
        self._clock = clock
        self._spec = built.spec
        self.article = article
        self.lookahead_ns = built.spec.lookahead_ns
        self.powered_ns = clock.now
        self._trace = terms.trace
        self._link = Link(
            built,
            article=article,
            seed=terms.seed,
            budget_s=terms.budget_s,
            spent_s=terms.spent_s,
            coverage_file=terms.coverage_file,
            silence_s=terms.silence_s,
        )
        self._places = slices(self._link.output_names, self._link.widths)
        self._bindings = list(built.spec.bind)
        self._pending: list[Item] = []
        self._told = ""
        self._period_ps = built.spec.clock.period_ps
        self._phase_ps = 3 * self._period_ps // 4
        self._reset_ps = built.spec.reset.cycles * self._period_ps + self._phase_ps
        self._on_output: dict[str, list[Callable[[int], None]]] = {}
        self._on_event: dict[str, list[Callable[[bytes], None]]] = {}
        self._open = True
        self._shown = self._started = self._unknown_told = False
        self.granted_ns = self.powered_ns
        """Rig time up to which everything it will say is known [ns]."""

    # -- from the board ---------------------------------------------------------------------------------------

    def listen(self, port: str, fn: Callable[[int], None]) -> None:
        """Call ``fn(value)`` at every change of an output.

        Raises:
            RtlError: when the design has no such output.
        """
        if port not in self._places:
            raise RtlError(f"{self.article}: its design has no output {port}; it has {', '.join(self._places)}")
        self._on_output.setdefault(port, []).append(fn)

    def listen_events(self, binding: str, fn: Callable[[bytes], None]) -> None:
        """Call ``fn(payload)`` with whatever a binding's peripheral says."""
        self._on_event.setdefault(binding, []).append(fn)

    def drive(self, port: str, value: int) -> None:
        """Set an input; it acts after the board's delay.

        Raises:
            RtlError: when the design has no such input, or the value does not fit it.
        """
        channel = self._link.input_channels.get(port)
        if channel is None:
            known = ", ".join(self._link.input_channels)
            raise RtlError(f"{self.article}: its design has no input {port} that may be driven; it has {known}")
        width = self._link.widths[port]
        if not 0 <= value < 1 << width:
            raise RtlError(f"{self.article}: {value} does not fit input {port} of {width} bits")
        self._trace(self._clock.now + self.lookahead_ns, port, f"{value:0{width}b}")
        self._put(channel, value.to_bytes((width + 7) // 8, "little"))

    def command(self, binding: str, payload: bytes) -> None:
        """Say something to a binding's peripheral; it acts after the board's delay."""
        self._put(protocol.BINDINGS + self._bindings.index(binding), payload)

    def _put(self, channel: int, payload: bytes) -> None:
        at_ns = self._clock.now + self.lookahead_ns - self.powered_ns
        self._pending.append(Item(at_ns, channel, payload))

    @property
    def started(self) -> bool:
        """Whether its power-up reset is over, so that every output must be known."""
        return self._started

    @property
    def hello(self) -> dict[str, object]:
        """What the simulator said of itself from inside: name and version, Python, cocotb, process."""
        return self._link.hello

    @property
    def alive(self) -> bool:
        """Whether its simulator runs."""
        return self._link.alive

    def value(self, port: str) -> int:
        """The last level of an output.

        Raises:
            UnknownLevelError: when it is unknown (X or Z).
            RtlError: when the design has no such output, or is still in its power-up reset.
        """
        if port not in self._places:
            raise RtlError(f"{self.article}: its design has no output {port}; it has {', '.join(self._places)}")
        if not self._started:
            raise RtlError(f"{self.article}: output {port} was read before the power-up reset was over; let time pass")
        bits = self._told[self._places[port]]
        level = level_of(bits)
        if level is None:
            raise self._unknown(port, bits, self._clock.now)
        return level

    # -- from the clock ---------------------------------------------------------------------------------------

    def run_to(self, until_ns: int) -> int | None:
        """Run up to a rig time [ns], or to its first output or event, which is put on the clock.

        Returns:
            The rig time of that output [ns]; None when there was none.

        Raises:
            RtlError: when the simulator died, hung, or used up its budget.
        """
        if not self._open or until_ns <= self.powered_ns:
            return None
        inputs, self._pending = self._pending, []
        reply, left = self._link.grant(until_ns - self.powered_ns, inputs)
        if left:
            self._pending = inputs[-left:]
        self.granted_ns = until_ns
        if not reply.outputs and not reply.events:
            return None
        at_ns = self.granted_ns = max(self._rig_ns(reply.reached_ps), self._clock.now)
        self._clock.at(at_ns, lambda: self._deliver(reply, at_ns), Phase.WIRE)
        return at_ns

    def _deliver(self, reply: protocol.Reply, at_ns: int) -> None:
        if not self._open:
            return
        if reply.outputs:
            before, self._told = self._told, reply.outputs
            anew = self._begins(reply.reached_ps)
            for port, place in self._places.items():
                bits = reply.outputs[place]
                if bits != before[place]:
                    self._trace(at_ns, port, bits)
                if self._shown and (anew or bits != before[place]):
                    self._tell(port, bits, at_ns)
        for event in reply.events:
            binding = self._bindings[event.channel - protocol.BINDINGS]
            if self._spec.bind[binding].kind == "uart" and event.payload:
                self._trace(at_ns, f"{binding}_byte", f"{event.payload[0]:08b}")
            for fn in self._on_event.get(binding, ()):
                fn(event.payload)

    def _begins(self, reached_ps: int) -> bool:
        """Whether outputs are to be told in full: from the first clocks of the reset on, and when it is over."""
        shown, started = self._shown, self._started
        self._shown = reached_ps >= self._phase_ps + RESET_CLOCKS * self._period_ps
        self._started = reached_ps > self._reset_ps
        return self._shown != shown or self._started != started

    def _tell(self, port: str, bits: str, at_ns: int) -> None:
        level = level_of(bits)
        if level is None:
            # in its reset an output may not be known yet; later the test has failed by the first one that is not, and
            # what it did must still be undone
            if not self._started or self._unknown_told:
                return
            self._unknown_told = True
            raise self._unknown(port, bits, at_ns)
        for fn in self._on_output.get(port, ()):
            fn(level)

    def _rig_ns(self, time_ps: int) -> int:
        return self.powered_ns - (-time_ps // _PS)

    def _unknown(self, port: str, bits: str, at_ns: int) -> UnknownLevelError:
        return UnknownLevelError(
            f"{self.article}: output {port} is {bits} at {format_time(at_ns)}: an unknown level is no 0; a register "
            "without reset, or a net that nothing drives, reaches it"
        )

    # -- white box --------------------------------------------------------------------------------------------

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._link.reached_ps // self._spec.clock.period_ps

    @property
    def busy_s(self) -> float:
        """Wall time the simulation took so far [s]."""
        return self._link.busy_s

    def peek(self, name: str) -> str:
        """The bits of a signal inside the design, as text, the highest first.

        Raises:
            RtlError: when there is no such signal.
        """
        return self.peek_all([name])[0]

    def peek_all(self, names: Sequence[str]) -> list[str]:
        """The bits of several signals inside the design, all of one instant.

        Raises:
            RtlError: when there is no such signal.
        """
        return cast("list[str]", self._ask(ask="peek", names=list(names))["values"])

    def change(self, how: str, name: str, bits: str) -> tuple[str, str]:
        """Deposit ("deposit") or hold ("force") a signal; returns its bits before and after.

        Raises:
            RtlError: when it did not take: what was injected is read back, and must be there.
        """
        if self._spec.language == "vhdl":
            raise RtlError(
                f"{self.article}: {name} cannot be written: GHDL holds what is written into a design for ever"
            )
        self.to_instant()
        answer = self._ask(ask=how, name=name, value=bits)
        before, after = answer_text(answer, "before"), answer_text(answer, "after")
        if level_of(after) != int(bits, 2):
            raise RtlError(
                f"{self.article}: {how} of {name} to {bits} was ignored: it reads {after}; this simulator cannot do "
                f"that to this signal ({self._link.hello['simulator']})"
            )
        return before, after

    def release(self, name: str) -> None:
        """Let go of a held signal."""
        self.to_instant()
        self._ask(ask="release", name=name)

    def gate_clock(self, *, run: bool) -> None:
        """Stop the clock, or let it run again.

        Raises:
            RtlError: when that did not take, or the design is in VHDL, whose clock is cocotb's.
        """
        if self._spec.language == "vhdl":
            raise RtlError(f"{self.article}: the clock of a VHDL design cannot be stopped; hold its reset instead")
        self.to_instant()
        self._taken(self._ask(ask="clock", run=run), "the clock")

    def hold_reset(self, *, on: bool) -> None:
        """Assert or release the reset input.

        Raises:
            RtlError: when that did not take.
        """
        self.to_instant()
        self._taken(self._ask(ask="reset", on=on), "the reset")

    def to_instant(self) -> None:
        """Run to the instant at which an input of now acts: what is injected is neither earlier nor later than one.

        Raises:
            RtlError: when the simulator died, hung, or used up its budget on the way.
        """
        acts_ps = (self._clock.now + self.lookahead_ns - self.powered_ns) * _PS
        due_ps = -(-(acts_ps - self._phase_ps) // self._period_ps) * self._period_ps + self._phase_ps
        while self._open and self._link.reached_ps < due_ps:
            self.run_to(self._rig_ns(due_ps))

    def _ask(self, **question: object) -> dict[str, object]:
        """Ask at the present instant, the last one that is not after what an input of now could change."""
        acts_ns = self._clock.now + self.lookahead_ns
        while self._open and self.granted_ns < acts_ns:
            self.run_to(acts_ns)
        return self._link.ask(**question)

    def _taken(self, answer: dict[str, object], what: str) -> None:
        if answer["after"] != answer["asked"]:
            raise RtlError(f"{self.article}: {what} was asked to be {answer['asked']} and is {answer['after']}")

    def kill(self) -> None:
        """End its simulator at once: something went wrong, and nobody will ask it again."""
        self._link.kill()

    def close(self) -> None:
        """Power down.

        Raises:
            DesignError: when the design complained and nobody was told yet: ``$error`` or a failed assertion.
        """
        if not self._open:
            return
        self._open = False
        for port, place in self._places.items():
            self._trace(self._clock.now, port, "x" * (place.stop - place.start))
        complaints = self._link.close()
        if complaints:
            raise DesignError(f"{self.article}: the design complained while it ran:\n{told(complaints)}")
