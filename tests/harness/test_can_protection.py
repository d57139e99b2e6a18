"""Counter and CRC inside the data: filled by the sender, checked by the receiver."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.can.database import Database
from hil.can.frame import Frame
from hil.can.protection import Rejection, crc8_j1850

DATABASE = Database.load(Path(__file__).with_name("data") / "bench.dbc")
STATUS = {"State": "OFF", "ChamberPressure": 0.0, "Temperature": 0, "Speed": 0}
COMMAND = {"Valve": 1, "Position": 0.0}


@pytest.fixture
def sender():
    return DATABASE.sender("EngineStatus")


@pytest.fixture
def receiver():
    return DATABASE.receiver("EngineStatus")


def bitwise_crc8(data):
    """CRC-8 with polynomial 0x1D by long division, most significant bit first."""
    crc = 0xFF
    for byte in data:
        for shift in range(7, -1, -1):
            feedback = (crc >> 7) ^ (byte >> shift & 1)
            crc = (crc << 1 & 0xFF) ^ (0x1D if feedback else 0)
    return crc ^ 0xFF


def test_the_crc_has_the_published_check_value():
    assert crc8_j1850(b"123456789") == 0x4B  # CRC-8/SAE-J1850, catalogue of parametrised CRC algorithms


@given(st.binary(max_size=20))
def test_the_crc_is_that_of_the_long_division(data):
    assert crc8_j1850(data) == bitwise_crc8(data)


def test_the_crc_covers_the_data_identifier_and_all_other_bytes(sender):
    data = sender.frame(STATUS | {"Speed": 0x1234}).data
    assert data[7] == bitwise_crc8(bytes([0x12, 0x34]) + data[:7])


def test_the_counter_steps_by_one_and_wraps_at_its_maximum(sender):
    counts = [sender.frame(STATUS).data[0] & 0x0F for _ in range(17)]
    assert counts == [*range(15), 0, 1]


def test_a_counter_without_limits_uses_all_its_bits():
    sender = DATABASE.sender("ValveCommand")
    counts = [sender.frame(COMMAND).data[3] for _ in range(257)]
    assert counts == [*range(256), 0]


def test_good_frames_are_accepted(sender, receiver):
    assert [receiver.check(sender.frame(STATUS)) for _ in range(40)] == [None] * 40
    assert (receiver.accepted, receiver.lost, receiver.repeated, receiver.crc_errors) == (40, 0, 0, 0)


@given(st.integers(1, 14), st.integers(0, 40))
def test_lost_frames_are_counted_and_the_next_one_is_used(missing, before):
    sender, receiver = DATABASE.sender("EngineStatus"), DATABASE.receiver("EngineStatus")
    for _ in range(before + 1):
        receiver.check(sender.frame(STATUS))
    for _ in range(missing):
        sender.frame(STATUS)
    after = sender.frame(STATUS)
    repeated = missing == 14  # after a whole turn of the counter a loss looks like a repetition
    assert receiver.check(after) is (Rejection.REPEATED if repeated else None)
    assert receiver.last_gap == (0 if repeated else missing)


def test_a_repeated_frame_is_rejected(sender, receiver):
    frame = sender.frame(STATUS)
    assert receiver.check(frame) is None
    assert receiver.check(frame) is Rejection.REPEATED
    assert receiver.repeated == 1


@given(st.integers(0, 7), st.integers(1, 255))
def test_any_changed_byte_is_rejected(index, mask):
    data = bytearray(DATABASE.sender("EngineStatus").frame(STATUS).data)
    data[index] ^= mask
    receiver = DATABASE.receiver("EngineStatus")
    assert receiver.check(Frame(0x100, bytes(data))) is Rejection.CRC
    assert receiver.crc_errors == 1


def test_a_frame_with_a_wrong_crc_does_not_move_the_counter(sender, receiver):
    receiver.check(sender.frame(STATUS))
    bad = sender.frame(STATUS)
    receiver.check(bad._replace(data=bytes(8)))
    assert receiver.check(bad) is None
    assert receiver.lost == 0


def test_a_frame_of_the_wrong_length_is_rejected(receiver):
    assert receiver.check(Frame(0x100, bytes(3))) is Rejection.LENGTH


def test_a_message_without_protection_passes():
    receiver = DATABASE.receiver("Ground")
    frame = DATABASE.encode("Ground", {"Wind": 1.0})
    assert [receiver.check(frame), receiver.check(frame)] == [None, None]


def test_a_test_may_send_a_wrong_crc_and_counter_on_purpose(receiver):
    frame = DATABASE.encode("EngineStatus", STATUS | {"Crc": 0, "Alive": 9})
    assert (frame.data[7], frame.data[0] & 0x0F) == (0, 9)
    assert receiver.check(frame) is Rejection.CRC
