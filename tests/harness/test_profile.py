"""Profiles: limits and parameters from TOML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil.errors import ConfigError
from hil.limits import Verdict, take
from hil.profile import Profile

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """[profile]
name = "FTS receiver"
edition = "revision 2"
status = "in force"
"""
LIMIT = """
[limit."fts.response_time"]
unit = "ms"
high = 25.0
uncertainty = 0.1
family = [8, 16]
clause = "3.2.4"
source = "procurement specification"
grade = "D"
requirement = "FTS-R-05"
"""
PARAMETERS = """
[parameter."fts.tones"]
value = [7500.0, 8460.0]
unit = "Hz"
clause = "3.1"
source = "procurement specification"
grade = "M"

[parameter."fts.guaranteed_level"]
value = -107
unit = "dBm"
clause = "3.2.1"
source = "procurement specification"
grade = "D"
"""


def profile(tmp_path: Path, *texts: str) -> Profile:
    paths = [tmp_path / f"{number}.toml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return Profile.load(paths)


def test_a_limit_is_read_with_its_source(tmp_path: Path) -> None:
    (limit,) = profile(tmp_path, HEAD + LIMIT).limits("fts.response_time")
    assert (limit.high, limit.low, limit.unit, limit.uncertainty) == (25.0, None, "ms", 0.1)
    assert (limit.family_low, limit.family_high) == (8.0, 16.0)
    assert (limit.clause, limit.grade, limit.origin) == ("3.2.4", "D", "FTS receiver, revision 2")


def test_a_limit_in_two_profiles_is_kept_twice_and_the_stricter_judges(tmp_path: Path) -> None:
    rule = HEAD.replace("FTS receiver", "rule") + LIMIT.replace("25.0", "20.0")
    limits = profile(tmp_path, HEAD + LIMIT, rule).limits("fts.response_time")
    taken = take("fts.response_time", 22.0, "ms", limits)
    assert [limit.high for limit in taken.limits] == [25.0, 20.0]
    assert taken.verdict is Verdict.FAIL


def test_parameters_are_read_with_their_unit(tmp_path: Path) -> None:
    found = profile(tmp_path, HEAD + PARAMETERS)
    assert found.value("fts.guaranteed_level", "dBm") == -107
    assert found.values("fts.tones", "Hz") == (7500.0, 8460.0)
    with pytest.raises(ConfigError, match=r"0\.toml:13: fts\.guaranteed_level is in 'dBm', not in 'V'"):
        found.value("fts.guaranteed_level", "V")


@pytest.mark.parametrize(
    ("name", "text"),
    [("fts.tone", r"did you mean fts\.tones\?"), ("fts.response_time", "is a limit, not a parameter")],
)
def test_a_parameter_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        profile(tmp_path, HEAD + LIMIT + PARAMETERS).value(name, "Hz")


def test_why_a_name_has_no_limit_is_said_with_the_nearest_name(tmp_path: Path) -> None:
    found = profile(tmp_path, HEAD + LIMIT + PARAMETERS)
    assert "did you mean fts.response_time?" in found.no_limit("fts.respons_time")
    assert "is a parameter" in found.no_limit("fts.tones")
    assert "hil_profiles" in Profile().no_limit("x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + LIMIT.replace("high", "hihg"), r'0\.toml:8: limit\."fts\.response_time"\.hihg .* did you mean high\?'),
        (HEAD + LIMIT.replace("25.0", '"25"'), r"0\.toml:8: .*high should be a valid number; it is '25'"),
        (HEAD + LIMIT.replace("25.0", "true"), r"0\.toml:8: .*high should be a valid number"),
        (HEAD + LIMIT.replace("25.0", "nan"), r"0\.toml:8: .*high should be a finite number"),
        (HEAD + LIMIT.replace('unit = "ms"\n', ""), r'0\.toml:6: limit\."fts\.response_time"\.unit is missing'),
        (HEAD + LIMIT.replace('"D"', '"X"'), r"0\.toml:13: .*grade should be 'P', 'S', 'M', 'D' or 'C'"),
        (HEAD + LIMIT.replace("[8, 16]", "[16, 8]"), r"0\.toml:6: .*family low 16 ms is above family high 8 ms"),
        (HEAD + LIMIT.replace("high = 25.0\n", "").replace("family = [8, 16]\n", ""), "limits nothing"),
        (HEAD.replace("edition", "editon"), r"0\.toml:3: profile\.editon is not known; did you mean edition\?"),
        (LIMIT, r"0\.toml:1: profile is missing"),
    ],
)
def test_a_mistake_in_a_profile_is_refused_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        profile(tmp_path, text)


def test_profiles_that_differ_in_a_parameter_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"1\.toml:13: parameter fts\.guaranteed_level is -100 dBm, but -107 dBm"):
        profile(tmp_path, HEAD + PARAMETERS, HEAD + PARAMETERS.replace("-107", "-100"))


def test_profiles_that_differ_in_a_unit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"1\.toml:7: .* is in 's', but in 'ms'"):
        profile(tmp_path, HEAD + LIMIT, HEAD + LIMIT.replace('"ms"', '"s"'))


def test_editions_name_file_and_hash_but_no_folder(tmp_path: Path) -> None:
    (document,) = profile(tmp_path, HEAD).documents()
    assert document["file"] == "0.toml"
    assert len(document["sha256"]) == 64
