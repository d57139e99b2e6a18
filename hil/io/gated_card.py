"""A simulated I/O card with the gate of a hazardous one before its outputs, as the keeper stands before a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import InstrumentError
from hil.io import stream
from hil.io.card import IoCard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hil.clock import Clock
    from hil.io.gate import CardGate, Move
    from hil.signal import Signal


class GatedCard(IoCard):
    """What a test has of a hazardous card.

    Args:
        card: the card itself.
        gate: what may be done to it.
        why_not_energise: why nothing may be energised now; "" when it may.
    """

    def __init__(self, card: IoCard, gate: CardGate, why_not_energise: Callable[[], str]) -> None:
        self.name = card.name
        self.ports = card.ports
        self.accuracy = card.accuracy
        self.ungated = card
        """The card without its gate, for the safe sequence."""
        self._gate = gate
        self._why_not_energise = why_not_energise

    def level(self, port: str) -> Signal[bool]:
        """The logic level of a ``di_`` or ``dl_`` channel."""
        return self.ungated.level(port)

    def volts(self, port: str) -> Signal[float]:
        """The voltage of an ``ai_`` or ``load_`` channel [V]."""
        return self.ungated.volts(port)

    def amps(self, port: str) -> Signal[float]:
        """The current through a ``load_`` or ``ci_`` channel [A]."""
        return self.ungated.amps(port)

    def drive(self, port: str, volts: float) -> None:
        """Make an ``ao_`` channel give a voltage [V].

        Raises:
            InstrumentError: when the gate refuses it; as the card's own :meth:`~hil.io.card.IoCard.drive` otherwise.
        """
        self.drive_all({port: volts})

    def release(self, port: str) -> None:
        """Take an ``ao_`` channel off its pin.

        Raises:
            InstrumentError: as :meth:`drive`.
        """
        self.release_all((port,))

    def switch(self, port: str, on: bool) -> None:
        """Close or open a ``do_`` channel.

        Raises:
            InstrumentError: as :meth:`drive`.
        """
        self._pass([stream.Switch(0, port, on)])
        self.ungated.switch(port, on)

    def drive_all(self, volts: Mapping[str, float]) -> None:
        """Make several ``ao_`` channels give voltages [V] at one instant; all of them, or none.

        Raises:
            InstrumentError: as :meth:`drive`.
        """
        self._pass([stream.Drive(0, port, level_v) for port, level_v in volts.items()])
        self.ungated.drive_all(volts)

    def release_all(self, ports: Iterable[str]) -> None:
        """Take several ``ao_`` channels off their pins at one instant.

        Raises:
            InstrumentError: as :meth:`drive`.
        """
        ports = tuple(ports)
        self._pass([stream.Release(0, port) for port in ports])
        self.ungated.release_all(ports)

    def drive_for(self, volts: Mapping[str, float], duration_ns: int, clock: Clock) -> int:
        """Make ``ao_`` channels give voltages [V] for a time [ns] that the card keeps, and wait for its end.

        Returns:
            When it began [ns rig time].

        Raises:
            InstrumentError: as :meth:`drive`.
        """
        self._pass([stream.Pulse(0, dict(volts), duration_ns)])
        return self.ungated.drive_for(volts, duration_ns, clock)

    def _pass(self, moves: list[Move]) -> None:
        """Let all of it through, or nothing.

        Raises:
            InstrumentError: when something may not be.
        """
        for move in moves:
            ruling = self._gate.rule(move)
            refusal = ruling.refusal or (self._why_not_energise() if ruling.energises else "")
            if refusal:
                raise InstrumentError(f"{self.name}: {move} was refused: {refusal}")
        for move in moves:
            self._gate.passed(move)
