"""Faults on the vehicle: each kind does what it says, ends when it ends, and refuses what it does not know."""

from __future__ import annotations

import plant_world as world
import pytest

from hil.errors import HilError
from hil.plant.faults import KINDS
from hil.units import ms, s


@pytest.fixture
def burning():
    """A vehicle on its clamps with all engines at full thrust."""
    plant = world.launcher(world.CALM)
    world.run(plant, world.commands(1.0), 2 * s)
    return plant


def test_an_engine_that_fails_loses_its_thrust_alone_and_gets_it_back(burning):
    full_n = burning.read("thrust_2_n")
    undo = world.put(burning, "engine_fails", engine=3)
    world.run(burning, world.commands(1.0), 2 * s)
    assert burning.read("thrust_3_n") == pytest.approx(0.0, abs=1.0)
    assert burning.read("thrust_2_n") == pytest.approx(full_n, rel=1e-5)

    undo()
    world.run(burning, world.commands(1.0), 2 * s)
    assert burning.read("thrust_3_n") == pytest.approx(full_n, rel=1e-5)


def test_thrust_of_one_engine_can_be_off(burning):
    undo = world.put(burning, "engine_thrust", engine=9, factor=0.9)

    assert burning.read("thrust_9_n") == pytest.approx(0.9 * burning.read("thrust_1_n"))
    undo()
    assert burning.read("thrust_9_n") == burning.read("thrust_1_n")


def test_a_frozen_gimbal_stays_and_the_others_move(burning):
    undo = world.put(burning, "gimbal_frozen", engine=4)
    world.run(burning, world.commands(1.0, gimbal=(0.03, 0.03)), 1 * s)
    assert burning.output("gimbal_4_position") == (0.0, 0.0)
    assert burning.output("gimbal_5_position") == pytest.approx((0.03, 0.03), abs=1e-6)

    undo()
    world.run(burning, world.commands(1.0, gimbal=(0.03, 0.03)), 1 * s)
    assert burning.output("gimbal_4_position") == pytest.approx((0.03, 0.03), abs=1e-6)


def test_a_hard_over_gimbal_goes_to_its_angle_whatever_is_commanded(burning):
    world.put(burning, "gimbal_hard_over", engine=1, axis="yaw", angle_deg=-6.0)
    world.run(burning, world.commands(1.0, gimbal=(0.01, 0.01)), 1 * s)

    assert burning.read("gimbal_1_z_deg") == pytest.approx(-6.0)
    assert burning.output("gimbal_1_position")[0] == pytest.approx(0.01, abs=1e-6)


@pytest.mark.parametrize(("axis", "moving"), [("pitch", (0, 1)), ("yaw", (1, 0)), ("all", (0, 0))])
def test_a_loss_of_gimbal_power_takes_its_axis_of_all_engines(burning, axis, moving):
    world.put(burning, "tvc_power_loss", axis=axis)
    world.run(burning, world.commands(1.0, gimbal=(0.02, 0.02)), 1 * s)

    for engine in range(1, 10):
        expected = [0.02 * part for part in moving]
        assert burning.output(f"gimbal_{engine}_position") == pytest.approx(expected, abs=1e-6)


def test_gimbal_energy_can_be_set(burning):
    undo = world.put(burning, "tvc_energy", left_rad=0.1)
    assert burning.read("tvc_energy_rad") == pytest.approx(0.1)
    world.run(burning, world.commands(1.0, gimbal=(0.05, 0.0)), 1 * s)
    assert burning.events[-1][1] == "tvc_exhausted"

    undo()
    world.run(burning, world.commands(1.0, gimbal=(0.05, 0.0)), 1 * s)
    assert burning.output("gimbal_1_position")[0] == pytest.approx(0.05, abs=1e-6)


def test_a_number_of_the_vehicle_can_be_set_or_scaled_and_comes_back(burning):
    first = world.put(burning, "parameter", name="modes.pitch_1.free_hz", value=2.2)
    second = world.put(burning, "parameter", name="modes.pitch_1.free_hz", factor=2.0)
    assert burning.vehicle.modes.pitch_1.free_hz == pytest.approx(4.4)

    first()
    assert burning.vehicle.modes.pitch_1.free_hz == pytest.approx(11.0)
    second()
    assert burning.vehicle == burning.base


def test_a_list_of_numbers_is_set_or_scaled_as_a_whole(burning):
    world.put(burning, "parameter", name="engines.thrust_factor", factor=0.5)

    assert burning.vehicle.engines.thrust_factor == (0.5,) * 9
    assert burning.read("thrust_n") == pytest.approx(9 * 0.5 * 75_100.0, rel=1e-3)


def test_wind_can_be_set_scaled_and_taken_back():
    plant = world.launcher()
    calm = plant.output("wind_profile")
    undo = world.put(plant, "wind", speed_m_s=25.0, from_deg=270.0, gust_m_s=3.0)
    assert plant.output("wind_profile")[0::2] == (25.0,) * 10
    assert plant.read("wind_east_m_s") == pytest.approx(25.0)

    undo()
    world.put(plant, "wind", factor=2.0)
    assert plant.output("wind_profile")[0::2] == pytest.approx([2.0 * speed for speed in calm[0::2]])


def test_a_fault_on_a_standing_vehicle_is_seen_at_once():
    plant = world.launcher()
    world.run(plant, world.commands(), 1 * s)
    world.put(plant, "gimbal_hard_over", engine=2, axis="pitch", angle_deg=3.0)
    world.run(plant, world.commands(), 1 * s)

    assert plant.read("gimbal_2_y_deg") == pytest.approx(3.0, abs=1e-6)


@pytest.mark.parametrize(("kind", "parameters", "message"), [
    ("engine_fail", {}, "no fault 'engine_fail'; did you mean engine_fails"),
    ("engine_fails", {"engine": 10}, "there is no engine 10; they are 1 to 9"),
    ("engine_fails", {"engin": 1}, "no parameter engin; did you mean engine"),
    ("engine_thrust", {"engine": 1, "factor": -1.0}, "factor=-1.0 is not physical"),
    ("gimbal_frozen", {"engine": 1, "axis": "roll"}, "no axis 'roll'; give pitch, yaw or all"),
    ("parameter", {"name": "modes.pitch_1.free_hz"}, "give either value= or factor="),
    ("parameter", {"name": "modes.pitch_1.free_herz", "value": 1.0}, "did you mean modes.pitch_1.free_hz"),
    ("parameter", {"name": "modes.pitch_1", "value": 1.0}, "modes.pitch_1 is a table, name a number in it"),
    ("parameter", {"name": "name", "value": 1.0}, "name is no number but 'reference launcher'"),
    ("parameter", {"name": "modes.pitch_1.free_hz", "value": -1.0}, "modes.pitch_1.free_hz: Input should be greater"),
    ("parameter", {"name": "site.height_m", "value": 0.0}, "read once, when the plant is made; set plant.vehicle.site"),
    ("tvc_energy", {"left_rad": -1.0}, "left_rad=-1.0 is not physical"),
    ("wind", {"speed": 1.0}, "no parameter speed; did you mean speed_m_s"),
])  # fmt: skip
def test_what_is_no_fault_is_refused_with_the_remedy(kind, parameters, message):
    plant = world.launcher()
    before = plant.spec_hash

    with pytest.raises(HilError, match=message):
        world.put(plant, kind, **parameters)
    assert plant.spec_hash == before


def test_every_kind_of_fault_changes_the_hash_and_gives_it_back():
    parameters = {
        "parameter": {"name": "tvc.damping", "value": 0.5}, "engine_fails": {"engine": 1},
        "engine_thrust": {"engine": 1, "factor": 1.1}, "gimbal_frozen": {"engine": 1},
        "gimbal_hard_over": {"engine": 1, "angle_deg": 1.0}, "tvc_power_loss": {}, "wind": {"factor": 2.0},
    }  # fmt: skip
    plant = world.launcher()
    before = plant.spec_hash
    for kind, given in parameters.items():
        undo = world.put(plant, kind, **given)
        assert plant.spec_hash != before, kind
        undo()
        assert plant.spec_hash == before, kind
    assert {*parameters, "tvc_energy"} == set(KINDS)


def test_a_vehicle_of_another_name_is_told_by_its_nearest(burning):
    with pytest.raises(HilError, match="no output imu_4; did you mean imu_"):
        burning.output("imu_4")
    with pytest.raises(HilError, match="truth has no altitude; did you mean altitude_m"):
        burning.read("altitude")
    world.run(burning, world.commands(1.0), 1 * ms)
