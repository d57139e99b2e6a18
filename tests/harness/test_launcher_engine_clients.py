"""The tester's side of the engine: interface from the profile, client, stand."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from engine_world import LAUNCHER

from hil.errors import ConfigError, HilError, InstrumentError
from hil.profile import Profile
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms
from hil.visa.classes import DCPower
from hil_launcher.clients.engine import Engine
from hil_launcher.clients.engine_icd import REDLINES, EngineIcd
from hil_launcher.clients.stand import Bench, Stand

if TYPE_CHECKING:
    from hil.rig.world import Rig


@pytest.fixture(scope="module")
def icd() -> EngineIcd:
    return EngineIcd(Profile.load([LAUNCHER / "profiles" / "launcher_spec.toml"]))


@pytest.fixture(scope="module")
def blueprint() -> Blueprint:
    return Blueprint.of(load_rig(LAUNCHER.parents[1] / "rigs" / "sim.toml"))


@pytest.fixture
def rig(blueprint: Blueprint) -> Rig:
    with_world = open_rig(blueprint)
    yield with_world
    with_world.close()


@pytest.fixture
def stand(rig: Rig, icd: EngineIcd) -> Stand:
    psu = rig.instrument("psu", DCPower)
    feeds = {"engine": (psu, 3), "engine_hardware": (psu, 4)}
    return Stand(Bench(rig.card("stand"), rig.timeline, feeds, rig.undo), icd)


@pytest.mark.parametrize("name", REDLINES)
def test_epsilon_is_three_sigma_and_one_lsb_on_either_side_of_the_limit(icd, name):
    redline = icd.redline(name)
    chain_v = 3 * 1.0e-3 + 5.0 / 4096
    past_v = icd.volts(redline.sensor, redline.outside) - icd.volts(redline.sensor, redline.limit)
    assert abs(past_v) == pytest.approx(chain_v, rel=1e-3)
    assert (redline.outside > redline.limit) is redline.above
    assert redline.outside - redline.limit == pytest.approx(redline.limit - redline.inside)


def test_unknown_sensor_is_refused_with_the_known_ones(icd):
    with pytest.raises(ConfigError, match=r"'pc_d' is no engine sensor; it is one of pc, turbine_temperature"):
        icd.ports("pc_d")


def test_heartbeat_before_the_interface_is_known_is_refused(rig):
    with pytest.raises(HilError, match=r"heartbeat_on\(\) before fit\(\)"):
        rig.device("engine", Engine).heartbeat_on()


def test_heartbeat_on_a_bus_the_engine_is_not_on_is_refused(rig, icd):
    engine = rig.device("engine", Engine)
    engine.fit(icd)
    with pytest.raises(HilError, match="engine is not on bus_c; it is on bus_a, bus_b"):
        engine.heartbeat_on("bus_c")


def test_article_without_supply_on_the_stand_is_refused(stand):
    with pytest.raises(InstrumentError, match="no supply of the stand feeds 'engin'; did you mean engine"):
        stand.power_on("engin")


def test_power_and_drives_are_undone_when_the_rig_is_closed(blueprint, icd):
    rig = open_rig(blueprint)
    feeds = {"engine": (rig.instrument("psu", DCPower), 3)}
    stand = Stand(Bench(rig.card("stand"), rig.timeline, feeds, rig.undo), icd)
    fed = stand.power_on("engine")
    stand.drive("pc", 10.0)
    assert fed.value == pytest.approx(28.0, abs=0.5)
    rig.close()
    assert rig.wiring.pin("engine.power").volts < 1.0
    assert rig.wiring.pin("stand.ao_pc_a").amps == 0.0


def test_a_ramp_goes_up_and_down_in_even_steps_over_its_time(rig, stand):
    stand.power_on("engine", 0.0)
    began_ns, seen = rig.clock.now, []
    rig.wiring.pin("engine.power").on_change(lambda: seen.append(rig.wiring.pin("engine.power").volts))
    stand.ramp("engine", 10.0, 300 * ms)
    assert rig.clock.now - began_ns == pytest.approx(300 * ms, abs=10 * ms)
    rising = [volts for volts in seen if volts > 0.01]
    assert rising == sorted(rising)
    assert max(later - volts for volts, later in pairwise(rising)) < 0.6
    stand.ramp("engine", 0.0, 300 * ms)
    rig.clock.sleep(10 * ms)
    assert rig.wiring.pin("engine.power").volts < 0.01


def test_drive_wins_over_the_sensor_on_all_three_pins_or_on_one(rig, stand, icd):
    stand.power_on("engine_hardware")
    stand.drive("pc", 9.0)
    stand.drive("pump_speed_b", 20_000.0)
    rig.clock.sleep(1 * ms)
    for string in "abc":
        assert rig.wiring.pin(f"engine.pc_{string}").volts == pytest.approx(icd.volts("pc", 9.0), abs=1e-3)
    assert rig.wiring.pin("engine.pump_speed_b").volts == pytest.approx(2.1, abs=1e-3)
    assert rig.wiring.pin("engine.pump_speed_a").volts == pytest.approx(0.5, abs=1e-3)


def test_k_cycles_from_between_two_cycles_hold_k_samples(rig, stand, icd):
    engine = rig.device("engine", Engine)
    engine.fit(icd)
    stand.power_on("engine_hardware")
    stand.power_on("engine")
    engine.heartbeat_on()
    engine.state.expect("STANDBY", within=500 * ms)
    for _ in range(3):
        engine.await_between_cycles()
        into_cycle_ns = (rig.clock.now - engine.state.last.at) % icd.cycle_ns
        assert into_cycle_ns == icd.cycle_ns // 2
        rig.clock.sleep(3_700_000)
