"""Frame lengths, stuff bits and arbitration keys: against can-utils, a naive bit loop, and a frozen table."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.can.bits import INTERMISSION_BITS, first_difference, measure, stuffed_bits
from hil.can.frame import Frame
from hil.errors import BusError

# stuff bits are common in data of few ones or zeros, and rare in random bytes
BYTES = st.one_of(st.binary(max_size=8), st.lists(st.sampled_from([0, 255, 0xF0, 0x1F, 0x3E]), max_size=8).map(bytes))
STANDARD = st.tuples(st.integers(0, 0x7FF), BYTES).map(lambda parts: Frame(*parts))
EXTENDED = st.tuples(st.integers(0, 0x1FFFFFFF), BYTES).map(lambda parts: Frame(*parts, extended=True))
REMOTE = st.tuples(st.integers(0, 0x7FF), st.integers(0, 8), st.booleans()).map(
    lambda parts: Frame(parts[0], requested=parts[1], extended=parts[2], remote=True)
)
FRAMES = st.one_of(STANDARD, EXTENDED, REMOTE)

# identifier, data, extended, remote, bits with intermission; from canframelen.c of can-utils 2020.11.0, CFL_EXACT
KNOWN_LENGTHS = [
    (0x000, "", False, False, 53),
    (0x7FF, "", False, False, 50),
    (0x123, "", False, False, 48),
    (0x000, "0000000000000000", False, False, 127),
    (0x7FF, "FFFFFFFFFFFFFFFF", False, False, 126),
    (0x555, "5555555555555555", False, False, 112),
    (0x123, "1122", False, False, 65),
    (0x100, "0102030405060708", False, False, 122),
    (0x078, "3C3C3C3C3C3C3C3C", False, False, 131),
    (0x700, "05", False, False, 59),
    (0x7DF, "02010C5555555555", False, False, 115),
    (0x000, "", True, False, 74),
    (0x000, "0000000000000000", True, False, 150),
    (0x1FFFFFFF, "", True, False, 74),
    (0x1FFFFFFF, "FFFFFFFFFFFFFFFF", True, False, 149),
    (0x15555555, "5555555555555555", True, False, 131),
    (0x18FEF100, "FFFFFFFFFFFF00FF", True, False, 146),
    (0x18DB33F1, "02010D0000000000", True, False, 142),
    (0x12345678, "DEADBEEF", True, False, 101),
    (0x000007FF, "1F1F1F", True, False, 100),
    (0x000, "", False, True, 50),
    (0x7FF, "", False, True, 50),
    (0x1FFFFFFF, "", True, True, 74),
]


def naive_wire_bits(frame: Frame) -> list[int]:
    """Start of frame to CRC with stuff bits, bit by bit, written from the specification and from nothing else."""
    if frame.extended:
        text = f"0{frame.arbitration_id >> 18:011b}11{frame.arbitration_id & 0x3FFFF:018b}{frame.remote:d}00"
    else:
        text = f"0{frame.arbitration_id:011b}{frame.remote:d}00"
    text += f"{frame.dlc:04b}" + "".join(f"{byte:08b}" for byte in frame.data)
    remainder = [0] * 15
    for bit in text:
        feedback = remainder.pop(0) ^ int(bit)
        remainder.append(0)
        if feedback:  # x15 + x14 + x10 + x8 + x7 + x4 + x3 + 1
            for power in (14, 10, 8, 7, 4, 3, 0):
                remainder[14 - power] ^= 1
    sent: list[int] = []
    for bit in [*map(int, text), *remainder]:
        sent.append(bit)
        if sent[-5:] == [bit] * 5:
            sent.append(1 - bit)
    return sent


@given(FRAMES)
def test_length_is_that_of_the_naive_bit_loop(frame):
    assert measure(frame)[1] == len(naive_wire_bits(frame)) + 10


@given(FRAMES)
def test_the_bits_of_a_frame_are_those_of_the_naive_bit_loop(frame):
    assert stuffed_bits(frame) == "".join(map(str, naive_wire_bits(frame)))


@given(FRAMES)
def test_never_more_than_five_equal_bits_in_a_row(frame):
    wire = stuffed_bits(frame)
    assert "000000" not in wire
    assert "111111" not in wire


@pytest.mark.parametrize(("identifier", "data", "extended", "remote", "bits"), KNOWN_LENGTHS)
def test_length_is_the_one_can_utils_gave(identifier, data, extended, remote, bits):
    frame = Frame(identifier, bytes.fromhex(data), extended, remote)
    assert measure(frame)[1] + INTERMISSION_BITS == bits


@pytest.fixture(scope="module")
def canframelen():
    """The length of a frame in bits by can-utils' own code, intermission included."""
    script = Path(__file__).with_name("canframelen_oracle.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NOT_RUN: there is no canframelen.c ({done.stderr.strip()}); run {script.name} online, with gcc")
    judge = ctypes.CDLL(done.stdout.strip()).can_frame_length

    def length(frame: Frame) -> int:
        identifier = frame.arbitration_id | frame.extended << 31 | frame.remote << 30
        raw = identifier.to_bytes(4, "little") + bytes([len(frame.data), 0, 0, 0]) + frame.data.ljust(64, b"\0")
        return judge(ctypes.create_string_buffer(raw, 72), 2, 16)  # CFL_EXACT, CAN_MTU

    return length


def test_length_is_equal_to_can_utils_canframelen(canframelen):
    empty_remote = REMOTE.filter(lambda frame: frame.dlc == 0)  # the judge takes data bytes of a remote frame for sent

    @given(st.one_of(STANDARD, EXTENDED, empty_remote))
    def compare(frame):
        assert measure(frame)[1] + INTERMISSION_BITS == canframelen(frame)

    compare()


@given(FRAMES, FRAMES)
def test_the_lower_key_is_the_frame_whose_arbitration_field_is_dominant_first(one, other):
    def field(frame):  # base identifier, RTR or SRR, IDE, extended identifier, RTR; as sent, without stuff bits
        if frame.extended:
            return f"{frame.arbitration_id >> 18:011b}11{frame.arbitration_id & 0x3FFFF:018b}{frame.remote:d}"
        return f"{frame.arbitration_id:011b}{frame.remote:d}0"

    pairs = zip(field(one), field(other), strict=False)
    decided = next(((a < b) for a, b in pairs if a != b), None)
    if decided is not None:
        assert (measure(one)[0] < measure(other)[0]) is decided


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (Frame(0x100), Frame(0x101)),
        (Frame(0x100), Frame(0x100, b"", remote=True)),
        (Frame(0x100, b"", remote=True), Frame(0x100 << 18, extended=True)),
        (Frame(0x100 << 18, extended=True), Frame(0x101)),
        (Frame(0x100 << 18, extended=True), Frame(0x100 << 18, extended=True, remote=True)),
    ],
)
def test_arbitration_order_of_kinds_of_frames(winner, loser):
    assert measure(winner)[0] < measure(loser)[0]


def test_frames_of_one_identifier_differ_first_in_the_data_field():
    stuff_bits_before = 1  # RTR, IDE, r0 and three bits of the DLC are dominant
    assert first_difference(Frame(0x555, b"\x55"), Frame(0x555, b"\x54")) == 19 + stuff_bits_before + 7
    assert first_difference(Frame(0x555, b"\x55"), Frame(0x555, b"\x55")) == -1


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (Frame(0x800), r"0x800 does not fit a standard frame .*extended=True"),
        (Frame(0x20000000, extended=True), "29 bits at most"),
        (Frame(-1), "does not fit"),
        (Frame(1, bytes(9)), "has 9 bytes"),
        (Frame(1, bytearray(1)), r"type bytearray; give bytes\(...\)"),
        (Frame(1, b"x", remote=True), "a remote frame carries none"),
    ],
)
def test_a_frame_classic_can_does_not_have_is_refused(frame, why):
    with pytest.raises(BusError, match=why):
        measure(frame)
