"""Preloaded commands on the simulated rig: from the range's key, through the generator, to both receivers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from range_world import ecef, lost

from hil.errors import InterlockError
from hil.profile import Profile
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.signal import HIGH
from hil.units import ms, s
from hil.visa.classes import DCPower, RFSigGen
from hil_launcher.clients.fts import Fts
from hil_launcher.clients.range_safety import RangeSafety
from hil_launcher.clients.tone_table import ToneTable
from hil_launcher.clients.uplink import Uplink, UplinkParts
from hil_launcher.fixtures import SIMULATORS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.rig.world import Rig

ROOT = Path(__file__).parents[2]
PROFILE = Profile.load([ROOT / "fixtures" / "hil_launcher" / "profiles" / "launcher_spec.toml"])
LEVEL_DBM = -95.0


@pytest.fixture(scope="module")
def blueprint() -> Blueprint:
    return Blueprint.of(load_rig(ROOT / "rigs" / "sim.toml"))


@pytest.fixture
def rig(blueprint: Blueprint) -> Iterator[Rig]:
    opened = open_rig(blueprint)
    yield opened
    opened.close()


@pytest.fixture
def uplink(rig: Rig) -> Uplink:
    parts = UplinkParts(
        generator=rig.instrument("siggen", RFSigGen),
        card=rig.card("stand"),
        marker="dl_marker",
        simulators=SIMULATORS,
        timeline=rig.timeline,
        undo=rig.undo,
    )
    return Uplink(parts, ToneTable.of(PROFILE), loss_db=6.3)


@pytest.fixture
def receivers(rig: Rig) -> tuple[Fts, Fts]:
    for number in (1, 2):
        output = rig.instrument("psu", DCPower).output(number)
        output.voltage_v, output.current_limit_a = 28.0, 5.0
        output.on()
    rig.clock.sleep(500 * ms)
    return rig.device("fts_a", Fts), rig.device("fts_b", Fts)


@pytest.fixture
def range_safety(rig: Rig) -> RangeSafety:
    client = rig.device("range_safety", RangeSafety)
    client.hear(
        rig.wiring.datagram_pin("range_safety.log"),
        {number: rig.wiring.datagram_pin(f"range_safety.track_{number}") for number in (1, 2)},
    )
    client.power_on()
    return client


def press(rig: Rig) -> int:
    """What the range computer does at its key pin; the instant [ns]."""
    at_ns = rig.clock.now
    key = rig.wiring.pin("range_safety.key")
    key.drive(5.0, 50.0)
    rig.clock.sleep(100 * ms)
    key.release()
    rig.clock.sleep(200 * ms)
    return at_ns


def test_the_key_terminates_both_receivers_without_any_command(rig, uplink, receivers):
    uplink.sense_simulators()
    loaded = uplink.preload(level_dbm=LEVEL_DBM)
    pressed_ns = press(rig)
    edges = loaded.edges(pressed_ns)
    assert 0 < edges["ARM"].at - pressed_ns < 5_000
    assert edges["TERMINATE"].at - edges["ARM"].at == loaded.starts_ns[1] == uplink.table.burst_ns + 20 * ms
    for receiver in receivers:
        assert receiver.outputs_on == ("arm", "terminate", "shutdown")
        (terminated,) = receiver.terminate_output.history(edges["TERMINATE"].at)
        assert 0 < terminated.at - edges["TERMINATE"].at < 25 * ms


def test_nothing_is_sent_until_the_key_is_pressed(rig, uplink, receivers):
    uplink.sense_simulators()
    loaded = uplink.preload(level_dbm=LEVEL_DBM)
    since_ns = rig.clock.now
    rig.clock.sleep(2 * s)
    assert loaded.edges(since_ns) == {}
    assert [receiver.outputs_on for receiver in receivers] == [(), ()]


@pytest.mark.parametrize(
    ("commands", "outputs"), [(["ARM"], ("arm", "shutdown")), (["TERMINATE"], ()), (["TERMINATE", "ARM"], None)]
)
def test_one_command_alone_terminates_nothing(rig, uplink, receivers, commands, outputs):
    uplink.sense_simulators()
    uplink.preload(commands, level_dbm=LEVEL_DBM)
    press(rig)
    for receiver in receivers:
        assert receiver.outputs_on == (("arm", "shutdown") if outputs is None else outputs)


@pytest.mark.parametrize("commands", [["ARM", "TERMINATE"], ["ARM"], ["TERMINATE"], ["CHECK"]])
def test_nothing_is_preloaded_without_both_simulators(rig, uplink, commands):
    uplink.sense_simulators()
    rig.inject("initiator_sim_b", "open")
    rig.clock.sleep(1 * ms)
    with pytest.raises(InterlockError, match=r"preload of .* is refused: initiator_sim_b does not read back"):
        uplink.preload(commands, level_dbm=LEVEL_DBM)
    assert rig.wiring.rf_pin("fts_a.rf").value is None


def test_unloaded_commands_are_sent_by_no_key(rig, uplink, receivers):
    uplink.sense_simulators()
    uplink.preload(level_dbm=LEVEL_DBM)
    uplink.unload()
    press(rig)
    assert [receiver.outputs_on for receiver in receivers] == [(), ()]


def test_a_lost_flight_is_cut_through_tracks_rule_officer_key_and_radio(rig, uplink, receivers, range_safety):
    def motion() -> tuple[float, ...]:
        position, velocity = ecef(lost(max(0.0, rig.clock.now / s - 10.0)))
        return (*position, *velocity, 1.0)

    rig.wiring.quantity_pin("plant.track", 7).give(motion)
    uplink.sense_simulators()
    uplink.preload(level_dbm=LEVEL_DBM)
    assert range_safety.ready.seen(True, within=5 * s)
    decided = range_safety.decisions.expect("loss_of_control", within=40 * s)
    violation = range_safety.violation.expect(HIGH, within=1 * s)
    key = range_safety.key.expect(HIGH, within=1 * s)
    rig.clock.sleep(200 * ms)
    assert 1 * s <= key.at - violation.at <= 5.01 * s
    assert key.at - decided.at == 2 * ms
    shown_ns = range_safety.shown_ns("loss_of_control")
    assert shown_ns is not None
    assert 2 * s <= violation.at - shown_ns <= 2.4 * s
    assert [receiver.outputs_on for receiver in receivers] == [("arm", "terminate", "shutdown")] * 2
