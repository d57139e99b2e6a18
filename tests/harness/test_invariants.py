"""Invariants: what is read at the end of every test of a bench, how it is judged, and who may break it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from suite import Ran, Suite

from hil.can.frame import Frame
from hil.errors import ConfigError, HilError
from hil.invariants import Invariants
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms
from hil.visa.keysight_n6700 import KeysightN6700
from hil_launcher.clients.fts import Fts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil.invariants import Taken
    from hil.rig.world import Rig

DBC = Path(__file__).parents[2] / "fixtures" / "hil_launcher" / "launcher.dbc"
RIG = f"""
[rig]
name = "bench"
invariants = true

[bus.bus_a]
interface = "hil"
channel = "invariants"
bitrate_bps = 500000
database = "{DBC}"

[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
model = "hil.visa.keysight_n6700_twin:KeysightN6700Twin"

[instrument.stand]
driver = "hil.io.card:IoCard"
model = "hil.io.sim_card:SimIoCard"

[net.out]
pins = ["psu.out1", "stand.load_out", "stand.di_out"]
ohms = {{ "stand.load_out" = 10.0 }}
"""
IDLE = """
[invariant.idle]
read = "psu.*.measured_current_a"
unit = "A"
high = 0.5
[invariant.load]
read = "stand.load_out.volts"
unit = "V"
high = 30.0
[invariant.queue]
read = "bus_a.tec"
high = 95
"""
BOX = """
[dut.box]
client = "hil_launcher.clients.fts:Fts"
serial = "1"
bus = ["bus_a"]
node = "FTS_A"
"""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def open_it(more: str = "") -> Rig:
        (tmp_path / "rig.toml").write_text(RIG + more)
        rigs.append(open_rig(Blueprint.of(load_rig(tmp_path / "rig.toml"))))
        return rigs[-1]

    yield open_it
    for rig in rigs:
        rig.close()


def _broken(taken: list[Taken]) -> list[str]:
    return [each.measurement.name for each in taken if each.broken]


def _trip(rig: Rig) -> None:
    """Have the over-voltage protection of output 1 switch it off."""
    output = rig.instrument("psu", KeysightN6700).output(1)
    output.voltage_v, output.current_limit_a = 10.0, 2.0
    output.on()
    rig.clock.sleep(100 * ms)
    output.over_voltage_v = 5.0
    rig.clock.sleep(1 * ms)


def _power(rig: Rig) -> None:
    output = rig.instrument("psu", KeysightN6700).output(1)
    output.voltage_v, output.current_limit_a = 10.0, 2.0
    output.on()
    rig.clock.sleep(100 * ms)


def test_a_bench_left_in_order_breaks_none_and_shows_buses_and_supplies(opened):
    taken = list(Invariants(opened()).taken())
    judged = {each.measurement.name for each in taken if not each.measurement.info}

    assert _broken(taken) == []
    assert {"invariant.bus_a.error_frames", "invariant.bus_a.state"} < judged
    assert {f"invariant.psu.out{number}.questionable_condition" for number in (1, 2, 3, 4)} < judged
    assert "invariant.psu.out1.measured_current_a" in {each.measurement.name for each in taken} - judged


def test_the_limits_say_that_they_are_the_rigs(opened):
    judged = [each.measurement for each in Invariants(opened(IDLE)).taken() if not each.measurement.info]

    assert {limit.origin for taken in judged for limit in taken.limits} == {"rig"}
    sources = {taken.name: taken.limits[0].source for taken in judged}
    assert sources["invariant.psu.out4.measured_current_a"] == "rig.toml, invariant.idle"


def test_a_protection_that_tripped_is_in_the_fault_register(opened):
    rig = opened()
    _trip(rig)

    assert _broken(list(Invariants(rig).taken())) == ["invariant.psu.out1.questionable_condition"]


def test_a_declared_limit_of_every_channel_judges_each_of_them(opened):
    rig = opened(IDLE)
    _power(rig)
    taken = list(Invariants(rig).taken())

    assert _broken(taken) == ["invariant.psu.out1.measured_current_a"]
    assert 'marked leaves("psu.out1.measured_current_a")' in next(each.reason for each in taken if each.broken)
    assert sum(each.measurement.name.endswith("measured_current_a") for each in taken) == 4


def test_error_frames_of_a_test_are_counted(opened):
    rig = opened()
    rig.bus("bus_a").send_raw(Frame(0x100, b"\x01"))  # nobody is there to acknowledge it
    rig.clock.sleep(1 * ms)

    assert "invariant.bus_a.error_frames" in _broken(list(Invariants(rig).taken()))


@pytest.mark.parametrize("leaves", ["psu.out1.questionable_condition", "psu.out1", "psu"])
def test_what_a_test_breaks_on_purpose_is_kept_for_information(opened, leaves):
    rig = opened()
    _trip(rig)
    taken = list(Invariants(rig, [leaves]).taken())

    assert _broken(taken) == []
    found = next(each.measurement for each in taken if each.measurement.name.endswith("out1.questionable_condition"))
    assert (found.info, found.value) == (True, 1)


def test_half_a_name_leaves_nothing(opened):
    rig = opened()
    _trip(rig)

    assert _broken(list(Invariants(rig, ["psu.out"]).taken())) != []


def test_a_frozen_instrument_costs_one_time_out_and_every_limit_of_it(opened):
    rig = opened(IDLE)
    rig.inject("psu", "frozen")
    began = rig.clock.now
    taken = [each for each in Invariants(rig).taken() if each.measurement.name.startswith("invariant.psu")]

    assert rig.clock.now - began < 2_500 * ms
    assert {each.measurement.verdict for each in taken} == {"FAIL"}
    assert all("could not be read" in each.why for each in taken)


def test_nothing_is_asked_of_instruments_when_they_are_to_be_made_safe_first(opened):
    rig = opened(IDLE)
    rig.inject("psu", "frozen")
    began = rig.clock.now
    names = [each.measurement.name for each in Invariants(rig).taken(ask=False)]

    assert rig.clock.now == began
    assert "invariant.bus_a.error_frames" in names
    assert not any(name.startswith("invariant.psu") for name in names)


def test_what_was_never_told_is_not_there(opened):
    rig = opened('[invariant.v]\nread = "box.reported_supply_v"\nunit = "V"\nhigh = 36.0\n' + BOX)
    named = [each.measurement.name for each in Invariants(rig).taken()]

    assert "invariant.bus_a.error_frames" in named
    assert "invariant.box.reported_supply_v" not in named


def test_a_signal_of_an_article_is_judged_by_its_last_value(opened):
    rig = opened('[invariant.v]\nread = "box.reported_supply_v"\nunit = "V"\nhigh = 36.0\n' + BOX)
    rig.device("box", Fts).reported_supply_v.put(40.0)

    assert _broken(list(Invariants(rig).taken())) == ["invariant.box.reported_supply_v"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ('read = "psu.out1.measured_current_a"\nhigh = 1.0', "is read in 'A'"),
        ('read = "psu.out1.measured_amps"\nhigh = 1.0', "measured_amps"),
        ('read = "psu.out9.measured_current_a"\nhigh = 1.0', "nothing that can be read"),
        ('read = "bus_a.errors"\nhigh = 1.0', "BUS.COUNTER"),
        ('read = "stand.di_nothing.level"\nhigh = 1.0', "di_nothing"),
        ('read = "psu.out1.dropout"\nhigh = 1.0', "declares"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(opened, more, why):
    rig = opened(f"[invariant.x]\n{more}\n")
    with pytest.raises(ConfigError, match=r"rig\.toml:\d+") as refused:
        Invariants(rig)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ('read = "pus.x"\nhigh = 1.0', "did you mean psu"),
        ('read = "psu.x"', "low or high, or equals"),
        ('read = "psu.x"\nhigh = 1.0\nequals = true', "low or high, or equals"),
        ('read = "psu.x"\nhigh = 1.0\nlow = 2.0', "is above high"),
    ],
)
def test_a_declaration_that_limits_nothing_is_refused_when_the_file_is_read(tmp_path, more, why):
    (tmp_path / "rig.toml").write_text(f"{RIG}[invariant.x]\n{more}\n")
    with pytest.raises(ConfigError, match=why):
        load_rig(tmp_path / "rig.toml")


def test_a_mark_for_a_part_the_rig_does_not_have_is_refused(opened):
    with pytest.raises(HilError, match=r"has no bus_b; did you mean bus_a"):
        Invariants(opened(), ["bus_b.error_frames"])


def test_a_rig_that_extends_another_may_declare_its_own(tmp_path):
    (tmp_path / "base.toml").write_text(RIG)
    (tmp_path / "rig.toml").write_text('extends = "base.toml"\n[rig]\nname = "top"\n' + IDLE)

    assert sorted(load_rig(tmp_path / "rig.toml").tables.invariant) == ["idle", "load", "queue"]


@pytest.mark.parametrize(
    ("keys", "judged"),
    [("", False), ("invariants = true", True), ('pace = "wall"', True), ('pace = "wall"\ninvariants = false', False)],
)
def test_a_paced_rig_judges_them_and_a_virtual_one_when_asked(tmp_path, keys, judged):
    (tmp_path / "rig.toml").write_text(f'[rig]\nname = "r"\n{keys}\n')

    assert load_rig(tmp_path / "rig.toml").rig.judges_invariants is judged


# -- in a run --------------------------------------------------------------------------------------------------------

TESTS = """
import pytest
from hil.units import ms
from hil.visa.keysight_n6700 import KeysightN6700

def trip(rig):
    output = rig.instrument("psu", KeysightN6700).output(1)
    output.voltage_v, output.current_limit_a = 10.0, 2.0
    output.on()
    rig.clock.sleep(100 * ms)
    output.over_voltage_v = 5.0
    rig.clock.sleep(1 * ms)

def test_in_order(rig, measure):
    measure("box.volts", 28.0, "V")

def test_trips(rig, measure):
    measure("box.volts", 28.0, "V")
    trip(rig)

@pytest.mark.leaves("psu.out1.questionable_condition")
def test_trips_on_purpose(rig, measure):
    measure("box.volts", 28.0, "V")
    trip(rig)

def test_asserts_too(rig):
    trip(rig)
    assert rig is None

def test_shows_nothing(rig):
    pass

def test_is_an_error(rig):
    trip(rig)
    raise KeyError("x")

def test_is_skipped(rig):
    trip(rig)
    pytest.skip("no chamber")

@pytest.mark.leaves("pus")
def test_misspelt(rig, measure):
    measure("box.volts", 28.0, "V")
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Suite(tmp_path_factory.mktemp("suite"), TESTS, rig=RIG).run()


@pytest.mark.parametrize(
    ("test", "verdict"),
    [
        ("test_in_order", "PASS"),
        ("test_trips", "FAIL"),
        ("test_trips_on_purpose", "PASS"),
        ("test_asserts_too", "FAIL"),
        ("test_shows_nothing", "INCONCLUSIVE"),
        ("test_is_an_error", "ERROR"),
        ("test_is_skipped", "NOT_RUN"),
        ("test_misspelt", "ERROR"),
    ],
)
def test_the_verdict_of_a_test_is_the_worst_of_its_own_and_the_benchs(ran: Ran, test: str, verdict: str) -> None:
    assert ran.verdict(test) == verdict


def test_every_test_has_them_in_its_evidence(ran: Ran) -> None:
    taken = [document for document in ran.documents if document["doc"] == "measurement"]
    registers = [document for document in taken if str(document["name"]).endswith("out1.questionable_condition")]

    assert [(document["value"], document["info"]) for document in registers] == [
        (0, False), (1, False), (1, True), (1, False), (0, False),
    ]  # fmt: skip
    assert {document["name"] for document in taken if document["limits"]} > {"invariant.bus_a.error_frames"}


def test_the_broken_one_is_on_the_terminal_and_the_others_are_not(ran: Ran) -> None:
    assert "invariant.psu.out1.questionable_condition" in ran.text
    assert "invariant.psu.out2.questionable_condition" not in ran.text
    assert 'is marked leaves("psu.out1.questionable_condition")' in ran.text
