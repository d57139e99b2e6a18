"""The values of a message's fields: those of JSON, checked against the type that the message's class declares."""

from __future__ import annotations

import math
from typing import cast


def typed(value: object, kind: str) -> object | None:
    """The value as that type, or None when it is of another or no finite number; an integer may stand for a float.

    >>> typed(2, "float"), typed(2.0, "int"), typed(["a"], "tuple[str, ...]")
    (2.0, None, ('a',))
    """
    if kind.startswith("dict[") and isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        if kind == "dict[str, float]":
            numbers = {key: typed(entry, "float") for key, entry in entries.items()}
            return None if None in numbers.values() else numbers
        allowed = (str,) if kind == "dict[str, str]" else (bool, int, float, str)
        if all(isinstance(entry, allowed) and _is_finite(entry) for entry in entries.values()):
            return entries
    elif kind == "tuple[str, ...]" and isinstance(value, list):
        items = cast("list[object]", value)
        if all(isinstance(item, str) for item in items):
            return tuple(items)
    elif kind in ("bool", "bool | float") and isinstance(value, bool):
        return value
    elif kind in ("float", "bool | float") and isinstance(value, int | float) and not isinstance(value, bool):
        if _is_finite(value):
            return float(value)
    elif (kind == "str" and isinstance(value, str)) or (kind == "int" and type(value) is int):
        return value
    return None


def _is_finite(value: object) -> bool:
    """Whether a value is a number that a float can hold, or none at all."""
    try:
        return not isinstance(value, int | float) or math.isfinite(value)
    except OverflowError:
        return False
