"""Rig files: what a good one becomes, and what every mistake in one is answered with."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import ConfigError
from hil.rig.loader import load_rig
from hil.units import ms

RIG = """\
[rig]
name = "small"

[bus.bus_a]
interface = "hil"
channel = "bus_a"
bitrate_bps = 500000
database = "launcher.dbc"

[instrument.psu]
driver = "hil.io.card:IoCard"
model = "hil.io.sim_card:SimIoCard"

[dut.fts_a]
client = "clients:Fts"
bus = ["bus_a"]
node = "FTS_A"
model = "models:Receiver"
as_built = "fts_a.toml"

[net.power_a]
pins = ["psu.out1", "fts_a.power"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a DBC and an as-built file, which messages name relative to it."""
    monkeypatch.chdir(tmp_path)
    Path("launcher.dbc").write_text("")
    Path("fts_a.toml").write_text("arm_threshold_dbm = -116.0\nsupply = { on_v = 18.0 }\n")


def load(text, *sets):
    Path("small.toml").write_text(text)
    return load_rig("small.toml", sets)


def refusal(text, *sets):
    with pytest.raises(ConfigError) as refused:
        load(text, *sets)
    return str(refused.value)


def test_a_good_file_becomes_tables_with_units_and_defaults():
    rig = load(RIG)

    assert rig.bus["bus_a"].bitrate_bps == 500_000
    assert rig.rig.is_virtual
    assert rig.rig.max_lateness_ns == 1 * ms
    assert rig.dut["fts_a"].bus == ["bus_a"]
    assert rig.as_built["fts_a"]["arm_threshold_dbm"] == -116.0
    assert rig.net["power_a"].pins == ["psu.out1", "fts_a.power"]


def test_every_file_the_rig_is_made_of_is_named_with_its_hash():
    rig = load(RIG)

    assert [source.name for source in rig.sources] == ["small.toml", "launcher.dbc", "fts_a.toml"]
    assert rig.sources[1].sha256 == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of nothing
    )


def test_paths_are_relative_to_the_file_they_stand_in():
    Path("rigs").mkdir()
    Path("rigs/deep.toml").write_text(
        RIG.replace('"launcher.dbc"', '"../launcher.dbc"').replace('"fts_a.toml', '"../fts_a.toml')
    )

    assert load_rig("rigs/deep.toml").bus["bus_a"].database == Path("launcher.dbc")


def test_a_misspelt_key_is_refused_with_file_line_and_the_nearest_known_one():
    assert refusal(RIG.replace("bitrate_bps", "bitrat")) == (
        "small.toml:7: bus.bus_a.bitrat is not known; did you mean bitrate_bps?"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bitrate_bps", "bitrate_kbps", "7: bus.bus_a.bitrate_kbps is not known; the unit is wrong: write bitrate_bps"),
        ("bitrate_bps", "bitrate", "7: bus.bus_a.bitrate is not known; a number carries its unit in the key"),
        ("500000", '"500 kbit/s"', "7: bus.bus_a.bitrate_bps = '500 kbit/s': it takes a plain number in bit/s"),
        ("500000", "5", "7: bus.bus_a.bitrate_bps = 5: it should be greater than or equal to 10000 in bit/s"),
        ('"small"', '"A Rig"', "2: rig.name = 'A Rig': a name is a lower-case letter followed by"),
        ('"small"', '"small"\npace = "fast"', "3: rig.pace = 'fast': the pace is \"virtual\", \"wall\", or a number"),
        ('"small"', '"small"\npace = -1', "3: rig.pace = -1: a pace factor is above 0"),
        ('"bus_a"\nbit', "0\nbit", "6: bus.bus_a.channel = 0: it takes text, in quotes"),
        ('channel = "bus_a"\n', "", "4: bus.bus_a.channel is missing (channel of that interface"),
        ('"hil.io.card:IoCard"', '"IoCard"', "11: instrument.psu.driver = 'IoCard': a class is named \"module:Class\""),
        ('"psu.out1"', '"psu"', '22: net.power_a.pins[0] = \'psu\': a pin is written "node.port"'),
        (', "fts_a.power"]', "]", "22: net.power_a.pins = ['psu.out1']: it needs at least 2 entries"),
        ("[net.power_a]", "[nett.power_a]", "21: nett is not known; did you mean net?"),
        ("[rig]", "[rig", "1: is not TOML"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_line_key_and_remedy(old, new, message):
    assert f"small.toml:{message}" in refusal(RIG.replace(old, new, 1))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('loss_db = "2 V"', "23: net.power_a.loss_db = '2 V': it is a table"),
        ('loss_db."psu.out1" = "2 V"', "23: net.power_a.loss_db.\"psu.out1\" = '2 V': it takes a plain number in dB"),
        ('ohms."psu.out1" = true', '23: net.power_a.ohms."psu.out1" = True: it takes a plain number in ohm'),
        ('ohms."psu.out1" = -1.0', '23: net.power_a.ohms."psu.out1" = -1.0: it should be greater than or equal to 0'),
        ('ohms."psu.out2" = 1.0', '23: net.power_a.ohms."psu.out2": this pin is not on the net; did you mean psu.out1'),
    ],
)
def test_a_wrong_number_on_a_net_is_refused_by_its_unit(line, message):
    assert f"small.toml:{message}" in refusal(RIG + line)


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_its_lines():
    lines = refusal(RIG.replace("bitrate_bps", "bitrat").replace("client", "clinet").replace("pins", "pin")).split("\n")

    assert [line.partition(": ")[0] for line in lines] == ["small.toml:7", "small.toml:15", "small.toml:22"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('bus = ["bus_a"]', 'bus = ["bus_b"]', "16: dut.fts_a.bus: there is no bus bus_b; did you mean bus_a?"),
        ('node = "FTS_A"\n', "", "16: dut.fts_a.node is missing: it is on a bus"),
        ("fts_a.power", "fts_b.power", "22: net.power_a.pins: fts_b.power: there is no instrument or dut fts_b; did"),
        ("fts_a.power", "psu.out1", "22: net.power_a.pins: psu.out1 is on net power_a already"),
        ("launcher.dbc", "rocket.dbc", "8: bus.bus_a.database: there is no file rocket.dbc; a path is relative to the"),
        ("fts_a.toml", "fts_b.toml", "19: dut.fts_a.as_built: there is no file fts_b.toml"),
        ("[instrument.psu]", "[instrument.fts_a]", "14: dut.fts_a: instrument.fts_a has this name already"),
        ("[instrument.psu]", "[instrument.plant]", "10: instrument.plant: the name plant means something else"),
        ('"models:Receiver"', '"models:Receiver"\nserial = "7"', "give one of model (simulated), rtl"),
        ('model = "models:Receiver"', 'serial = "7"', "as_built describes a simulated article; the real one is what"),
        ('model = "hil.io.sim_card:SimIoCard"', "", "give one of resource (a real instrument) or model"),
    ],
)
def test_a_contradiction_between_tables_is_refused_where_it_stands(old, new, message):
    assert message in refusal(RIG.replace(old, new, 1))


def test_a_pin_is_on_one_net_only():
    text = RIG + '[net.spare]\npins = ["psu.out2", "fts_a.power"]\n'

    assert "small.toml:24: net.spare.pins: fts_a.power is on net power_a already; a pin is on one net" in refusal(text)


def test_two_buses_need_two_channels():
    text = RIG + '[bus.bus_b]\ninterface = "hil"\nchannel = "bus_a"\nbitrate_bps = 500000\n'

    assert "small.toml:25: bus.bus_b.channel = 'bus_a' is the channel of bus.bus_a already" in refusal(text)


def test_two_articles_on_a_bus_need_two_nodes():
    text = RIG + '[dut.fts_b]\nbus = ["bus_a"]\nnode = "FTS_A"\nmodel = "models:Receiver"\n'

    assert "small.toml:25: dut.fts_b.node = 'FTS_A' is dut.fts_a on bus bus_a already" in refusal(text)


def test_a_file_that_is_not_there_is_refused_with_the_nearest_one():
    Path("bench.toml").write_text("")

    with pytest.raises(ConfigError, match=r"bnech\.toml: there is no such rig file; did you mean bench\.toml\?"):
        load_rig("bnech.toml")


# -- calibrated paths and instruments ---------------------------------------------------------------------


PATH = """
[path.uplink_a]
from = "psu.out1"
to = "fts_a.power"
loss_db = 6.2
uncertainty_db = 0.3
date = 2026-03-02
"""


def test_a_calibrated_path_has_its_own_loss_date_and_uncertainty():
    path = load(RIG + PATH).path["uplink_a"]

    assert (path.from_, path.to, path.loss_db, path.uncertainty_db) == ("psu.out1", "fts_a.power", 6.2, 0.3)
    assert path.date == date(2026, 3, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2026-03-02", '"2026-03-02"', "path.uplink_a.date = '2026-03-02': it takes a TOML date, without quotes"),
        ("uncertainty_db", "uncertanty_db", "path.uplink_a.uncertanty_db is not known; did you mean uncertainty_db?"),
        ("from =", "form =", "path.uplink_a.form is not known; did you mean from?"),
        ("fts_a.power", "fts_a.powr", "path.uplink_a.to = 'fts_a.powr' is on no net; did you mean fts_a.power?"),
        ("6.2", "nan", "path.uplink_a.loss_db = nan: it should be"),
    ],
)
def test_a_calibrated_path_with_a_mistake_is_refused(old, new, message):
    assert message in refusal(RIG + PATH.replace(old, new))


HAZARD = """model = "hil.io.sim_card:SimIoCard"
hazard = 1
safe = [{ write = "OUTP OFF", query = "OUTP?", expect = "0" }]
watchdog = { enable = "OUTP:PROT:WDOG ON", timeout_ms = 5000 }
limits = { voltage_v = 36.0 }
"""
_MODEL = 'model = "hil.io.sim_card:SimIoCard"\n'


def test_a_hazardous_instrument_declares_how_it_is_made_safe():
    psu = load(RIG.replace(_MODEL, HAZARD)).instrument["psu"]

    assert psu.safe[0].expect == "0"
    assert psu.watchdog is not None
    assert psu.limits == {"voltage_v": 36.0}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (', query = "OUTP?", expect = "0"', "", "hazard = 1 needs a safe sequence whose steps read back"),
        (', expect = "0"', "", "a safe step that reads back needs query, and expect or below_v"),
        ('[{ write = "OUTP OFF", query = "OUTP?", expect = "0" }]', '["OUTP OFF"]', "whose steps read back"),
        ("watchdog", "# watchdog", "hazard = 1 needs a watchdog or an interlock"),
        ("hazard = 1", "hazard = 3", "hazard = 3 needs both a watchdog and an interlock"),
        ("hazard = 1", "hazard = 4", "instrument.psu.hazard = 4: it should be less than or equal to 3"),
        ("voltage_v", "voltage", "instrument.psu.limits: voltage carries no unit; end the key in one"),
        ("timeout_ms", "timeout_s", "watchdog.timeout_s is not known; the unit is wrong: write timeout_ms, in ms"),
    ],
)
def test_a_hazard_without_its_guards_is_refused(old, new, message):
    assert message in refusal(RIG.replace(_MODEL, HAZARD.replace(old, new)))


@pytest.mark.parametrize("pace", ['"wall"', "10"])
def test_a_paced_rig_may_have_a_hazard_because_a_keeper_owns_it(pace):
    text = RIG.replace(_MODEL, HAZARD).replace('name = "small"', f'name = "small"\npace = {pace}')

    assert load(text).instrument["psu"].hazard == 1


@pytest.mark.parametrize("change", ["instrument.psu.hazard=0", 'instrument.psu.allow=["*RST"]', "safety.silence_s=900"])
def test_what_guards_real_hardware_is_not_changed_on_the_command_line(change):
    real = HAZARD.replace('model = "hil.io.sim_card:SimIoCard"', 'resource = "TCPIP0::h::1::SOCKET"')
    text = RIG.replace(_MODEL, real)

    paced = text.replace('name = "small"', 'name = "small"\npace = "wall"')
    assert "guards real hardware: it is changed in the rig file" in refusal(paced, change)
    assert load(text, change).development


def test_an_interlock_pin_is_on_a_net():
    guard = HAZARD.replace("watchdog", 'interlock = { pin = "psu.out9", level = "high" }\nwatchdog')

    assert "instrument.psu.interlock.pin = 'psu.out9' is on no net; did you mean psu.out1?" in refusal(
        RIG.replace(_MODEL, guard)
    )


# -- evidence class ---------------------------------------------------------------------------------------


REAL = (
    RIG.replace('model = "models:Receiver"\nas_built = "fts_a.toml"', 'serial = "0007"')
    .replace('"hil"', '"socketcan"')
    .replace(_MODEL, 'resource = "TCPIP0::10.0.0.5::5025::SOCKET"\n')
)


def test_a_rig_of_models_gives_simulated_evidence():
    assert load(RIG).evidence_class == "sim"


def test_a_rig_on_which_everything_is_real_gives_hardware_evidence():
    assert load(REAL).evidence_class == "hardware"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"socketcan"', '"virtual"'),
        ('resource = "TCPIP0::10.0.0.5::5025::SOCKET"', _MODEL),
        ("[net.power_a]", '[dut.b]\nclient = "c:B"\nmodel = "m:B"\n[net.power_a]'),
    ],
)
def test_one_simulated_part_takes_the_hardware_class_from_the_whole_rig(old, new):
    assert load(REAL.replace(old, new)).evidence_class == "sim"


def test_an_article_in_rtl_gives_rtl_evidence_and_says_so_itself():
    rig = load(RIG.replace('model = "models:Receiver"', 'rtl = "fts_a.toml"'))

    assert (rig.evidence_class, rig.dut["fts_a"].evidence_class) == ("rtl", "rtl")


# -- values from the command line -------------------------------------------------------------------------


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_a_value_that_is_set_is_the_value_that_counts(lateness_ms):
    rig = load(RIG, f"rig.max_lateness_ms={lateness_ms!r}")

    assert rig.rig.max_lateness_ms == lateness_ms
