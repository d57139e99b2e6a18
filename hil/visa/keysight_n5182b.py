"""Keysight N5182B MXG vector signal generator: declarations and driver.

Sources: Keysight's SCPI command reference for X-Series signal generators and the N518xA/E44x8C programming guide
for headers, the marker file and the waveform format; a value that was not found there says "not verified".
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, TypeVar

from hil.errors import InstrumentError
from hil.units import ms, s
from hil.visa import iq
from hil.visa.classes import RFSigGen
from hil.visa.declare import Setting
from hil.visa.scpi.parameters import Boolean, Choice, Number, Text
from hil.visa.tones import Playback, ToneSequence, check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil.visa.tones import Burst

T = TypeVar("T")

SAMPLES_MIN = 60
"""Samples a waveform segment must have; not verified for the N5182B (60 on its predecessors)."""
REPEATS_MAX = 65_535
"""Times a sequence can repeat a segment."""
STEPS_MAX = 1_024
"""Steps of a sequence; not verified."""
MARKER_NS = 1 * ms
"""How long the driver makes the marker high [ns], at most the marked burst."""
_SEQUENCE_NAME = "SEQ:HIL"


class KeysightN5182B(RFSigGen):
    """A Keysight N5182B MXG; plays tone sequences from its waveform memory, timed by its marker 1."""

    manufacturers: ClassVar[tuple[str, ...]] = ("Keysight Technologies", "Agilent Technologies")
    models: ClassVar[tuple[str, ...]] = ("N5182B",)
    energising: ClassVar[tuple[str, ...]] = ("rf_enabled",)
    loads: ClassVar[tuple[str, ...]] = ("MEMory:DATA", "[SOURce:]RADio#:ARB:SEQuence")
    plays: ClassVar[tuple[str, ...]] = ("arb_waveform",)
    starts: ClassVar[tuple[str, ...]] = ("arb_enabled",)
    modulations: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"FM": "[SOURce:]FM#:STATe", "AM": "[SOURce:]AM#:STATe", "PULM": "[SOURce:]PULM:STATe"}
    )

    frequency_hz = Setting(
        "[SOURce:]FREQuency[:CW]",
        Number("Hz", 9e3, 6e9, step=0.01),
        reset=6e9,
        doc="Carrier frequency. Range of option 506; not verified.",
    )
    level_dbm = Setting(
        "[SOURce:]POWer[:LEVel][:IMMediate][:AMPLitude]",
        Number("dBm", -144.0, 26.0, step=0.01),
        reset=-144.0,
        doc="Level at the RF connector into 50 ohm. Range not verified.",
    )
    rf_enabled: Setting[bool] = Setting("OUTPut[:STATe]", Boolean(), reset=False, doc="RF output.")
    modulation_enabled = Setting(
        "OUTPut:MODulation[:STATe]", Boolean(), reset=True, doc="Whether any modulation reaches the output."
    )
    fm_enabled = Setting("[SOURce:]FM#:STATe", Boolean(), reset=False, doc="Frequency modulation, path 1.")
    fm_deviation_hz = Setting(
        "[SOURce:]FM#[:DEViation]",
        Number("Hz", 0.0, 1e6, step=0.1),
        reset=1e3,
        doc="Peak deviation, path 1. Range not verified.",
    )
    fm_rate_hz = Setting(
        "[SOURce:]FM#:INTernal#:FREQuency",
        Number("Hz", 0.1, 1e6, step=0.1),
        reset=400.0,
        doc="Rate of the internal modulation source. Range not verified.",
    )
    arb_enabled: Setting[bool] = Setting(
        "[SOURce:]RADio#:ARB[:STATe]", Boolean(), reset=False, doc="Arbitrary waveform player: off, or armed."
    )
    arb_sample_rate_hz = Setting(
        "[SOURce:]RADio#:ARB:SCLock:RATE",
        Number("Hz", 1e3, 200e6, step=0.001),
        reset=200e6,
        doc="Sample clock of the waveform player. Range not verified.",
    )
    arb_trigger_type = Setting(
        "[SOURce:]RADio#:ARB:TRIGger:TYPE",
        Choice("CONTinuous", "SINGle"),
        reset="CONT",
        doc="Play for ever, or once a trigger. Gate and segment advance are not declared here.",
    )
    arb_trigger_source = Setting(
        "[SOURce:]RADio#:ARB:TRIGger[:SOURce]", Choice("KEY", "BUS", "EXTernal"), reset="EXT", doc="What triggers it."
    )
    arb_trigger_input = Setting(
        "[SOURce:]RADio#:ARB:TRIGger[:SOURce]:EXTernal[:SOURce]",
        Choice("EPT1", "EPT2"),
        reset="EPT1",
        doc="Connector of the external trigger: PAT TRIG (EPT1), or the auxiliary one (EPT2).",
    )
    arb_trigger_slope = Setting(
        "[SOURce:]RADio#:ARB:TRIGger[:SOURce]:EXTernal:SLOPe",
        Choice("POSitive", "NEGative"),
        reset="NEG",
        doc="Edge of the external trigger that counts. State after reset not verified; the driver always sets it.",
    )
    arb_trigger_delay_s = Setting(
        "[SOURce:]RADio#:ARB:TRIGger[:SOURce]:EXTernal:DELay",
        Number("s", 10e-9, 40.0, step=1e-9),
        reset=1e-3,
        doc="Delay from external trigger to the first sample, while it is switched on. Range not verified.",
    )
    arb_trigger_delayed: Setting[bool] = Setting(
        "[SOURce:]RADio#:ARB:TRIGger[:SOURce]:EXTernal:DELay:STATe",
        Boolean(),
        reset=False,
        doc="Whether the external trigger is delayed.",
    )
    arb_retrigger = Setting(
        "[SOURce:]RADio#:ARB:RETRigger",
        Choice("ON", "OFF", "IMMediate"),
        reset="ON",
        doc="A trigger while it plays: play again afterwards, ignore, or start again at once.",
    )
    arb_waveform = Setting(
        "[SOURce:]RADio#:ARB:WAVeform", Text(), reset="", doc="The selected segment (WFM1:NAME) or sequence (SEQ:NAME)."
    )

    _loaded: set[str]
    _armed: tuple[ToneSequence, str] | None

    def prepare(self) -> None:
        """Nothing is loaded or armed yet, as far as this driver knows."""
        self._loaded = set()
        self._armed = None

    def tell(self, declared: Setting[T], value: T, /) -> None:
        """Set a declared value; one of the waveform player disarms what :meth:`arm` prepared.

        Raises:
            InstrumentError: when the value is refused, here or by the instrument.
        """
        if declared.name.startswith("arb_") or declared.name == "modulation_enabled":
            self._armed = None
        super().tell(declared, value)

    def rf_on(self) -> None:
        """Switch the RF output on and read it back.

        Raises:
            InstrumentError: when it does not read back.
        """
        self.rf_enabled = True
        if not self.rf_enabled:
            raise InstrumentError(f"{self.name}: OUTP ON was sent, but OUTP? reads back off; look at its front panel")

    def rf_off(self) -> None:
        """Switch the RF output off and read it back.

        Raises:
            InstrumentError: when it does not read back.
        """
        self.rf_enabled = False
        if self.rf_enabled:
            raise InstrumentError(f"{self.name}: OUTP OFF was sent, but OUTP? reads back on; disconnect its cable")

    def wait_until_settled(self) -> None:
        """Wait until frequency, level and the waveform player have settled.

        Raises:
            InstrumentError: when the generator does not answer in time.
        """
        self.query("*OPC?")

    def play(self, sequence: ToneSequence) -> Playback:
        """Play a sequence of tones once.

        The trigger takes tens of milliseconds that vary; **t0 is the rising edge of marker 1**, which comes with
        the start of the marked burst, never the return of this call. A sequence that is armed already is only
        triggered.

        Raises:
            InstrumentError: for a sequence the generator cannot play, or when it reports an error.
        """
        self.arm(sequence)
        self.wait_until_settled()
        self.announce(f"{self.name}.play", str(sequence))
        self.write("*TRG")
        return Playback(sequence.duration_ns, sequence.marker_ns)

    def arm(self, sequence: ToneSequence) -> None:
        """Make the samples of a sequence, load them and wait for the trigger, which :meth:`play` gives.

        Raises:
            InstrumentError: for a sequence the generator cannot play, or when it reports an error.
        """
        self._arm(sequence, "BUS")

    def arm_external(self, sequence: ToneSequence) -> Playback:
        """Load a sequence and wait for a rising edge at the trigger input, which plays it once.

        Another edge while it plays is ignored; one after its end plays it again.

        Raises:
            InstrumentError: for a sequence the generator cannot play, or when it reports an error.
        """
        self._arm(sequence, "EXT")
        self.wait_until_settled()
        return Playback(sequence.duration_ns, sequence.marker_ns)

    def disarm(self) -> None:
        """Switch the waveform player off and read it back: no trigger plays anything any more.

        Raises:
            InstrumentError: when it does not read back.
        """
        self.arb_enabled = False
        if self.arb_enabled:
            raise InstrumentError(
                f"{self.name}: RAD:ARB OFF was sent, but RAD:ARB? reads back on; disconnect its trigger"
            )

    # -- inside -------------------------------------------------------------------------------------------

    def _arm(self, sequence: ToneSequence, source: str) -> None:
        self._check_sequence(sequence)
        if (sequence, source) == self._armed:
            return
        self.announce(f"{self.name}.arm", str(sequence))
        self._armed = None
        with self.group():
            self.arrange(KeysightN5182B.arb_enabled, False)
            steps = self._load(sequence)
            self.write(f'RAD:ARB:SEQ "{_SEQUENCE_NAME}",' + ",".join(steps))
            self.arrange(KeysightN5182B.arb_sample_rate_hz, sequence.sample_rate_hz)
            self.arrange(KeysightN5182B.arb_trigger_type, "SINGle")
            self.arrange(KeysightN5182B.arb_trigger_source, source)
            if source == "EXT":
                self.arrange(KeysightN5182B.arb_trigger_input, "EPT1")
                self.arrange(KeysightN5182B.arb_trigger_slope, "POSitive")
                self.arrange(KeysightN5182B.arb_trigger_delayed, False)
            self.arrange(KeysightN5182B.arb_retrigger, "OFF")
            self.arrange(KeysightN5182B.arb_waveform, _SEQUENCE_NAME)
            self.arrange(KeysightN5182B.modulation_enabled, True)
            self.arrange(KeysightN5182B.arb_enabled, True)
        self._armed = (sequence, source)

    def _check_sequence(self, sequence: ToneSequence) -> None:
        where = f"{self.name}.play"
        check(sequence, where)
        if len(sequence.bursts) > STEPS_MAX:
            raise InstrumentError(f"{where}: {len(sequence.bursts)} bursts; a sequence has at most {STEPS_MAX} steps")
        for index, burst in enumerate(sequence.bursts):
            if burst.repeats > REPEATS_MAX:
                raise InstrumentError(f"{where}: burst {index} repeats {burst.repeats} times; at most {REPEATS_MAX}")
            if sequence.samples(burst) < SAMPLES_MIN:
                raise InstrumentError(
                    f"{where}: burst {index} has {sequence.samples(burst)} samples at "
                    f"{sequence.sample_rate_hz:g} Hz; a segment needs {SAMPLES_MIN}"
                )

    def _load(self, sequence: ToneSequence) -> list[str]:
        """Download the segments that are not there yet; the steps of the sequence that plays them."""
        steps: list[str] = []
        phase = 0.0
        for index, burst in enumerate(sequence.bursts):
            count = sequence.samples(burst)
            samples, end = iq.synthesise(burst.tones, count, sequence.sample_rate_hz, phase)
            if burst.repeats == 1:
                phase = end
            data = iq.encode(samples if burst.carrier else samples * 0.0)
            marked = index in sequence.marked
            markers = _markers(burst, count, sequence.sample_rate_hz) if marked else bytes(count)
            name = "H" + hashlib.sha256(data + markers).hexdigest()[:16].upper()
            if name not in self._loaded:
                self.write_block(f'MEM:DATA "WFM1:{name}",', data)
                self.write_block(f'MEM:DATA "MKR1:{name}",', markers)
                self._loaded.add(name)
            steps.append(f'"WFM1:{name}",{burst.repeats},{"M1" if marked else "NONE"}')
        return steps


def _markers(burst: Burst, count: int, sample_rate_hz: float) -> bytes:
    """One byte a sample, bit 0 is marker 1: high from the first sample on."""
    high = min(count, max(1, round(min(MARKER_NS, burst.duration_ns) * sample_rate_hz / s)))
    return b"\x01" * high + bytes(count - high)
