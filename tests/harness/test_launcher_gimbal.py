"""The gimbal actuators: from a command on the bus to the deflection that is asked for, and what they report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from unit_world import UnitWorld

from hil.units import ms, s
from hil_launcher.clients.gimbals import command_frames
from hil_launcher.models.units.gimbal_actuator import GimbalActuator

if TYPE_CHECKING:
    from collections.abc import Callable

Y_DEG, Z_DEG = 1.5, -2.0
CENTRED = (0.0, 0.0, 1.0)
COMMANDED = (math.radians(Y_DEG), math.radians(Z_DEG), 1.0)


class Bench:
    """The actuators of engine 4 with supply and heartbeat; ``changes`` are as-built values to change."""

    def __init__(self, *, node: str = "GIM4", buses: str = "ab", **changes: object) -> None:
        keys = {key.replace("__", "."): value for key, value in changes.items()}
        self.world = UnitWorld(GimbalActuator, "gimbal.toml", node, keys)
        self.stop_beating = self.world.beat(buses)
        self.world.power()
        self.sleep(300 * ms)

    def sleep(self, duration_ns: int) -> None:
        self.world.clock.sleep(duration_ns)

    def command(self, engine: int = 4, *, y_deg: float = Y_DEG, z_deg: float = Z_DEG, buses: str = "ab") -> None:
        for message, signals in command_frames({engine: (y_deg, z_deg)}).items():
            self.world.send(message, signals, buses)
        self.sleep(5 * ms)

    def keep_commanding(self) -> Callable[[], None]:
        """Command a hundred times a second; the returned call stops it."""
        signals = command_frames({4: (Y_DEG, Z_DEG)})["TVC_COMMAND_2"]
        return self.world.clock.every(10 * ms, lambda: self.world.send("TVC_COMMAND_2", signals)).cancel

    @property
    def drive(self) -> tuple[float, ...]:
        return self.world.taken("drive", 3)

    @property
    def state(self) -> object:
        return self.world.last("GIM4_STATUS")["STATE"]


def test_a_command_is_handed_on_with_the_signs_of_the_interface_document():
    bench = Bench()
    assert bench.drive == CENTRED
    bench.command()
    assert bench.drive == pytest.approx(COMMANDED, abs=math.radians(0.002))


@pytest.mark.parametrize("engine", range(1, 10))
def test_it_obeys_the_fields_of_its_own_engine_alone(engine):
    bench = Bench(node=f"GIM{engine}")
    for other in range(1, 10):
        if other != engine:
            bench.command(other)
            assert bench.drive == CENTRED
    bench.command(engine)
    assert bench.drive == pytest.approx(COMMANDED, abs=math.radians(0.002))


@pytest.mark.parametrize(
    ("changes", "expected_deg"),
    [
        ({"y__polarity": -1}, (-1.5, -2.0)),
        ({"z__polarity": -1}, (1.5, 2.0)),
        ({"y__obeys": "Z", "z__obeys": "Y"}, (-2.0, 1.5)),
        ({"obeys_engine": 3}, (0.0, 0.0)),
    ],
)
def test_wrong_polarity_or_mapping_as_built_reaches_the_engine(changes, expected_deg):
    bench = Bench(**changes)
    bench.command()
    assert [math.degrees(angle) for angle in bench.drive[:2]] == pytest.approx(expected_deg, abs=0.002)


def test_it_listens_to_bus_a_while_the_heartbeat_is_there_and_then_to_b():
    bench = Bench()
    bench.command(buses="b")
    assert bench.drive == CENTRED
    bench.stop_beating()
    bench.world.beat("b")
    bench.sleep(200 * ms)
    bench.command(buses="a", y_deg=5.0)
    assert bench.drive == CENTRED
    bench.command(buses="b")
    assert bench.drive == pytest.approx(COMMANDED, abs=math.radians(0.002))
    bench.sleep(20 * ms)
    assert bench.world.last("GIM4_STATUS", "b")["BUS"] == "B"


def test_without_commands_it_holds_the_last_one_and_reports_a_fault():
    bench = Bench()
    assert bench.state == "OFF"
    stop = bench.keep_commanding()
    bench.sleep(100 * ms)
    assert bench.state == "ACTIVE"
    stop()
    bench.sleep(100 * ms)
    assert bench.state == "FAULT"
    assert bench.drive == pytest.approx(COMMANDED, abs=math.radians(0.002))


def test_an_actuator_built_to_centre_gives_up_its_last_command():
    bench = Bench(on_loss="centre")
    stop = bench.keep_commanding()
    bench.sleep(100 * ms)
    assert bench.drive == pytest.approx(COMMANDED, abs=math.radians(0.002))
    stop()
    bench.sleep(100 * ms)
    assert bench.drive == CENTRED


def test_a_position_that_does_not_follow_is_reported_as_frozen():
    bench = Bench()
    bench.world.give("position", 0.0, 0.0)
    bench.keep_commanding()
    bench.sleep(200 * ms)
    assert bench.state == "ACTIVE"
    bench.sleep(200 * ms)
    assert bench.state == "FROZEN"


def test_it_reports_the_measured_position_fifty_times_a_second():
    bench = Bench()
    bench.world.give("position", math.radians(3.0), math.radians(-4.0))
    bench.sleep(1 * s)
    sent = bench.world.last("GIM4_STATUS")
    assert (float(sent["Y"]), float(sent["Z"])) == pytest.approx((3.0, -4.0), abs=0.05)
    starts = [frame.start_ns for frame in bench.world.frames("GIM4_STATUS")][-20:]
    assert starts[-1] - starts[0] == pytest.approx(19 * 20 * ms, abs=1 * ms)


def test_without_supply_it_is_not_energised():
    bench = Bench()
    bench.command()
    bench.world.power(0.0)
    bench.sleep(100 * ms)
    assert bench.drive[2] == 0.0


@pytest.mark.parametrize("kind", ["frozen", "cpu_halt"])
def test_frozen_or_halted_it_holds_where_it_was_told_to_be(kind):
    bench = Bench()
    bench.command()
    clear = bench.world.fault(kind)
    bench.command(y_deg=0.0, z_deg=0.0)
    assert bench.drive == pytest.approx(COMMANDED, abs=math.radians(0.002))
    clear()
    bench.command(y_deg=0.0, z_deg=0.0)
    assert bench.drive == CENTRED


def test_feedback_freezes_and_shifts_while_the_engine_moves():
    bench = Bench()
    clear = bench.world.fault("feedback_bias", y_deg=2.0)
    bench.command()
    bench.sleep(40 * ms)
    assert float(bench.world.last("GIM4_STATUS")["Y"]) == pytest.approx(Y_DEG + 2.0, abs=0.05)
    clear()
    bench.sleep(40 * ms)
    bench.world.fault("feedback_frozen")
    bench.command(y_deg=0.0)
    bench.sleep(40 * ms)
    assert float(bench.world.last("GIM4_STATUS")["Y"]) == pytest.approx(Y_DEG, abs=0.05)
