"""The same seed gives the same bytes, and a snapshot brings a flight back to the last bit."""

from __future__ import annotations

import plant_world as world
import pytest

from hil.errors import HilError
from hil.plant.launcher import Launcher
from hil.units import ms, s


def wander(plant, steps, start=0):
    """A flight with moving gimbals and units read at 100 Hz; everything that came out of it, as text."""
    found = []
    for step in range(start, start + steps):
        aim = (0.01 * ((step // 100) % 3 - 1), 0.005 * ((step // 70) % 3 - 1))
        plant.step(world.commands(1.0) if step < 1_600 else world.flying(gimbal=aim))
        if step % 10 == 0:
            found.append([plant.output(name) for name in plant.outputs])
            found.append([plant.read(name) for name in plant.truth])
    return repr((found, plant.events))


def test_the_same_seed_gives_the_same_bytes():
    assert wander(world.launcher(seed=7), 2_500) == wander(world.launcher(seed=7), 2_500)


def test_another_seed_gives_another_flight():
    assert wander(world.launcher(seed=7), 2_000) != wander(world.launcher(seed=8), 2_000)


@pytest.mark.parametrize("integrator", ["ab2", "rk4"])
@pytest.mark.parametrize("at", [5, 900, 2_203], ids=["on the pad", "at ignition", "in flight"])
def test_a_snapshot_brings_the_flight_back_to_the_last_bit(at, integrator):
    plant = world.launcher(integrator=integrator)
    wander(plant, at)
    saved = plant.save()
    first = wander(plant, 1_200, start=at)

    plant.load(saved)
    assert plant.save() == saved
    assert wander(plant, 1_200, start=at) == first
    fresh = world.launcher(seed=99, integrator=integrator)
    fresh.load(saved)
    assert wander(fresh, 1_200, start=at) == first


def test_a_snapshot_holds_a_vehicle_that_has_fallen():
    plant = world.launcher()
    world.lift(plant, 3 * s)
    world.run(plant, world.flying(0.0), 9 * s)
    saved, seen = plant.save(), plant.output("track")
    assert plant.read("impacted") == 1.0

    fresh = world.launcher()
    fresh.load(saved)
    assert fresh.output("track") == seen
    assert fresh.events == plant.events


def test_a_snapshot_of_another_vehicle_is_refused():
    saved = world.launcher().save()

    with pytest.raises(HilError, match="load it into the same vehicle"):
        world.launcher({"tvc.damping": 0.6}).load(saved)


def test_asking_does_not_change_the_flight():
    def fly(asks):
        plant = world.launcher()
        world.lift(plant)
        for _ in range(300):
            plant.step(world.flying(gimbal=(0.01, 0.0)))
            if asks:
                plant.output("gnss_1")
                plant.read("impact_north_m")
        return plant.view.state

    assert fly(asks=True) == fly(asks=False)


def test_a_standing_vehicle_is_the_same_whether_it_was_stepped_or_looked_at():
    looked, stepped = world.launcher(), world.launcher()
    for _ in range(200):
        looked.step(world.commands())
        looked.output("gnss_1")
        stepped.step(world.commands())

    assert looked.view.state == stepped.view.state
    assert looked.output("imu_1") == stepped.output("imu_1")


def test_inputs_outputs_defaults_and_truth_fit_together():
    plant = world.launcher()

    assert {name: len(values) for name, values in plant.defaults.items()} == dict(plant.inputs)
    assert list(plant.defaults) == list(plant.inputs)
    assert {name: len(plant.output(name)) for name in plant.outputs} == dict(plant.outputs)
    assert {type(plant.read(name)) for name in plant.truth} == {float}
    assert Launcher.inputs["gimbal_9"] == 3
    world.run(plant, list(plant.defaults.values()), 5 * ms)
