"""Instrument classes after the IVI specifications: what clients may ask of any supply, signal generator and so on.

The groups follow IVI-4.4 (IviDCPwr: base, measurement, trigger), IVI-4.10 (IviRFSigGen: base, FM, arb), IVI-4.2
(IviDmm: base) and IVI-4.6 (IviSwtch: base); names are ours, with the unit in them. A client written against a class
runs with every driver of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from hil.visa.driver import Channel, Driver

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.visa.declare import Measurement, Setting
    from hil.visa.tones import Playback, ToneSequence


class Measured(NamedTuple):
    """A measured value with its unit and the instrument it comes from."""

    value: float
    unit: str
    instrument: str
    uncertainty: float | None = None
    """Largest deviation the instrument is specified for, in the unit; None where it is not known."""


class DCOutput(Channel, ABC):
    """One output of a programmable supply (IviDCPwr base, measurement and trigger)."""

    voltage_v: Setting[float]
    current_limit_a: Setting[float]
    over_voltage_v: Setting[float]
    enabled: Setting[bool]
    measured_voltage_v: Measurement[float]
    measured_current_a: Measurement[float]

    def measure_voltage(self) -> Measured:
        """Voltage at the sense terminals [V], with the instrument it comes from."""
        return Measured(self.measured_voltage_v, "V", self.where)

    def measure_current(self) -> Measured:
        """Output current [A], with the instrument it comes from."""
        return Measured(self.measured_current_a, "A", self.where)

    @property
    @abstractmethod
    def tripped(self) -> tuple[str, ...]:
        """Protections that hold the output off."""

    @abstractmethod
    def protect(self, *, over_voltage_v: float, current_limit_a: float, over_current_delay_s: float = 0.02) -> None:
        """Set over-voltage [V] and over-current protection ([A], after [s]), with read-back."""

    @abstractmethod
    def on(self) -> None:
        """Switch on, with read-back."""

    @abstractmethod
    def off(self, *, residual_v: float = 1.0) -> None:
        """Switch off, with read-back of the state and of the voltage, which must fall below ``residual_v`` [V]."""

    @abstractmethod
    def clear_protection(self) -> None:
        """Clear a latched protection; the output stays off."""

    @abstractmethod
    def dropout(self, duration_ns: int, *, to_v: float = 0.0) -> None:
        """Interrupt the voltage for a duration [ns], timed by the supply."""


class DCPower(Driver, ABC):
    """A programmable supply (IviDCPwr)."""

    @abstractmethod
    def output(self, number: int) -> DCOutput:
        """One output, numbered from 1."""

    @abstractmethod
    def all_off(self) -> None:
        """Switch every output off, with read-back."""


class RFSigGen(Driver, ABC):
    """An RF signal generator (IviRFSigGen base, FM and arb)."""

    frequency_hz: Setting[float]
    level_dbm: Setting[float]
    rf_enabled: Setting[bool]

    @abstractmethod
    def rf_on(self) -> None:
        """Switch the RF output on, with read-back."""

    @abstractmethod
    def rf_off(self) -> None:
        """Switch the RF output off, with read-back."""

    @abstractmethod
    def wait_until_settled(self) -> None:
        """Wait until frequency, level and the waveform player have settled."""

    @abstractmethod
    def play(self, sequence: ToneSequence) -> Playback:
        """Play a sequence of tones once; its t0 is the edge of the marker."""

    @abstractmethod
    def arm_external(self, sequence: ToneSequence) -> Playback:
        """Load a sequence and wait for an edge at the trigger input, which plays it once without any command."""

    @abstractmethod
    def disarm(self) -> None:
        """Let no trigger play anything any more, with read-back."""


class Dmm(Driver, ABC):
    """A digital multimeter (IviDmm)."""

    @abstractmethod
    def measure_voltage(self, range_v: float | None = None) -> Measured:
        """DC voltage at the input [V]; ``range_v`` [V] is the largest one expected, None lets it choose."""

    @abstractmethod
    def measure_current(self, range_a: float | None = None) -> Measured:
        """DC current through the current input [A]; ``range_a`` [A] as for the voltage."""

    @abstractmethod
    def measure_resistance(self, range_ohm: float | None = None) -> Measured:
        """Resistance at the input, two-wire [ohm]; ``range_ohm`` [ohm] as for the voltage."""


class RelayTimes(NamedTuple):
    """How long a relay takes, shortest and longest [ns]."""

    operate_ns: tuple[int, int]
    """From the command to a closed contact that has stopped bouncing."""
    release_ns: tuple[int, int]
    """From the command to an open contact."""


class Switch(Driver, ABC):
    """A relay switch or matrix (IviSwtch)."""

    @property
    @abstractmethod
    def channels(self) -> tuple[int, ...]:
        """The numbers of its relays."""

    @abstractmethod
    def times(self, channel: int) -> RelayTimes:
        """How long a relay takes."""

    @abstractmethod
    def connect(self, *channels: int, settled: Callable[[], None] | None = None) -> None:
        """Close relays, wait until they have closed, and read back; ``settled`` is called after the wait."""

    @abstractmethod
    def disconnect(self, *channels: int, settled: Callable[[], None] | None = None) -> None:
        """Open relays, wait until they have opened, and read back; ``settled`` is called after the wait."""

    @abstractmethod
    def disconnect_all(self) -> None:
        """Open every relay, with read-back."""

    @abstractmethod
    def connected(self, *channels: int) -> tuple[bool, ...]:
        """Whether these relays are closed, as far as the instrument knows."""

    @abstractmethod
    def cycle_counts(self, *channels: int) -> tuple[int, ...]:
        """How often these relays have been closed."""
