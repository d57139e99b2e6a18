"""Upsets one by one: which single flipped bit of a design reaches an output, stays inside, or is gone.

A stimulus is played to the design again and again, each time from a reset; each time one bit of one register flips at
a time of its own. What the outputs do is compared with the undisturbed design, instant by instant, and at the end what
the registers hold. One simulator plays many times: the reset makes it equal again, which is checked.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from math import lcm
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from hil.errors import DesignError, RtlError
from hil.rtl.analysis.solo import BUDGET_S, Change, Input, Solo
from hil.rtl.bits import flipped, level_of
from hil.toml_lines import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.rtl.build import Built
    from hil.rtl.spec import RtlSpec

Outcome = Literal["output", "complaint", "latent", "gone", "unknown"]
OUTCOMES: tuple[Outcome, ...] = ("output", "complaint", "latent", "gone", "unknown")
"""What becomes of a flipped bit: it reaches an output; the design complains; a register still differs at the end; it
has no effect that is left (corrected, overwritten, or never looked at); it was unknown, so that nothing was flipped."""
_PS = 1000
_CHECK_EVERY = 100  # flips after which the undisturbed design is played once more


class Play(NamedTuple):
    """A stimulus: what is given to a design after its reset, and for how long.

    Args:
        until_ns: how long [ns since the reset was released].
        inputs: in order of time [ns since the reset was released]; without them ports are 0 and nothing is sampled.
    """

    until_ns: int
    inputs: tuple[Input, ...] = ()


class Difference(NamedTuple):
    """An output that was not what it would have been: when first [ns since the reset], what it was and should be."""

    output: str
    at_ns: int
    was: str
    undisturbed: str


@dataclass(frozen=True, slots=True)
class Upset:
    """One flipped bit and what came of it.

    Args:
        register: its hierarchical name below the top.
        bit: which bit of it, 0 is the lowest.
        at_ns: when it flipped [ns since the reset].
        outcome: what came of it.
        reached: the outputs it reached, each with the first difference; in order of time.
        left: registers that still differed at the end.
        complaint: what the design complained of.
    """

    register: str
    bit: int
    at_ns: int
    outcome: Outcome
    reached: tuple[Difference, ...] = ()
    left: tuple[str, ...] = ()
    complaint: str = ""

    def __str__(self) -> str:
        """In one line, for people."""
        what = f"{self.register}[{self.bit}] at {self.at_ns} ns: {self.outcome}"
        if self.complaint:
            return f"{what}, {self.complaint}"
        if self.reached:
            each = ", ".join(f"{one.output} {one.was} for {one.undisturbed} at {one.at_ns} ns" for one in self.reached)
            return f"{what}, {each}"
        return f"{what}, {', '.join(self.left)}" if self.left else what


@dataclass(frozen=True, slots=True)
class Campaign:
    """What became of every flipped bit.

    Args:
        upsets: one each.
        bits: how many bits there were to be flipped.
        undisturbed: how often outputs changed in the undisturbed play: 0 says that little was asked.
        shown: what each output showed in the undisturbed play, in order, as bits.
    """

    upsets: tuple[Upset, ...]
    bits: int
    undisturbed: int
    shown: Mapping[str, tuple[str, ...]]

    @property
    def unknown(self) -> tuple[str, ...]:
        """Outputs that were unknown at some time of the undisturbed play: nothing can be said of what reaches them."""
        return tuple(output for output, levels in self.shown.items() if set("".join(levels)) - {"0", "1"})

    def reached(self, *outputs: str) -> list[Upset]:
        """The upsets that reached any of some outputs; any output at all unless named."""
        return [upset for upset in self.upsets if any(not outputs or each.output in outputs for each in upset.reached)]

    def count(self, outcome: Outcome) -> int:
        """How many flips came to this."""
        return sum(upset.outcome == outcome for upset in self.upsets)

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Columns and rows: per register how many bits flipped, what became of them, and the outputs they reached."""
        rows: list[tuple[str, ...]] = []
        for register in dict.fromkeys(upset.register for upset in self.upsets):
            own = [upset for upset in self.upsets if upset.register == register]
            outcomes = Counter(upset.outcome for upset in own)
            outputs = sorted({each.output for upset in own for each in upset.reached})
            counts = [str(outcomes[outcome]) if outcomes[outcome] else "" for outcome in OUTCOMES]
            rows.append((register, str(len(own)), *counts, ", ".join(outputs)))
        total = [str(self.count(outcome)) for outcome in OUTCOMES]
        rows.append(("all", str(len(self.upsets)), *total, ""))
        return ("register", "flips", *OUTCOMES, "outputs reached"), rows


def upset_campaign(
    built: Built,
    play: Play,
    *,
    registers: Sequence[str] | None = None,
    flips: int | None = None,
    since_ns: int = 0,
    seed: int = 1,
    budget_s: float = BUDGET_S,
) -> Campaign:
    """Flip bits of the registers that a design's ``[upsets]`` lists, one in each play.

    Args:
        built: the design, built to be served; on Verilator with its registers open.
        play: what is given to it meanwhile.
        registers: those whose bits are flipped, of the listed ones; all of them unless given.
        flips: how many bits, drawn without repetition; every one unless given, or when there are fewer.
        since_ns: no bit is flipped before this [ns since the reset was released].
        seed: of the draw, and of the times.
        budget_s: wall time one simulator may use [s].

    Raises:
        RtlError: when a register is not listed, not there or cannot be written, when the design does not repeat itself
            after a reset, or its simulator goes wrong.
    """
    names = _named(built.spec, registers)
    rng = np.random.Generator(np.random.PCG64(seed))
    stage = _Stage(built, play, budget_s)
    try:
        widths = stage.begin()
        places = [(name, bit) for name in names for bit in range(widths[name])]
        count = len(places) if flips is None else min(flips, len(places))
        drawn = sorted(int(index) for index in rng.choice(len(places), count, replace=False))
        period_ps = built.spec.clock.period_ps
        first, last = max(since_ns * _PS // period_ps, 1), play.until_ns * _PS // period_ps
        clocks = rng.integers(first, max(last, first + 1), count).tolist()
        found: list[Upset] = []
        for number, (index, clock) in enumerate(zip(drawn, clocks, strict=True)):
            if number % _CHECK_EVERY == _CHECK_EVERY - 1:
                stage.check()
            found.append(stage.flip(*places[index], -(-clock * period_ps // _PS)))
        stage.check()
        return Campaign(tuple(found), len(places), len(stage.undisturbed) - 1, stage.shown())
    finally:
        stage.close()


def _named(spec: RtlSpec, registers: Sequence[str] | None) -> Sequence[str]:
    """The registers whose bits are flipped.

    Raises:
        RtlError: when one is not listed, or none is.
    """
    listed = spec.upsets.registers
    if not listed:
        raise RtlError(f"{spec.file}: [upsets] lists no registers; list what an upset may hit")
    for name in registers or ():
        if name not in listed:
            raise RtlError(f"{spec.file}: [upsets] does not list {name}{did_you_mean(name, listed)}")
    return listed if registers is None else registers


class _UnknownError(Exception):
    """A register to be flipped holds something unknown."""


class _Stage:
    """A design that plays again and again; a new simulator when the last one is not equal to a new one any more."""

    def __init__(self, built: Built, play: Play, budget_s: float) -> None:
        self._built = built
        self._play = play
        self._budget_s = budget_s
        self._registers = list(built.spec.upsets.registers)
        self._solo: Solo | None = None
        self._begin_ps = 0
        self._reset_state: list[str] = []
        spec = built.spec
        rates_hz = [bind.rate_hz for bind in spec.bind.values() if bind.kind == "samples"]
        clocks = lcm(*(round(1e12 / rate_hz / spec.clock.period_ps) for rate_hz in rates_hz))
        self._beat_ps = lcm(clocks * spec.clock.period_ps, _PS)  # plays begin at equal places between samples
        self._cleared = [name not in spec.power_up.unreset for name in self._registers]
        self.undisturbed: list[Change] = []
        self.end_state: list[str] = []

    def begin(self) -> dict[str, int]:
        """Play undisturbed, twice; returns how many bits each register has.

        Raises:
            RtlError: when a register is not there, or the two plays are not the same.
        """
        self.undisturbed = self._played(None)
        self.end_state = self._peek()
        self.check()
        return dict(zip(self._registers, map(len, self.end_state), strict=True))

    def close(self) -> None:
        """End it."""
        solo, self._solo = self._solo, None
        if solo is not None:
            solo.__exit__()

    def check(self) -> None:
        """Play undisturbed.

        Raises:
            RtlError: when it is not as it was the first time.
        """
        again = self._played(None)
        if again != self.undisturbed or self._peek() != self.end_state:
            raise RtlError(
                f"{self._built.spec.name}: played twice undisturbed, it is not the same: something outlives its reset; "
                "let the stimulus set it, or give it a reset"
            )

    def shown(self) -> dict[str, tuple[str, ...]]:
        """What each output showed in the undisturbed play, in order."""
        assert self._solo is not None
        levels = {output: [bits[place] for _, bits in self.undisturbed] for output, place in self._solo.places.items()}
        return {output: tuple(bits for bits, _ in groupby(each)) for output, each in levels.items()}

    def flip(self, register: str, bit: int, at_ns: int) -> Upset:
        """Play with one flipped bit."""
        try:
            changes = self._played((register, bit, at_ns))
            state = self._peek()
        except _UnknownError:
            return Upset(register, bit, at_ns, "unknown")
        except DesignError as complaint:
            self.close()
            return Upset(register, bit, at_ns, "complaint", complaint=str(complaint).splitlines()[1])
        reached = self._differences(changes)
        left = tuple(name for name, now, was in zip(self._registers, state, self.end_state, strict=True) if now != was)
        outcome: Outcome = "output" if reached else "latent" if left else "gone"
        return Upset(register, bit, at_ns, outcome, reached, left)

    # -- one play -----------------------------------------------------------------------------------------

    def _played(self, upset: tuple[str, int, int] | None) -> list[Change]:
        """Reset, play, and return what the outputs did, in time since the reset [ps]; flips a bit on the way."""
        solo, begin_ps = self._ready()
        begin_ns, behind_ns = begin_ps // _PS, -(-begin_ps // _PS)  # of an instant between two nanoseconds
        rest = [each._replace(at_ns=each.at_ns + begin_ns) for each in self._play.inputs]
        changes = [Change(begin_ps, solo.bits)]
        if upset is not None:
            register, bit, at_ns = upset
            changes += solo.run(behind_ns + at_ns, [each for each in rest if each.at_ns <= begin_ns + at_ns])
            rest = [each for each in rest if each.at_ns > begin_ns + at_ns]
            bits = solo.peek([register])[0]
            if level_of(bits) is None:
                raise _UnknownError
            solo.deposit(register, flipped(bits, bit))
        changes += solo.run(behind_ns + self._play.until_ns, rest)
        return [Change(each.at_ps - begin_ps, each.bits) for each in changes]

    def _ready(self) -> tuple[Solo, int]:
        """A design that was just released from its reset, and when [ps]."""
        solo = self._solo
        if solo is not None:
            begin_ps = self._reset(solo)
            if self._cleared_state() == self._reset_state:
                solo.reset(on=False)
                return solo, begin_ps
            self.close()
        self._solo = solo = Solo(self._built, budget_s=self._budget_s)
        self._begin_ps = solo.reset_ps
        solo.run((solo.reset_ps + solo.period_ps) // _PS + 1)
        begin_ps = self._reset(solo)
        self._reset_state = self._cleared_state()
        solo.reset(on=False)
        return solo, begin_ps

    def _reset(self, solo: Solo) -> int:
        """Assert the reset for as long as power-up does, silence the inputs, and stop at a beat; returns it [ps]."""
        solo.reset(on=True)
        enough_ps = solo.reached_ps + self._built.spec.reset.cycles * solo.period_ps
        beats = -(-(enough_ps - self._begin_ps) // self._beat_ps)
        begin_ps = self._begin_ps + beats * self._beat_ps
        now_ns = solo.reached_ps // _PS
        solo.run(-(-begin_ps // _PS), [Input(now_ns, port, 0) for port in solo.inputs])
        solo.run(-(-begin_ps // _PS), self._anew(begin_ps // _PS))
        return begin_ps

    def _anew(self, at_ns: int) -> list[Input]:
        """What peripherals have in mind is forgotten too."""
        found: list[Input] = []
        for name, bind in self._built.spec.bind.items():
            if bind.kind == "samples":
                silence: Mapping[str, object] = {"tones": [], "noise_lsb": 0.0, "level_lsb": 0.0, "anew": True}
                found.append(Input(at_ns, name, json.dumps(silence).encode()))
            elif bind.kind == "spi_adc":
                found.append(Input(at_ns, name, bytes(2 * len(bind.channels))))
        return found

    def _peek(self) -> list[str]:
        assert self._solo is not None
        return self._solo.peek(self._registers)

    def _cleared_state(self) -> list[str]:
        """What the reset leaves in the registers that it clears."""
        return [bits for bits, cleared in zip(self._peek(), self._cleared, strict=True) if cleared]

    # -- comparing ----------------------------------------------------------------------------------------

    def _differences(self, changes: Sequence[Change]) -> tuple[Difference, ...]:
        """The first difference of each output from the undisturbed play."""
        assert self._solo is not None
        found: dict[str, Difference] = {}
        was = should = ""
        mine, others = dict(changes), dict(self.undisturbed)
        for at_ps in sorted({*mine, *others}):
            was, should = mine.get(at_ps, was), others.get(at_ps, should)
            if was == should:
                continue
            for output, place in self._solo.places.items():
                if was[place] != should[place] and output not in found:
                    found[output] = Difference(output, -(-at_ps // _PS), was[place], should[place])
        return tuple(found.values())
