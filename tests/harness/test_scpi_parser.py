"""The SCPI engine's syntax: headers, parameters, blocks, path memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.clock import VirtualClock
from hil.visa.scpi.arguments import Channels, Optional
from hil.visa.scpi.common import add_common
from hil.visa.scpi.engine import Engine
from hil.visa.scpi.parameters import Block, Boolean, Choice, Integer, Number, Numbers, Text
from hil.visa.scpi.parser import split_messages
from hil.visa.scpi.tree import Command, mnemonics

LEVEL = "[SOURce:]VOLTage[:LEVel][:IMMediate][:AMPLitude]"


class Box:
    """A small instrument with one command of each kind; remembers what arrived."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.engine = Engine(self.clock, latency_ns=1_000)
        self.got: list[object] = []
        add_common(self.engine, lambda: "Maker,Box,1,0")
        tree, take = self.engine.tree, lambda *sent: self.got.append(sent[0] if len(sent) == 1 else sent)
        tree.add(Command(LEVEL, (Number("V", 0.0, 50.0, default=5.0),), take))
        tree.add(Command(f"{LEVEL}?", (), lambda: "7"))
        tree.add(Command("[SOURce:]VOLTage:PROTection:STATe", (Boolean(),), take))
        tree.add(Command("[SOURce:]VOLTage:PROTection:DELay", (Number("s", 0.0, 1.0),), take))
        tree.add(Command("FREQuency", (Number("Hz", 0.0, 6e9),), take))
        tree.add(Command("OUTPut#:LEVel", (Integer(0, 100),), take, suffix_max=2))
        tree.add(Command("MODE", (Choice("FIXed", "LIST"),), take))
        tree.add(Command("NAME", (Text(),), take))
        tree.add(Command("DATA", (Text(), Block()), take))
        tree.add(Command("ROUTe", (Channels(8),), take))
        tree.add(Command("LIST", (Numbers(Number("V", 0.0, 50.0), 3), Optional(Channels(8))), take))

    def send(self, message: str | bytes) -> str | None:
        self.engine.receive(message if isinstance(message, bytes) else message.encode("latin-1"))
        self.clock.sleep(1_000_000)
        return self.engine.take(1 << 20)[0].decode() if self.engine.readable() else None

    @property
    def errors(self) -> list[int]:
        return [int(entry.split(",")[0]) for entry in self.engine.status.errors]


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.mark.parametrize(
    "header", ["VOLT", "volt", "VOLTage", "SOUR:VOLT", "SOURCE:VOLT:LEV", ":volt:level:imm:ampl", "VOLT:AMPL"]
)
def test_short_long_and_optional_mnemonics_name_the_same_command(box: Box, header: str) -> None:
    box.send(f"{header} 12\n")
    assert (box.got, box.errors) == ([12.0], [])


@pytest.mark.parametrize("header", ["VOL", "VOLTA", "VOLTAGES", "SOURCES:VOLT", "VOLT:LEVE"])
def test_anything_between_short_and_long_form_is_undefined(box: Box, header: str) -> None:
    box.send(f"{header} 12\n")
    assert (box.got, box.errors) == ([], [-113])


@pytest.mark.parametrize(
    ("sent", "volts"),
    [("28V", 28.0), ("28 V", 28.0), ("2800 mV", 2.8), ("2.8E1", 28.0), ("+.5", 0.5), ("1E-2 KV", 10.0), ("#H1C", 28.0),
     ("#Q34", 28.0), ("#B11100", 28.0), ("MIN", 0.0), ("maximum", 50.0), ("DEF", 5.0)],
)  # fmt: skip
def test_numbers_take_exponents_bases_units_and_keywords(box: Box, sent: str, volts: float) -> None:
    box.send(f"VOLT {sent}\n")
    assert box.got == [pytest.approx(volts)]
    assert box.errors == []


def test_mega_and_milli_are_told_apart_by_the_unit(box: Box) -> None:
    box.send("FREQ 421 MHZ;:VOLT 421 MV\n")
    assert box.got == [421e6, 0.421]


@pytest.mark.parametrize(("sent", "count"), [("MIN", 0), ("MAXIMUM", 100), ("2.5", 3), ("#B101", 5)])
def test_whole_numbers_are_rounded_and_take_keywords(box: Box, sent: str, count: int) -> None:
    box.send(f"OUTP:LEV {sent}\n")
    assert box.got == [(1, count)]


@pytest.mark.parametrize(
    ("message", "number"),
    [
        ("VOLT 1 §", -101), ("VOLT ,", -102), ("NAME 'a' 'b'", -103), ("VOLT 1,2", -108), ("VOLT", -109),
        ("VOLT::LEV 1", -110), (":*RST", -110), ("VOLT=1", -111), ("VOLTAGELEVELSET 1", -112), ("NONSENSE", -113),
        ("OUTP3:LEV 1", -114), ("FREQ2 1", -114), ("VOLT 1.2.3", -121), ("VOLT 1E99999", -123),
        ("VOLT " + "1" * 300, -124), ("NAME 1", -128), ("VOLT 1 HZ", -131), ("VOLT 1 MILLIVOLTSSSS", -134),
        ("OUTP:LEV 5 V", -138), ("VOLT SOME", -141), ("MODE ABCDEFGHIJKLM", -144), ("NAME WORD", -148),
        ("NAME 'open", -151), ("VOLT 'a'", -158), ("DATA 'a',#3abc", -161), ("VOLT #11a", -168), ("ROUT (@1", -171),
        ("ROUT (1,2)", -171), ("VOLT (@1)", -178), ("VOLT 51", -222), ("ROUT (@9)", -222), ("LIST 1,2,3,4", -223),
        ("MODE STEP", -224), ("*TRG", -211),
        ("OUTP:LEV HALF", -141), ("OUTP:LEV 'a'", -158), ("OUTP:LEV 101", -222), ("VOLT:PROT:STAT ON1", -224),
        ("VOLT:PROT:STAT 1V", -138), ("VOLT:PROT:STAT 'a'", -158), ("MODE 1", -128), ("DATA 'a','b'", -158),
        ("ROUT 1", -128), ("ROUT (@1:x)", -171),
    ],
)  # fmt: skip
def test_each_mistake_has_its_standard_number(box: Box, message: str, number: int) -> None:
    box.send(message + "\n")
    assert (box.got, box.errors) == ([], [number])


def test_the_header_path_is_remembered_after_a_semicolon(box: Box) -> None:
    box.send("VOLT:PROT:STAT ON;DEL 0.5;STAT OFF\n")
    assert (box.got, box.errors) == ([True, 0.5, False], [])


def test_a_leading_colon_returns_to_the_root(box: Box) -> None:
    box.send("VOLT:PROT:STAT ON;:FREQ 5\n")
    assert (box.got, box.errors) == ([True, 5.0], [])


def test_without_the_colon_the_remembered_path_is_not_the_root(box: Box) -> None:
    box.send("VOLT:PROT:STAT ON;FREQ 5\n")
    assert (box.got, box.errors) == ([True], [-113])


def test_a_common_command_leaves_the_path_alone(box: Box) -> None:
    box.send("VOLT:PROT:STAT ON;*CLS;DEL 0.5\n")
    assert (box.got, box.errors) == ([True, 0.5], [])


def test_a_new_message_forgets_the_path(box: Box) -> None:
    box.send("VOLT:PROT:STAT ON\n")
    box.send("DEL 0.5\n")
    assert (box.got, box.errors) == ([True], [-113])


def test_numeric_suffixes_reach_the_command(box: Box) -> None:
    box.send("OUTP:LEV 3;:OUTPUT2:LEV 4\n")
    assert box.got == [(1, 3), (2, 4)]


def test_channel_lists_hold_numbers_and_ranges_in_order(box: Box) -> None:
    box.send("ROUT (@1,3:5,8:7)\n")
    assert box.got == [(1, 3, 4, 5, 8, 7)]


def test_a_list_of_numbers_ends_at_the_channel_list(box: Box) -> None:
    box.send("LIST 1,2 V,MAX,(@2)\n")
    assert box.got == [((1.0, 2.0, 50.0), (2,))]


def test_strings_double_their_own_quote(box: Box) -> None:
    box.send("NAME 'it''s \"so\";1'\n")
    assert box.got == ['it\'s "so";1']


def test_a_block_may_hold_terminators_and_quotes(box: Box) -> None:
    payload = b"\n;'\"#\x00\xff"
    box.send(b'DATA "a",#17' + payload + b"\n")
    assert (box.got, box.errors) == ([("a", payload)], [])


def test_an_indefinite_block_ends_with_the_message(box: Box) -> None:
    box.send(b'DATA "a",#0abc;*RST')
    assert box.got == [("a", b"abc;*RST")]


def test_a_block_that_comes_in_pieces_is_put_together(box: Box) -> None:
    for piece in (b'DATA "a",#2', b"12abc\ndef", b"\nghij\n"):
        box.engine.receive(piece, end=False)
    box.clock.sleep(1_000_000)
    assert box.got == [("a", b"abc\ndef\nghij")]


def test_a_command_error_ends_the_message_an_execution_error_does_not(box: Box) -> None:
    box.send("VOLT 99;VOLT 1;NONSENSE;VOLT 2\n")
    assert (box.got, box.errors) == ([1.0], [-222, -113])


def test_answers_of_one_message_are_joined(box: Box) -> None:
    assert box.send("VOLT?;*STB?;:VOLT?\n") == "7;0;7\n"


def test_a_header_cannot_be_declared_twice(box: Box) -> None:
    with pytest.raises(ValueError, match="declared twice"):
        box.engine.tree.add(Command("VOLTage", (), lambda: None))


def test_a_header_declaration_must_have_a_short_form() -> None:
    with pytest.raises(ValueError, match="short form"):
        mnemonics("source:VOLTage")


@given(st.binary(max_size=200))
def test_no_bytes_ever_break_the_engine(data: bytes) -> None:
    box = Box()
    box.send(data)
    box.engine.clear()
    assert box.send("*IDN?\n") == "Maker,Box,1,0\n"


@given(st.text("VOLTage:;?*# 0123456789E+-.'\"(@),#HQBMINXF\n", max_size=60))
def test_no_message_that_looks_like_scpi_breaks_the_engine(text: str) -> None:
    box = Box()
    box.send(text)
    assert all(-500 < number < 0 for number in box.errors)


@given(st.lists(st.sampled_from(["short", "long", "lower"]), min_size=4, max_size=4), st.integers(0, 15))
def test_every_spelling_reaches_the_same_command(forms: list[str], optional: int) -> None:
    spell = {"short": lambda node: node.short, "long": lambda node: node.long, "lower": lambda node: node.long.lower()}
    nodes = mnemonics(LEVEL)
    words = [
        spell[form](node)
        for index, (form, node) in enumerate(zip([*forms, "short"], nodes, strict=False))
        if not node.optional or optional >> index & 1
    ]
    box = Box()
    box.send(":".join(words) + " 3\n")
    assert (box.got, box.errors) == ([3.0], [])


@given(st.binary(max_size=60), st.lists(st.integers(1, 40), max_size=5))
def test_how_a_block_is_cut_into_pieces_does_not_matter(payload: bytes, cuts: list[int]) -> None:
    length = str(len(payload)).encode()
    message = b'DATA "a",#' + str(len(length)).encode() + length + payload + b"\nVOLT 1\n"
    box, start = Box(), 0
    for cut in [*cuts, len(message)]:
        box.engine.receive(message[start : start + cut], end=False)
        start += cut
    box.clock.sleep(1_000_000)
    assert box.got == [("a", payload), 1.0]


@given(st.floats(0.0, 50.0))
def test_a_number_comes_back_as_it_was_sent(volts: float) -> None:
    box = Box()
    box.send(f"VOLT {volts!r}\n")
    assert box.got == [volts]


def test_messages_are_cut_at_line_feeds_outside_blocks() -> None:
    assert split_messages(b"A\nB #12\n\n\nC", end=False) == ([b"A", b"B #12\n\n"], b"C")
