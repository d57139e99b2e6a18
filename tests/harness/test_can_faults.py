"""Bus faults: each does what it says, ends when it is cleared, and is the same for the same seed."""

from __future__ import annotations

import pytest

from hil.can.bits import measure
from hil.can.frame import Frame
from hil.can.node import NodeState
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.errors import BusError, HilError
from hil.faults import Fault
from hil.noise import Streams
from hil.units import ms, s, us

BIT_NS = 2 * us


class World:
    """A wire with the nodes engine, fts and ear; what ear hears, and the frame log."""

    def __init__(self, seed=1):
        self.clock = VirtualClock()
        self.lines = []
        rng = Streams(seed).stream("bus_a", "wire")
        self.wire = CanWire(self.clock, "bus_a", 500_000, rng, log=self.lines.append)
        self.engine, self.fts, self.ear = (self.wire.attach(name) for name in ("engine", "fts", "ear"))
        self.heard = []
        self.ear.on_frame(self.heard.append)

    def fault(self, target, kind, **parameters):
        return self.wire.apply(Fault(target, kind, parameters=parameters))

    def heard_identifiers(self):
        return [frame.arbitration_id for frame in self.heard]


@pytest.fixture
def world():
    return World()


def test_a_dropped_frame_was_good_on_the_wire_and_only_that_receiver_loses_it(world):
    other = []
    world.fts.on_frame(other.append)
    world.fault("bus_a.ear", "drop", count=1)
    world.engine.send(Frame(1))
    world.engine.send(Frame(2))

    world.clock.sleep(1 * ms)

    assert world.heard_identifiers() == [2]
    assert len(other) == len(world.lines) == 2
    assert world.ear.overruns == 1


def test_a_drop_on_the_bus_is_for_every_receiver(world):
    world.fts.on_frame(lambda _: pytest.fail("it was to be dropped"))
    world.fault("bus_a", "drop", id=1)
    world.engine.send(Frame(1))
    world.clock.sleep(1 * ms)
    assert world.heard == []


def test_a_delayed_frame_reaches_the_controller_late(world):
    world.fault("bus_a.engine", "delay", delay_ns=3 * ms)
    world.engine.send(Frame(1))
    world.fts.send(Frame(2))

    world.clock.sleep(10 * ms)

    assert [(frame.arbitration_id, frame.start_ns) for frame in world.heard] == [(2, 0), (1, 3 * ms)]


def test_jitter_never_changes_the_order_of_a_nodes_frames(world):
    world.fault("bus_a.engine", "delay", delay_ns=0, jitter_ns=20 * ms)
    for identifier in range(100):
        world.engine.send(Frame(identifier))

    world.clock.sleep(1 * s)

    assert world.heard_identifiers() == list(range(100))


def test_a_duplicated_frame_is_on_the_wire_twice(world):
    world.fault("bus_a", "duplicate", node="engine", count=1)
    world.engine.send(Frame(1))
    world.engine.send(Frame(2))

    world.clock.sleep(1 * ms)

    assert world.heard_identifiers() == [1, 1, 2]
    assert len(world.lines) == 3


def test_a_duplicated_frame_is_not_duplicated_again(world):
    world.fault("bus_a.engine", "duplicate")
    world.engine.send(Frame(1))
    world.clock.sleep(10 * ms)
    assert world.heard_identifiers() == [1, 1]


def test_corruption_hits_the_chosen_identifier_only(world):
    world.fault("bus_a", "corrupt", id=1, count=1)
    world.engine.send(Frame(1))
    world.fts.send(Frame(2))

    world.clock.sleep(1 * ms)

    assert world.engine.tec == 8 - 1
    assert world.fts.tec == 0
    assert sorted(world.heard_identifiers()) == [1, 2]


def test_a_corruption_that_was_to_hit_a_frame_overtaken_before_it_started_is_not_used_up(world):
    world.fault("bus_a", "corrupt", id=5, count=1)
    world.engine.send(Frame(5))
    world.fts.send(Frame(1))
    world.clock.sleep(1 * ms)
    assert world.wire.stats.error_frames == 1


def test_corruption_ends_when_it_is_cleared(world):
    clear = world.fault("bus_a", "corrupt")
    world.engine.send(Frame(1))
    world.clock.sleep(1 * ms)
    clear()
    world.clock.sleep(1 * ms)
    assert world.heard_identifiers() == [1]


def test_a_garbled_frame_is_good_on_the_wire_with_other_data(world):
    world.fault("bus_a.engine", "garble", byte=1, mask=0x0F, count=1)
    world.engine.send(Frame(1, b"\x00\xf0\x00"))

    world.clock.sleep(1 * ms)

    assert world.heard[0].data == b"\x00\xff\x00"
    assert world.wire.stats.error_frames == 0


def test_garbling_without_a_place_flips_one_bit(world):
    world.fault("bus_a.engine", "garble")
    world.engine.send(Frame(1, bytes(8)))
    world.clock.sleep(1 * ms)
    assert int.from_bytes(world.heard[0].data, "big").bit_count() == 1


def test_a_babbling_idiot_starves_the_others_until_it_is_cleared(world):
    world.engine.send(Frame(1))
    clear = world.fault("bus_a.fts", "babble")
    world.clock.sleep(100 * ms)
    assert set(world.heard_identifiers()) == {0}
    assert world.wire.load(50 * ms) == 1.0
    clear()

    world.clock.sleep(1 * ms)

    assert world.heard_identifiers()[-1] == 1
    assert world.wire.load(100 * us) == 0.0


def test_a_babbling_idiot_may_have_a_period_and_an_identifier(world):
    clear = world.fault("bus_a.fts", "babble", id=0x10, length=2, period_ns=1 * ms)
    world.clock.sleep(10 * ms - 1)
    clear()
    world.clock.sleep(10 * ms)
    assert [frame[:2] for frame in world.heard] == [(0x10, bytes(2))] * 10


def test_a_babbling_idiot_in_bus_off_babbles_on_when_it_comes_back(world):
    world.fault("bus_a.fts", "babble")
    clear = world.fault("bus_a", "corrupt", bit=40)
    world.clock.wait(None, lambda: world.fts.state is NodeState.BUS_OFF)
    clear()
    world.clock.sleep(10 * ms)
    assert world.fts.state is NodeState.ERROR_ACTIVE
    assert len(world.heard) > 10


def test_a_babbling_idiot_without_power_begins_when_it_has_some(world):
    world.fts.power(False)
    world.fault("bus_a.fts", "babble", id=0x10)
    world.clock.sleep(1 * ms)
    assert world.heard == []
    world.fts.power(True)
    world.clock.sleep(1 * ms)
    assert set(world.heard_identifiers()) == {0x10}


def test_a_frame_held_back_when_its_node_loses_power_is_gone(world):
    world.fault("bus_a.engine", "delay", delay_ns=3 * ms)
    world.engine.send(Frame(1))
    world.engine.power(False)
    world.clock.sleep(10 * ms)
    assert (world.heard, world.engine.discarded) == ([], 1)


def test_a_silent_node_sends_nothing_hears_and_acknowledges(world):
    heard_by_fts = []
    world.fts.on_frame(heard_by_fts.append)
    world.ear.detach()
    world.fts.send(Frame(1))
    clear = world.fault("bus_a.fts", "silent")
    world.fts.send(Frame(2))
    world.engine.send(Frame(3))
    world.clock.sleep(1 * ms)
    assert [frame.arbitration_id for frame in heard_by_fts] == [3]
    assert world.fts.discarded == 2
    clear()

    assert world.fts.send(Frame(4))
    world.clock.sleep(1 * ms)
    assert world.fts.sent == 1


def test_a_node_with_an_open_stub_is_alone_and_the_others_go_on(world):
    clear = world.fault("bus_a.engine", "open")
    world.engine.send(Frame(1))
    world.fts.send(Frame(2))
    world.clock.sleep(100 * ms)
    assert world.heard_identifiers() == [2]
    assert world.engine.state is NodeState.ERROR_PASSIVE
    assert len(world.lines) == 1
    clear()

    world.clock.sleep(1 * ms)

    assert world.heard_identifiers() == [2, 1]


def test_a_broken_bus_is_two_buses(world):
    beyond = []
    world.fts.on_frame(beyond.append)
    world.wire.attach("valve").on_frame(beyond.append)
    world.fault("bus_a", "open", beyond="fts, valve")
    world.engine.send(Frame(1))
    world.fts.send(Frame(2))

    world.clock.sleep(1 * ms)

    assert world.heard_identifiers() == [1]
    assert [frame.arbitration_id for frame in beyond] == [2]


def test_a_node_behind_two_breaks_is_back_when_both_are_mended(world):
    first, second = world.fault("bus_a.engine", "open"), world.fault("bus_a", "open", beyond="engine")
    world.engine.send(Frame(1))
    first()
    world.clock.sleep(1 * ms)
    assert world.heard == []
    second()
    world.clock.sleep(1 * ms)
    assert world.heard_identifiers() == [1]


def test_a_stub_that_opens_in_the_middle_of_a_frame_cuts_it(world):
    world.engine.send(Frame(1, bytes(8)))
    world.clock.sleep(100 * us)
    world.fault("bus_a.engine", "open")
    world.clock.sleep(1 * ms)
    assert world.heard == []
    assert world.wire.stats.error_frames == 1


def test_a_frame_whose_only_listener_leaves_is_not_acknowledged(world):
    world.ear.detach()
    world.engine.send(Frame(1, bytes(8)))
    world.clock.sleep(100 * us)
    world.fts.power(False)

    world.clock.sleep(200 * us)

    assert world.engine.sent == 0
    assert world.engine.tec == 8


def noisy_world(seed):
    world = World(seed)
    world.fault("bus_a", "corrupt", probability=0.2)
    world.fault("bus_a", "drop", probability=0.2)
    world.fault("bus_a.fts", "delay", delay_ns=0, jitter_ns=1 * ms)
    world.fault("bus_a.engine", "garble", probability=0.5)
    world.clock.every(1 * ms, lambda: world.engine.send(Frame(1, bytes(8))))
    world.clock.every(1 * ms, lambda: world.fts.send(Frame(2, bytes(8))))
    return world


def noisy_log(seed):
    world = noisy_world(seed)
    world.clock.sleep(1 * s)
    return "\n".join(world.lines), world.heard


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    assert noisy_log(7) == noisy_log(7)
    assert noisy_log(7)[0] != noisy_log(8)[0]


def test_two_worlds_side_by_side_know_nothing_of_each_other():
    one, other = noisy_world(7), noisy_world(8)
    for _ in range(100):
        one.clock.sleep(10 * ms)
        other.clock.sleep(10 * ms)
    assert ("\n".join(one.lines), one.heard) == noisy_log(7)
    assert ("\n".join(other.lines), other.heard) == noisy_log(8)


@pytest.mark.parametrize(
    ("target", "kind", "parameters", "why"),
    [
        ("bus_a", "corupt", {}, "knows no fault 'corupt'; did you mean corrupt"),
        ("bus_a", "corrupt", {"bits": 1}, "has no parameter bits; did you mean bit"),
        ("bus_a", "corrupt", {"probability": 2.0}, "probability=2.0 is outside 0 to 1"),
        ("bus_a", "corrupt", {"bit": 1.5}, "bit=1.5 must be a whole number"),
        ("bus_a", "delay", {}, "needs a number delay_ns="),
        ("bus_a", "silent", {}, "needs a node: target bus_a.NODE"),
        ("bus_a", "open", {}, "beyond='NODE, NODE'"),
        ("bus_a.fts", "babble", {"length": 9}, "length=9 must be a whole number, 0 to 8"),
    ],
)
def test_a_fault_that_is_not_understood_is_refused(world, target, kind, parameters, why):
    with pytest.raises(HilError, match=why):
        world.fault(target, kind, **parameters)


def test_a_fault_on_a_node_that_is_not_there_names_the_nearest(world):
    with pytest.raises(BusError, match="no node 'engin'; did you mean engine"):
        world.fault("bus_a.engin", "silent")


def test_one_node_babbles_one_frame(world):
    world.fault("bus_a.fts", "babble")
    with pytest.raises(BusError, match="babbles 000#0000000000000000 already"):
        world.fault("bus_a.fts", "babble", id=1)


def test_random_corruption_lies_inside_the_frame(world):
    world.fault("bus_a", "corrupt", probability=0.5)
    frame = Frame(1)
    for _ in range(20):
        world.engine.send(frame)
    world.clock.sleep(100 * ms)
    assert len(world.heard) == 20
    assert max(b.start_ns - a.start_ns for a, b in zip(world.heard, world.heard[1:], strict=False)) < 10 * (
        (measure(frame)[1] + 23) * BIT_NS
    )
