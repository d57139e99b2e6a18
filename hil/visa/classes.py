"""Instrument classes after the IVI specifications: what clients may ask of any supply or signal generator.

The groups follow IVI-4.4 (IviDCPwr: base, measurement, trigger) and IVI-4.10 (IviRFSigGen: base, FM, arb); names
are ours, with the unit in them. A client written against a class runs with every driver of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from hil.visa.tones import Playback, ToneSequence


class Measured(NamedTuple):
    """A measured value with its unit and the instrument it comes from."""

    value: float
    unit: str
    instrument: str


class DCOutput(Protocol):
    """One output of a programmable supply (IviDCPwr base and measurement)."""

    @property
    def voltage_v(self) -> float:
        """Programmed voltage [V]."""
        ...

    @voltage_v.setter
    def voltage_v(self, value: float, /) -> None: ...

    @property
    def current_limit_a(self) -> float:
        """Current limit [A]."""
        ...

    @current_limit_a.setter
    def current_limit_a(self, value: float, /) -> None: ...

    @property
    def tripped(self) -> tuple[str, ...]:
        """Protections that hold the output off."""
        ...

    def measure_voltage(self) -> Measured:
        """Voltage at the terminals [V]."""
        ...

    def measure_current(self) -> Measured:
        """Output current [A]."""
        ...

    def on(self) -> None:
        """Switch on, with read-back."""
        ...

    def off(self) -> None:
        """Switch off, with read-back."""
        ...

    def clear_protection(self) -> None:
        """Clear a latched protection; the output stays off."""
        ...

    def dropout(self, duration_ns: int, *, to_v: float = 0.0) -> None:
        """Interrupt the voltage for a duration [ns], timed by the supply."""
        ...


class DCPower(Protocol):
    """A programmable supply (IviDCPwr)."""

    def output(self, number: int) -> DCOutput:
        """One output, numbered from 1."""
        ...

    def all_off(self) -> None:
        """Switch every output off, with read-back."""
        ...


class RFSigGen(Protocol):
    """An RF signal generator (IviRFSigGen base, FM and arb)."""

    @property
    def frequency_hz(self) -> float:
        """Carrier frequency [Hz]."""
        ...

    @frequency_hz.setter
    def frequency_hz(self, value: float, /) -> None: ...

    @property
    def level_dbm(self) -> float:
        """Output level at the connector [dBm]."""
        ...

    @level_dbm.setter
    def level_dbm(self, value: float, /) -> None: ...

    def rf_on(self) -> None:
        """Switch the RF output on, with read-back."""
        ...

    def rf_off(self) -> None:
        """Switch the RF output off, with read-back."""
        ...

    def play(self, sequence: ToneSequence) -> Playback:
        """Play a sequence of tones once; its t0 is the edge of the marker."""
        ...
