"""TOML with line numbers."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from hil.errors import ConfigError
from hil.toml_lines import Lines, check, load_toml

if TYPE_CHECKING:
    from pathlib import Path

TEXT = '''# a comment with = and [brackets]
title = "x = [1]"

[limit."fts.arm"]
low = -107.0  # dBm
note = """
high = 5
"""
family = [
  1.0, # first
  2.0,
]

[[bus]]
name = "a"
[[bus]]
name.first = 'b'
inline = { rate = 5, "deep key" = { x = [1] } }
[bus.node]
id = 3
'''


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    (tmp_path / "rig.toml").write_text(TEXT)
    return load_toml(tmp_path / "rig.toml")[1]


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("title",), 2), (("limit", "fts.arm"), 4), (("limit", "fts.arm", "low"), 5),
        (("limit", "fts.arm", "family"), 9), (("limit", "fts.arm", "family", 1), 11), (("bus", 0, "name"), 15),
        (("bus", 1), 16), (("bus", 1, "name", "first"), 17),
        (("bus", 1, "inline", "deep key", "x"), 18), (("bus", 1, "node", "id"), 20),
    ],
)  # fmt: skip
def test_every_key_is_found_on_its_line(lines: Lines, keys: tuple[str | int, ...], line: int) -> None:
    assert lines.of(*keys) == line


def test_a_key_that_is_not_there_has_the_line_of_its_table(lines: Lines) -> None:
    assert lines.of("limit", "fts.arm", "high") == 4
    assert lines.of("nothing") == 1


@pytest.mark.parametrize("content", [b"a = \n", b"x = 1\na = = 2\n", b"a = 1\n[t]\na = 1\na = 2\n", b"a = [1,\n"])
def test_what_is_not_toml_is_refused_with_its_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad\.toml:\d+: is not TOML"):
        load_toml(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read: No such file"):
        load_toml(tmp_path / "gone.toml")
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe9"')
    with pytest.raises(ConfigError, match=r"latin\.toml: is not UTF-8"):
        load_toml(tmp_path / "latin.toml")


class _Bus(BaseModel):
    model_config = ConfigDict(extra="forbid")
    bitrate_bps: int


class _Rig(BaseModel):
    model_config = ConfigDict(extra="forbid")
    bus: dict[str, _Bus] | None = None


def test_an_unknown_key_is_refused_with_file_line_and_the_nearest_key(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text("[bus.a]\nbitrate_bps = 1\nbitrat_bps = 5\n")
    data, lines = load_toml(path)
    with pytest.raises(ConfigError, match=r"rig\.toml:3: bus\.a\.bitrat_bps is not known; did you mean bitrate_bps\?"):
        check(_Rig, data, path, lines)


def test_a_missing_key_is_refused_at_its_table(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text("\n[bus.a]\n")
    data, lines = load_toml(path)
    with pytest.raises(ConfigError, match=r"rig\.toml:2: bus\.a\.bitrate_bps is missing"):
        check(_Rig, data, path, lines)


_keys = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8)
_tables = st.recursive(
    st.integers(-9, 9) | _keys,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_quoted(key)} = {_inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[\n" + ",\n".join(_inline(item) for item in value) + " # ]\n]"
    return _quoted(value)


@given(st.dictionaries(_keys, _tables, max_size=5))
def test_top_level_keys_of_any_file_are_found(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]
) -> None:
    text, expected = "", {}
    for key, value in data.items():
        expected[key] = text.count("\n") + 1
        text += f"{_quoted(key)} = {_inline(value)}\n"
    if tomllib.loads(text) != data:
        return
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode())
    found = load_toml(path)[1]
    assert {key: found.of(key) for key in data} == expected
