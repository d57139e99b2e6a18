"""The Keysight N5182B: dialogue, settling, FM, and tone sequences from its waveform memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import pyvisa

from hil.clock import VirtualClock
from hil.errors import InstrumentError
from hil.nets import RfValue, Tone
from hil.noise import Streams
from hil.units import ms, us
from hil.visa import iq
from hil.visa.keysight_n5182b import KeysightN5182B
from hil.visa.keysight_n5182b_twin import MARKER_TO_RF_NS, SETTLING_NS, TRIGGER_NS, KeysightN5182BTwin
from hil.visa.library import SimVisaLibrary
from hil.visa.tones import Burst, ToneSequence, gap, sequence
from hil.wiring import Wiring

ADDRESS = "TCPIP0::siggen::inst0::INSTR"
ARM = Burst(((7_500.0, 30e3), (12_140.0, 30e3)), 25 * ms)
TERMINATE = Burst(((7_500.0, 30e3), (8_460.0, 27e3)), 25 * ms)
COMMAND = sequence(gap(5 * ms), ARM, gap(5 * ms), TERMINATE, gap(5 * ms), marked=1)


class Bench:
    """A simulated generator whose RF goes to a receiver through 3 dB, its marker to a card."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = VirtualClock()
        wiring = Wiring(self.clock)
        self.twin = KeysightN5182BTwin(name="siggen", clock=self.clock, streams=Streams(seed), wiring=wiring)
        self.receiver, card = wiring.rf_pin("rx.rf"), wiring.pin("card.di")
        wiring.net("uplink", ["siggen.rf", "rx.rf"], {"rx.rf": 3.0})
        wiring.net("marker", ["siggen.marker1", "card.di"])
        self.rf: list[tuple[int, RfValue | None]] = []
        self.marker: list[tuple[int, float]] = []
        self.receiver.on_change(lambda: self.rf.append((self.clock.now, self.receiver.value)))
        card.on_change(lambda: self.marker.append((self.clock.now, round(card.volts, 3))))
        library = SimVisaLibrary(self.clock)
        library.attach(ADDRESS, self.twin)
        self.said: list[tuple[str, str]] = []
        self.stimuli: list[tuple[str, int]] = []
        self.siggen = KeysightN5182B.open(
            pyvisa.ResourceManager(library),
            ADDRESS,
            name="siggen",
            stimulus=lambda what, _: self.stimuli.append((what, self.clock.now)),
            transcript=lambda direction, text: self.said.append((direction, text)),
        )

    def radiate(self) -> None:
        self.siggen.frequency_hz = 421e6
        self.siggen.level_dbm = -60.0
        self.siggen.rf_on()
        self.siggen.wait_until_settled()
        self.clock.sleep(1 * ms)
        self.rf.clear()
        self.said.clear()
        self.stimuli.clear()

    def play(self, tones: ToneSequence) -> list[tuple[int, RfValue | None]]:
        self.siggen.play(tones)
        self.clock.sleep(tones.duration_ns + TRIGGER_NS[1] + 1 * ms)
        return self.rf

    @property
    def sent(self) -> list[str]:
        return [text.split("#")[0] for direction, text in self.said if direction == "write" and text != "SYST:ERR?"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def radiating(bench: Bench) -> Bench:
    bench.radiate()
    return bench


def tones_of(value: RfValue | None) -> tuple[tuple[float, float], ...]:
    return () if value is None else tuple((tone.frequency_hz, tone.deviation_hz) for tone in value.tones)


def test_the_dialogue_of_carrier_and_level(bench: Bench) -> None:
    bench.said.clear()
    bench.siggen.frequency_hz = 421e6
    bench.siggen.level_dbm = -107.5
    bench.siggen.rf_on()
    assert bench.siggen.frequency_hz == 421e6
    assert [pair for pair in bench.said if "SYST" not in pair[1] and "No error" not in pair[1]] == [
        ("write", "FREQ 421000000"),
        ("write", "POW -107.5"),
        ("write", "OUTP 1"),
        ("write", "OUTP?"),
        ("read", "1"),
        ("write", "FREQ?"),
        ("read", "+4.2100000000000E+08"),
    ]


def test_the_dialogue_of_playing(radiating: Bench) -> None:
    radiating.siggen.play(sequence(ARM))
    assert [sent.split('"')[0] for sent in radiating.sent] == [
        "RAD:ARB 0", "MEM:DATA ", "MEM:DATA ", "RAD:ARB:SEQ ", "RAD:ARB:SCL:RATE 1000000", "RAD:ARB:TRIG:TYPE SING",
        "RAD:ARB:TRIG BUS", "RAD:ARB:RETR OFF", "RAD:ARB:WAV ", "OUTP:MOD 1", "RAD:ARB 1", "*OPC?", "*TRG",
    ]  # fmt: skip


def test_a_change_of_carrier_takes_the_settling_time(radiating: Bench) -> None:
    start = radiating.clock.now
    radiating.siggen.frequency_hz = 422e6
    radiating.clock.sleep(20 * ms)
    assert radiating.rf == [(start + SETTLING_NS, RfValue(422e6, -63.0))]


def test_opc_waits_for_the_settled_level(radiating: Bench) -> None:
    radiating.siggen.level_dbm = -80.0
    radiating.siggen.wait_until_settled()
    assert radiating.receiver.value == RfValue(421e6, -83.0)


def test_rf_off_is_silence(radiating: Bench) -> None:
    radiating.siggen.rf_off()
    radiating.siggen.wait_until_settled()
    assert radiating.receiver.value is None


def test_internal_fm_is_one_tone(radiating: Bench) -> None:
    siggen = radiating.siggen
    siggen.fm_rate_hz, siggen.fm_deviation_hz, siggen.fm_enabled = 7_500.0, 30e3, True
    siggen.wait_until_settled()
    assert tones_of(radiating.receiver.value) == ((7_500.0, 30e3),)
    siggen.modulation_enabled = False
    siggen.wait_until_settled()
    assert tones_of(radiating.receiver.value) == ()


def test_the_receiver_gets_the_tones_that_were_asked_for(radiating: Bench) -> None:
    played = radiating.play(COMMAND)
    assert [tones_of(value) for _, value in played] == [ARM.tones, (), TERMINATE.tones, ()]
    assert {value.level_dbm for _, value in played if value} == {-63.0}


def test_bursts_last_as_long_as_was_asked_for(radiating: Bench) -> None:
    times = [at for at, _ in radiating.play(COMMAND)]
    assert np.diff(times).tolist() == [25 * ms, 5 * ms, 25 * ms]


def test_the_marker_rises_with_the_marked_burst(radiating: Bench) -> None:
    played = radiating.play(COMMAND)
    (edge, volts), (fall, zero) = radiating.marker
    assert (volts, zero, fall - edge) == (3.3, 0.0, 1 * ms)
    assert played[0][0] - edge == MARKER_TO_RF_NS
    assert played[0][1] == RfValue(421e6, -63.0, tuple(Tone(f, d, edge + MARKER_TO_RF_NS) for f, d in ARM.tones))


def test_the_time_from_trigger_to_marker_is_no_t0(radiating: Bench) -> None:
    delays = []
    for _ in range(8):
        radiating.play(COMMAND)
        triggered = next(at for what, at in reversed(radiating.stimuli) if what == "siggen.play")
        delays.append(radiating.marker[-2][0] - 5 * ms - triggered)
    assert all(TRIGGER_NS[0] <= delay <= TRIGGER_NS[1] for delay in delays)
    assert max(delays) - min(delays) > 5 * ms


def test_the_same_seed_gives_the_same_jitter() -> None:
    def edge(seed: int) -> int:
        bench = Bench(seed)
        bench.radiate()
        bench.play(COMMAND)
        return bench.marker[0][0]

    assert edge(1) == edge(1) != edge(2)


def test_the_mark_moves_right_before_the_trigger(radiating: Bench) -> None:
    radiating.siggen.play(COMMAND)
    assert [what for what, _ in radiating.stimuli] == ["siggen.arm", "siggen.play"]


def test_a_sequence_that_is_armed_is_only_triggered(radiating: Bench) -> None:
    radiating.play(COMMAND)
    radiating.said.clear()
    radiating.siggen.level_dbm = -70.0
    radiating.play(COMMAND)
    assert radiating.sent == ["POW -70", "*OPC?", "*TRG"]


def test_touching_the_player_disarms_it(radiating: Bench) -> None:
    radiating.play(COMMAND)
    radiating.siggen.arb_enabled = False
    radiating.said.clear()
    radiating.play(COMMAND)
    assert "RAD:ARB 1" in radiating.sent
    assert not any(sent.startswith("MEM:DATA") for sent in radiating.sent), "the samples are still there"


def test_a_periodic_burst_is_loaded_once_and_repeated(radiating: Bench) -> None:
    burst = Burst(((7_500.0, 30e3),), 2 * ms, repeats=50)
    played = radiating.play(sequence(burst, gap(5 * ms)))
    assert played[1][0] - played[0][0] == 100 * ms
    assert tones_of(played[0][1]) == burst.tones
    assert sum(sent.startswith("MEM:DATA") for sent in radiating.sent) == 4


def test_a_burst_without_carrier_is_silence(radiating: Bench) -> None:
    played = radiating.play(sequence(ARM, Burst((), 5 * ms, carrier=False), TERMINATE, gap(1 * ms)))
    assert [value is None for _, value in played] == [False, True, False, False]


def test_a_deviation_of_another_burst_does_not_change_the_level(radiating: Bench) -> None:
    weak = replace(ARM, tones=((7_500.0, 3e3), (12_140.0, 3e3)))
    played = radiating.play(sequence(ARM, weak))
    assert [value.level_dbm for _, value in played if value] == [-63.0, -63.0, -63.0]


def test_a_sequence_the_generator_cannot_play_is_refused_before_anything_is_sent(radiating: Bench) -> None:
    with pytest.raises(InstrumentError, match=r"siggen\.play: burst 0 has 20 samples at 1e\+06 Hz; a segment needs 60"):
        radiating.siggen.play(sequence(gap(20 * us)))
    with pytest.raises(InstrumentError, match="burst 0 repeats 70000 times; at most 65535"):
        radiating.siggen.play(sequence(Burst((), 1 * ms, repeats=70_000)))
    assert radiating.said == []


@pytest.mark.parametrize("level_dbm", [-150.0, 30.0])
def test_a_level_outside_the_range_is_refused(bench: Bench, level_dbm: float) -> None:
    with pytest.raises(InstrumentError, match=r"siggen\.level_dbm = .* dBm is refused"):
        bench.siggen.level_dbm = level_dbm


def test_a_level_above_the_rig_file_is_refused(bench: Bench) -> None:
    bench.siggen.impose_limits({"level_max_dbm": 13.0})
    with pytest.raises(InstrumentError, match="the rig file limits level_dbm of siggen"):
        bench.siggen.level_dbm = 13.5


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ('RAD:ARB:WAV "SEQ:NOT_THERE"', -256),
        ('RAD:ARB:WAV "C:/x"', -257),
        ('RAD:ARB:SEQ "SEQ:A","WFM1:NOT_THERE",1,NONE', -256),
        ('RAD:ARB:SEQ "SEQ:A","WFM1:B",1', -109),
        ('MEM:DATA "WFM1:A",#13abc', -161),
        ('MEM:DATA "MKR1:NOT_THERE",#13abc', -256),
        ('MEM:DEL "WFM1:NOT_THERE"', -256),
        ("RAD:ARB ON", -221),
        ("*TRG", -211),
        ("LFO:STAT ON", -241),
        ("FM2 1", -114),
    ],
)
def test_what_the_generator_cannot_do_is_in_its_error_queue(bench: Bench, command: str, number: int) -> None:
    with pytest.raises(InstrumentError, match=f"answered {number},"):
        bench.siggen.write(command)


def test_the_twin_plays_what_is_in_the_samples_not_what_a_name_says(radiating: Bench) -> None:
    siggen = radiating.siggen
    samples, _ = iq.synthesise([(9_540.0, 15e3)], 20_000, 1e6)
    siggen.write_block('MEM:DATA "WFM1:ANYTHING",', iq.encode(samples))
    for command in ("RAD:ARB:SCL:RATE 2e6", 'RAD:ARB:WAV "WFM1:ANYTHING"', "RAD:ARB ON", "*OPC?"):
        siggen.query(command) if command.endswith("?") else siggen.write(command)
    radiating.clock.sleep(1 * ms)
    assert tones_of(radiating.receiver.value) == ((19_080.0, 30_000.0),), "twice the clock, twice the tone"


def test_a_segment_that_changes_on_the_way_is_refused(radiating: Bench) -> None:
    siggen = radiating.siggen
    quiet, _ = iq.synthesise([], 30_000, 1e6)
    loud, _ = iq.synthesise([(7_500.0, 30e3)], 30_000, 1e6)
    siggen.write_block('MEM:DATA "WFM1:MIXED",', iq.encode(np.concatenate((quiet, loud))))
    siggen.arb_sample_rate_hz = 1e6
    siggen.arb_waveform = "WFM1:MIXED"
    with pytest.raises(InstrumentError, match="MIXED is not stationary"):
        siggen.arb_enabled = True
    assert siggen.arb_enabled is False


def test_the_catalogue_lists_what_was_loaded(radiating: Bench) -> None:
    radiating.siggen.arm(sequence(gap(1 * ms)))
    used, free, listed = radiating.siggen.query('MEM:CAT? "WFM1:"').split(",", 2)
    assert (int(used), int(used) + int(free)) == (4_000, 1 << 30)
    assert listed.endswith(',WFM1,4000"')


def test_reset_is_silent_and_keeps_the_memory(radiating: Bench) -> None:
    radiating.siggen.arm(COMMAND)
    radiating.siggen.write("*RST")
    radiating.siggen.wait_until_settled()
    assert radiating.receiver.value is None
    assert radiating.siggen.query('RAD:ARB:SEQ? "SEQ:HIL"').startswith('"SEQ:HIL","WFM1:H')


def test_a_continuous_sequence_plays_until_it_is_switched_off(radiating: Bench) -> None:
    siggen = radiating.siggen
    siggen.arm(sequence(ARM, gap(5 * ms)))
    siggen.arb_enabled = False
    siggen.arb_trigger_type = "CONT"
    siggen.arb_enabled = True
    radiating.clock.sleep(200 * ms)
    assert [tones_of(value) for _, value in radiating.rf[:4]] == [ARM.tones, (), ARM.tones, ()]
    assert len(radiating.marker) >= 8
    siggen.arb_enabled = False
    heard = len(radiating.rf)
    radiating.clock.sleep(200 * ms)
    assert len(radiating.rf) <= heard + 1
    assert tones_of(radiating.receiver.value) == ()


@pytest.mark.parametrize(("retrigger", "edges"), [("OFF", 1), ("ON", 2), ("IMM", 2)])
def test_a_trigger_while_it_plays_does_what_was_chosen(radiating: Bench, retrigger: str, edges: int) -> None:
    siggen = radiating.siggen
    siggen.arm(sequence(replace(ARM, duration_ns=100 * ms)))
    siggen.arb_retrigger = retrigger
    siggen.wait_until_settled()
    siggen.write("*TRG")
    radiating.clock.sleep(60 * ms)
    siggen.write("*TRG")
    radiating.clock.sleep(400 * ms)
    assert [volts for _, volts in radiating.marker].count(3.3) == edges


def test_a_change_of_sequence_while_armed_is_taken_over(radiating: Bench) -> None:
    radiating.play(sequence(ARM))
    radiating.rf.clear()
    assert tones_of(radiating.play(sequence(TERMINATE))[0][1]) == TERMINATE.tones
