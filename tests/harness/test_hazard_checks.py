"""Guards of hazards that a rig file must have: read-backs of RF paths, what cuts off, what is measured and listed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil.doctor.tables import guards
from hil.errors import ConfigError
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.rig.model import RigFile

ROOT = Path(__file__).parents[2]
RIG = """
[rig]
name = "guarded"
pace = "wall"

[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
resource = "TCPIP0::192.0.2.7::5025::SOCKET"
hazard = 2
safe = [
    { write = "OUTP OFF,(@1:4)", query = "OUTP? (@1:4)", expect = "0,0,0,0" },
    { query = "MEAS:VOLT? (@1:4)", below_v = 1.0 },
]
watchdog = { enable = "OUTP:PROT:WDOG ON", timeout_ms = 2000.0 }

[instrument.siggen]
driver = "hil.visa.keysight_n5182b:KeysightN5182B"
resource = "TCPIP0::192.0.2.8::5025::SOCKET"
hazard = 2
safe = [
    { write = "OUTP OFF", query = "OUTP?", expect = "0" },
    { write = "RAD:ARB OFF", query = "RAD:ARB?", expect = "0" },
    { write = "FM:STAT OFF", query = "FM:STAT?", expect = "0" },
    { write = "AM:STAT OFF", query = ":SOURce:AM1:STATe?", expect = "0" },
]
allow_modulation = ["PULM"]
sequences = []
interlock = [
    { pin = "stand.di_rf", level = "high", path = "uplink" },
    { pin = "stand.di_key", level = "high" },
]
cut_by = "psu"

[instrument.stand]
driver = "hil.io.stream_card:StreamCard"
resource = "tcp://192.0.2.9:5030"

[dut.rx]
serial = "7"

[net.rf]
pins = ["siggen.rf", "rx.rf"]
[net.mated]
pins = ["rx.mated", "stand.di_rf"]
[net.key]
pins = ["rx.key", "stand.di_key"]
[net.power]
pins = ["psu.out1", "rx.power"]

[path.uplink]
from = "siggen.rf"
to = "rx.rf"
loss_db = 6.5
uncertainty_db = 0.3
date = 2026-01-12
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., RigFile]:
    """``written((old, new), ...)`` reads the rig with these changes."""

    def write(*changes: tuple[str, str]) -> RigFile:
        text = RIG
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "rig.toml").write_text(text)
        return load_rig(tmp_path / "rig.toml")

    return write


def test_a_rig_with_all_its_guards_is_good_and_has_an_interlock_for_each_pin(written):
    file = written()
    assert [each.pin for each in file.instrument["siggen"].interlock] == ["stand.di_rf", "stand.di_key"]
    assert set(Blueprint.of(file).gates) == {"psu", "siggen"}
    assert list(guards(file)) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (', path = "uplink"', "", "path.uplink begins here, hazard 2, and nothing shows that it is closed"),
        ('path = "uplink"', 'path = "uplnk"', "there is no path uplnk; did you mean uplink?"),
        ('cut_by = "psu"', "", "instrument.siggen.hazard = 2 without a watchdog stays on when the keeper is dead"),
        ('cut_by = "psu"', 'cut_by = "siggen"', "is no other instrument with a hazard and a watchdog"),
        ('cut_by = "psu"', 'cut_by = "stand"', "is no other instrument with a hazard and a watchdog"),
        ('cut_by = "psu"', 'cut_by = "psv"', "and a watchdog; did you mean psu?"),
        ('cut_by = "psu"', 'cut_by = "timer"', "instrument.siggen.cut_by = 'timer': [safety] has no timer"),
    ],
)
def test_a_guard_that_is_missing_or_is_none_is_refused_by_file_and_line(written, old, new, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        written((old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sequences = []\n", "", "instrument.siggen.sequences is missing: a KeysightN5182B radiates what it is loaded"),
        ('["PULM"]', '["PULM", "PM"]', "a KeysightN5182B makes no PM by itself"),
        ('["PULM"]', "[]", "instrument.siggen.safe does not read PULM:STAT? back"),
        ('"FM:STAT?"', '"FM:DEV?"', "instrument.siggen.safe does not read FM:STAT? back"),
        (', query = "RAD:ARB?"', ', query = "RAD:ARB:RETR?"', "instrument.siggen.safe does not read RAD:ARB? back"),
        (", below_v = 1.0 }", ', expect = "0,0,0,0" }', "instrument.psu.safe measures nothing, and its hazard is 2"),
    ],
)
def test_what_the_kind_of_instrument_asks_for_is_refused_when_it_is_missing(written, old, new, message):
    file = written((old, new))
    with pytest.raises(ConfigError, match=re.escape(message)):
        Blueprint.of(file)


def test_in_virtual_time_a_generator_needs_no_list(written):
    assert Blueprint.of(written(("sequences = []\n", ""), ('pace = "wall"', 'pace = "virtual"'))).gates


def test_a_small_hazard_may_do_without_and_the_doctor_says_what_that_costs(written):
    file = written(
        ("hazard = 2", "hazard = 1"),
        ('cut_by = "psu"\n', ""),
        (', path = "uplink"', ""),
        (", below_v = 1.0 }", ', expect = "0,0,0,0" }'),
    )
    assert set(Blueprint.of(file).gates) == {"psu", "siggen"}
    found = {finding.name: finding for finding in guards(file)}
    assert {name: finding.state for name, finding in found.items()} == {"psu safe": "warn", "siggen cut": "warn"}
    assert "stays on when the keeper is dead" in found["siggen cut"].found
    assert all(finding.remedy for finding in found.values())
