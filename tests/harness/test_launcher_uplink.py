"""The uplink and the receiver's client, on the simulated rig: levels, markers, sequences, interlock, reset."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil.errors import ConfigError, InstrumentError, InterlockError
from hil.profile import Profile
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.rig.world import Rig, Sinks
from hil.signal import HIGH, LOW
from hil.units import ms
from hil.visa.classes import DCPower, RFSigGen
from hil_launcher.clients.fts import Fts
from hil_launcher.clients.tone_table import ToneTable
from hil_launcher.clients.uplink import Uplink, UplinkParts
from hil_launcher.fixtures import SIMULATORS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PROFILE = Profile.load([ROOT / "fixtures" / "hil_launcher" / "profiles" / "launcher_spec.toml"])


@pytest.fixture(scope="module")
def blueprint() -> Blueprint:
    return Blueprint.of(load_rig(ROOT / "rigs" / "sim.toml"))


@pytest.fixture
def stimuli() -> list[tuple[str, object]]:
    return []


@pytest.fixture
def rig(blueprint: Blueprint, stimuli: list[tuple[str, object]]) -> Iterator[Rig]:
    opened = open_rig(blueprint, sinks=Sinks(stimulus=lambda what, detail: stimuli.append((what, detail))))
    output = opened.instrument("psu", DCPower).output(1)  # it holds the switch in the receiver's feed
    output.voltage_v, output.current_limit_a = 28.0, 5.0
    output.on()
    stimuli.clear()
    yield opened
    opened.close()


@pytest.fixture
def unsensed(rig: Rig) -> Uplink:
    """The uplink, while no initiator simulator reads back."""
    parts = UplinkParts(
        generator=rig.instrument("siggen", RFSigGen),
        card=rig.card("stand"),
        marker="dl_marker",
        simulators=SIMULATORS,
        timeline=rig.timeline,
        undo=rig.undo,
    )
    return Uplink(parts, ToneTable.of(PROFILE), loss_db=6.5)


@pytest.fixture
def uplink(unsensed: Uplink) -> Uplink:
    unsensed.sense_simulators()
    return unsensed


@pytest.fixture
def fts(rig: Rig) -> Fts:
    output = rig.instrument("psu", DCPower).output(1)
    output.voltage_v, output.current_limit_a = 28.0, 5.0
    output.on()
    rig.clock.sleep(500 * ms)
    return rig.device("fts_a", Fts)


def arriving(rig: Rig):
    return rig.wiring.rf_pin("fts_a.rf").value


def test_a_command_arrives_with_its_tones_at_the_level_of_the_antenna_port(rig, uplink):
    edge = uplink.send("ARM", level_dbm=-107.0)
    rig.clock.sleep(1 * ms)
    value = arriving(rig)
    assert value.level_dbm == pytest.approx(-107.0, abs=0.2)  # calibrated loss against the as-built one
    assert [(round(tone.frequency_hz, 1), round(tone.deviation_hz)) for tone in value.tones] == [
        (7500.0, 30_000),
        (12140.0, 30_000),
    ]
    assert edge.at <= value.tones[0].start_ns <= edge.at + 1_000


def test_after_its_burst_only_the_carrier_is_left(rig, uplink):
    uplink.send("ARM", level_dbm=-107.0)
    rig.clock.sleep(uplink.table.burst_ns + 1 * ms)
    assert arriving(rig).tones == ()


def test_every_command_has_a_marker_edge_of_its_own(rig, uplink):
    edges = [uplink.send("ARM", level_dbm=level_dbm).at for level_dbm in (-107.0, -100.0, -90.0)]
    assert all(later - earlier > uplink.table.burst_ns for earlier, later in pairwise(edges))


def test_a_sequence_marks_the_start_of_its_last_command(rig, uplink, fts):
    edge = uplink.send_sequence(["ARM", "TERMINATE"], level_dbm=-100.0)
    terminated = fts.terminate_output.expect(HIGH, within=100 * ms)
    assert 0 < terminated.at - edge.at < 25 * ms
    assert fts.outputs_on == ("arm", "terminate", "shutdown")


def test_a_long_burst_is_one_period_repeated(rig, uplink):
    edge = uplink.send("ARM", level_dbm=-100.0, duration_ns=1500 * ms)
    rig.clock.wait(edge.at + 1499 * ms)
    assert len(arriving(rig).tones) == 2
    rig.clock.sleep(2 * ms)
    assert arriving(rig).tones == ()


def test_a_carrier_after_silence_begins_at_its_marker(rig, uplink):
    edge = uplink.carrier_after_silence(300 * ms, level_dbm=-80.0)
    rig.clock.sleep(1 * ms)
    assert edge.at <= rig.clock.now
    assert arriving(rig).level_dbm == pytest.approx(-80.0, abs=0.2)


def test_stimuli_name_the_command_and_its_level(uplink, stimuli):
    uplink.send("CHECK", level_dbm=-107.0)
    assert ("uplink: CHECK", "-107 dBm at the antenna port") in stimuli


def test_terminate_without_simulators_is_refused_before_anything_acts(rig, unsensed, stimuli):
    with pytest.raises(
        InterlockError, match="TERMINATE is refused: initiator_sim_a, initiator_sim_b does not read back"
    ):
        unsensed.send("TERMINATE", level_dbm=-100.0)
    assert stimuli == []
    assert arriving(rig) is None


@pytest.mark.parametrize("tones", ["TERMINATE", (1, 2), (2, 5, 1), (1, 2, 4)])
def test_whatever_could_terminate_is_hazard_2_with_and_3_without_simulators(rig, unsensed, tones):
    assert unsensed.hazard_of(tones) == 3
    unsensed.sense_simulators()
    assert unsensed.hazard_of(tones) == 2
    with rig.inject("initiator_sim_b", "open"):
        rig.clock.sleep(1 * ms)
        assert unsensed.missing_simulators == ("initiator_sim_b",)
        assert unsensed.hazard_of(tones) == 3


def test_a_detuned_terminate_is_as_hazardous(unsensed):
    assert unsensed.hazard_of(unsensed.table.tones("TERMINATE", offset_pct=4.0)) == 3


@pytest.mark.parametrize(("tones", "hazard"), [("CHECK", 0), ((), 0), ("ARM", 1), ("OPTIONAL", 1), ((1,), 1)])
def test_other_commands_are_less_hazardous(uplink, tones, hazard):
    assert uplink.hazard_of(tones) == hazard
    uplink.send(tones, level_dbm=-100.0)


def test_a_hazardous_command_anywhere_in_a_sequence_is_refused(unsensed):
    with pytest.raises(InterlockError, match="ARM, TERMINATE, CHECK is refused"):
        unsensed.send_sequence(["ARM", "TERMINATE", "CHECK"], level_dbm=-100.0)


def test_a_missing_marker_is_an_error_of_the_rig(rig, uplink):
    with rig.inject("marker", "open"), pytest.raises(InstrumentError, match="no edge of the marker"):
        uplink.send("ARM", level_dbm=-100.0)


def test_unknown_commands_and_tones_are_refused_with_the_known_ones(uplink):
    with pytest.raises(ConfigError, match="did you mean TERMINATE"):
        uplink.send("TERMINAT", level_dbm=-100.0)
    with pytest.raises(ConfigError, match=r"no tone 21; .* are 1 to 20"):
        uplink.send((1, 21), level_dbm=-100.0)


def test_closing_the_rig_switches_carrier_and_sense_loops_off(blueprint, uplink, rig):
    uplink.send("ARM", level_dbm=-100.0)
    rig.close()
    assert arriving(rig) is None
    assert rig.wiring.pin("stand.di_sim_a").volts == 0.0


def test_reset_unlatches_and_leaves_its_line_low(rig, uplink, fts):
    uplink.send("ARM", level_dbm=-100.0)
    fts.arm_output.expect(HIGH, within=100 * ms)
    rig.clock.sleep(100 * ms)
    after_ns = rig.clock.now
    fts.reset()
    assert fts.outputs_on == ()
    assert fts.arm_output.stays(LOW, for_=100 * ms)
    assert rig.wiring.pin("fts_a.unlatch").volts == 0.0
    assert fts.outputs_since(after_ns) == 2  # arm and shutdown were HIGH at that instant
    assert fts.outputs_since(rig.clock.now) == 0


def test_the_table_follows_the_irig_series():
    table = ToneTable.of(PROFILE)
    assert all(abs(hz / (7500.0 * 1.128**n) - 1.0) < 5.5e-4 for n, hz in enumerate(table.tones_hz))
    assert table.tone(1, offset_pct=1.0, gain_db=-20.0).frequency_hz == pytest.approx(7575.0)
    assert table.tone(1, gain_db=-20.0).deviation_hz == pytest.approx(3_000.0)
