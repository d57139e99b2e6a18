"""Numbers as a report prints them: short, but never so short that two different numbers look the same."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from hil.units import s

if TYPE_CHECKING:
    from hil.evidence.documents import Json
    from hil.evidence.records import Measured, Scalar

_DIGITS = 6
_DIGITS_MAX = 17
_WHOLE_MAX = 1e12  # a whole number below this is written out, not as a power of ten
_BREAK_AT = re.compile(r"(?<=[_.:/=-])(?=[^_.:/=-])(?![^\[]*\])|(?=\[)")
_TEXT_MAX = 400  # characters of a recorded value; the whole of it stands in events.jsonl


def figure(value: Scalar, *against: float | None) -> str:
    """A value for a table: six digits, more where they are needed to tell it from what it is compared with.

    Args:
        value: the value.
        against: numbers that must not look the same unless they are: its limits.

    >>> figure(24.96), figure(25.000000004, 25.0), figure(425e6), figure(True), figure(None)
    ('24.96', '25.000000004', '425000000', 'true', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return str(value)
    value += 0.0  # minus zero is zero
    if abs(value) < _WHOLE_MAX and value == int(value):
        return f"{value:.0f}"
    for digits in range(_DIGITS, _DIGITS_MAX):
        text = f"{value:.{digits}g}"
        if all(other is None or other == value or text != f"{other:.{digits}g}" for other in against):
            return text
    return f"{value:.{_DIGITS_MAX}g}"


def with_unit(value: float | None, unit: str) -> str:
    """A number with its unit; a bare ratio or count, whose unit is "1", stands alone."""
    return figure(value) if unit == "1" else f"{figure(value)} {unit}"


def measured_figure(measured: Measured) -> str:
    """The value of a measurement for a table."""
    if measured.nonfinite:
        return measured.nonfinite
    if measured.value is None:
        return "never taken"
    return figure(measured.value, measured.low, measured.high)


def recorded(value: Json) -> str:
    """Any recorded value on one line, cut where it would fill the page.

    >>> recorded({"level_dbm": -107.0, "tones": [1, 5]}), recorded({"value": None, "nonfinite": "NaN"})
    ('level_dbm=-107, tones=[1, 5]', 'NaN')
    """
    text = flat(value)
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}... ({len(text)} characters)"


def flat(value: Json) -> str:
    """Any recorded value on one line, in full."""
    if isinstance(value, dict):
        if value.keys() == {"value", "nonfinite"}:
            return str(value["nonfinite"])
        return ", ".join(f"{key}={flat(item)}" for key, item in value.items())
    if isinstance(value, list):
        return f"[{', '.join(flat(item) for item in value)}]"
    return figure(value)


def seconds(time_ns: int) -> str:
    """A virtual time [ns] in seconds, to the nanosecond but without zeros that say nothing.

    >>> seconds(10_000_000), seconds(1_000_000_001), seconds(0)
    ('0.010 s', '1.000000001 s', '0.000 s')
    """
    whole, rest = divmod(abs(time_ns), s)
    digits = f"{rest:09d}".rstrip("0").ljust(3, "0")
    return f"{'-' if time_ns < 0 else ''}{whole}.{digits} s"


def t_plus(time_s: float, symbol: str = "T+") -> str:
    """A time [s] counted from an epoch, to the microsecond; before it with a minus.

    >>> t_plus(19.6), t_plus(-0.02), t_plus(3.0, "t")
    ('T+19.6 s', 'T−0.02 s', 't 3 s')
    """
    text = figure(round(abs(time_s), 6))
    if symbol != "T+":
        return f"{symbol} {'−' if time_s < 0.0 else ''}{text} s"
    return f"T{'−' if time_s < 0.0 else '+'}{text} s"


def breakable(text: str) -> Markup:
    """A name, an id or a path as HTML that a line may break inside, between its parts; not within brackets.

    >>> breakable("test_fts.py::test_<x>[pc_low]")
    Markup('test_<wbr>fts.<wbr>py::<wbr>test_<wbr>&lt;x&gt;<wbr>[pc_low]')
    """
    return Markup("<wbr>").join(escape(part) for part in _BREAK_AT.split(text))
