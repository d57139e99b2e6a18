"""The plant's place on a rig: pins, steps on the clock, truth as signals, harnesses, vehicle files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil.errors import ConfigError, HilError
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms, s

if TYPE_CHECKING:
    from pathlib import Path

    from hil.rig.world import Rig

RIG = """[rig]
name = "spring"
[plant]
model = "small_plant:MassOnSpring"
vehicle = "spring.toml"
rate_hz = 1000.0
"""
VEHICLE = "mass_kg = 2.0\nstiffness_n_m = 8.0\n"


def opened(folder: Path, *sets: str, vehicle: str = VEHICLE) -> Rig:
    (folder / "rig.toml").write_text(RIG)
    (folder / "spring.toml").write_text(vehicle)
    return open_rig(Blueprint.of(load_rig(folder / "rig.toml", sets)))


def pushed(rig: Rig, force_n: float) -> None:
    rig.wiring.quantity_pin("hand.force", 1).set(force_n)
    rig.wiring.net("push", ["hand.force", "plant.force"])


def test_a_plant_steps_only_from_when_it_is_started(tmp_path: Path) -> None:
    rig = opened(tmp_path)
    rig.clock.sleep(1 * s)
    assert not rig.plant.running
    rig.plant.start()
    rig.clock.sleep(10 * ms)
    assert rig.plant.model.steps == 10


def test_its_inputs_are_pulled_at_every_step(tmp_path: Path) -> None:
    rig = opened(tmp_path)
    pushed(rig, 8.0)
    rig.plant.start()
    rig.clock.sleep(1 * ms)
    assert rig.plant.model.v_m_s == pytest.approx(8.0 / 2.0 * 1e-3)


def test_its_outputs_are_those_of_the_last_step(tmp_path: Path) -> None:
    rig = opened(tmp_path)
    pushed(rig, 8.0)
    sensor = rig.wiring.quantity_pin("sensor.position", 1, (0.0,))
    rig.wiring.net("position", ["plant.position", "sensor.position"])
    rig.plant.start()
    rig.clock.sleep(100 * ms)
    assert sensor.values == (rig.plant.model.x_m,)


def test_its_truth_is_a_signal_that_calls_itself_a_model_input(tmp_path: Path) -> None:
    rig = opened(tmp_path)
    pushed(rig, 8.0)
    rig.plant.start()
    position = rig.plant.truth("position_m")
    reading = position.expect(above=0.1, within=2 * s)
    assert position.name == "model.position_m"
    assert reading.unit == "m"


def test_an_unknown_truth_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(HilError, match="no truth positon_m; did you mean position_m"):
        opened(tmp_path).plant.truth("positon_m")


def test_what_happens_to_the_vehicle_is_stamped_with_rig_time(tmp_path: Path) -> None:
    rig = opened(tmp_path)
    rig.clock.sleep(1 * s)
    pushed(rig, 1.0)
    rig.plant.start()
    assert rig.plant.events.expect("moved", within=1 * s).at == 1 * s + 1 * ms


def test_a_fault_on_the_plant_is_put_and_taken_away_like_any_other(tmp_path: Path) -> None:
    rig = opened(tmp_path)
    with rig.inject("plant", "reversed"):
        assert rig.plant.model.sign == -1.0
    assert rig.plant.model.sign == 1.0


def test_a_number_of_the_vehicle_is_changed_from_the_command_line(tmp_path: Path) -> None:
    rig = opened(tmp_path, "plant.vehicle.mass_kg=4.0")
    assert rig.plant.model.vehicle.mass_kg == 4.0
    assert rig.file.development


def test_an_unknown_number_of_the_vehicle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"spring\.toml: mas_kg is not known; did you mean mass_kg"):
        opened(tmp_path, "plant.vehicle.mas_kg=4.0")


def test_a_vehicle_that_does_not_fit_the_plant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"plant\.vehicle\.stiffness_n_m: Field required"):
        opened(tmp_path, vehicle="mass_kg = 2.0\n")


def test_a_rig_without_a_plant_says_so(tmp_path: Path) -> None:
    (tmp_path / "bare.toml").write_text('[rig]\nname = "bare"\n')
    rig = open_rig(Blueprint.of(load_rig(tmp_path / "bare.toml")))
    with pytest.raises(HilError, match=r"bare\.toml has no plant; give it a \[plant\] table"):
        rig.plant.start()


CARD = 'driver = "hil.io.card:IoCard"\nmodel = "hil.io.sim_card:SimIoCard"\n'
CABLE = f"""[rig]
name = "cable"
[instrument.left]
{CARD}
[instrument.right]
{CARD}
[harness.loom]
ends = ["left", "right"]
pins = ["ai_one", "ai_two"]
"""


def test_a_harness_connects_the_pins_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text(CABLE)
    rig = open_rig(Blueprint.of(load_rig(tmp_path / "rig.toml")))
    assert rig.wiring.peers("left.ai_one") == ["right.ai_one"]
    assert list(rig.file.net) == ["loom_ai_one", "loom_ai_two"]


def test_a_harness_to_a_node_the_rig_does_not_have_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text(CABLE.replace('ends = ["left", "right"]', 'ends = ["left", "rihgt"]'))
    with pytest.raises(ConfigError, match=r"harness\.loom\.pins: rihgt\.ai_one: there is no instrument or dut rihgt"):
        load_rig(tmp_path / "rig.toml")


def test_a_pin_in_a_harness_is_on_no_other_net(tmp_path: Path) -> None:
    more = '[net.other]\npins = ["left.ai_one", "right.ai_three"]\n'
    (tmp_path / "rig.toml").write_text(CABLE + more)
    with pytest.raises(ConfigError, match=r"left\.ai_one is on net other already"):
        load_rig(tmp_path / "rig.toml")
