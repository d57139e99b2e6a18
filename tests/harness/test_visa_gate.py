"""The gate before a hazardous instrument: what may pass is what its driver declares, within the rig file's limits."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import ConfigError
from hil.visa.gate import Gate
from hil.visa.keysight_34980a import Keysight34980A
from hil.visa.keysight_n5182b import KeysightN5182B
from hil.visa.keysight_n6700 import KeysightN6700

LIMITS = {"voltage_max_v": 36.0, "out1_voltage_max_v": 30.0, "current_limit_max_a": 8.0}
PSU = Gate("psu", KeysightN6700, LIMITS)


@pytest.mark.parametrize(
    "message",
    [
        b"VOLT 28,(@1)", b"volt 36,(@2:4)", b"SOUR:VOLT:LEV 28000 MV,(@2)", b"OUTP OFF,(@1:4)", b"*TRG", b"*IDN?",
        b"MEAS:VOLT? (@1)", b"VOLT? MAX,(@1)", b"SYST:ERR?", b"INIT:TRAN (@1)", b"LIST:VOLT 28,0,28,(@2)",
    ],
)  # fmt: skip
def test_what_the_driver_declares_passes(message):
    assert PSU.rule(message).refusal == ""


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"VOLT 31,(@1)", "limits out1_voltage_v to -inf to 30"),
        (b"VOLT 37,(@2:3)", "limits voltage_v to -inf to 36"),
        (b":SOUR:VOLT:LEV:IMM:AMPL 38,(@2)", "limits voltage_v"),
        (b"VOLT 0.05 KV,(@2)", "limits voltage_v"),
        (b"VOLT MAX,(@2)", "limits voltage_v"),
        (b"LIST:VOLT 10,40,(@2)", "40 is refused"),
        (b"*RST", "*RST is not on the list"),
        (b"*RCL 1", "*RCL is not on the list"),
        (b"APPL CH1,50,1", "APPL is not on the list"),
        (b"OUTP OFF,(@1);VOLT 50,(@1)", "2 commands in one message"),
        (b"OUTP:PROT:WDOG OFF", "only the keeper"),
        (b"VOLT 28", "not complete"),
        (b"\xff\x00", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_what_could_get_round_a_limit_is_refused_with_the_reason(message, why):
    assert why in PSU.rule(message).refusal


def test_switching_an_output_on_is_told_apart_because_the_interlock_is_asked_first():
    assert PSU.rule(b"OUTP ON,(@1)").energises
    assert not PSU.rule(b"OUTP OFF,(@1)").energises
    assert not PSU.rule(b"VOLT 28,(@1)").energises


def test_closing_a_relay_energises_what_is_behind_it():
    gate = Gate("switch", Keysight34980A, {})

    assert gate.rule(b"ROUT:CLOS (@1001)").energises
    assert not gate.rule(b"ROUT:OPEN (@1001)").energises


@given(volts=st.floats(-100, 100), channel=st.integers(1, 4))
def test_no_voltage_beyond_a_limit_passes_however_it_is_written(volts, channel):
    highest = 30.0 if channel == 1 else 36.0
    for text in (f"VOLT {volts!r},(@{channel})", f":VOLTage {volts * 1000!r} mV,(@{channel})"):
        if PSU.rule(text.encode()).refusal == "":
            assert 0.0 <= volts <= highest * (1 + 1e-12)


@given(st.binary(max_size=80))
def test_anything_at_all_is_ruled_on_without_an_error(message):
    assert isinstance(PSU.rule(message).refusal, str)


def test_a_header_of_the_rig_file_passes_beside_those_declared():
    assert Gate("psu", KeysightN6700, {}, allow=["CALibration:DATE?"]).rule(b"CAL:DATE?").refusal == ""
    assert "not on the list" in PSU.rule(b"CAL:DATE?").refusal


def test_a_waveform_loads_only_when_it_is_listed_by_its_hash():
    load, other = b'MEM:DATA "WFM1:H1",#14abcd', b'MEM:DATA "WFM1:H1",#14abce'
    gate = Gate("siggen", KeysightN5182B, {}, sequences={hashlib.sha256(b"abcd").hexdigest()})

    assert gate.rule(load).refusal == ""
    assert "loads a waveform that is not listed" in gate.rule(other).refusal
    assert "loads a waveform that is not listed" in gate.rule(b'RAD:ARB:SEQ "SEQ:A","WFM1:H1",1,M1').refusal


LOAD, SEQUENCE = b'MEM:DATA "WFM1:H1",#14abcd', b'RAD:ARB:SEQ "SEQ:A","WFM1:H1",1,M1'
SELECT = b'RAD:ARB:WAV "SEQ:A"'


def generator(*said: bytes, sequences: tuple[bytes, ...] = (LOAD[-4:], SEQUENCE)) -> Gate:
    """The gate of a generator that these messages have passed."""
    gate = Gate("siggen", KeysightN5182B, {}, sequences={hashlib.sha256(each).hexdigest() for each in sequences})
    for message in said:
        ruling = gate.rule(message)
        assert ruling.refusal == "", ruling
        gate.passed(ruling)
    return gate


def test_what_was_loaded_and_selected_in_this_session_is_played():
    generator(LOAD, SEQUENCE, SELECT, b"RAD:ARB ON", b"RAD:ARB OFF", b'RAD:ARB:WAV "wfm1:H1"', b":SOUR:RAD1:ARB:STAT 1")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ((), SELECT),
        ((LOAD,), b'RAD:ARB:WAV "WFM1:H2"'),
        ((LOAD,), b'RAD:ARB:WAV "WFM1:h1"'),
        ((LOAD,), b'RAD:ARB:WAV "NVWFM:H1"'),
        ((LOAD,), SELECT),
        ((), SEQUENCE),
    ],
)
def test_a_name_that_was_not_loaded_in_this_session_is_neither_selected_nor_put_into_a_sequence(said, message):
    assert "was not loaded in this session" in generator(*said).rule(message).refusal


def test_a_load_that_was_refused_elsewhere_loads_nothing():
    gate = generator()
    assert gate.rule(LOAD).refusal == ""  # it may pass, and something else kept it back
    assert "was not loaded" in gate.rule(b'RAD:ARB:WAV "WFM1:H1"').refusal


def test_the_player_is_not_started_on_what_somebody_else_has_selected():
    gate = generator(LOAD)
    assert "no waveform was selected in this session" in gate.rule(b"RAD:ARB ON").refusal
    assert gate.rule(b"RAD:ARB OFF").refusal == ""


def test_another_session_begins_with_nothing_loaded():
    gate = generator(LOAD, SEQUENCE, SELECT)
    gate.forget()
    assert "was not loaded" in gate.rule(SELECT).refusal
    assert "no waveform was selected" in gate.rule(b"RAD:ARB ON").refusal


def test_an_empty_list_lets_nothing_be_loaded():
    assert "not listed" in generator(sequences=()).rule(LOAD).refusal


@pytest.mark.parametrize(
    "message",
    [
        b'MMEM:DATA "WFM1:H1",#14abcd',
        b'MEM:COPY "NVWFM:A","WFM1:H1"',
        b'MEM:DEL "WFM1:H1"',
        b"RAD:DMOD:ARB ON",
        b"*RCL 1",
    ],
)
def test_other_ways_to_a_waveform_are_not_on_the_list(message):
    assert "not on the list" in generator(LOAD).rule(message).refusal


@pytest.mark.parametrize("message", [b"FM:STAT ON", b":SOURce:FM1:STATe 1", b"fm:stat on"])
def test_modulation_of_the_instruments_own_is_refused_unless_the_rig_file_allows_it(message):
    assert "FM is not allowed here" in generator().rule(message).refusal
    assert Gate("siggen", KeysightN5182B, {}, allow_modulation=["FM"]).rule(message).refusal == ""


@pytest.mark.parametrize("message", [b"FM:STAT OFF", b"FM 30000", b"FM:STAT?"])
def test_modulation_that_is_off_may_be_set_and_asked(message):
    assert generator().rule(message).refusal == ""


@pytest.mark.parametrize("message", [b"AM:STAT ON", b"PULM:STAT ON", b"LFO:STAT ON", b"PM:STAT ON", b"FM2:STAT ON"])
def test_other_modulation_is_refused_where_fm_is_allowed(message):
    assert Gate("siggen", KeysightN5182B, {}, allow_modulation=["FM"]).rule(message).refusal


def test_modulation_that_the_driver_does_not_set_may_be_asked_and_allowed():
    assert generator().rule(b"AM:STAT?").refusal == ""
    assert Gate("siggen", KeysightN5182B, {}, allow_modulation=["AM"]).rule(b"AM:STAT ON").refusal == ""


def test_a_limit_on_a_quantity_the_driver_does_not_have_is_refused():
    with pytest.raises(ConfigError, match=r"psu: limits\.voltge_max_v"):
        Gate("psu", KeysightN6700, {"voltge_max_v": 3.0})
