"""The reference launcher's own guards: RF needs simulators and mated cables, and plays what is listed, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil.errors import InstrumentError
from hil.profile import Profile
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms
from hil.visa.classes import DCPower, RFSigGen
from hil_launcher.clients.tone_table import ToneTable
from hil_launcher.clients.uplink import Uplink
from hil_launcher.fixtures import uplink_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.rig.world import Rig

ROOT = Path(__file__).parents[2]
PROFILE = Profile.load([ROOT / "fixtures" / "hil_launcher" / "profiles" / "launcher_spec.toml"])


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Blueprint:
    """The simulated rig with the list of waveforms of the rig of programs."""
    file = tmp_path_factory.mktemp("listed") / "listed.toml"
    lists = [str(path) for path in load_rig(ROOT / "rigs" / "processes.toml").instrument["siggen"].sequences or ()]
    listed = f"[instrument.siggen]\nsequences = {lists}\n"
    file.write_text(f'extends = "{ROOT}/rigs/sim.toml"\n[rig]\nname = "listed"\n{listed}')
    return Blueprint.of(load_rig(file))


@pytest.fixture
def rig(blueprint: Blueprint) -> Iterator[Rig]:
    """Both receivers have their supply, which holds the switches in their feeds."""
    opened = open_rig(blueprint)
    for number in (1, 2):
        output = opened.instrument("psu", DCPower).output(number)
        output.voltage_v, output.current_limit_a = 28.0, 5.0
        output.on()
    opened.clock.sleep(10 * ms)
    yield opened
    opened.close()


@pytest.fixture
def uplink(rig: Rig) -> Uplink:
    return Uplink(uplink_parts(rig), ToneTable.of(PROFILE), loss_db=6.5)


def arrives(rig: Rig) -> list[bool]:
    return [rig.wiring.rf_pin(f"fts_{feed}.rf").value is not None for feed in "ab"]


def test_the_commands_of_the_launcher_are_listed(rig, uplink):
    uplink.sense_simulators()
    for command in ("CHECK", "ARM", "TERMINATE"):
        uplink.send(command, level_dbm=-100.0)
    assert arrives(rig) == [True, True]


def test_a_foreign_waveform_is_refused_before_anything_is_played(rig, uplink):
    uplink.sense_simulators()
    uplink.carrier(level_dbm=-100.0)
    with pytest.raises(InstrumentError, match=r"MEM:DATA loads a waveform that is not listed"):
        uplink.send((7, 11, 13), level_dbm=-100.0)
    rig.clock.sleep(100 * ms)
    assert rig.wiring.rf_pin("fts_a.rf").value.tones == ()


def test_a_waveform_that_somebody_left_in_the_generator_is_not_played(rig, uplink):
    uplink.sense_simulators()
    rig.twins["siggen"].memory.store("WFM1:LEFT", bytes(240))
    with pytest.raises(InstrumentError, match="'WFM1:LEFT' was not loaded in this session"):
        rig.instrument("siggen", RFSigGen).arb_waveform = "WFM1:LEFT"


@pytest.mark.parametrize(
    ("target", "fault", "pin"),
    [
        ("initiator_sim_a", ("open", {}), "di_sim_a"),
        ("initiator_sim_b", ("open", {}), "di_sim_b"),
        ("channel", ("path_open", {"feed": 1}), "di_rf_a"),
        ("channel", ("path_open", {"feed": 2}), "di_rf_b"),
    ],
)
def test_rf_needs_both_simulators_and_both_paths_in_simulation_too(rig, uplink, target, fault, pin):
    uplink.sense_simulators()
    kind, parameters = fault
    with rig.inject(target, kind, **parameters):
        rig.clock.sleep(1 * ms)
        with pytest.raises(InstrumentError, match=rf"interlock stand\.{pin} high reads low"):
            uplink.carrier(level_dbm=-100.0)
    assert arrives(rig) == [False, False]


def test_without_the_receivers_supply_their_rf_is_gone(rig, uplink):
    uplink.sense_simulators()
    uplink.carrier(level_dbm=-100.0)
    rig.instrument("psu", DCPower).output(1).off()
    rig.clock.sleep(200 * ms)
    assert arrives(rig) == [False, True]


def test_a_switch_that_is_stuck_lets_rf_through(rig, uplink):
    uplink.sense_simulators()
    uplink.carrier(level_dbm=-100.0)
    with rig.inject("channel", "switch_stuck", feed=1):
        rig.instrument("psu", DCPower).output(1).off()
        rig.clock.sleep(200 * ms)
        assert arrives(rig) == [True, True]
    rig.clock.sleep(200 * ms)
    assert arrives(rig) == [False, True]
