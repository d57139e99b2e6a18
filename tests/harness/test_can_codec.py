"""The fast codec against cantools: the same data, the same values, and no word where cantools has to judge."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from cantools.database import load_string
from cantools.database.errors import EncodeError
from cantools.database.namedsignalvalue import NamedSignalValue
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hil.can.codec import Codec
from hil.can.database import Database
from hil.can.frame import Frame
from hil.can.protection import Protection
from hil.errors import BusError

LAUNCHER = Database.load(Path(__file__).parents[2] / "fixtures" / "hil_launcher" / "launcher.dbc")
SCALES = (1, 0.5, 0.01, 0.004, 0.05, 3e-06, 3, -2, -0.1)
OFFSETS = (0, 0.5, -40, 1000, -1000.25)
REFUSALS = (EncodeError, OverflowError, ValueError, KeyError, TypeError)


def unprotected(message):
    return Codec(message, Protection(message.name, 0, message.length, None, None, 0))


def plain(values):
    """What cantools decoded, its names as text."""
    return {name: str(value) if isinstance(value, NamedSignalValue) else value for name, value in values.items()}


def number(signal, raw):
    """The physical value of a raw one, as cantools scales it."""
    value = signal.conversion.raw_to_scaled(raw, decode_choices=False)
    assert isinstance(value, (int, float))
    return value


def raw_limits(signal):
    """The raw values within the signal's limits."""
    half = 1 << signal.length - 1
    lowest, highest = (-half, half - 1) if signal.is_signed else (0, 2 * half - 1)
    limits = [limit for limit in (signal.minimum, signal.maximum) if limit is not None]
    raws = sorted((limit - signal.offset) / signal.scale for limit in limits)
    if raws:
        lowest, highest = max(lowest, math.ceil(raws[0] - 1e-6)), min(highest, math.floor(raws[-1] + 1e-6))
    return lowest, highest


@st.composite
def layouts(draw):
    """A message of a DBC: signals of one byte order, anywhere, of any scale, some with limits, some with names."""
    big, lines, tables, bit = draw(st.booleans()), [], [], 0
    for place in range(draw(st.integers(1, 8))):
        bit += draw(st.integers(0, 5))
        size = draw(st.integers(1, 24))
        if bit + size > 64:
            break
        start = 8 * (bit // 8) + 7 - bit % 8 if big else bit
        signed, scale, offset = draw(st.booleans()), draw(st.sampled_from(SCALES)), draw(st.sampled_from(OFFSETS))
        ends = sorted(raw * scale + offset for raw in ((-(1 << size - 1)) if signed else 0, (1 << size - 1) - 1))
        limits = f"[{ends[0]:.12g}|{ends[1]:.12g}]" if draw(st.booleans()) else "[0|0]"
        sign = "-" if signed else "+"
        lines.append(f' SG_ S{place} : {start}|{size}@{0 if big else 1}{sign} ({scale},{offset}) {limits} "" X')
        if draw(st.booleans()):
            tables.append(f'VAL_ 256 S{place} 0 "OFF" 1 "ON" {(1 << size) + 3} "TOO_WIDE" ;')
        bit += size
    assume(lines)
    text = "\n".join(['VERSION ""', "BU_: X", "BO_ 256 M: 8 X", *lines, "", *tables, ""])
    return load_string(text, database_format="dbc", strict=True).messages[0]


@st.composite
def right_values(draw, message, skip=()):
    """Values that are plainly right: on a step of the signal, within its limits."""
    values = {}
    for signal in message.signals:
        if signal.name in skip:
            continue
        values[signal.name] = number(signal, draw(st.integers(*raw_limits(signal))))
    return values


ODD = st.one_of(
    st.floats(),
    st.floats(-100, 100),
    st.integers(-(1 << 30), 1 << 30),
    st.booleans(),
    st.sampled_from(["OFF", "ON", "TOO_WIDE", "START", "", "MAINSTAGE", np.float64(2.5), 1 << 80, None]),
)


def encoded(message, values):
    """The data as cantools encodes them, or None when it refuses."""
    try:
        return message.encode(values)
    except REFUSALS:
        return None


@given(layouts(), st.data())
def test_any_layout_is_encoded_as_cantools_does(message, data):
    values = data.draw(right_values(message))
    assert unprotected(message).encode(values, None) == message.encode(values)


@given(layouts(), st.data())
def test_what_cantools_refuses_is_left_to_it_and_all_else_agrees(message, data):
    values = {signal.name: data.draw(st.one_of(ODD, st.floats(-3, 70_000))) for signal in message.signals}
    found = unprotected(message).encode(values, None)
    assert found is None or found == encoded(message, values)


@given(layouts(), st.binary(min_size=8, max_size=8))
def test_any_layout_is_decoded_as_cantools_does(message, data):
    values = unprotected(message).decode(data)
    expected = plain(message.decode(data))
    assert values == expected
    assert list(values) == list(expected)
    assert [type(value) for value in values.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize("name", LAUNCHER.names)
@settings(max_examples=10)
@given(st.data())
def test_every_message_of_the_launcher_is_coded_as_cantools_does(name, data):
    message, protection = LAUNCHER.message(name), LAUNCHER.protection(name)
    filled = {protection.crc_signal: 0, protection.counter.signal: data.draw(st.integers(0, protection.counter.last))}
    values = data.draw(right_values(message, skip=filled))
    frame = LAUNCHER.encode(name, values, filled[protection.counter.signal])
    assert frame.data == protection.seal(message.encode(values | filled))
    assert Codec(message, protection).encode(values, filled[protection.counter.signal]) == frame.data
    assert LAUNCHER.decode(frame) == plain(message.decode(frame.data))


@pytest.mark.parametrize("name", LAUNCHER.names)
@settings(max_examples=10)
@given(st.data())
def test_every_message_of_the_launcher_is_refused_as_cantools_does(name, data):
    message, protection = LAUNCHER.message(name), LAUNCHER.protection(name)
    filled = {protection.crc_signal: 0, protection.counter.signal: 0}
    values = data.draw(right_values(message, skip=filled))
    values[data.draw(st.sampled_from([*values, "NONE_SUCH"]))] = data.draw(ODD)
    expected = encoded(message, values | filled)
    if expected is None:
        with pytest.raises(BusError, match=rf"launcher\.dbc: message {name}"):
            LAUNCHER.encode(name, values)
    else:
        assert LAUNCHER.encode(name, values).data == protection.seal(expected)


@given(st.binary(min_size=8, max_size=8))
def test_a_frame_decoded_twice_gives_values_of_its_own(data):
    frame = Frame(LAUNCHER.message("ENG1_STATUS").frame_id, data)
    first = LAUNCHER.decode(frame)
    expected = dict(first)
    first["PC"] = math.nan
    assert LAUNCHER.decode(frame) == expected


@pytest.mark.parametrize(
    "signals",
    [
        'SG_ A : 0|8@1+ (1,0) [0|0] "" X\n SG_ B : 15|8@0+ (1,0) [0|0] "" X',
        'SG_ A : 0|40@1+ (1,0) [0|0] "" X',
        'SG_ A : 0|16@1+ (1e-9,1e9) [0|0] "" X',
        'SG_ A M : 0|8@1+ (1,0) [0|0] "" X\n SG_ B m0 : 8|8@1+ (1,0) [0|0] "" X',
    ],
    ids=["mixed byte orders", "40 bits", "an offset that swallows the scale", "multiplexed"],
)
def test_what_the_codec_is_not_made_for_it_leaves_to_cantools(signals):
    text = f'VERSION ""\nBU_: X\nBO_ 256 M: 8 X\n {signals}\n'
    message = load_string(text, database_format="dbc", strict=True).messages[0]
    assert unprotected(message).decode(bytes(8)) is None
    assert unprotected(message).encode({signal.name: 0 for signal in message.signals}, None) is None


def test_a_codec_says_nothing_to_data_of_the_wrong_length():
    message = LAUNCHER.message("FC_HEARTBEAT")
    assert Codec(message, LAUNCHER.protection("FC_HEARTBEAT")).decode(bytes(2)) is None
