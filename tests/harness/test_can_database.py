"""The DBC database: strict reading, strict coding."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.can.database import Database
from hil.can.frame import Frame
from hil.errors import BusError, ConfigError
from hil.units import ms

BENCH = Path(__file__).with_name("data") / "bench.dbc"
STATUS = {"State": "MAINSTAGE", "ChamberPressure": 97.25, "Temperature": -40, "Speed": 31_000}
DATABASE = Database.load(BENCH)


@pytest.fixture
def broken(tmp_path):
    """Reads the bench DBC with one place changed."""

    def load(old, new):
        text = BENCH.read_text()
        assert old in text
        (tmp_path / "broken.dbc").write_text(text.replace(old, new, 1))
        return Database.load(tmp_path / "broken.dbc")

    return load


def line_of(text):
    return next(number for number, line in enumerate(BENCH.read_text().splitlines(), 1) if text in line)


# -- reading ------------------------------------------------------------------------------------------------


def test_messages_come_with_cycle_time_sender_and_unit():
    assert DATABASE.names == ["EngineStatus", "ValveCommand", "Ground"]
    assert DATABASE.cycle_ns("EngineStatus") == 10 * ms
    assert DATABASE.cycle_ns("ValveCommand") is None
    assert DATABASE.sent_by("TESTER") == ["ValveCommand", "Ground"]
    assert DATABASE.signal("EngineStatus", "ChamberPressure").unit == "bar"


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"nowhere.dbc: the DBC file cannot be read \(No such file"):
        Database.load("nowhere.dbc")


def test_a_syntax_error_is_named_with_its_line(broken):
    line = line_of("SG_ State")
    with pytest.raises(ConfigError, match=rf"broken.dbc:{line}: Invalid syntax at line {line}.*correct the DBC"):
        broken('[0|2] ""', '[0|2 ""')


@pytest.mark.parametrize(
    ("old", "new", "place", "why"),
    [
        ("State : 4|4@1+", "State : 2|4@1+", "SG_ State", "State and Alive are overlapping in message EngineStatus"),
        ("Crc : 56|8@1+", "Crc : 60|8@1+", "SG_ Crc", "Crc does not fit in message EngineStatus"),
        ("BO_ 512 ValveCommand", "BO_ 256 ValveCommand", "BO_ 512", "identifier 0x100 is EngineStatus's"),
        ("ValveCommand: 4", "EngineStatus: 4", "BO_ 512", "its name is used twice"),
        ("ValveCommand: 4", "ValveCommand: 12", "BO_ 512", "12 bytes; classic CAN has 8 at most"),
        ("SG_ 256 Crc 2", "SG_ 256 Crk 2", "SG_ 256 Crc 2", "message 256 has no signal Crk; did you mean Crc"),
        ("SG_ 256 Crc 2", "SG_ 256 Crc 7", "SG_ Crc", r"HilProtection 7; it is 0 to 2"),
        ("SG_ 256 Crc 2", "SG_ 256 Crc 1", "SG_ Crc", "second Counter of its message"),
        ("SG_ 256 Crc 2", "SG_ 256 Speed 2", "SG_ Speed", "must be exactly one byte"),
        ("Crc : 56|8@1+ (1,0)", "Crc : 56|8@1+ (2,0)", "SG_ Crc", "must be unsigned, scale 1, offset 0"),
        (
            "Alive : 0|4@1+ (1,0) [0|14]",
            "Alive : 0|4@1+ (1,0) [3|3]",
            "SG_ Alive",
            "cannot count from 3 to 3 in 4 bits",
        ),
    ],
)
def test_a_contradiction_is_named_with_its_line(broken, old, new, place, why):
    with pytest.raises(ConfigError, match=rf"broken.dbc:{line_of(place)}: .*{why}"):
        broken(old, new)


def test_a_file_that_is_no_dbc_is_refused(tmp_path):
    (tmp_path / "image.dbc").write_bytes(b"\x81\x00\xff")
    with pytest.raises(ConfigError, match=r"image.dbc: byte 0 is no character of Windows-1252"):
        Database.load(tmp_path / "image.dbc")


# -- coding -------------------------------------------------------------------------------------------------


def test_a_message_is_coded_as_typed_by_hand():
    frame = DATABASE.encode("ValveCommand", {"Valve": 1, "Position": -12.5, "Count": 7})
    assert frame == Frame(0x200, bytes.fromhex("01 FF83 07"))
    assert DATABASE.encode("Ground", {"Wind": 12.5}) == Frame(0x18FEF1FE, bytes.fromhex("E204"), extended=True)


@given(
    st.sampled_from(["OFF", "IGNITION", "MAINSTAGE"]),
    st.integers(0, 15_000),
    st.integers(-128, 127),
    st.integers(0, 60_000),
)
def test_what_is_encoded_is_decoded(state, centibar, temperature, speed):
    signals = {"State": state, "ChamberPressure": centibar * 0.01, "Temperature": temperature, "Speed": speed}
    decoded = DATABASE.decode(DATABASE.encode("EngineStatus", signals))
    assert decoded["ChamberPressure"] == pytest.approx(signals.pop("ChamberPressure"))
    assert {name: decoded[name] for name in signals} == signals


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"ChamberPressure": 150.01}, "smaller than or equal to 150 .* but got 150.01.*nothing is clipped"),
        ({"ChamberPressure": -0.01}, "greater than or equal to 0"),
        ({"ChamberPressure": float("nan")}, "ChamberPressure = nan is not finite"),
        ({"ChamberPressure": float("inf")}, "ChamberPressure = inf is not finite"),
        ({"Temperature": 128}, "128 out of range"),
        ({"State": 3}, "smaller than or equal to 2"),
        ({"State": "MAINSTAG"}, "State = 'MAINSTAG' is not in its value table; did you mean MAINSTAGE"),
        ({"Speed": "fast"}, "Speed = 'fast' is not in its value table; none is known"),
        ({"Sped": 1}, "EngineStatus has no signal 'Sped'; did you mean Speed"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(changed, why):
    with pytest.raises(BusError, match=why):
        DATABASE.encode("EngineStatus", STATUS | changed)


def test_a_missing_signal_is_refused():
    with pytest.raises(BusError, match='signal "Speed" is required'):
        DATABASE.encode("EngineStatus", {name: value for name, value in STATUS.items() if name != "Speed"})


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(BusError, match=r"bench.dbc has no message 'EngineState'; did you mean EngineStatus"):
        DATABASE.encode("EngineState", STATUS)
    with pytest.raises(BusError, match="message EngineStatus has no signal 'Presure'"):
        DATABASE.signal("EngineStatus", "Presure")


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (Frame(0x7FF), "no message for frame 7FF#; it has 3 messages"),
        (Frame(0x100, bytes(8), extended=True), "EngineStatus has this identifier in 11 bits"),
        (Frame(0x100, bytes(7)), "does not decode as EngineStatus: .*EngineStatus has 8 bytes"),
        (Frame(0x200, bytes(5)), "does not decode as ValveCommand"),
        (Frame(0x100, remote=True, requested=8), "a remote frame carries no signals"),
    ],
)
def test_a_frame_that_is_no_message_is_refused(frame, why):
    with pytest.raises(BusError, match=why):
        DATABASE.decode(frame)


def test_find_knows_the_message_of_a_frame():
    assert DATABASE.find(Frame(0x100, bytes(8))) is DATABASE.message("EngineStatus")
    assert DATABASE.find(Frame(0x101)) is None
