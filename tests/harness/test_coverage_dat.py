"""Verilator's coverage file: read as it is written, refused with place and remedy when it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cover_world import DATA, dat
from hypothesis import given
from hypothesis import strategies as st

from hil.coverage.dat import HEADER, RawPoint, read_dat
from hil.errors import EvidenceError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = b"C '\x01f\x02@/a.sv\x01l\x027\x01n\x0213\x01t\x02branch\x01page\x02v_branch/a__W4\x01o\x02if\x01S\x027-8' 5\n"


def written(folder: Path, content: bytes) -> Path:
    path = folder / "coverage.dat"
    path.write_bytes(content)
    return path


def test_a_point_is_read_with_its_place_kind_name_lines_and_hits(tmp_path):
    (point,) = read_dat(written(tmp_path, HEADER + b"\n" + GOOD))

    assert point == RawPoint("@/a.sv", 7, 13, "branch", "if", "7-8", 5)


def test_what_verilator_wrote_of_a_design_is_read(tmp_path):
    points = read_dat(dat(tmp_path, "split"))

    assert {point.kind for point in points} == {"line", "branch", "toggle"}
    assert RawPoint(f"{DATA}/cover_voter.sv", 26, 19, "branch", "else", "", 0) in points
    assert sum(1 for point in points if point.file.endswith("hil_top.v")) == 31


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"coverage.dat:1: is not Verilator coverage.*it is empty"),
        (b"# SystemC::Coverage-4\n" + GOOD, r":1: .*it begins with b'# SystemC::Coverage-4'; build with"),
        (HEADER + b"\n" + GOOD + GOOD[:40], r":3: the file ends within this line: .*let it end by itself"),
        (HEADER + b"\n" + GOOD.replace(b"' 5", b"' x"), r":2: is not a coverage point"),
        (HEADER + b"\n" + b"hello\n", r":2: is not a coverage point .*b'hello'"),
        (HEADER + b"\n" + GOOD.replace(b"t\x02branch", b"t\x02"), r":2: the point has no 't'"),
        (HEADER + b"\n" + GOOD.replace(b"l\x027", b"l\x02-7"), r":2: 'l' is '-7', not a number"),
        (HEADER + b"\n" + GOOD.replace(b"7-8", b"7-"), r":2: S is '7-', not a list of lines"),
        (HEADER + b"\n" + GOOD.replace(b"o\x02if", b"o"), r":2: b'o' is no key with a value"),
    ],
)
def test_a_damaged_file_is_refused_with_line_reason_and_remedy(tmp_path, content, said):
    with pytest.raises(EvidenceError, match=said):
        read_dat(written(tmp_path, content))


def test_a_missing_file_says_why_it_may_be_missing(tmp_path):
    with pytest.raises(
        EvidenceError, match=r"none.dat: the simulator left no coverage: No such file.*when it is killed"
    ):
        read_dat(tmp_path / "none.dat")


def escaped(text: str) -> bytes:
    """As the simulator writes it: what is not printable ASCII as the hexadecimal value of a signed char."""
    plain = b"".join(
        b"%%%02X" % (byte if byte < 128 else byte | 0xFFFFFF00)
        if not 32 <= byte < 127 or byte in b'%"'
        else bytes([byte])
        for byte in text.encode()
    )
    return b"C '\x01f\x02" + plain + b"\x01l\x021\x01n\x022\x01t\x02line\x01o\x02" + plain + b"' 3\n"


@given(st.text(min_size=1))
def test_every_name_comes_back_as_it_was(tmp_path_factory, name):
    path = written(tmp_path_factory.mktemp("dat"), HEADER + b"\n" + escaped(name))

    assert read_dat(path) == [RawPoint(name, 1, 2, "line", name, "", 3)]
