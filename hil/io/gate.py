"""The gate before a hazardous I/O card: which outputs a test may move, how far, and what energises something.

What a test may say is read as the card would read it. Outputs that are not listed are refused, and so is what is beyond
an output's bounds; nothing is clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from hil.closed import nearest
from hil.io import stream

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Move: TypeAlias = stream.Drive | stream.Release | stream.Pulse | stream.Switch
"""What moves an output, or several."""


@dataclass(frozen=True, slots=True)
class OutputRule:
    """What an output of a card may be made to do."""

    energises: Literal["high", "low"] | None = None
    """At which level it energises something: closed or driven, or open; None for never."""
    quiet_v: float = 0.0
    """Magnitude up to which a driven output energises nothing [V]."""
    min_v: float | None = None
    """Least voltage it may be driven to [V]."""
    max_v: float | None = None
    """Largest voltage it may be driven to [V]."""


class Ruling(NamedTuple):
    """What the gate says of one message."""

    refusal: str = ""
    """Why it may not pass; "" when it may."""
    energises: bool = False
    """Whether it energises something, so that the interlock is asked first."""
    quiets: bool = False
    """Whether nothing that this card does is energised afterwards."""


class CardGate:
    """What a test may say to one card; remembers which outputs it has energised.

    Args:
        name: what the rig calls the card.
        outputs: its outputs by name, or by the beginning of their names with a ``*`` behind it; the longest fits.
        reserved: outputs that only the keeper moves.
    """

    def __init__(self, name: str, outputs: Mapping[str, OutputRule], *, reserved: Collection[str] = ()) -> None:
        self.name = name
        self._outputs = dict(outputs)
        self._reserved = frozenset(reserved)
        self._live: set[str] = set()

    def rule(self, move: Move) -> Ruling:
        """Whether a message may pass, and what it does; :meth:`passed` says that it did."""
        if isinstance(move, stream.Pulse):
            return self._rule_pulse(move)
        rule = self.rule_of(move.channel)
        shown = f"{self.name}.{move.channel}"
        if move.channel in self._reserved:
            return Ruling(f"{shown} is moved by the keeper alone")
        if rule is None:
            listed = [name for name in self._outputs if not name.endswith("*")]
            return Ruling(f"{shown} is not on the list of outputs that may be moved; {nearest(move.channel, listed)}")
        kind, prefix = ("switched", "do_") if isinstance(move, stream.Switch) else ("driven or released", "ao_")
        if not move.channel.startswith(prefix):
            return Ruling(f"{shown} cannot be {kind}: only a channel {prefix}... can")
        if isinstance(move, stream.Drive):
            if rule.max_v is not None and not move.volts <= rule.max_v:
                return Ruling(f"{move.volts:g} V is refused: {shown} may be driven to {rule.max_v:g} V at most")
            if rule.min_v is not None and not move.volts >= rule.min_v:
                return Ruling(f"{move.volts:g} V is refused: {shown} may be driven to {rule.min_v:g} V at least")
        energises = _energises(rule, move)
        return Ruling("", energises, not energises and self._live == {move.channel})

    def _rule_pulse(self, pulse: stream.Pulse) -> Ruling:
        """Each channel as if it were driven; none may energise: the card ends a pulse by itself, and is not asked."""
        for channel, volts in pulse.volts.items():
            ruling = self.rule(stream.Drive(pulse.id, channel, volts))
            if ruling.refusal:
                return ruling
            if ruling.energises:
                return Ruling(
                    f"a pulse is refused: {self.name}.{channel} energises at {volts:g} V; drive and release it"
                )
        return Ruling()

    def passed(self, move: Move) -> None:
        """A message was let through."""
        if isinstance(move, stream.Pulse):
            return
        rule = self.rule_of(move.channel)
        if rule is not None and _energises(rule, move):
            self._live.add(move.channel)
        else:
            self._live.discard(move.channel)

    def all_safe(self) -> None:
        """The safe sequence has run: nothing is energised by the test."""
        self._live.clear()

    def rule_of(self, channel: str) -> OutputRule | None:
        """What an output may be made to do; None for one that is not listed."""
        if channel in self._outputs:
            return self._outputs[channel]
        fitting = [name for name in self._outputs if name.endswith("*") and channel.startswith(name[:-1])]
        return self._outputs[max(fitting, key=len)] if fitting else None


def _energises(rule: OutputRule, move: stream.Drive | stream.Release | stream.Switch) -> bool:
    if rule.energises is None:
        return False
    match move:
        case stream.Switch():
            return move.on is (rule.energises == "high")
        case stream.Drive():
            return not abs(move.volts) <= rule.quiet_v
        case stream.Release():
            return False
