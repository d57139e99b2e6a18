"""What ``hil rig check`` finds beyond the file: classes, ports and as-built data; and the command itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hil.article import Article
from hil.errors import ConfigError
from hil.ports import DigitalOut, PowerPin
from hil.rig.checks import resolve
from hil.rig.commands import rig as command
from hil.rig.loader import load_rig
from hil.rig.preflight import check_rig
from hil.units import ms

RIGS = Path(__file__).parents[2] / "rigs"
RIG = """\
[rig]
name = "small"

[bus.bus_a]
interface = "hil"
channel = "bus_a"
bitrate_bps = 500000
database = "lamp.dbc"

[instrument.stand]
driver = "hil.io.card:IoCard"
model = "hil.io.sim_card:SimIoCard"

[dut.lamp]
model = "lamp:Lamp"
as_built = "lamp.toml"

[net.power]
pins = ["stand.ao_1", "lamp.power"]
"""

DBC = """\
VERSION ""
BS_:
BU_: LAMP
BO_ 256 LAMP_STATUS: 1 LAMP
 SG_ LIT : 0|1@1+ (1,0) [0|1] "" Vector__XXX
"""

AS_BUILT = "supply_on_v = 18.0\nsupply_off_v = 16.0\nhold_up_ms = 50.0\nnominal_v = 28.0\nidle_a = 0.2\n"

LAMP = """\
from hil.article import Article
from hil.ports import DigitalOut, PowerPin

class Lamp(Article):
    power = PowerPin()
    light = DigitalOut()

class Bulb:
    pass
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a good rig, and a module that can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "lamp", raising=False)
    Path("lamp.py").write_text(LAMP)
    Path("lamp.dbc").write_text(DBC)
    Path("lamp.toml").write_text(AS_BUILT)
    Path("small.toml").write_text(RIG)


def problems(old, new):
    Path("small.toml").write_text(RIG.replace(old, new))
    return "\n".join(check_rig(load_rig("small.toml")))


def test_a_good_rig_has_no_problems():
    assert check_rig(load_rig("small.toml")) == []


def test_the_rig_of_the_reference_launcher_is_good():
    assert check_rig(load_rig(Path(__file__).parents[2] / "rigs" / "sim.toml")) == []


def test_a_class_is_found_where_the_file_names_it():
    assert issubclass(resolve(load_rig("small.toml"), "dut", "lamp", "model"), Article)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hil.io.card:IoCard", "nix.card:IoCard", "11: instrument.stand.driver = 'nix.card:IoCard' does not import: "
         "ModuleNotFoundError: No module named 'nix'; install the package that provides it"),
        ("hil.io.card:IoCard", "hil.io.card:IoCrad", "11: instrument.stand.driver: hil.io.card has no class IoCrad;"),
        ("hil.io.sim_card:SimIoCard", "hil.io.sim_crad:X", "12: instrument.stand.model = 'hil.io.sim_crad:X' does not"),
        ("lamp:Lamp", "lamp:Bulb", "15: dut.lamp.model: Bulb is no simulated article; derive it from hil.art"),
        ('model = "lamp:Lamp"', 'bus = ["bus_a"]\nnode = "L"\nmodel = "lamp:Lamp"', "15: dut.lamp.bus names 1"),
        ('model = "lamp:Lamp"', 'client = "lamp:Bulb"\nmodel = "lamp:Lamp"', "15: dut.lamp.client: Bulb is no client"),
        ("stand.ao_1", "stand.x1", "19: net.power.pins: port 'x1' of an I/O card must begin with one of"),
        ("lamp.power", "lamp.powr", "19: net.power.pins: lamp.powr: Lamp has no port powr; did you mean power?"),
    ],
)  # fmt: skip
def test_what_opening_would_trip_over_is_told_with_file_line_and_remedy(old, new, message):
    assert f"small.toml:{message}" in problems(old, new)


def test_an_article_whose_messages_no_database_knows_is_told():
    text = problems('model = "lamp:Lamp"', 'bus = ["bus_a"]\nnode = "LANP"\nmodel = "lamp:Lamp"')

    assert (
        "small.toml:16: dut.lamp.node = 'LANP': no message of its buses begins with LANP_; did you mean LAMP?" in text
    )


def test_a_database_that_does_not_load_is_told():
    Path("lamp.dbc").write_text("BO_ nonsense")

    assert "lamp.dbc" in problems("x", "x")


def test_a_bus_without_a_database_is_told():
    assert "small.toml:4: bus.bus_a has no database" in problems('database = "lamp.dbc"', "")


def test_a_module_that_breaks_while_it_is_imported_is_told_by_its_own_words():
    Path("lamp.py").write_text("colour = RED\n")

    assert "does not import: NameError: name 'RED' is not defined" in problems("x", "x")


def test_as_built_data_the_article_does_not_know_are_told_by_their_own_line():
    Path("lamp.toml").write_text(AS_BUILT.replace("idle_a", "idel_a"))

    assert "lamp.toml:5: idel_a is not known; did you mean idle_a?" in problems("x", "x")


def test_resolving_a_key_that_names_no_class_says_so():
    with pytest.raises(ConfigError, match=r"small\.toml:14: dut\.lamp\.client names no class"):
        resolve(load_rig("small.toml"), "dut", "lamp", "client")


def test_ports_are_declared_by_the_article():
    class Lamp(Article):
        power = PowerPin()
        light = DigitalOut()

    assert sorted(Lamp.declared_ports()) == ["light", "power"]


# -- the command ------------------------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(command, arguments)


def test_rig_check_says_what_a_good_rig_is():
    result = run("check", "small.toml")

    assert result.exit_code == 0
    assert result.output == (
        "small.toml: good (rig small, pace virtual, 1 bus, 1 instrument, 1 dut, 1 net, evidence class sim)\n"
    )


def test_rig_check_of_a_bad_rig_fails_with_the_message_alone():
    Path("small.toml").write_text(RIG.replace("bitrate_bps", "bitrat"))

    result = run("check", "small.toml")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "small.toml:7: bus.bus_a.bitrat is not known; did you mean bitrate_bps?\n"


def test_rig_check_imports_what_the_rig_names():
    Path("small.toml").write_text(RIG.replace("lamp:Lamp", "lamb:Lamp"))

    assert "dut.lamp.model = 'lamb:Lamp' does not import" in run("check", "small.toml").stderr


def test_rig_check_takes_settings():
    assert "development run" in run("check", "small.toml", "--set", "rig.seed=3").output


def test_rig_show_tells_every_value_and_where_it_was_given():
    lines = run("show", "small.toml").output.splitlines()

    assert "bus.bus_a.bitrate_bps = 500000  # small.toml:7" in lines
    assert 'rig.pace = "virtual"  # default' in lines


def test_rig_schema_prints_json():
    assert json.loads(run("schema").output)["title"] == "hil rig file"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            '[rig]\nworlds = { fts = "tcp://127.0.0.1:5041" }\n[dut.fts_a]\nprocess = "fts"\n',
            r"processes\.toml:\d+: .*dut\.fts_a is outside of program sim, so that the loop",
        ),
        ('[plant]\nprocess = "test"\n', "the test's own program runs the plant; its lateness is rig.max_lateness_ms"),
    ],
)
def test_only_a_loop_that_is_closed_inside_one_other_program_may_be_later_than_the_rig(
    tmp_path: Path, change: str, why: str
) -> None:
    own = tmp_path / "bench.toml"
    own.write_text(f'extends = "{RIGS}/processes.toml"\n{change}')
    with pytest.raises(ConfigError, match=why):
        load_rig(own)
    assert load_rig(RIGS / "processes.toml").flight_lateness_ns == 20 * ms


PSU = '[instrument.psu]\ndriver = "m:C"\nresource = "TCPIP0::127.0.0.1::5025::SOCKET"\n'


@pytest.mark.parametrize(
    ("process", "part", "told"),
    [
        (
            "",
            '[plant]\nmodel = "m:C"\nvehicle = "bench.toml"\nprocess = "sim"\n',
            r"bench\.toml:8: plant\.process = 'sim': rig\.worlds has no address of program sim, so that nobody",
        ),
        ("", '[dut.box]\nmodel = "m:C"\nprocess = "fst"\n', r"toml:7: dut\.box\.process = 'fst': .*; did you mean fts"),
        ("all", '[dut.box]\nmodel = "m:C"\n', r"toml:4: rig\.process = 'all': .*; set rig\.worlds = \{ all = \"tcp:"),
    ],
)
def test_a_program_that_nobody_could_ask_how_late_it_was_is_refused(
    tmp_path: Path, process: str, part: str, told: str
) -> None:
    own = tmp_path / "bench.toml"
    lines = ['[rig]\nname = "b"\npace = "wall"', *([f'process = "{process}"'] if process else [])]
    own.write_text("\n".join([*lines, 'worlds = { fts = "tcp://127.0.0.1:5041" }', part]))
    with pytest.raises(ConfigError, match=told):
        load_rig(own)


def test_what_only_has_a_driver_belongs_to_no_program_that_is_asked(tmp_path: Path) -> None:
    own = tmp_path / "bench.toml"
    own.write_text(f'[rig]\nname = "b"\npace = "wall"\nprocess = "sim"\n{PSU}')
    assert load_rig(own).programs == ()
