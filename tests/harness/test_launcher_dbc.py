"""The launcher's message database against the interface document: identifiers, periods, bits, signs."""

from __future__ import annotations

import pytest
from unit_world import LAUNCHER

from hil.can.database import Database
from hil.units import ms

# message: identifier, length [byte], period [ms]; typed from docs/icd.md
MESSAGES = {
    "FC_HEARTBEAT": (0x080, 3, 50),
    "GSE_COMMAND": (0x100, 3, None),
    "FC_STATUS": (0x140, 7, 100),
    "FC_ATTITUDE": (0x141, 6, 50),
    "FC_GUIDANCE": (0x142, 6, 100),
    "FC_NAV": (0x143, 6, 100),
    "FTS_A_STATUS": (0x120, 8, 100),
    "FTS_B_STATUS": (0x121, 8, 100),
    **{f"TVC_COMMAND_{k}": (0x08F + k, 8 if k < 5 else 5, 10) for k in range(1, 6)},
    **{f"IMU{n}_RATE": (0x09E + 2 * n, 8, 10) for n in (1, 2, 3)},
    **{f"IMU{n}_FORCE": (0x09F + 2 * n, 8, 10) for n in (1, 2, 3)},
    **{f"GNSS{n}_POSITION": (0x17C + 4 * n, 8, 100) for n in (1, 2)},
    **{f"GNSS{n}_VELOCITY": (0x17D + 4 * n, 8, 100) for n in (1, 2)},
    **{f"GNSS{n}_STATUS": (0x17E + 4 * n, 6, 100) for n in (1, 2)},
    **{f"GIM{n}_STATUS": (0x130 + n, 5, 20) for n in range(1, 10)},
    **{f"ENG{n}_COMMAND": (0x10F + n, 3, None) for n in range(1, 11)},
    **{f"ENG{n}_STATUS": (0x20E + 2 * n, 8, 20) for n in range(1, 11)},
    **{f"ENG{n}_SENSORS": (0x20F + 2 * n, 6, 100) for n in range(1, 11)},
}
# values, and the bytes they must give, in hexadecimal from bit 0 up; counter and CRC are not looked at
GOLDEN = [
    ("TVC_COMMAND_1", {"Y_1": 1.0, "Z_1": -1.0, "Y_2": 2.0, "Z_2": -2.0}, "fa60f0f4c1e0"),
    ("TVC_COMMAND_5", {"Y_9": -8.192, "Z_9": 8.188}, "00f87f"),
    ("IMU2_RATE", {"X": 1.0, "Y": -1.0, "Z": 0.005, "VALID": 1}, "c80038ff0100"),
    ("IMU3_FORCE", {"X": 9.805, "Y": 0.0, "Z": -9.805, "VALID": 0}, "a907000057f8"),
    ("GIM4_STATUS", {"Y": 0.4, "Z": -0.4, "STATE": "FROZEN", "BUS": "B"}, "64c0f9"),
    ("FC_ATTITUDE", {"ERROR_PITCH": 10.0, "ERROR_YAW": -10.0, "ERROR_ROLL": 0.1}, "64c0f901"),
    ("FC_GUIDANCE", {"TILT": 12.0, "AZIMUTH": 338.6, "ROLL": -90.0}, "f0a0d37c"),
    ("GNSS1_VELOCITY", {"NORTH": 0.25, "EAST": -0.25, "DOWN": -100.0}, "0100ffff70fe"),
    ("GNSS2_STATUS", {"HEIGHT": 0.0, "FIX": "FIX_3D", "SATELLITES": 11}, "1027002e"),
    ("GSE_COMMAND", {"COMMAND": "COUNT"}, "01"),
]


@pytest.fixture(scope="module")
def database() -> Database:
    return Database.load(LAUNCHER / "launcher.dbc")


def test_the_database_has_the_messages_of_the_interface_document_and_no_others(database):
    found = {
        name: (database.message(name).frame_id, database.message(name).length, database.message(name).cycle_time)
        for name in database.names
    }
    assert found == {name: (*row[:2], row[2] or None) for name, row in MESSAGES.items()}


@pytest.mark.parametrize(("name", "signals", "expected"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_values_stand_where_the_interface_document_puts_them(database, name, signals, expected):
    assert database.encode(name, signals).data.hex().startswith(expected)


def test_every_message_counts_and_is_sealed_with_an_identifier_of_its_own(database):
    protections = [database.protection(name) for name in database.names]
    assert all(entry.counter is not None and entry.crc_byte == entry.length - 1 for entry in protections)
    assert len({entry.data_id for entry in protections}) == len(protections)


@pytest.mark.parametrize("end", ["minimum", "maximum"])
def test_both_ends_of_every_field_can_be_sent(database, end):
    for name in database.names:
        signals = {
            signal.name: getattr(signal, end)
            for signal in database.message(name).signals
            if signal.name not in ("COUNTER", "CRC")
        }
        sent = database.decode(database.encode(name, signals))
        scales = {signal.name: signal.scale for signal in database.message(name).signals}
        plain = {key: value for key, value in signals.items() if not isinstance(sent[key], str)}
        assert plain == pytest.approx({key: sent[key] for key in plain}, abs=max(scales[key] for key in signals))


def test_every_engine_has_the_layout_of_the_first(database):
    def layout(name: str) -> list[tuple[object, ...]]:
        return [
            (signal.name, signal.start, signal.length, signal.scale, signal.unit, str(signal.choices))
            for signal in database.message(name).signals
        ]

    for engine in range(2, 11):
        for message in ("COMMAND", "STATUS", "SENSORS"):
            assert layout(f"ENG{engine}_{message}") == layout(f"ENG1_{message}")


def test_commands_come_at_most_every_100_ms(database):
    on_demand = [name for name in database.names if database.cycle_ns(name) is None]
    least = {name: database.message(name).dbc.attributes["GenMsgDelayTime"].value * ms for name in on_demand}
    assert set(least.values()) == {100 * ms}
