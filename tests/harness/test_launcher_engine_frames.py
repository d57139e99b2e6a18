"""The engine's messages: golden frames typed byte by byte from the ICD table, never taken from a run."""

from __future__ import annotations

import pytest
from engine_world import LAUNCHER

from hil.can.database import Database
from hil.can.frame import Frame


@pytest.fixture(scope="module")
def database() -> Database:
    return Database.load(LAUNCHER / "launcher.dbc")


@pytest.mark.parametrize(
    ("message", "signals", "identifier", "data"),
    [
        ("FC_HEARTBEAT", {"PHASE": "FLIGHT"}, 0x080, "010034"),
        ("ENG1_COMMAND", {"COMMAND": "START"}, 0x110, "010064"),
        ("ENG1_COMMAND", {"COMMAND": "SHUTDOWN"}, 0x110, "0200b0"),
        ("ENG1_COMMAND", {"COMMAND": "RESET"}, 0x110, "0300fc"),
    ],
)
def test_first_frame_of_a_command_is_the_one_of_the_table(database, message, signals, identifier, data):
    frame = database.sender(message).frame(signals)
    assert (frame.arbitration_id, frame.data.hex()) == (identifier, data)


def test_status_is_read_as_the_table_says(database):
    # state 4, cause 0; pc 2000 = 0x7D0 in bits 8 to 19; ox 100 from 20, fuel 50 from 27; pc_bad 1 from 34; igniter 45
    raw = 0x4 | 0x7D0 << 8 | 100 << 20 | 50 << 27 | 0b001 << 34 | 1 << 45
    values = database.decode(Frame(0x210, raw.to_bytes(8, "little")))
    assert values["STATE"] == "MAINSTAGE"
    assert values["ABORT_CAUSE"] == "NONE"
    assert values["PC"] == pytest.approx(10.0)
    assert (values["OX_POSITION"], values["FUEL_POSITION"]) == (100, 50)
    assert (values["PC_BAD"], values["PUMP_SPEED_BAD"], values["IGNITER"]) == (1, 0, 1)
