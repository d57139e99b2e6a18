"""Rig files in layers: a base, what extends it, and what the command line changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import ConfigError
from hil.rig.loader import load_rig

BASE = """\
[bus.bus_a]
bitrate_bps = 500000

[instrument.siggen]
driver = "drivers:Siggen"
limits = { level_dbm = 10.0 }

[dut.fts_a]
client = "clients:Fts"
bus = ["bus_a"]
node = "FTS_A"

[net.uplink]
pins = ["siggen.rf", "fts_a.rf"]
loss_db."fts_a.rf" = 3.0
"""

SIM = """\
extends = "launcher.toml"

[rig]
name = "sim"

[bus.bus_a]
interface = "hil"
channel = "bus_a"

[instrument.siggen]
model = "twins:Siggen"

[dut.fts_a]
model = "models:Receiver"
as_built = "as_built/fts_a.toml"
"""

AS_BUILT = """\
arm_threshold_dbm = -116.0
latched = true
name = "first unit"

[supply]
on_v = 18.0
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a base, an overlay and an as-built file."""
    monkeypatch.chdir(tmp_path)
    Path("as_built").mkdir()
    Path("as_built/fts_a.toml").write_text(AS_BUILT)
    Path("launcher.toml").write_text(BASE)
    Path("sim.toml").write_text(SIM)


def refusal(*sets, sim=SIM):
    Path("sim.toml").write_text(sim)
    with pytest.raises(ConfigError) as refused:
        load_rig("sim.toml", sets)
    return str(refused.value)


def test_an_overlay_fills_the_transport_of_what_the_base_names():
    rig = load_rig("sim.toml")

    assert rig.bus["bus_a"].bitrate_bps == 500_000
    assert rig.bus["bus_a"].channel == "bus_a"
    assert rig.net["uplink"].loss_db == {"fts_a.rf": 3.0}
    assert [source.name for source in rig.sources] == ["launcher.toml", "sim.toml", "as_built/fts_a.toml"]


def test_every_key_knows_the_file_and_line_it_was_given_on():
    rig = load_rig("sim.toml")

    assert str(rig.where("bus", "bus_a", "bitrate_bps")) == "launcher.toml:2"
    assert str(rig.where("bus", "bus_a", "channel")) == "sim.toml:8"
    assert str(rig.where("dut", "fts_a", "serial")) == "sim.toml:13"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[bus.bus_a]\nbitrate_bps = 250000", "7: bus.bus_a.bitrate_bps belongs in launcher.toml"),
        ('[net.uplink]\npins = ["siggen.rf", "fts_a.rf"]', "7: net.uplink.pins belongs in launcher.toml"),
        ('[dut.fts_a]\nnode = "FTS_B"', "7: dut.fts_a.node belongs in launcher.toml"),
        ('[dut.fts_b]\nmodel = "m:F"', "6: dut.fts_b is not in launcher.toml, where names stand, once"),
    ],
)  # fmt: skip
def test_an_overlay_that_changes_more_than_the_transport_is_refused(table, message):
    assert f"sim.toml:{message}" in refusal(sim=SIM[: SIM.index("[bus")] + table)


def test_a_transport_nobody_filled_is_missing_in_the_overlay():
    message = refusal(sim=SIM.replace('channel = "bus_a"\n', ""))

    assert message.startswith("sim.toml:6: bus.bus_a.channel is missing")
    assert message.endswith("add it to [bus.bus_a] in sim.toml")


def test_a_base_alone_is_no_rig():
    with pytest.raises(ConfigError, match=r'^launcher\.toml: there is no \[rig\] table: .* extends = "launcher.toml"$'):
        load_rig("launcher.toml")


def test_a_base_that_is_not_there_is_refused_on_the_line_that_names_it():
    message = refusal(sim=SIM.replace("launcher.toml", "rocket.toml"))

    assert message == (
        "sim.toml:1: extends: there is no file rocket.toml; the name is relative to this file; "
        "did you mean launcher.toml?"
    )


def test_files_that_extend_each_other_are_refused():
    Path("launcher.toml").write_text('extends = "sim.toml"\n' + BASE)

    assert "extends leads back to this file" in refusal()


def test_a_later_realisation_takes_the_place_of_an_earlier_one():
    Path("rtl.toml").write_text('extends = "sim.toml"\n[rig]\nname = "rtl"\n[dut.fts_a]\nrtl = "as_built/fts_a.toml"\n')

    rig = load_rig("rtl.toml")

    assert (rig.rig.name, rig.dut["fts_a"].model) == ("rtl", None)
    assert rig.evidence_class == "rtl"


def test_tables_inside_a_table_are_joined_key_by_key():
    Path("sim.toml").write_text(SIM + "[instrument.siggen.limits]\nmin_level_dbm = -130.0\n")

    assert load_rig("sim.toml").instrument["siggen"].limits == {"level_dbm": 10.0, "min_level_dbm": -130.0}


# -- from the command line --------------------------------------------------------------------------------


def test_without_set_a_run_is_no_development_run():
    assert not load_rig("sim.toml").development


def test_what_is_set_is_recorded_and_makes_the_run_a_development_run():
    rig = load_rig("sim.toml", ["rig.seed=7"])

    assert rig.development
    assert rig.sets == ("rig.seed=7",)
    assert str(rig.where("rig", "seed")) == "--set rig.seed=7"


def test_a_set_value_may_be_text_without_quotes():
    assert load_rig("sim.toml", ["rig.pace=wall"]).rig.pace == "wall"


@pytest.mark.parametrize("pin", ['"fts_a.rf"', "fts_a.rf"])
def test_a_path_loss_is_set_with_or_without_quotes_around_the_pin(pin):
    assert load_rig("sim.toml", [f"net.uplink.loss_db.{pin}=5"]).net["uplink"].loss_db == {"fts_a.rf": 5.0}


def test_one_as_built_number_is_set_and_the_others_stay():
    as_built = load_rig("sim.toml", ["dut.fts_a.as_built.supply.on_v=24"]).as_built["fts_a"]

    assert as_built["supply"] == {"on_v": 24}
    assert as_built["arm_threshold_dbm"] == -116.0


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60))
def test_any_number_that_is_set_arrives_as_it_is(number):
    rig = load_rig("sim.toml", [f"dut.fts_a.as_built.arm_threshold_dbm={number!r}"])

    assert rig.as_built["fts_a"]["arm_threshold_dbm"] == number


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rig.pase=wall", "rig.pase is not known; did you mean pace?"),
        ("rig", "write KEY=VALUE, for example"),
        ("rig..pace=wall", "is not a dotted key"),
        ("rig=3", "rig is a table; set one of its keys"),
        ("bus.bus_a=3", "bus.bus_a is a table; set one of its keys"),
        ("extends=other.toml", "extends is not known; known: "),
        ("bus.bus_b.channel=can0", "bus.bus_b is not a name of this rig; did you mean bus_a?"),
        ("bus.bus_a.bitrate_bps=fast", "bus.bus_a.bitrate_bps = 'fast': it takes a plain number in bit/s"),
        ('net.uplink.loss_db."fts_a.rf"=5 V', "net.uplink.loss_db.\"fts_a.rf\" = '5 V': it takes a plain number in dB"),
        ("dut.fts_a.as_built.arm_treshold_dbm=1", "as_built/fts_a.toml: arm_treshold_dbm is not known; did you"),
        ("dut.fts_a.as_built.supply.off_v=1", "as_built/fts_a.toml: supply.off_v is not known; did you mean on_v?"),
        ("dut.fts_a.as_built.latched.x=1", "latched is True, not a table; it has no x"),
        ("dut.fts_a.as_built.latched=1", "latched is True; 1 is not of that kind"),
        ("dut.fts_a.as_built.arm_threshold_dbm=low", "arm_threshold_dbm is -116.0; 'low' is not of that kind"),
    ],
)  # fmt: skip
def test_a_setting_with_a_mistake_is_refused_and_named(setting, message):
    told = refusal(setting)

    assert told.startswith(f"--set {setting}: ")
    assert message in told


def test_an_article_without_an_as_built_file_has_nothing_to_change():
    message = refusal("dut.fts_a.as_built.x=1", sim=SIM.replace("as_built =", "# as_built ="))

    assert message.endswith("dut.fts_a has no as_built file; there is nothing to change in it")
