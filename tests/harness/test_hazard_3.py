"""Hazard 3 on the simulated rig: what feeds live lines is energised under a permit only; secrets stay secret."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from authority_bench import KEYS, write_register
from click.testing import CliRunner
from live_bench import BOTH, ROOT, close_the_chain, granted, live_rig
from suite import RIG, Suite

from hil.cli import report_command
from hil.errors import ConfigError, HilError, InstrumentError
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.commands import rig as rig_commands
from hil.rig.loader import load_rig
from hil.rig.world import Rig, Sinks
from hil.safety.keys import SigningKey, fingerprint
from hil.signal import LOW
from hil.units import ms
from hil.visa.classes import DCPower, RFSigGen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACTION = "fts.terminate"
MARKS = [fingerprint(SigningKey(KEYS[name]).public) for name in BOTH]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def blueprint(folder: Path) -> Blueprint:
    return Blueprint.of(load_rig(live_rig(folder)))


@pytest.fixture
def events() -> list[tuple[str, dict[str, object]]]:
    return []


@pytest.fixture
def rig(blueprint: Blueprint, folder: Path, events: list[tuple[str, dict[str, object]]]) -> Iterator[Rig]:
    """The rig with its safety chain closed, and with no grant."""
    write_register(folder)
    (folder / "revoked.txt").write_text("")
    opened = open_rig(blueprint, sinks=Sinks(event=lambda what, fields: events.append((what, dict(fields)))))
    close_the_chain(opened)
    yield opened
    opened.close()


def energise(rig: Rig) -> None:
    output = rig.instrument("psu_fire", DCPower).output(3)
    rig.undo("initiator bus", output.off)
    output.voltage_v, output.current_limit_a = 28.0, 8.0
    output.on()


def bus_v(rig: Rig) -> float:
    return rig.wiring.pin("safety_chain.line_out").volts


# -- the supply that feeds live lines -------------------------------------------------------------------------


def test_nothing_is_energised_without_a_permit(rig):
    rig.grants = [granted()]
    with pytest.raises(InstrumentError, match=r"fts\.terminate was not permitted in this test"):
        energise(rig)
    assert bus_v(rig) < 1.0


def test_the_raw_command_is_refused_as_well(rig):
    rig.grants = [granted()]
    supply = rig.instrument("psu_fire", DCPower)
    supply.say("OUTP ON,(@3)")
    assert "was not permitted" in supply.query("SYST:ERR?")
    assert bus_v(rig) < 1.0


def test_with_a_permit_it_is_energised(rig):
    rig.grants = [granted()]
    rig.permit(ACTION)
    energise(rig)
    rig.clock.sleep(100 * ms)
    assert bus_v(rig) == pytest.approx(28.0, abs=0.2)


def test_rf_into_live_lines_needs_the_same_permit(rig):
    generator = rig.instrument("siggen", RFSigGen)
    with pytest.raises(InstrumentError, match=r"fts\.terminate was not permitted"):
        generator.rf_on()
    rig.grants = [granted()]
    rig.permit(ACTION)
    generator.rf_on()


def test_a_permit_ends_with_its_test(rig, blueprint):
    rig.grants = [granted()]
    rig.permit(ACTION)
    rig.close()
    following = open_rig(blueprint)
    try:
        following.grants = rig.grants
        close_the_chain(following)
        with pytest.raises(InstrumentError, match="was not permitted in this test"):
            following.instrument("siggen", RFSigGen).rf_on()
    finally:
        following.close()


def test_without_pulses_nothing_is_energised(rig):
    rig.grants = [granted()]
    rig.permit(ACTION)
    with rig.inject("timer", "open"):
        rig.card("stand").level("di_contactor").expect(LOW, within=300 * ms)
        with pytest.raises(InstrumentError, match=r"interlock stand\.di_contactor high reads low"):
            energise(rig)


# -- secrets --------------------------------------------------------------------------------------------------

_LEAKS = """
import copy, json, logging, pickle
import pytest

def test_leaks(rig, record, measure, record_property):
    secret = rig.secret("efts")
    with secret.reveal() as view:
        assert len(view) == 23
    rig.timeline.stimulus(f"key {secret}", {"key": str(secret)})
    rig.sinks.dialogue("stand", f"KEY {secret!r}")
    record("note", text=f"{secret:>40} {[secret]}")
    record_property("key", str(secret))
    logging.getLogger("range").error("the key is %s %r", secret, vars(rig.file.secret["efts"]))
    print(secret)
    for dump in (json.dumps, pickle.dumps, copy.copy):
        try:
            print(dump(secret))
        except Exception as problem:
            logging.getLogger("range").exception(problem)
    assert secret == rig.secret("other"), f"{secret} is not the other"

def test_permit(rig):
    rig.permit("fts.terminate")
"""


def test_a_plain_run_is_permitted_nothing_and_a_secret_reaches_nothing_that_it_leaves_behind(tmp_path):
    raw = b"efts-\x00-bytes-of-the-key"
    (tmp_path / "efts.key").write_bytes(raw)
    (tmp_path / "efts.key").chmod(0o600)
    places = f'[secret.efts]\nfile = "{tmp_path / "efts.key"}"\n[secret.other]\nenv = "HIL_OTHER_KEY"\n'
    suite = Suite(tmp_path, _LEAKS, RIG + places)
    ran = suite.run("-l", "-rA", "--showlocals", HIL_OTHER_KEY="another-secret-of-the-range")
    assert ran.verdict("test_leaks") == "FAIL", ran.text
    assert f"<Secret from file:{tmp_path}/efts.key> is not the other" in ran.text
    assert ran.verdict("test_permit") == "ERROR"
    assert "fts.terminate on rig empty is not granted: no grant was given to this run" in ran.text
    shown = CliRunner().invoke(rig_commands, ["show", str(tmp_path / "rig.toml")])
    assert "secret.efts.file" in shown.output
    report = CliRunner().invoke(report_command, [str(ran.folder)])
    assert report.exit_code == 0, report.output
    left = {path: path.read_bytes() for path in ran.folder.rglob("*") if path.is_file()}
    left |= {tmp_path / "terminal": ran.text.encode(), tmp_path / "show": shown.output.encode()}
    assert {"events.jsonl", "report.html", "scpi"} <= {path.name for path in ran.folder.rglob("*")}
    for found in (raw, raw.split(b"\x00")[1], raw.hex().encode(), base64.b64encode(raw), b"another-secret"):
        assert [path for path, content in left.items() if found in content] == []


@pytest.mark.parametrize(
    "wrong", ['file = "hunter2"', 'env = "hunter-2"', 'value = "hunter2"', 'file = "/hunter2"\nenv = "HUNTER2"', ""]
)
def test_a_rig_file_says_where_a_secret_is_and_a_refusal_shows_none(tmp_path, wrong):
    (tmp_path / "rig.toml").write_text(f"{RIG}[secret.efts]\n{wrong}\n")
    with pytest.raises(ConfigError) as refused:
        load_rig(tmp_path / "rig.toml")
    assert "secret.efts" in str(refused.value)
    assert "hunter" not in str(refused.value).lower()


def test_a_secret_that_the_rig_file_does_not_name_is_not_had(rig):
    with pytest.raises(HilError, match="has no secret efts"):
        rig.secret("efts")


# -- the rig file ---------------------------------------------------------------------------------------------


def test_an_action_without_a_hazard_is_refused(folder):
    with pytest.raises(ConfigError, match="hazard = 0 needs none"):
        load_rig(live_rig(folder), ["instrument.siggen.hazard=0"])


def test_hazard_3_without_the_chain_is_refused(tmp_path):
    lines = (ROOT / "rigs" / "live_fts.toml").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(("contactor =", "arming_plug =", "authority =")))
    (tmp_path / "live.toml").write_text(text.replace('"../fixtures', f'"{ROOT}/fixtures'))
    with pytest.raises(ConfigError, match=r"\[safety\] lacks contactor, arming_plug, authority"):
        load_rig(tmp_path / "live.toml")
