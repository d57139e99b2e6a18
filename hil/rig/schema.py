"""The rig file for editors and for people: a JSON Schema, and the table of keys in the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hil.rig.tables import NAMED_TABLES, OVERLAY_KEYS, SUB_TABLES, TABLES, Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

    from hil.rig.values import Table

_LAYERED = frozenset(model.__name__ for model in TABLES.values()) | {"Tables"}
"""Models whose required keys may stand in another layer, so that a single file need not have them."""

Json = dict[str, object]


def json_schema() -> Json:
    """The JSON Schema (draft 2020-12) of one rig file, base or overlay, for editors.

    An editor sees one layer at a time: a key that the whole rig needs is not required of every file.
    """
    schema = cast("Json", Tables.model_json_schema(by_alias=True))
    definitions = cast("dict[str, Json]", schema["$defs"])
    for name, model in (*definitions.items(), ("Tables", schema)):
        if name in _LAYERED:
            model.pop("required", None)
    for table in ("InstrumentTable", "BusTable"):
        items = cast("dict[str, Json]", definitions[table]["properties"])["safe"]
        items["items"] = {"anyOf": [{"type": "string"}, items["items"]]}
    properties = cast("Json", schema["properties"])
    schema["properties"] = {
        "extends": {"type": "string", "description": "base file, relative to this one"},
        **properties,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "hil rig file",
        "description": "One layer of a rig: a base (names, nets, ICD) or a file that extends one.",
    }


def key_table() -> str:
    """Every key of a rig file as Markdown tables, one per table of the file; ``docs/rig-file.md`` holds them."""
    parts: list[str] = []
    for name, model in TABLES.items():
        title = f"[{name}.NAME]" if name in NAMED_TABLES else f"[{name}]"
        parts.append(_table(title, name, model))
        parts += [_table(f"[{name}.NAME.{key}]", "", sub) for key, sub in SUB_TABLES.items() if _home(key) == name]
    return "\n\n".join(parts) + "\n"


def _table(title: str, name: str, model: type[Table]) -> str:
    """One table; the column of what an overlay may fill is for the tables of the file, not for those inside."""
    columns = ["key", "kind", "default", "overlay", "meaning"] if name else ["key", "kind", "default", "meaning"]
    lines = [f"### `{title}`", "", _about(model), "", _row(columns), "|" + "---|" * len(columns)]
    return "\n".join([*lines, *_rows(name, model)])


def _home(key: str) -> str:
    """The table under which a table inside others is described, once."""
    return "instrument" if key in TABLES["instrument"].model_fields else "bus"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _about(model: type[Table]) -> str:
    text = (model.__doc__ or "").partition("\n")[0]
    text = text.partition("``: ")[2] or text
    return text[0].upper() + text[1:]


def _rows(table: str, model: type[Table]) -> Iterator[str]:
    schema = cast("Json", model.model_json_schema(by_alias=True))
    properties = cast("dict[str, Json]", schema["properties"])
    for name, field in model.model_fields.items():
        key = field.alias or name
        cells = [f"`{key}`", _kind(properties[key]), _default(field)]
        cells += [("yes" if key in OVERLAY_KEYS[table] else "")] if table else []
        yield _row([*cells, str(field.description)])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: object = field.get_default(call_default_factory=True)
    if value is None or value in ([], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kind(schema: Json) -> str:
    """The kind of a value and its bounds, from its JSON Schema."""
    if "anyOf" in schema:
        kinds = [_kind(option) for option in cast("list[Json]", schema["anyOf"]) if option != {"type": "null"}]
        return " or ".join(kinds)
    if "enum" in schema:
        return ", ".join(f"`{option}`" for option in cast("list[str]", schema["enum"]))
    if "$ref" in schema:
        return "table"
    kind = str(schema.get("format", schema.get("type", "")))
    if kind == "object":
        return "table of numbers"
    if kind == "array":
        items = cast("Json", schema["items"])
        return f"list of {'steps' if 'SafeStep' in str(items.get('$ref')) else _kind(items) + 's'}"
    return kind + _bounds(schema)


def _bounds(schema: Json) -> str:
    lower, above, upper = schema.get("minimum"), schema.get("exclusiveMinimum"), schema.get("maximum")
    if lower is not None and upper is not None:
        return f", {lower:g} to {upper:g}" if isinstance(lower, float) else f", {lower} to {upper}"
    if lower is not None:
        return f", {lower} or more"
    return "" if above is None else f", above {above}"
