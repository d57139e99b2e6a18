"""The numbers of the engine controller's FPGA: every level is the code at which the controller's logic decides."""

from __future__ import annotations

import tomllib

import pytest
from engine_world import LAUNCHER

from hil.can.database import Database
from hil.errors import ConfigError
from hil_launcher.models.engine import reports
from hil_launcher.models.engine.as_built import EngineAsBuilt
from hil_launcher.models.engine.redlines import redlines
from hil_launcher.models.engine.rtl_parameters import CODES, LSB_V, parameters
from hil_launcher.models.engine.states import Cause, Quantity, State

FILES = {
    "as built": LAUNCHER / "as_built" / "engine.toml",
    "variant": LAUNCHER.parents[1] / "tests" / "launcher" / "blocks" / "engine_variant.toml",
}
HALF_CODES = range(2 * CODES)


def built(file: str = "as built", **changes: object) -> EngineAsBuilt:
    tree = tomllib.loads(FILES[file].read_text())
    for key, value in changes.items():
        table, _, name = key.rpartition("__")
        (tree[table] if table else tree)[name] = value
    return EngineAsBuilt.model_validate(tree)


@pytest.fixture(params=FILES)
def controller(request) -> EngineAsBuilt:
    return built(request.param)


@pytest.fixture(scope="module")
def database() -> Database:
    return Database.load(LAUNCHER / "launcher.dbc")


def value_of(controller: EngineAsBuilt, quantity: Quantity, half_code: int) -> float:
    scale = controller.scale
    per_v = {
        Quantity.PC: scale.pc_mpa_per_v,
        Quantity.TURBINE_TEMPERATURE: scale.turbine_temperature_k_per_v,
        Quantity.PUMP_SPEED: scale.pump_speed_rpm_per_v,
    }
    return (half_code * LSB_V / 2 - scale.zero_v) * per_v[quantity]


# -- levels -----------------------------------------------------------------------------------------------------


def test_every_vote_is_beyond_a_redline_for_the_fpga_if_it_is_for_the_logic(controller):
    numbers = parameters(controller)
    for redline in redlines(controller.redline):
        level = int(numbers[f"{redline.cause}_HALF_CODES"])
        for half in HALF_CODES:
            beyond = half >= level if redline.above else half < level
            assert beyond == redline.passed(value_of(controller, redline.quantity, half)), (redline, half)


def test_reasonable_codes_are_those_between_the_reasonable_voltages(controller):
    numbers, voting = parameters(controller), controller.voting
    for code in range(CODES):
        reasonable = int(numbers["REASONABLE_FROM_CODE"]) <= code < int(numbers["REASONABLE_BELOW_CODE"])
        assert reasonable == (voting.lowest_v <= code * LSB_V <= voting.highest_v), code


def test_far_is_what_is_more_than_the_band_away(controller):
    numbers, band_v = parameters(controller), controller.voting.band_v
    for half in HALF_CODES:
        assert (half > int(numbers["BAND_HALF_CODES"])) == (half * LSB_V / 2 > band_v)
        assert (half > int(numbers["PAIR_BAND_HALF_CODES"])) == (half * LSB_V / 2 > band_v / 2)


def test_open_and_closed_are_decided_at_the_codes_of_their_positions(controller):
    numbers, scale = parameters(controller), controller.scale
    for code in range(CODES):
        position = (code * LSB_V - scale.zero_v) / scale.position_span_v
        assert (code >= int(numbers["OPEN_FROM_CODE"])) == (position >= controller.position_open)
        assert (code < int(numbers["CLOSED_BELOW_CODE"])) == (position <= controller.position_closed)


def test_a_limit_no_code_reaches_is_beyond_all_of_them():
    assert parameters(built(redline__pump_speed_high_rpm=90_000.0))["PUMP_SPEED_HIGH_HALF_CODES"] == 2 * CODES


# -- telemetry --------------------------------------------------------------------------------------------------


def raw(numbers, name: str, half_code: int) -> int:
    """What engine_telemetry.sv makes of a value, in integers."""
    gain, bias = (int(str(numbers[f"{name}_{what}"]).removeprefix("48'h"), 16) for what in ("GAIN", "BIAS"))
    total = half_code * gain + (bias - (1 << 48) if bias >> 47 else bias)
    if total < 0:
        return 0
    whole = total >> 24
    if whole > int(numbers[f"{name}_MAX"]):
        return int(numbers[f"{name}_MAX"])
    return whole & ~1 if total & 0xFFFFFF == 0 else whole


@pytest.mark.parametrize(
    ("name", "quantity", "most", "step"),
    [
        ("PC", Quantity.PC, reports.PC_MAX_MPA, 0.005),
        ("TURBINE_TEMPERATURE", Quantity.TURBINE_TEMPERATURE, reports.TEMPERATURE_MAX_K, 0.05),
        ("PUMP_SPEED", Quantity.PUMP_SPEED, reports.SPEED_MAX_RPM, 1.0),
    ],
)
def test_telemetry_is_scaled_as_the_database_scales_it(name, quantity, most, step):
    controller = built()
    numbers = parameters(controller)
    for half in HALF_CODES:
        value = min(max(value_of(controller, quantity, half), 0.0), most)
        assert raw(numbers, name, half) == round(value / step), half


# -- messages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 11))
def test_identifiers_of_each_engine_are_those_of_the_database(database, number):
    numbers, place = parameters(built()), number - 1
    command = database.message(f"ENG{number}_COMMAND")
    status, sensors = (database.message(f"ENG{number}_{name}") for name in ("STATUS", "SENSORS"))
    assert command.frame_id == int(numbers["COMMAND_ID"]) + place
    assert status.frame_id == int(numbers["STATUS_ID"]) + 2 * place
    assert sensors.frame_id == status.frame_id + 1
    data_ids = [database.receiver(each.name).protection.data_id for each in (command, status, sensors)]
    first = [int(numbers["COMMAND_DATA_ID"]), int(numbers["STATUS_DATA_ID"]), int(numbers["STATUS_DATA_ID"]) + 1]
    assert data_ids == [each + 0x100 * place for each in first]


def test_heartbeat_is_that_of_the_database(database):
    numbers = parameters(built())
    assert database.message("FC_HEARTBEAT").frame_id == numbers["HEARTBEAT_ID"]
    assert database.receiver("FC_HEARTBEAT").protection.data_id == numbers["HEARTBEAT_DATA_ID"]


def test_cause_codes_stand_in_the_order_of_the_causes(controller):
    codes = int(str(parameters(controller)["CAUSE_CODES"]).removeprefix("48'h"), 16)
    assert [codes >> 4 * place & 15 for place in range(len(Cause))] == [
        controller.cause_codes[cause] for cause in Cause
    ]


def test_armed_states_are_bits_by_their_number_on_the_bus():
    numbers = parameters(built())
    assert list(State).index(State.MAINSTAGE) == 4
    assert (numbers["PC_LOW_ARMED"], numbers["PC_HIGH_ARMED"]) == (1 << 4, 1 << 3 | 1 << 4)
    assert numbers["PUMP_SPEED_HIGH_ARMED"] == 1 << 2 | 1 << 3 | 1 << 4


# -- times ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("main_ox_on_ms", "cycle"), [(200.0, 20), (200.1, 21), (195.0, 20), (0.0, 0)])
def test_a_step_falls_into_the_first_major_cycle_in_which_its_time_has_come(main_ox_on_ms, cycle):
    assert parameters(built(start__main_ox_on_ms=main_ox_on_ms))["MAIN_OX_ON_CYCLE"] == cycle


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"heartbeat__timeout_ms": 204.0}, r"heartbeat.timeout_ms = 204.0 .* nearest that fits is 200.0"),
        ({"heartbeat__grace_ms": 2006.0}, r"heartbeat.grace_ms = 2006.0 .* nearest that fits is 2010.0"),
        ({"heartbeat__grace_ms": 60_000.0}, r"= 6020; the FPGA can have 0 to 4094"),
        ({"cycle_ms": 10.00001}, r"cycle_ms = 10.00001 is no whole number of 125 ns clocks; .* 10.0"),
        ({"voting__disqualify_cycles": 16}, r"disqualify_cycles = 16; the FPGA can have 1 to 15"),
        ({"redline__cycles": 0}, r"redline.cycles = 0; the FPGA can have 1 to 15"),
        ({"status_cycles": 0}, r"status_cycles = 0; the FPGA can have 1 to 255"),
        ({"start__mainstage_ms": 900_000.0}, r"MAINSTAGE_CYCLE .* the FPGA can have 0 to 65534"),
        ({"cause_codes__FTS": 16}, r"cause_codes.FTS = 16; the FPGA can have 0 to 15"),
    ],
)
def test_what_the_fpga_cannot_have_is_refused_with_what_it_can(changes, told):
    with pytest.raises(ConfigError, match=told):
        parameters(built(**changes))
