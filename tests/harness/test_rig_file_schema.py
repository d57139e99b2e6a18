"""The JSON Schema of rig files and the reference in the documentation follow the models."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.rig.refusals import key_names
from hil.rig.schema import json_schema, key_table
from hil.rig.tables import ALTERNATIVES, OVERLAY_KEYS, PATH_KEYS, SUB_TABLES, TABLES

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- keys: printed by `hil rig schema --table` -->\n", "<!-- end of keys -->"


def test_the_schema_is_closed_at_every_table():
    schema = json_schema()

    assert schema["additionalProperties"] is False
    assert all(model["additionalProperties"] is False for model in schema["$defs"].values())


def test_the_schema_asks_of_one_layer_only_what_every_layer_has():
    schema = json_schema()

    assert "required" not in schema
    assert "required" not in schema["$defs"]["BusTable"]
    assert schema["$defs"]["Watchdog"]["required"] == ["enable", "timeout_ms"]


def test_the_schema_knows_every_key_with_a_description_and_what_a_file_extends():
    schema = json_schema()

    assert set(schema["properties"]) == {"extends", *TABLES}
    for model in (*TABLES.values(), *SUB_TABLES.values()):
        properties = schema["$defs"][model.__name__]["properties"]
        assert list(properties) == key_names(model)
        assert all(entry["description"] for entry in properties.values())


def test_a_safe_step_may_be_a_plain_command():
    items = json_schema()["$defs"]["InstrumentTable"]["properties"]["safe"]["items"]

    assert {"type": "string"} in items["anyOf"]


@pytest.mark.parametrize("keys", [OVERLAY_KEYS, PATH_KEYS, ALTERNATIVES])
def test_every_key_that_is_treated_specially_exists(keys):
    assert all(names <= set(key_names(TABLES[table])) | {"from_"} for table, names in keys.items())


def test_every_number_carries_a_unit_in_its_key_or_has_none():
    bare = {"seed", "hazard", "late_ticks_max", "run_late_ticks_max", "late_in_a_row_max", "realtime_priority"}
    bare |= {"request", "answer"}  # identifiers of CAN
    for model in (*TABLES.values(), *SUB_TABLES.values()):
        if "unit" in model.model_fields:
            continue  # its numbers are in the unit it names
        for name, field in model.model_fields.items():
            if str(field.annotation) in {"<class 'float'>", "<class 'int'>", "float | None"}:
                assert name in bare or name.rpartition("_")[2] in {"s", "ms", "bps", "m", "hz", "db", "deg", "v"}


def test_the_reference_in_the_documentation_is_the_one_the_models_print():
    text = (ROOT / "docs" / "rig-file.md").read_text()

    assert text.partition(BEGIN)[2].partition(END)[0].strip() == key_table().strip()
