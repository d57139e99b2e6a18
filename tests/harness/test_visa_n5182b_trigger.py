"""The Keysight N5182B armed for its trigger input: what an edge there does, and when."""

from __future__ import annotations

import pytest
import pyvisa

from hil.clock import VirtualClock
from hil.errors import InstrumentError
from hil.noise import Streams
from hil.units import ms, us
from hil.visa.keysight_n5182b import KeysightN5182B
from hil.visa.keysight_n5182b_twin import EXTERNAL_TRIGGER_NS, MARKER_TO_RF_NS, KeysightN5182BTwin
from hil.visa.library import SimVisaLibrary
from hil.visa.tones import Burst, check, gap, sequence
from hil.wiring import Wiring

ADDRESS = "TCPIP0::siggen::inst0::INSTR"
ARM = Burst(((7_500.0, 30e3), (12_140.0, 30e3)), 40 * ms)
TERMINATE = Burst(((7_500.0, 30e3), (8_460.0, 30e3)), 40 * ms)
COMMANDS = sequence(ARM, gap(20 * ms), TERMINATE, marked=(0, 2))
SAMPLE_NS = 1 * us


class Bench:
    """A simulated generator on the air, its trigger input on a switch, its marker on a card."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = VirtualClock()
        wiring = Wiring(self.clock)
        twin = KeysightN5182BTwin(name="siggen", clock=self.clock, streams=Streams(seed), wiring=wiring)
        self.key, card, receiver = wiring.pin("range.key"), wiring.pin("card.dl"), wiring.rf_pin("rx.rf")
        wiring.net("key", ["range.key", "siggen.trigger"])
        wiring.net("marker", ["siggen.marker1", "card.dl"])
        wiring.net("uplink", ["siggen.rf", "rx.rf"])
        self.rises: list[int] = []
        self.tones: list[tuple[int, int]] = []
        card.on_change(lambda: self.rises.append(self.clock.now) if card.volts > 1.65 else None)
        receiver.on_change(lambda: self.tones.append((self.clock.now, len(receiver.value.tones))))
        library = SimVisaLibrary(self.clock)
        library.attach(ADDRESS, twin)
        self.sent: list[str] = []
        self.siggen = KeysightN5182B.open(
            pyvisa.ResourceManager(library),
            ADDRESS,
            name="siggen",
            transcript=lambda direction, text: self.sent.append(text) if direction == "write" else None,
        )
        self.siggen.frequency_hz, self.siggen.level_dbm = 425e6, -60.0
        self.siggen.rf_on()
        self.siggen.wait_until_settled()

    def press(self, for_ns: int = 100 * ms, volts: float = 5.0) -> int:
        """Close the key for a while; the instant it was closed at [ns]."""
        at_ns = self.clock.now
        self.key.drive(volts, 50.0)
        self.clock.sleep(for_ns)
        self.key.release()
        self.clock.sleep(200 * ms)
        return at_ns


@pytest.fixture
def armed() -> Bench:
    bench = Bench()
    bench.siggen.arm_external(COMMANDS)
    bench.rises.clear()
    bench.tones.clear()
    return bench


def test_the_dialogue_of_arming_for_the_trigger_input():
    bench = Bench()
    bench.sent.clear()
    bench.siggen.arm_external(COMMANDS)
    said = [text.split('"')[0] for text in bench.sent if not text.startswith(("MEM:DATA", "SYST:ERR"))]
    assert said == [
        "RAD:ARB 0", "RAD:ARB:SEQ ", "RAD:ARB:SCL:RATE 1000000", "RAD:ARB:TRIG:TYPE SING", "RAD:ARB:TRIG EXT",
        "RAD:ARB:TRIG:EXT EPT1", "RAD:ARB:TRIG:EXT:SLOP POS", "RAD:ARB:TRIG:EXT:DEL:STAT 0", "RAD:ARB:RETR OFF",
        "RAD:ARB:WAV ", "OUTP:MOD 1", "RAD:ARB 1", "*OPC?",
    ]  # fmt: skip


def test_the_marker_rises_with_each_command_microseconds_after_the_edge(armed):
    pressed_ns = armed.press()
    first, second = armed.rises
    assert EXTERNAL_TRIGGER_NS <= first - pressed_ns <= EXTERNAL_TRIGGER_NS + SAMPLE_NS
    assert second - first == 60 * ms


def test_the_tones_follow_the_marker(armed):
    armed.press()
    first, second = armed.rises
    assert armed.tones == [
        (first + MARKER_TO_RF_NS, 2),
        (first + 40 * ms + MARKER_TO_RF_NS, 0),
        (second + MARKER_TO_RF_NS, 2),
        (second + 40 * ms + MARKER_TO_RF_NS, 0),
    ]


def test_the_latency_varies_by_a_sample_clock_and_by_no_more():
    def latency_ns(seed: int) -> int:
        bench = Bench(seed)
        bench.siggen.arm_external(COMMANDS)
        bench.rises.clear()
        return -bench.press() + bench.rises[0]

    found = [latency_ns(seed) for seed in range(1, 13)]
    assert max(found) - min(found) > 100
    assert max(found) - min(found) <= SAMPLE_NS


def test_a_second_press_plays_it_again_and_one_while_it_plays_does_not(armed):
    armed.press(for_ns=10 * ms)
    assert len(armed.rises) == 2
    armed.press(for_ns=10 * ms)
    assert len(armed.rises) == 4
    armed.key.drive(5.0, 50.0)
    armed.clock.sleep(10 * ms)
    armed.key.release()
    armed.clock.sleep(10 * ms)
    armed.press(for_ns=10 * ms)
    assert len(armed.rises) == 6


def test_a_level_below_ttl_is_no_edge(armed):
    armed.press(volts=1.0)
    assert armed.rises == []


def test_the_other_slope_counts_when_it_is_chosen(armed):
    armed.siggen.arb_trigger_slope = "NEGative"
    pressed_ns = armed.press(for_ns=50 * ms)
    assert armed.rises[0] - pressed_ns > 50 * ms


def test_a_delay_delays_and_the_other_connector_hears_nothing(armed):
    armed.siggen.arb_trigger_delay_s = 30e-3
    armed.siggen.arb_trigger_delayed = True
    pressed_ns = armed.press()
    assert armed.rises[0] - pressed_ns == pytest.approx(30 * ms, abs=3 * us)
    armed.rises.clear()
    armed.siggen.arb_trigger_input = "EPT2"
    armed.press()
    assert armed.rises == []


def test_disarmed_or_armed_for_the_bus_the_key_does_nothing(armed):
    armed.siggen.disarm()
    armed.press()
    armed.siggen.arm(COMMANDS)
    armed.press()
    assert armed.rises == []


def test_an_external_trigger_is_no_bus_trigger(armed):
    with pytest.raises(InstrumentError, match="answered -211"):
        armed.siggen.write("*TRG")


def test_a_sequence_that_waits_already_is_not_loaded_again(armed):
    armed.sent.clear()
    armed.siggen.arm_external(COMMANDS)
    assert [text for text in armed.sent if text != "SYST:ERR?"] == ["*OPC?"]
    armed.siggen.arm(COMMANDS)
    assert "RAD:ARB:TRIG BUS" in armed.sent


def test_every_mark_must_be_a_burst_and_one_there_must_be():
    assert (COMMANDS.marker_ns, COMMANDS.start_ns(2)) == (0, 60 * ms)
    with pytest.raises(InstrumentError, match="marked = 3, but the bursts are 0 to 2"):
        check(sequence(ARM, gap(20 * ms), TERMINATE, marked=(0, 3)), "siggen.play")
    with pytest.raises(InstrumentError, match="no burst is marked"):
        check(sequence(ARM, marked=()), "siggen.play")
