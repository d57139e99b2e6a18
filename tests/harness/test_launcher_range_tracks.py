"""Track datagrams and log records, byte by byte, and what is refused."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import HilError
from hil_launcher.models.range_safety import decision_record
from hil_launcher.models.range_safety.decision_record import DecisionRecord
from hil_launcher.models.range_safety.tracks import TRACK_BYTES, Track, decode, encode

METRES = st.integers(-(2**31), 2**31 - 1).map(lambda cm: cm / 100.0)
SPEEDS = st.integers(-(2**31), 2**31 - 1).map(lambda mm: mm / 1000.0)
TRACKS = st.builds(
    Track,
    source=st.integers(0, 255),
    quality=st.integers(0, 2),
    sequence=st.integers(0, 65_535),
    time_ms=st.integers(0, 2**32 - 1),
    position_m=st.tuples(METRES, METRES, METRES),
    velocity_m_s=st.tuples(SPEEDS, SPEEDS, SPEEDS),
)
TRACK = Track(1, 2, 3, 4, (5.0, 6.0, 7.0), (8.0, 9.0, 10.0))


@given(TRACKS)
def test_a_track_survives_its_datagram(track):
    payload = encode(track)
    assert len(payload) == TRACK_BYTES
    assert decode(payload) == track


@given(TRACKS, st.integers(0, 8 * TRACK_BYTES - 1))
def test_one_bit_turned_over_anywhere_is_refused(track, bit):
    payload = bytearray(encode(track))
    payload[bit // 8] ^= 1 << bit % 8
    with pytest.raises(HilError, match="CRC"):
        decode(bytes(payload))


@given(st.binary(max_size=80))
def test_bytes_from_anywhere_are_refused_or_a_track_of_those_bytes(payload):
    try:
        track = decode(payload)
    except HilError:
        return
    assert encode(track) == payload


def test_the_layout_is_that_of_the_document():
    payload = encode(TRACK)
    assert payload[:22].hex(" ") == "52 54 01 02 00 03 00 00 00 04 00 00 01 f4 00 00 02 58 00 00 02 bc"
    assert payload[22:34].hex(" ") == "00 00 1f 40 00 00 23 28 00 00 27 10"
    assert struct.unpack(">H", payload[34:]) == (_crc16(payload[:34]),)


def test_the_crc_is_that_of_its_check_value():
    assert _crc16(b"123456789") == 0x29B1


@pytest.mark.parametrize(
    "wrong", [{"position_m": (3e7, 0.0, 0.0)}, {"time_ms": -1}, {"source": 256}, {"velocity_m_s": (float("nan"), 0, 0)}]
)
def test_a_value_that_does_not_fit_is_refused(wrong):
    with pytest.raises(HilError, match="does not fit into a track datagram"):
        encode(replace(TRACK, **wrong))


def test_a_datagram_of_another_length_or_kind_is_refused():
    with pytest.raises(HilError, match="has 36 bytes, this one 35"):
        decode(encode(TRACK)[:-1])
    other = b"XX" + encode(TRACK)[2:-2]
    with pytest.raises(HilError, match="begins with 0x5858 is no track"):
        decode(other + struct.pack(">H", _crc16(other)))


@given(
    st.builds(
        DecisionRecord,
        kind=st.sampled_from(["status", "liftoff", "rule", "decision", "safed"]),
        rule=st.text(max_size=20),
        time_ms=st.integers(0, 2**40),
        t_plus_s=st.none() | st.floats(-1e3, 1e3),
        since_ms=st.none() | st.integers(0, 2**40),
        tracks=st.lists(st.integers(1, 9), max_size=3).map(tuple),
        values=st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    )
)
def test_a_record_survives_its_datagram(record):
    assert decision_record.decode(decision_record.encode(record)) == record


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b'{"kind":"rule"}', b'{"kind":"other","tracks":[]}'])
def test_what_is_no_record_is_refused(payload):
    with pytest.raises(HilError, match="record"):
        decision_record.decode(payload)


def _crc16(data: bytes) -> int:
    """CRC-16 with polynomial 0x1021 from 0xFFFF, bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc
