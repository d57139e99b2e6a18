"""TOML with line numbers: every refusal of a configuration file says file, line, key and what to do.

``tomllib`` reads the values; :class:`Lines` knows on which line each key stands, so that what a later check
refuses can be found. :func:`check` validates with a pydantic model and words its errors that way.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError

from hil.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic_core import ErrorDetails

Key = str | int
Model = TypeVar("Model", bound=BaseModel)
_Path = tuple[Key, ...]

_ERRORS_SHOWN = 10  # a file with more mistakes than this is read again anyway
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}\n#]+")
_WHERE = re.compile(r" \(at line (\d+), column \d+\)$")


class Lines:
    """On which line of a TOML file each key stands.

    Args:
        found: 1-based line of each key path; items of arrays are counted from 0.
    """

    def __init__(self, found: Mapping[tuple[str | int, ...], int]) -> None:
        self._found = found

    def of(self, *keys: str | int) -> int:
        """The 1-based line of a key; of a key that is not there, the line of the table that should hold it.

        >>> Lines({("bus",): 3, ("bus", "rate"): 4}).of("bus", "name")
        3
        """
        for end in range(len(keys), 0, -1):
            line = self._found.get(keys[:end])
            if line is not None:
                return line
        return 1


def load_toml(path: Path | str) -> tuple[dict[str, object], Lines]:
    """Read a TOML file, with the line of every key.

    Args:
        path: the file; messages show it as it is given here.

    Raises:
        ConfigError: when it cannot be read, is not UTF-8, or is not TOML.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}; check the path") from error
    return parse_toml(content, path)


def parse_toml(content: bytes, path: Path | str) -> tuple[dict[str, object], Lines]:
    """The same for the bytes of a file.

    Args:
        content: the bytes.
        path: the file, for messages.

    Raises:
        ConfigError: when they are not UTF-8, or not TOML.
    """
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 (byte {error.start}); TOML files are UTF-8: save it so") from error
    try:
        data = cast("dict[str, object]", tomllib.loads(text))
        return data, Lines(_Scan(text).run())
    except tomllib.TOMLDecodeError as error:
        found = _WHERE.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise ConfigError(f"{path}:{line}: is not TOML: {_WHERE.sub('', str(error))}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: its arrays or tables are nested too deeply; flatten them") from error


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name``, or None when none is like it.

    >>> nearest("bitrat_bps", ["interface", "bitrate_bps"])
    'bitrate_bps'
    """
    found = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message that refuses ``name``: the nearest known name, or else all of them.

    >>> did_you_mean("hihg", ["low", "high"])
    '; did you mean high?'
    """
    names = sorted(known)
    like = nearest(name, names)
    if like is not None:
        return f"; did you mean {like}?"
    return f"; known: {', '.join(names)}" if names else "; none is known here"


def dotted(keys: Sequence[str | int]) -> str:
    """A key path as it is written in TOML.

    >>> dotted(("limit", "fts.arm_threshold", "low")), dotted(("dut", 0, "bus"))
    ('limit."fts.arm_threshold".low', 'dut[0].bus')
    """
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            name = key if _BARE.fullmatch(key) else f'"{key}"'
            text += f".{name}" if text else name
    return text


def check(model: type[Model], data: Mapping[str, object], path: Path | str, lines: Lines) -> Model:
    """Validate what :func:`load_toml` read; every error names file, line, key, and the nearest known key.

    Args:
        model: the pydantic model of the whole file.
        data: what was read.
        path: the file, for the messages.
        lines: where the keys stand.

    Raises:
        ConfigError: with one line per mistake.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        texts = [_explain(model, detail, path, lines) for detail in details[:_ERRORS_SHOWN]]
        if len(details) > _ERRORS_SHOWN:
            texts.append(f"{path}: and {len(details) - _ERRORS_SHOWN} more")
        raise ConfigError("\n".join(texts)) from error


def _explain(model: type[BaseModel], detail: ErrorDetails, path: Path | str, lines: Lines) -> str:
    keys = detail["loc"]
    where = f"{path}:{lines.of(*keys)}: {dotted(keys)}"
    match detail["type"]:
        case "extra_forbidden":
            return f"{where} is not known{did_you_mean(str(keys[-1]), _fields(model, keys[:-1]))}"
        case "missing":
            return f"{where} is missing"
        case _:
            message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
            given = detail["input"]
            shown = "" if isinstance(given, dict | list) else f"; it is {given!r}"
            return f"{where} {message}{shown}" if keys else f"{path}: {message}{shown}"


def _fields(model: type[BaseModel], keys: Sequence[Key]) -> set[str]:
    """The keys that the model at ``keys`` takes, by the names that the file uses."""
    level: list[object] = [model]
    for key in keys:
        level = [inner for outer in level for inner in _inner(outer, key)]
    return {
        str(field.alias or name)
        for found in level
        if isinstance(found, type) and issubclass(found, BaseModel)
        for name, field in found.model_fields.items()
    }


def _inner(outer: object, key: Key) -> list[object]:
    """What an annotation says of one of its items: a model's field, or the last argument of dict, list or union."""
    if isinstance(outer, type) and issubclass(outer, BaseModel):
        for name, field in outer.model_fields.items():
            if key in (name, field.alias):
                return _flat(field.annotation)
        return [outer]
    arguments = get_args(outer)
    return _flat(arguments[-1]) if arguments else [outer]


def _flat(annotation: object) -> list[object]:
    """The members of a union; anything else alone."""
    arguments = get_args(annotation)
    if arguments and not hasattr(annotation, "__origin__"):
        return [member for member in arguments if member is not type(None)]
    return [annotation]


class _Scan:
    """Walks over text that tomllib accepted and notes the line of every key."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._found: dict[_Path, int] = {}
        self._arrays: dict[_Path, int] = {}

    def run(self) -> dict[_Path, int]:
        """The line of every key path."""
        table: _Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip()
        return self._found

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _note(self, path: _Path) -> None:
        self._found.setdefault(path, bisect_right(self._starts, self._at))

    def _header(self) -> _Path:
        opening = "[[" if self._text.startswith("[[", self._at) else "["
        start = self._at
        self._at += len(opening)
        keys = self._keys()
        end, self._at = self._at + len(opening), start
        path: _Path = ()
        for position, key in enumerate(keys):
            path = (*path, key)
            self._note(path)
            if opening == "[[" and position == len(keys) - 1:
                self._arrays[path] = self._arrays.get(path, -1) + 1
            if path in self._arrays:
                path = (*path, self._arrays[path])
                self._note(path)
        self._at = end
        return path

    def _pair(self, table: _Path) -> None:
        start = self._at
        keys = self._keys()
        end, self._at = self._at, start
        for length in range(1, len(keys) + 1):
            self._note((*table, *keys[:length]))
        self._at = end
        self._take("=")
        self._value((*table, *keys))

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._text.startswith(".", self._at):
            self._at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip()
        found = _BARE.match(self._text, self._at) or _STRING.match(self._text, self._at)
        word = found[0] if found else self._text[self._at]
        self._at += len(word)
        self._skip()
        return str(tomllib.loads(f"key = {word}")["key"]) if word[0] in "\"'" else word

    def _take(self, mark: str) -> None:
        self._skip()
        self._at += self._text.startswith(mark, self._at)
        self._skip()

    def _value(self, path: _Path) -> None:
        match self._text[self._at]:
            case "[":
                self._items(path)
            case "{":
                self._inline(path)
            case _:
                found = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
                self._at = found.end() if found else self._at + 1

    def _items(self, path: _Path) -> None:
        self._take("[")
        position = 0
        while not self._text.startswith("]", self._at):
            self._note((*path, position))
            self._value((*path, position))
            self._take(",")
            position += 1
        self._at += 1

    def _inline(self, path: _Path) -> None:
        self._take("{")
        while not self._text.startswith("}", self._at):
            self._pair(path)
            self._take(",")
        self._at += 1
