"""The I/O card as the test sees it: channels on the articles' pins, driven and observed by name.

The prefix of a port says what the channel is:

    ao_    analog output: a stiff voltage source that overrides a sensor, or nothing
    ai_    analog input: voltage
    di_    discrete input: logic level of a 28 V line with time-stamped edges
    dl_    discrete input: logic level of a 3.3 V line (an instrument's marker) with time-stamped edges
    do_    discrete output: closes to the card's 28 V, or opens
    load_  resistive load of known resistance: voltage and current
    ci_    current clamp around the net's feed: current
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hil.errors import InstrumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from hil.clock import Clock
    from hil.signal import Signal, Timeline

Quantity = Literal["level", "volts", "amps"]
QUANTITIES: dict[str, tuple[Quantity, ...]] = {
    "ao": (),
    "do": (),
    "ai": ("volts",),
    "di": ("level",),
    "dl": ("level",),
    "load": ("volts", "amps"),
    "ci": ("amps",),
}
"""What each kind of channel observes."""
UNITS: dict[Quantity, str] = {"level": "", "volts": "V", "amps": "A"}
"""Unit of each quantity."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What the card's readings are worth: expanded uncertainty (k = 2) of volts [V], amps [A] and stamps [ns]."""

    volts: float
    amps: float
    stamp_ns: int


class IoCard(ABC):
    """An I/O card on the articles' pins. Implementations open real hardware, or stand on simulated wiring."""

    name: str
    ports: tuple[str, ...]
    accuracy: Accuracy

    @abstractmethod
    def level(self, port: str) -> Signal[bool]:
        """The logic level of a ``di_`` or ``dl_`` channel, observed at every instant."""

    @abstractmethod
    def volts(self, port: str) -> Signal[float]:
        """The voltage of an ``ai_`` or ``load_`` channel [V]."""

    @abstractmethod
    def amps(self, port: str) -> Signal[float]:
        """The current through a ``load_`` or ``ci_`` channel [A]."""

    @abstractmethod
    def drive(self, port: str, volts: float) -> None:
        """Make an ``ao_`` channel give a voltage [V]."""

    @abstractmethod
    def release(self, port: str) -> None:
        """Take an ``ao_`` channel off its pin."""

    @abstractmethod
    def switch(self, port: str, on: bool) -> None:
        """Close or open a ``do_`` channel."""

    def drive_all(self, volts: Mapping[str, float]) -> None:
        """Make several ``ao_`` channels give voltages [V]: at one instant where the card can, else one by one."""
        for port, level_v in volts.items():
            self.drive(port, level_v)

    def release_all(self, ports: Iterable[str]) -> None:
        """Take several ``ao_`` channels off their pins: at one instant where the card can, else one by one."""
        for port in ports:
            self.release(port)

    @abstractmethod
    def drive_for(self, volts: Mapping[str, float], duration_ns: int, clock: Clock) -> int:
        """Make ``ao_`` channels give voltages [V] for a time [ns] that the card keeps, and wait for its end.

        Returns:
            When it began [ns rig time].
        """


class CardAtAddress(IoCard):
    """A card that is reached over an address, which the rig file gives as its ``resource``."""

    @classmethod
    @abstractmethod
    def at(cls, address: str, name: str, *, timeline: Timeline, ports: Iterable[str]) -> Self:
        """Open the card.

        Args:
            address: where it is.
            name: the instrument's name; its pins are ``name.port``.
            timeline: clock and mark of the test.
            ports: its channels that the rig uses, by prefixed name.

        Raises:
            InstrumentError: when it does not answer, or does not have these channels.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the connection; outputs stay as they are."""


def kind_of(port: str) -> str:
    """The kind of channel a port's prefix declares.

    Raises:
        InstrumentError: for a port without a known prefix.
    """
    kind = port.partition("_")[0]
    if kind not in QUANTITIES:
        raise InstrumentError(
            f"port {port!r} of an I/O card must begin with one of {', '.join(f'{known}_' for known in QUANTITIES)}"
        )
    return kind
