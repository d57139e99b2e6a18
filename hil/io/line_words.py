"""Messages as lines: one JSON object each, with a ``kind`` and exactly the fields that the class of it declares."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from hil.closed import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Word = TypeVar("Word")

_SHOWN = 120  # characters of a wrong line that a message shows


def _parts(value: object) -> object:
    """The fields of a dataclass within a message."""
    return asdict(cast("Any", value))


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_parts)


class Vocabulary(Generic[Word]):
    """The messages of one protocol.

    Args:
        kinds: the class of each message, a dataclass, by the name that stands for it.
        protocol: what the protocol is called, for messages.
        error: made of the sentence that says what is wrong with a line.
        value: the value of a field as its type: takes the line, the value and the type's name; None for a wrong one.
    """

    def __init__(
        self,
        kinds: Mapping[str, type[Word]],
        protocol: str,
        error: Callable[[str], Exception],
        value: Callable[[bytes, object, str], object],
    ) -> None:
        self._kinds = kinds
        self._protocol = protocol
        self._error = error
        self._value = value
        self._names = {kind: name for name, kind in kinds.items()}
        self._fields = {
            kind: {entry.name: str(entry.type) for entry in fields(cast("Any", kind))} for kind in kinds.values()
        }

    def encode(self, word: Word) -> bytes:
        """A message as a line, with its line feed.

        Raises:
            ValueError: for a number that is not finite, which JSON does not have.
        """
        kind = type(word)
        said: dict[str, object] = {"kind": self._names[kind]}
        for name in self._fields[kind]:
            said[name] = getattr(word, name)
        return _ENCODER.encode(said).encode() + b"\n"

    def decode(self, line: bytes) -> Word:
        """The message on a line (without its line feed); what is not exactly one raises the protocol's error."""
        try:
            found: object = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise self.wrong(line, f"is no JSON: {problem}") from problem
        if not isinstance(found, dict):
            raise self.wrong(line, "is no JSON object")
        given = cast("dict[str, object]", found)
        name = given.pop("kind", None)
        kind = self._kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            raise self.wrong(line, f"has the kind {name!r}; {nearest(str(name), list(self._kinds))}")
        wanted = self._fields[kind]
        if given.keys() != wanted.keys():
            has, takes = (", ".join(keys) or "none" for keys in (given, wanted))
            raise self.wrong(line, f"has the fields {has}; {name} has {takes}")
        values = {key: self._value(line, value, wanted[key]) for key, value in given.items()}
        for key, value in values.items():
            if value is None and not (given[key] is None and "None" in wanted[key]):
                raise self.wrong(line, f"has {key} = {given[key]!r}, which is not {wanted[key]}")
        return kind(**values)

    def wrong(self, line: bytes, what: str) -> Exception:
        """The error for a line."""
        shown = line[:_SHOWN].decode("utf-8", "replace") + ("..." if len(line) > _SHOWN else "")
        return self._error(f"{self._protocol}: the line {shown!r} {what}")
