"""A hazardous I/O card in a rig file: what is refused, and the same rules in simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil.errors import ConfigError, HilError, InstrumentError
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.keeping import has_keeper, keeper_plan
from hil.rig.loader import load_rig
from hil.signal import HIGH
from hil.units import ms

if TYPE_CHECKING:
    from pathlib import Path

RIG = """
[rig]
name = "stand_bench"
pace = "wall"

[instrument.stand]
driver = "hil.io.stream_card:StreamCard"
resource = "tcp://127.0.0.1:5030"
hazard = 2
safe = [{ write = "do_arm open", query = "di_arm", expect = "low", within_ms = 500.0 }]
watchdog = { enable = "watchdog 2000 ms", feed = "feed", disable = "watchdog off", timeout_ms = 2000.0 }

[instrument.stand.outputs]
do_arm = { energises = "high" }
"ao_*" = { max_v = 5.0 }

[net.arm]
pins = ["stand.do_arm", "stand.di_arm"]
[net.heater]
pins = ["stand.ao_heater", "stand.ai_heater"]
"""
VIRTUAL = RIG.replace('pace = "wall"', "").replace(
    'resource = "tcp://127.0.0.1:5030"', 'model = "hil.io.sim_card:SimIoCard"'
)


def opened(folder: Path, text: str) -> Blueprint:
    (folder / "rig.toml").write_text(text)
    return Blueprint.of(load_rig(folder / "rig.toml"))


@pytest.mark.parametrize(
    ("what", "by", "told"),
    [
        ('do_arm = { energises = "high" }', 'do_arn = {}', "outputs: do_arn is on no net; did you mean do_arm"),
        ('"ao_*"', '"ao_x*"', r"outputs: ao_x\* is on no net"),
        ('"ao_*"', "di_arm", "an output of a card is written do_NAME or ao_NAME"),
        ('[instrument.stand.outputs]\ndo_arm = { energises = "high" }\n"ao_*" = { max_v = 5.0 }', "",
         "a hazardous card needs outputs"),
        ('write = "do_arm open"', 'write = "do_arm off"', "safe: 'do_arm off' is no command of an I/O card"),
        ('query = "di_arm"', 'query = "di_arn"', "safe: di_arn is on no net"),
        ('query = "di_arm"', 'query = "do_arm"', "'do_arm' cannot be read: do_arm observes nothing"),
        ('enable = "watchdog 2000 ms"', 'enable = "do_arm open"', "'do_arm open' is no command of a card's watchdog"),
        (', feed = "feed"', "", 'write feed = "feed"'),
        ('energises = "high"', 'energises = "low"', "a watchdog opens every output"),
        ("hil.io.stream_card:StreamCard", "hil.io.card:IoCard", "IoCard cannot be kept"),
        ("hazard = 2", "", "outputs lists what a hazardous card may be made to do; give a hazard"),
    ],
)  # fmt: skip
def test_a_rig_file_that_does_not_keep_its_card_safe_is_refused(tmp_path, what, by, told):
    assert what in RIG
    with pytest.raises(ConfigError, match=told):
        opened(tmp_path, RIG.replace(what, by))


def test_a_hazardous_card_is_not_opened_past_the_keeper(tmp_path):
    blueprint = opened(tmp_path, RIG)
    assert has_keeper(blueprint.file)
    assert keeper_plan(blueprint.file, who="a test").cards[0].outputs["ao_*"].max_v == 5.0
    with pytest.raises(ConfigError, match=r"rig\.toml:6: instrument\.stand has hazard 2: it is reached through"):
        open_rig(blueprint)


def test_in_simulation_the_same_gate_stands_before_the_card_and_the_sequence_makes_it_safe(tmp_path):
    rig = open_rig(opened(tmp_path, VIRTUAL.replace("hazard = 2", 'hazard = 2\naction = "stand.arm"')))
    card = rig.card("stand")
    with pytest.raises(InstrumentError, match=r"stand\.arm was not permitted in this test"):
        card.switch("do_arm", on=True)
    with pytest.raises(InstrumentError, match="6 V is refused"):
        card.drive_all({"ao_heater": 6.0})
    card.drive("ao_heater", 4.0)
    assert rig.wiring.pin("stand.do_arm").volts == 0.0
    rig.close()


def test_in_simulation_an_output_that_stays_on_is_found_at_the_end(tmp_path):
    rig = open_rig(opened(tmp_path, VIRTUAL))
    rig.card("stand").switch("do_arm", on=True)
    rig.card("stand").level("di_arm").expect(HIGH, within=10 * ms)
    rig.close()
    rig = open_rig(opened(tmp_path, VIRTUAL.replace("do_arm open", "do_arm closed")))
    with pytest.raises(HilError, match="UNSAFE: stand: 'di_arm' was to read 'low' within 500 ms; found 'high'"):
        rig.close()
