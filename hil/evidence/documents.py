"""Evidence documents: their kinds, their fields, and the one way they become bytes.

A document is a JSON object on one line, keys sorted, UTF-8, no NaN. ``doc`` names its kind and ``prev`` is the
hash of the line before. Times are ``t_ns``: virtual, integer ns from the start of the test.

===============  ===============================================================================================
``start``        a test begins (nodeid, title, requirements, ...), or with ``run: true`` the whole run
``channel``      a recorded signal is declared (name, unit)
``event``        something happened: ``what`` is "stimulus", "check", "fault", or any word of a device
``measurement``  a value with its limits, uncertainty, decision rule, margin and verdict
``attachment``   a byte range of a file (path, offset, size, sha256)
``stop``         the verdict of a test, or with ``run: true`` the outcome of the run
``link``         joins one test's segment to the chain of the run
``coverage``     of the run: what its tests reached together, and whether that was enough
===============  ===============================================================================================
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, fields
from enum import Enum
from json.encoder import JSONEncoder
from pathlib import PurePath
from typing import TYPE_CHECKING, cast

from hil.errors import EvidenceError
from hil.limits import LimitError, builtin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.limits import Limit, Measurement

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Document = dict[str, Json]

FORMAT = 1
"""Version of the run folder's format; a reader refuses another one."""

EVIDENCE_CLASSES = ("sim", "rtl", "hardware")
"""Evidence classes from the weakest to the strongest."""

INVARIANT = "invariant."
"""What the names of measurements begin with that a bench takes of itself at the end of every test."""

_REQUIRED: dict[str, frozenset[str]] = {
    "start": frozenset({"evidence_class", "rig", "seed"}),
    "channel": frozenset({"name", "unit"}),
    "event": frozenset({"t_ns", "what"}),
    "measurement": frozenset({"t_ns", "name", "value", "unit", "verdict"}),
    "attachment": frozenset({"path", "offset", "size", "sha256"}),
    "stop": frozenset({"verdict"}),
    "link": frozenset({"index", "nodeid", "documents", "head"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """What one run has in common, as its first document says it.

    Args:
        rig: name of the rig.
        evidence_class: "sim", "rtl" or "hardware": the weakest that stands behind the run.
        seed: the seed of all random streams.
        title: what the run is about, for the report's head.
        development: the ``--set KEY=VALUE`` of this run; anything here makes it a development run.
        late_max: how many late ticks the clocks of all tests may have together; None for any number.
        profiles: what :meth:`hil.profile.Profile.documents` says of the profiles.

    Raises:
        EvidenceError: when the evidence class is not known.
    """

    rig: str
    evidence_class: str
    seed: int
    title: str = ""
    development: tuple[str, ...] = ()
    profiles: Sequence[Mapping[str, str]] = ()
    late_max: int | None = None

    def __post_init__(self) -> None:
        if self.evidence_class not in EVIDENCE_CLASSES:
            known = ", ".join(EVIDENCE_CLASSES)
            raise EvidenceError(f"evidence class {self.evidence_class!r} is not known; it is one of {known}")

    def fields(self) -> Document:
        """The fields of the run's ``start`` document."""
        return {
            "rig": self.rig,
            "evidence_class": self.evidence_class,
            "seed": self.seed,
            "title": self.title,
            "development": list(self.development),
            "profiles": [dict(profile) for profile in self.profiles],
            **({} if self.late_max is None else {"late_max": self.late_max}),
        }


_CHECK = frozenset({"form", "signal", "condition", "passed"})
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}>")
_INTEGER_BITS = 1024  # more than any counter or frame; json refuses to read back very long integers
_ENCODER = JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def encode(document: Mapping[str, Json]) -> bytes:
    r"""The canonical line of a document: the same document is the same bytes, on every machine.

    >>> encode({"t_ns": 5, "doc": "event"})
    b'{"doc":"event","t_ns":5}\n'
    """
    return (_ENCODER.encode(document) + "\n").encode("utf-8", "backslashreplace")


def decode(line: bytes) -> Document:
    """Read a line back.

    Raises:
        ValueError: when it is not one JSON object.
    """
    try:
        found = cast("Json", json.loads(line.decode("utf-8"), parse_constant=_refuse_constant))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  # one kind of error for "not a document"
    return found


def plain(value: object, where: str = "value") -> Json:
    """A value as JSON builtins: numpy scalars, enums, tuples and sets become what they mean.

    A float that is not finite becomes ``{"value": None, "nonfinite": "NaN"}``.

    Args:
        value: anything a test records.
        where: what it is, for the error's text.

    Raises:
        EvidenceError: when it has no meaning in JSON (a repr could hold an address and differ from run to run).

    >>> plain((1, float("inf"), b"ok"))
    [1, {'value': None, 'nonfinite': 'Infinity'}, '6f6b']
    """
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return cast("str | bool | None", value)
    if kind is int:
        return _integer(cast("int", value), where)
    if kind is float:
        number = cast("float", value)
        return number if math.isfinite(number) else {"value": None, "nonfinite": nonfinite(number)}
    if isinstance(value, dict):
        return {_key(key): plain(item, where) for key, item in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [plain(item, where) for item in cast("list[object]", value)]
    return _plain_rarely(value, where)


def nonfinite(value: float) -> str:
    """The name of a number that is not finite: "NaN", "Infinity" or "-Infinity"."""
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0.0 else "-Infinity")


def stable_text(text: str) -> str:
    """A message without memory addresses, so that the same failure is the same bytes in every run.

    >>> stable_text("no attribute in <Pin object at 0x7f3a90b1c2d0>")
    'no attribute in <Pin object at 0x...>'
    """
    return _ADDRESS.sub(" at 0x...>", text) if " at 0x" in text else text


def check_fields(kind: str, fields: Mapping[str, object]) -> None:
    """Refuse a document that a reader could not use.

    Raises:
        EvidenceError: when the kind is unknown, or fields that it needs are missing, or one is the chain's own.
    """
    required = _REQUIRED.get(kind)
    if required is None:
        raise EvidenceError(f"document {kind!r} is not known; it is one of {', '.join(_REQUIRED)}")
    missing = required - fields.keys()
    if kind == "event" and fields.get("what") == "check":
        missing |= _CHECK - fields.keys()
    if "doc" in fields or "prev" in fields:
        raise EvidenceError(f"a {kind!r} document names its own doc or prev; the recorder gives them: rename the field")
    if missing:
        raise EvidenceError(f"a {kind!r} document lacks {', '.join(sorted(missing))}; it has {', '.join(fields)}")


def measurement_fields(measurement: Measurement, *, t_ns: int, evidence_class: str) -> Document:
    """The fields of a ``measurement`` document.

    Args:
        measurement: what was taken.
        t_ns: virtual time [ns] in the test.
        evidence_class: "sim", "rtl" or "hardware".
    """
    limit, judgement = measurement.limit, measurement.judgement
    fields: Document = {
        "t_ns": t_ns,
        "name": measurement.name,
        "value": plain(measurement.value),
        "unit": measurement.unit,
        "low": None if limit is None else limit.low,
        "high": None if limit is None else limit.high,
        "equals": None if limit is None else limit.equals,
        "family": None if limit is None else [limit.family_low, limit.family_high],
        "limits": [limit_source(each) for each in measurement.limits],
        "uncertainty": measurement.uncertainty,
        "guard": judgement.guard,
        "decision": "" if limit is None else limit.decision,
        "margin": judgement.margin,
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "evidence_class": evidence_class,
        "info": measurement.info,
    }
    if isinstance(measurement.value, float) and not math.isfinite(measurement.value):
        fields["value"], fields["nonfinite"] = None, nonfinite(measurement.value)
    return fields


def limit_source(limit: Limit) -> Document:
    """One limit as a measurement prints it: its numbers, and where they are written."""
    values = ((key.name, getattr(limit, key.name)) for key in fields(limit) if key.name != "name")
    return {key: value for key, value in values if value not in (None, "")}


def _key(key: object) -> str:
    return key if isinstance(key, str) else str(plain(key, "key"))


def _integer(value: int, where: str) -> int:
    if value.bit_length() > _INTEGER_BITS:
        raise EvidenceError(f"{where} is an integer of {value.bit_length()} bits; record it as text")
    return value


def _plain_rarely(value: object, where: str) -> Json:
    match value:
        case bytes() | bytearray():
            return bytes(value).hex()
        case Enum():
            return plain(value.value if isinstance(value, str) else value.name, where)
        case set() | frozenset():
            items = [plain(item, where) for item in cast("set[object]", value)]
            return sorted(items, key=lambda item: encode({"item": item}))
        case PurePath():
            return value.as_posix()
        case _:
            pass
    try:
        return plain(builtin(value, where), where)
    except LimitError as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise EvidenceError(f"{where} is a {kind}; record a number, a text, a bool, a list or a mapping") from error


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"it holds {name}, which is not JSON")
