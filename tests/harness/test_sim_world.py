"""The world of another program: faults on its parts and its plant, over TCP."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sim_world import OnClock

from hil.clock import Instant, WallClock, boot_ns
from hil.errors import ClockError, HilError, InstrumentError
from hil.faults import Fault, FaultInjector
from hil.io.far_world import FarWorld
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.signal import Timeline
from hil.sim.world_server import WorldServer
from hil.units import ms, s, us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hil.rig.world import Rig

FLOWN_BY_ANOTHER = """
[plant]
model = "small_plant:MassOnSpring"
vehicle = "spring.toml"
rate_hz = 100.0
process = "sim"
"""
RIG = f"""
{FLOWN_BY_ANOTHER}
[rig]
name = "far"
pace = "wall"
worlds = {{ sim = "tcp://127.0.0.1:0" }}

[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
model = "hil.visa.keysight_n6700_twin:KeysightN6700Twin"
resource = "TCPIP0::127.0.0.1::0::SOCKET"
process = "sim"

[instrument.stand]
driver = "hil.io.stream_card:StreamCard"
model = "hil.io.sim_card:SimIoCard"
resource = "tcp://127.0.0.1:0"
process = "sim"

[net.power]
pins = ["psu.out1", "stand.ai_out1"]
"""


class World(OnClock):
    """A world with a supply and a plant, on its port."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._file = folder / "far.toml"
        self._file.write_text(RIG)
        (folder / "spring.toml").write_text("mass_kg = 2.0\nstiffness_n_m = 8.0\n")

    def build(self) -> Callable[[], None]:
        self.rig = open_rig(Blueprint.of(load_rig(self._file)), program="sim")
        self.clock = self.rig.clock
        self.rig.wiring.datagram_pin("logger.log")
        self.server = WorldServer(self.rig, "sim")

        def close() -> None:
            self.server.close()
            self.rig.close()

        return close


class Bench:
    """A test's side of it."""

    def __init__(self, world: World) -> None:
        self.clock = WallClock()
        self.timeline = Timeline(self.clock)
        self.far = FarWorld("sim", world.server.address, timeline=self.timeline)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


@pytest.fixture
def bench(world: World) -> Iterator[Bench]:
    bench = Bench(world)
    yield bench
    bench.far.close()


def test_a_world_names_what_faults_can_be_put_on_and_what_is_true_of_its_plant(bench: Bench) -> None:
    assert {"psu", "plant", "power", "psu.out1"} <= set(bench.far.targets)
    assert bench.far.truths


def test_a_fault_is_there_when_the_call_returns_and_gone_when_it_is_undone(world: World, bench: Bench) -> None:
    undo = bench.far.apply(Fault("psu", "frozen"))
    assert world.rig.twins["psu"].engine.frozen
    undo()
    assert not world.rig.twins["psu"].engine.frozen


def test_a_fault_on_a_wire_takes_its_parameters_along(world: World, bench: Bench) -> None:
    bench.far.apply(Fault("power", "short_to_supply", parameters={"volts": 28.0, "ohms": 1.0}))
    assert world.do(lambda: world.rig.wiring.pin("psu.out1").volts) == pytest.approx(28.0, abs=0.1)


def test_a_fault_the_part_cannot_have_is_refused_in_its_own_words(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match=r"refused at tcp.*has no fault 'frosen'; did you mean frozen"):
        bench.far.apply(Fault("psu", "frosen"))


def test_a_planned_fault_begins_and_ends_at_its_time(world: World, bench: Bench) -> None:
    injector = FaultInjector(bench.clock, bench.timeline.stimulus)
    injector.register("psu", bench.far)
    now = bench.clock.now
    injector.inject(Fault("psu", "frozen", now + 50 * ms, now + 150 * ms))
    frozen = lambda: world.rig.twins["psu"].engine.frozen  # noqa: E731
    assert bench.clock.wait(now + 2 * s, frozen)
    assert bench.clock.wait(now + 2 * s, lambda: not frozen())


def test_a_planned_fault_that_is_refused_ends_the_wait_it_meets(bench: Bench) -> None:
    injector = FaultInjector(bench.clock, bench.timeline.stimulus)
    injector.register("psu", bench.far)
    injector.inject(Fault("psu", "frosen", bench.clock.now + 20 * ms))
    with pytest.raises(InstrumentError, match="was refused"):
        bench.clock.sleep(2 * s)


def test_faults_end_with_the_test_that_put_them_on(world: World) -> None:
    bench = Bench(world)
    bench.far.apply(Fault("psu", "frozen"))
    bench.far.close()
    thawed = threading.Event()
    world.do(lambda: world.clock.every(1 * ms, lambda: world.rig.twins["psu"].engine.frozen or thawed.set()))
    assert thawed.wait(5.0)


def test_a_plant_is_started_and_its_truth_followed(bench: Bench) -> None:
    plant, name = bench.far.plant, next(iter(bench.far.truths))
    plant.start()
    moved = plant.truth(name).expect(lambda _: True, within=2 * s)
    assert moved.at <= bench.clock.now
    assert isinstance(plant.model.read(name), float)
    assert plant.record([name])[0].name in bench.timeline.asked


def test_a_truth_the_plant_does_not_have_is_refused(bench: Bench) -> None:
    with pytest.raises(HilError, match="has no truth altitude"):
        bench.far.plant.truth("altitude")
    with pytest.raises(HilError, match="has no truth altitude"):
        bench.far.plant.model.read("altitude")


def test_datagrams_of_the_world_are_heard_in_order_with_their_bytes(world: World, bench: Bench) -> None:
    heard: list[tuple[bytes, int]] = []
    bench.far.hear("logger.log", lambda payload, sent_ns: heard.append((payload, sent_ns)))
    pin = world.rig.wiring.datagram_pin("logger.log")
    payloads = [b"", b"\x00\xff", b"status"]
    world.do(lambda: [pin.send(payload) for payload in payloads])
    assert bench.clock.wait(bench.clock.now + 2 * s, lambda: len(heard) == len(payloads))
    assert [payload for payload, _ in heard] == payloads
    assert [sent_ns for _, sent_ns in heard] == sorted(sent_ns for _, sent_ns in heard)


def test_a_pin_the_world_does_not_have_cannot_be_heard(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match=r"no pin logger\.lock here; did you mean logger\.log"):
        bench.far.hear("logger.lock", lambda _payload, _sent_ns: None)


def test_a_test_that_joins_a_world_has_its_rig_time(world: World) -> None:
    timeline = Timeline(WallClock())
    far = FarWorld("sim", world.server.address, timeline=timeline, join=True)
    sent: list[tuple[int, int]] = []
    far.hear("logger.log", lambda payload, sent_ns: sent.append((int(payload), sent_ns)))
    pin = world.rig.wiring.datagram_pin("logger.log")
    world.do(lambda: pin.send(b"%d" % world.clock.now))  # a time tag, as a tracker writes it
    assert timeline.clock.wait(timeline.clock.now + 2 * s, lambda: bool(sent))
    tag_ns, sent_ns = sent[0]
    assert abs(sent_ns - tag_ns) < 10 * us
    assert timeline.clock.began_ns <= tag_ns <= timeline.clock.now
    assert timeline.mark_ns >= timeline.clock.began_ns
    far.close()


def test_a_world_of_another_pace_is_not_joined(world: World) -> None:
    timeline = Timeline(WallClock(factor=0.5))
    with pytest.raises(InstrumentError, match="same rig file with the same --set"):
        FarWorld("sim", world.server.address, timeline=timeline, join=True)


def test_a_world_that_began_later_than_the_test_is_not_joined(world: World) -> None:
    timeline = Timeline(WallClock())
    timeline.clock.join(Instant(3_600 * s, boot_ns()))
    with pytest.raises(ClockError, match="start the other program before the test"):
        FarWorld("sim", world.server.address, timeline=timeline, join=True)


def test_a_vehicle_that_has_flown_is_a_new_one_for_the_next_test(world: World) -> None:
    first = Bench(world)
    first.far.plant.start()
    flown = world.rig.plant_host
    first.clock.wait(first.clock.now + 2 * s, lambda: flown.model.steps > 2)
    first.far.close()
    second = Bench(world)
    second.far.renew()
    steps_of_both = lambda: (flown.model.steps, world.rig.plant_host.model.steps)  # noqa: E731
    before = world.do(steps_of_both)
    assert before[1] == 0
    second.far.plant.start()
    second.clock.wait(second.clock.now + 2 * s, lambda: world.rig.plant_host.model.steps > 2)
    after = world.do(steps_of_both)
    assert after[1] > 2
    assert after[0] == before[0]  # nobody steps the old one any more
    second.far.close()


@pytest.fixture
def far_rig(world: World, tmp_path: Path) -> Callable[[], Rig]:
    """Opens a rig of which the world is another program, as a test does."""
    file = tmp_path / "bench.toml"
    file.write_text(
        f'{FLOWN_BY_ANOTHER}[rig]\nname = "bench"\npace = "wall"\nworlds = {{ sim = "{world.server.address}" }}\n'
    )
    return lambda: open_rig(Blueprint.of(load_rig(file)))


def test_each_test_that_opens_the_rig_finds_a_vehicle_that_has_not_flown(
    world: World, far_rig: Callable[[], Rig]
) -> None:
    steps: list[int] = []
    for _ in range(2):
        rig = far_rig()
        steps.append(world.do(lambda: world.rig.plant_host.model.steps))
        rig.plant.start()
        assert rig.clock.wait(rig.clock.now + 2 * s, lambda: world.rig.plant_host.model.steps > 2)
        rig.close()
    assert steps == [0, 0]


def test_what_is_judged_while_a_world_stands_still_is_in_doubt_before_the_world_says_so(
    world: World, far_rig: Callable[[], Rig]
) -> None:
    rig = far_rig()
    rig.plant.start()
    begun = threading.Event()
    began_ns = rig.clock.now
    world.clock.post(lambda: (begun.set(), threading.Event().wait(0.2)))
    assert begun.wait(5.0)
    rig.clock.sleep(50 * ms)  # a step of the plant is overdue by now
    assert "beyond the rig's max_lateness" in rig.doubt(began_ns)
    rig.close()


def test_what_is_judged_when_a_world_cannot_be_asked_is_in_doubt(world: World, far_rig: Callable[[], Rig]) -> None:
    rig = far_rig()
    found: list[str] = []
    rig.clock.at(rig.clock.now + 1 * ms, lambda: found.append(rig.doubt(rig.clock.now)))  # nothing can be awaited there
    rig.clock.sleep(20 * ms)
    assert "whether the rig's clocks were late is not known" in found[0]
    rig.close()


def test_a_vehicle_that_stands_is_left_as_it_is(world: World, bench: Bench) -> None:
    plant = world.rig.plant_host
    bench.far.renew()
    assert world.rig.plant_host is plant


@pytest.mark.parametrize("flies", [True, False], ids=["flies", "at rest"])
def test_a_late_tick_of_a_world_is_one_of_the_test(world: World, bench: Bench, flies: bool) -> None:
    if flies:
        bench.far.plant.start()
    world.clock.post(lambda: threading.Event().wait(0.2))
    late = lambda: [late_ns for _, late_ns in bench.clock.late_ticks if late_ns > 150 * ms]  # noqa: E731
    assert bench.clock.wait(bench.clock.now + 2 * s, lambda: bool(late()))
    assert bench.clock.lateness.doubt(0, bench.clock.now)


def test_a_world_that_is_asked_says_how_late_it_was_before_it_answers(world: World, bench: Bench) -> None:
    bench.far.plant.start()
    begun = threading.Event()
    world.clock.post(lambda: (begun.set(), threading.Event().wait(0.2)))
    assert begun.wait(5.0)
    bench.clock.sleep(50 * ms)  # a step of the plant is overdue by now
    bench.far.hear_lateness()
    assert [late_ns for _, late_ns in bench.clock.late_ticks if late_ns > 100 * ms]


def test_a_lost_world_ends_whatever_the_test_waits_for(world: World, bench: Bench) -> None:
    world.do(world.server._tcp.drop_all)
    with pytest.raises(InstrumentError, match=r"sim: the connection to tcp.* was lost"):
        bench.clock.sleep(5 * s)
