"""What the models refuse, in the reader's words: the key, what is wrong with it, the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hil.rig.tables import OVERLAY_KEYS, SUB_TABLES, TABLES
from hil.rig.values import UNIT_SUFFIXES
from hil.toml_lines import did_you_mean, dotted, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

    from hil.rig.values import Table


def existing(tree: object, keys: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The part of a location that is in the file; pydantic adds the names of its own branches."""
    for depth, key in enumerate(keys):
        if isinstance(tree, dict) and key in tree:
            tree = cast("dict[str, object]", tree)[str(key)]
        elif isinstance(tree, list) and isinstance(key, int):
            tree = cast("list[object]", tree)[key]
        else:
            return keys[:depth]
    return keys


def misspelt(missing: tuple[str | int, ...], unknown: Iterable[tuple[str | int, ...]]) -> bool:
    """Whether a missing key is there under a name that is not known, which is refused with a remedy of its own."""
    return any(
        keys[:-1] == missing[:-1] and nearest(str(keys[-1]), _known_beside(keys)) == missing[-1] for keys in unknown
    )


def in_words(error: ErrorDetails, keys: tuple[str | int, ...], *, base: str, top: str) -> str:
    """One mistake as a sentence: the key, what is wrong, the remedy.

    Args:
        error: what pydantic found.
        keys: where, without pydantic's own branches.
        base: the file in which names, nets and ICD stand.
        top: the file that was asked for.
    """
    shown, found = dotted(keys), error["input"]
    value = "" if isinstance(found, dict) else f" = {found!r}"
    match error["type"]:
        case "extra_forbidden":
            return f"{shown} is not known{_instead_of(keys)}"
        case "missing" if len(keys) == 1:
            return f"there is no [{shown}] table; add one"
        case "missing":
            fillable = str(keys[-1]) in OVERLAY_KEYS[str(keys[0])]
            return (
                f"{shown} is missing ({_meaning(keys)}); add it to [{dotted(keys[:-1])}] in {top if fillable else base}"
            )
        case "value_error":
            return f"{shown}{value}: {error['msg'].removeprefix('Value error, ')}"
        case "float_type" | "int_type" | "int_from_float":
            return f"{shown}{value}: it takes a plain number{_unit_of(keys)}"
        case "string_type":
            return f"{shown}{value}: it takes text, in quotes"
        case "too_short":
            return f"{shown}{value}: it needs at least {error.get('ctx', {}).get('min_length')} entries"
        case "date_type":
            return f"{shown}{value}: it takes a TOML date, without quotes, for example 2027-03-31"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{shown}{value}: it is a table; write its keys below [{shown}]"
        case _:
            message = error["msg"].removeprefix("Input ")
            return f"{shown}{value}: it {message}{_unit_of(keys)}"


def _unit_of(keys: tuple[str | int, ...]) -> str:
    """The unit a number at these keys is in, as part of a message."""
    for key in reversed(keys):
        unit = UNIT_SUFFIXES.get(str(key).rpartition("_")[2]) if "_" in str(key) else None
        if key == "ohms":
            unit = "ohm"
        if unit is not None:
            return f" in {unit} (the unit is in the key)"
    return ""


def _instead_of(keys: tuple[str | int, ...]) -> str:
    """The remedy for an unknown key: a wrong or missing unit is named as such, else the nearest known key."""
    key, known = str(keys[-1]), _known_beside(keys)
    stem, _, suffix = key.rpartition("_")
    for other in known:
        other_stem, _, unit = other.rpartition("_")
        if unit not in UNIT_SUFFIXES or not other_stem:
            continue
        if other_stem == key:
            return f"; a number carries its unit in the key: write {other}, in {UNIT_SUFFIXES[unit]}"
        if other_stem == stem and suffix in UNIT_SUFFIXES:
            return f"; the unit is wrong: write {other}, in {UNIT_SUFFIXES[unit]}"
    return did_you_mean(key, known)


def key_names(model: type[Table]) -> list[str]:
    """The keys of a table, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _known_beside(keys: tuple[str | int, ...]) -> list[str]:
    model = _table_around(keys)
    return [*TABLES, "extends"] if model is None else key_names(model)


def _table_around(keys: tuple[str | int, ...]) -> type[Table] | None:
    """The table a key stands in; None for the top of the file."""
    if len(keys) == 1:
        return None
    model = TABLES[str(keys[0])]
    for key in keys[2:-1] if keys[0] in ("instrument", "bus") else ():
        model = SUB_TABLES.get(str(key), model)
    return model


def _meaning(keys: tuple[str | int, ...]) -> str:
    """What a missing key is for."""
    model = _table_around(keys)
    fields = {} if model is None else {field.alias or name: field for name, field in model.model_fields.items()}
    return str(fields[str(keys[-1])].description)
