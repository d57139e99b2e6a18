"""Over which buses a loop leaves the plant's program, what answers loop-back there, and what a rig file may not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from loop_rig import RECEIVER, loop_rig

from hil.can.gate import CanGate
from hil.can.loopback import LoopbackFrames
from hil.doctor.tables import loopbacks
from hil.errors import ConfigError
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.rig.loopbacks import crossings, loopback_of, no_crossing, out_of_reach, why_not_measured
from hil.rig.preflight import check_rig

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = "loopback = { request = 0x700, answer = 0x701 }"


@pytest.mark.parametrize(
    ("plant", "articles", "by"),
    [
        ("test", {"fts_a": "test", "fts_b": "test"}, "no bus"),
        ("test", {"fts_a": "test", "fts_b": "fts"}, "fts"),
        ("test", {"fts_a": "test", "fts_b": "zulu", "fc": "alpha"}, "alpha"),
        ("test", {"fts_a": "test", "fc": "real"}, None),
        ("test", {"fts_a": "test", "fts_b": "fts", "fc": "real"}, "fts"),
        ("test", {"fc": "real"}, None),
        ("test", {"fts_a": "alpha"}, "alpha"),
        ("sim", {"fts_a": "sim", "fts_b": "sim"}, "sim"),
        ("sim", {"fts_a": "sim", "fts_b": "alpha", "fc": "real"}, "sim"),
        ("sim", {"fts_a": "test"}, None),
        ("sim", {"fts_a": "alpha"}, "alpha"),
    ],
)
def test_who_simulates_what_says_where_the_loop_crosses_a_bus_and_who_answers(
    tmp_path: Path, plant: str, articles: dict[str, str], by: str | None
) -> None:
    found = crossings(loop_rig(tmp_path, articles, plant=plant))
    assert [(each.bus, each.by) for each in found] == ([] if by == "no bus" else [("bus_a", by), ("bus_b", by)])


@pytest.mark.parametrize(
    ("plant", "articles", "by"),
    [
        ("test", {}, "device"),
        ("test", {"fts_a": "test"}, "device"),
        ("sim", {}, "device"),
        ("sim", {"fc": "sim"}, "sim"),
    ],
)
def test_a_bus_with_a_declared_loop_back_is_measured_whoever_is_on_it(
    tmp_path: Path, plant: str, articles: dict[str, str], by: str
) -> None:
    file = loop_rig(tmp_path, articles, plant=plant, loopback=OTHERS)
    assert [(each.bus, each.by) for each in crossings(file)] == [("bus_a", by), ("bus_b", by)]
    assert loopback_of(file, "bus_a") == LoopbackFrames(0x700, 0x701)


@pytest.mark.parametrize(
    ("lines", "unreached"),
    [
        ('serial = "SN1"', True),
        (f'model = "{RECEIVER}"\nprocess = "fts"', True),
        (f'model = "{RECEIVER}"\nprocess = "test"', False),
        ('serial = "SN1"\nbus = ["bus_a"]\nnode = "FC"', True),
        ('serial = "SN1"\nin_loop = false', False),
    ],
    ids=["real", "another program's", "the plant's program's", "on a bus that is not measured", "said to be in none"],
)
def test_an_article_that_no_measured_bus_reaches_leaves_the_delay_unknown(
    tmp_path: Path, lines: str, unreached: bool
) -> None:
    own = loop_rig(tmp_path, {}).file
    text = own.read_text().replace("worlds = {  }", 'worlds = { fts = "tcp://127.0.0.1:1" }')
    own.write_text(f"{text}[dut.box]\n{lines}\n")
    file = load_rig(own, ["bus.bus_a.interface=hil"] if "bus_a" in lines else [])
    found = out_of_reach(file)
    assert list(found) == (["dut.box"] if unreached else [])
    assert [each.name for each in loopbacks(file)] == (["box loop-back"] if unreached else [])
    if unreached:
        assert f"set dut.box.in_loop = false at {file.where('dut', 'box')} if nothing" in found["dut.box"]


def test_in_virtual_time_nothing_is_delayed(tmp_path: Path) -> None:
    own = loop_rig(tmp_path, {"fts_a": "test", "fc": "real"}, loopback=OTHERS, pace='"virtual"')
    assert (crossings(own), out_of_reach(own)) == ([], {})


def test_a_declared_device_answers_by_the_identifiers_of_its_bus(tmp_path: Path) -> None:
    found = crossings(loop_rig(tmp_path, {"fts_a": "test", "fc": "real"}, loopback=OTHERS))
    assert {(each.by, each.frames) for each in found} == {("device", LoopbackFrames(0x700, 0x701))}


def test_by_chooses_among_those_that_can_answer(tmp_path: Path) -> None:
    loopback = 'loopback = { by = "device" }'
    found = crossings(loop_rig(tmp_path, {"fts_a": "test", "fts_b": "fts", "fc": "real"}, loopback=loopback))
    assert {(each.by, each.frames) for each in found} == {("device", LoopbackFrames())}


def test_what_is_not_measured_names_the_article_outside_and_the_key_with_its_place(tmp_path: Path) -> None:
    file = loop_rig(tmp_path, {"fts_a": "test", "fc": "real"})
    said = why_not_measured(file, crossings(file)[0])
    assert "may be closed over fc" in said
    assert f"set bus.bus_a.loopback at {file.where('bus', 'bus_a')}, for example" in said


def test_the_doctor_warns_of_a_bus_on_which_nothing_answers(tmp_path: Path) -> None:
    unknown = list(loopbacks(loop_rig(tmp_path, {"fts_a": "test", "fc": "real"}, on_b=OTHERS)))
    assert [(found.name, found.state) for found in unknown] == [("bus_a loop-back", "warn"), ("bus_b loop-back", "ok")]
    assert "set bus.bus_a.loopback at" in unknown[0].remedy
    assert unknown[1].found == "0x700, answered with 0x701, by device"


def test_a_loop_within_one_program_says_that_it_needs_none(tmp_path: Path) -> None:
    said = no_crossing(loop_rig(tmp_path, {"fts_a": "test"}))
    assert "nothing to measure: the test's own program runs the plant" in said


@pytest.mark.parametrize(
    ("loopback", "told"),
    [
        ("loopback = { request = 0x7F0, answer = 0x7F0 }", "request and answer are both 0x7f0"),
        ("loopback = { request = 0x800 }", "identifier 0x800 has more than 11 bits"),
        ("loopback = { request = 0x20000000, extended = true }", r"loop\.toml:\d+: bus\.bus_a\.loopback\.request"),
        ("loopback = { request = -1 }", r"loop\.toml:\d+: bus\.bus_a\.loopback\.request"),
        ("loopback = { reqest = 0x700 }", r"loopback\.reqest is not known; did you mean request"),
    ],
)
def test_identifiers_that_no_frame_or_two_kinds_would_have_are_refused(
    tmp_path: Path, loopback: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        loop_rig(tmp_path, {"fts_a": "test"}, loopback=loopback)


@pytest.mark.parametrize(
    ("loopback", "key"),
    [("loopback = { request = 0x200 }", "request = 0x200"), ("loopback = { answer = 0x200 }", "answer = 0x200")],
)
def test_an_identifier_of_a_message_of_the_bus_is_refused_by_file_line_and_key(
    tmp_path: Path, loopback: str, key: str
) -> None:
    file = loop_rig(tmp_path, {"fts_a": "test"}, loopback=loopback)
    told = rf"loop\.toml:\d+: bus\.bus_a\.loopback\.{key} is the identifier of ValveCommand in .*bench\.dbc"
    with pytest.raises(ConfigError, match=told):
        Blueprint.of(file)
    assert any("is the identifier of ValveCommand" in problem for problem in check_rig(file))


def test_the_same_number_in_29_bits_is_another_identifier(tmp_path: Path) -> None:
    Blueprint.of(loop_rig(tmp_path, {"fts_a": "test"}, loopback="loopback = { request = 0x200, extended = true }"))


@pytest.mark.parametrize(
    ("plant", "articles", "told"),
    [
        ("test", {"fts_a": "test", "fc": "fts"}, r"loopback\.by = 'nobody' cannot answer there; known: device, fts"),
        ("sim", {"fts_a": "sim", "fc": "fts"}, r"cannot answer there: program sim runs the plant, whose step is mea"),
    ],
)
def test_what_cannot_answer_is_refused(tmp_path: Path, plant: str, articles: dict[str, str], told: str) -> None:
    file = loop_rig(tmp_path, articles, plant=plant, loopback='loopback = { by = "nobody" }')
    with pytest.raises(ConfigError, match=told):
        Blueprint.of(file)


def test_what_the_gate_lets_pass_is_not_changed_on_the_command_line(tmp_path: Path) -> None:
    file = loop_rig(tmp_path, {"fts_a": "test", "fc": "real"}).file
    with pytest.raises(ConfigError, match=r"bus\.bus_a\.loopback\.request guards real hardware"):
        load_rig(file, ["bus.bus_a.loopback.request=0x123"])


def test_the_gate_of_a_hazardous_bus_lets_the_declared_request_pass_and_no_other(tmp_path: Path) -> None:
    file = loop_rig(tmp_path, {"fts_a": "test", "fc": "real"}, loopback=OTHERS)
    frames = LoopbackFrames(0x700, 0x701)
    assert loopback_of(file, "bus_a") == frames
    gate = CanGate("bus_a", Blueprint.of(file).databases["bus_a"], [], {}, frames)
    assert not gate.rule(frames.request(b"1")).refusal
    assert gate.rule(frames.answer(frames.request(b"1"))).refusal
    assert gate.rule(LoopbackFrames().request(b"1")).refusal
